//! WAV, piece by piece.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

use anyhow::{Result, anyhow};
use distill_shared::math::quantize;

use super::{BitDepth, Shape, Tags};
use crate::stop::Usage;

/// Bytes around the samples: the headers that hound writes, and a zero after an odd number of bytes.
const AROUND: u64 = 69;
/// The largest file: its length is a number of 32 bits that leaves out the first eight bytes.
const LARGEST: u64 = u32::MAX as u64 + 8;

/// Writes a WAV file.
pub(super) struct WavFile {
    writer: hound::WavWriter<BufWriter<File>>,
    file: File,
    depth: BitDepth,
    bytes: u64,
    list: Vec<u8>,
}

impl WavFile {
    /// Begins the file.
    pub(super) fn new(file: File, shape: Shape, tags: Option<&Tags>) -> Result<Self> {
        let Shape { channels, format, .. } = shape;
        let bits = format.bit_depth.bits();
        let list = tags.map(Tags::list_chunk).unwrap_or_default();
        let bytes_per_second =
            u64::try_from(channels)? * u64::from(bits / 8) * u64::from(format.rate);
        let bytes = u64::try_from(channels)? * u64::from(bits / 8) * u64::try_from(shape.samples)?;
        let room = LARGEST - AROUND - u64::try_from(list.len())?;
        if bytes > room {
            let minutes = room / bytes_per_second / 60;
            let message = format!(
                "a WAV file holds 4 GiB, which is {minutes} minutes at this rate and bit depth; \
                 ask for less or for --format flac"
            );
            return Err(Usage(message).into());
        }
        let float = format.bit_depth == BitDepth::Float32;
        let spec = hound::WavSpec {
            channels: u16::try_from(channels)?,
            sample_rate: format.rate,
            bits_per_sample: bits,
            sample_format: if float {
                hound::SampleFormat::Float
            } else {
                hound::SampleFormat::Int
            },
        };
        let writer = BufWriter::new(file.try_clone()?);
        let writer = hound::WavWriter::new(writer, spec).map_err(error)?;
        Ok(Self { writer, file, depth: format.bit_depth, bytes, list })
    }

    /// Writes the next samples, one after the other, channel by channel.
    pub(super) fn write(&mut self, samples: impl Iterator<Item = f32>) -> Result<()> {
        for sample in samples {
            match self.depth {
                BitDepth::Float32 => self.writer.write_sample(sample),
                depth => self.writer.write_sample(quantize(sample, depth.bits())),
            }
            .map_err(error)?;
        }
        Ok(())
    }

    /// Writes what comes after the samples, and the lengths before them.
    pub(super) fn finish(self) -> Result<()> {
        let Self { writer, mut file, bytes, list, .. } = self;
        writer.finalize().map_err(error)?;
        if list.is_empty() {
            return Ok(());
        }
        file.seek(SeekFrom::End(0))?;
        if bytes % 2 == 1 {
            file.write_all(&[0])?;
        }
        file.write_all(&list)?;
        let end = file.stream_position()?;
        file.seek(SeekFrom::Start(4))?;
        file.write_all(&u32::try_from(end - 8)?.to_le_bytes())?;
        Ok(())
    }
}

/// An error of hound; what the system said stays what it is.
fn error(error: hound::Error) -> anyhow::Error {
    match error {
        hound::Error::IoError(error) => io::Error::into(error),
        other => anyhow!("cannot make a WAV file: {other}"),
    }
}
