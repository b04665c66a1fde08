//! How well the prior foresees recordings it was not trained on, beside tables of counts.
//!
//! In bits per second of sound: what a perfect coder would need that believes the prior. The tables
//! know how often each code of a level occurs, alone (unigram) or after another (bigram): after that
//! of the frame before, or after that of the level before in the same frame, whichever foresees
//! better. They are mixed with what is less specific in shares that suit the held-out recordings
//! best (Jelinek and Mercer 1980), which no fair player could know: they are flattered, not we.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::codes::Codes;
use distill_shared::player::{Model, PriorPlayer};
use rayon::prelude::*;
use serde::Serialize;

/// Shares of the more specific table that are tried.
const SHARES: [f64; 7] = [0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95];

/// Bits per second of sound.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Likelihood {
    /// The prior on held-out recordings.
    pub held_out: f64,
    /// The same by level, coarse to fine.
    pub levels: Vec<f64>,
    /// The prior on as many of the recordings that it was trained on.
    pub trained: f64,
    /// Counts of codes, on held-out recordings.
    pub unigram: f64,
    /// Counts of pairs of codes, on held-out recordings.
    pub bigram: f64,
}

/// Measures `model`. Runs on the threads of the current pool.
///
/// # Errors
///
/// Fails if the model has no prior.
pub fn likelihood(model: &Arc<Model>, held: &[&Codes], trained: &[&Codes]) -> Result<Likelihood> {
    let rate = model.config().codec.frame_rate();
    let levels = bits(model, held)?.iter().map(|bits| bits * rate).collect::<Vec<_>>();
    // About as much of what is known as of what is not.
    let stride = trained.len().div_ceil(held.len().max(1)).max(1);
    let known: Vec<&Codes> = trained.iter().copied().step_by(stride).collect();
    let size = model.config().codec.codebook_size;
    let tables: Vec<f64> = [true, false]
        .map(|pairs| tables(held, trained, size, pairs).iter().sum::<f64>() * rate)
        .to_vec();
    Ok(Likelihood {
        held_out: levels.iter().sum(),
        levels,
        trained: bits(model, &known)?.iter().sum::<f64>() * rate,
        unigram: tables[1],
        bigram: tables[0],
    })
}

/// What tables that were counted on `trained` need for a code of `held`, in nats: of codes, and of pairs of
/// codes. There are `size` entries in a codebook. Runs on the threads of the current pool.
#[must_use]
pub fn nats_of_tables(held: &[&Codes], trained: &[&Codes], size: usize) -> [f64; 2] {
    [false, true].map(|pairs| {
        let bits = tables(held, trained, size, pairs);
        bits.iter().sum::<f64>() * std::f64::consts::LN_2 / bits.len().max(1) as f64
    })
}

/// Bits per frame that the prior needs for each level of `recordings`.
fn bits(model: &Arc<Model>, recordings: &[&Codes]) -> Result<Vec<f64>> {
    let levels = model.config().codec.quantizers;
    let one = |codes: &&Codes| {
        let mut player = PriorPlayer::new(Arc::clone(model))?;
        let (mut frame, mut sums) = (vec![0; levels], vec![0.0; levels]);
        for t in 0..codes.frames() {
            player.step_with(&mut frame, |level, logits| {
                let code = codes.frame(t)[level];
                sums[level] += surprise(logits, code);
                code
            });
        }
        Ok(sums)
    };
    let all: Vec<Vec<f64>> = recordings.par_iter().map(one).collect::<Result<_>>()?;
    let frames: usize = recordings.iter().map(|codes| codes.frames()).sum();
    let mean = |level| all.iter().map(|sums| sums[level]).sum::<f64>() / frames.max(1) as f64;
    Ok((0..levels).map(mean).collect())
}

/// Bits of a code under `logits`.
fn surprise(logits: &[f32], code: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    (total.ln() - f64::from(logits[code as usize] - max)) / std::f64::consts::LN_2
}

