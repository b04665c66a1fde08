//! The short-time Fourier transform at both ends of the codec: samples to the features that the
//! encoder reads, and spectra back to samples.
//!
//! Frame `t` covers the samples from `t * stft_hop - delay` up to `(t + 1) * stft_hop`, so that a
//! frame needs no sample after its own and decoded sound lags by [`CodecConfig::delay`].

use std::ops::Range;
use std::sync::Arc;

use pulp::{Arch, NullaryFnOnce};
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::math;
use crate::model::config::CodecConfig;

/// Sum of the squared window over all frames that cover a sample, at a hop of a quarter window.
const OVERLAP: f32 = 1.5;
/// Added to a magnitude before its logarithm: the level below which nothing is worth telling apart.
pub const FLOOR: f32 = 1e-5;
/// Products of magnitudes below it count as silence, which has no coherence.
const SILENT: f32 = 1e-12;
/// Frequency in Hz from which on bins count less.
const CORNER_HZ: f64 = 700.0;

/// How much each feature of a codec frame counts when codec frames are compared, `[X]`.
///
/// Hearing resolves low frequencies better: the weight of a bin falls with the square root of its
/// frequency, from about where the width of auditory bands grows with frequency; its mean square
/// over the bins is 1.
#[must_use]
pub fn weights_of(config: &CodecConfig) -> Vec<f32> {
    let bins = config.bins();
    let bin_hz = f64::from(config.sample_rate) / config.fft_size as f64;
    let power = |k: usize| 1.0 / (1.0 + k as f64 * bin_hz / CORNER_HZ);
    let mean = (0..bins).map(power).sum::<f64>() / bins as f64;
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    let channel: Vec<f32> = (0..bins).map(|k| (power(k) / mean).sqrt() as f32).collect();
    let mut frame = channel.repeat(config.channels);
    frame.resize(config.first_power(), config.coherence);
    let of_bins = |band: Range<usize>| channel[band].iter().map(|w| w * w).sum::<f32>().sqrt();
    let powers = power_bands_of(config).into_iter().map(|band| config.power * of_bins(band));
    frame.extend(powers.collect::<Vec<f32>>().repeat(config.channels));
    frame.repeat(config.stride)
}

/// The bins of each band in which the coherence of side with mid is measured.
#[must_use]
pub fn bands_of(config: &CodecConfig) -> Vec<Range<usize>> {
    mel_bands(config, config.bands())
}

/// The bins of each band of a channel whose power is told.
#[must_use]
pub fn power_bands_of(config: &CodecConfig) -> Vec<Range<usize>> {
    mel_bands(config, config.power_bands)
}

/// The power of a band as a log-magnitude, that of a bin of its mean power, from the log-magnitudes of
/// its bins.
#[inline(always)]
pub(crate) fn log_power(logs: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for logs in logs.chunks(8) {
        for (sum, log) in sums.iter_mut().zip(logs) {
            *sum += math::exp(2.0 * log);
        }
    }
    0.5 * math::ln(sums.iter().sum::<f32>() / logs.len() as f32)
}

