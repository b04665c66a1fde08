//! What a prior keeps of its corpus, so that a player knows what is copied.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::bundle::{CorpusCodes, Tensor, Tensors};
use distill_shared::fingerprint::{BANDS, Fingerprint, Fingerprints};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::copying::{COARSE_CODES, FINGERPRINTS, Kept, MAX_KEPT_FRAMES, STARTS};
use distill_shared::player::{CopyCheck, Decoder, KeptCorpus, Model};
use pulp::Arch;

use super::Run;
use super::reading::codec_model;
use super::workers::Workers;

/// The range of the distance that counts as a copy. The least is what a copy with noise 20 dB below
/// it has; beyond the most, things only have something in common.
const NEAR: (f32, f32) = (1e-3, 2.5e-2);
/// The distance if there is nothing to measure it by.
const USUAL: f32 = 2e-3;
/// Share of the held-out recordings that may come as near as what counts as a copy, twice as far away.
const NEAREST: f32 = 0.05;

/// What is kept of a corpus, and its tensors.
#[derive(Debug, Clone)]
pub struct KeptParts {
    /// Its sizes.
    pub kept: Kept,
    /// `prior.kept.*`.
    pub tensors: Tensors,
}

/// Keeps those of `codes` that are not held out, as the codec of `config` plays them; those that are
/// decide how near a copy has to be. None if there is nothing to keep.
///
/// # Errors
///
/// Fails if `tensors` are not those of a codec of `config`, or threads cannot be started.
pub fn keep_corpus(
    codes: &[CorpusCodes],
    config: &CodecConfig,
    tensors: &Tensors,
    run: &Run,
) -> Result<Option<KeptParts>> {
    let model = codec_model(config, tensors)?;
    let workers = Workers::new(run.threads)?;
    let trained: Vec<&CorpusCodes> = codes.iter().filter(|one| !one.held_out).collect();
    // Of a corpus that is too long, as large a part of each recording.
    let all: usize = trained.iter().map(|one| one.codes.frames()).sum();
    let share = |frames: usize| (frames * MAX_KEPT_FRAMES / all.max(MAX_KEPT_FRAMES)).min(frames);
    let prints = workers.run(trained.len(), |i| {
        let codes = &trained[i].codes;
        let frames = share(codes.frames());
        Ok(fingerprints(&model, &codes.as_slice()[..frames * codes.quantizers()]))
    })?;
    let levels = Kept::levels(config);
    let coarse: Vec<u32> = trained
        .iter()
        .flat_map(|one| (0..share(one.codes.frames())).map(|t| one.codes.frame(t)))
        .flat_map(|frame| &frame[..levels])
        .copied()
        .collect();
    let frames = prints.iter().map(Vec::len).sum();
    let peak = prints.iter().flatten().flatten().fold(0.0, |a: f32, b| a.max(*b));
    if frames == 0 || peak <= 0.0 {
        return Ok(None);
    }
    let starts: Vec<bool> = prints.iter().flat_map(|one| (0..one.len()).map(|t| t == 0)).collect();
    let prints: Vec<f32> = prints.iter().flatten().flatten().map(|m| m / peak).collect();
    let prints = Tensor::f16(&[frames, BANDS], &prints).expect("the shape is that of the values");

    let guess = Kept { frames, near: USUAL };
    let corpus = Arc::new(KeptCorpus::new(guess, &prints.to_f32(), coarse.clone(), &starts));
    let held: Vec<&CorpusCodes> = codes.iter().filter(|one| one.held_out).collect();
    let nearest = workers.run(held.len(), |i| {
        let mut check = CopyCheck::new(config, &corpus);
        let mut least = 1.0_f32;
        Decoder::new(Arc::clone(&model)).visit_features(held[i].codes.as_slice(), |features| {
            check.hear(features);
            least = least.min(check.newest().distance);
        });
        Ok(least)
    })?;
    let as_numbers: Vec<f32> = coarse.iter().map(|&code| code as f32).collect();
    let coarse = if config.codebook_size <= WHOLE {
        Tensor::f16(&[frames, levels], &as_numbers)
    } else {
        Tensor::f32(&[frames, levels], as_numbers)
    }
    .expect("the shape is that of the values");
    let starts: Vec<f32> = starts.into_iter().map(|start| f32::from(u8::from(start))).collect();
    let starts = Tensor::f16(&[frames], &starts).expect("the shape is that of the values");
    Ok(Some(KeptParts {
        kept: Kept { frames, near: near(nearest) },
        tensors: Tensors::from([
            (FINGERPRINTS.to_owned(), prints),
            (COARSE_CODES.to_owned(), coarse),
            (STARTS.to_owned(), starts),
        ]),
    }))
}

/// Fingerprints of the frames of `codes`, `[T, N]`.
fn fingerprints(model: &Arc<Model>, codes: &[u32]) -> Vec<Fingerprint> {
    let fingerprints = Fingerprints::new(&model.config().codec);
    let mut prints = Vec::new();
    Decoder::new(Arc::clone(model)).visit_features(codes, |features| {
        prints.push(fingerprints.of_frame(Arch::new(), features));
    });
    prints
}

/// Up to here every whole number is a 16-bit float.
const WHOLE: usize = 2048;

/// The distance that counts as a copy, from how near each held-out recording comes to the corpus.
fn near(mut nearest: Vec<f32>) -> f32 {
    nearest.sort_by(f32::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let rank = (NEAREST * nearest.len() as f32) as usize;
    nearest.get(rank).map_or(USUAL, |distance| (0.5 * distance).clamp(NEAR.0, NEAR.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_nearer_than_recordings_that_were_held_out() {
        assert_eq!(near(vec![]), USUAL);
        assert!((near(vec![0.04, 0.03, 0.02]) - 0.01).abs() < 1e-6, "half as far as the nearest");
        assert_eq!(near(vec![0.0]), NEAR.0, "unless the same sound was held out");
        assert_eq!(near(vec![0.9]), NEAR.1);
        let one_in_twenty: Vec<f32> = (0..40).map(|i| if i < 2 { 0.0 } else { 0.02 }).collect();
        assert!((near(one_in_twenty) - 0.01).abs() < 1e-6, "one in twenty may come nearer");
    }
}
