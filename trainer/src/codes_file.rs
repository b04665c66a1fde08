//! Codes of a recording as a file of their own, `docs/codes.md`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Bundle, write_atomically};
use distill_shared::codes::Codes;
use distill_shared::codes_file::{FORMAT, Head, VERSION};
use serde::Deserialize;
use serde_json::Value;

/// The largest file that is read, in bytes: about ten hours of sound.
const MAX_BYTES: u64 = 256 << 20;

/// Codes, and what they are codes of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CodesFile {
    /// What they are codes of.
    #[serde(flatten)]
    pub head: Head,
    /// The codes, frame by frame, coarse to fine: `[T][N]`.
    pub codes: Vec<Vec<u32>>,
}

impl CodesFile {
    /// The codes of a recording of `samples` samples per channel, of the codec of `bundle`.
    #[must_use]
    pub fn new(bundle: &Bundle, name: &str, samples: usize, codes: &Codes) -> Self {
        let head = Head::new(&bundle.config().codec, bundle.codec_digest(), name, samples);
        Self { head, codes: (0..codes.frames()).map(|t| codes.frame(t).to_vec()).collect() }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or is no codes file of a known version.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let foreign = || format!("{shown} is not a file of codes; make one with distill encode");
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        ensure!(bytes <= MAX_BYTES, "{shown} is too large for a file of codes");
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).with_context(foreign)?;
        let parsed: Value = serde_json::from_str(&text).with_context(foreign)?;
        ensure!(parsed["format"] == FORMAT, foreign());
        // Before the rest, which a newer version may have changed.
        let version = parsed["version"].as_u64().with_context(foreign)?;
        ensure!(
            version <= VERSION,
            "{shown} was written by a newer version of distill; this one reads version {VERSION}"
        );
        serde_json::from_value(parsed).with_context(foreign)
    }

    /// Writes the file to `path`, replacing what is there at a stroke.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.head.with_frames(self.codes.iter().map(Vec::as_slice));
        write_atomically(path, text.as_bytes())?;
        Ok(())
    }

    /// The codes, if `bundle` can play them.
    ///
    /// # Errors
    ///
    /// Fails if they belong to another codec, or are not what one can be told.
    pub fn codes_for(&self, bundle: &Bundle) -> Result<Codes> {
        let codec = &bundle.config().codec;
        ensure!(
            self.head.codec == bundle.codec_digest(),
            "the codes belong to another bundle; encode the sound again with this one"
        );
        let mut codes = Codes::new(codec.quantizers);
        for (t, frame) in self.codes.iter().enumerate() {
            let levels = frame.len();
            ensure!(
                levels == codec.quantizers,
                "frame {t} has {levels} codes, the codec has {} levels",
                codec.quantizers
            );
            if let Some(code) = frame.iter().find(|&&code| code as usize >= codec.codebook_size) {
                let size = codec.codebook_size;
                anyhow::bail!(
                    "frame {t} has the code {code}; codes of this codec are below {size}"
                );
            }
            codes.push(frame);
        }
        let samples = self.head.samples;
        ensure!(
            samples.div_ceil(codec.hop()) <= codes.frames()
                && codes.frames() <= codec.frames_for(samples),
            "{} frames of codes do not make {samples} samples",
            codes.frames()
        );
        Ok(codes)
    }
}
