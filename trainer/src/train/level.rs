//! The level of what a codec plays.
//!
//! A codec that is trained on log-magnitudes learns the middle of what it cannot foretell, and the
//! middle of the logarithms of a noise lies below its power; phases that do not fit exactly take a
//! little more. Both are even enough to be measured once, in the end, and given back.

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::{Tensor, Tensors};
use distill_shared::model::config::{CodecConfig, ModelConfig};
use distill_shared::player::{Model, decode};
use distill_shared::stft::weights_of;

use super::Run;
use super::reading::extract_code_sequences;
use crate::corpus::{Corpus, Recording};

/// Excerpts that the level is measured on.
const EXCERPTS: usize = 32;
/// Length of an excerpt in seconds.
const EXCERPT_S: f64 = 2.0;
/// What is heard before an excerpt from inside a recording, in seconds.
const LEAD_S: f64 = 0.7;
/// The largest correction, in nepers.
const LARGEST: f64 = 0.7;
/// Mean power below which a channel is silent and stays as it is.
const SILENT: f64 = 1e-12;

/// Corrects the bias of the decoder's head so that what the player makes of excerpts of the corpus
/// has their power, and in stereo their width.
///
/// # Errors
///
/// Fails if `tensors` are not those of a codec of `config`.
pub(super) fn match_level(
    corpus: &Corpus,
    config: &CodecConfig,
    tensors: &mut Tensors,
    run: &Run,
) -> Result<()> {
    const BIAS: &str = "codec.decoder.head.bias";
    let (excerpts, leads) = excerpts(corpus);
    let codes = extract_code_sequences(&excerpts, config, tensors, run)?;
    let whole = ModelConfig { codec: config.clone(), prior: None };
    let model = Arc::new(Model::new(&whole, tensors, "").context("cannot play the codec")?);
    let (mut meant, mut played) = (vec![0.0; config.channels], vec![0.0; config.channels]);
    for ((recording, codes), &lead) in excerpts.recordings.iter().zip(&codes).zip(&leads) {
        let samples = recording.samples();
        let sound = decode(&model, &codes.codes, samples);
        let own: Vec<&[f32]> = recording.audio.iter().map(|channel| &channel[lead..]).collect();
        let sound: Vec<&[f32]> = sound.chunks(samples.max(1)).map(|c| &c[lead..]).collect();
        add_powers(&own, &mut meant);
        add_powers(&sound, &mut played);
    }
    let corrections: Vec<f32> =
        meant.iter().zip(&played).map(|(meant, played)| correction(*meant, *played)).collect();
    let bias = tensors.get(BIAS).context("the decoder has no head")?;
    let (shape, mut values) = (bias.shape().to_vec(), bias.to_f32());
    let weights = weights_of(config);
    for (i, (value, weight)) in values.iter_mut().zip(weights).enumerate() {
        // Coherences, which come last in each frame, have no level.
        if let Some(correction) = corrections.get(i % config.features() / config.bins()) {
            *value += correction * weight;
        }
    }
    let values = Tensor::f32(&shape, values).context("the bias keeps its shape")?;
    tensors.insert(BIAS.to_owned(), values);
    Ok(())
}

/// Excerpts spread evenly over the recordings to train on, and how many samples at the start of each
/// are only there to lead into it: inside a sound, no recording begins.
fn excerpts(corpus: &Corpus) -> (Corpus, Vec<usize>) {
    let train: Vec<&Recording> = corpus.train().collect();
    let total: usize = train.iter().map(|recording| recording.samples()).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let [length, lead] =
        [EXCERPT_S, LEAD_S].map(|seconds| (seconds * f64::from(corpus.sample_rate)) as usize);
    let excerpt = |i: usize| {
        let mut at = total * i / EXCERPTS;
        let recording = train.iter().find(|recording| {
            let inside = at < recording.samples();
            at -= if inside { 0 } else { recording.samples() };
            inside
        })?;
        // The last excerpt of a recording ends where it ends.
        let start = at.min(recording.samples().saturating_sub(length));
        let (from, end) = (start.saturating_sub(lead), recording.samples().min(start + length));
        let audio = recording.audio.iter().map(|channel| channel[from..end].to_vec()).collect();
        let name = format!("{} from {start}", recording.name);
        let class = String::new();
        Some((Recording { name, class, audio, held_out: false }, start - from))
    };
    let (recordings, leads) = (0..EXCERPTS).filter_map(excerpt).unzip();
    let &Corpus { channels, sample_rate, gain, .. } = corpus;
    (Corpus { recordings, channels, sample_rate, gain }, leads)
}

/// Adds the mean powers of a sound: of mono itself, or of mid and side.
fn add_powers(audio: &[&[f32]], powers: &mut [f64]) {
    let mean = |values: &mut dyn Iterator<Item = f32>| {
        let squares = values.map(|value| f64::from(value) * f64::from(value));
        squares.sum::<f64>() / audio[0].len().max(1) as f64
    };
    match audio {
        [left, right] => {
            let pairs = || left.iter().zip(*right);
            powers[0] += mean(&mut pairs().map(|(left, right)| 0.5 * (left + right)));
            powers[1] += mean(&mut pairs().map(|(left, right)| 0.5 * (left - right)));
        }
        _ => powers[0] += mean(&mut audio[0].iter().copied()),
    }
}

/// What to add to log-magnitudes so that the power `played` becomes `meant`.
fn correction(meant: f64, played: f64) -> f32 {
    if meant < SILENT || played < SILENT {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "small")]
    let correction = (0.5 * (meant / played).ln()).clamp(-LARGEST, LARGEST) as f32;
    correction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_quiet_is_corrected_by_as_much() {
        let of = |left: f32, right: f32| {
            let mut powers = [0.0; 2];
            add_powers(&[&[left; 100], &[right; 100]], &mut powers);
            powers
        };
        let (meant, played) = (of(0.5, 0.1), of(0.4, 0.2)); // mid 0.3 both, side 0.2 and 0.1
        assert!(correction(meant[0], played[0]).abs() < 1e-6);
        assert!((correction(meant[1], played[1]) - 2.0_f32.ln()).abs() < 1e-6);
        assert_eq!(correction(0.0, played[0]), 0.0, "silence stays as it is");
        assert_eq!(correction(1.0, 1e-9), 0.7, "what is far off is not trusted");
    }

    #[test]
    fn excerpts_come_from_all_over_the_training_part() {
        let recording = |name: &str, seconds: usize, held_out| Recording {
            name: name.to_owned(),
            class: String::new(),
            audio: vec![vec![0.1; 48_000 * seconds]; 2],
            held_out,
        };
        let mut corpus = Corpus::new(vec![recording("a", 60, false), recording("b", 1, false)], 0);
        corpus.recordings[0].held_out = false;
        corpus.recordings[1].held_out = false;
        let (excerpts, leads) = excerpts(&corpus);
        assert_eq!((excerpts.recordings.len(), leads.len()), (EXCERPTS, EXCERPTS));
        let starts: std::collections::BTreeSet<_> =
            excerpts.recordings.iter().map(|excerpt| &excerpt.name).collect();
        assert!(starts.len() > EXCERPTS / 2, "{starts:?}");
        for (excerpt, lead) in excerpts.recordings.iter().zip(leads) {
            let heard = excerpt.samples() - lead;
            assert!(heard <= 96_000 && heard > 0);
            assert_eq!(lead > 0, !excerpt.name.ends_with(" from 0"), "{}", excerpt.name);
        }
    }
}
