//! Low-pass filters for playing sound at another speed than it was made at.
//!
//! Windowed sincs in many phases, as in Smith, "Digital Audio Resampling"
//! (ccrma.stanford.edu/~jos/resample), with the window of Kaiser and Schafer 1980, "On the use of
//! the I0-sinh window for spectrum analysis". Sound that is played faster has to lose what would
//! come to lie above half the sample rate, so there is a filter for every speed in steps. They are
//! made once for the process, before anything plays.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Zeros of the widest filter's sinc on either side. With [`KAISER`], what lies below 0.45 of the
/// rate keeps its level within 0.1 dB, and its images are 100 dB down.
const ZEROS: f64 = 36.0;
/// Shape of the window: some -105 dB beside the main lobe.
const KAISER: f64 = 10.8;
/// Phases of the widest filter; between them it is interpolated, with an error of -104 dB.
const PHASES: f64 = 256.0;
/// Filters in an octave of speeds.
const STEPS: f64 = 8.0;
/// The largest speed that has a filter of its own. What is played faster still has overtones in it
/// that were never there.
const FASTEST: f64 = 8.7;
/// Up to this speed the widest filter serves, so that nothing is lost at 44.1 kHz: what comes to lie
/// above half of that folds to above 20 kHz.
const UNHEARD: f64 = 1.09;
/// Most samples that a filter reaches to either side: that of the widest at the largest speed, and
/// rounding.
pub const REACH: usize = 320;

/// All filters of the process.
static FILTERS: LazyLock<Filters> = LazyLock::new(Filters::make);

/// The filters for all speeds.
#[derive(Debug)]
pub struct Filters(Vec<Filter>);

/// The filter for one speed.
#[derive(Debug)]
pub struct Filter {
    /// Its length in samples, a multiple of eight.
    taps: usize,
    /// Places between two samples at which it is known.
    phases: usize,
    /// `[phases + 1, taps]`.
    table: Vec<f32>,
}

impl Filters {
    /// The filters of this process. The first call makes them: not for the audio thread, which they
    /// have to be ready for.
    #[must_use]
    pub fn of_process() -> &'static Self {
        &FILTERS
    }

    fn make() -> Self {
        let last = (STEPS * FASTEST.log2()).ceil();
        let widths = std::iter::successors(Some(0.0), |step| (*step < last).then_some(step + 1.0));
        Self(widths.map(|step| Filter::new((step / STEPS).exp2())).collect())
    }

    /// The filter for sound that is played at `speed`, 1 being as it was made. Real-time safe.
    #[must_use]
    pub fn at(&self, speed: f64) -> &Filter {
        let step = if speed <= UNHEARD { 0.0 } else { (STEPS * speed.log2()).ceil() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let step = (step as usize).min(self.0.len() - 1);
        &self.0[step]
    }
}

impl Filter {
    /// A filter that passes what is below 0.45 / `width` of the rate.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
    fn new(width: f64) -> Self {
        let taps = 8 * (ZEROS * width / 4.0).ceil() as usize;
        let phases = (PHASES / width).ceil() as usize;
        let mut table = Vec::with_capacity((phases + 1) * taps);
        let middle = bessel(KAISER);
        for phase in 0..=phases {
            let away =
                |tap: usize| phase as f64 / phases as f64 - (tap as f64 - (taps / 2) as f64 + 1.0);
            let row: Vec<f64> = (0..taps)
                .map(|tap| sinc(away(tap) / width) * kaiser(away(tap) / (ZEROS * width)) / middle)
                .collect();
            let sum: f64 = row.iter().sum();
            table.extend(row.iter().map(|value| (value / sum) as f32));
        }
        Self { taps, phases, table }
    }

    /// Samples that it reaches to either side.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.taps / 2
    }

    /// The value of each of `sides` between two samples: `share`, 0 to 1, of the way from the one
    /// with [`reach`](Self::reach) samples up to and with it to the next, of as many. Real-time safe.
    #[must_use]
    pub fn apply(&self, sides: [&[f32]; 2], share: f64) -> [f32; 2] {
        let at = share * self.phases as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        let phase = (at as usize).min(self.phases - 1);
        #[expect(clippy::cast_possible_truncation, reason = "0 to 1")]
        let between = (at - phase as f64) as f32;
        let (here, next) = self.table[phase * self.taps..][..2 * self.taps].split_at(self.taps);
        let [left, right] = sides;
        let mut sums = [[0.0_f32; 8]; 2];
        let rows = here.chunks_exact(8).zip(next.chunks_exact(8));
        let samples = left.chunks_exact(8).zip(right.chunks_exact(8));
        for ((here, next), (left, right)) in rows.zip(samples) {
            for lane in 0..8 {
                let weight = here[lane] + between * (next[lane] - here[lane]);
                sums[0][lane] += weight * left[lane];
                sums[1][lane] += weight * right[lane];
            }
        }
        sums.map(|[a, b, c, d, e, f, g, h]| ((a + e) + (b + f)) + ((c + g) + (d + h)))
    }
}

/// `sin(πx) / πx`.
fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The window at `x`, -1 to 1 being its ends, times what makes its middle 1.
fn kaiser(x: f64) -> f64 {
    let inside = (1.0 - x * x).max(0.0).sqrt();
    if x.abs() > 1.0 { 0.0 } else { bessel(KAISER * inside) }
}

/// The modified Bessel function of the first kind and order 0, by its power series: enough of it for
/// `x` up to [`KAISER`].
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..30 {
        let half = x / (2.0 * f64::from(k));
        term *= half * half;
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_speed_has_a_filter_that_reaches_no_further_than_is_kept() {
        let filters = Filters::of_process();
        for speed in [1e-3, 0.5, 1.0, 1.0885, 1.5, 2.2, 4.0, 8.7, 24.0, f64::INFINITY] {
            let filter = filters.at(speed);
            assert!(filter.reach() <= REACH && filter.taps.is_multiple_of(8));
            let width = filter.taps as f64 / (2.0 * ZEROS);
            assert!(speed <= UNHEARD || speed >= FASTEST || width >= speed, "{speed}: {width}");
        }
    }

    #[test]
    fn a_constant_stays_what_it_is() {
        let ones = [0.7_f32; 2 * REACH];
        for speed in [1.0, 2.0, 5.0] {
            let filter = Filters::of_process().at(speed);
            for share in [0.0, 0.123, 0.5, 0.999] {
                let [left, _] = filter.apply([&ones[..filter.taps]; 2], share);
                assert!((left - 0.7).abs() < 1e-6, "{left}");
            }
        }
    }
}
