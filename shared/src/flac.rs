//! FLAC, piece by piece: flacenc makes each block as soon as its samples are there. What is known
//! only in the end (lengths, a checksum of the samples) has its fixed place at the start.

use std::io::{self, Seek, SeekFrom, Write};

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, MetadataBlockData, Stream, StreamInfo};
use flacenc::config::Encoder;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Context, Fill as _, FrameBuf};

use crate::math::quantize;

/// The most samples of a channel that a file can say it has (RFC 9639, section 8.2).
pub const MOST_SAMPLES: u64 = (1 << 36) - 1;
/// The type of a block of comments (RFC 9639, section 8.1).
const COMMENT_BLOCK: u8 = 4;

/// The most samples per second that the encoder takes.
pub const MOST_RATE: u32 = 96_000;

/// How sound is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlacFormat {
    /// Samples per second, up to [`MOST_RATE`].
    pub rate: u32,
    /// 1 to 8.
    pub channels: usize,
    /// Bits of a sample: 16 or 24.
    pub bits: u16,
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FlacError {
    /// More samples per second than [`MOST_RATE`].
    #[error("FLAC is written up to 96 kHz, and this is {0} Hz: choose WAV")]
    Rate(u32),
    /// The encoder refuses.
    #[error("cannot make a FLAC file: {0}")]
    Encoder(String),
    /// The system does.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Writes a FLAC file.
#[derive(Debug)]
pub struct FlacWriter<W> {
    out: W,
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

impl<W: Write + Seek> FlacWriter<W> {
    /// Begins the file in `out`, with a block of comments (RFC 9639, section 8.6) if one is given.
    ///
    /// # Errors
    ///
    /// Fails if FLAC has no such format, or `out` cannot be written to.
    pub fn new(out: W, format: FlacFormat, comments: Option<&[u8]>) -> Result<Self, FlacError> {
        let FlacFormat { rate, channels, bits } = format;
        if rate > MOST_RATE {
            return Err(FlacError::Rate(rate));
        }
        let config = Encoder::default().into_verified().map_err(|(_, error)| failed(error))?;
        let mut plain = Encoder::default();
        (plain.subframe_coding.use_fixed, plain.subframe_coding.use_lpc) = (false, false);
        let plain = plain.into_verified().map_err(|(_, error)| failed(error))?;
        let (size, width) = (config.block_size, usize::from(bits));
        let rate = usize::try_from(rate).map_err(failed)?;
        let mut flac = Self {
            out,
            info: StreamInfo::new(rate, channels, width).map_err(failed)?,
            comments: comments
                .map(|comments| MetadataBlockData::new_unknown(COMMENT_BLOCK, comments))
                .transpose()
                .map_err(failed)?,
            bits,
            waiting: Vec::with_capacity(size * channels),
            block: (
                FrameBuf::with_size(channels, size).map_err(failed)?,
                Context::new(width, channels),
            ),
            config,
            plain,
        };
        flac.write_head()?;
        Ok(flac)
    }

    /// Writes the next samples, one after the other, channel by channel. Integers are the nearest to
    /// each sample; what lies outside -1 … 1 is clipped.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be written.
    pub fn write(&mut self, samples: impl Iterator<Item = f32>) -> Result<(), FlacError> {
        let full = self.config.block_size * self.info.channels();
        for sample in samples {
            self.waiting.push(quantize(sample, self.bits));
            if self.waiting.len() == full {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// Writes the last samples, and what is known of all. Gives back what was written to.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be written.
    pub fn finish(mut self) -> Result<W, FlacError> {
        if !self.waiting.is_empty() {
            self.encode()?;
        }
        let context = &self.block.1;
        self.info.set_md5_digest(&context.md5_digest());
        self.info.set_total_samples(context.total_samples());
        self.out.seek(SeekFrom::Start(0))?;
        self.write_head()?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Encodes the samples that wait as one block.
    fn encode(&mut self) -> Result<(), FlacError> {
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
    fn write_head(&mut self) -> Result<(), FlacError> {
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

    fn write_part(&mut self, part: &impl BitRepr) -> Result<(), FlacError> {
        let mut sink = ByteSink::new();
        part.write(&mut sink).map_err(|error| failed(format!("{error:?}")))?;
        Ok(self.out.write_all(sink.as_slice())?)
    }
}

fn failed(error: impl std::fmt::Display) -> FlacError {
    FlacError::Encoder(error.to_string())
}
