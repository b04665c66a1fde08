//! What the codec is trained to bring down: the distance of features from those it was given.
//!
//! For each crop it adds, with the weights of [`LossWeights`],
//!
//! * the difference of log-magnitudes `d`, as `|d| / 2 + d² / 8`, where one of the two can be heard,
//!   low frequencies counting more, and faint bins less ([`weights_of`]);
//! * the spectral convergence, `‖|X| - |Y|‖ / ‖Y‖`, which the loudest bins decide;
//! * the squared difference of coherences, where mid and side are loud;
//! * the difference of the powers of bands, as that of log-magnitudes.
//!
//! Loss and gradient are computed in one pass outside of the autograd graph; the graph gets a scalar
//! with a known gradient.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, ensure};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use distill_shared::math;
use distill_shared::model::config::CodecConfig;
use distill_shared::stft::{bands_of, weights_of};

/// Log-magnitudes below can hardly be heard: 78 dB under full scale.
const AUDIBLE: f32 = -9.0;
/// Below, nobody would hear them whatever the volume: 94 dB under full scale.
const SILENT: f32 = -10.8;
/// What counts a bin between the two: the tails of quiet recordings lie there.
const FAINT_SHARE: f32 = 0.3;
/// The largest log-magnitude that counts, so that a bad step of training stays finite.
const LOUDEST: f32 = 5.0;
/// Level of a crop, as the root of a frame's energy, below which convergence counts less.
const QUIET: f32 = 1e-2;
/// Share of the bins that count at least, so that a crop of near silence does not weigh as much as
/// one full of sound.
const LEAST_SHARE: f32 = 0.05;

/// Weights of the parts of [`FeatureLoss`].
#[derive(Debug, Clone, Copy)]
pub struct LossWeights {
    /// Of log-magnitudes.
    pub log: f32,
    /// Of spectral convergence.
    pub convergence: f32,
    /// Of coherences.
    pub coherence: f32,
    /// Of powers.
    pub power: f32,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { log: 1.0, convergence: 2.0, coherence: 0.5, power: 0.5 }
    }
}

/// The distance; shared by all threads.
#[derive(Clone)]
pub struct FeatureLoss(Arc<Parts>);

struct Parts {
    weights: LossWeights,
    /// Of each log-magnitude of an STFT frame, `[C * F]`.
    bin_weights: Vec<f32>,
    /// Of each power, `[C * power_bands]`.
    power_weights: Vec<f32>,
    bands: Vec<Range<usize>>,
    /// Features of an STFT frame.
    features: usize,
}

impl FeatureLoss {
    /// A distance of features of codecs of `config`.
    #[must_use]
    pub fn new(weights: LossWeights, config: &CodecConfig) -> Self {
        let mut bin_weights = weights_of(config);
        let power_weights = bin_weights[config.first_power()..config.features()].to_vec();
        bin_weights.truncate(config.channels * config.bins());
        let (bands, features) = (bands_of(config), config.features());
        Self(Arc::new(Parts { weights, bin_weights, power_weights, bands, features }))
    }

    /// Distance of `features` `[B, T, X]` from `target` of the same shape: a scalar.
    ///
    /// # Errors
    ///
    /// Fails if the shapes differ.
    pub fn forward(&self, features: &Tensor, target: Vec<f32>) -> Result<Tensor> {
        ensure!(features.elem_count() == target.len(), "features and target differ in shape");
        let host = features.to_device(&candle_core::Device::Cpu)?;
        let gradient = std::sync::OnceLock::new();
        let distance = Distance { parts: Arc::clone(&self.0), target, gradient };
        Ok(host.contiguous()?.apply_op1(distance)?)
    }
}

impl Parts {
    /// Distance and its gradient for one crop, `[T * stride, features]`.
    fn crop(&self, features: &[f32], target: &[f32], grad: &mut [f32]) -> f64 {
        let log = self.log_distance(features, target, grad);
        let convergence = self.convergence(features, target, grad);
        let power = self.power(features, target, grad);
        log + convergence + power + self.coherence(features, target, grad)
    }

