//! Writing sound files: WAV and FLAC.

mod flac;
mod tags;
mod wav;

use std::fs::File;
use std::io::{self, Cursor};
use std::path::Path;

use anyhow::Result;
use distill_shared::bundle::Replacement;
use serde::{Deserialize, Serialize};

use flac::FlacFile;
pub use tags::Tags;
use wav::WavFile;

/// Rates that are written, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 8_000..=384_000;

/// A container of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// RIFF WAVE.
    Wav,
    /// Free Lossless Audio Codec.
    Flac,
}

impl FileFormat {
    /// The format that a file has by its name, if that says.
    #[must_use]
    pub fn named(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_string_lossy().to_ascii_lowercase();
        match ending.as_str() {
            "wav" | "wave" => Some(Self::Wav),
            "flac" => Some(Self::Flac),
            _ => None,
        }
    }

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub enum BitDepth {
    /// 16-bit integers.
    #[value(name = "16")]
    #[serde(rename = "16")]
    Int16,
    /// 24-bit integers.
    #[value(name = "24")]
    #[serde(rename = "24")]
    Int24,
    /// 32-bit floats; WAV only.
    #[value(name = "32f")]
    #[serde(rename = "32f")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFormat {
    /// The container.
    pub format: FileFormat,
    /// How a sample is stored.
    pub bit_depth: BitDepth,
    /// Rate in Hz.
    pub rate: u32,
}

/// What a file will hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// 1 or 2.
    pub channels: usize,
    /// Samples of each channel.
    pub samples: usize,
    /// How they are written.
    pub format: ExportFormat,
}

/// A sound file that is written piece by piece. It replaces what is at its path when it is whole;
/// if it never is, nothing is left behind.
pub struct SoundFile {
    // Closed before the replacement is taken away.
    encoder: Encoder,
    replacement: Replacement,
}

enum Encoder {
    Wav(WavFile),
    Flac(Box<FlacFile<File>>),
}

impl SoundFile {
    /// Begins the file that is to be `path`, with `tags` or without.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to, if the sound is too long for its format, or if
    /// FLAC is to hold floats or another rate than it can.
    pub fn create(path: &Path, shape: Shape, tags: Option<&Tags>) -> Result<Self> {
        let replacement = Replacement::of(path)?;
        let file = replacement.handle()?;
        let encoder = match shape.format.format {
            FileFormat::Wav => WavFile::new(file, shape, tags).map(Encoder::Wav),
            FileFormat::Flac => {
                FlacFile::new(file, shape, tags).map(|flac| Encoder::Flac(Box::new(flac)))
            }
        };
        let encoder = encoder.map_err(|error| of_file(&replacement, error))?;
        Ok(Self { encoder, replacement })
    }

    /// Writes the next samples, `[C][S]`. Integers are the nearest to each sample; what lies
    /// outside -1 … 1 is clipped.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn write(&mut self, audio: &[Vec<f32>]) -> Result<()> {
        let written = match &mut self.encoder {
            Encoder::Wav(wav) => wav.write(interleaved(audio)),
            Encoder::Flac(flac) => flac.write(interleaved(audio)),
        };
        written.map_err(|error| of_file(&self.replacement, error))
    }

    /// Puts the whole file in its place.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn finish(self) -> Result<()> {
        Ok(self.close()?.put_in_place()?)
    }

    /// Ends the file, which is whole then and yet to be put in its place.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn close(self) -> Result<Replacement> {
        let Self { encoder, replacement } = self;
        let finished = match encoder {
            Encoder::Wav(wav) => wav.finish(),
            Encoder::Flac(flac) => flac.finish(),
        };
        finished.map_err(|error| of_file(&replacement, error))?;
        replacement.save()?;
        Ok(replacement)
    }
}

/// An error that names the file, if it is one of the system.
fn of_file(replacement: &Replacement, error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => replacement.error(error).into(),
        Err(other) => other,
    }
}

/// Writes `audio`, `[1 or 2][S]`, to `path`, replacing what is there at a stroke.
///
/// Integers are the nearest to each sample; what lies outside -1 … 1 is clipped.
///
/// # Errors
///
/// As [`SoundFile::create`] and [`SoundFile::write`].
pub fn write_audio(path: &Path, audio: &[Vec<f32>], format: ExportFormat) -> Result<()> {
    let samples = audio.first().map_or(0, Vec::len);
    let shape = Shape { channels: audio.len(), samples, format };
    let mut file = SoundFile::create(path, shape, None)?;
    file.write(audio)?;
    file.finish()
}

