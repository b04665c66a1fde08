//! Codes to sound, one frame at a time or many.

use std::sync::Arc;

use pulp::NullaryFnOnce;
use realfft::num_complex::Complex;

use super::Model;
use super::blocks::{Blocks, BlocksState};
use super::elements::Norm;
use super::kernel::Linear;
use super::weights::Weights;
use crate::codes::Codes;
use crate::math;
use crate::model::config::CodecConfig;
use crate::stft::Overlap;

/// Frames computed at once where there are many: enough to use each weight several times while
/// it is at hand, few enough to stay in cache.
const BATCH: usize = 8;
/// The largest log-magnitude that a spectrum may have.
const LOUDEST: f32 = 6.0;

/// The packed layers of the decoder.
#[derive(Debug)]
pub(crate) struct DecoderWeights {
    project: Linear,
    blocks: Blocks,
    norm: Norm,
    head: Linear,
}

impl DecoderWeights {
    /// Packs the decoder.
    pub(crate) fn new(weights: &Weights, config: &CodecConfig) -> Self {
        Self {
            project: weights.linear("codec.decoder.project", config.latent_dim),
            blocks: Blocks::new(weights, "codec.decoder.blocks", config.decoder_blocks, config),
            norm: weights.norm("codec.decoder.norm"),
            head: weights.linear("codec.decoder.head", config.width),
        }
    }
}

/// Turns a stream of codes into sound that lags behind them by
/// [`delay`](CodecConfig::delay) samples.
pub struct Decoder {
    model: Arc<Model>,
    blocks: BlocksState,
    /// Per channel.
    overlaps: Vec<Overlap>,
    /// `[BATCH, D]`.
    latents: Vec<f32>,
    /// `[BATCH * stride, W]` each.
    x: Vec<f32>,
    normed: Vec<f32>,
    /// `[BATCH * stride, C * 2 * F]`.
    head: Vec<f32>,
    /// `[F]`.
    spectrum: Vec<Complex<f32>>,
}