    /// Calls `f` with the log-magnitudes of each frame and their gradient.
    fn each_frame(
        &self,
        features: &[f32],
        target: &[f32],
        grad: &mut [f32],
        f: impl FnMut(&[f32], &[f32], &mut [f32]),
    ) {
        self.each(0..self.bin_weights.len(), (features, target, grad), f);
    }

    /// Calls `f` with a part of the features of each frame, of those that are meant, and of the gradient.
    fn each(
        &self,
        part: Range<usize>,
        (features, target, grad): (&[f32], &[f32], &mut [f32]),
        mut f: impl FnMut(&[f32], &[f32], &mut [f32]),
    ) {
        let frames = features.chunks_exact(self.features).zip(target.chunks_exact(self.features));
        for ((x, y), g) in frames.zip(grad.chunks_exact_mut(self.features)) {
            f(&x[part.clone()], &y[part.clone()], &mut g[part.clone()]);
        }
    }

    fn log_distance(&self, features: &[f32], target: &[f32], grad: &mut [f32]) -> f64 {
        let all = (features, target, grad);
        self.distance(0, &self.bin_weights, self.weights.log, all)
    }

    fn power(&self, features: &[f32], target: &[f32], grad: &mut [f32]) -> f64 {
        let first = self.features - self.power_weights.len();
        self.distance(first, &self.power_weights, self.weights.power, (features, target, grad))
    }

    /// The distance of the features from `first` on, which count by `weights`, and by `weight` as a whole.
    fn distance(
        &self,
        first: usize,
        weights: &[f32],
        weight: f32,
        (features, target, grad): (&[f32], &[f32], &mut [f32]),
    ) -> f64 {
        let part = first..first + weights.len();
        let (mut sum, mut heard, mut all) = (0.0, 0.0, 0.0);
        let total: f32 = weights.iter().sum();
        self.each(part.clone(), (features, target, &mut *grad), |x, y, g| {
            let of_frame = log_frame(x, y, weights, g);
            sum += of_frame[0];
            heard += of_frame[1];
            all += total;
        });
        let scale = weight / (heard + LEAST_SHARE * all).max(1e-9);
        self.each(part, (features, target, grad), |_, _, g| g.iter_mut().for_each(|g| *g *= scale));
        f64::from(scale * sum)
    }

    fn convergence(&self, features: &[f32], target: &[f32], grad: &mut [f32]) -> f64 {
        let (mut off, mut energy, mut frames) = (0.0, 0.0, 0.0);
        self.each_frame(features, target, grad, |x, y, _| {
            let of_frame = energies(x, y);
            off += f64::from(of_frame[0]);
            energy += f64::from(of_frame[1]);
            frames += 1.0;
        });
        let level = energy.sqrt() + f64::from(QUIET) * f64::sqrt(frames);
        let off = off.sqrt().max(1e-12);
        let loss = f64::from(self.weights.convergence) * off / level;
        #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
        let scale = (f64::from(self.weights.convergence) / (off * level)) as f32;
        self.each_frame(features, target, grad, |x, y, g| {
            pulp::Arch::new().dispatch(|| {
                for ((x, y), g) in x.iter().zip(y).zip(g) {
                    let (own, inside) = magnitude(*x);
                    *g += scale * (own - magnitude(*y).0) * own * inside;
                }
            });
        });
        loss
    }

    fn coherence(&self, features: &[f32], target: &[f32], grad: &mut [f32]) -> f64 {
        let (bins, bands) = (self.bin_weights.len(), self.bands.len());
        if bands == 0 {
            return 0.0;
        }
        // A band counts with the geometric mean of the levels of mid and side.
        let level = |y: &[f32], band: &Range<usize>| {
            let (mid, side) = (&y[band.clone()], &y[bins / 2 + band.start..bins / 2 + band.end]);
            let product = mid.iter().zip(side).map(|(m, s)| math::exp((m + s).min(LOUDEST)));
            product.sum::<f32>().sqrt()
        };
        let frames = || target.chunks_exact(self.features);
        let levels: Vec<f32> =
            frames().flat_map(|y| self.bands.iter().map(|b| level(y, b))).collect();
        let total = levels.iter().sum::<f32>() + QUIET * levels.len() as f32 / bands as f32;
        let (mut sum, scale) = (0.0, self.weights.coherence / total);
        let pairs = features.chunks_exact(self.features).zip(frames());
        let rows = pairs.zip(grad.chunks_exact_mut(self.features)).zip(levels.chunks_exact(bands));
        for (((x, y), g), levels) in rows {
            for i in 0..2 * bands {
                let difference = x[bins + i] - y[bins + i];
                let scale = scale * levels[i % bands];
                sum += scale * difference * difference;
                g[bins + i] = 2.0 * scale * difference;
            }
        }
        f64::from(sum)
    }
}

