//! Checkpoints of a run, as they lie on disk.

use distill_shared::bundle::{Archive, CodecMetadata};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::player::random_weights;
use distill_trainer::run_dir::checkpoint::{Checkpoint, FinishedCodec};
use distill_trainer::run_dir::terms::Terms;
use distill_trainer::train::{Stage, State};
use safetensors::SafeTensors;

use crate::bundle;

/// A file that is accepted is one to other programs too; that of a checkpoint tells where it is, and what
/// sizes it has if any.
pub fn check(bytes: &[u8]) -> bool {
    let archive = Archive::read(bytes);
    let checkpoint = Checkpoint::read(bytes);
    if archive.is_err() {
        assert!(checkpoint.is_err(), "it is accepted without its digest");
        return false;
    }
    assert!(SafeTensors::deserialize(bytes).is_ok(), "other programs refuse it");
    let Ok(checkpoint) = checkpoint else { return false };
    let _ = checkpoint.place();
    // It is told apart from what is asked for now.
    let differences = checkpoint
        .terms
        .differences(&Terms::default(), distill_trainer::run_dir::terms::Begun::Prior);
    assert!(differences.told.iter().all(|told| !told.is_empty()));
    if let Some(state) = &checkpoint.state {
        if let Ok(codec) = state.config::<CodecConfig>() {
            let _ = ModelConfig { codec, prior: None }.check();
        }
        if let Ok(prior) = state.config::<PriorConfig>() {
            let _ = prior.check();
        }
    }
    true
}

/// A codec that is being trained, and a prior that is.
///
/// # Panics
///
/// Panics if there is no checkpoint of them.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let sizes = ModelConfig { prior: None, ..bundle::config() };
    let weights = random_weights(&sizes, 1);
    let config = serde_json::to_string(&sizes.codec).expect("numbers are JSON");
    let state = |stage| State {
        stage,
        step: 7,
        text: format!(r#"{{"config":{config}}}"#),
        tensors: weights.clone(),
    };
    let finished = FinishedCodec {
        config: sizes.codec.clone(),
        weights: weights.clone(),
        metadata: CodecMetadata::default(),
    };
    let codec = Checkpoint {
        terms: Terms::default(),
        spent_s: 1.5,
        codec: None,
        state: Some(state(Stage::Codec)),
    };
    let prior =
        Checkpoint { codec: Some(finished), state: Some(state(Stage::Prior)), ..codec.clone() };
    [codec, prior].map(small).into()
}

/// The file of a checkpoint, without what pads it.
fn small(checkpoint: Checkpoint) -> Vec<u8> {
    let bytes = checkpoint.into_bytes().expect("its numbers are finite");
    let mut archive = Archive::read(&bytes).expect("it was written");
    archive.texts.values_mut().for_each(|text| *text = text.trim_end().to_owned());
    archive.to_bytes().expect("it has become smaller")
}