impl Decoder {
    /// Starts a stream.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        let codec = &model.config().codec;
        let rows = BATCH * codec.stride;
        Self {
            blocks: model.decoder.blocks.start(rows),
            overlaps: (0..codec.channels).map(|_| model.synthesis.start()).collect(),
            latents: vec![0.0; BATCH * codec.latent_dim],
            x: vec![0.0; rows * codec.width],
            normed: vec![0.0; rows * codec.width],
            head: vec![0.0; rows * model.decoder.head.outputs()],
            spectrum: vec![Complex::default(); codec.bins()],
            model,
        }
    }

    /// Forgets all it has heard: back to the start of a stream. Real-time safe.
    pub fn reset(&mut self) {
        self.blocks.reset();
        self.overlaps.iter_mut().for_each(Overlap::reset);
    }

    /// Decodes the next frame: `codes` coarse to fine, `[N]`, into `out`, planar `[C, hop]`.
    /// Real-time safe.
    ///
    /// # Panics
    ///
    /// As [`Self::decode_frames`].
    pub fn decode_frame(&mut self, codes: &[u32], out: &mut [f32]) {
        self.decode_frames(codes, out);
    }

    /// Decodes the next frames: `codes`, `[T, N]`, into `out`, planar `[C, T * hop]`. However a
    /// stream is cut into calls, it gives the same bits. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if the lengths of `codes` and `out` do not agree, or a code is not below `K`.
    pub fn decode_frames(&mut self, codes: &[u32], out: &mut [f32]) {
        let model = Arc::clone(&self.model);
        let codec = &model.config().codec;
        let frames = codes.len() / codec.quantizers;
        assert_eq!(codes.len(), frames * codec.quantizers, "codes are [T, N]");
        assert_eq!(out.len(), codec.channels * frames * codec.hop(), "sound is [C, T * hop]");
        for (i, codes) in codes.chunks(BATCH * codec.quantizers).enumerate() {
            let rows = codes.len() / codec.quantizers * codec.stride;
            self.run(&model, codes, rows);
            for row in 0..rows {
                self.play(&model, row, i * BATCH * codec.stride + row, out);
            }
        }
    }

    /// Computes the head of up to [`BATCH`] frames.
    fn run(&mut self, model: &Model, codes: &[u32], rows: usize) {
        let (codec, weights, arch) = (&model.config().codec, &model.decoder, model.arch);
        let latents = &mut self.latents[..rows / codec.stride * codec.latent_dim];
        let frames = codes.chunks_exact(codec.quantizers);
        for (codes, latent) in frames.zip(latents.chunks_exact_mut(codec.latent_dim)) {
            model.codebooks.decode(codes, latent);
        }
        let x = &mut self.x[..rows * codec.width];
        let normed = &mut self.normed[..rows * codec.width];
        let head = &mut self.head[..rows * weights.head.outputs()];
        weights.project.apply(arch, latents, x); // [T, stride * W] is [rows, W]
        weights.blocks.step(arch, &mut self.blocks, x);
        weights.norm.apply(arch, x, normed);
        weights.head.apply(arch, normed, head);
    }

    /// Turns `row` of the head into sound, as STFT frame `at` of `out`.
    fn play(&mut self, model: &Model, row: usize, at: usize, out: &mut [f32]) {
        let codec = &model.config().codec;
        let (bins, hop) = (codec.bins(), codec.stft_hop);
        let head = &self.head[row * codec.channels * 2 * bins..][..codec.channels * 2 * bins];
        let samples = out.len() / codec.channels;
        let spectra = head.chunks_exact(2 * bins);
        for ((head, overlap), out) in
            spectra.zip(&mut self.overlaps).zip(out.chunks_exact_mut(samples))
        {
            let spectrum = &mut self.spectrum;
            model.arch.dispatch(Speak { head, spectrum });
            model.synthesis.frame(spectrum, overlap, &mut out[at * hop..][..hop]);
        }
        let to_sound = 1.0 / codec.gain;
        let (first, second) = out.split_at_mut(samples);
        let first = &mut first[at * hop..][..hop];
        if codec.channels == 2 {
            // Mid and side become left and right.
            for (first, second) in first.iter_mut().zip(&mut second[at * hop..][..hop]) {
                let (mid, side) = (*first, *second);
                *first = (mid + side) * to_sound;
                *second = (mid - side) * to_sound;
            }
        } else {
            first.iter_mut().for_each(|sample| *sample *= to_sound);
        }
    }
}

/// Turns the head of one channel, `[2 * F]`, log-magnitudes before phases, into a spectrum, `[F]`.
struct Speak<'a> {
    head: &'a [f32],
    spectrum: &'a mut [Complex<f32>],
}

impl NullaryFnOnce for Speak<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (magnitudes, phases) = self.head.split_at(self.spectrum.len());
        for ((x, magnitude), phase) in self.spectrum.iter_mut().zip(magnitudes).zip(phases) {
            let magnitude = math::exp(magnitude.min(LOUDEST));
            let (sin, cos) = math::sin_cos(*phase);
            *x = Complex::new(magnitude * cos, magnitude * sin);
        }
    }
}

/// Decodes a recording of `samples` samples per channel from its codes: planar `[C, samples]`,
/// without delay. Beyond the codes there is silence.
///
/// # Panics
///
/// Panics if the codes have another number of levels than the codec, or one is not below `K`.
#[must_use]
pub fn decode(model: &Arc<Model>, codes: &Codes, samples: usize) -> Vec<f32> {
    let codec = &model.config().codec;
    assert_eq!(codes.quantizers(), codec.quantizers, "codes of this codec");
    let frames = codes.frames().min(codec.frames_for(samples));
    let mut sound = vec![0.0; codec.channels * frames * codec.hop()];
    let codes = &codes.as_slice()[..frames * codec.quantizers];
    Decoder::new(Arc::clone(model)).decode_frames(codes, &mut sound);
    let mut whole = vec![0.0; codec.channels * samples];
    if frames * codec.hop() > codec.delay() && samples > 0 {
        let channels = sound.chunks_exact(frames * codec.hop());
        for (channel, whole) in channels.zip(whole.chunks_exact_mut(samples)) {
            let heard = &channel[codec.delay()..];
            let len = heard.len().min(samples);
            whole[..len].copy_from_slice(&heard[..len]);
        }
    }
    whole
}
