//! Reading a corpus as codes, with a codec that is trained.

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::{CorpusCodes, Tensors};
use distill_shared::model::config::{CodecConfig, ModelConfig};
use distill_shared::player::{Model, encode};
use distill_shared::quantizer::Quantizer;

use super::Run;
use super::codebooks::level_use;
use super::codec::CODEBOOKS;
use super::workers::Workers;
use crate::corpus::Corpus;
use crate::events::LevelUse;

/// Reads every recording of `corpus` as codes, as the player does.
///
/// # Errors
///
/// Fails if `tensors` are not those of a codec of `config`.
pub fn extract_code_sequences(
    corpus: &Corpus,
    config: &CodecConfig,
    tensors: &Tensors,
    run: &Run,
) -> Result<Vec<CorpusCodes>> {
    let whole = ModelConfig { codec: config.clone(), prior: None };
    let model = Arc::new(Model::new(&whole, tensors, "").context("cannot play the codec")?);
    let codes = Workers::new(run.threads)?.run(corpus.recordings.len(), |i| {
        let channels: Vec<&[f32]> = corpus.recordings[i].audio.iter().map(Vec::as_slice).collect();
        Ok(encode(&model, &channels))
    })?;
    let named = corpus.recordings.iter().zip(codes).map(|(recording, codes)| CorpusCodes {
        name: recording.name.clone(),
        class: recording.class.clone(),
        held_out: recording.held_out,
        codes,
    });
    Ok(named.collect())
}

/// The quantizer of a codec of `config`.
///
/// # Errors
///
/// Fails if `tensors` hold no codebooks.
pub fn quantizer(config: &CodecConfig, tensors: &Tensors) -> Result<Quantizer> {
    let entries = tensors.get(CODEBOOKS).context("the codebooks are missing")?.to_f32();
    Ok(Quantizer::new(config, entries))
}

/// Use of each level over whole sequences, coarse to fine.
#[must_use]
pub fn corpus_use(codes: &[CorpusCodes], config: &CodecConfig) -> Vec<LevelUse> {
    let mut chosen = vec![vec![0_u32; config.codebook_size]; config.quantizers];
    for codes in codes {
        for frame in codes.codes.as_slice().chunks_exact(config.quantizers) {
            chosen.iter_mut().zip(frame).for_each(|(level, &code)| level[code as usize] += 1);
        }
    }
    chosen.iter().map(|level| level_use(level)).collect()
}