/// The bins of each of `count` bands: even steps on the mel scale (O'Shaughnessy 1987), at least one
/// bin each.
#[must_use]
pub fn mel_bands(config: &CodecConfig, count: usize) -> Vec<Range<usize>> {
    let nyquist = f64::from(config.sample_rate) / 2.0;
    let top = (1.0 + nyquist / CORNER_HZ).ln();
    let edge = |i: usize| {
        let hz = CORNER_HZ * ((top * i as f64 / count as f64).exp() - 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let bin = (hz / nyquist * (config.bins() - 1) as f64).round() as usize;
        bin
    };
    let mut first = 0;
    let band = |i: usize| {
        let start = first;
        first = edge(i + 1).max(start + 1);
        start..if i + 1 == count { config.bins() } else { first }
    };
    (0..count).map(band).collect()
}

/// Turns sound into the features that the encoder reads. Shared freely between threads.
///
/// Features of an STFT frame: for mono, or for mid and then side, `ln(|X| + FLOOR)` of every bin,
/// a full-scale sine having magnitude 1. For stereo, then the coherence of side with mid,
/// `Σ S M* / Σ |S| |M|` over the bins of each band: real parts, then imaginary ones. It tells where
/// between left and right a sound is, and how spread; silence has none. Last, for mono, or for mid and
/// then side, the power of each of [`power_bands_of`], as the log-magnitude of a bin of its mean power.
pub struct Analysis {
    forward: Arc<dyn RealToComplex<f32>>,
    /// Window times 2 / sum of the window: a full-scale sine has magnitude 1.
    window: Vec<f32>,
    bands: Vec<Range<usize>>,
    power_bands: Vec<Range<usize>>,
    config: CodecConfig,
}

impl Analysis {
    /// Plans the transform for the sizes of `config`.
    #[must_use]
    pub fn new(config: &CodecConfig) -> Self {
        let window = hann(config.fft_size);
        let scale = 2.0 / window.iter().sum::<f64>();
        Self {
            forward: RealFftPlanner::new().plan_fft_forward(config.fft_size),
            window: scaled(&window, scale),
            bands: bands_of(config),
            power_bands: power_bands_of(config),
            config: config.clone(),
        }
    }

    /// Computes the features of `frames` STFT frames from `first_frame` on, into
    /// `[frames, features]`.
    ///
    /// `channels` holds the samples of each channel from the start of the recording, already
    /// multiplied by the gain of the codec; samples outside it count as zero.
    ///
    /// # Panics
    ///
    /// Panics if the number of channels is not that of the codec, their lengths differ, or `out`
    /// is not `[frames, features]`.
    pub fn features(
        &self,
        channels: &[&[f32]],
        first_frame: usize,
        frames: usize,
        out: &mut [f32],
    ) {
        let config = &self.config;
        assert_eq!(channels.len(), config.channels, "one slice per channel");
        assert!(channels.iter().all(|c| c.len() == channels[0].len()), "channels of one length");
        assert_eq!(out.len(), frames * config.features(), "features are [frames, features]");
        let mut spectra = vec![self.forward.make_output_vec(); config.channels];
        let mut samples = vec![0.0; config.fft_size];
        let mut scratch = self.forward.make_scratch_vec();
        for (i, out) in out.chunks_exact_mut(config.features()).enumerate() {
            for (part, spectrum) in spectra.iter_mut().enumerate() {
                self.cut(channels, part, first_frame + i, &mut samples);
                self.forward
                    .process_with_scratch(&mut samples, spectrum, &mut scratch)
                    .expect("the buffers were made for this transform");
                let out = &mut out[part * config.bins()..][..config.bins()];
                Arch::new().dispatch(LogMagnitude { spectrum, out });
            }
            if let [mid, side] = &spectra[..] {
                let (real, imaginary) = out[2 * config.bins()..].split_at_mut(self.bands.len());
                for ((band, re), im) in self.bands.iter().zip(real).zip(imaginary) {
                    [*re, *im] = coherence(&side[band.clone()], &mid[band.clone()]);
                }
            }
            let (logs, powers) = out.split_at_mut(config.first_power());
            Arch::new().dispatch(|| self.powers(logs, powers));
        }
    }

    /// Powers, `[C * power_bands]`, from log-magnitudes, `[C * F]` and what follows.
    #[inline(always)]
    fn powers(&self, logs: &[f32], powers: &mut [f32]) {
        let channels = logs.chunks_exact(self.config.bins());
        let bands = channels.flat_map(|logs| self.power_bands.iter().map(|b| &logs[b.clone()]));
        powers.iter_mut().zip(bands).for_each(|(power, logs)| *power = log_power(logs));
    }

    /// Cuts out the windowed samples of `frame`: the channel itself, or of two channels the mid
    /// (`part` 0) or the side (`part` 1).
    fn cut(&self, channels: &[&[f32]], part: usize, frame: usize, samples: &mut [f32]) {
        let at = |channel: &[f32], i: usize| {
            let sample = (frame * self.config.stft_hop + i).checked_sub(self.config.delay());
            sample.and_then(|s| channel.get(s)).copied().unwrap_or(0.0)
        };
        for (i, (sample, window)) in samples.iter_mut().zip(&self.window).enumerate() {
            let value = match (channels, part) {
                ([left, right], 0) => 0.5 * (at(left, i) + at(right, i)),
                ([left, right], _) => 0.5 * (at(left, i) - at(right, i)),
                _ => at(channels[part], i),
            };
            *sample = value * window;
        }
    }
}

/// `ln(|X| + FLOOR)` of every bin.
struct LogMagnitude<'a> {
    spectrum: &'a [Complex<f32>],
    out: &'a mut [f32],
}

