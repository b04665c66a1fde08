//! The level of a corpus.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{SILENCE, Sound};

/// Where [`Levels::gain`] brings the loud passages of a corpus.
const TARGET: f64 = 0.5;
/// Share of the sounding samples that lie below the target; the rest are peaks.
const PERCENTILE: f64 = 0.999;

/// How often a recording, or a corpus, has samples of each magnitude.
///
/// The upper half of a float's bits, sign aside, grows with its magnitude and tells it to within 1 %.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Levels(BTreeMap<u16, u64>);

/// Counts the sounding samples of a sound.
pub(super) struct Counting(Vec<u64>);

impl Counting {
    pub(super) fn new() -> Self {
        Self(vec![0; 1 << 15])
    }

    /// Counts those of a piece, `[C][S]`.
    pub(super) fn hear(&mut self, audio: &[Vec<f32>]) {
        for magnitude in audio.iter().flatten().map(|sample| sample.abs()) {
            if magnitude > SILENCE {
                self.0[(magnitude.to_bits() >> 16) as usize] += 1;
            }
        }
    }

    pub(super) fn levels(self) -> Levels {
        Levels((0..).zip(self.0).filter(|&(_, count)| count > 0).collect())
    }
}

impl Levels {
    /// Those of a sound.
    pub(super) fn of(sound: &Sound) -> Result<Self> {
        let mut counting = Counting::new();
        sound.pieces(|audio| counting.hear(audio))?;
        Ok(counting.levels())
    }

    /// Adds those of another, `times` times.
    pub(super) fn add(&mut self, other: &Self, times: u64) {
        for (bits, count) in &other.0 {
            *self.0.entry(*bits).or_default() += times * count;
        }
    }

    /// The one factor that brings the recordings as a whole to the level of training: 99.9 % of their
    /// sounding samples end up below 0.5. It is 0.01 to 100, and 1 for silence.
    pub(super) fn gain(&self) -> f32 {
        let all: u64 = self.0.values().sum();
        let mut above = 0;
        let loud = self.0.iter().rev().find(|(_, count)| {
            above += **count;
            above as f64 >= (1.0 - PERCENTILE) * all as f64
        });
        let of_bits = |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16));
        let level = loud.map_or(TARGET, |(bits, _)| of_bits(*bits));
        #[expect(clippy::cast_possible_truncation, reason = "the range is far inside that of f32")]
        let gain = (TARGET / level).clamp(0.01, 100.0) as f32;
        gain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(sounds: &[Vec<f32>]) -> f32 {
        let mut levels = Levels::default();
        for sound in sounds {
            levels.add(&Levels::of(&Sound::new(vec![sound.clone()])).unwrap(), 1);
        }
        levels.gain()
    }

    #[test]
    fn one_factor_brings_loud_passages_to_one_half() {
        let ramp = (0_u16..10_000).map(|i| f32::from(i) / 40_000.0).collect();
        let gain = gain(&[ramp, vec![0.0; 100_000]]);
        assert!((gain - 2.0).abs() < 0.03, "{gain}");
    }

    #[test]
    fn silence_and_extremes_have_a_sensible_factor() {
        assert_eq!(gain(&[vec![0.0; 100]]), 1.0);
        assert_eq!(gain(&[vec![1e-3; 100]]), 100.0);
        assert_eq!(gain(&[vec![1e9; 100]]), 0.01);
    }
}
