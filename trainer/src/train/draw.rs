//! Random numbers as a function of what they are for.

use distill_shared::player::{TakeKey, uniform};

/// What random numbers are drawn for; each purpose has its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Weights = 1,
    Crops = 2,
    Levels = 3,
    Restarts = 4,
    Corruption = 5,
    Frames = 6,
    Guide = 7,
}

/// Random numbers of one purpose and one step.
pub(super) struct Draw {
    seed: u64,
    purpose: u64,
    step: u32,
    count: u32,
}

impl Draw {
    pub(super) fn new(seed: u64, purpose: Purpose, step: u32) -> Self {
        Self { seed, purpose: purpose as u64, step, count: 0 }
    }

    /// The next number, 0 (included) to 1 (excluded).
    pub(super) fn uniform(&mut self) -> f64 {
        self.count = self.count.wrapping_add(1);
        let key = TakeKey { seed: self.seed, take: self.purpose };
        f64::from(uniform(key, self.step, self.count))
    }

    /// The next number among `0..count`; 0 if there are none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below `count`")]
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// The next normally distributed number (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
