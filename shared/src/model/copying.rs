//! What a prior keeps of its corpus, to know what of its takes is copied.

use serde::{Deserialize, Serialize};

use super::conditioning::GUIDED_LEVELS;
use super::config::{CodecConfig, ConfigError, in_range};
use crate::fingerprint::BANDS;

/// Most frames of a corpus that are kept: an hour and a half at the usual rate. Each frame is
/// compared with all of them while playing.
pub const MAX_KEPT_FRAMES: usize = 1 << 18;

/// The name of the tensor of [fingerprints](crate::fingerprint), `[frames, BANDS]`, at most 1.
pub const FINGERPRINTS: &str = "prior.kept.fingerprints";
/// The name of the tensor of coarse codes, `[frames, levels]`, as whole numbers.
pub const COARSE_CODES: &str = "prior.kept.codes";

/// The name of the tensor that is 1 at the first frame of each recording and else 0, `[frames]`.
pub const STARTS: &str = "prior.kept.starts";

/// What is kept of the recordings that a prior was trained on, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Frames in all; up to [`MAX_KEPT_FRAMES`].
    pub frames: usize,
    /// The distance, 1 less the cosine, up to which sound counts as copied: nearer to the corpus
    /// than recordings are that were held out of it.
    pub near: f32,
}

impl Kept {
    /// Checks that its sizes are in their range.
    ///
    /// # Errors
    ///
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("kept frames", self.frames, 1, MAX_KEPT_FRAMES)?;
        if self.near > 0.0 && self.near < 1.0 { Ok(()) } else { Err(ConfigError::Near(self.near)) }
    }

    /// Levels whose codes are kept.
    #[must_use]
    pub fn levels(codec: &CodecConfig) -> usize {
        codec.quantizers.min(GUIDED_LEVELS)
    }

    /// Name and shape of its tensors.
    #[must_use]
    pub fn tensors(&self, codec: &CodecConfig) -> [(&'static str, Vec<usize>); 3] {
        [
            (FINGERPRINTS, vec![self.frames, BANDS]),
            (COARSE_CODES, vec![self.frames, Self::levels(codec)]),
            (STARTS, vec![self.frames]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_make_no_sense_are_named() {
        let refused = |frames, near| Kept { frames, near }.check().unwrap_err().to_string();
        assert!(refused(0, 0.01).contains("kept frames is 0"));
        assert!(refused(MAX_KEPT_FRAMES + 1, 0.01).contains("kept frames"));
        for near in [0.0, 1.0, f32::NAN] {
            assert!(refused(1, near).contains("near is"), "{near}");
        }
        assert_eq!(Kept { frames: 1, near: 0.01 }.check(), Ok(()));
    }
}
