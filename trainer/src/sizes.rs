//! Sizes of codec and prior that suit a corpus.
//!
//! Little material asks for few layers, small codebooks and a small prior: each entry must be met often
//! enough to be learned, and a prior with room to spare learns its corpus by heart.

use distill_shared::bundle::CorpusCodes;
use distill_shared::model::conditioning::Conditioning;
use distill_shared::model::config::{CodecConfig, PriorConfig};

use crate::corpus::Corpus;

/// Sizes of a codec for `corpus`.
#[must_use]
pub fn adaptive_codec_config(corpus: &Corpus) -> CodecConfig {
    let minutes = corpus.seconds() / 60.0;
    let (quantizers, codebook_size, latent_dim, width, decoder_blocks) = match minutes {
        m if m < 3.0 => (16, 256, 256, 192, 4),
        m if m < 15.0 => (24, 256, 256, 256, 6),
        m if m < 60.0 => (24, 512, 256, 256, 6),
        _ => (24, 512, 256, 256, 8),
    };
    CodecConfig {
        sample_rate: corpus.sample_rate,
        channels: corpus.channels,
        fft_size: 2048,
        stft_hop: 512,
        stride: 2,
        width,
        encoder_blocks: 3,
        decoder_blocks,
        kernel: 7,
        expansion: 3,
        latent_dim,
        quantizers,
        codebook_size,
        memory: None,
        coherence: 0.3,
        power_bands: 64,
        power: 1.5,
        gain: corpus.gain,
    }
}

/// Sizes of a prior for `codes`, written by `codec`.
#[must_use]
pub fn adaptive_prior_config(codec: &CodecConfig, codes: &[CorpusCodes]) -> PriorConfig {
    let frames: usize = codes.iter().map(|codes| codes.codes.frames()).sum();
    let minutes = frames as f64 / codec.frame_rate() / 60.0;
    let (hidden_size, layers, depth_size) = match minutes {
        m if m < 3.0 => (128, 3, 96),
        m if m < 60.0 => (128, 3, 128),
        _ => (192, 4, 128),
    };
    PriorConfig {
        hidden_size,
        layers,
        heads: 4,
        window: 256,
        depth_size,
        depth_layers: 1,
        depth_heads: 4,
        conditioning: Conditioning::default(),
        ends: true,
        longest: None,
        kept: None,
    }
}