/// The bytes of a FLAC file of `audio`, `[C][S]` at `rate` Hz, in 16 bits.
///
/// # Errors
///
/// Fails if there is no channel, or if the format cannot hold it.
pub fn flac_bytes(audio: &[Vec<f32>], rate: u32) -> Result<Vec<u8>> {
    let format = ExportFormat { format: FileFormat::Flac, bit_depth: BitDepth::Int16, rate };
    let samples = audio.first().map_or(0, Vec::len);
    let mut bytes = Cursor::new(Vec::new());
    let shape = Shape { channels: audio.len(), samples, format };
    let mut flac = FlacFile::new(&mut bytes, shape, None)?;
    flac.write(interleaved(audio))?;
    flac.finish()?;
    Ok(bytes.into_inner())
}

/// The samples one after the other, channel by channel.
fn interleaved(audio: &[Vec<f32>]) -> impl Iterator<Item = f32> {
    let samples = audio.first().map_or(0, Vec::len);
    (0..samples).flat_map(move |i| audio.iter().map(move |channel| channel[i]))
}

#[cfg(test)]
mod tests {
    use distill_shared::math::quantize;

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

    fn shape(samples: usize, format: FileFormat, bit_depth: BitDepth) -> Shape {
        Shape { channels: 2, samples, format: ExportFormat { format, bit_depth, rate: 44_100 } }
    }

