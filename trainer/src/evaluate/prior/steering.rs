//! Whether the prior does what it is asked for.
//!
//! Takes are made with a descriptor asked for at several values, and heard with the ears that
//! described the corpus. Ranks: the correlation of what was asked with what was heard (Spearman
//! 1904). Pitch: how many of the frames that have one are within 50 cents of the key.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::model::conditioning::{Conditioning, Controls, Pitches, Tuned};
use distill_shared::player::{Model, Sampling, Take, TakeKey};
use rayon::prelude::*;
use serde::Serialize;

use crate::descriptors::{Description, describe, listen};
use crate::render::{rate_at, render};

/// Ranks that are asked for.
pub(super) const RANKS: [f32; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
/// Which of the ranks is velocity.
const VELOCITY: usize = 3;
/// Takes by which a prior is measured.
const MEASURED: Takes = Takes { count: 4, seconds: 8.0 };
/// Keys that are asked for, at most.
const KEYS: usize = 16;
/// Length of a note in seconds.
const NOTE_S: f32 = 3.0;
/// How far a note may be off, in semitones.
const IN_TUNE: f32 = 0.5;

/// How far below its loudest frames a note has faded, in dB.
const FADED: f32 = 30.0;

/// Takes for each thing that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    /// How many.
    pub(super) count: u64,
    /// How long each is.
    pub(super) seconds: f32,
}

impl Takes {
    /// As much sound in takes that are hardly more than their beginning.
    fn short(self) -> Self {
        Self { count: 12 * self.count, seconds: self.seconds / 12.0 }
    }

    /// Length of the takes for `things` in seconds.
    pub(super) fn seconds_of(self, things: usize) -> f64 {
        self.count as f64 * f64::from(self.seconds) * things as f64
    }
}

/// How well a prior can be steered.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Steering {
    /// For each rank that is offered: its name, and the correlation of what was asked for with what
    /// was heard, -1 to 1.
    pub ranks: Vec<(&'static str, f64)>,
    /// Share of the pitched frames that are in tune, and of the notes that are in tune in most of
    /// their pitched frames.
    pub pitch: Option<InTune>,
}

/// How well notes are in tune.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct InTune {
    /// Notes that were asked for.
    pub notes: usize,
    /// Share of them of which most pitched frames are in tune.
    pub notes_in_tune: f64,
    /// Share of all their pitched frames that are.
    pub frames_in_tune: f64,
}

/// Steers the prior of `model` and listens. Runs on the threads of the current pool.
///
/// # Errors
///
/// Fails if the model has no prior.
pub fn steer(model: &Arc<Model>, offered: &Conditioning, seed: u64) -> Result<Steering> {
    let mut ranks = Vec::new();
    for (index, (name, range)) in offered.ranks().into_iter().enumerate() {
        if range.is_some() {
            ranks.push((name, follow_rank(model, offered, index, seed, MEASURED)?));
        }
    }
    let pitch = follow_keys(model, offered.pitch, seed)?;
    Ok(Steering { ranks, pitch })
}

/// The correlation of a rank that is asked for with what is heard.
pub(super) fn follow_rank(
    model: &Arc<Model>,
    offered: &Conditioning,
    index: usize,
    seed: u64,
    takes: Takes,
) -> Result<f64> {
    let Takes { count, seconds } = if index == VELOCITY { takes.short() } else { takes };
    // As an instrument does, which asks for a pitch too: high notes are softer than low ones.
    let pitches: Vec<u8> = offered.pitch.keys().collect();
    let middle = pitches.get(pitches.len() / 2).map(|&key| f32::from(key));
    let pitch = middle.filter(|_| index == VELOCITY);
    let takes: Vec<(f32, u64)> =
        RANKS.iter().flat_map(|&rank| (0..count).map(move |take| (rank, take))).collect();
    let heard = takes.par_iter().map(|&(rank, take)| {
        let mut controls = Controls { pitch, ..Controls::default() };
        let Controls { loudness, brightness, density, velocity, .. } = &mut controls;
        *[loudness, brightness, density, velocity][index] = Some(rank);
        let described = heard(model, (controls, false), TakeKey { seed, take }, seconds, 1.0)?;
        let value = |found: &Description| match index {
            0 => Some(found.loudness),
            1 => found.brightness,
            VELOCITY => Some(found.attack),
            _ => Some(found.density),
        };
        // Only a beginning has a velocity.
        let described = if index == VELOCITY { &described[..1] } else { &described[..] };
        let values: Vec<f64> = described.iter().filter_map(value).map(f64::from).collect();
        Ok(values.iter().sum::<f64>() / values.len().max(1) as f64)
    });
    let heard: Vec<f64> = heard.collect::<Result<_>>()?;
    let asked: Vec<f64> = takes.iter().map(|&(rank, _)| rank.into()).collect();
    Ok(spearman(&asked, &heard))
}

