//! How a run's time is divided among its stages.

use std::time::{Duration, Instant};

/// Share of the training time that the codec gets; the prior gets what is left.
const CODEC_SHARE: f64 = 0.7;
/// Share of the time that is kept for reading the corpus at most: a codec that learned nothing is no use
/// either.
const MOST_READING: f64 = 0.5;
/// Seconds kept back for the preview and for writing the bundle.
const TAIL_S: f64 = 3.0;
/// Seconds that a stage gets however late it is: less would leave it untrained.
pub const LEAST_S: f64 = 2.0;

/// The time that a run may take, from its start to the written bundle.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    start: Instant,
    /// Time that the run took before, when it was interrupted.
    spent: Duration,
    total: Duration,
}

impl Budget {
    /// A budget of `total` that began to run at `start`.
    #[must_use]
    pub fn new(start: Instant, total: Duration) -> Self {
        Self { start, spent: Duration::ZERO, total }
    }

    /// What is left of it for a run that goes on after so much time.
    #[must_use]
    pub fn after(self, spent: Duration) -> Self {
        Self { spent, ..self }
    }

    /// Seconds for the codec, from now on. If a prior is to follow, time is left for it and for reading the
    /// corpus with the codec, which takes `reading_s`, as much as in a run that is not interrupted.
    #[must_use]
    pub fn codec_seconds(&self, prior_follows: bool, reading_s: f64) -> f64 {
        let share = if prior_follows { CODEC_SHARE } else { 1.0 };
        // What was spent before was spent on the codec.
        let spent = self.spent.as_secs_f64();
        let all = self.remaining_s() + spent;
        (share * (all - reading_s.min(MOST_READING * all)) - spent).max(LEAST_S)
    }

    /// Seconds for the prior.
    #[must_use]
    pub fn prior_seconds(&self) -> f64 {
        self.remaining_s().max(LEAST_S)
    }

    /// Seconds that are left to train in.
    fn remaining_s(&self) -> f64 {
        self.total.as_secs_f64() - (self.spent + self.start.elapsed()).as_secs_f64() - TAIL_S
    }
}

/// Seconds for a prior in a run of `total` as it should be.
#[must_use]
pub fn prior_share_s(total: Duration) -> f64 {
    ((1.0 - CODEC_SHARE) * (total.as_secs_f64() - TAIL_S)).max(LEAST_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_counts_from_the_start_of_the_run() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let Some(earlier) = Instant::now().checked_sub(minutes(4)) else { return };
        let budget = Budget::new(earlier, minutes(10));
        let left = 6.0 * 60.0 - TAIL_S;
        assert!((budget.prior_seconds() - left).abs() < 1.0);
        assert!((budget.codec_seconds(false, 0.0) - left).abs() < 1.0);
        assert!((budget.codec_seconds(true, 0.0) - CODEC_SHARE * left).abs() < 1.0);
        let interrupted = budget.after(minutes(5));
        assert!(
            (interrupted.prior_seconds() - (left - 300.0)).abs() < 1.0,
            "what was spent counts"
        );
        let codec = CODEC_SHARE * left - 60.0;
        assert!((budget.after(minutes(1)).codec_seconds(true, 0.0) - codec).abs() < 1.0);
    }

    #[test]
    fn what_reading_takes_is_no_time_of_the_codec() {
        let budget = Budget::new(Instant::now(), Duration::from_secs(303));
        assert!((budget.codec_seconds(true, 100.0) - CODEC_SHARE * 200.0).abs() < 1.0);
        assert!((budget.codec_seconds(true, 1e4) - CODEC_SHARE * 150.0).abs() < 1.0);
    }

    #[test]
    fn a_budget_that_is_spent_leaves_the_least() {
        let budget = Budget::new(Instant::now(), Duration::from_secs(1));
        assert_eq!(budget.codec_seconds(true, 0.0), LEAST_S);
        assert_eq!(budget.prior_seconds(), LEAST_S);
    }
}
