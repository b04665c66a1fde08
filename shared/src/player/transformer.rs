//! A causal pre-norm transformer, one position at a time.
//!
//! Keys and values of the last positions stay in a ring, so that its cost and memory are bounded
//! however long it runs. Each head has a learned sink in its softmax that attends to nothing.

use pulp::{Arch, NullaryFnOnce};

use super::elements::{Add, Gelu, Norm, max_of, sum_of};
use super::kernel::Linear;
use super::weights::Weights;
use crate::math;

/// Channels of the values that are summed together.
const LANES: usize = 16;

/// Whether attention knows how far apart two positions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// By rotary embeddings (Su et al. 2021, <https://arxiv.org/abs/2104.09864>).
    Rotary,
    /// Not at all: the input says where it is.
    Unknown,
}

/// Sizes of a [`Transformer`].
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// Channels.
    pub(crate) width: usize,
    /// Layers.
    pub(crate) layers: usize,
    /// Attention heads.
    pub(crate) heads: usize,
    /// Positions that attention sees, the current one included.
    pub(crate) window: usize,
    /// Whether attention knows distances.
    pub(crate) positions: Positions,
}

/// The packed layers.
#[derive(Debug)]
pub(crate) struct Transformer {
    layers: Vec<Layer>,
    norm: Norm,
    sizes: Sizes,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Norm,
    qkv: Linear,
    /// `[heads]`.
    sinks: Vec<f32>,
    out: Linear,
    mlp_norm: Norm,
    up: Linear,
    down: Linear,
}

/// What a transformer remembers of one sequence.
#[derive(Debug)]
pub(crate) struct TransformerState {
    /// Positions seen since the start, or since it forgot.
    position: u64,
    /// Positions seen before that.
    forgotten: u64,
    memories: Vec<Memory>,
}

/// Room for the next position of some sequences.
#[derive(Debug, Default)]
pub(crate) struct TransformerRoom {
    /// Cosine and sine of each pair of channels of a head, `[rows, pairs]`; empty if unknown.
    turns: Vec<(f32, f32)>,
    /// `[window]`.
    scores: Vec<f32>,
    /// `[rows, W]` each.
    normed: Vec<f32>,
    mixed: Vec<f32>,
    change: Vec<f32>,
    /// `[rows, 3 * W]`.
    qkv: Vec<f32>,
    /// `[rows, 4 * W]`.
    inner: Vec<f32>,
}

/// Keys and values of one layer, each position in the slot `position % window`.
#[derive(Debug)]
struct Memory {
    /// `[W, window]`: the scores of neighbouring slots are computed together.
    keys: Vec<f32>,
    /// `[window, W]`.
    values: Vec<f32>,
}

impl Transformer {
    /// Packs the layers and the norm called `name`.
    pub(crate) fn new(weights: &Weights, name: &str, sizes: Sizes) -> Self {
        let width = sizes.width;
        let layer = |i: usize| {
            let name = format!("{name}.layers.{i}");
            Layer {
                attention_norm: weights.norm(&format!("{name}.attention_norm")),
                qkv: weights.pack(
                    width,
                    &weights.values(&format!("{name}.attention.qkv.weight")),
                    &[],
                ),
                sinks: weights.values(&format!("{name}.attention.sinks")),
                out: weights.linear(&format!("{name}.attention.out"), width),
                mlp_norm: weights.norm(&format!("{name}.mlp_norm")),
                up: weights.linear(&format!("{name}.up"), width),
                down: weights.linear(&format!("{name}.down"), 4 * width),
            }
        };
        Self {
            layers: (0..sizes.layers).map(layer).collect(),
            norm: weights.norm(&format!("{name}.norm")),
            sizes,
        }
    }

    /// The start of a sequence.
    pub(crate) fn start(&self) -> TransformerState {
        let Sizes { width, window, .. } = self.sizes;
        let memory =
            || Memory { keys: vec![0.0; width * window], values: vec![0.0; window * width] };
        let memories = self.layers.iter().map(|_| memory()).collect();
        TransformerState { position: 0, forgotten: 0, memories }
    }

