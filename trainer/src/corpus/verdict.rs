//! What became of each file of a folder.

use serde::{Deserialize, Serialize};

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Path of the file inside the folder, with `/` between folders.
    pub name: String,
    /// Whether it is used.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Its length in seconds; 0 if it could not be decoded.
    pub seconds: f64,
    /// Its rate in Hz; 0 if it could not be decoded.
    pub rate: u32,
    /// Its channels; 0 if it could not be decoded.
    pub channels: usize,
    /// What else is worth knowing, a clause each.
    pub notes: Vec<String>,
}

/// Whether a file is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Outcome {
    /// It is used as it is.
    Used,
    /// It is used, brought to the rate of the corpus.
    Resampled,
    /// It sounds the same, to the sample, as a file that is used.
    Duplicate {
        /// That file.
        of: String,
    },
    /// It is not used.
    Skipped {
        /// Why, as a clause.
        reason: String,
    },
}

impl Outcome {
    /// Whether the recording is part of the corpus.
    #[must_use]
    pub fn is_used(&self) -> bool {
        matches!(self, Self::Used | Self::Resampled)
    }
}
