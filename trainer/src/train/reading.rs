//! Reading a corpus as codes, with a codec that is trained.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use distill_shared::bundle::{CorpusCodes, Tensors};
use distill_shared::codes::Codes;
use distill_shared::model::codec::Codec;
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::Codebooks;

use super::Run;
use super::codebooks::level_use;
use super::codec::{CODEBOOKS, CROP_FRAMES};
use super::crops::Material;
use super::workers::Workers;
use crate::corpus::Corpus;
use crate::events::LevelUse;

/// Reads every recording of `corpus` as codes.
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
    let weights = Weights::from_tensors(tensors, "codec.", run.device)?;
    let codec = Codec::new(config, &weights)?;
    let entries = tensors.get(CODEBOOKS).context("the codebooks are missing")?.to_f32();
    let books = Codebooks::new(config.quantizers, config.codebook_size, config.latent_dim, entries);
    let all = Material::new(corpus, corpus.recordings.iter(), config, CROP_FRAMES);
    let codes = Workers::new(run.threads)?
        .run(all.len(), |i| encode_recording(&all, i, config, &codec, &books, run.device))?;
    let named = corpus.recordings.iter().zip(codes).map(|(recording, codes)| CorpusCodes {
        name: recording.name.clone(),
        class: recording.class.clone(),
        held_out: recording.held_out,
        codes,
    });
    Ok(named.collect())
}

/// Encodes one recording in pieces, each with the history that its first frame can look back on.
fn encode_recording(
    all: &Material,
    recording: usize,
    config: &CodecConfig,
    codec: &Codec,
    books: &Codebooks,
    device: &Device,
) -> Result<Codes> {
    const PIECE: usize = 512;
    let history = config.encoder_blocks * (config.kernel - 1);
    let frames = all.frames(recording);
    let mut codes = Codes::new(config.quantizers);
    let mut row = vec![0; config.quantizers];
    for start in (0..frames).step_by(PIECE) {
        let from = start.saturating_sub(history);
        let end = frames.min(start + PIECE);
        let crop = all.crop(recording, from, end - from);
        let shape = (1, end - from, config.frame_features());
        let features = Tensor::from_vec(crop, shape, device)?;
        let latents = codec.encode(&features)?.detach().flatten_all()?.to_vec1::<f32>()?;
        for latent in latents.chunks_exact(config.latent_dim).skip(start - from) {
            books.encode(latent, &mut row);
            codes.push(&row);
        }
    }
    Ok(codes)
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