    /// Writes `audio` in pieces of 1000 samples; the bytes of the file.
    fn in_pieces(shape: Shape, audio: &[Vec<f32>], tags: Option<&Tags>) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("take");
        let mut file = SoundFile::create(&path, shape, tags).unwrap();
        for at in (0..shape.samples).step_by(1000) {
            let end = shape.samples.min(at + 1000);
            let piece: Vec<_> = audio.iter().map(|channel| channel[at..end].to_vec()).collect();
            file.write(&piece).unwrap();
        }
        assert!(!path.exists(), "the file is there once it is whole");
        file.finish().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::read(&path).unwrap()
    }

    /// The bytes that hound and flacenc make of whole sound.
    fn at_once(shape: Shape, audio: &[Vec<f32>]) -> Vec<u8> {
        let bits = shape.format.bit_depth.bits();
        let samples: Vec<i32> = interleaved(audio).map(|sample| quantize(sample, bits)).collect();
        if shape.format.format == FileFormat::Wav {
            let float = shape.format.bit_depth == BitDepth::Float32;
            let sample_format =
                if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
            let (channels, sample_rate, bits_per_sample) = (2, 44_100, bits);
            let spec = hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format };
            let mut file = std::io::Cursor::new(Vec::new());
            let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
            for (sample, integer) in interleaved(audio).zip(samples) {
                if float { writer.write_sample(sample) } else { writer.write_sample(integer) }
                    .unwrap();
            }
            writer.finalize().unwrap();
            return file.into_inner();
        }
        use flacenc::component::BitRepr as _;
        use flacenc::error::Verify as _;
        let config = flacenc::config::Encoder::default().into_verified().unwrap();
        let source =
            flacenc::source::MemSource::from_samples(&samples, 2, usize::from(bits), 44_100);
        let size = config.block_size;
        let mut stream = flacenc::encode_with_fixed_block_size(&config, source, size).unwrap();
        stream.stream_info_mut().set_block_sizes(size, size).unwrap();
        let mut sink = flacenc::bitsink::ByteSink::new();
        stream.write(&mut sink).unwrap();
        sink.into_inner()
    }

    const KINDS: [(FileFormat, BitDepth); 5] = [
        (FileFormat::Wav, BitDepth::Int16),
        (FileFormat::Wav, BitDepth::Int24),
        (FileFormat::Wav, BitDepth::Float32),
        (FileFormat::Flac, BitDepth::Int16),
        (FileFormat::Flac, BitDepth::Int24),
    ];

    #[test]
    fn pieces_make_the_bytes_of_the_whole() {
        for (format, depth) in KINDS {
            for samples in [1, 4095, 4096, 4097, 10_000] {
                let (shape, audio) = (shape(samples.into(), format, depth), ramps(samples));
                let same = in_pieces(shape, &audio, None) == at_once(shape, &audio);
                assert!(same, "{samples} samples, {format:?} {depth:?}");
            }
        }
    }

    #[test]
    fn a_flac_block_is_no_larger_than_its_samples() {
        // A loud beginning of something faint misleads the estimate of flacenc.
        let loud = |i: u16| if i.is_multiple_of(4096) { 0.99 } else { 1e-6 * f32::from(i % 7) };
        let audio = vec![(0..20_000).map(loud).collect(); 2];
        let shape = shape(20_000, FileFormat::Flac, BitDepth::Int24);
        let bytes = in_pieces(shape, &audio, None).len();
        assert!(bytes < 2 * 3 * 20_000, "{bytes} bytes; at once {}", at_once(shape, &audio).len());
    }

    #[test]
    fn tags_are_told_and_change_no_sound() {
        let tags = Tags {
            title: "Drums".to_owned(),
            software: "distill 1".to_owned(),
            facts: vec![("seed", "7".to_owned()), ("take", "0".to_owned())],
        };
        for (format, depth) in KINDS {
            let (shape, audio) = (shape(333, format, depth), ramps(333));
            let (tagged, plain) = (in_pieces(shape, &audio, Some(&tags)), at_once(shape, &audio));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(format!("take.{}", format.ending()));
            std::fs::write(&path, &tagged).unwrap();
            let heard = decode(&path).unwrap();
            std::fs::write(&path, &plain).unwrap();
            assert_eq!(heard.audio, decode(&path).unwrap().audio);
            let has = |text: &[u8]| tagged.windows(text.len()).any(|window| window == text);
            if format == FileFormat::Wav {
                assert!(tagged[8..].starts_with(&plain[8..]), "tags come last");
                assert!(has(b"INAM\x06\0\0\0Drums\0ISFT\x0a\0\0\0distill 1\0"));
                assert!(has(b"ICMT\x0f\0\0\0seed 7, take 0\0\0"));
                let riff = u32::from_le_bytes(tagged[4..8].try_into().unwrap());
                assert_eq!((riff as usize, tagged.len() % 2), (tagged.len() - 8, 0));
            } else {
                // After the head of 42 bytes, whose last block it no longer is.
                let blocks = tagged.len() - plain.len();
                assert!(tagged[42 + blocks..] == plain[42..] && tagged[4] == 0 && plain[4] == 0x80);
                assert_eq!(tagged[42], 0x84);
                assert!(has(b"\x0b\0\0\0TITLE=Drums\x11\0\0\0ENCODER=distill 1"));
                assert!(has(b"\x06\0\0\0SEED=7\x06\0\0\0TAKE=0"));
            }
        }
    }

    #[test]
    fn what_a_format_cannot_hold_is_refused_before_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let refused = |samples: usize, format, depth| {
            let created = SoundFile::create(&path, shape(samples, format, depth), None);
            let told = created.err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            told
        };
        let most = (u32::MAX as usize - 61) / 8;
        assert_eq!(refused(most, FileFormat::Wav, BitDepth::Float32), "");
        let told = refused(most + 1, FileFormat::Wav, BitDepth::Float32);
        assert!(told.contains("holds 4 GiB, which is 202 minutes"), "{told}");
        assert_eq!(refused(1 << 30, FileFormat::Flac, BitDepth::Int24), "");
        let told = refused(1 << 36, FileFormat::Flac, BitDepth::Int24);
        assert!(told.contains("holds 18 days"), "{told}");
    }

    #[test]
    fn a_file_in_memory_has_the_bytes_of_one_on_disk() {
        let audio = ramps(5000);
        let on_disk = in_pieces(shape(5000, FileFormat::Flac, BitDepth::Int16), &audio, None);
        assert_eq!(flac_bytes(&audio, 44_100).unwrap(), on_disk);
        assert!(flac_bytes(&[], 44_100).is_err());
    }

    #[test]
    fn floats_in_flac_are_refused() {
        let format =
            ExportFormat { format: FileFormat::Flac, bit_depth: BitDepth::Float32, rate: 48_000 };
        let error = write_audio(Path::new("unused.flac"), &[vec![0.0]], format).unwrap_err();
        assert!(format!("{error:#}").contains("16 or 24"));
    }
}
