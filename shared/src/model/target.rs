//! The target of the prior: where it expects the latent of the next frame to go.
//!
//! The codes of a frame add up to what is new in its latent. The prior foresees that sum, and a code
//! is the likelier the nearer its entry is to what the levels before it have left of it. So it need
//! not learn what each code means: the codebooks say it.

use candle_core::{Result, Tensor};

use super::config::CodecConfig;
use super::layers::Linear;
use super::weights::Weights;

/// What is foreseen, and how sure each level may be of it. Weights: those of `prior.target`.
#[derive(Debug, Clone)]
pub(super) struct Target {
    project: Linear,
    /// Share of the latent before that is foreseen to come again as news, `[D]`.
    keep: Tensor,
    /// How sure a frame may be, by level.
    confidence: Linear,
    /// How sure each level is in each channel, `[N, D]`.
    scale: Tensor,
    gain: Tensor,
    /// Entries as columns, `[N, D, K]`, and halves of their squares.
    columns: Tensor,
    half_squares: Tensor,
    /// `[N * K, D]`.
    rows: Tensor,
}

impl Target {
    pub(super) fn new(codec: &CodecConfig, weights: &Weights, books: &Tensor) -> Result<Self> {
        let scope = weights.scope("prior.target");
        let (n, k, d) = (codec.quantizers, codec.codebook_size, codec.latent_dim);
        let columns = books.transpose(1, 2)?.contiguous()?;
        Ok(Self {
            project: Linear::new(&scope)?,
            confidence: Linear::new(&scope.push("confidence"))?,
            keep: scope.get("keep")?,
            scale: scope.get("scale")?.detach(),
            gain: scope.get("gain")?,
            half_squares: (columns.sqr()? * 0.5)?,
            columns,
            rows: books.reshape((n * k, d))?,
        })
    }

    /// How near entries are to what is left of the target, `[N, M, K]`, halves of their squares,
    /// `[N, K]`, and how sure the target is, `[N, M]`, for the codes of `M` frames, `[M, N]`
    /// flattened: from what is known of each frame, `[M, H]`, and the latents before, `[M, D]`.
    /// `rows` are those of the codes in a table over all levels.
    pub(super) fn nearness(
        &self,
        hidden: &Tensor,
        latents: &Tensor,
        rows: &[u32],
    ) -> Result<[Tensor; 3]> {
        let (n, d, _) = self.columns.dims3()?;
        let frames = hidden.dim(0)?;
        let target = (self.project.forward(hidden)? + latents.broadcast_mul(&self.keep)?)?;
        let rows = Tensor::from_slice(rows, frames * n, self.rows.device())?;
        let entries = self.rows.index_select(&rows, 0)?.reshape((frames, n, d))?;
        let mut left = Vec::with_capacity(n);
        let mut rest = target;
        for level in 0..n {
            left.push(rest.clone());
            rest = (rest - entries.narrow(1, level, 1)?.squeeze(1)?)?;
        }
        let left = Tensor::stack(&left, 0)?; // [N, M, D]
        let precision = (&self.scale * &self.gain)?.unsqueeze(1)?;
        let near = left.broadcast_mul(&precision)?.matmul(&self.columns)?;
        let half_squares = precision.matmul(&self.half_squares)?.squeeze(1)?;
        let sure = self.confidence.forward(hidden)?.exp()?.transpose(0, 1)?.contiguous()?;
        Ok([near, half_squares, sure])
    }
}
