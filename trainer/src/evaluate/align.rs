//! Bringing an output to the place and the length of its reference.
//!
//! A lag of a few samples must not count as noise, and sound without the phase of its reference has
//! no clear lag at all. Three lags are tried: where the waveforms agree best, either way up; none;
//! and where the envelopes agree best. The one whose spectra are nearest is taken, and of two that
//! are as good the one tried first.

use realfft::RealFftPlanner;

use super::spectra::Stft;

/// The largest lag that is looked for: 50 ms at 48 kHz.
pub const MAX_LAG: usize = 2400;
/// The lag is found on the first samples of a reference: 10 s at 48 kHz.
const HEARD: usize = 480_000;
/// Samples that an envelope is averaged over: 5 ms at 48 kHz.
const SMOOTHING: usize = 240;
/// Samples from one point of an envelope to the next: half a millisecond at 48 kHz.
const STRIDE: usize = 24;
/// Stands for the energy of silence, to divide by.
const TINY: f64 = 1e-20;

/// Finds lags. Shared freely between threads.
pub struct Aligner {
    stft: Stft,
}

/// An output in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// The output, as long as its reference.
    pub sound: Vec<f64>,
    /// Samples by which it came late; negative if early.
    pub lag: isize,
}

impl Default for Aligner {
    fn default() -> Self {
        Self { stft: Stft::new(1024, 512) }
    }
}

impl Aligner {
    /// Moves `output` to where it resembles `reference` most, by up to [`MAX_LAG`], and cuts or
    /// fills it up to the length of the reference.
    #[must_use]
    pub fn align(&self, reference: &[f64], output: &[f64]) -> Aligned {
        let heard = &reference[..reference.len().min(HEARD)];
        let near = &output[..output.len().min(heard.len() + MAX_LAG)];
        let by_wave = best_lag(near, heard, MAX_LAG, f64::abs);
        let (near, envelope) = (envelope(near), envelope(heard));
        let by_envelope =
            best_lag(&near, &envelope, MAX_LAG / STRIDE, |x| x) * STRIDE.cast_signed();

        let mut nearest: Option<(f64, Aligned)> = None;
        for lag in [by_wave, 0, by_envelope] {
            let sound = shifted(output, lag, reference.len());
            let error = self.error(heard, &sound[..heard.len()]);
            if nearest.as_ref().is_none_or(|(least, _)| error < least * 0.999) {
                nearest = Some((error, Aligned { sound, lag }));
            }
        }
        nearest.expect("three lags were tried").1
    }

    /// How far the magnitudes of `output` are from those of `reference` at the best gain.
    fn error(&self, reference: &[f64], output: &[f64]) -> f64 {
        let (mut both, mut own) = (0.0, 0.0);
        self.stft.pairs(reference, output, |r, o| {
            both += r.iter().zip(o).map(|(r, o)| r * o).sum::<f64>();
            own += o.iter().map(|o| o * o).sum::<f64>();
        });
        let gain = both / (own + TINY);
        let mut error = 0.0;
        self.stft.pairs(reference, output, |r, o| {
            error += r.iter().zip(o).map(|(r, o)| (r - gain * o).powi(2)).sum::<f64>();
        });
        error.sqrt()
    }
}

/// `sound` from sample `lag` on, or after `-lag` samples of silence: `samples` samples of it.
fn shifted(sound: &[f64], lag: isize, samples: usize) -> Vec<f64> {
    let mut shifted = vec![0.0; if lag < 0 { lag.unsigned_abs() } else { 0 }];
    let skipped = if lag > 0 { lag.unsigned_abs().min(sound.len()) } else { 0 };
    shifted.extend_from_slice(&sound[skipped..]);
    shifted.resize(samples, 0.0);
    shifted
}

/// The lag of `output` behind `reference`, of up to `most` samples, at which their
/// cross-correlation has the highest `score`; the least of several.
fn best_lag(output: &[f64], reference: &[f64], most: usize, score: fn(f64) -> f64) -> isize {
    // Sounds that do not overlap at a lag are not compared at it.
    let earliest = -most.min(reference.len().saturating_sub(1)).cast_signed();
    let latest = most.min(output.len().saturating_sub(1)).cast_signed();
    let correlation = correlation(output, reference, most);
    let at = |lag: isize| {
        let index =
            if lag < 0 { correlation.len() - lag.unsigned_abs() } else { lag.unsigned_abs() };
        score(correlation[index])
    };
    let better = |best: isize, lag: isize| if at(lag) > at(best) { lag } else { best };
    (earliest..=latest).reduce(better).unwrap_or(0)
}

