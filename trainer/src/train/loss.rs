//! What the codec is trained to bring down: the distance of sounds in several spectrograms.
//!
//! For each of four window lengths (multi-resolution STFT: Yamamoto et al. 2020,
//! <https://arxiv.org/abs/1910.11480>) it adds, with the weights of [`LossWeights`],
//!
//! * the mean difference of log-magnitudes, over bins and over mel bands;
//! * the difference of magnitudes raised to 0.3, near to how loudness is heard, relative to what
//!   there is (as in Ephrat et al. 2018, <https://arxiv.org/abs/1804.03619>);
//! * the spectral convergence, `‖|X| - |Y|‖ / ‖Y‖`, which the loudest bins decide;
//! * the same of the complex spectra, `‖X - Y‖ / ‖Y‖`: it alone hears phase.
//!
//! Stereo is compared four ways: mid, side, left and right. Loss and gradient are computed in one
//! pass outside of the autograd graph; the graph gets a scalar with a known gradient.

use std::sync::Arc;

use anyhow::{Result, ensure};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use distill_shared::math;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Window lengths of the spectrograms; hops are a quarter.
pub const WINDOWS: [usize; 4] = [2048, 1024, 512, 128];
/// Magnitudes below are as good as silent; a full-scale sine has 1.
const FLOOR: f32 = 1e-5;
/// Power that compresses magnitudes.
const COMPRESSION: f32 = 0.3;
/// Keeps ratios to the energy of near-silent targets bounded.
const QUIET: f32 = 1e-2;

/// Weights of the parts of [`SpectralLoss`].
#[derive(Debug, Clone, Copy)]
pub struct LossWeights {
    /// Of log-magnitudes per bin.
    pub log: f32,
    /// Of log-magnitudes per mel band.
    pub mel: f32,
    /// Of compressed magnitudes.
    pub compressed: f32,
    /// Of spectral convergence.
    pub convergence: f32,
    /// Of spectral convergence with phase.
    pub complex: f32,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { log: 0.2, mel: 1.0, compressed: 1.0, convergence: 1.0, complex: 0.2 }
    }
}

/// The distance; shared by all threads.
#[derive(Clone)]
pub struct SpectralLoss {
    weights: LossWeights,
    resolutions: Arc<Vec<Resolution>>,
}

/// One of the spectrograms.
struct Resolution {
    /// Hann window times 2 / sum of the window: a full-scale sine has magnitude 1.
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    bands: Vec<Band>,
}

/// A triangular mel band: its first bin and the weights from there.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl SpectralLoss {
    /// Plans the transforms for sound at `sample_rate`.
    #[must_use]
    pub fn new(weights: LossWeights, sample_rate: u32) -> Self {
        let resolutions = WINDOWS.iter().map(|&size| Resolution::new(size, sample_rate)).collect();
        Self { weights, resolutions: Arc::new(resolutions) }
    }

    /// Distance of `sound` `[B, C, S]` from `target` of the same shape, mid before side: a scalar.
    ///
    /// # Errors
    ///
    /// Fails if the shapes differ.
    pub fn forward(&self, sound: &Tensor, target: Vec<f32>) -> Result<Tensor> {
        ensure!(sound.elem_count() == target.len(), "sound and target differ in shape");
        let host = sound.to_device(&candle_core::Device::Cpu)?;
        Ok(host.contiguous()?.apply_op1(Distance::new(self.clone(), target))?)
    }

    /// Distance and its gradient for one item of `channels` rows.
    fn item(&self, sound: &[f32], target: &[f32], channels: usize) -> (f64, Vec<f32>) {
        let len = sound.len() / channels;
        let (mut loss, mut grad) = (0.0, vec![0.0; sound.len()]);
        // The ways to listen, as factors of the rows: mid, side, left, right.
        let ways: &[[f32; 2]] = match channels {
            1 => &[[1.0, 0.0]],
            _ => &[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]],
        };
        let share = 1.0 / ways.len() as f32;
        for way in ways {
            let mix = |rows: &[f32]| -> Vec<f32> {
                let (first, second) = rows.split_at(len);
                let second = if channels == 1 { first } else { second };
                first.iter().zip(second).map(|(a, b)| way[0] * a + way[1] * b).collect()
            };
            let (x, y) = (mix(sound), mix(target));
            let mut x_grad = vec![0.0; len];
            for resolution in self.resolutions.iter() {
                loss += f64::from(share * resolution.distance(&self.weights, &x, &y, &mut x_grad));
            }
            for (row, factor) in grad.chunks_exact_mut(len).zip(way) {
                row.iter_mut().zip(&x_grad).for_each(|(g, x)| *g += share * factor * x);
            }
        }
        let share = 1.0 / self.resolutions.len() as f32;
        grad.iter_mut().for_each(|g| *g *= share);
        (loss * f64::from(share), grad)
    }
}

