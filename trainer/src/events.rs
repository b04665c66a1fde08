//! What a training run tells its listeners: the progress display, the log and the report.
//!
//! Training calls one function with these values and knows nothing of who listens.

use distill_shared::bundle::CurvePoint;
use serde::{Deserialize, Serialize};

use crate::train::Stage;

/// Something that happened in a training run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainingEvent {
    /// One optimizer update of the codec.
    CodecStep(CodecStepMetrics),
    /// The codec was measured on the held-out files.
    CodecEpoch(CodecEpochMetrics),
    /// The codec is trained.
    CodecComplete(CodecTrainingComplete),
    /// One optimizer update of the prior.
    PriorStep(PriorStepMetrics),
    /// The prior was measured on the held-out files.
    PriorEpoch(PriorEpochMetrics),
    /// The prior is trained.
    PriorComplete(PriorTrainingComplete),
    /// A stage goes on where a run was interrupted.
    Resumed(Resumption),
    /// Something the musician should know.
    Warning {
        /// In one sentence.
        message: String,
    },
}

/// What an interrupted stage of training had measured before it goes on.
#[derive(Debug, Clone, Serialize)]
pub struct Resumption {
    /// The stage.
    pub stage: Stage,
    /// Losses at each measurement, oldest first.
    pub curve: Vec<CurvePoint>,
}

/// Where a stage of training stands.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Progress {
    /// Updates made so far.
    pub step: u32,
    /// Updates in all, once the schedule is fixed; 0 while it is being measured.
    pub steps: u32,
    /// Seconds since the stage began.
    pub elapsed_s: f64,
    /// Seconds the stage still needs at its present rate, if that is known.
    pub remaining_s: Option<f64>,
    /// Learning rate of the update.
    pub learning_rate: f64,
}

/// Use of one codebook.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LevelUse {
    /// Share of the entries that were used, 0 to 1.
    pub used: f64,
    /// Exponential of the entropy of their use: 1 to K.
    pub perplexity: f64,
}

/// One update of the codec.
#[derive(Debug, Clone, Serialize)]
pub struct CodecStepMetrics {
    /// Where the stage stands.
    pub progress: Progress,
    /// The weighted sum that is minimized.
    pub loss: f64,
    /// Its spectral part.
    pub spectral_loss: f64,
    /// Its commitment part.
    pub commitment_loss: f64,
    /// Seconds of sound trained on per second, since the start.
    pub audio_rate: f64,
}

/// The codec measured on held-out files.
#[derive(Debug, Clone, Serialize)]
pub struct CodecEpochMetrics {
    /// Where the stage stands.
    pub progress: Progress,
    /// Mean training loss since the last measurement.
    pub train_loss: f64,
    /// Loss on held-out files.
    pub validation_loss: f64,
    /// Whether this is the best measurement so far; its weights are kept.
    pub best: bool,
    /// Use of the codebooks over the last batches, coarse to fine.
    pub levels: Vec<LevelUse>,
}

/// The outcome of codec training.
#[derive(Debug, Clone, Serialize)]
pub struct CodecTrainingComplete {
    /// Updates made.
    pub steps: u32,
    /// Seconds it took.
    pub elapsed_s: f64,
    /// The best loss on held-out files; the weights kept are those that reached it.
    pub best_validation_loss: f64,
    /// Use of the codebooks over the last batches, coarse to fine.
    pub levels: Vec<LevelUse>,
    /// Whether training was stopped before its schedule ended.
    pub cancelled: bool,
}

/// One update of the prior.
#[derive(Debug, Clone, Serialize)]
pub struct PriorStepMetrics {
    /// Where the stage stands.
    pub progress: Progress,
    /// Cross-entropy per code, in nats.
    pub loss: f64,
}

/// The prior measured on held-out files.
#[derive(Debug, Clone, Serialize)]
pub struct PriorEpochMetrics {
    /// Where the stage stands.
    pub progress: Progress,
    /// Mean training cross-entropy per code since the last measurement, in nats.
    pub train_loss: f64,
    /// Cross-entropy per code on held-out files, in nats.
    pub validation_loss: f64,
    /// Exponential of the held-out cross-entropy of each level, coarse to fine.
    pub perplexity: Vec<f64>,
    /// Whether this is the best measurement so far; its weights are kept.
    pub best: bool,
}

/// The outcome of prior training.
#[derive(Debug, Clone, Serialize)]
pub struct PriorTrainingComplete {
    /// Updates made.
    pub steps: u32,
    /// Seconds it took.
    pub elapsed_s: f64,
    /// The best held-out cross-entropy per code, in nats; the weights kept are those that reached it.
    pub best_validation_loss: f64,
    /// Whether training was stopped before its schedule ended.
    pub cancelled: bool,
}