/// The sum of `output[i + lag] * reference[i]` for lags of up to `most` samples, at the index of
/// the lag; that of a negative one counts from the end. By way of the Fourier transform, at a
/// length at which the ends do not meet.
fn correlation(output: &[f64], reference: &[f64], most: usize) -> Vec<f64> {
    let len = (output.len().max(reference.len()) + most + 1).next_power_of_two();
    let mut planner = RealFftPlanner::new();
    let (forward, inverse) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let transform = |sound: &[f64]| {
        let mut samples = forward.make_input_vec();
        samples[..sound.len()].copy_from_slice(sound);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut samples, &mut spectrum).expect("the buffers fit the transform");
        spectrum
    };
    let (mut product, reference) = (transform(output), transform(reference));
    product.iter_mut().zip(&reference).for_each(|(x, y)| *x *= y.conj());
    // Both ends of the product of two real spectra are real, up to rounding.
    let last = product.len() - 1;
    (product[0].im, product[last].im) = (0.0, 0.0);
    let mut correlation = inverse.make_output_vec();
    inverse.process(&mut product, &mut correlation).expect("the buffers fit the transform");
    correlation
}

/// How loud a sound is, point by point, without its mean.
fn envelope(sound: &[f64]) -> Vec<f64> {
    let mut sums = Vec::with_capacity(sound.len() + 1);
    sums.push(0.0);
    for sample in sound {
        sums.push(sums[sums.len() - 1] + sample.abs());
    }
    let level = |i: usize| {
        let (from, to) = (i.saturating_sub(SMOOTHING / 2), (i + SMOOTHING / 2).min(sound.len()));
        (sums[to] - sums[from]) / SMOOTHING as f64
    };
    let mut envelope: Vec<f64> = (0..sound.len()).step_by(STRIDE).map(level).collect();
    let mean = envelope.iter().sum::<f64>() / envelope.len().max(1) as f64;
    envelope.iter_mut().for_each(|level| *level -= mean);
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decaying noise, a different one for each `key`.
    fn hit(samples: u32, key: u32) -> Vec<f64> {
        let noise = |i: u32| {
            let [draw, ..] = distill_shared::player::philox([i, 0, 0, 0], [key, 0]);
            f64::from(draw) / f64::from(u32::MAX) - 0.5
        };
        (0..samples).map(|i| (-f64::from(i) / 4000.0).exp() * noise(i)).collect()
    }

    /// A hit between two silences.
    fn amid_silence(key: u32) -> Vec<f64> {
        [vec![0.0; 3000], hit(20_000, key), vec![0.0; 3000]].concat()
    }

    #[test]
    fn a_shift_is_found_and_undone() {
        let sound = amid_silence(1);
        for lag in [-2400, -960, -1, 0, 1, 37, 2400] {
            let late = shifted(&sound, -lag, sound.len());
            let Aligned { sound: aligned, lag: found } = Aligner::default().align(&sound, &late);
            assert_eq!(found, lag);
            assert_eq!(aligned, sound, "lag {lag}");
        }
    }

    #[test]
    fn a_sound_upside_down_keeps_its_place() {
        let sound = amid_silence(1);
        let late: Vec<f64> = shifted(&sound, -500, 26_000).iter().map(|s| -s).collect();
        assert_eq!(Aligner::default().align(&sound, &late).lag, 500);
    }

    #[test]
    fn the_envelope_of_other_noise_finds_its_place() {
        for key in 2..6 {
            let late = shifted(&amid_silence(key), -1200, 26_000);
            let lag = best_lag(&envelope(&late), &envelope(&amid_silence(1)), 100, |x| x);
            assert!((48..=52).contains(&lag), "{lag} points instead of 50");
        }
    }

    #[test]
    fn the_nearest_spectra_decide_between_the_lags() {
        // The waveforms agree best at 2000 samples, on a faint copy; the rest is other noise.
        let reference = amid_silence(1);
        let copy = shifted(&reference, -2000, 26_000);
        let output: Vec<f64> =
            amid_silence(2).iter().zip(&copy).map(|(other, copy)| other + 0.2 * copy).collect();
        assert_eq!(best_lag(&output, &reference, MAX_LAG, f64::abs), 2000);
        let lag = Aligner::default().align(&reference, &output).lag;
        assert!(lag.abs() <= 48, "{lag}");
    }

    #[test]
    fn any_length_is_brought_to_that_of_the_reference() {
        let sound = hit(3000, 1);
        for samples in [0, 1, 100, 2999, 3001, 9000] {
            let output = shifted(&sound, 0, samples);
            assert_eq!(Aligner::default().align(&sound, &output).sound.len(), 3000);
            let _ = Aligner::default().align(&output, &sound);
        }
    }
}
