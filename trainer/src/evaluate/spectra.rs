//! Short-time spectra of sounds.
//!
//! Frame `t` is centred on sample `t * hop`; before the start and after the end the sound goes on
//! as its mirror image, so that its edges are not heard as clicks.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// The short-time Fourier transform at one window length. Shared freely between threads.
pub struct Stft {
    forward: Arc<dyn RealToComplex<f64>>,
    /// Periodic Hann window.
    window: Vec<f64>,
    hop: usize,
}

impl Stft {
    /// Plans windows of `size` samples, `hop` samples apart.
    ///
    /// # Panics
    ///
    /// Panics if `size` is odd or `hop` is zero.
    #[must_use]
    pub fn new(size: usize, hop: usize) -> Self {
        assert!(size.is_multiple_of(2) && hop > 0, "a window has a middle and moves on");
        let turn = std::f64::consts::TAU / size as f64;
        Self {
            forward: RealFftPlanner::new().plan_fft_forward(size),
            window: (0..size).map(|i| 0.5 - 0.5 * (turn * i as f64).cos()).collect(),
            hop,
        }
    }

    /// The window, `[size]`.
    #[must_use]
    pub fn window(&self) -> &[f64] {
        &self.window
    }

    /// Bins of a spectrum, `F`.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.window.len() / 2 + 1
    }

    /// Frames of a sound of `samples` samples, `T`.
    #[must_use]
    pub fn frames_of(&self, samples: usize) -> usize {
        samples / self.hop + 1
    }

    /// The spectra of `sound`, frame by frame.
    #[must_use]
    pub fn frames(&self, sound: &[f64]) -> Frames<'_> {
        Frames {
            stft: self,
            padded: padded(sound, self.window.len() / 2),
            start: 0,
            windowed: vec![0.0; self.window.len()],
            spectrum: self.forward.make_output_vec(),
            scratch: self.forward.make_scratch_vec(),
        }
    }

    /// Calls `visit` with the magnitudes of both sounds, `[F]` each, frame by frame, as long as
    /// both last.
    pub fn pairs(&self, one: &[f64], other: &[f64], mut visit: impl FnMut(&[f64], &[f64])) {
        let (mut frames, mut others) = (self.frames(one), self.frames(other));
        let (mut x, mut y) = (vec![0.0; self.bins()], vec![0.0; self.bins()]);
        while let (Some(one), Some(other)) = (frames.advance(), others.advance()) {
            magnitudes(one, &mut x);
            magnitudes(other, &mut y);
            visit(&x, &y);
        }
    }
}

/// The spectra of one sound, one after the other.
pub struct Frames<'a> {
    stft: &'a Stft,
    /// The sound with half a window on either side.
    padded: Vec<f64>,
    /// Where the next frame begins.
    start: usize,
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Frames<'_> {
    /// The next spectrum, `[F]`: the plain sum over the windowed samples, without a scale.
    pub fn advance(&mut self) -> Option<&[Complex<f64>]> {
        let window = &self.stft.window;
        let samples = self.padded.get(self.start..self.start + window.len())?;
        self.start += self.stft.hop;
        for ((out, sample), window) in self.windowed.iter_mut().zip(samples).zip(window) {
            *out = sample * window;
        }
        self.stft
            .forward
            .process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers were made for this transform");
        Some(&self.spectrum)
    }
}

/// Magnitude of each bin, into `out` of the same length.
pub fn magnitudes(spectrum: &[Complex<f64>], out: &mut [f64]) {
    out.iter_mut().zip(spectrum).for_each(|(out, x)| *out = x.norm_sqr().sqrt());
}

/// `sound` with `half` samples on either side: its mirror images about the first and the last
/// sample, or silence if it is too short to have them.
fn padded(sound: &[f64], half: usize) -> Vec<f64> {
    let mut padded = vec![0.0; sound.len() + 2 * half];
    padded[half..half + sound.len()].copy_from_slice(sound);
    if sound.len() > half {
        let last = sound.len() - 1;
        for i in 1..=half {
            padded[half - i] = sound[i];
            padded[half + last + i] = sound[last - i];
        }
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_mirrored() {
        assert_eq!(padded(&[1.0, 2.0, 3.0], 2), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(padded(&[1.0, 2.0], 2), [0.0, 0.0, 1.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn a_tone_in_a_bin_has_half_the_sum_of_the_window() {
        let stft = Stft::new(64, 16);
        let tone: Vec<f64> =
            (0..640).map(|i| (std::f64::consts::TAU * 5.0 / 64.0 * f64::from(i)).cos()).collect();
        let mut frames = 0;
        stft.pairs(&tone, &tone, |one, other| {
            assert_eq!(one, other);
            if (2..38).contains(&frames) {
                assert!((one[5] - 16.0).abs() < 1e-9, "frame {frames} has {}", one[5]);
                assert!(one[9] < 1e-9, "nothing three bins away");
            }
            frames += 1;
        });
        assert_eq!(frames, stft.frames_of(640));
    }

    #[test]
    fn a_sound_shorter_than_a_window_has_a_frame() {
        let stft = Stft::new(64, 16);
        let mut frames = stft.frames(&[1.0; 3]);
        assert!(frames.advance().is_some_and(|spectrum| spectrum[0].re > 2.9));
        assert!(frames.advance().is_none());
    }
}