impl NullaryFnOnce for LogMagnitude<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, x) in self.out.iter_mut().zip(self.spectrum) {
            *out = math::ln((x.re * x.re + x.im * x.im).sqrt() + FLOOR);
        }
    }
}

/// Coherence of the bins of `a` with those of `b`: real and imaginary part, of absolute value 1 at
/// most.
fn coherence(a: &[Complex<f32>], b: &[Complex<f32>]) -> [f32; 2] {
    let (mut product, mut magnitudes) = (Complex::new(0.0, 0.0), 0.0);
    for (a, b) in a.iter().zip(b) {
        product += a * b.conj();
        magnitudes += (a.norm_sqr() * b.norm_sqr()).sqrt();
    }
    if magnitudes < SILENT { [0.0; 2] } else { [product.re / magnitudes, product.im / magnitudes] }
}

/// Turns spectra back into sound. Shared freely between threads; what a stream of frames carries
/// on is in its [`Overlap`].
pub struct Synthesis {
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Window with every constant factor of the inverse transform.
    window: Vec<f32>,
    hop: usize,
}

/// What one channel carries from frame to frame: the part of the sum that is still open.
pub struct Overlap {
    /// `[fft_size]`; the first sample is the next to be played.
    sum: Vec<f32>,
    samples: Vec<f32>,
    scratch: Vec<Complex<f32>>,
}

impl Synthesis {
    /// Plans the transform for the sizes of `config`.
    #[must_use]
    pub fn new(config: &CodecConfig) -> Self {
        let window = hann(config.fft_size);
        let scale = window.iter().sum::<f64>() / 2.0 / config.fft_size as f64 / f64::from(OVERLAP);
        Self {
            inverse: RealFftPlanner::new().plan_fft_inverse(config.fft_size),
            window: scaled(&window, scale),
            hop: config.stft_hop,
        }
    }

    /// A channel at the start of a stream.
    #[must_use]
    pub fn start(&self) -> Overlap {
        Overlap {
            sum: vec![0.0; self.window.len()],
            samples: vec![0.0; self.window.len()],
            scratch: self.inverse.make_scratch_vec(),
        }
    }

    /// Adds a frame and plays the `stft_hop` samples that it completes. A frame with samples above
    /// `peak` is lowered as a whole; since frames overlap, no edge is heard. Real-time safe.
    ///
    /// `spectrum` is `[F]` on the scale of [`Analysis`], where a full-scale sine has magnitude 1.
    /// It serves as scratch and holds nothing of use afterwards. The imaginary parts of the first
    /// and the last bin are ignored.
    ///
    /// # Panics
    ///
    /// Panics if `spectrum` or `out` has the wrong length.
    pub fn frame(
        &self,
        spectrum: &mut [Complex<f32>],
        peak: f32,
        overlap: &mut Overlap,
        out: &mut [f32],
    ) {
        let Overlap { sum, samples, scratch } = overlap;
        if let [first, .., last] = spectrum {
            (first.im, last.im) = (0.0, 0.0);
        }
        self.inverse
            .process_with_scratch(spectrum, samples, scratch)
            .expect("the spectrum has one value per bin, and real ends");
        let windowed = samples.iter_mut().zip(&self.window);
        let highest = windowed.fold(0.0_f32, |highest, (sample, window)| {
            *sample *= window;
            highest.max(sample.abs())
        });
        // Of a sound with a peak of 1, a frame holds the share that its window has in the overlap.
        let gain = (peak / OVERLAP / highest.max(f32::MIN_POSITIVE)).min(1.0);
        for (sum, sample) in sum.iter_mut().zip(samples) {
            *sum += gain * *sample;
        }
        out.copy_from_slice(&sum[..self.hop]);
        sum.copy_within(self.hop.., 0);
        let open = sum.len() - self.hop;
        sum[open..].fill(0.0);
    }
}

impl Overlap {
    /// Forgets what it carries: back to the start of a stream. Real-time safe.
    pub fn reset(&mut self) {
        self.sum.fill(0.0);
    }
}

/// The periodic Hann window.
fn hann(len: usize) -> Vec<f64> {
    let turn = std::f64::consts::TAU / len as f64;
    (0..len).map(|i| 0.5 - 0.5 * (turn * i as f64).cos()).collect()
}

/// `values` times `scale`, rounded once.
fn scaled(values: &[f64], scale: f64) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to the precision of samples")]
    values.iter().map(|value| (value * scale) as f32).collect()
}

#[cfg(test)]
mod tests;
