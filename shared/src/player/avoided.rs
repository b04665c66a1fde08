//! What is avoided: the codes with which the corpus goes on where a take is near to a copy of it.

use arrayvec::ArrayVec;

use super::sampling::Sampling;
use super::{CopyCheck, Copying};
use crate::model::conditioning::GUIDED_LEVELS;

/// What a code that would go on with a copy loses at most, in nats.
const AVOIDANCE: f32 = 8.0;
/// How many times farther away than a copy the corpus may be and still be avoided.
const REACH: f32 = 8.0;

/// Coarse codes that the next frame of a sequence is to avoid, and how much.
pub(super) struct Avoided {
    codes: ArrayVec<u32, GUIDED_LEVELS>,
    weight: f32,
}

impl Avoided {
    /// What the corpus goes on with, avoided the more the nearer the sequence is to a copy of it, as
    /// far as [`Sampling::novelty`] says. Real-time safe.
    pub(super) fn new(check: Option<&CopyCheck>, sampling: &Sampling) -> Self {
        let mut avoided = Self { codes: ArrayVec::new(), weight: 0.0 };
        let novelty = sampling.clamped().novelty;
        let Some(check) = check.filter(|_| novelty > 0.0) else { return avoided };
        let Copying { distance, near, .. } = check.newest();
        let nearness = 1.0 - (distance / near - 1.0) / (REACH - 1.0);
        avoided.weight = AVOIDANCE * novelty * nearness.clamp(0.0, 1.0);
        if let Some(codes) = check.continuation().filter(|_| avoided.weight > 0.0) {
            avoided.codes.extend(codes.iter().copied().take(GUIDED_LEVELS));
        }
        avoided
    }

    /// Takes from the logits, `[K]`, of a level. Real-time safe.
    pub(super) fn apply(&self, level: usize, logits: &mut [f32]) {
        let code = self.codes.get(level).and_then(|&code| logits.get_mut(code as usize));
        code.into_iter().for_each(|logit| *logit -= self.weight);
    }
}
