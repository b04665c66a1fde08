//! Bundles, as they lie on disk.

use distill_shared::bundle::{Bundle, Card, CorpusCodes, CurvePoint, LevelHealth, PriorMetadata};
use distill_shared::codes::unflatten_codes;
use distill_shared::model::conditioning::{Conditioning, Distribution, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::model::copying::Kept;
use distill_shared::player::{Model, random_weights};
use safetensors::SafeTensors;

/// A bundle that is accepted is one to other programs too, comes back from being written, and plays.
pub fn check(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::read(bytes) else { return false };
    assert!(SafeTensors::deserialize(bytes).is_ok(), "other programs refuse it");
    let again = Bundle::read(&bundle.to_bytes()).expect("what was read can be written");
    assert_eq!(again.digest(), bundle.digest());
    assert_eq!(again.tensors(), bundle.tensors());
    assert_eq!(again.corpus_codes(), bundle.corpus_codes());
    assert_eq!(again.preview(), bundle.preview());
    assert_eq!(again.codec_digest(), bundle.codec_digest());
    let model = Model::from_bundle(&bundle).expect("it is valid");
    assert_eq!(model.has_prior(), bundle.has_prior());
    true
}

/// A bundle with everything, and one of a codec alone.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let codec = ModelConfig { prior: None, ..config() };
    [config(), codec].into_iter().map(|config| bundle(&config).to_bytes()).collect()
}

/// The smallest sizes with which there is everything.
#[must_use]
pub fn config() -> ModelConfig {
    let codec = CodecConfig {
        sample_rate: 8000,
        channels: 2,
        fft_size: 16,
        stft_hop: 4,
        stride: 1,
        width: 2,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 2,
        expansion: 1,
        latent_dim: 2,
        quantizers: 2,
        codebook_size: 4,
        memory: Some(0.8),
        coherence: 0.5,
        power_bands: 2,
        power: 1.0,
        gain: 0.7,
    };
    let prior = PriorConfig {
        hidden_size: 2,
        layers: 1,
        heads: 1,
        window: 4,
        depth_size: 2,
        depth_layers: 1,
        depth_heads: 1,
        ends: true,
        longest: Some(9),
        conditioning: Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32))),
            velocity: Some(Distribution(std::array::from_fn(|knot| knot as f32 - 60.0))),
            pitch: Pitches::new([60]),
            classes: vec!["a".to_owned()],
            ..Conditioning::default()
        },
        kept: Some(Kept { frames: 2, near: 0.02 }),
    };
    ModelConfig { codec, prior: Some(prior) }
}

/// A bundle of these sizes with everything that a bundle can hold.
///
/// # Panics
///
/// Panics if no bundle has these sizes.
#[must_use]
pub fn bundle(config: &ModelConfig) -> Bundle {
    let mut card = Card { name: "toy".to_owned(), ..Card::default() };
    card.codec.levels = vec![LevelHealth { used: 0.5, perplexity: 2.0 }];
    card.codec.training.curve = vec![CurvePoint { step: 9, ..CurvePoint::default() }];
    card.prior = config.prior.as_ref().map(|_| PriorMetadata::default());
    let corpus = CorpusCodes {
        name: "a \u{202e}\"\n.wav".to_owned(),
        codes: unflatten_codes(&[0, 1, 2, 3], 2).expect("two frames"),
        ..CorpusCodes::default()
    };
    Bundle::new(config.clone(), card, random_weights(config, 1))
        .and_then(|bundle| bundle.with_corpus_codes(&[corpus]))
        .and_then(|bundle| bundle.with_preview(&[vec![0.5, 0.0], vec![0.0, -1.0]]))
        .expect("all of it fits")
}
