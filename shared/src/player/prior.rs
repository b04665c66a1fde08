//! The prior, one frame at a time: the codes so far to the codes of the next frame.

use std::sync::Arc;

use super::kernel::Linear;
use super::random::{TakeKey, uniform};
use super::sampling::{Sampler, Sampling};
use super::transformer::{Positions, Sizes, Transformer, TransformerState};
use super::weights::Weights;
use super::{Model, ModelError};
use crate::model::config::{CodecConfig, PriorConfig};

/// The highest `top_p` of the first frame of a take. Few recordings tell how sounds begin, so codes
/// with which none does keep some probability; a take that drew one would begin with next to nothing.
const FIRST_TOP_P: f32 = 0.9;

/// The packed layers of the prior.
#[derive(Debug)]
pub(crate) struct PriorWeights {
    /// `[H]`.
    start: Vec<f32>,
    /// `[N * K, H]`.
    codes: Vec<f32>,
    /// From `[D]` to `[H]`.
    latent: Linear,
    temporal: Transformer,
    project: Linear,
    /// `[N, E]`.
    levels: Vec<f32>,
    /// `[(N - 1) * K, E]`.
    depth_codes: Vec<f32>,
    depth: Transformer,
    /// One per level.
    heads: Vec<Linear>,
}

impl PriorWeights {
    /// Packs the prior.
    pub(crate) fn new(weights: &Weights, config: &PriorConfig, codec: &CodecConfig) -> Self {
        let temporal = Sizes {
            width: config.hidden_size,
            layers: config.layers,
            heads: config.heads,
            window: config.window,
            positions: Positions::Rotary,
        };
        let depth = Sizes {
            width: config.depth_size,
            layers: config.depth_layers,
            heads: config.depth_heads,
            window: codec.quantizers,
            positions: Positions::Unknown,
        };
        let head = weights.values("prior.depth.head.weight");
        let bias = weights.values("prior.depth.head.bias");
        let heads = head
            .chunks_exact(codec.codebook_size * config.depth_size)
            .zip(bias.chunks_exact(codec.codebook_size))
            .map(|(head, bias)| Linear::new(config.depth_size, head, bias))
            .collect();
        Self {
            start: weights.values("prior.start"),
            codes: weights.values("prior.codes"),
            latent: Linear::new(codec.latent_dim, &weights.values("prior.latent"), &[]),
            temporal: Transformer::new(weights, "prior", temporal),
            project: weights.linear("prior.depth.project", config.hidden_size),
            levels: weights.values("prior.depth.levels"),
            depth_codes: weights.values("prior.depth.codes"),
            depth: Transformer::new(weights, "prior.depth", depth),
            heads,
        }
    }
}

/// Continues a sequence of codes. Its memory is bounded by the window of the prior.
pub struct PriorPlayer {
    model: Arc<Model>,
    temporal: TransformerState,
    depth: TransformerState,
    sampler: Sampler,
    /// The latent of the last frame: `[D]`.
    latent: Vec<f32>,
    /// Temporal input and output: `[H]`.
    x: Vec<f32>,
    heard: Vec<f32>,
    /// Depth: `[E]` each.
    projected: Vec<f32>,
    depth_x: Vec<f32>,
    depth_heard: Vec<f32>,
    /// `[K]`.
    logits: Vec<f32>,
}

impl PriorPlayer {
    /// Stands before the first frame.
    ///
    /// # Errors
    ///
    /// Fails if the model has no prior.
    pub fn new(model: Arc<Model>) -> Result<Self, ModelError> {
        let prior = model.prior.as_ref().ok_or(ModelError::NoPrior)?;
        let (hidden, depth) = (prior.start.len(), prior.project.outputs());
        let size = model.config().codec.codebook_size;
        Ok(Self {
            temporal: prior.temporal.start(),
            depth: prior.depth.start(),
            sampler: Sampler::new(size),
            latent: vec![0.0; model.config().codec.latent_dim],
            x: vec![0.0; hidden],
            heard: vec![0.0; hidden],
            projected: vec![0.0; depth],
            depth_x: vec![0.0; depth],
            depth_heard: vec![0.0; depth],
            logits: vec![0.0; size],
            model,
        })
    }

