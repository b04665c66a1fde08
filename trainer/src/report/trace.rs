//! A curve of everything that was ever measured, in bounded memory.

/// Points of a trace, at most; it has at least half as many once it has been full.
const MOST: usize = 400;

/// Values over steps, each point the mean of as many steps as it takes to stay below 400 points.
#[derive(Debug, Clone)]
pub struct Trace {
    points: Vec<(u32, f64)>,
    /// Steps in a point.
    every: u32,
    /// Sum and number of the values of the point that is not yet full.
    open: (f64, u32),
}

impl Default for Trace {
    fn default() -> Self {
        Self { points: Vec::new(), every: 1, open: (0.0, 0) }
    }
}

impl Trace {
    /// Adds the value of a step.
    pub fn push(&mut self, step: u32, value: f64) {
        self.open = (self.open.0 + value, self.open.1 + 1);
        if self.open.1 < self.every {
            return;
        }
        let (sum, count) = std::mem::take(&mut self.open);
        self.points.push((step, sum / f64::from(count)));
        if self.points.len() == MOST {
            let halved = self.points.chunks_exact(2).map(|pair| {
                let [(_, earlier), (step, later)] = [pair[0], pair[1]];
                (step, f64::midpoint(earlier, later))
            });
            self.points = halved.collect();
            self.every = self.every.saturating_mul(2);
        }
    }

    /// Its points: steps, and means over the steps since the point before.
    #[must_use]
    pub fn points(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|&(step, value)| (f64::from(step), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_trace_stays_short_and_keeps_its_means() {
        let mut trace = Trace::default();
        for step in 1..=100_000 {
            trace.push(step, f64::from(step));
        }
        let points = trace.points();
        assert!((MOST / 2..MOST).contains(&points.len()), "{} points", points.len());
        let each = points[0].0;
        for (i, (step, mean)) in (1_u32..).zip(points) {
            assert_eq!(step, each * f64::from(i));
            assert!((mean - (step - each / 2.0 + 0.5)).abs() < 1e-6, "{mean} up to {step}");
        }
    }

    #[test]
    fn the_first_values_are_points_of_their_own() {
        let mut trace = Trace::default();
        trace.push(1, 4.0);
        trace.push(2, f64::NAN);
        let points = trace.points();
        assert_eq!(points[0], (1.0, 4.0));
        assert!(points[1].1.is_nan());
    }
}
