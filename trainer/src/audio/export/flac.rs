//! FLAC, piece by piece: flacenc makes each block as soon as its samples are there. What is known
//! only in the end (lengths, a checksum of the samples) has its fixed place at the start.

use std::io::{BufWriter, Seek, SeekFrom, Write};

use anyhow::{Result, anyhow, bail};
use distill_shared::math::quantize;
use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, MetadataBlockData, Stream, StreamInfo};
use flacenc::config::Encoder;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Context, Fill as _, FrameBuf};

use super::tags::COMMENT_BLOCK;
use super::{BitDepth, Shape, Tags};
use crate::stop::Usage;

/// The most samples of a channel that a file can say it has (RFC 9639, section 8.2).
const MOST_SAMPLES: u64 = (1 << 36) - 1;

/// Writes a FLAC file.
pub(super) struct FlacFile<W: Write + Seek> {
    file: BufWriter<W>,
    config: Verified<Encoder>,
    /// The same without prediction.
    plain: Verified<Encoder>,
    info: StreamInfo,
    comments: Option<MetadataBlockData>,
    bits: u16,
    /// Samples that do not fill a block yet, one after the other, channel by channel.
    waiting: Vec<i32>,
    /// The block that is encoded, and a count and a checksum of all blocks so far.
    block: (FrameBuf, Context),
}

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
        let bits = usize::from(format.bit_depth.bits());
        let config = Encoder::default().into_verified().map_err(|(_, error)| failed(error))?;
        let mut plain = Encoder::default();
        (plain.subframe_coding.use_fixed, plain.subframe_coding.use_lpc) = (false, false);
        let plain = plain.into_verified().map_err(|(_, error)| failed(error))?;
        let size = config.block_size;
        let mut flac = Self {
            file: BufWriter::new(file),
            info: StreamInfo::new(usize::try_from(format.rate)?, channels, bits).map_err(failed)?,
            comments: tags
                .map(|tags| MetadataBlockData::new_unknown(COMMENT_BLOCK, &tags.comment_block()))
                .transpose()
                .map_err(failed)?,
            bits: format.bit_depth.bits(),
            waiting: Vec::with_capacity(size * channels),
            block: (
                FrameBuf::with_size(channels, size).map_err(failed)?,
                Context::new(bits, channels),
            ),
            config,
            plain,
        };
        flac.write_head()?;
        Ok(flac)
    }

    /// Writes the next samples, one after the other, channel by channel.
    pub(super) fn write(&mut self, samples: impl Iterator<Item = f32>) -> Result<()> {
        let full = self.config.block_size * self.info.channels();
        for sample in samples {
            self.waiting.push(quantize(sample, self.bits));
            if self.waiting.len() == full {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// Writes the last samples, and what is known of all.
    pub(super) fn finish(mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.encode()?;
        }
        let context = &self.block.1;
        self.info.set_md5_digest(&context.md5_digest());
        self.info.set_total_samples(context.total_samples());
        self.file.seek(SeekFrom::Start(0))?;
        self.write_head()?;
        Ok(self.file.flush()?)
    }

    /// Encodes the samples that wait as one block.
    fn encode(&mut self) -> Result<()> {
        self.block.fill_interleaved(&self.waiting).map_err(failed)?;
        let bits = self.waiting.len() * usize::from(self.bits);
        self.waiting.clear();
        let (block, context) = &self.block;
        let number = context.current_frame_number().unwrap_or_default();
        let encoded = |config| flacenc::encode_fixed_size_frame(config, block, number, &self.info);
        let mut frame = encoded(&self.config).map_err(failed)?;
        // flacenc estimates what a prediction costs; where it errs, a block of some kilobytes can
        // take gigabytes.
        if frame.count_bits() > bits {
            frame = encoded(&self.plain).map_err(failed)?;
        }
        self.info.update_frame_info(&frame);
        self.write_part(&frame)
    }

    /// Writes what comes before the first block.
    fn write_head(&mut self) -> Result<()> {
        let mut info = self.info.clone();
        // The smallest block leaves out the last one (RFC 9639, section 8.2), which flacenc counts
        // in: readers would take the blocks for ones of varying size and find none.
        let size = self.config.block_size;
        info.set_block_sizes(size, size).map_err(failed)?;
        let mut head = Stream::with_stream_info(info);
        if let Some(comments) = &self.comments {
            head.add_metadata_block(comments.clone());
        }
        self.write_part(&head)
    }

    fn write_part(&mut self, part: &impl BitRepr) -> Result<()> {
        let mut sink = ByteSink::new();
        part.write(&mut sink).map_err(|error| failed(format!("{error:?}")))?;
        Ok(self.file.write_all(sink.as_slice())?)
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot make a FLAC file: {error}")
}