impl Resolution {
    fn new(size: usize, sample_rate: u32) -> Self {
        let mut planner = RealFftPlanner::new();
        let hann = |i| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / size as f64).cos();
        #[expect(clippy::cast_possible_truncation, reason = "the window is f32")]
        let window = (0..size).map(|i| (hann(i) * 4.0 / size as f64) as f32).collect();
        Self {
            window,
            forward: planner.plan_fft_forward(size),
            inverse: planner.plan_fft_inverse(size),
            bands: mel_bands(size, (size / 16).min(128), sample_rate),
        }
    }

    /// Spectra of all whole frames, `[frames * bins]`.
    fn spectra(&self, x: &[f32]) -> Vec<Complex32> {
        let (size, hop) = (self.window.len(), self.window.len() / 4);
        let frames = (x.len() + hop).saturating_sub(size) / hop;
        let bins = size / 2 + 1;
        let mut spectra = vec![Complex32::default(); frames * bins];
        let mut piece = self.forward.make_input_vec();
        let mut scratch = self.forward.make_scratch_vec();
        for (t, spectrum) in spectra.chunks_exact_mut(bins).enumerate() {
            let windowed = x[t * hop..].iter().zip(&self.window);
            piece.iter_mut().zip(windowed).for_each(|(p, (x, w))| *p = x * w);
            let done = self.forward.process_with_scratch(&mut piece, spectrum, &mut scratch);
            done.expect("the buffers were made for this transform");
        }
        spectra
    }

    /// Adds the gradient with respect to the samples, given that of the spectra.
    fn add_gradient(&self, spectra: &mut [Complex32], grad: &mut [f32]) {
        let (size, hop) = (self.window.len(), self.window.len() / 4);
        let bins = size / 2 + 1;
        let mut piece = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        for (t, spectrum) in spectra.chunks_exact_mut(bins).enumerate() {
            // The inverse transform counts the inner bins twice and wants real ends.
            spectrum[1..bins - 1].iter_mut().for_each(|g| *g *= 0.5);
            spectrum[0].im = 0.0;
            spectrum[bins - 1].im = 0.0;
            let done = self.inverse.process_with_scratch(spectrum, &mut piece, &mut scratch);
            done.expect("the buffers were made for this transform");
            let windowed = piece.iter().zip(&self.window);
            grad[t * hop..].iter_mut().zip(windowed).for_each(|(g, (p, w))| *g += p * w);
        }
    }

    /// Distance of `x` from `y`; adds its gradient with respect to `x` to `grad`.
    fn distance(&self, weights: &LossWeights, x: &[f32], y: &[f32], grad: &mut [f32]) -> f32 {
        let (mut xs, ys) = (self.spectra(x), self.spectra(y));
        let bins = self.window.len() / 2 + 1;
        let frames = xs.len() / bins;
        if frames == 0 {
            return 0.0;
        }
        let norm = |spectra: &[Complex32]| -> Vec<f32> {
            spectra.iter().map(|c| (c.re * c.re + c.im * c.im).sqrt()).collect()
        };
        let (a, b) = pulp::Arch::new().dispatch(|| (norm(&xs), norm(&ys)));
        let energy = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt().max(1e-9)
        };
        #[expect(clippy::cast_possible_truncation, reason = "norms are moderate")]
        let of = |values: &mut dyn Iterator<Item = f32>| energy(values) as f32;
        let scale = 1.0 / (of(&mut b.iter().copied()) + QUIET * (frames as f32).sqrt());
        let off = of(&mut a.iter().zip(&b).map(|(a, b)| a - b));
        let far = of(&mut xs.iter().zip(&ys).flat_map(|(x, y)| [x.re - y.re, x.im - y.im]));
        let mut loss = (weights.convergence * off + weights.complex * far) * scale;

        let mut magnitude_grad = vec![0.0; a.len()];
        let rows = magnitude_grad.chunks_exact_mut(bins);
        for ((g, a), b) in rows.zip(a.chunks_exact(bins)).zip(b.chunks_exact(bins)) {
            let part = self.log_distance(weights, a, b, g);
            loss += part / frames as f32;
            g.iter_mut().for_each(|g| *g /= frames as f32);
        }
        loss += weights.compressed
            * compressed_distance(weights.compressed, &a, &b, &mut magnitude_grad);
        let (convergence, complex) =
            (weights.convergence * scale / off, weights.complex * scale / far);
        pulp::Arch::new().dispatch(|| {
            for (i, x) in xs.iter_mut().enumerate() {
                let along = (magnitude_grad[i] + convergence * (a[i] - b[i])) / a[i].max(1e-9);
                *x = Complex32::new(
                    along * x.re + complex * (x.re - ys[i].re),
                    along * x.im + complex * (x.im - ys[i].im),
                );
            }
        });
        self.add_gradient(&mut xs, grad);
        loss
    }

    /// Mean log distance of one frame's magnitudes `a` from `b`, over bins and over bands; writes
    /// its gradient with respect to `a`.
    fn log_distance(&self, weights: &LossWeights, a: &[f32], b: &[f32], grad: &mut [f32]) -> f32 {
        let mut loss = 0.0;
        let each = weights.log / a.len() as f32;
        for ((g, a), b) in grad.iter_mut().zip(a).zip(b) {
            let difference = math::ln((a + FLOOR) / (b + FLOOR));
            loss += each * difference.abs();
            *g = each * sign(difference) / (a + FLOOR);
        }
        let each = weights.mel / self.bands.len().max(1) as f32;
        for band in &self.bands {
            let range = band.first..band.first + band.weights.len();
            let sum = |m: &[f32]| -> f32 { m.iter().zip(&band.weights).map(|(m, w)| m * w).sum() };
            let (mel_a, mel_b) = (sum(&a[range.clone()]) + FLOOR, sum(&b[range.clone()]) + FLOOR);
            let difference = (mel_a / mel_b).ln();
            loss += each * difference.abs();
            let slope = each * sign(difference) / mel_a;
            grad[range].iter_mut().zip(&band.weights).for_each(|(g, w)| *g += slope * w);
        }
        loss
    }
}