/// Sum of the distances of the log-magnitudes of a frame, and of the weights of those that count;
/// writes the gradient of the first.
fn log_frame(x: &[f32], y: &[f32], weights: &[f32], grad: &mut [f32]) -> [f32; 2] {
    pulp::Arch::new().dispatch(|| {
        let (mut sums, mut counts) = ([0.0_f32; 16], [0.0_f32; 16]);
        let rows = x.chunks(16).zip(y.chunks(16)).zip(weights.chunks(16)).zip(grad.chunks_mut(16));
        for (((x, y), w), g) in rows {
            for i in 0..x.len() {
                let top = x[i].max(y[i]);
                let faint = if top > SILENT { FAINT_SHARE } else { 0.0 };
                let counted = if top > AUDIBLE { w[i] } else { faint * w[i] };
                let d = x[i] - y[i];
                sums[i] += counted * (0.5 * d.abs() + 0.125 * d * d);
                counts[i] += counted;
                g[i] = counted * (0.5 * sign(d) + 0.25 * d);
            }
        }
        [sums.iter().sum(), counts.iter().sum()]
    })
}

/// Energy of the difference of two frames, and of the second.
fn energies(x: &[f32], y: &[f32]) -> [f32; 2] {
    pulp::Arch::new().dispatch(|| {
        let (mut off, mut own) = ([0.0_f32; 16], [0.0_f32; 16]);
        for (x, y) in x.chunks(16).zip(y.chunks(16)) {
            for i in 0..x.len() {
                let (a, b) = (magnitude(x[i]).0, magnitude(y[i]).0);
                off[i] += (a - b) * (a - b);
                own[i] += b * b;
            }
        }
        [off.iter().sum(), own.iter().sum()]
    })
}

/// The magnitude of a log-magnitude, and 1 where it still grows with it.
#[inline(always)]
fn magnitude(log: f32) -> (f32, f32) {
    (math::exp(log.min(LOUDEST)), if log < LOUDEST { 1.0 } else { 0.0 })
}

/// -1, 0 or 1.
#[inline(always)]
fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// One evaluation of the loss, as an operation of the graph.
struct Distance {
    parts: Arc<Parts>,
    target: Vec<f32>,
    gradient: std::sync::OnceLock<Vec<f32>>,
}

impl CustomOp1 for Distance {
    fn name(&self) -> &'static str {
        "feature-loss"
    }

    #[expect(clippy::cast_possible_truncation, reason = "the loss is f32")]
    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, frames, width) = layout.shape().dims3()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("the loss needs contiguous features");
        };
        let features = &features.as_slice::<f32>()?[start..end];
        let (mut total, mut gradient) = (0.0, vec![0.0; features.len()]);
        let crops =
            features.chunks_exact(frames * width).zip(self.target.chunks_exact(frames * width));
        for ((features, target), grad) in crops.zip(gradient.chunks_exact_mut(frames * width)) {
            total += self.parts.crop(features, target, grad) / batch as f64;
            grad.iter_mut().for_each(|g| *g /= batch as f32);
        }
        // The forward pass of one operation runs once.
        let _ = self.gradient.set(gradient);
        Ok((CpuStorage::F32(vec![total as f32]), ().into()))
    }

    fn bwd(
        &self,
        features: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let Some(gradient) = self.gradient.get() else {
            candle_core::bail!("the loss was not computed");
        };
        let gradient = Tensor::from_vec(gradient.clone(), features.shape(), features.device())?;
        Ok(Some(gradient.broadcast_mul(grad)?))
    }
}

#[cfg(test)]
mod tests;
