//! Where what began in a take ends.

use super::weights::Weights;
use crate::math::exp;
use crate::model::config::PriorConfig;

/// What a prior tells of ends.
#[derive(Debug)]
pub(super) struct Ends {
    /// The line that tells log-odds, and its bias; none if the prior tells no ends.
    line: Option<(Vec<f32>, f32)>,
    /// Frames that what begins lasts at most.
    longest: u64,
}

impl Ends {
    /// Reads what the prior of `config` tells.
    pub(super) fn new(weights: &Weights, config: &PriorConfig) -> Self {
        let line = || (weights.values("prior.end.weight"), weights.values("prior.end.bias")[0]);
        let longest = config.longest.map_or(u64::MAX, |longest| longest as u64);
        Self { line: config.ends.then(line), longest }
    }

    /// How likely a frame of which `heard`, `[H]`, is known is the last of what began: log-odds, -∞
    /// if nothing ends.
    pub(super) fn odds(&self, heard: &[f32]) -> f32 {
        let Some((weight, bias)) = &self.line else { return f32::NEG_INFINITY };
        bias + weight.iter().zip(heard).map(|(weight, heard)| weight * heard).sum::<f32>()
    }

    /// Whether a frame is the last: it has these `odds`, and with it `frames` have been made since
    /// something began. `drawn` is uniform in 0 to 1.
    pub(super) fn is_last(&self, odds: f32, frames: u64, drawn: f32) -> bool {
        // Among its own frames a prior can come to sound that no recording has, a hum that never
        // ends by itself.
        self.line.is_some() && (frames >= self.longest || drawn < 1.0 / (1.0 + exp(-odds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUM: f32 = -30.0;

    #[test]
    fn what_would_never_end_ends_with_the_longest_recording() {
        let ends = Ends { line: Some((vec![0.0], HUM)), longest: 5 };
        let lasts = (1..100).find(|&frames| ends.is_last(ends.odds(&[1.0]), frames, 0.5));
        assert_eq!(lasts, Some(5));
    }

    #[test]
    fn a_prior_that_tells_no_ends_goes_on() {
        let ends = Ends { line: None, longest: 5 };
        assert_eq!(ends.odds(&[1.0]), f32::NEG_INFINITY);
        assert!(!(1..100).any(|frames| ends.is_last(f32::NEG_INFINITY, frames, 0.0)));
    }

    #[test]
    fn even_odds_end_every_second_time() {
        let ends = Ends { line: Some((vec![2.0], -2.0)), longest: u64::MAX };
        let odds = ends.odds(&[1.0]);
        assert!(ends.is_last(odds, 1, 0.49) && !ends.is_last(odds, 1, 0.51));
    }
}
