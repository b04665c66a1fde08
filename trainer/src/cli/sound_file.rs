//! The sound file that a command writes.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use distill_shared::math::soft_clip;

use super::output::free;
use crate::audio::export::{BitDepth, ExportFormat, FileFormat, RATES, write_audio};
use crate::stop::Usage;

/// Where and how sound is written.
#[derive(Debug, Args)]
pub(super) struct SoundFileArgs {
    /// File to write; if not given, it is in this folder, is named after what it is made from, and
    /// replaces nothing
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Sample rate of the file in Hz
    #[arg(long, value_name = "HZ", default_value_t = 48_000,
        value_parser = clap::value_parser!(u32).range(i64::from(*RATES.start())..=i64::from(*RATES.end())))]
    rate: u32,
    /// Format of the file; by the ending of --output, or WAV
    #[arg(long)]
    format: Option<FileFormat>,
    /// How samples are stored
    #[arg(long, default_value = "24")]
    bit_depth: BitDepth,
}

impl SoundFileArgs {
    /// The format to write: what is asked for, else what the name of the file says.
    pub(super) fn export_format(&self) -> Result<ExportFormat> {
        let named = self.output.as_deref();
        let ending = named.and_then(Path::extension).map(|ending| ending.to_string_lossy());
        let by_name = named.and_then(FileFormat::named);
        let format = match (self.format.or(by_name), ending) {
            (Some(format), _) => format,
            (None, None) => FileFormat::Wav,
            (None, Some(other)) => {
                let other = other.to_ascii_lowercase();
                let message = format!("cannot write .{other} files; name a .wav or .flac file");
                return Err(Usage(message).into());
            }
        };
        if format == FileFormat::Flac && self.bit_depth == BitDepth::Float32 {
            let message = "FLAC holds integers; use --bit-depth 16 or 24, or --format wav";
            return Err(Usage(message.to_owned()).into());
        }
        Ok(ExportFormat { format, bit_depth: self.bit_depth, rate: self.rate })
    }

    /// The file to write: the one that is asked for, else one that is [`free`] called `name`, with the
    /// ending of its format.
    pub(super) fn path_or(&self, name: &Path, format: ExportFormat, beside: &[&str]) -> PathBuf {
        let named = || free(name.with_added_extension(format.format.ending()), beside);
        self.output.clone().unwrap_or_else(named)
    }

    /// Writes `audio`, `[C][S]`, to `path`. Peaks of integers are bent as the instrument bends
    /// them.
    pub(super) fn write(path: &Path, mut audio: Vec<Vec<f32>>, format: ExportFormat) -> Result<()> {
        keep_below_full_scale(&mut audio, format);
        write_audio(path, &audio, format)
    }
}

/// Bends the peaks of what will be integers, as the instrument bends them.
pub(super) fn keep_below_full_scale(audio: &mut [Vec<f32>], format: ExportFormat) {
    if format.bit_depth != BitDepth::Float32 {
        audio.iter_mut().flatten().for_each(|sample| *sample = soft_clip(*sample));
    }
}