/// How well notes between the ends of `pitches` are in tune, those between them included.
fn follow_keys(model: &Arc<Model>, pitches: Pitches, seed: u64) -> Result<Option<InTune>> {
    let Some((low, high)) = pitches.range() else { return Ok(None) };
    let keys = spread(low, high);
    let notes = keys
        .par_iter()
        .map(|&key| play_note(model, pitches, key, TakeKey { seed, take: key.into() }, NOTE_S));
    let notes: Vec<NoteHeard> = notes.collect::<Result<_>>()?;
    let right = notes.iter().filter(|note| note.is_in_tune()).count();
    let (in_tune, all) =
        notes.iter().fold((0, 0), |sum, note| (sum.0 + note.in_tune, sum.1 + note.pitched));
    Ok(Some(InTune {
        notes: notes.len(),
        notes_in_tune: right as f64 / notes.len().max(1) as f64,
        frames_in_tune: in_tune as f64 / all.max(1) as f64,
    }))
}

/// Frames of a note that have a pitch.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoteHeard {
    pitched: usize,
    /// Those within [`IN_TUNE`] of the key.
    in_tune: usize,
}

impl NoteHeard {
    /// Whether most of them are in tune, and there are any.
    pub(super) fn is_in_tune(self) -> bool {
        2 * self.in_tune > self.pitched
    }
}

/// Plays `seconds` of `key` as an instrument does, from the nearest of `pitches`, and listens.
pub(super) fn play_note(
    model: &Arc<Model>,
    pitches: Pitches,
    key: u8,
    take: TakeKey,
    seconds: f32,
) -> Result<NoteHeard> {
    let key = f32::from(key);
    let speed = pitches.tune(key).map_or(1.0, Tuned::speed);
    let controls = Controls { pitch: Some(key), ..Controls::default() };
    // A note that is held is not struck again.
    let described = heard(model, (controls, true), take, seconds, speed)?;
    // What is left of a note that has faded is no note.
    let loudest = described.iter().fold(f32::MIN, |max, one| max.max(one.attack));
    let audible = described.iter().filter(|one| one.attack > loudest - FADED);
    let found: Vec<f32> = audible.filter_map(|described| described.pitch).collect();
    let in_tune = found.iter().filter(|pitch| (**pitch - key).abs() <= IN_TUNE).count();
    Ok(NoteHeard { pitched: found.len(), in_tune })
}

/// Up to [`KEYS`] keys from `low` to `high`, evenly spread, so that they are not all among those that
/// a corpus of every third or sixth key has.
fn spread(low: u8, high: u8) -> Vec<u8> {
    let span = usize::from(high - low);
    let last = span.clamp(1, KEYS - 1);
    let above = |i: usize| u8::try_from((2 * i * span + last) / (2 * last)).unwrap_or(0);
    let mut keys: Vec<u8> = (0..=last).map(|i| low + above(i)).collect();
    keys.dedup();
    keys
}

/// Makes `seconds` of a take that is asked for `controls`, and describes each of its frames as it
/// sounds when played at `speed`.
pub(super) fn heard(
    model: &Arc<Model>,
    (controls, once): (Controls, bool),
    key: TakeKey,
    seconds: f32,
    speed: f64,
) -> Result<Vec<Description>> {
    let codec = &model.config().codec;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let samples = (seconds * codec.sample_rate as f32) as usize;
    let take = Take::new(Arc::clone(model), key)?;
    let sound = render(take, &Sampling { controls, once, ..Sampling::default() }, samples);
    let moments = listen(&sound, rate_at(codec.sample_rate, speed), codec.hop());
    Ok((0..moments.len()).map(|t| describe(&moments[t..])).collect())
}

/// Spearman's rank correlation: the correlation of the ranks, of equal values their mean.
#[must_use]
pub fn spearman(one: &[f64], other: &[f64]) -> f64 {
    let (one, other) = (ranks(one), ranks(other));
    let mean = (one.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let spread = (product(&one, &one) * product(&other, &other)).sqrt();
    if spread > 0.0 { product(&one, &other) / spread } else { 0.0 }
}

/// The rank of each value, 1 being the least.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |x: f64| values.iter().filter(|&&v| v < x).count() as f64;
    let equal = |x: f64| values.iter().filter(|&&v| v == x).count() as f64;
    values.iter().map(|&x| below(x) + (equal(x) + 1.0) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_over_the_octave() {
        let keys = spread(24, 105);
        assert_eq!((keys.len(), keys[0], keys[KEYS - 1]), (KEYS, 24, 105));
        let classes: std::collections::HashSet<u8> = keys.iter().map(|key| key % 3).collect();
        assert_eq!(classes.len(), 3, "{keys:?}");
        assert_eq!(spread(60, 62), [60, 61, 62]);
        assert_eq!(spread(60, 60), [60]);
    }

    #[test]
    fn the_correlation_of_ranks_is_that_of_known_examples() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 100.0, 1000.0]), 1.0);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[5.0, 5.0, 5.0]), 0.0);
        // 1 - 6 * (1 + 1) / (5 * 24)
        let swapped = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 1.0, 3.0, 4.0, 5.0]);
        assert!((swapped - 0.9).abs() < 1e-12);
        assert_eq!(ranks(&[2.0, 7.0, 2.0]), [1.5, 3.0, 1.5]);
    }
}