    /// Forgets all it has heard: back before the first frame. Real-time safe.
    pub fn reset(&mut self) {
        self.temporal.reset();
        self.latent.fill(0.0);
    }

    /// Frames heard or made so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.temporal.position()
    }

    /// Draws the next frame into `codes`, `[N]`, which hold the frame before it; what they hold
    /// before the first frame does not matter. The first frame keeps at most 0.9 of the
    /// probability. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if `codes` is not `[N]`, or one is not below `K` after the first frame.
    pub fn step(&mut self, key: TakeKey, sampling: &Sampling, codes: &mut [u32]) {
        let arch = self.model.arch;
        #[expect(clippy::cast_possible_truncation, reason = "wraps after years of sound")]
        let frame = self.frames() as u32;
        let top_p =
            if self.frames() == 0 { sampling.top_p.min(FIRST_TOP_P) } else { sampling.top_p };
        let sampling = Sampling { top_p, ..*sampling };
        let mut sampler = std::mem::replace(&mut self.sampler, Sampler::new(0));
        self.step_with(codes, |level, logits| {
            let level = u32::try_from(level).unwrap_or(u32::MAX);
            sampler.draw(arch, logits, &sampling, uniform(key, frame, level))
        });
        self.sampler = sampler;
    }

    /// As [`Self::step`], but `choose` takes the code of each level, coarse to fine, from its
    /// logits, `[K]`.
    ///
    /// # Panics
    ///
    /// As [`Self::step`], and if `choose` takes a code that is not below `K`.
    pub fn step_with(&mut self, codes: &mut [u32], choose: impl FnMut(usize, &[f32]) -> u32) {
        let model = Arc::clone(&self.model);
        let Some(prior) = &model.prior else { return }; // there is one: `new` saw it
        assert_eq!(codes.len(), model.config().codec.quantizers, "codes are [N]");
        self.hear(&model, prior, codes);
        self.speak(&model, prior, codes, choose);
    }

    /// Runs the temporal transformer on the frame before this one.
    fn hear(&mut self, model: &Model, prior: &PriorWeights, codes: &[u32]) {
        let size = model.config().codec.codebook_size;
        if self.frames() == 0 {
            self.x.copy_from_slice(&prior.start);
        } else {
            model.quantizer.decode(codes, &mut self.latent);
            prior.latent.apply(model.arch, &self.latent, &mut self.x);
            for (level, &code) in codes.iter().enumerate() {
                add_row(&prior.codes, row(level, code, size), &mut self.x);
            }
        }
        prior.temporal.step(model.arch, &mut self.temporal, &mut self.x, &mut self.heard);
        prior.project.apply(model.arch, &self.heard, &mut self.projected);
    }

    /// Runs the depth transformer level by level.
    fn speak(
        &mut self,
        model: &Model,
        prior: &PriorWeights,
        codes: &mut [u32],
        mut choose: impl FnMut(usize, &[f32]) -> u32,
    ) {
        let size = model.config().codec.codebook_size;
        self.depth.reset();
        for level in 0..codes.len() {
            self.depth_x.copy_from_slice(&self.projected);
            add_row(&prior.levels, level, &mut self.depth_x);
            if level > 0 {
                let row = row(level - 1, codes[level - 1], size);
                add_row(&prior.depth_codes, row, &mut self.depth_x);
            }
            let (x, heard) = (&mut self.depth_x, &mut self.depth_heard);
            prior.depth.step(model.arch, &mut self.depth, x, heard);
            prior.heads[level].apply(model.arch, heard, &mut self.logits);
            codes[level] = choose(level, &self.logits);
            assert!((codes[level] as usize) < size, "a code is below {size}");
        }
    }
}

/// The row that a code has in a table over all levels.
fn row(level: usize, code: u32, size: usize) -> usize {
    assert!((code as usize) < size, "code {code} is not below {size}");
    level * size + code as usize
}

/// Adds row `row` of `table` to `sum`.
fn add_row(table: &[f32], row: usize, sum: &mut [f32]) {
    let width = sum.len();
    sum.iter_mut().zip(&table[row * width..][..width]).for_each(|(sum, x)| *sum += x);
}
