//! A codec and a prior that learn in a second, and codes for the prior.

use distill_shared::bundle::CorpusCodes;
use distill_shared::codes::Codes;
use distill_shared::model::conditioning::Conditioning;
use distill_shared::model::config::{CodecConfig, PriorConfig};
use distill_shared::quantizer::{Codebooks, Memory, Quantizer};

pub(crate) fn codec_config() -> CodecConfig {
    CodecConfig {
        sample_rate: 48_000,
        channels: 1,
        fft_size: 256,
        stft_hop: 64,
        stride: 2,
        width: 12,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 3,
        expansion: 2,
        latent_dim: 4,
        quantizers: 2,
        codebook_size: 16,
        memory: Some(0.8),
        coherence: 0.5,
        power_bands: 4,
        power: 1.0,
        gain: 1.0,
    }
}

pub(crate) fn prior_config() -> PriorConfig {
    PriorConfig {
        hidden_size: 16,
        layers: 1,
        heads: 2,
        window: 16,
        depth_size: 8,
        depth_layers: 1,
        depth_heads: 2,
        conditioning: Conditioning::default(),
        ends: true,
        longest: None,
        kept: None,
    }
}

/// A codec, its quantizer, and codes of four recordings, one of which is held out.
pub(crate) fn codes() -> (CodecConfig, Quantizer, Vec<CorpusCodes>) {
    let config = codec_config();
    let (n, k) = (config.quantizers, config.codebook_size);
    let entry = |i: usize| ((i * 7919 % 101) as f32 - 50.0) / 25.0;
    let quantizer = Quantizer::new(
        Codebooks::of(&config, (0..n * k * config.latent_dim).map(entry).collect()),
        Memory::of(&config, Vec::new),
    );
    let recording = |i: u32| {
        let mut codes = Codes::new(n);
        (0..150).for_each(|t| codes.push(&[(t / 4 + i) % 16, (t * i) % 16]));
        CorpusCodes { name: i.to_string(), class: String::new(), held_out: i == 2, codes }
    };
    (config, quantizer, (1..5).map(recording).collect())
}
