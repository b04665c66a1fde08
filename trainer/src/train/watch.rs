//! Watching for steps that would ruin what has been learned.
//!
//! Large gradients are clipped, so what counts is the loss: a step whose loss or gradient is not
//! finite, or whose loss is many times the usual one, is not applied. After a few of them in a row
//! training goes back to the best weights and on at a lower rate; batches follow from the number of
//! the step, so those that did the harm are skipped (Chowdhery et al. 2022, "PaLM", section 5.1,
//! <https://arxiv.org/abs/2204.02311>). Everything here follows from the losses alone, so a resumed
//! run decides as an uninterrupted one.

use serde::{Deserialize, Serialize};

/// A loss that is so many times the usual one is that of an explosion.
const EXPLOSION: f64 = 10.0;
/// Usual losses below count as this: ten times as much as next to nothing ruins nothing.
const LEAST_USUAL: f64 = 0.5;
/// Share of the usual loss that a step keeps.
const MEMORY: f64 = 0.98;
/// Steps in a row that are left out before training goes back.
const PATIENCE: u32 = 3;
/// Times that training goes back before it gives up.
const RETURNS: u32 = 3;
/// The rate after each, re before.
const SLOWER: f64 = 0.5;

/// What is known of the steps so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    /// Running mean of the losses of steps that were applied.
    usual: Option<f64>,
    /// Steps in a row that were left out.
    bad: u32,
    /// Steps that were left out in all.
    left_out: u32,
    returns: u32,
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was applied.
    Learned,
    /// It was left out; `first` if none was before.
    LeftOut { first: bool },
    /// It was left out, and training goes back to the best weights.
    Return,
    /// Going back has not helped.
    Diverged,
}

impl Watch {
    /// Whether a step of this loss is to be applied.
    pub(super) fn allows(&self, loss: f64) -> bool {
        let most = self.usual.map_or(f64::INFINITY, |usual| EXPLOSION * usual.max(LEAST_USUAL));
        loss.is_finite() && loss < most
    }

    /// Takes note of a step that was `applied`, or was not, since its loss was not allowed or its
    /// gradient not finite.
    pub(super) fn note(&mut self, loss: f64, applied: bool) -> Verdict {
        if applied {
            self.usual =
                Some(self.usual.map_or(loss, |usual| MEMORY * usual + (1.0 - MEMORY) * loss));
            self.bad = 0;
            return Verdict::Learned;
        }
        self.bad += 1;
        self.left_out = self.left_out.saturating_add(1);
        if self.bad < PATIENCE {
            return Verdict::LeftOut { first: self.left_out == 1 };
        }
        self.bad = 0;
        if self.returns == RETURNS {
            return Verdict::Diverged;
        }
        self.returns += 1;
        Verdict::Return
    }

    /// What the learning rate is multiplied by.
    pub(super) fn rate(&self) -> f64 {
        SLOWER.powi(i32::try_from(self.returns).unwrap_or(i32::MAX))
    }
}

impl Verdict {
    /// What the musician should know of it.
    pub(super) fn warning(self, loss: f64, step: u32) -> Option<String> {
        match self {
            Self::LeftOut { first: true } => Some(format!(
                "step {step} was left out, since its loss was {loss}; more such steps are left out \
                 without a word"
            )),
            Self::Return => Some(format!(
                "the loss was {loss} at step {step}, and not only there: going back to the best so \
                 far, and on at half the rate"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes a step of this loss.
    fn step(watch: &mut Watch, loss: f64) -> Verdict {
        let applied = watch.allows(loss);
        watch.note(loss, applied)
    }

    #[test]
    fn single_steps_that_are_not_finite_or_explode_are_left_out() {
        let mut watch = Watch::default();
        assert_eq!(step(&mut watch, f64::NAN), Verdict::LeftOut { first: true });
        assert_eq!(step(&mut watch, 4.0), Verdict::Learned);
        for bad in [f64::INFINITY, 60.0, f64::NAN] {
            assert_eq!(step(&mut watch, bad), Verdict::LeftOut { first: false });
            assert_eq!(step(&mut watch, 12.0), Verdict::Learned, "three times as much is allowed");
        }
        assert!(watch.usual.is_some_and(|usual| (4.0..5.0).contains(&usual)), "{watch:?}");
        assert_eq!(watch.rate(), 1.0);
    }

    #[test]
    fn a_loss_of_next_to_nothing_may_rise() {
        let mut watch = Watch::default();
        step(&mut watch, 0.001);
        assert_eq!(step(&mut watch, 1.0), Verdict::Learned);
    }

    #[test]
    fn three_bad_steps_in_a_row_turn_back_and_that_helps_three_times() {
        let mut watch = Watch::default();
        step(&mut watch, 1.0);
        let mut verdicts = Vec::new();
        for _ in 0..12 {
            verdicts.push(step(&mut watch, f64::NAN));
        }
        let ends = [2, 5, 8, 11].map(|at| verdicts[at]);
        assert_eq!(ends, [Verdict::Return, Verdict::Return, Verdict::Return, Verdict::Diverged]);
        assert!(verdicts.iter().filter(|verdict| **verdict == Verdict::Return).count() == 3);
        assert_eq!(watch.rate(), 0.125);
        assert!(Verdict::Return.warning(f64::NAN, 7).is_some_and(|told| told.contains("step 7")));
    }
}
