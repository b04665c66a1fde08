//! The inverse-STFT head: log-magnitudes and phases to sound.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

use super::config::CodecConfig;
use super::ops::{is_fast, slice, values, vectorized};
use crate::math;

/// Largest log-magnitude that the head may ask for; keeps a bad step of training finite.
pub const MAX_LOG_MAGNITUDE: f32 = 6.0;

/// Turns the decoder's head into sound (Vocos, Siuzdak 2023, section 3.2,
/// <https://arxiv.org/abs/2306.00814>).
#[derive(Clone)]
pub struct Synthesis {
    channels: usize,
    fft_size: usize,
    hop: usize,
    /// Hann window times everything constant: the scale of the spectrum, the size of the FFT and
    /// the sum of squared windows. `[fft_size]`.
    window: Vec<f32>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    forward: Arc<dyn RealToComplex<f32>>,
}

impl std::fmt::Debug for Synthesis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Synthesis({} / {})", self.fft_size, self.hop)
    }
}

impl Synthesis {
    /// Plans the transforms.
    #[must_use]
    pub fn new(config: &CodecConfig) -> Self {
        let n = config.fft_size;
        // Scale of the spectrum (sum of window / 2 = n / 4) over the size n, over the sum of
        // squared Hann windows at a hop of n / 4, which is 3 / 2.
        let scale = 0.25 / 1.5;
        let hann = |i| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos();
        let mut planner = RealFftPlanner::new();
        #[expect(clippy::cast_possible_truncation, reason = "the window is f32")]
        let window = (0..n).map(|i| (hann(i) * scale) as f32).collect();
        Self {
            channels: config.channels,
            fft_size: n,
            hop: config.stft_hop,
            window,
            inverse: planner.plan_fft_inverse(n),
            forward: planner.plan_fft_forward(n),
        }
    }

    /// `[B, T, C * 2 * F]` (per channel log-magnitudes, then phases) to sound `[B, C, T * hop]`
    /// that lags `fft_size - hop` samples behind its frames.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn forward(&self, head: &Tensor) -> Result<Tensor> {
        if is_fast(head) { head.contiguous()?.apply_op1(self.clone()) } else { self.plain(head) }
    }

    fn bins(&self) -> usize {
        self.fft_size / 2 + 1
    }

    /// [`Self::forward`] as a product with the matrix of the transform.
    fn plain(&self, head: &Tensor) -> Result<Tensor> {
        let (batch, frames, _) = head.dims3()?;
        let (bins, n) = (self.bins(), self.fft_size);
        let parts = head.reshape((batch, frames, self.channels, 2, bins))?.transpose(1, 2)?;
        let magnitude = parts.narrow(3, 0, 1)?.minimum(f64::from(MAX_LOG_MAGNITUDE))?.exp()?;
        let phase = parts.narrow(3, 1, 1)?;
        let real = (&magnitude * phase.cos()?)?;
        let imaginary = (&magnitude * phase.sin()?)?;
        let spectrum = Tensor::cat(&[real, imaginary], 4)?.contiguous()?; // [B, C, T, 1, 2F]
        let basis = self.basis(head)?;
        let pieces = spectrum.reshape(((), 2 * bins))?.matmul(&basis)?;
        let overlap = n / self.hop;
        let pieces = pieces.reshape((batch, self.channels, frames, overlap, self.hop))?;
        let mut sound = pieces.narrow(3, 0, 1)?.squeeze(3)?; // [B, C, T, hop]
        for part in 1..overlap.min(frames) {
            let piece = pieces.narrow(3, part, 1)?.squeeze(3)?.narrow(2, 0, frames - part)?;
            sound = (sound + piece.pad_with_zeros(2, part, 0)?)?;
        }
        sound.reshape((batch, self.channels, frames * self.hop))
    }

    /// Windowed inverse transform as a matrix, `[2F, fft_size]`.
    fn basis(&self, like: &Tensor) -> Result<Tensor> {
        let (bins, n) = (self.bins(), self.fft_size);
        let edge = |k| k == 0 || k == bins - 1;
        let turn = |k: usize, i: usize| std::f64::consts::TAU * ((k * i) % n) as f64 / n as f64;
        let cosine = |k, i| if edge(k) { 1.0 } else { 2.0 } * turn(k, i).cos();
        let sine = |k, i| if edge(k) { 0.0 } else { -2.0 } * turn(k, i).sin();
        let mut basis = Vec::with_capacity(2 * bins * n);
        for k in 0..bins {
            basis.extend((0..n).map(|i| cosine(k, i) * f64::from(self.window[i])));
        }
        for k in 0..bins {
            basis.extend((0..n).map(|i| sine(k, i) * f64::from(self.window[i])));
        }
        Tensor::from_vec(basis, (2 * bins, n), like.device())?.to_dtype(like.dtype())
    }

    fn dims(&self, layout: &Layout) -> Result<(usize, usize)> {
        let (batch, frames, width) = layout.shape().dims3()?;
        if width != self.channels * 2 * self.bins() {
            bail!("the head has {width} outputs, not {}", self.channels * 2 * self.bins());
        }
        Ok((batch, frames))
    }

    /// Calls `f` for each frame and channel in turn: index of the sound's row, position of the
    /// frame in it, range of the head's values.
    fn each_frame(&self, batch: usize, frames: usize, mut f: impl FnMut(usize, usize, usize)) {
        for b in 0..batch {
            for t in 0..frames {
                for c in 0..self.channels {
                    let head = ((b * frames + t) * self.channels + c) * 2 * self.bins();
                    f(b * self.channels + c, t * self.hop, head);
                }
            }
        }
    }
}