/// Distance of the compressed magnitudes `a` from `b`, relative to all of `b`; adds `weight` times
/// its gradient with respect to `a`.
fn compressed_distance(weight: f32, a: &[f32], b: &[f32], grad: &mut [f32]) -> f32 {
    // x^0.3 = 2^(0.3 log2 x); the floor keeps the slope finite.
    let compress = |x: f32| math::exp(COMPRESSION * math::ln(x + FLOOR));
    pulp::Arch::new().dispatch(|| {
        let compressed: Vec<f32> = b.iter().map(|&b| compress(b)).collect();
        // The floor itself keeps a silent target from dividing by nothing.
        let total = compressed.iter().sum::<f32>() + compress(0.0) * b.len() as f32;
        let mut sum = 0.0;
        for ((g, &a), b) in grad.iter_mut().zip(a).zip(&compressed) {
            let own = compress(a);
            sum += (own - b).abs();
            *g += weight / total * sign(own - b) * COMPRESSION * own / (a + FLOOR);
        }
        sum / total
    })
}

/// -1, 0 or 1.
fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// Triangles evenly spaced on the HTK mel scale, each of weight 1 in sum; those that fall between
/// two bins are left out.
fn mel_bands(size: usize, count: usize, sample_rate: u32) -> Vec<Band> {
    let nyquist = f64::from(sample_rate) / 2.0;
    let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f64| 700.0 * (10_f64.powf(mel / 2595.0) - 1.0);
    let edge = |i: usize| hz(mel(nyquist) * i as f64 / (count + 1) as f64);
    let bin_hz = nyquist / (size / 2) as f64;
    let band = |i: usize| {
        let (low, top, high) = (edge(i), edge(i + 1), edge(i + 2));
        let weight = |k: usize| {
            let f = k as f64 * bin_hz;
            ((f - low) / (top - low)).min((high - f) / (high - top)).max(0.0)
        };
        let bins: Vec<usize> = (0..=size / 2).filter(|&k| weight(k) > 0.0).collect();
        let sum: f64 = bins.iter().map(|&k| weight(k)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let weights = bins.iter().map(|&k| (weight(k) / sum) as f32).collect();
        bins.first().map(|&first| Band { first, weights })
    };
    (0..count).filter_map(band).collect()
}

/// One evaluation of the loss, as an operation of the graph.
struct Distance {
    loss: SpectralLoss,
    target: Vec<f32>,
    gradient: std::sync::OnceLock<Vec<f32>>,
}

impl Distance {
    fn new(loss: SpectralLoss, target: Vec<f32>) -> Self {
        Self { loss, target, gradient: std::sync::OnceLock::new() }
    }
}

impl CustomOp1 for Distance {
    fn name(&self) -> &'static str {
        "spectral-loss"
    }

    #[expect(clippy::cast_possible_truncation, reason = "the loss is f32")]
    fn cpu_fwd(
        &self,
        sound: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, channels, len) = layout.shape().dims3()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("the loss needs contiguous sound");
        };
        let sound = &sound.as_slice::<f32>()?[start..end];
        let (mut total, mut gradient) = (0.0, Vec::with_capacity(sound.len()));
        let rows = channels * len;
        for (sound, target) in sound.chunks_exact(rows).zip(self.target.chunks_exact(rows)) {
            let (loss, grad) = self.loss.item(sound, target, channels);
            total += loss / batch as f64;
            gradient.extend(grad.iter().map(|g| g / batch as f32));
        }
        // The forward pass of one operation runs once.
        let _ = self.gradient.set(gradient);
        Ok((CpuStorage::F32(vec![total as f32]), ().into()))
    }

    fn bwd(
        &self,
        sound: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let Some(gradient) = self.gradient.get() else {
            candle_core::bail!("the loss was not computed");
        };
        let gradient = Tensor::from_vec(gradient.clone(), sound.shape(), sound.device())?;
        Ok(Some(gradient.broadcast_mul(grad)?))
    }
}

#[cfg(test)]
mod tests;
