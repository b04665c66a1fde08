//! The codec: encoder and decoder around the quantizer.
//!
//! The encoder reads the features that [`crate::stft`] measures and ends in latents; the decoder
//! starts from quantized latents and ends in features again. Phases are not coded: they follow from
//! the magnitudes ([`crate::phases`]). The quantizer in between, [`crate::quantizer::Quantizer`],
//! learns without gradients and lives in host memory.
//!
//! Both work on features stretched where they are loud ([`crate::companding`]), as differences from
//! silence, weighted by [`weights_of`]. A fixed linear path, the principal components of the corpus,
//! runs beside the layers: what is learned is what a linear codec misses.

use candle_core::{Result, Tensor};

use super::config::CodecConfig;
use super::layers::{ConvNeXt, LayerNorm, Linear, project};
use super::ops;
use super::weights::{Scope, Weights};
use crate::stft::weights_of;

/// Weights that training leaves as they are.
pub const FIXED: [&str; 7] = [
    "codec.ceiling",
    "codec.level",
    "codec.memory",
    "codec.origin",
    "codec.peaks",
    "codec.encoder.basis",
    "codec.decoder.basis",
];

/// Encoder and decoder. Weights: those of `codec.origin`, `codec.encoder` and `codec.decoder`.
#[derive(Debug, Clone)]
pub struct Codec {
    /// `[X]` each.
    origin: Tensor,
    weights: Tensor,
    inverse_weights: Tensor,
    encoder: Encoder,
    decoder: Decoder,
}

impl Codec {
    /// Takes its weights.
    ///
    /// # Errors
    ///
    /// Fails if a weight is missing.
    pub fn new(config: &CodecConfig, weights: &Weights) -> Result<Self> {
        let scope = weights.scope("codec");
        let origin = scope.get("origin")?.detach();
        let weights = Tensor::from_vec(weights_of(config), origin.shape(), origin.device())?;
        Ok(Self {
            origin,
            inverse_weights: weights.recip()?,
            weights,
            encoder: Encoder::new(config, &scope.push("encoder"))?,
            decoder: Decoder::new(config, &scope.push("decoder"))?,
        })
    }

    /// Features `[B, T, X]` to latents `[B, T, D]`.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn encode(&self, features: &Tensor) -> Result<Tensor> {
        let stretched = ops::stretch(features)?;
        let centred = stretched.broadcast_sub(&self.origin)?.broadcast_mul(&self.weights)?;
        self.encoder.forward(&centred)
    }

    /// Latents `[B, T, D]` to features `[B, T, X]`.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let centred = self.decoder.forward(latents)?;
        ops::relax(&centred.broadcast_mul(&self.inverse_weights)?.broadcast_add(&self.origin)?)
    }
}

#[derive(Debug, Clone)]
struct Encoder {
    /// `[D, X]`.
    basis: Tensor,
    embed: Linear,
    embed_norm: LayerNorm,
    blocks: Vec<ConvNeXt>,
    norm: LayerNorm,
    project: Linear,
}

impl Encoder {
    fn new(config: &CodecConfig, scope: &Scope) -> Result<Self> {
        Ok(Self {
            basis: scope.get("basis")?.detach(),
            embed: Linear::new(&scope.push("embed"))?,
            embed_norm: LayerNorm::new(&scope.push("embed_norm"))?,
            blocks: blocks(config.encoder_blocks, &scope.push("blocks"))?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            project: Linear::new(&scope.push("project"))?,
        })
    }

    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut x = self.embed_norm.forward(&self.embed.forward(features)?)?; // [B, T, W]
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        project(features, &self.basis)? + self.project.forward(&self.norm.forward(&x)?)?
    }
}

#[derive(Debug, Clone)]
struct Decoder {
    /// `[X, D]`.
    basis: Tensor,
    project: Linear,
    blocks: Vec<ConvNeXt>,
    norm: LayerNorm,
    head: Linear,
}

impl Decoder {
    fn new(config: &CodecConfig, scope: &Scope) -> Result<Self> {
        Ok(Self {
            basis: scope.get("basis")?.detach(),
            project: Linear::new(&scope.push("project"))?,
            blocks: blocks(config.decoder_blocks, &scope.push("blocks"))?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            head: Linear::new(&scope.push("head"))?,
        })
    }

    fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let mut x = self.project.forward(latents)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        project(latents, &self.basis)? + self.head.forward(&self.norm.forward(&x)?)?
    }
}

fn blocks(count: usize, scope: &Scope) -> Result<Vec<ConvNeXt>> {
    (0..count).map(|i| ConvNeXt::new(&scope.push(i))).collect()
}
