//! The baseline: what is left of a sound that is told in 128 mel bands, without codes.
//!
//! The bands are turned back into magnitudes ([`MelBands::invert`]), and a phase is looked for that
//! fits them: Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform",
//! with the momentum of Perraudin et al. 2013, "A fast Griffin-Lim algorithm".

use std::sync::Arc;

use distill_shared::player::philox;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner};

use super::mel::MelBands;
use super::metrics::BANDS;
use super::spectra::Stft;
use crate::corpus::SAMPLE_RATE;

const SIZE: usize = 2048;
const HOP: usize = 512;
/// Rounds between sound and spectra.
const ROUNDS: usize = 60;
/// How far each round goes on in the direction of the last (Perraudin et al., section 4).
const MOMENTUM: f64 = 0.99;
/// A long sound is told in pieces of this many samples, 20 s, so that memory stays bounded. A seam
/// this rare cannot be told from the figures.
const PIECE: usize = 960_000;
/// Sums of squared windows are at least this where there is sound to be divided.
const LEAST_OVERLAP: f64 = 1e-8;

/// Makes the baseline. Shared freely between threads.
pub struct GriffinLim {
    stft: Stft,
    inverse: Arc<dyn ComplexToReal<f64>>,
    bands: MelBands,
}

impl Default for GriffinLim {
    fn default() -> Self {
        Self {
            stft: Stft::new(SIZE, HOP),
            inverse: RealFftPlanner::new().plan_fft_inverse(SIZE),
            bands: MelBands::new(BANDS, SIZE, SAMPLE_RATE),
        }
    }
}

impl GriffinLim {
    /// `sound`, samples at [`SAMPLE_RATE`], as its mel bands tell it. The same sound gives the same
    /// samples.
    #[must_use]
    pub fn retell(&self, sound: &[f64]) -> Vec<f64> {
        sound.chunks(PIECE).flat_map(|piece| self.retell_piece(piece)).collect()
    }

    fn retell_piece(&self, sound: &[f64]) -> Vec<f64> {
        let magnitudes = self.magnitudes(sound);
        let mut spectra: Vec<Complex<f64>> = (0..)
            .zip(&magnitudes)
            .map(|(i, &magnitude)| Complex::from_polar(magnitude, phase(i)))
            .collect();
        let mut last = vec![Complex::default(); spectra.len()];
        for _ in 0..ROUNDS {
            let rebuilt = self.spectra(&self.sound(&spectra, sound.len()));
            let pairs = rebuilt.iter().zip(&last);
            for ((spectrum, magnitude), (new, last)) in
                spectra.iter_mut().zip(&magnitudes).zip(pairs)
            {
                let ahead = new - last * (MOMENTUM / (1.0 + MOMENTUM));
                let length = ahead.norm();
                *spectrum = if length > 0.0 { ahead * (magnitude / length) } else { 0.0.into() };
            }
            last = rebuilt;
        }
        self.sound(&spectra, sound.len())
    }

    /// Magnitudes of all bins, `[T, F]`, that have the mel bands of `sound`.
    fn magnitudes(&self, sound: &[f64]) -> Vec<f64> {
        let (mut magnitudes, mut mels) = (Vec::new(), vec![0.0; BANDS]);
        let mut frames = self.stft.frames(sound);
        while let Some(spectrum) = frames.advance() {
            let power: Vec<f64> = spectrum.iter().map(Complex::norm_sqr).collect();
            self.bands.apply(&power, &mut mels);
            magnitudes.extend(self.bands.invert(&mels).iter().map(|power| power.sqrt()));
        }
        magnitudes
    }

    /// All spectra of `sound`, `[T, F]`.
    fn spectra(&self, sound: &[f64]) -> Vec<Complex<f64>> {
        let mut spectra = Vec::with_capacity(self.stft.frames_of(sound.len()) * self.stft.bins());
        let mut frames = self.stft.frames(sound);
        while let Some(spectrum) = frames.advance() {
            spectra.extend_from_slice(spectrum);
        }
        spectra
    }

    /// The `samples` samples whose spectra are nearest to `spectra`, `[T, F]`, in least squares
    /// (Griffin and Lim, equation 6).
    fn sound(&self, spectra: &[Complex<f64>], samples: usize) -> Vec<f64> {
        let mut sum = vec![0.0; samples + SIZE];
        let mut overlap = vec![0.0; samples + SIZE];
        let mut windowed = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let mut spectrum = self.inverse.make_input_vec();
        for (t, frame) in spectra.chunks_exact(self.stft.bins()).enumerate() {
            spectrum.copy_from_slice(frame);
            (spectrum[0].im, spectrum[SIZE / 2].im) = (0.0, 0.0);
            self.inverse
                .process_with_scratch(&mut spectrum, &mut windowed, &mut scratch)
                .expect("the buffers were made for this transform, and both ends are real");
            let places = sum[t * HOP..].iter_mut().zip(&mut overlap[t * HOP..]);
            for (((sum, overlap), sample), window) in places.zip(&windowed).zip(self.stft.window())
            {
                *sum += sample * window / SIZE as f64;
                *overlap += window * window;
            }
        }
        let sound = sum.iter().zip(&overlap).map(|(sum, overlap)| sum / overlap.max(LEAST_OVERLAP));
        sound.skip(SIZE / 2).take(samples).collect()
    }
}

/// The phase that bin `i` of `[T, F]` begins with: random, and always the same.
fn phase(i: u32) -> f64 {
    let [draw, ..] = philox([i, 0, 0, 0], [0, 0]);
    std::f64::consts::TAU * f64::from(draw) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::metrics::Meter;

    #[test]
    fn spectra_become_the_sound_they_came_from() {
        let sound: Vec<f64> = (0..5000).map(|i| (f64::from(i * i) * 1e-4).sin()).collect();
        let baseline = GriffinLim::default();
        for samples in [0, 1, 500, 1024, 1025, 5000] {
            let again = baseline.sound(&baseline.spectra(&sound[..samples]), samples);
            assert_eq!(again.len(), samples);
            let off = again.iter().zip(&sound).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-12, "{samples} samples are off by {off}");
        }
    }

    #[test]
    fn a_tone_is_told_well_by_its_bands() {
        let tone: Vec<f64> = (0..24_000_u32)
            .map(|i| (-f64::from(i) / 8000.0).exp() * (f64::from(i) * 0.1).sin())
            .collect();
        let told = GriffinLim::default().retell(&tone);
        assert_eq!(told.len(), tone.len());
        let distance = Meter::default().compare(&tone, &told);
        assert!(distance.sc < 0.3 && distance.logmel_l1_db < 1.5, "{distance:?}");
    }

    #[test]
    fn silence_stays_silent() {
        assert!(GriffinLim::default().retell(&[0.0; 3000]).iter().all(|&sample| sample == 0.0));
    }
}
