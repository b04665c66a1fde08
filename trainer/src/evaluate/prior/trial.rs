//! The trial of a new prior: what it does not do is not offered, for a knob that is not followed is
//! worse than none.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use distill_shared::model::conditioning::{Conditioning, Controls, Pitches};
use distill_shared::model::config::ModelConfig;
use distill_shared::player::{Model, TakeKey, random_weights};
use rayon::prelude::*;

use super::lasting;
use super::steering::{RANKS, Takes, follow_rank, heard, play_note};

/// Takes by which a rank is tried.
const OF_RANK: Takes = Takes { count: 3, seconds: 6.0 };
/// Takes by which a pitch is tried.
const OF_PITCH: Takes = Takes { count: 3, seconds: 2.0 };
/// The correlation of what is asked for with what is heard, below which a rank is not offered.
const FOLLOWED: f64 = 0.8;
/// Pitches that must be left for any to be offered.
const LEAST_PITCHES: usize = 3;

/// What a trial found.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What is followed, of what was offered.
    pub followed: Conditioning,
    /// For what is not, a sentence.
    pub withdrawn: Vec<String>,
}

/// Tries what the prior of `model` offers, from few and short takes: a trial, not a measurement.
/// Runs on the threads of the current pool.
///
/// # Errors
///
/// Fails if the model has no prior.
pub fn try_out(model: &Arc<Model>, offered: &Conditioning, seed: u64) -> Result<Trial> {
    let mut followed = offered.clone();
    let mut withdrawn = Vec::new();
    let Conditioning { loudness, brightness, density, velocity, .. } = &mut followed;
    let names = offered.ranks().map(|(name, _)| name);
    for (index, range) in [loudness, brightness, density, velocity].into_iter().enumerate() {
        if range.is_none() {
            continue;
        }
        let correlation = follow_rank(model, offered, index, seed, OF_RANK)?;
        if correlation < FOLLOWED {
            *range = None;
            withdrawn.push(format!(
                "{}: takes hardly follow it (correlation {correlation:.2}; {FOLLOWED} is needed)",
                names[index]
            ));
        }
    }
    followed.pitch = followed_pitches(model, offered.pitch, seed)?;
    let (heard, offered) = (followed.pitch.len(), offered.pitch.len());
    if heard < LEAST_PITCHES.min(offered) {
        followed.pitch = Pitches::default();
        withdrawn.push(format!(
            "pitch: takes hardly follow it ({heard} of {offered} notes came out in tune; \
             {LEAST_PITCHES} are needed)"
        ));
    }
    Ok(Trial { followed, withdrawn })
}

/// Those of `pitches` of which every take is in tune.
fn followed_pitches(model: &Arc<Model>, pitches: Pitches, seed: u64) -> Result<Pitches> {
    let keys: Vec<u8> = pitches.keys().collect();
    let tried = keys.par_iter().map(|&key| {
        for take in 0..OF_PITCH.count {
            let take = TakeKey { seed, take };
            let note = play_note(model, pitches, key, take, OF_PITCH.seconds)?;
            if !note.is_in_tune() {
                return Ok(None);
            }
        }
        Ok(Some(key))
    });
    let followed: Vec<Option<u8>> = tried.collect::<Result<_>>()?;
    Ok(Pitches::new(followed.into_iter().flatten()))
}

/// Seconds that [`try_out`] and [`lasting::shift_of_ends`] take at most on `threads` threads with a
/// prior of `config`, and `others_s` seconds of other takes: their time does not hang on the weights.
///
/// # Errors
///
/// Fails if the sizes are not those of a model.
pub fn trial_seconds(config: &ModelConfig, threads: usize, others_s: f64) -> Result<f64> {
    const SAMPLE_S: f32 = 1.0;
    let Some(prior) = &config.prior else { return Ok(0.0) };
    let offered = &prior.conditioning;
    let ranks = offered.ranks().iter().filter(|(_, range)| range.is_some()).count();
    let model = Arc::new(Model::new(config, &random_weights(config, 0), "")?);
    let start = Instant::now();
    heard(&model, (Controls::default(), false), TakeKey { seed: 0, take: 0 }, SAMPLE_S, 1.0)?;
    let factor = start.elapsed().as_secs_f64() / f64::from(SAMPLE_S);
    let seconds = lasting::seconds()
        + OF_RANK.seconds_of(ranks * RANKS.len())
        + OF_PITCH.seconds_of(offered.pitch.len())
        + others_s;
    Ok(factor * seconds / threads.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use distill_shared::model::conditioning::{Distribution, KNOTS};

    use super::*;
    use crate::sizes::adaptive_prior_config;
    use crate::train::toy_codec;

    #[test]
    fn a_prior_that_learned_nothing_offers_nothing() {
        let codec = toy_codec();
        let mut prior = adaptive_prior_config(&codec, &[]);
        prior.conditioning = Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32 - 80.0))),
            pitch: Pitches::new([48, 60, 72]),
            classes: vec!["one".to_owned(), "two".to_owned()],
            ..Conditioning::default()
        };
        let offered = prior.conditioning.clone();
        assert_eq!(offered.rows(), KNOTS + 3 + 2);
        let config = ModelConfig { codec, prior: Some(prior) };
        let model = Arc::new(Model::new(&config, &random_weights(&config, 0), "").unwrap());
        let Trial { followed, withdrawn } = try_out(&model, &offered, 1).unwrap();
        assert_eq!(followed, Conditioning { classes: offered.classes, ..Conditioning::default() });
        assert!(withdrawn[0].starts_with("loudness: takes hardly"), "{withdrawn:?}");
        assert!(withdrawn[1].starts_with("pitch: takes hardly"), "{withdrawn:?}");
    }
}
