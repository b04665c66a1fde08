//! The target of the prior, one frame of several sequences at a time: what it foresees of the news
//! of a latent, and how likely that makes the codes. See the trainable model for what it means.

use pulp::Arch;

use super::VOICES;
use super::kernel::Linear;
use super::weights::Weights;
use crate::math;
use crate::model::config::{CodecConfig, PriorConfig};

/// The packed layers of the target.
#[derive(Debug)]
pub(super) struct Target {
    /// From `[H]` to `[D]`.
    project: Linear,
    /// From `[H]` to `[N]`.
    confidence: Linear,
    /// `[D]`.
    keep: Vec<f32>,
    /// `[N, D]`.
    precision: Vec<f32>,
    /// How near entries are to what is left of the target: one per level, from `[D]` to `[K]`.
    books: Vec<Linear>,
}

/// What is foreseen of the next frame of some sequences.
#[derive(Debug, Default)]
pub(super) struct TargetRoom {
    /// What the levels so far have left of the target: `[VOICES, D]`.
    left: Vec<f32>,
    /// How sure each level is: `[VOICES, N]`.
    sure: Vec<f32>,
    /// `[VOICES, D]`.
    weighted: Vec<f32>,
    /// `[VOICES, K]`.
    near: Vec<f32>,
}

impl TargetRoom {
    pub(super) fn new(codec: &CodecConfig) -> Self {
        Self {
            left: vec![0.0; VOICES * codec.latent_dim],
            sure: vec![0.0; VOICES * codec.quantizers],
            weighted: vec![0.0; VOICES * codec.latent_dim],
            near: vec![0.0; VOICES * codec.codebook_size],
        }
    }

    /// Takes the entry of a code that was chosen off what is left for sequence `turn`.
    pub(super) fn take_off(&mut self, turn: usize, entry: &[f32]) {
        let left = &mut self.left[turn * entry.len()..][..entry.len()];
        left.iter_mut().zip(entry).for_each(|(left, entry)| *left -= entry);
    }
}

impl Target {
    /// Packs the target.
    pub(super) fn new(weights: &Weights, config: &PriorConfig, codec: &CodecConfig) -> Self {
        let (k, d) = (codec.codebook_size, codec.latent_dim);
        let gains = weights.values("prior.target.gain");
        let scales = weights.values("prior.target.scale");
        let precision: Vec<f32> =
            gains.iter().zip(scales).map(|(gain, scale)| gain * scale).collect();
        let entries = weights.values("codec.quantizer.codebooks");
        let books = entries.chunks_exact(k * d).zip(precision.chunks_exact(d));
        let books = books.map(|(entries, precision)| {
            let half_square = |entry: &[f32]| -> f32 {
                let squares = entry.iter().zip(precision).map(|(e, precision)| precision * e * e);
                -0.5 * squares.sum::<f32>()
            };
            let bias: Vec<f32> = entries.chunks_exact(d).map(half_square).collect();
            weights.pack(d, entries, &bias)
        });
        Self {
            project: weights.linear("prior.target", config.hidden_size),
            confidence: weights.linear("prior.target.confidence", config.hidden_size),
            keep: weights.values("prior.target.keep"),
            books: books.collect(),
            precision,
        }
    }

    /// Foresees the next frames from what was heard, `[rows, H]`, and the latents before, `[rows, D]`.
    pub(super) fn foresee(
        &self,
        arch: Arch,
        heard: &[f32],
        latents: &[f32],
        room: &mut TargetRoom,
    ) {
        let (d, n) = (self.keep.len(), self.books.len());
        let rows = latents.len() / d;
        let left = &mut room.left[..rows * d];
        self.project.apply(arch, heard, left);
        for (left, latent) in left.chunks_exact_mut(d).zip(latents.chunks_exact(d)) {
            let again = latent.iter().zip(&self.keep).map(|(latent, keep)| latent * keep);
            left.iter_mut().zip(again).for_each(|(left, again)| *left += again);
        }
        let sure = &mut room.sure[..rows * n];
        self.confidence.apply(arch, heard, sure);
        sure.iter_mut().for_each(|sure| *sure = math::exp(*sure));
    }

    /// Adds what is foreseen of the sequences `turns` to their logits of a level, `[turns, K]`.
    pub(super) fn add_logits(
        &self,
        arch: Arch,
        level: usize,
        turns: &[usize],
        room: &mut TargetRoom,
        logits: &mut [f32],
    ) {
        let (d, n, k) = (self.keep.len(), self.books.len(), logits.len() / turns.len().max(1));
        let precision = &self.precision[level * d..][..d];
        for (&turn, weighted) in turns.iter().zip(room.weighted.chunks_exact_mut(d)) {
            let left = room.left[turn * d..][..d].iter().zip(precision);
            weighted.iter_mut().zip(left).for_each(|(weighted, (left, p))| *weighted = left * p);
        }
        let near = &mut room.near[..turns.len() * k];
        self.books[level].apply(arch, &room.weighted[..turns.len() * d], near);
        let rows = logits.chunks_exact_mut(k).zip(near.chunks_exact(k));
        for (&turn, (logits, near)) in turns.iter().zip(rows) {
            let sure = room.sure[turn * n + level];
            logits.iter_mut().zip(near).for_each(|(logit, near)| *logit += sure * near);
        }
    }
}