    /// Room for one position of up to `rows` sequences.
    pub(crate) fn room(&self, rows: usize) -> TransformerRoom {
        let Sizes { width, heads, window, positions, .. } = self.sizes;
        let pairs = if positions == Positions::Rotary { width / heads / 2 } else { 0 };
        TransformerRoom {
            turns: vec![(1.0, 0.0); rows * pairs],
            scores: vec![0.0; window],
            normed: vec![0.0; rows * width],
            mixed: vec![0.0; rows * width],
            change: vec![0.0; rows * width],
            qkv: vec![0.0; rows * 3 * width],
            inner: vec![0.0; rows * 4 * width],
        }
    }

    /// Runs the next position of some sequences: inputs `x`, `[sequences, W]`, which are used up,
    /// to `output`, of the same shape.
    pub(crate) fn step(
        &self,
        arch: Arch,
        room: &mut TransformerRoom,
        sequences: &mut [&mut TransformerState],
        x: &mut [f32],
        output: &mut [f32],
    ) {
        let Sizes { width, heads, positions, .. } = self.sizes;
        let rows = sequences.len();
        let TransformerRoom { turns, scores, normed, mixed, change, qkv, inner } = room;
        let pairs = if positions == Positions::Rotary { width / heads / 2 } else { 0 };
        for (row, sequence) in sequences.iter().enumerate() {
            set_turns(sequence.position, &mut turns[row * pairs..][..pairs]);
        }
        let (normed, mixed) = (&mut normed[..rows * width], &mut mixed[..rows * width]);
        let change = &mut change[..rows * width];
        let (qkv, inner) = (&mut qkv[..rows * 3 * width], &mut inner[..rows * 4 * width]);
        for (i, layer) in self.layers.iter().enumerate() {
            layer.attention_norm.apply(arch, x, normed);
            layer.qkv.apply(arch, normed, qkv);
            let values = qkv.chunks_exact_mut(3 * width).zip(mixed.chunks_exact_mut(width));
            for (row, (sequence, (qkv, mixed))) in sequences.iter_mut().zip(values).enumerate() {
                arch.dispatch(Attend {
                    sizes: &self.sizes,
                    sinks: &layer.sinks,
                    position: sequence.position,
                    memory: &mut sequence.memories[i],
                    turns: &turns[row * pairs..][..pairs],
                    scores,
                    qkv,
                    mixed,
                });
            }
            layer.out.apply(arch, mixed, change);
            arch.dispatch(Add(x, change));
            layer.mlp_norm.apply(arch, x, normed);
            layer.up.apply(arch, normed, inner);
            arch.dispatch(Gelu(inner));
            layer.down.apply(arch, inner, change);
            arch.dispatch(Add(x, change));
        }
        self.norm.apply(arch, x, output);
        sequences.iter_mut().for_each(|sequence| sequence.position += 1);
    }
}

/// Attention of one layer at one position of a sequence, from `qkv`, `[3 * W]`, to `mixed`, `[W]`.
struct Attend<'a> {
    sizes: &'a Sizes,
    sinks: &'a [f32],
    position: u64,
    memory: &'a mut Memory,
    turns: &'a [(f32, f32)],
    scores: &'a mut [f32],
    qkv: &'a mut [f32],
    mixed: &'a mut [f32],
}

impl NullaryFnOnce for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { sizes, sinks, position, memory, turns, scores, qkv, mixed } = self;
        let &Sizes { width, heads, window, .. } = sizes;
        let size = width / heads;
        let scale = 1.0 / (size as f32).sqrt();
        let (slot, filled) = ring(position, window);
        let (q, kv) = qkv.split_at_mut(width);
        let (k, v) = kv.split_at_mut(width);
        for head in q.chunks_exact_mut(size).chain(k.chunks_exact_mut(size)) {
            rotate(head, turns);
        }
        for q in q.iter_mut() {
            *q *= scale;
        }
        for (keys, k) in memory.keys.chunks_exact_mut(window).zip(k) {
            keys[slot] = *k;
        }
        memory.values[slot * width..][..width].copy_from_slice(v);
        let scores = &mut scores[..filled];
        let heads = q.chunks_exact(size).zip(mixed.chunks_exact_mut(size)).zip(sinks);
        for (h, ((q, mixed), &sink)) in heads.enumerate() {
            memory.score(h, q, window, scores);
            softmax(scores, sink);
            memory.mix(h, scores, width, mixed);
        }
    }
}

