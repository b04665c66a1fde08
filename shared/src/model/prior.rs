//! The prior: a transformer over frames, and a small one over the levels of each frame.
//!
//! The factorization of RQ-Transformer (Lee et al. 2022, <https://arxiv.org/abs/2203.01941>):
//! the same order of prediction as one time-major sequence of codes, at about a tenth of its cost.

use candle_core::{Result, Tensor};

use super::attention::{Span, TransformerLayer};
use super::config::{CodecConfig, PriorConfig};
use super::cross_entropy::Scores;
use super::layers::{LayerNorm, Linear, project};
use super::target::Target;
use super::weights::Weights;

/// The trainable prior. Weights: those of `prior`.
#[derive(Debug, Clone)]
pub struct CodePrior {
    quantizers: usize,
    codebook_size: usize,
    start: Tensor,
    codes: Tensor,
    latent: Tensor,
    layers: Vec<TransformerLayer>,
    norm: LayerNorm,
    end: Option<Linear>,
    depth: DepthTransformer,
    target: Target,
}

impl CodePrior {
    /// Takes its weights, and the codebooks of the codec, `[N, K, D]`.
    ///
    /// # Errors
    ///
    /// Fails if a weight is missing.
    pub fn new(
        config: &PriorConfig,
        codec: &CodecConfig,
        weights: &Weights,
        books: &Tensor,
    ) -> Result<Self> {
        let scope = weights.scope("prior");
        let span = Span { heads: config.heads, window: config.window, rotary: true };
        let layers = scope.push("layers");
        let layers = (0..config.layers).map(|i| TransformerLayer::new(span, &layers.push(i)));
        Ok(Self {
            quantizers: codec.quantizers,
            codebook_size: codec.codebook_size,
            start: scope.get("start")?,
            codes: scope.get("codes")?,
            latent: scope.get("latent")?,
            layers: layers.collect::<Result<_>>()?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            end: config.ends.then(|| Linear::new(&scope.push("end"))).transpose()?,
            depth: DepthTransformer::new(config, codec, weights)?,
            target: Target::new(codec, weights, books)?,
        })
    }

    /// Embeds frames as inputs of [`Self::hidden`], `[M, H]` for `M` frames: their codes, `[M, N]`
    /// flattened, and the latents that the quantizer has after them, `[M, D]`. Codes tell what is
    /// new, latents what is there.
    ///
    /// # Errors
    ///
    /// Fails if a code is not below `K` or the shapes do not fit.
    pub fn embed(&self, codes: &[u32], latents: &Tensor) -> Result<Tensor> {
        let rows = rows(codes, self.quantizers, self.codebook_size);
        let frames = codes.len() / self.quantizers;
        let rows = Tensor::from_vec(rows, codes.len(), self.codes.device())?;
        let embedded = self.codes.index_select(&rows, 0)?;
        embedded.reshape((frames, self.quantizers, ()))?.sum(1)? + project(latents, &self.latent)?
    }

    /// The input that begins a take, and whatever begins anew in it: `[1, H]`.
    ///
    /// # Errors
    ///
    /// Fails if the tensor cannot be viewed as a row.
    pub fn start(&self) -> Result<Tensor> {
        self.start.unsqueeze(0)
    }

