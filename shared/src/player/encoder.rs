//! Sound to codes.

use std::sync::Arc;

use pulp::NullaryFnOnce;

use super::Model;
use super::blocks::{Blocks, BlocksRoom, BlocksState};
use super::elements::{Add, Norm};
use super::kernel::Linear;
use super::weights::Weights;
use crate::codes::Codes;
use crate::companding::stretch;
use crate::model::config::CodecConfig;
use crate::stft::{Analysis, weights_of};

/// Frames computed at once.
const BATCH: usize = 8;

/// The packed layers of the encoder.
#[derive(Debug)]
pub(crate) struct EncoderWeights {
    basis: Linear,
    embed: Linear,
    embed_norm: Norm,
    blocks: Blocks,
    norm: Norm,
    project: Linear,
    /// `[X]` each.
    origin: Vec<f32>,
    weights: Vec<f32>,
}

impl EncoderWeights {
    /// Packs the encoder.
    pub(crate) fn new(weights: &Weights, config: &CodecConfig) -> Self {
        let inputs = config.frame_features();
        Self {
            basis: weights.pack(inputs, &weights.values("codec.encoder.basis"), &[]),
            embed: weights.linear("codec.encoder.embed", inputs),
            embed_norm: weights.norm("codec.encoder.embed_norm"),
            blocks: Blocks::new(weights, "codec.encoder.blocks", config.encoder_blocks, config),
            norm: weights.norm("codec.encoder.norm"),
            project: weights.linear("codec.encoder.project", config.width),
            origin: weights.values("codec.origin"),
            weights: weights_of(config),
        }
    }
}

/// Turns the features of a stream into codes.
pub struct Encoder {
    model: Arc<Model>,
    blocks: BlocksState,
    room: BlocksRoom,
    /// The newest quantized latent, `[D]`.
    quantized: Vec<f32>,
    /// The codes of the newest frame, `[N]`.
    codes: Vec<u32>,
    /// `[BATCH, X]`.
    features: Vec<f32>,
    /// `[BATCH, W]` each.
    x: Vec<f32>,
    normed: Vec<f32>,
    /// `[BATCH, D]` each.
    latents: Vec<f32>,
    learned: Vec<f32>,
}

impl Encoder {
    /// Starts a stream.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        let codec = &model.config().codec;
        Self {
            blocks: model.encoder.blocks.start(BATCH),
            room: model.encoder.blocks.room(BATCH),
            quantized: vec![0.0; codec.latent_dim],
            codes: vec![0; codec.quantizers],
            features: vec![0.0; BATCH * codec.frame_features()],
            x: vec![0.0; BATCH * codec.width],
            normed: vec![0.0; BATCH * codec.width],
            latents: vec![0.0; BATCH * codec.latent_dim],
            learned: vec![0.0; BATCH * codec.latent_dim],
            model,
        }
    }

    /// Encodes the next frames: their features, `[T, X]`, as [`Analysis`] gives them. Adds their
    /// codes to `codes`. However a stream is cut into calls, it gives the same codes.
    ///
    /// # Panics
    ///
    /// Panics if `features` is not `[T, X]` or `codes` has another number of levels.
    pub fn encode_frames(&mut self, features: &[f32], codes: &mut Codes) {
        let model = Arc::clone(&self.model);
        let mut quantized = std::mem::take(&mut self.quantized);
        let mut newest = std::mem::take(&mut self.codes);
        self.visit_latents(features, |latent| {
            model.quantizer.encode(latent, &mut quantized, &mut newest);
            codes.push(&newest);
        });
        (self.quantized, self.codes) = (quantized, newest);
    }

    /// As [`Self::encode_frames`], but `visit` gets the latent of one frame after the other, `[D]`, as
    /// it is before it is quantized.
    ///
    /// # Panics
    ///
    /// Panics if `features` is not `[T, X]`.
    pub fn visit_latents(&mut self, features: &[f32], mut visit: impl FnMut(&[f32])) {
        let model = Arc::clone(&self.model);
        let codec = &model.config().codec;
        assert!(features.len().is_multiple_of(codec.frame_features()), "features are [T, X]");
        for features in features.chunks(BATCH * codec.frame_features()) {
            let rows = features.len() / codec.frame_features();
            self.features[..features.len()].copy_from_slice(features);
            self.run(&model, rows);
            self.latents.chunks_exact(codec.latent_dim).take(rows).for_each(&mut visit);
        }
    }

    /// Computes the latents of up to [`BATCH`] frames from their features, which are used up.
    fn run(&mut self, model: &Model, rows: usize) {
        let (codec, weights, arch) = (&model.config().codec, &model.encoder, model.arch);
        let features = &mut self.features[..rows * codec.frame_features()];
        let x = &mut self.x[..rows * codec.width];
        let normed = &mut self.normed[..rows * codec.width];
        let latents = &mut self.latents[..rows * codec.latent_dim];
        let learned = &mut self.learned[..rows * codec.latent_dim];
        arch.dispatch(Weigh { weights, features });
        weights.embed.apply(arch, features, normed);
        weights.embed_norm.apply(arch, normed, x);
        weights.blocks.step(arch, &mut self.room, &mut [&mut self.blocks], x);
        weights.norm.apply(arch, x, normed);
        weights.project.apply(arch, normed, learned);
        weights.basis.apply(arch, features, latents);
        arch.dispatch(Add(latents, learned));
    }
}