impl Memory {
    /// Scores of head `h` for each filled slot.
    #[inline(always)]
    fn score(&self, h: usize, q: &[f32], window: usize, scores: &mut [f32]) {
        scores.fill(0.0);
        let keys = self.keys[h * q.len() * window..].chunks_exact(window);
        for (q, keys) in q.iter().zip(keys) {
            for (score, key) in scores.iter_mut().zip(keys) {
                *score += q * key;
            }
        }
    }

    /// The values of head `h` weighted by `shares`.
    #[inline(always)]
    fn mix(&self, h: usize, shares: &[f32], width: usize, mixed: &mut [f32]) {
        let values = &self.values[h * mixed.len()..];
        let (blocks, rest) = mixed.as_chunks_mut::<LANES>();
        let whole = blocks.len() * LANES;
        for (block, mixed) in blocks.iter_mut().enumerate() {
            let mut sums = [0.0; LANES]; // stay in registers
            for (share, row) in shares.iter().zip(values[block * LANES..].chunks(width)) {
                let Some(row) = row.first_chunk::<LANES>() else { break }; // none is that short
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += share * value;
                }
            }
            *mixed = sums;
        }
        rest.fill(0.0);
        for (share, row) in shares.iter().zip(values.chunks(width)) {
            for (sum, value) in rest.iter_mut().zip(&row[whole..]) {
                *sum += share * value;
            }
        }
    }
}

impl TransformerState {
    /// Back to the start of a sequence. What was remembered is out of sight, not erased.
    pub(crate) fn reset(&mut self) {
        self.position = 0;
        self.forgotten = 0;
    }

    /// Positions seen since the start.
    pub(crate) fn position(&self) -> u64 {
        self.forgotten + self.position
    }

    /// Forgets what it has seen, but goes on counting: the next position is as the first. Real-time
    /// safe.
    pub(crate) fn forget(&mut self) {
        self.forgotten += self.position;
        self.position = 0;
    }
}

/// Computes by how much the pairs of a head turn at `position`: cosine and sine.
fn set_turns(position: u64, turns: &mut [(f32, f32)]) {
    let pairs = turns.len() as f64;
    for (i, turn) in turns.iter_mut().enumerate() {
        // In double precision: a take may run for days.
        let rate = 10_000_f64.powf(-(i as f64) / pairs);
        let angle = (position as f64 * rate).rem_euclid(std::f64::consts::TAU);
        let (sin, cos) = angle.sin_cos();
        #[expect(clippy::cast_possible_truncation, reason = "rounding to working precision")]
        let rounded = (cos as f32, sin as f32);
        *turn = rounded;
    }
}

/// The slot of a position, and how many slots are filled once it is there.
fn ring(position: u64, window: usize) -> (usize, usize) {
    let window = window as u64;
    let (slot, filled) = (position % window, window.min(position + 1));
    #[expect(clippy::cast_possible_truncation, reason = "both are at most the window")]
    let both = (slot as usize, filled as usize);
    both
}

/// Turns channel i of a head with channel i + d/2.
#[inline(always)]
fn rotate(head: &mut [f32], turns: &[(f32, f32)]) {
    let (low, high) = head.split_at_mut(head.len() / 2);
    for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(turns) {
        (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
    }
}

/// Scores to shares; what the sink takes is missing from their sum.
#[inline(always)]
fn softmax(scores: &mut [f32], sink: f32) {
    let max = max_of(scores).max(sink);
    for score in scores.iter_mut() {
        *score = math::exp(*score - max);
    }
    let sum = sum_of(scores, |share| share) + math::exp(sink - max);
    let scale = 1.0 / sum;
    for share in scores.iter_mut() {
        *share *= scale;
    }
}
