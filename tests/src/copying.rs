//! Whether a sound repeats a recording.
//!
//! Every half second of the sound is laid over every place of every recording; where one is a
//! copy of the other, at any level, their normalised correlation is near 1. Both are first tilted
//! towards the treble: two unrelated bass notes of the same pitch correlate, their edges do not.

use std::sync::Arc;
use std::thread;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Length of a stretch that counts as copied, in seconds.
pub const STRETCH_SECONDS: f64 = 0.5;

/// Correlation above which a stretch is a copy.
pub const COPY: f64 = 0.95;

/// Stretches are looked at this often, in parts of their own length.
const HOPS_PER_STRETCH: usize = 5;

/// Stretches quieter than this say nothing, as mean square of the tilted samples: about -70 dBFS.
const SILENCE: f64 = 1e-7;

/// A recording of the corpus, one channel, at the rate of the sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What to call it in a report.
    pub name: String,
    /// `[S]`.
    pub samples: Vec<f32>,
}

/// The stretch of a sound that is most like a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Likeness {
    /// Where in the sound it begins, in seconds.
    pub at_seconds: f64,
    /// The recording.
    pub name: String,
    /// Normalised correlation, at most 1.
    pub correlation: f64,
}

/// Finds the stretch of `sound` (one channel at `rate`) that is most like one of `recordings`.
///
/// Returns `None` if no stretch is loud enough to be compared.
#[must_use]
pub fn closest(sound: &[f32], rate: u32, recordings: &[Recording]) -> Option<Likeness> {
    let stretch = usize::try_from(rate / 2).ok()?;
    let sound = &tilted(sound)[..];
    let share = recordings.len().div_ceil(threads()).max(1);
    thread::scope(|scope| {
        let search = |part| scope.spawn(move || closest_of(sound, rate, stretch, part));
        let searches: Vec<_> = recordings.chunks(share).map(search).collect();
        searches
            .into_iter()
            .filter_map(|search| search.join().expect("nothing here panics"))
            .fold(None, closer)
    })
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn closer(a: Option<Likeness>, b: Likeness) -> Option<Likeness> {
    Some(a.filter(|a| a.correlation >= b.correlation).unwrap_or(b))
}

fn closest_of(
    sound: &[f32],
    rate: u32,
    stretch: usize,
    recordings: &[Recording],
) -> Option<Likeness> {
    let mut best = None;
    for recording in recordings {
        let mut place = Correlator::new(&tilted(&recording.samples), stretch);
        for start in (0..sound.len().saturating_sub(stretch)).step_by(stretch / HOPS_PER_STRETCH) {
            if let Some(correlation) = place.best(&sound[start..start + stretch]) {
                let at_seconds = start as f64 / f64::from(rate);
                best = closer(
                    best,
                    Likeness { at_seconds, name: recording.name.clone(), correlation },
                );
            }
        }
    }
    best
}

/// The first difference, but for a remainder that keeps the deepest bass: what speech coding calls
/// pre-emphasis.
fn tilted(samples: &[f32]) -> Vec<f32> {
    let before = std::iter::once(&0.0).chain(samples);
    samples.iter().zip(before).map(|(x, before)| x - 0.95 * before).collect()
}

/// Correlates stretches with every place of one recording, by way of the spectrum.
struct Correlator {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Of the recording, with silence of a stretch before and behind.
    spectrum: Vec<Complex<f32>>,
    /// Energy of the recording under a stretch at each place.
    energy: Vec<f64>,
    stretch: usize,
}

impl Correlator {
    fn new(recording: &[f32], stretch: usize) -> Self {
        let places = recording.len() + stretch;
        let size = (recording.len() + 2 * stretch).next_power_of_two();
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let mut padded = vec![0.0; size];
        padded[stretch..places].copy_from_slice(recording);

        let mut sums = vec![0.0];
        sums.extend(padded.iter().scan(0.0, |sum, &x| {
            *sum += f64::from(x).powi(2);
            Some(*sum)
        }));
        let energy = (0..places).map(|p| sums[p + stretch] - sums[p]).collect();
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).expect("the sizes are the plan's");
        Self { forward, inverse, spectrum, energy, stretch }
    }

    /// The highest correlation of `stretch` with any place, or `None` if it is silent.
    fn best(&mut self, stretch: &[f32]) -> Option<f64> {
        let energy: f64 = stretch.iter().map(|&x| f64::from(x).powi(2)).sum();
        if energy < SILENCE * self.stretch as f64 {
            return None;
        }
        let mut padded = self.forward.make_input_vec();
        padded[..stretch.len()].copy_from_slice(stretch);
        let mut spectrum = self.forward.make_output_vec();
        self.forward.process(&mut padded, &mut spectrum).expect("the sizes are the plan's");
        for (a, b) in spectrum.iter_mut().zip(&self.spectrum) {
            *a = a.conj() * b;
        }
        // The first and the last bin are real but for rounding, and must be exactly.
        for edge in [0, spectrum.len() - 1] {
            spectrum[edge].im = 0.0;
        }
        self.inverse.process(&mut spectrum, &mut padded).expect("the sizes are the plan's");
        let size = padded.len() as f64;
        // A place that barely touches the recording has no energy to divide by.
        let floor = 1e-6 * self.energy.iter().copied().fold(0.0, f64::max);
        let correlation = |(&product, &place): (&f32, &f64)| {
            f64::from(product).abs() / size / (energy * place.max(floor)).sqrt().max(1e-30)
        };
        padded.iter().zip(&self.energy).map(correlation).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 8_000;

    /// Seeded noise that dies away: a drum.
    fn drum(seed: u32, milliseconds: u16) -> Recording {
        let count = milliseconds * 8; // at 8 kHz
        let mut state = seed;
        let sample = |i: u16| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state as f32 / u32::MAX as f32 - 0.5) * (-4.0 * f32::from(i) / RATE as f32).exp()
        };
        Recording { name: format!("drum {seed}"), samples: (0..count).map(sample).collect() }
    }

    /// Two seconds of one drum with, at one second, another drum.
    fn with_planted(level: f32, planted: &Recording) -> Vec<f32> {
        let mut sound = drum(99, 2000).samples;
        for (x, y) in sound[RATE as usize..].iter_mut().zip(&planted.samples) {
            *x = level * y + 0.02 * *x;
        }
        sound
    }

    #[test]
    fn a_planted_copy_is_found_at_any_level() {
        let corpus = [drum(1, 300), drum(2, 900), drum(3, 700)];
        for level in [0.1, 1.0] {
            let found = closest(&with_planted(level, &corpus[1]), RATE, &corpus).unwrap();
            assert!(found.correlation > COPY, "{found:?}");
            assert_eq!(found.name, "drum 2");
            assert!((1.0..1.5).contains(&found.at_seconds), "{found:?}");
        }
    }

    #[test]
    fn another_drum_is_no_copy() {
        let corpus = [drum(1, 300), drum(2, 900), drum(3, 700)];
        let found = closest(&with_planted(1.0, &drum(4, 900)), RATE, &corpus).unwrap();
        assert!(found.correlation < 0.5, "{found:?}");
    }

    #[test]
    fn silence_is_like_nothing() {
        assert_eq!(closest(&[0.0; 16_000], RATE, &[drum(1, 500)]), None);
    }
}
