//! How much of what a prior makes is copied, and whether copies are recognized.
//!
//! Takes are made at several settings of novelty, and compared with the corpus that the bundle keeps
//! as they would be while playing. What recordings that were held out share with the corpus says how
//! much is no sign of copying. The comparison itself is tried on planted copies: pieces of the
//! corpus, as the codec plays them, at other levels, with noise 20 dB below them.

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::codes::Codes;
use distill_shared::model::config::CodecConfig;
use distill_shared::player::{
    CopyCheck, Copying, Decoder, KeptCorpus, Model, Sampling, Take, TakeKey, philox,
};
use distill_shared::stft::FLOOR;
use rayon::prelude::*;
use serde::Serialize;

/// Settings of novelty that takes are made at.
pub const NOVELTIES: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Takes for each of them.
const TAKES: u64 = 8;
/// Length of a take in seconds.
const TAKE_S: f64 = 20.0;
/// Planted copies, at most.
const PLANTED: usize = 100;
/// Length of a planted copy in seconds, at most.
const PLANTED_S: f64 = 4.0;
/// Level of the noise on planted copies, as an amplitude: 20 dB down.
const NOISE: f32 = 0.1;
/// Mean power of a bin below which there is nothing to plant.
const SILENT: f32 = 1e-12;
/// Levels of planted copies.
const GAINS: [f32; 4] = [0.25, 0.5, 1.0, 2.0];

/// How much is copied.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CopyFigures {
    /// Takes, at each of [`NOVELTIES`].
    pub takes: Vec<Shared>,
    /// Recordings that were held out.
    pub held_out: Shared,
    /// Planted copies that were recognized, as a share; none if the corpus has no pieces to plant.
    pub planted_found: Option<f64>,
}

/// What sounds share with the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Shared {
    /// Sounds of which any part is copied, as a share.
    pub alarms: f64,
    /// Frames that are copied, as a share.
    pub copied: f64,
    /// The longest run that is copied from one place, in seconds.
    pub longest_s: f64,
    /// The median distance to the nearest place of the corpus, 0 to 1.
    pub distance: f64,
}

/// Measures `model` if it keeps its corpus. Runs on the threads of the current pool.
///
/// # Errors
///
/// Fails if the model has no prior.
pub fn copying(
    model: &Arc<Model>,
    held: &[&Codes],
    trained: &[&Codes],
    seed: u64,
) -> Result<Option<CopyFigures>> {
    let Some(corpus) = model.kept_corpus() else { return Ok(None) };
    let takes = NOVELTIES.map(|novelty| {
        let takes = (0..TAKES).into_par_iter();
        let heard = takes.map(|take| take_heard(model, novelty, TakeKey { seed, take }));
        Ok(summary(&heard.collect::<Result<Vec<_>>>()?, model))
    });
    let held_out = shared_with_corpus(model, held).unwrap_or_default();
    let stride = trained.len().div_ceil(PLANTED).max(1);
    let planted: Vec<bool> = trained
        .par_iter()
        .step_by(stride)
        .enumerate()
        .filter_map(|(i, codes)| is_found(model, corpus, codes, i))
        .collect();
    let found = planted.iter().filter(|found| **found).count() as f64;
    Ok(Some(CopyFigures {
        takes: takes.into_iter().collect::<Result<_>>()?,
        held_out,
        planted_found: (!planted.is_empty()).then(|| found / planted.len() as f64),
    }))
}

/// What recordings, by their codes, share with the corpus that `model` keeps, if it does. Runs on the
/// threads of the current pool.
#[must_use]
pub fn shared_with_corpus(model: &Arc<Model>, recordings: &[&Codes]) -> Option<Shared> {
    let corpus = model.kept_corpus()?;
    let heard: Vec<Vec<Copying>> =
        recordings.par_iter().map(|codes| codes_heard(model, corpus, codes)).collect();
    Some(summary(&heard, model))
}

/// Makes a take and compares each of its frames.
fn take_heard(model: &Arc<Model>, novelty: f32, key: TakeKey) -> Result<Vec<Copying>> {
    let codec = &model.config().codec;
    let mut take = Take::new(Arc::clone(model), key)?;
    let mut frame = vec![0.0; codec.channels * codec.hop()];
    let sampling = Sampling { novelty, ..Sampling::default() };
    let mut heard = Vec::new();
    for _ in 0..frames(TAKE_S, model) {
        take.step(&sampling, &mut frame);
        heard.push(take.copying().context("the model keeps nothing of its corpus")?);
    }
    Ok(heard)
}

/// Compares each frame of a recording that is known by its codes.
fn codes_heard(model: &Arc<Model>, corpus: &Arc<KeptCorpus>, codes: &Codes) -> Vec<Copying> {
    let mut check = CopyCheck::new(&model.config().codec, corpus);
    let mut heard = Vec::new();
    Decoder::new(Arc::clone(model)).visit_features(codes.as_slice(), |features| {
        check.hear(features);
        heard.push(check.newest());
    });
    heard
}