/// Bits per frame that counts need for each level of `held`: of codes, or of pairs of them.
fn tables(held: &[&Codes], trained: &[&Codes], size: usize, pairs: bool) -> Vec<f64> {
    let levels = trained.first().map_or(0, |codes| codes.quantizers());
    (0..levels)
        .into_par_iter()
        .map(|level| {
            let after_frame =
                |codes: &Codes, t: usize| t.checked_sub(1).map(|t| codes.frame(t)[level]);
            let after_level =
                |codes: &Codes, t: usize| level.checked_sub(1).map(|l| codes.frame(t)[l]);
            if !pairs {
                return counted(held, trained, size, level, &|_, _| None);
            }
            counted(held, trained, size, level, &after_frame).min(counted(
                held,
                trained,
                size,
                level,
                &after_level,
            ))
        })
        .collect()
}

/// Bits per frame of one level, from counts of its codes after what `context` gives.
fn counted(
    held: &[&Codes],
    trained: &[&Codes],
    size: usize,
    level: usize,
    context: &dyn Fn(&Codes, usize) -> Option<u32>,
) -> f64 {
    let mut single = vec![0.0; size];
    let mut double = vec![0.0; size * size];
    let mut after = vec![0.0; size];
    for codes in trained {
        for t in 0..codes.frames() {
            let code = codes.frame(t)[level] as usize;
            single[code] += 1.0;
            if let Some(before) = context(codes, t) {
                double[before as usize * size + code] += 1.0;
                after[before as usize] += 1.0;
            }
        }
    }
    let total: f64 = single.iter().sum();
    let probabilities = |codes: &Codes, t: usize| {
        let code = codes.frame(t)[level] as usize;
        let even = 1.0 / size as f64;
        let alone = single[code] / total.max(1.0);
        let pair = context(codes, t).map(|before| before as usize).filter(|&b| after[b] > 0.0);
        (even, alone, pair.map(|before| double[before * size + code] / after[before]))
    };
    let frames: usize = held.iter().map(|codes| codes.frames()).sum();
    let cost = |alone_share: f64, pair_share: f64| {
        let mut bits = 0.0;
        for codes in held {
            for t in 0..codes.frames() {
                let (even, alone, pair) = probabilities(codes, t);
                let less = alone_share * alone + (1.0 - alone_share) * even;
                let p = pair.map_or(less, |pair| pair_share * pair + (1.0 - pair_share) * less);
                bits -= p.max(1e-12).log2();
            }
        }
        bits / frames.max(1) as f64
    };
    let least = |costs: &mut dyn Iterator<Item = f64>| costs.fold(f64::INFINITY, f64::min);
    least(&mut SHARES.iter().flat_map(|&alone| SHARES.map(|pair| cost(alone, pair))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(of: impl Iterator<Item = [u32; 2]>) -> Codes {
        let mut codes = Codes::new(2);
        of.for_each(|frame| codes.push(&frame));
        codes
    }

    #[test]
    fn counts_find_what_there_is_to_know() {
        // Level 0 goes round, level 1 repeats level 0; alone, each is one of four.
        let cycle = codes((0..400).map(|t| [t % 4, t % 4]));
        let alone = tables(&[&cycle], &[&cycle], 4, false);
        assert!(alone.iter().all(|bits| (bits - 2.0).abs() < 0.05), "{alone:?}");
        let pairs = tables(&[&cycle], &[&cycle], 4, true);
        assert!(pairs.iter().all(|bits| *bits < 0.1), "{pairs:?}");
        let [alone, pairs] = nats_of_tables(&[&cycle], &[&cycle], 4);
        assert!((alone - 4.0_f64.ln()).abs() < 0.04 && pairs < 0.07, "{alone}, {pairs}");
    }

    #[test]
    fn what_was_never_counted_costs_no_more_than_an_even_guess() {
        let (known, new) = (codes((0..50).map(|_| [0, 0])), codes((0..50).map(|_| [3, 2])));
        for pairs in [false, true] {
            let bits = tables(&[&new], &[&known], 4, pairs);
            assert!(bits.iter().all(|bits| (bits - 2.0).abs() < 1e-9), "{bits:?}");
        }
    }

    #[test]
    fn surprise_is_in_bits() {
        assert!((surprise(&[0.0; 8], 3) - 3.0).abs() < 1e-9);
        assert!(surprise(&[0.0, 50.0], 1) < 1e-9);
    }
}
