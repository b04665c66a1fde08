//! The codec: encoder and decoder around the quantizer.
//!
//! The encoder reads features that [`crate::stft`] measures and ends in latents; the decoder starts
//! from quantized latents and ends in sound. The quantizer between them,
//! [`crate::quantizer::Codebooks`], learns without gradients and lives in host memory.

use candle_core::{Result, Tensor};

use super::config::CodecConfig;
use super::layers::{ConvNeXt, LayerNorm, Linear};
use super::synthesis::Synthesis;
use super::weights::{Scope, Weights};

/// Encoder and decoder. Weights: those of `codec.encoder` and `codec.decoder`.
#[derive(Debug, Clone)]
pub struct Codec {
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
        Ok(Self {
            encoder: Encoder::new(config, &scope.push("encoder"))?,
            decoder: Decoder::new(config, &scope.push("decoder"))?,
        })
    }

    /// Features `[B, T * stride, features]` to latents `[B, T, D]`.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn encode(&self, features: &Tensor) -> Result<Tensor> {
        self.encoder.forward(features)
    }

    /// Latents `[B, T, D]` to sound `[B, C, T * hop]`, mid before side, delayed by
    /// [`CodecConfig::delay`] samples.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        self.decoder.forward(latents)
    }
}

#[derive(Debug, Clone)]
struct Encoder {
    stride: usize,
    embed: Linear,
    embed_norm: LayerNorm,
    blocks: Vec<ConvNeXt>,
    norm: LayerNorm,
    project: Linear,
}

impl Encoder {
    fn new(config: &CodecConfig, scope: &Scope) -> Result<Self> {
        Ok(Self {
            stride: config.stride,
            embed: Linear::new(&scope.push("embed"))?,
            embed_norm: LayerNorm::new(&scope.push("embed_norm"))?,
            blocks: blocks(config.encoder_blocks, &scope.push("blocks"))?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            project: Linear::new(&scope.push("project"))?,
        })
    }

    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut x = self.embed_norm.forward(&self.embed.forward(features)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let x = self.norm.forward(&x)?; // [B, T * stride, W]
        let (batch, frames, width) = x.dims3()?;
        self.project.forward(&x.reshape((batch, frames / self.stride, self.stride * width))?)
    }
}

#[derive(Debug, Clone)]
struct Decoder {
    stride: usize,
    project: Linear,
    blocks: Vec<ConvNeXt>,
    norm: LayerNorm,
    head: Linear,
    synthesis: Synthesis,
}

impl Decoder {
    fn new(config: &CodecConfig, scope: &Scope) -> Result<Self> {
        Ok(Self {
            stride: config.stride,
            project: Linear::new(&scope.push("project"))?,
            blocks: blocks(config.decoder_blocks, &scope.push("blocks"))?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            head: Linear::new(&scope.push("head"))?,
            synthesis: Synthesis::new(config),
        })
    }

    fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let (batch, frames, _) = latents.dims3()?;
        let mut x = self.project.forward(latents)?.reshape((batch, frames * self.stride, ()))?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.synthesis.forward(&self.head.forward(&self.norm.forward(&x)?)?)
    }
}

fn blocks(count: usize, scope: &Scope) -> Result<Vec<ConvNeXt>> {
    (0..count).map(|i| ConvNeXt::new(&scope.push(i))).collect()
}
