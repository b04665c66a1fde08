//! How long what a prior begins lasts.
//!
//! A prior learns where recordings end among frames that were recorded. Frames that it makes itself
//! are never quite like those (exposure bias: Ranzato et al. 2016), and among them it tells too few
//! ends: what has faded goes on as noise. So takes are made that go on whatever it tells, and its
//! log-odds are shifted by what makes a beginning last as long as a recording, in the mean.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::player::{Model, PriorPlayer, Sampling, TakeKey};
use rayon::prelude::*;

use super::material::frames_of;
use super::steering::Takes;

/// Takes that are listened to. What lasts longer counts as long as they are.
const TAKES: Takes = Takes { count: 12, seconds: 20.0 };
/// Recordings that last longer than this share of a take tell nothing in it of how they end.
const OUTLASTING: f64 = 0.9;
/// The greatest shift, to either side. A prior that would need more has not learned where to end.
const MOST: f32 = 4.0;

/// What to add to the log-odds of ends, so that what `model` begins lasts as long in the mean as
/// recordings of `lengths`, in frames; nothing lasts longer than the longest. No shift if they outlast
/// the takes that are made for it, or are all about as long. Runs on the threads of the current pool;
/// their number does not change what comes out.
///
/// # Errors
///
/// Fails if the model has no prior.
pub fn shift_of_ends(model: &Arc<Model>, lengths: &[usize], seed: u64) -> Result<f32> {
    shift(model, lengths, seed, TAKES)
}

/// Seconds of sound that [`shift_of_ends`] makes at most.
pub(super) fn seconds() -> f64 {
    TAKES.seconds_of(1)
}

fn shift(model: &Arc<Model>, lengths: &[usize], seed: u64, takes: Takes) -> Result<f32> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let rate = model.config().codec.frame_rate();
    let frames = frames_of(takes.seconds.into(), rate).min(longest);
    let mean = lengths.iter().map(|&length| length.min(frames) as f64).sum::<f64>()
        / lengths.len().max(1) as f64;
    if mean > OUTLASTING * frames as f64 || lengths.is_empty() {
        return Ok(0.0);
    }
    let ends = ends_of_takes(model, seed, takes.count, frames)?;
    let lasting = |shift| ends.iter().map(|ends| lasting(ends, shift)).sum::<f64>();
    Ok(falling_root(|shift| lasting(shift) / ends.len() as f64 - mean))
}

/// For each of `count` takes, which go on whatever is told: the log-odds that each of its first
/// `frames` frames is the last.
fn ends_of_takes(
    model: &Arc<Model>,
    seed: u64,
    count: u64,
    frames: usize,
) -> Result<Vec<Vec<f32>>> {
    let sampling = Sampling { once: true, ..Sampling::default() };
    let ends = (0..count).into_par_iter().map(|take| {
        let mut player = PriorPlayer::new(Arc::clone(model))?;
        let mut codes = vec![0; model.config().codec.quantizers];
        let told = (0..frames).map(|_| {
            player.step(TakeKey { seed, take }, &sampling, &mut codes);
            player.end()
        });
        Ok(told.collect())
    });
    ends.collect()
}

/// Frames that a beginning lasts in the mean, whose frames are the last with log-odds `ends` and a
/// `shift`; those after them do not count.
fn lasting(ends: &[f32], shift: f32) -> f64 {
    let mut goes_on = 1.0;
    let frames = ends.iter().map(|end| {
        let frame = goes_on;
        goes_on /= 1.0 + f64::from(end + shift).exp();
        frame
    });
    frames.sum()
}

/// Where `f`, which falls, is zero between -[`MOST`] and [`MOST`], or the end that is next to it.
fn falling_root(f: impl Fn(f32) -> f64) -> f32 {
    let (mut low, mut high) = (-MOST, MOST);
    for _ in 0..24 {
        let middle = 0.5 * (low + high);
        if f(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use distill_shared::model::config::{CodecConfig, ModelConfig};
    use distill_shared::player::random_weights;

    use super::*;
    use crate::sizes::adaptive_prior_config;
    use crate::train::toy_codec;

    #[test]
    fn even_odds_last_two_frames() {
        let ends = [0.0; 60];
        assert!((lasting(&ends, 0.0) - 2.0).abs() < 1e-9);
        assert!((lasting(&ends, f32::ln(1.0 / 9.0)) - 10.0).abs() < 0.05, "one in ten: ten frames");
        assert!((lasting(&ends, f32::NEG_INFINITY) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn a_root_is_found_and_one_too_far_away_is_its_limit() {
        assert!((falling_root(|x| f64::from(1.5 - x)) - 1.5).abs() < 1e-5);
        assert!((falling_root(|_| 1.0) - MOST).abs() < 1e-5);
        assert!((falling_root(|_| -1.0) + MOST).abs() < 1e-5);
    }

    #[test]
    fn what_begins_lasts_as_long_as_recordings() {
        let takes = Takes { count: 4, seconds: 0.1 };
        let codec = CodecConfig { memory: Some(0.8), ..toy_codec() };
        let mut prior = adaptive_prior_config(&codec, &[]);
        (prior.hidden_size, prior.layers, prior.heads) = (32, 1, 2);
        let config = ModelConfig { codec, prior: Some(prior) };
        let model = Arc::new(Model::new(&config, &random_weights(&config, 0), "").unwrap());
        let (seed, asked) = (3, [20, 60]);
        let ends = ends_of_takes(&model, seed, takes.count, 60).unwrap();
        let mean = |shift| ends.iter().map(|ends| lasting(ends, shift)).sum::<f64>() / 4.0;
        let length = 0.5 * (asked[0] + asked[1]) as f64;
        assert!((mean(0.0) / length - 1.0).abs() > 0.1, "it does not tell it by itself");
        let shift = shift(&model, &asked, seed, takes).unwrap();
        let found = mean(shift);
        assert!((found / length - 1.0).abs() < 0.01, "{found}, {length}, {shift}, {}", mean(0.0));
        let longer = [2 * frames_of(0.1, model.config().codec.frame_rate())];
        assert_eq!(super::shift(&model, &longer, seed, takes).unwrap(), 0.0, "nothing is known");
    }
}
