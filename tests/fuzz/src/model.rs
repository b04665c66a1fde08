//! Sizes of a model that contradict themselves, or are those of no model that was ever trained.
//!
//! The input is the config of a bundle as JSON, a line break, and bytes from which weights are made: an
//! input that changes a size has tensors that fit it.

use std::sync::Arc;

use distill_shared::bundle::{Bundle, Card, Tensor, Tensors};
use distill_shared::codes::unflatten_codes;
use distill_shared::model::config::ModelConfig;
use distill_shared::player::{Model, Sampling, Take, TakeKey, decode, encode};

use crate::bundle;

/// Weights of the largest model that is made: larger ones only take longer.
const MOST_WEIGHTS: usize = 20_000;
/// Numbers of the longest memory of a take that is played.
const MOST_MEMORY: usize = 1 << 16;

/// Sizes that are accepted are those of a bundle that can be written, read and played.
pub fn check(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (config, rest) = bytes.split_at(end);
    let Ok(config) = serde_json::from_slice::<ModelConfig>(config) else { return false };
    if config.check().is_err() || config.parameters() > MOST_WEIGHTS {
        return false;
    }
    let weights = weights(&config, rest);
    let bundle =
        Bundle::new(config.clone(), Card::default(), weights).expect("its sizes are sound");
    let read = Bundle::read(&bundle.to_bytes()).expect("it was written");
    assert_eq!(read.digest(), bundle.digest());
    let model = Arc::new(Model::from_bundle(&bundle).expect("it is valid"));
    play(&model, &config);
    true
}

/// Plays what there is to play.
fn play(model: &Arc<Model>, config: &ModelConfig) {
    let codec = &config.codec;
    let sound = vec![0.25; codec.hop()];
    let channels = vec![sound.as_slice(); codec.channels];
    let codes = encode(model, &channels);
    assert!(codes.fit(codec.quantizers, codec.codebook_size), "codes are in their codebooks");
    let codes = codes.first(1);
    assert_eq!(decode(model, &codes, codec.hop()).len(), codec.channels * codec.hop());
    let memory = |layers: usize, frames: usize, size: usize| layers * frames * size;
    let Some(prior) = &config.prior else { return };
    if memory(prior.layers, prior.window, prior.hidden_size) > MOST_MEMORY {
        return;
    }
    let key = TakeKey { seed: 1, take: 2 };
    let mut take = Take::primed(Arc::clone(model), key, &codes).expect("there is a prior");
    let mut out = vec![0.0; codec.channels * codec.hop()];
    let bold = Sampling { temperature: 10.0, novelty: 1.0, ..Sampling::default() };
    let narrow = Sampling { temperature: 0.0, top_p: 0.0, top_k: 1, ..Sampling::default() };
    let recalled = Sampling { recall: 1.0, ..Sampling::default() };
    for sampling in [bold, narrow, recalled] {
        take.step(&sampling, &mut out);
    }
    let flat = vec![0; codec.quantizers];
    assert!(unflatten_codes(&flat, codec.quantizers).is_some());
}

/// The weights that `config` implies, from `bytes` over and over: small numbers, but for the ends of the
/// range, which are those of weights.
fn weights(config: &ModelConfig, bytes: &[u8]) -> Tensors {
    let bytes = if bytes.is_empty() { &[0] } else { bytes };
    let mut bytes = bytes.iter().cycle();
    let mut value = || match bytes.next() {
        Some(0xff) => -1e4,
        Some(0xfe) => 1e4,
        Some(byte) => f32::from(*byte) / 64.0 - 2.0,
        None => 0.0,
    };
    let tensors = config.tensors().into_iter().map(|(name, shape)| {
        let values = (0..shape.iter().product()).map(|_: usize| value()).collect();
        (name, Tensor::f32(&shape, values).expect("as many values as the shape holds"))
    });
    tensors.collect()
}

/// The config of a bundle with everything, and one of a codec alone.
///
/// # Panics
///
/// Panics if a config is no JSON.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let codec = ModelConfig { prior: None, ..bundle::config() };
    let text = |config| serde_json::to_string(&config).expect("numbers are JSON");
    let seed = |config| [text(config).as_bytes(), b"\n\x80\x90\x40\x7f\xff\x00\xa1"].concat();
    [bundle::config(), codec].map(seed).into()
}
