//! A small model with random weights.

use std::sync::Arc;

use distill_shared::codes::Codes;
use distill_shared::model::conditioning::{Conditioning, Distribution, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::model::copying::Kept;
use distill_shared::player::{Model, TakeKey, random_weights, uniform};
use pulp::Arch;

pub(crate) const KEY: TakeKey = TakeKey { seed: 11, take: 3 };
pub(crate) const LEVELS: usize = 3;
pub(crate) const HOP: usize = 32;

/// Sizes that are no multiples of what the player computes side by side.
pub(crate) fn config(channels: usize) -> ModelConfig {
    let codec = CodecConfig {
        sample_rate: 8000,
        channels,
        fft_size: 64,
        stft_hop: 16,
        stride: 2,
        width: 20,
        encoder_blocks: 1,
        decoder_blocks: 2,
        kernel: 3,
        expansion: 2,
        latent_dim: 5,
        quantizers: LEVELS,
        codebook_size: 9,
        memory: None,
        coherence: 0.5,
        power_bands: 4,
        power: 1.0,
        gain: 0.5,
    };
    let prior = PriorConfig {
        hidden_size: 40,
        layers: 2,
        heads: 2,
        window: 5,
        depth_size: 12,
        depth_layers: 1,
        depth_heads: 2,
        ends: true,
        longest: None,
        kept: Some(Kept { frames: 300, near: 0.02 }),
        conditioning: Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32))),
            pitch: Pitches::new(60..=72),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Conditioning::default()
        },
    };
    ModelConfig { codec, prior: Some(prior) }
}

/// A model that plays with the instructions of `arch`.
pub(crate) fn model_for(arch: Arch, channels: usize) -> Arc<Model> {
    let config = config(channels);
    let weights = random_weights(&config, 1);
    let model = Model::for_instructions(arch, &config, &weights, "digest");
    Arc::new(model.expect("the weights fit"))
}

pub(crate) fn model(channels: usize) -> Arc<Model> {
    model_for(Arch::new(), channels)
}

pub(crate) fn random_codes(frames: u32) -> Codes {
    let mut codes = Codes::new(LEVELS);
    for t in 0..frames {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
        codes.push(&[0, 1, 2].map(|level| (9.0 * uniform(KEY, t, 100 + level)) as u32));
    }
    codes
}
