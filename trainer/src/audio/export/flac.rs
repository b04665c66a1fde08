//! FLAC, piece by piece.

use std::io::{BufWriter, Seek, Write};

use anyhow::{Result, bail};
use distill_shared::flac::{FlacError, FlacFormat, FlacWriter, MOST_SAMPLES};

use super::{BitDepth, Shape, Tags};
use crate::stop::Usage;

/// Writes a FLAC file.
pub(super) struct FlacFile<W: Write + Seek>(FlacWriter<BufWriter<W>>);

impl<W: Write + Seek> FlacFile<W> {
    /// Begins the file.
    pub(super) fn new(file: W, shape: Shape, tags: Option<&Tags>) -> Result<Self> {
        let Shape { channels, samples, format } = shape;
        if format.bit_depth == BitDepth::Float32 {
            bail!("FLAC holds integers; choose a bit depth of 16 or 24");
        }
        if u64::try_from(samples)? > MOST_SAMPLES {
            let days = MOST_SAMPLES / u64::from(format.rate) / 86_400;
            let message = format!("a FLAC file holds {days} days at this rate; ask for less");
            return Err(Usage(message).into());
        }
        let comments = tags.map(Tags::comment_block);
        let format = FlacFormat { rate: format.rate, channels, bits: format.bit_depth.bits() };
        let writer = FlacWriter::new(BufWriter::new(file), format, comments.as_deref());
        Ok(Self(writer.map_err(plain)?))
    }

    /// Writes the next samples, one after the other, channel by channel.
    pub(super) fn write(&mut self, samples: impl Iterator<Item = f32>) -> Result<()> {
        self.0.write(samples).map_err(plain)
    }

    /// Writes the last samples, and what is known of all.
    pub(super) fn finish(self) -> Result<()> {
        self.0.finish().map(drop).map_err(plain)
    }
}

/// What the system says stays that, so that a full disk is told apart.
fn plain(error: FlacError) -> anyhow::Error {
    match error {
        FlacError::System(error) => error.into(),
        other => other.into(),
    }
}
