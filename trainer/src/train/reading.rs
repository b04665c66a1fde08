//! Reading a corpus as codes, with a codec that is trained.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{CorpusCodes, Tensors};
use distill_shared::model::config::{CodecConfig, ModelConfig};
use distill_shared::player::{Model, decode, encode, random_weights};
use distill_shared::quantizer::{Codebooks, Memory, Quantizer};

use super::Run;
use super::codebooks::level_use;
use super::codec::{CODEBOOKS, MEMORY};
use super::workers::Workers;
use crate::corpus::Corpus;
use crate::descriptors::{Moment, listen};
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
    let model = codec_model(config, tensors)?;
    let codes = Workers::new(run.threads)?.run(corpus.recordings.len(), |i| {
        let audio = corpus.recordings[i].sound.whole()?;
        let channels: Vec<&[f32]> = audio.iter().map(Vec::as_slice).collect();
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

/// Listens to recordings as the codec plays them from their codes: what is heard in each frame.
/// Nothing is heard of those that are held out, from which nothing may be learned.
///
/// # Errors
///
/// Fails if `tensors` are not those of a codec of `config`, or threads cannot be started.
pub fn listen_to_codes(
    codes: &[CorpusCodes],
    config: &CodecConfig,
    tensors: &Tensors,
    run: &Run,
) -> Result<Vec<Vec<Moment>>> {
    let model = codec_model(config, tensors)?;
    Workers::new(run.threads)?.run(codes.len(), |i| {
        if codes[i].held_out {
            return Ok(Vec::new());
        }
        let samples = codes[i].codes.frames() * config.hop();
        let sound = decode(&model, &codes[i].codes, samples);
        let channels: Vec<Vec<f32>> = sound.chunks(samples.max(1)).map(<[f32]>::to_vec).collect();
        Ok(listen(&channels, config.sample_rate, config.hop()))
    })
}

/// Seconds that a thread takes to read a second of sound with a codec of `config` and to listen to what it
/// keeps: that does not hang on its weights.
///
/// # Errors
///
/// Fails if the sizes are not those of a codec.
pub fn reading_pace(config: &CodecConfig) -> Result<f64> {
    let whole = ModelConfig { codec: config.clone(), prior: None };
    let model = codec_model(config, &random_weights(&whole, 0))?;
    let samples = usize::try_from(config.sample_rate)?;
    let noise = |t: usize| ((t * (t + 7)) % 997) as f32 / 997.0 - 0.5;
    let channels = vec![(0..samples).map(noise).collect::<Vec<f32>>(); config.channels];
    let start = Instant::now();
    let codes = encode(&model, &channels.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let sound = decode(&model, &codes, samples);
    let channels: Vec<Vec<f32>> = sound.chunks(samples.max(1)).map(<[f32]>::to_vec).collect();
    let _moments = listen(&channels, config.sample_rate, config.hop());
    Ok(start.elapsed().as_secs_f64())
}

/// A codec without a prior, to play with.
pub(super) fn codec_model(config: &CodecConfig, tensors: &Tensors) -> Result<Arc<Model>> {
    let whole = ModelConfig { codec: config.clone(), prior: None };
    Ok(Arc::new(Model::new(&whole, tensors, "").context("cannot play the codec")?))
}

/// The quantizer of a codec of `config`.
///
/// # Errors
///
/// Fails if `tensors` hold no codebooks, or not what a latent is expected to keep.
pub fn quantizer(config: &CodecConfig, tensors: &Tensors) -> Result<Quantizer> {
    let entries = tensors.get(CODEBOOKS).context("the codebooks are missing")?.to_f32();
    ensure!(config.memory.is_some() || tensors.contains_key(MEMORY), "{MEMORY} is missing");
    let memory = Memory::of(config, || tensors[MEMORY].to_f32());
    Ok(Quantizer::new(Codebooks::of(config, entries), memory))
}

/// Use of each level over whole sequences, coarse to fine.
#[must_use]
pub fn corpus_use(codes: &[CorpusCodes], config: &CodecConfig) -> Vec<LevelUse> {
    corpus_counts(codes, config).iter().map(|level| level_use(level)).collect()
}

/// How often each entry of each level occurs in whole sequences, `[N][K]`.
#[must_use]
pub fn corpus_counts(codes: &[CorpusCodes], config: &CodecConfig) -> Vec<Vec<u32>> {
    let mut chosen = vec![vec![0_u32; config.codebook_size]; config.quantizers];
    for codes in codes {
        for frame in codes.codes.as_slice().chunks_exact(config.quantizers) {
            chosen.iter_mut().zip(frame).for_each(|(level, &code)| level[code as usize] += 1);
        }
    }
    chosen
}
