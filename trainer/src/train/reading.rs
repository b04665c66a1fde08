//! Reading a corpus as codes, with a codec that is trained.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use distill_shared::bundle::{CorpusCodes, Tensors};
use distill_shared::codes::Codes;
use distill_shared::model::codec::Codec;
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::Quantizer;

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
    let quantizer = quantizer(config, tensors)?;
    let all = Material::new(corpus, corpus.recordings.iter(), config, CROP_FRAMES);
    let codes = Workers::new(run.threads)?
        .run(all.len(), |i| encode_recording(&all, i, config, &codec, &quantizer, run.device))?;
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

/// Encodes one recording in pieces, each with the history that its first frame can look back on.
fn encode_recording(
    all: &Material,
    recording: usize,
    config: &CodecConfig,
    codec: &Codec,
    quantizer: &Quantizer,
    device: &Device,
) -> Result<Codes> {
    const PIECE: usize = 512;
    let history = config.encoder_blocks * (config.kernel - 1);
    let frames = all.frames(recording);
    let mut codes = Codes::new(config.quantizers);
    let (mut row, mut state) = (vec![0; config.quantizers], vec![0.0; config.latent_dim]);
    for start in (0..frames).step_by(PIECE) {
        let from = start.saturating_sub(history);
        let end = frames.min(start + PIECE);
        let crop = all.crop(recording, from, end - from);
        let shape = (1, end - from, config.frame_features());
        let features = Tensor::from_vec(crop.features, shape, device)?;
        let latents = codec.encode(&features)?.detach().flatten_all()?.to_vec1::<f32>()?;
        for latent in latents.chunks_exact(config.latent_dim).skip(start - from) {
            quantizer.encode(latent, &mut state, &mut row);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use distill_shared::model::config::ModelConfig;
    use distill_shared::player::random_weights;

    use super::super::toy_codec;
    use super::*;
    use crate::corpus::Recording;
    use crate::train::draw::{Draw, Purpose};

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
    fn a_long_recording_is_read_as_if_in_one_go() -> Result<()> {
        let config = CodecConfig {
            fft_size: 64,
            stft_hop: 16,
            kernel: 3,
            latent_dim: 4,
            codebook_size: 16,
            memory: 0.9,
            ..toy_codec()
        };
        let mut draw = Draw::new(1, Purpose::Weights, 0);
        let noise: Vec<f32> = (0..700 * 32).map(|_| 0.2 * draw.normal() as f32).collect();
        let recording = Recording {
            name: "long".to_owned(),
            class: String::new(),
            audio: vec![noise],
            held_out: false,
        };
        let mut corpus = Corpus::new(vec![recording], 0);
        corpus.gain = 1.0;
        let whole = ModelConfig { codec: config.clone(), prior: None };
        let tensors = random_weights(&whole, 3);
        let (cancel, device) = (AtomicBool::new(false), Device::Cpu);
        let run = Run { device: &device, threads: 1, cancel: &cancel, events: &mut |_| () };
        let read = extract_code_sequences(&corpus, &config, &tensors, &run)?;

        let material = Material::new(&corpus, corpus.recordings.iter(), &config, CROP_FRAMES);
        let frames = material.frames(0);
        let crop = material.crop(0, 0, frames);
        let features =
            Tensor::from_vec(crop.features, (1, frames, config.frame_features()), &device)?;
        let codec = Codec::new(&config, &Weights::from_tensors(&tensors, "codec.", &device)?)?;
        let latents = codec.encode(&features)?.flatten_all()?.to_vec1::<f32>()?;
        let (quantizer, mut state) = (quantizer(&config, &tensors)?, vec![0.0; 4]);
        let mut same = 0;
        for (t, latent) in latents.chunks_exact(4).enumerate() {
            let mut codes = [0; 2];
            quantizer.encode(latent, &mut state, &mut codes);
            let read = read[0].codes.frame(t);
            same += usize::from(read == codes);
            // Where the second piece begins, nothing may be forgotten.
            assert!(
                !(512..530).contains(&t) || read == codes,
                "frame {t}: {read:?}, not {codes:?}"
            );
        }
        // Rounding may differ with the length of a piece, and choose another entry once in a while.
        assert!(same * 100 >= frames * 98, "{same} of {frames} frames are the same");
        Ok(())
    }
}
