//! The card: what a bundle says about itself, for people.
//!
//! Nothing on the card decides how a bundle plays. Keys that a reader does not know are ignored and
//! keys that it misses take their defaults, so that cards can grow without a new version.

use serde::{Deserialize, Deserializer, Serialize};

use super::evaluation::{EvaluationSummary, PriorEvaluationSummary};

/// Points of a loss curve that a bundle keeps.
pub const MAX_CURVE: usize = 256;

/// What a bundle says about itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// What the musician calls it.
    pub name: String,
    /// When it was made, as an RFC 3339 date and time.
    pub created: String,
    /// The program that made it, with its version.
    pub software: String,
    /// Under which terms it may be used.
    pub licence: String,
    /// Where the recordings come from.
    pub provenance: String,
    /// The recordings it was trained on.
    pub corpus: CorpusSummary,
    /// How the codec was trained.
    pub codec: CodecMetadata,
    /// How the prior was trained, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<PriorMetadata>,
    /// What was measured of the codec, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationSummary>,
    /// What was measured of the prior.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_evaluation: Option<PriorEvaluationSummary>,
}

/// The recordings behind a bundle.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorpusSummary {
    /// Recordings in all.
    pub files: usize,
    /// Recordings that were kept from training to measure with.
    pub held_out_files: usize,
    /// Length of all recordings in seconds.
    #[serde(deserialize_with = "null_as_zero")]
    pub seconds: f64,
    /// Channels: 1 or 2.
    pub channels: usize,
    /// The folders that became classes, sorted; empty if there were none.
    pub classes: Vec<String>,
}

/// How a codec was trained.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CodecMetadata {
    /// The run.
    pub training: TrainingSummary,
    /// Use of the codebooks over the whole corpus, coarse to fine.
    pub levels: Vec<LevelHealth>,
}

/// How a prior was trained.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PriorMetadata {
    /// The run. Losses are cross-entropies per code, in nats.
    pub training: TrainingSummary,
    /// Exponential of the held-out cross-entropy of each level, coarse to fine; `None` where it
    /// could not be measured.
    pub perplexity: Vec<Option<f64>>,
    /// What it cannot be asked for, and why: a sentence for each.
    pub not_offered: Vec<String>,
}

/// One run of training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingSummary {
    /// When it ended, as an RFC 3339 date and time.
    pub finished: String,
    /// What it computed on.
    pub device: String,
    /// Optimizer updates.
    pub steps: u32,
    /// Seconds it took.
    #[serde(deserialize_with = "null_as_zero")]
    pub seconds: f64,
    /// Seed of weights, batches and noise.
    pub seed: u64,
    /// Peak learning rate.
    #[serde(deserialize_with = "null_as_zero")]
    pub learning_rate: f64,
    /// Excerpts per update.
    pub batch: usize,
    /// Best loss on held-out recordings; the weights are those that reached it.
    pub best_validation_loss: Option<f64>,
    /// Losses over time, oldest first. A bundle keeps [`MAX_CURVE`] points, evenly spread.
    pub curve: Vec<CurvePoint>,
    /// Whether the run was stopped before its schedule ended.
    pub stopped_early: bool,
}

/// Losses at one moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CurvePoint {
    /// Updates made by then.
    pub step: u32,
    /// Mean training loss since the point before.
    pub train_loss: Option<f64>,
    /// Loss on held-out recordings.
    pub validation_loss: Option<f64>,
}

/// Use of one codebook.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LevelHealth {
    /// Share of the entries that were used, 0 to 1.
    #[serde(deserialize_with = "null_as_zero")]
    pub used: f64,
    /// Exponential of the entropy of their use: 1 to K.
    #[serde(deserialize_with = "null_as_zero")]
    pub perplexity: f64,
}

impl Card {
    /// Thins the loss curves to what a bundle keeps.
    pub(super) fn thin_curves(&mut self) {
        self.codec.training.thin_curve();
        if let Some(prior) = &mut self.prior {
            prior.training.thin_curve();
        }
    }
}

impl TrainingSummary {
    /// Keeps [`MAX_CURVE`] points, the last one among them.
    fn thin_curve(&mut self) {
        let len = self.curve.len();
        if len > MAX_CURVE {
            self.curve = (1..=MAX_CURVE).map(|i| self.curve[i * len / MAX_CURVE - 1]).collect();
        }
    }
}

/// JSON has no NaN and no infinity: they are written as `null`, and must not make a card unreadable.
pub(super) fn null_as_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_of_another_version_is_read_as_far_as_it_is_known() {
        let card: Card = serde_json::from_str(r#"{"name":"rain","mood":"grey"}"#).unwrap();
        assert_eq!(card, Card { name: "rain".to_owned(), ..Card::default() });
    }

    #[test]
    fn numbers_that_json_cannot_hold_leave_the_card_readable() {
        let mut card = Card::default();
        card.codec.training.best_validation_loss = Some(f64::INFINITY);
        card.codec.training.seconds = f64::NAN;
        card.codec.levels = vec![LevelHealth { used: f64::NAN, perplexity: 2.0 }];
        let text = serde_json::to_string(&card).unwrap();
        let read: Card = serde_json::from_str(&text).unwrap();
        assert_eq!(read.codec.training.best_validation_loss, None);
        assert_eq!(read.codec.training.seconds, 0.0);
        assert_eq!(read.codec.levels, [LevelHealth { used: 0.0, perplexity: 2.0 }]);
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_end() {
        let points = (1..=1000).map(|step| CurvePoint { step, ..CurvePoint::default() });
        let mut training =
            TrainingSummary { curve: points.collect(), ..TrainingSummary::default() };
        training.thin_curve();
        assert_eq!(training.curve.len(), MAX_CURVE);
        assert_eq!(training.curve.last().map(|point| point.step), Some(1000));
        assert!(training.curve.is_sorted_by(|a, b| a.step < b.step));
    }
}
