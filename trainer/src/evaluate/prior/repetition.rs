//! Whether a sound goes in circles.
//!
//! With `l[t]` the levels in mel bands of frame t in dB, floored, and `x[t] = l[t] - mean of l` over the
//! audible frames from a second before to a second after it, or 0 where t is not audible,
//!
//! `r(lag) = Σ x[t]·x[t+lag] / √(Σ |x[t]|² Σ |x[t+lag]|²)`, sums over all t that have both,
//!
//! and the self-similarity is the largest r for lags from a second to half the length. A loop has 1.
//! The mean is a local one because a sound that only changes slowly, such as a string that fades, is
//! like itself a second later without ever repeating. Silence is 0 because it is like any other silence.

use rayon::prelude::*;
use serde::Serialize;

use super::hearing::BANDS;
use crate::evaluate::metrics::decibels;

/// The shortest lag, and the reach of the local mean to either side, in seconds.
const NEAR_S: f64 = 1.0;
/// How far below the loudest band of the sound the floor lies, in dB.
const RANGE_DB: f64 = 60.0;

/// How alike a sound is to itself at another time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Repetition {
    /// The self-similarity, -1 to 1.
    pub similarity: f64,
    /// The lag at which it is, in seconds.
    pub lag_s: f64,
}

/// The self-similarity of a sound with this power in mel bands, `[T, M]`, of which there are `rate`
/// frames in a second; none if it is silent or shorter than four seconds. Runs on the threads of the
/// current pool.
#[must_use]
pub fn repetition(mel: &[f32], rate: f64) -> Option<Repetition> {
    let near = super::material::frames_of(NEAR_S, rate).max(1);
    let frames = mel.len() / BANDS;
    if frames < 4 * near {
        return None;
    }
    let events = events(mel, near);
    let row = |t: usize| &events[t * BANDS..][..BANDS];
    let mut until = vec![0.0_f64; frames + 1];
    for t in 0..frames {
        until[t + 1] = until[t] + row(t).iter().map(|x| f64::from(x * x)).sum::<f64>();
    }
    let similarity = |lag: usize| {
        let pairs = events.chunks_exact(BANDS).zip(events[lag * BANDS..].chunks_exact(BANDS));
        let dot = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let both: f64 = pairs.map(|pair| f64::from(dot(pair))).sum();
        let size = (until[frames - lag] * (until[frames] - until[lag])).sqrt();
        if size > 0.0 { both / size } else { 0.0 }
    };
    let found: Vec<f64> = (near..=frames / 2).into_par_iter().map(similarity).collect();
    let best = (0..found.len()).max_by(|&a, &b| found[a].total_cmp(&found[b]))?;
    (until[frames] > 0.0)
        .then(|| Repetition { similarity: found[best], lag_s: (near + best) as f64 / rate })
}

/// The levels of each frame less their mean over the audible ones within `near` frames, `[T, M]`.
#[expect(clippy::cast_possible_truncation, reason = "levels need no more digits")]
fn events(mel: &[f32], near: usize) -> Vec<f32> {
    let frames = mel.len() / BANDS;
    let loudest = mel.iter().copied().fold(0.0, f32::max);
    let floor = loudest * 10_f32.powf(-RANGE_DB as f32 / 10.0);
    let audible: Vec<bool> =
        mel.chunks_exact(BANDS).map(|row| row.iter().any(|&power| power > floor)).collect();
    let level = |power: f32| decibels(f64::from(power) + f64::from(floor).max(1e-30));
    // Sums of the levels of all audible frames before each.
    let mut sums = vec![0.0_f64; (frames + 1) * BANDS];
    let mut counts = vec![0_usize; frames + 1];
    for t in 0..frames {
        counts[t + 1] = counts[t] + usize::from(audible[t]);
        for band in 0..BANDS {
            let new = if audible[t] { level(mel[t * BANDS + band]) } else { 0.0 };
            sums[(t + 1) * BANDS + band] = sums[t * BANDS + band] + new;
        }
    }
    let mut events = vec![0.0; frames * BANDS];
    for t in (0..frames).filter(|&t| audible[t]) {
        let (from, to) = (t.saturating_sub(near), (t + near + 1).min(frames));
        let count = (counts[to] - counts[from]) as f64;
        for band in 0..BANDS {
            let mean = (sums[to * BANDS + band] - sums[from * BANDS + band]) / count;
            events[t * BANDS + band] = (level(mel[t * BANDS + band]) - mean) as f32;
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use distill_shared::player::philox;

    use super::*;

    const RATE: f64 = 50.0;

    /// Noise of `frames` frames.
    fn noise(frames: u32, key: u32) -> Vec<f32> {
        let power = |i| {
            let [random, ..] = philox([i, 0, 0, 2], [key, 5]);
            10_f32.powf(-4.0 * random as f32 / u32::MAX as f32)
        };
        (0..frames * 48).map(power).collect()
    }

    #[test]
    fn a_planted_loop_is_found_with_its_length_and_noise_is_none() {
        let once = noise(130, 1); // 2.6 s
        let found = repetition(&once.repeat(8), RATE).unwrap();
        assert!(found.similarity > 0.95, "{found:?}");
        let rounds = found.lag_s / 2.6;
        assert!((rounds - rounds.round()).abs() < 1e-9, "{found:?}");
        let none = repetition(&noise(8 * 130, 1), RATE).unwrap();
        assert!(none.similarity < 0.1, "{none:?}");
    }

    #[test]
    fn silence_and_slow_change_do_not_repeat() {
        // Two different sounds, far apart in silence.
        let mut sound = vec![0.0; 1500 * BANDS];
        sound[100 * BANDS..200 * BANDS].copy_from_slice(&noise(100, 3));
        sound[650 * BANDS..750 * BANDS].copy_from_slice(&noise(100, 4));
        let found = repetition(&sound, RATE).unwrap();
        assert!(found.similarity < 0.2, "{found:?}");
        // Noise that fades by 40 dB in 20 s.
        let mut fading = noise(1000, 6);
        for (t, row) in fading.chunks_exact_mut(BANDS).enumerate() {
            row.iter_mut().for_each(|power| *power *= 10_f32.powf(-0.004 * t as f32));
        }
        assert!(repetition(&fading, RATE).unwrap().similarity < 0.15);
        assert_eq!(repetition(&vec![0.0; 1000 * BANDS], RATE), None);
        assert_eq!(repetition(&noise(150, 1), RATE), None);
    }
}
