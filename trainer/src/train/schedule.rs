//! How long a stage trains and how fast it learns at each step.

use std::time::Instant;

use crate::events::Progress;

/// How long a stage trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many updates.
    Steps(u32),
    /// As many updates as fit into so many seconds: the pace is measured on the first ones, then
    /// the number is fixed.
    Seconds(f64),
}

/// Updates before the pace is measured: the first ones find cold caches.
const COLD_STEPS: u32 = 3;
/// Updates that the pace is measured on, at least.
const MEASURED_STEPS: u32 = 12;
/// Share of the time that the pace is measured for, at least: what else a machine does comes and
/// goes.
const MEASURED_SHARE: f64 = 0.02;
/// Share of the time that is planned with; the rest is for measuring on held-out files, and for a
/// machine that slows down.
const PLANNED_SHARE: f64 = 0.93;

impl Length {
    /// What is left of it after so many seconds of preparation.
    pub(super) fn after(self, seconds: f64) -> Self {
        match self {
            Self::Seconds(limit) => Self::Seconds((limit - seconds).max(0.0)),
            steps => steps,
        }
    }
}

/// The course of one stage of training.
pub(super) struct Schedule {
    length: Length,
    peak: f64,
    warm_up: u32,
    began: Instant,
    warm: Option<Instant>,
    step: u32,
    steps: u32,
}

impl Schedule {
    pub(super) fn new(length: Length, peak: f64, warm_up: u32) -> Self {
        let steps = if let Length::Steps(steps) = length { steps.max(1) } else { 0 };
        Self { length, peak, warm_up, began: Instant::now(), warm: None, step: 0, steps }
    }

    /// Updates made so far.
    pub(super) fn step(&self) -> u32 {
        self.step
    }

    /// Updates in all; 0 while it is being measured.
    pub(super) fn steps(&self) -> u32 {
        self.steps
    }

    /// Share of the course that is over, 0 to 1; 0 while it is being measured.
    pub(super) fn share(&self) -> f64 {
        f64::from(self.step) / f64::from(self.steps.max(1)).max(f64::from(self.step))
            * if self.steps == 0 { 0.0 } else { 1.0 }
    }

    pub(super) fn elapsed_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Whether the course is run, or its time over.
    pub(super) fn is_over(&self) -> bool {
        let late = matches!(self.length, Length::Seconds(limit) if self.elapsed_s() >= limit);
        (self.steps > 0 && self.step >= self.steps) || (late && self.step > 0)
    }

    /// Learning rate of the next update: linear warm-up, then half a cosine down to a twentieth
    /// (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>).
    pub(super) fn rate(&self) -> f64 {
        let warm = f64::from(self.step + 1) / f64::from(self.warm_up.max(1));
        let cosine = 0.5 + 0.5 * (std::f64::consts::PI * self.share()).cos();
        self.peak * warm.min(1.0) * (0.05 + 0.95 * cosine)
    }

    /// Counts an update, and fixes the number of updates once the pace is known.
    pub(super) fn advance(&mut self) {
        self.step += 1;
        let Length::Seconds(limit) = self.length else { return };
        if self.step == COLD_STEPS {
            self.warm = Some(Instant::now());
        }
        let Some(warm) = self.warm else { return };
        let (measured, seconds) = (self.step - COLD_STEPS, warm.elapsed().as_secs_f64());
        let enough = measured >= MEASURED_STEPS && seconds >= MEASURED_SHARE * limit;
        if self.steps == 0 && enough {
            let pace = seconds / f64::from(measured);
            self.steps = self.step + steps_within(limit * PLANNED_SHARE - self.elapsed_s(), pace);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let elapsed_s = self.elapsed_s();
        let left = f64::from(self.steps.saturating_sub(self.step));
        let remaining_s = (self.steps > 0).then(|| left * elapsed_s / f64::from(self.step.max(1)));
        Progress {
            step: self.step,
            steps: self.steps,
            elapsed_s,
            remaining_s,
            learning_rate: self.rate(),
        }
    }
}

/// Steps of `pace` seconds that fit into `seconds`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to u32")]
fn steps_within(seconds: f64, pace: f64) -> u32 {
    (seconds / pace.max(1e-6)).clamp(0.0, f64::from(u32::MAX / 2)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_a_twentieth() {
        let mut schedule = Schedule::new(Length::Steps(100), 1.0, 10);
        let mut rates = Vec::new();
        while !schedule.is_over() {
            rates.push(schedule.rate());
            schedule.advance();
        }
        assert_eq!(rates.len(), 100);
        assert!(rates[0] < 0.2 && rates[10] > 0.9 && rates[99] < 0.06);
    }

    #[test]
    fn a_budget_of_time_becomes_a_number_of_steps() {
        let mut schedule = Schedule::new(Length::Seconds(0.1), 1.0, 10);
        for _ in 0..COLD_STEPS + MEASURED_STEPS {
            assert_eq!(schedule.steps(), 0);
            schedule.advance();
        }
        while schedule.steps() == 0 && !schedule.is_over() {
            schedule.advance();
        }
        assert!(schedule.steps() > 1000, "steps that take no time: {}", schedule.steps());
    }

    #[test]
    fn preparation_is_paid_from_the_time_but_not_from_the_steps() {
        assert_eq!(Length::Seconds(10.0).after(4.0), Length::Seconds(6.0));
        assert_eq!(Length::Seconds(10.0).after(40.0), Length::Seconds(0.0));
        assert_eq!(Length::Steps(10).after(40.0), Length::Steps(10));
    }
}