/// Spectrum of one frame from its log-magnitudes and phases, `[2 * F]`.
#[inline(always)]
fn spectrum_of(head: &[f32], spectrum: &mut [Complex32]) {
    let (magnitudes, phases) = head.split_at(spectrum.len());
    for ((x, &m), &p) in spectrum.iter_mut().zip(magnitudes).zip(phases) {
        let magnitude = math::exp(m.min(MAX_LOG_MAGNITUDE));
        let (sin, cos) = math::sin_cos(p);
        *x = Complex32::new(magnitude * cos, magnitude * sin);
    }
}

impl CustomOp1 for Synthesis {
    fn name(&self) -> &'static str {
        "synthesis"
    }

    fn cpu_fwd(&self, head: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, frames) = self.dims(layout)?;
        let head = slice(head, layout)?;
        let (bins, len) = (self.bins(), frames * self.hop);
        let mut sound = vec![0.0; batch * self.channels * len];
        let mut spectrum = self.inverse.make_input_vec();
        let mut piece = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let mut outcome = Ok(());
        self.each_frame(batch, frames, |row, at, from| {
            vectorized(|| spectrum_of(&head[from..from + 2 * bins], &mut spectrum));
            // The transform requires real values at both ends.
            spectrum[0].im = 0.0;
            spectrum[bins - 1].im = 0.0;
            let done = self.inverse.process_with_scratch(&mut spectrum, &mut piece, &mut scratch);
            if let Err(error) = done {
                outcome = Err(candle_core::Error::wrap(error));
            }
            let row = &mut sound[row * len..(row + 1) * len];
            let windowed = piece.iter().zip(&self.window);
            row[at..].iter_mut().zip(windowed).for_each(|(s, (p, w))| *s += p * w);
        });
        outcome?;
        Ok((CpuStorage::F32(sound), (batch, self.channels, len).into()))
    }

    fn bwd(&self, head: &Tensor, _sound: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (batch, frames) = self.dims(head.layout())?;
        let grad = grad.contiguous()?;
        let guards = (values(head)?, values(&grad)?);
        let (heads, grads) = (guards.0.get()?, guards.1.get()?);
        let (bins, len) = (self.bins(), frames * self.hop);
        let mut head_grad = vec![0.0; heads.len()];
        let mut spectrum = self.forward.make_output_vec();
        let mut gradient = self.forward.make_output_vec();
        let mut piece = self.forward.make_input_vec();
        let mut scratch = self.forward.make_scratch_vec();
        let mut outcome = Ok(());
        self.each_frame(batch, frames, |row, at, from| {
            let row = &grads[row * len + at..(row + 1) * len];
            let covered = row.len().min(self.fft_size);
            piece[covered..].fill(0.0);
            for ((p, g), w) in piece.iter_mut().zip(row).zip(&self.window) {
                *p = g * w;
            }
            let done = self.forward.process_with_scratch(&mut piece, &mut gradient, &mut scratch);
            if let Err(error) = done {
                outcome = Err(candle_core::Error::wrap(error));
            }
            let head = &heads[from..from + 2 * bins];
            let out = &mut head_grad[from..from + 2 * bins];
            vectorized(|| {
                spectrum_of(head, &mut spectrum);
                head_gradient(head, &spectrum, &gradient, out);
            });
        });
        outcome?;
        Ok(Some(Tensor::from_vec(head_grad, head.shape(), head.device())?))
    }
}

/// Gradient of log-magnitudes and phases, given the transform of the sound's windowed gradient.
#[inline(always)]
fn head_gradient(head: &[f32], spectrum: &[Complex32], gradient: &[Complex32], out: &mut [f32]) {
    let bins = spectrum.len();
    let (magnitudes, phases) = out.split_at_mut(bins);
    for k in 0..bins {
        // Inner bins stand for themselves and their mirror image; the outer two have no
        // imaginary part.
        let edge = k == 0 || k == bins - 1;
        let (re, im) =
            if edge { (gradient[k].re, 0.0) } else { (2.0 * gradient[k].re, 2.0 * gradient[k].im) };
        let inside = if head[k] < MAX_LOG_MAGNITUDE { 1.0 } else { 0.0 };
        magnitudes[k] = inside * (re * spectrum[k].re + im * spectrum[k].im);
        phases[k] = im * spectrum[k].re - re * spectrum[k].im;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::super::gradient_check::{assert_close, assert_gradient, noise};
    use super::*;

    fn small(channels: usize) -> Synthesis {
        Synthesis::new(&CodecConfig {
            sample_rate: 48_000,
            channels,
            fft_size: 16,
            stft_hop: 4,
            stride: 2,
            width: 8,
            encoder_blocks: 1,
            decoder_blocks: 1,
            kernel: 7,
            expansion: 2,
            latent_dim: 4,
            quantizers: 2,
            codebook_size: 8,
            gain: 1.0,
        })
    }

    #[test]
    fn the_fast_form_agrees_with_the_plain_one() -> Result<()> {
        let (synthesis, head) = (small(2), noise(&[2, 6, 36], 1)?);
        let plain = synthesis.plain(&head.to_dtype(DType::F64)?)?;
        assert_close(&synthesis.forward(&head)?, &plain, 1e-5)
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() -> Result<()> {
        let synthesis = small(2);
        assert_gradient("synthesis", &[&noise(&[2, 6, 36], 2)?], |v| synthesis.forward(&v[0]))
    }
}
