//! ConvNeXt blocks, a few frames at a time.
//!
//! A block is `x + scale ⊙ down(gelu(up(norm(conv(x)))))` with a depthwise causal convolution
//! (Liu et al. 2022, <https://arxiv.org/abs/2201.03545>; in one dimension: Siuzdak 2023, "Vocos",
//! <https://arxiv.org/abs/2306.00814>).

use pulp::{Arch, NullaryFnOnce};

use super::elements::{Gelu, Norm};
use super::kernel::Linear;
use super::weights::Weights;
use crate::model::config::CodecConfig;

/// A stack of blocks of one width.
#[derive(Debug)]
pub(crate) struct Blocks {
    blocks: Vec<Block>,
    width: usize,
    kernel: usize,
    inner: usize,
}

/// One block.
#[derive(Debug)]
struct Block {
    /// `[kernel, W]`.
    conv: Vec<f32>,
    /// `[W]`.
    conv_bias: Vec<f32>,
    norm: Norm,
    up: Linear,
    down: Linear,
    /// `[W]`.
    scale: Vec<f32>,
}

/// What a stack carries from frame to frame of one stream.
#[derive(Debug)]
pub(crate) struct BlocksState {
    /// Per block the last inputs, then the new ones: `[kernel - 1 + rows, W]`.
    inputs: Vec<Vec<f32>>,
}

/// Room for the frames computed at once.
#[derive(Debug, Default)]
pub(crate) struct BlocksRoom {
    /// `[rows, W]` each.
    mixed: Vec<f32>,
    normed: Vec<f32>,
    /// `[rows, inner]`.
    inner: Vec<f32>,
}

impl Blocks {
    /// Packs the `count` blocks called `name`.
    pub(crate) fn new(weights: &Weights, name: &str, count: usize, config: &CodecConfig) -> Self {
        let (width, inner) = (config.width, config.width * config.expansion);
        let block = |i: usize| Block {
            conv: weights.values(&format!("{name}.{i}.conv.weight")),
            conv_bias: weights.values(&format!("{name}.{i}.conv.bias")),
            norm: weights.norm(&format!("{name}.{i}.norm")),
            up: weights.linear(&format!("{name}.{i}.up"), width),
            down: weights.linear(&format!("{name}.{i}.down"), inner),
            scale: weights.values(&format!("{name}.{i}.scale")),
        };
        Self { blocks: (0..count).map(block).collect(), width, kernel: config.kernel, inner }
    }

    /// The start of a stream, of which up to `rows` frames are computed at once.
    pub(crate) fn start(&self, rows: usize) -> BlocksState {
        let inputs = vec![0.0; (self.kernel - 1 + rows) * self.width];
        BlocksState { inputs: vec![inputs; self.blocks.len()] }
    }

    /// Room for up to `rows` frames, of one stream or of several.
    pub(crate) fn room(&self, rows: usize) -> BlocksRoom {
        BlocksRoom {
            mixed: vec![0.0; rows * self.width],
            normed: vec![0.0; rows * self.width],
            inner: vec![0.0; rows * self.inner],
        }
    }

    /// Runs the next frames of some streams, `[streams, T, W]`, through all blocks in place.
    pub(crate) fn step(
        &self,
        arch: Arch,
        room: &mut BlocksRoom,
        streams: &mut [&mut BlocksState],
        x: &mut [f32],
    ) {
        let BlocksRoom { mixed, normed, inner } = room;
        let (mixed, normed) = (&mut mixed[..x.len()], &mut normed[..x.len()]);
        let inner = &mut inner[..x.len() / self.width * self.inner];
        let past = (self.kernel - 1) * self.width;
        let len = x.len() / streams.len();
        for (i, block) in self.blocks.iter().enumerate() {
            let frames = x.chunks_exact(len).zip(mixed.chunks_exact_mut(len));
            for (stream, (x, out)) in streams.iter_mut().zip(frames) {
                let inputs = &mut stream.inputs[i][..past + len];
                inputs[past..].copy_from_slice(x);
                arch.dispatch(Convolve { block, inputs, out });
                inputs.copy_within(len.., 0);
            }
            block.norm.apply(arch, mixed, normed);
            block.up.apply(arch, normed, inner);
            arch.dispatch(Gelu(inner));
            block.down.apply(arch, inner, mixed);
            arch.dispatch(AddScaled { block, change: mixed, x });
        }
    }
}

/// Convolves `inputs`, `[kernel - 1 + rows, W]`, into `out`, `[rows, W]`.
struct Convolve<'a> {
    block: &'a Block,
    inputs: &'a [f32],
    out: &'a mut [f32],
}

impl NullaryFnOnce for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Block { conv, conv_bias, .. } = self.block;
        let width = conv_bias.len();
        for (t, out) in self.out.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(conv_bias);
            let rows = self.inputs[t * width..].chunks_exact(width);
            for (taps, row) in conv.chunks_exact(width).zip(rows) {
                for ((out, tap), x) in out.iter_mut().zip(taps).zip(row) {
                    *out += tap * x;
                }
            }
        }
    }
}

/// Adds `scale ⊙ change` to `x`, both `[rows, W]`.
struct AddScaled<'a> {
    block: &'a Block,
    change: &'a [f32],
    x: &'a mut [f32],
}

impl NullaryFnOnce for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let scale = &self.block.scale;
        let rows = self.x.chunks_exact_mut(scale.len()).zip(self.change.chunks_exact(scale.len()));
        for (x, change) in rows {
            for ((x, change), scale) in x.iter_mut().zip(change).zip(scale) {
                *x += scale * change;
            }
        }
    }
}

impl BlocksState {
    /// Forgets the past: back to the start of a stream.
    pub(crate) fn reset(&mut self) {
        self.inputs.iter_mut().for_each(|inputs| inputs.fill(0.0));
    }
}
