//! How much of a latent is expected of the next one.

use crate::model::config::{CodecConfig, MAX_MEMORY};

/// Steps of a share from 0 to 1 that a bundle tells apart, so that half precision holds each exactly.
const STEPS: f32 = 64.0;

/// Share of each channel of a latent that is expected of the next one, `[D]`, 0 to [`MAX_MEMORY`].
#[derive(Debug, Clone, PartialEq)]
pub struct Memory(Vec<f32>);

impl Memory {
    /// These shares, `[D]`; those outside of their range come to its end, what is no number to 0.
    #[must_use]
    pub fn new(mut shares: Vec<f32>) -> Self {
        for share in &mut shares {
            *share = if share.is_nan() { 0.0 } else { share.clamp(0.0, MAX_MEMORY) };
        }
        Self(shares)
    }

    /// That of a codec of `config`: the one share that it tells, or those `stored` with it, `[D]`.
    #[must_use]
    pub fn of(config: &CodecConfig, stored: impl FnOnce() -> Vec<f32>) -> Self {
        Self::new(config.memory.map_or_else(stored, |share| vec![share; config.latent_dim]))
    }

    /// The least squares of sequences of latents, `[T, D]` each: how much of a channel comes again,
    /// at most `most`, in steps that half precision holds.
    ///
    /// This is the predictor of order one that leaves least to be told (Jayant and Noll 1984,
    /// section 6.2), if what came before was told without an error.
    #[must_use]
    pub fn fitted<'a>(d: usize, most: f32, sequences: impl Iterator<Item = &'a [f32]>) -> Self {
        // Of each channel: squares of latents, and products with what comes next.
        let mut sums = vec![[0.0_f64; 2]; d];
        for sequence in sequences {
            for (before, now) in sequence.chunks_exact(d).zip(sequence.chunks_exact(d).skip(1)) {
                for (sums, (before, now)) in sums.iter_mut().zip(before.iter().zip(now)) {
                    sums[0] += f64::from(*before).powi(2);
                    sums[1] += f64::from(*before) * f64::from(*now);
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let share = |[squares, products]: [f64; 2]| {
            let share = (products / squares.max(1e-12)) as f32;
            (share.clamp(0.0, most) * STEPS).round() / STEPS
        };
        Self::new(sums.into_iter().map(share).collect())
    }

    /// The shares, `[D]`.
    #[must_use]
    pub fn shares(&self) -> &[f32] {
        &self.0
    }

    /// What of `latent` is new to one who remembers the last, `state`: `[D]` each.
    #[must_use]
    pub fn news(&self, latent: &[f32], state: &[f32]) -> Vec<f32> {
        let pairs = latent.iter().zip(state).zip(&self.0);
        pairs.map(|((latent, last), share)| latent - share * last).collect()
    }

    /// Leaves of `state`, `[D]`, what is expected of the next latent. Real-time safe.
    pub(super) fn fade(&self, state: &mut [f32]) {
        state.iter_mut().zip(&self.0).for_each(|(value, share)| *value *= share);
    }

    /// Frames after which less than a thousandth of any channel is left.
    pub(super) fn recall(&self) -> usize {
        let slowest = self.0.iter().copied().fold(0.0, f32::max);
        let left = std::iter::successors(Some(1.0), |left| Some(left * slowest));
        left.take_while(|left| *left >= 1e-3).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_expected_to_stay_as_far_as_it_did() {
        // One channel halves, one turns, one stays; and what follows another sequence is no news of it.
        let sequence = |first: f32| -> Vec<f32> {
            let frame = |t| [first * 0.5_f32.powi(t), first * (-1.0_f32).powi(t), first, 0.0];
            (0..20).flat_map(frame).collect()
        };
        let sequences = [sequence(1.0), sequence(-3.0)];
        let memory = Memory::fitted(4, 0.9, sequences.iter().map(Vec::as_slice));
        assert_eq!(memory.shares(), [0.5, 0.0, 58.0 / 64.0, 0.0]);
        let news = memory.news(&[1.0; 4], &[2.0; 4]);
        assert_eq!(news, [0.0, 1.0, 1.0 - 116.0 / 64.0, 1.0]);
        assert_eq!(memory.recall(), 71, "0.90625 to the 71st is less than a thousandth");
    }

    #[test]
    fn shares_that_a_file_may_hold_stay_in_their_range() {
        let wild = vec![f32::NAN, -1.0, 0.25, 2.0, f32::INFINITY];
        assert_eq!(Memory::new(wild).shares(), [0.0, 0.0, 0.25, MAX_MEMORY, MAX_MEMORY]);
    }
}