    /// Inputs `[B, T, H]`, each the frame before, to what is known about each frame: `[B, T, H]`.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn hidden(&self, inputs: &Tensor) -> Result<Tensor> {
        let mut x = inputs.clone();
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.norm.forward(&x)
    }

    /// Logits `[M]` of that each of `M` frames is the last of its recording, given what is known about
    /// each, `[M, H]`; none if it does not tell.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn ends(&self, hidden: &Tensor) -> Result<Option<Tensor>> {
        self.end.as_ref().map(|end| end.forward(hidden)?.squeeze(1)).transpose()
    }

    /// Logits `[N, M, K]` of the codes of `M` frames, given what is known about each, `[M, H]`, the
    /// latents before them, `[M, D]`, and their codes, `[M, N]` flattened; level n sees the codes of
    /// the levels before it.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn logits(&self, hidden: &Tensor, latents: &Tensor, codes: &[u32]) -> Result<Tensor> {
        self.scores(hidden, latents, codes)?.logits()
    }

    /// Cross-entropy `[N, M]` of the codes of `M` frames, as [`Self::logits`] says how likely they
    /// are.
    ///
    /// # Errors
    ///
    /// Fails if a code is not below `K` or the shapes do not fit.
    pub fn cross_entropy(
        &self,
        hidden: &Tensor,
        latents: &Tensor,
        codes: &[u32],
    ) -> Result<Tensor> {
        let n = self.quantizers;
        let by_level = (0..n).flat_map(|level| codes.iter().skip(level).step_by(n)).copied();
        self.scores(hidden, latents, codes)?.cross_entropy(by_level.collect())
    }

    fn scores(&self, hidden: &Tensor, latents: &Tensor, codes: &[u32]) -> Result<Scores> {
        let rows = rows(codes, self.quantizers, self.codebook_size);
        let [near, half_squares, sure] = self.target.nearness(hidden, latents, &rows)?;
        let depth = self.depth.forward(hidden, codes)?;
        Ok(Scores { depth, bias: self.depth.head_bias.clone(), near, half_squares, sure })
    }
}

/// Row of each code in a table of `[N * K]` rows.
fn rows(codes: &[u32], quantizers: usize, size: usize) -> Vec<u32> {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let levels = (0_u32..).take(quantizers).cycle();
    codes.iter().zip(levels).map(|(code, level)| level * size + code).collect()
}

/// The transformer over the levels of one frame.
#[derive(Debug, Clone)]
struct DepthTransformer {
    quantizers: usize,
    codebook_size: usize,
    project: Linear,
    levels: Tensor,
    codes: Tensor,
    layers: Vec<TransformerLayer>,
    norm: LayerNorm,
    head_weight: Tensor,
    head_bias: Tensor,
}

impl DepthTransformer {
    fn new(config: &PriorConfig, codec: &CodecConfig, weights: &Weights) -> Result<Self> {
        let scope = weights.scope("prior.depth");
        let span = Span { heads: config.depth_heads, window: codec.quantizers, rotary: false };
        let layers = scope.push("layers");
        let layers = (0..config.depth_layers).map(|i| TransformerLayer::new(span, &layers.push(i)));
        Ok(Self {
            quantizers: codec.quantizers,
            codebook_size: codec.codebook_size,
            project: Linear::new(&scope.push("project"))?,
            levels: scope.get("levels")?,
            codes: scope.get("codes")?,
            layers: layers.collect::<Result<_>>()?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            head_weight: scope.push("head").get("weight")?,
            head_bias: scope.push("head").get("bias")?,
        })
    }

    /// What it says of the codes of `M` frames, `[N, M, K]`, but for the bias of its heads.
    fn forward(&self, hidden: &Tensor, codes: &[u32]) -> Result<Tensor> {
        let (frames, n) = (hidden.dim(0)?, self.quantizers);
        let known = self.project.forward(hidden)?.unsqueeze(1)?; // [M, 1, E]
        let mut x = known.broadcast_add(&self.levels)?; // [M, N, E]
        if n > 1 {
            let before: Vec<u32> =
                codes.chunks_exact(n).flat_map(|frame| &frame[..n - 1]).copied().collect();
            let before = rows(&before, n - 1, self.codebook_size);
            let before = Tensor::from_vec(before, frames * (n - 1), self.codes.device())?;
            let before = self.codes.index_select(&before, 0)?.reshape((frames, n - 1, ()))?;
            x = (x + before.pad_with_zeros(1, 1, 0)?)?;
        }
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        let x = self.norm.forward(&x)?.transpose(0, 1)?.contiguous()?; // [N, M, E]
        x.matmul(&self.head_weight.transpose(1, 2)?)
    }
}
