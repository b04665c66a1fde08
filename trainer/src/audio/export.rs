//! Writing sound files: WAV and FLAC.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use distill_shared::bundle::write_atomically;
use flacenc::component::BitRepr;
use flacenc::error::Verify;

/// A container of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// RIFF WAVE.
    Wav,
    /// Free Lossless Audio Codec.
    Flac,
}

impl FileFormat {
    /// The ending of its files.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
        }
    }
}

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BitDepth {
    /// 16-bit integers.
    #[value(name = "16")]
    Int16,
    /// 24-bit integers.
    #[value(name = "24")]
    Int24,
    /// 32-bit floats; WAV only.
    #[value(name = "32f")]
    Float32,
}

impl BitDepth {
    /// Bits of a sample.
    fn bits(self) -> u16 {
        match self {
            Self::Int16 => 16,
            Self::Int24 => 24,
            Self::Float32 => 32,
        }
    }
}

/// How sound is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportFormat {
    /// The container.
    pub format: FileFormat,
    /// How a sample is stored.
    pub bit_depth: BitDepth,
    /// Rate in Hz.
    pub rate: u32,
}

/// Writes `audio`, `[1 or 2][S]`, to `path`, replacing what is there at a stroke.
///
/// Integers are the nearest to each sample; what lies outside -1 … 1 is clipped.
///
/// # Errors
///
/// Fails if the file cannot be written, or if FLAC is to hold floats.
pub fn write_audio(path: &Path, audio: &[Vec<f32>], format: ExportFormat) -> Result<()> {
    let bytes = match format.format {
        FileFormat::Wav => wav(audio, format).context("cannot make a WAV file")?,
        FileFormat::Flac => flac(audio, format).context("cannot make a FLAC file")?,
    };
    write_atomically(path, &bytes)?;
    Ok(())
}

/// The samples one after the other, channel by channel.
fn interleaved(audio: &[Vec<f32>]) -> impl Iterator<Item = f32> {
    let samples = audio.first().map_or(0, Vec::len);
    (0..samples).flat_map(move |i| audio.iter().map(move |channel| channel[i]))
}

/// The nearest integer of `bits` bits.
#[expect(clippy::cast_possible_truncation, reason = "the value is clamped to fewer bits")]
fn quantize(sample: f32, bits: u16) -> i32 {
    let full_scale = f64::from(1_u32 << (bits - 1));
    (f64::from(sample) * full_scale).round().clamp(-full_scale, full_scale - 1.0) as i32
}

fn wav(audio: &[Vec<f32>], format: ExportFormat) -> Result<Vec<u8>> {
    let bits = format.bit_depth.bits();
    let float = format.bit_depth == BitDepth::Float32;
    let spec = hound::WavSpec {
        channels: u16::try_from(audio.len())?,
        sample_rate: format.rate,
        bits_per_sample: bits,
        sample_format: if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int },
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    for sample in interleaved(audio) {
        if float {
            writer.write_sample(sample)?;
        } else {
            writer.write_sample(quantize(sample, bits))?;
        }
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

fn flac(audio: &[Vec<f32>], format: ExportFormat) -> Result<Vec<u8>> {
    let bits = format.bit_depth.bits();
    if format.bit_depth == BitDepth::Float32 {
        bail!("FLAC holds integers; choose a bit depth of 16 or 24");
    }
    let samples: Vec<i32> = interleaved(audio).map(|sample| quantize(sample, bits)).collect();
    let config = flacenc::config::Encoder::default()
        .into_verified()
        .map_err(|(_, error)| anyhow!("the encoder's defaults are invalid: {error}"))?;
    let source = flacenc::source::MemSource::from_samples(
        &samples,
        audio.len(),
        usize::from(bits),
        usize::try_from(format.rate)?,
    );
    let mut stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
        .map_err(|error| anyhow!("the encoder failed: {error:?}"))?;
    // The smallest block leaves out the last one (RFC 9639, section 8.2), which flacenc counts in:
    // readers would take the blocks for ones of varying size and find none.
    stream
        .stream_info_mut()
        .set_block_sizes(config.block_size, config.block_size)
        .map_err(|error| anyhow!("the encoder's block size is invalid: {error}"))?;
    let mut sink = flacenc::bitsink::ByteSink::new();
    stream.write(&mut sink).map_err(|error| anyhow!("the encoder failed: {error:?}"))?;
    Ok(sink.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::decode::decode;

    fn round_trip(format: FileFormat, bit_depth: BitDepth, audio: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("take.{}", format.ending()));
        let format = ExportFormat { format, bit_depth, rate: 44_100 };
        write_audio(&path, audio, format).unwrap();
        let decoded = decode(&path).unwrap();
        assert_eq!(decoded.rate, 44_100);
        assert!(decoded.notes.is_empty(), "{:?}", decoded.notes);
        decoded.audio
    }

    fn ramps(samples: u16) -> Vec<Vec<f32>> {
        let left: Vec<f32> = (0..samples).map(|i| f32::from(i % 2000) / 1000.0 - 1.0).collect();
        let right = left.iter().rev().map(|sample| 0.3 * sample).collect();
        vec![left, right]
    }

    #[test]
    fn what_is_written_reads_back() {
        use {BitDepth::*, FileFormat::*};
        for samples in [1, 2, 4095, 4096, 4097, 10_000] {
            let audio = ramps(samples);
            for (format, depth, error) in [
                (Wav, Int16, 0.51 / 32_768.0),
                (Wav, Int24, 0.51 / 8_388_608.0),
                (Wav, Float32, 0.0),
                (Flac, Int16, 0.51 / 32_768.0),
                (Flac, Int24, 0.51 / 8_388_608.0),
            ] {
                let read = round_trip(format, depth, &audio);
                assert_eq!(read.len(), 2);
                for (read, written) in read.iter().zip(&audio) {
                    assert_eq!(read.len(), written.len(), "{format:?} {depth:?}");
                    let off = read.iter().zip(written).map(|(a, b)| (a - b).abs());
                    assert!(off.fold(0.0, f32::max) <= error, "{format:?} {depth:?} {samples}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_loud_is_clipped() {
        let read = round_trip(FileFormat::Wav, BitDepth::Int16, &[vec![2.0, -2.0, 0.5]]);
        assert_eq!(read, [[32_767.0 / 32_768.0, -1.0, 0.5]]);
    }

    #[test]
    fn floats_in_flac_are_refused() {
        let format =
            ExportFormat { format: FileFormat::Flac, bit_depth: BitDepth::Float32, rate: 48_000 };
        let error = write_audio(Path::new("unused.flac"), &[vec![0.0]], format).unwrap_err();
        assert!(format!("{error:#}").contains("16 or 24"));
    }
}
