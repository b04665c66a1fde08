//! Sounds in the report: recordings beside what the codec keeps of them, and new sound.

use std::sync::Arc;

use anyhow::{Result, ensure};
use distill_shared::bundle::CorpusCodes;
use distill_shared::math::soft_clip;
use distill_shared::player::{Copying, Model, Sampling, Take, TakeKey, decode};
use rayon::prelude::*;

use super::picture::{Spectrogram, data_uri};
use super::story::{Pair, Player, Takes};
use crate::audio::export::flac_bytes;
use crate::corpus::Recording;
use crate::evaluate::prior::copying::summary;

/// Recordings that are shown, at most.
const RECORDINGS: usize = 6;
/// Of a recording its first seconds are, and of all together so many.
const EXCERPT_S: f64 = 4.0;
const EXCERPTS_S: f64 = 12.0;
/// Seconds that are enough to hear: where what was held out is less, others are shown, too.
const ENOUGH_S: f64 = 3.0;
/// New takes that are shown, and of a run that was stopped.
const TAKES: u64 = 3;
const HASTY_TAKES: u64 = 1;
/// Seconds of a take.
const TAKE_S: f64 = 4.0;
/// Seconds of sound that the prior makes for a report.
pub const TAKES_S: f64 = TAKES as f64 * TAKE_S;

/// The beginnings of some of `recordings`, and what `model` keeps of them in `codes`, which are in the same
/// order. Runs on the threads of the current pool.
///
/// # Errors
///
/// Fails if a sound cannot be made.
pub fn pairs(
    model: &Arc<Model>,
    recordings: &[Recording],
    codes: &[CorpusCodes],
) -> Result<Vec<Pair>> {
    let rate = model.config().codec.sample_rate;
    let pair = |&(index, samples): &(usize, usize)| {
        let (recording, codes) = (&recordings[index], &codes[index]);
        let original = recording.sound.read(0..samples)?;
        let kept = decode(model, &codes.codes, samples);
        let kept: Vec<Vec<f32>> = kept.chunks_exact(samples).map(<[f32]>::to_vec).collect();
        // Both in the same colours, so that a difference is one.
        let peak_db = Spectrogram::of(&original, rate).peak_db();
        let (name, held_out) = (recording.name.clone(), recording.held_out);
        let [original, kept] = [original, kept].map(|sound| player(sound, rate, Some(peak_db)));
        Ok(Pair { name, held_out, original: original?, kept: kept? })
    };
    chosen(recordings, rate).par_iter().map(pair).collect()
}

/// Which recordings are shown, by their indices, and so many samples of each, at `rate` Hz: those that
/// were held out and, where that is little to hear, others.
fn chosen(recordings: &[Recording], rate: u32) -> Vec<(usize, usize)> {
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    for (held_out, most_s) in [(true, EXCERPTS_S), (false, ENOUGH_S)] {
        let heard: usize = chosen.iter().map(|(_, samples)| samples).sum();
        let mut left = samples_of(most_s, rate).saturating_sub(heard);
        for (index, recording) in recordings.iter().enumerate() {
            let samples = recording.samples().min(samples_of(EXCERPT_S, rate)).min(left);
            if recording.held_out == held_out && samples > 0 && chosen.len() < RECORDINGS {
                left -= samples;
                chosen.push((index, samples));
            }
        }
    }
    chosen
}

/// New sound of `model`, and how much of it is copied: fewer takes if it is to be `hasty`. Runs on the
/// threads of the current pool.
///
/// # Errors
///
/// Fails if the model has no prior, or a sound cannot be made.
pub fn takes(model: &Arc<Model>, seed: u64, hasty: bool) -> Result<Takes> {
    let rate = model.config().codec.sample_rate;
    let keys = 0..if hasty { HASTY_TAKES } else { TAKES };
    let made = keys.into_par_iter().map(|take| {
        let (sound, heard) = take_heard(model, TakeKey { seed, take })?;
        Ok((player(sound, rate, None)?, heard))
    });
    let (players, heard): (Vec<Player>, Vec<Vec<Copying>>) =
        made.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let copied = model.kept_corpus().map(|_| summary(&heard, model));
    Ok(Takes { players, copied })
}

/// The beginning of a take, `[C][S]`, and how near each of its frames is to the corpus, if that is kept.
fn take_heard(model: &Arc<Model>, key: TakeKey) -> Result<(Vec<Vec<f32>>, Vec<Copying>)> {
    let codec = &model.config().codec;
    let (hop, samples) = (codec.hop(), samples_of(TAKE_S, codec.sample_rate));
    let mut take = Take::new(Arc::clone(model), key)?;
    let mut frame = vec![0.0; codec.channels * hop];
    let mut sound = vec![Vec::with_capacity(samples + hop); codec.channels];
    let mut heard = Vec::new();
    for _ in 0..samples.div_ceil(hop) {
        take.step(&Sampling::default(), &mut frame);
        heard.extend(take.copying());
        for (channel, new) in sound.iter_mut().zip(frame.chunks_exact(hop)) {
            channel.extend_from_slice(new);
        }
    }
    sound.iter_mut().for_each(|channel| channel.truncate(samples));
    Ok((sound, heard))
}

/// A sound to play and to see, with its peaks bent as the instrument bends them. Its own loudest place is
/// brightest unless `brightest_db` is.
fn player(mut sound: Vec<Vec<f32>>, rate: u32, brightest_db: Option<f64>) -> Result<Player> {
    let is_sound = sound.iter().flatten().all(|sample| sample.is_finite());
    ensure!(is_sound, "what was trained plays samples that are not numbers");
    let spectrogram = Spectrogram::of(&sound, rate);
    let brightest_db = brightest_db.unwrap_or_else(|| spectrogram.peak_db());
    let samples = sound.first().map_or(0, Vec::len);
    sound.iter_mut().flatten().for_each(|sample| *sample = soft_clip(*sample));
    Ok(Player {
        sound: data_uri("audio/flac", &flac_bytes(&sound, rate)?),
        picture: spectrogram.picture(brightest_db)?,
        seconds: samples as f64 / f64::from(rate),
        highest_hz: f64::from(rate) / 2.0,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn samples_of(seconds: f64, rate: u32) -> usize {
    (seconds * f64::from(rate)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Sound;

    fn recording(seconds: f64, held_out: bool) -> Recording {
        let audio = vec![vec![0.0; samples_of(seconds, 100)]];
        Recording { sound: Sound::new(audio), held_out, name: String::new(), class: String::new() }
    }

    #[test]
    fn recordings_that_were_held_out_are_shown_first() {
        let few = [recording(9.0, false), recording(0.5, true), recording(1.0, false)];
        assert_eq!(chosen(&few, 100), [(1, 50), (0, 250)], "three seconds in all");
        let long: Vec<Recording> = (0..9).map(|i| recording(9.0, i % 2 == 0)).collect();
        assert_eq!(chosen(&long, 100), [(0, 400), (2, 400), (4, 400)], "twelve seconds in all");
        let short: Vec<Recording> = (0..20).map(|i| recording(0.1, i > 9)).collect();
        let shown = chosen(&short, 100);
        assert_eq!((shown.len(), shown[0], shown[5]), (RECORDINGS, (10, 10), (15, 10)));
        assert!(chosen(&[recording(0.0, true)], 100).is_empty());
    }
}
