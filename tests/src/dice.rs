//! What rough hosts throw.

use distill_shared::player::{TakeKey, uniform};

/// Numbers that nobody should send.
const STRANGE: [f64; 10] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 1e39, -1.0, 0.0, 1.0, 5e-324];
/// Random numbers that are those of a seed.
pub(crate) struct Dice {
    seed: u64,
    drawn: u32,
}

impl Dice {
    /// The numbers of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A number from 0 to below 1.
    pub(crate) fn share(&mut self) -> f32 {
        self.drawn = self.drawn.wrapping_add(1);
        uniform(TakeKey { seed: self.seed, take: 0 }, self.drawn, 0)
    }

    /// A whole number below `n`, which is below 2^24.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((self.share() * n as f32) as u32).min(n - 1)
    }

    /// One of them, each as likely.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(u32::try_from(all.len()).unwrap_or(1)) as usize]
    }

    /// Whether it happens, as it does once in `n` times.
    pub(crate) fn once_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// A number from 0 to 1, now and then a strange one.
    pub(crate) fn value(&mut self) -> f64 {
        if self.once_in(4) { self.one_of(&STRANGE) } else { self.share().into() }
    }
}