/// Whether a copy of the beginning of `codes` is recognized, at another level and with noise; none if
/// there is hardly anything to hear. `number` decides level and noise.
fn is_found(
    model: &Arc<Model>,
    corpus: &Arc<KeptCorpus>,
    codes: &Codes,
    number: usize,
) -> Option<bool> {
    let frames = codes.frames().min(frames(PLANTED_S, model));
    let codes = &codes.as_slice()[..frames * codes.quantizers()];
    let mut features = Decoder::new(Arc::clone(model)).decode_features(codes);
    let gain = GAINS[number % GAINS.len()];
    let codec = &model.config().codec;
    add_noise(&mut features, codec, gain, number)?;
    let mut check = CopyCheck::new(codec, corpus);
    Some(features.chunks_exact(codec.frame_features()).any(|features| {
        check.hear(features);
        check.newest().is_copied()
    }))
}

/// Adds white noise 20 dB below them to the spectra that features, `[T, X]`, tell of, and turns them
/// up by `gain`; none if they are silent. `number` decides the noise.
#[expect(clippy::cast_possible_truncation, reason = "numbers of frames and bins")]
fn add_noise(features: &mut [f32], codec: &CodecConfig, gain: f32, number: usize) -> Option<()> {
    let magnitude = |log: f32| (log.exp() - FLOOR).max(0.0);
    let spectra = codec.bins() * codec.channels;
    let rows = || features.chunks_exact(codec.features());
    let logs = rows().flat_map(|row| &row[..spectra]);
    let power: f32 = logs.map(|log| magnitude(*log).powi(2)).sum();
    let power = power / (rows().len() * spectra) as f32;
    if power < SILENT {
        return None;
    }
    let deviation = NOISE * (power / 2.0).sqrt();
    for (t, row) in features.chunks_exact_mut(codec.features()).enumerate() {
        for (bin, log) in row[..spectra].iter_mut().enumerate() {
            let random = philox([bin as u32, t as u32, number as u32, 0], [0, 0]);
            let [radius, turn] = [random[0], random[1]].map(|r| (r as f32 + 1.0) / 4_294_967_296.0);
            // Box and Muller (1958).
            let radius = deviation * (-2.0 * radius.min(1.0).ln()).sqrt();
            let (sin, cos) = (std::f32::consts::TAU * turn).sin_cos();
            let noisy = (magnitude(*log) + radius * cos).hypot(radius * sin);
            *log = (gain * noisy + FLOOR).ln();
        }
    }
    Some(())
}

/// Frames in so many seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn frames(seconds: f64, model: &Model) -> usize {
    (seconds * model.config().codec.frame_rate()) as usize
}

/// What sounds that were compared frame by frame share with the corpus that `model` keeps.
pub(crate) fn summary(sounds: &[Vec<Copying>], model: &Model) -> Shared {
    let all = || sounds.iter().flatten();
    let count = all().count().max(1) as f64;
    let alarms = sounds.iter().filter(|heard| heard.iter().any(Copying::is_copied)).count();
    let mut distances: Vec<f32> = all().map(|copying| copying.distance).collect();
    distances.sort_by(f32::total_cmp);
    Shared {
        alarms: alarms as f64 / sounds.len().max(1) as f64,
        copied: all().filter(|copying| copying.is_copied()).count() as f64 / count,
        longest_s: f64::from(all().map(|copying| copying.run).max().unwrap_or(0))
            / model.config().codec.frame_rate(),
        distance: distances.get(distances.len() / 2).map_or(1.0, |distance| f64::from(*distance)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_as_far_below_as_it_says() {
        let codec = crate::train::toy_codec();
        let rows = 200;
        let mut features = vec![(1.0_f32 + FLOOR).ln(); rows * codec.features()];
        add_noise(&mut features, &codec, 1.0, 3).unwrap();
        let bins = features.chunks_exact(codec.features()).flat_map(|row| &row[..codec.bins()]);
        let magnitudes: Vec<f32> = bins.map(|log| log.exp() - FLOOR).collect();
        let count = magnitudes.len() as f32;
        let mean = magnitudes.iter().map(|m| m * m).sum::<f32>() / count;
        assert!((mean - 1.01).abs() < 0.005, "1 and a hundredth of noise are {mean}");
        let spread = magnitudes.iter().map(|m| (m - 1.0).powi(2)).sum::<f32>() / count;
        assert!((spread - 0.005).abs() < 0.001, "half of the noise goes along with it: {spread}");
        let mut silence = vec![FLOOR.ln(); rows * codec.features()];
        assert_eq!(add_noise(&mut silence, &codec, 1.0, 3), None);
    }
}