/// Turns features, `[T, X]`, into weighted differences from silence, stretched.
struct Weigh<'a> {
    weights: &'a EncoderWeights,
    features: &'a mut [f32],
}

impl NullaryFnOnce for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let EncoderWeights { origin, weights, .. } = self.weights;
        for features in self.features.chunks_exact_mut(origin.len()) {
            for ((feature, origin), weight) in features.iter_mut().zip(origin).zip(weights) {
                *feature = (stretch(*feature) - origin) * weight;
            }
        }
    }
}

/// Encodes a recording, the samples of each channel: what [`decode`](super::decode) is the inverse
/// of, as far as a codec can be. The last frames are those in which its last samples are heard.
///
/// # Panics
///
/// Panics if the number of channels is not that of the codec, or their lengths differ.
#[must_use]
pub fn encode(model: &Arc<Model>, sound: &[&[f32]]) -> Codes {
    let mut codes = Codes::new(model.config().codec.quantizers);
    read(model, sound, |encoder, features| encoder.encode_frames(features, &mut codes));
    codes
}

/// The latents of a sound before they are quantized, `[T, D]`: what [`encode`] finds codes for.
///
/// # Panics
///
/// As [`encode`].
#[must_use]
pub fn latents(model: &Arc<Model>, sound: &[&[f32]]) -> Vec<f32> {
    let mut latents = Vec::new();
    read(model, sound, |encoder, features| {
        encoder.visit_latents(features, |latent| latents.extend_from_slice(latent));
    });
    latents
}

/// Starts an encoder and gives it to `next` with the features of `sound`, a batch after the other.
fn read(model: &Arc<Model>, sound: &[&[f32]], mut next: impl FnMut(&mut Encoder, &[f32])) {
    let codec = &model.config().codec;
    assert_eq!(sound.len(), codec.channels, "one slice per channel");
    let scale = |channel: &&[f32]| channel.iter().map(|sample| sample * codec.gain).collect();
    let scaled: Vec<Vec<f32>> = sound.iter().map(scale).collect();
    let channels: Vec<&[f32]> = scaled.iter().map(Vec::as_slice).collect();
    let analysis = Analysis::new(codec);
    let mut encoder = Encoder::new(Arc::clone(model));
    let mut features = vec![0.0; BATCH * codec.frame_features()];
    let total = codec.frames_for(channels.first().map_or(0, |channel| channel.len()));
    for first in (0..total).step_by(BATCH) {
        let frames = BATCH.min(total - first);
        let features = &mut features[..frames * codec.frame_features()];
        analysis.features(&channels, first * codec.stride, frames * codec.stride, features);
        next(&mut encoder, features);
    }
}
