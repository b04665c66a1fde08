//! Codes of a recording as a file of their own: what `docs/codes.md` describes.

use serde::{Deserialize, Serialize};

use crate::model::config::CodecConfig;

/// What the `format` of every such file says.
pub const FORMAT: &str = "distill-codes";
/// The version that is written, and the newest that is read.
pub const VERSION: u64 = 1;

/// What the codes of a file are codes of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u64,
    /// Digest of the codec that the codes belong to.
    pub codec: String,
    /// What was encoded: a label.
    pub name: String,
    /// Samples per second that the codec works at.
    pub sample_rate: u32,
    /// Samples per channel of the recording at that rate.
    pub samples: usize,
    /// Entries of each codebook; every code is below it.
    pub codebook_size: usize,
}

impl Head {
    /// Of `samples` samples per channel of what is called `name`, and codes of the codec with sizes
    /// `codec` and digest `digest`.
    #[must_use]
    pub fn new(codec: &CodecConfig, digest: String, name: &str, samples: usize) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            codec: digest,
            name: name.to_owned(),
            sample_rate: codec.sample_rate,
            samples,
            codebook_size: codec.codebook_size,
        }
    }

    /// The whole file, JSON with a line for each frame, each frame coarse to fine: `[T][N]`.
    #[must_use]
    pub fn with_frames<'a>(&self, frames: impl Iterator<Item = &'a [u32]>) -> String {
        let head = serde_json::to_string(self).expect("texts and numbers are valid JSON");
        let head = head.trim_end_matches('}');
        let frames: Vec<String> = frames.map(|frame| format!("{frame:?}")).collect();
        format!("{head},\n\"codes\":[\n{}\n]}}\n", frames.join(",\n"))
    }
}
