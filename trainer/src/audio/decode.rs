//! Reading sound files: WAV, AIFF, FLAC, MP3, OGG, M4A and what else Symphonia decodes.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::audio::{Channels, GenericAudioBufferRef, Position};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

/// Rates that a file may have, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// Samples that a channel of a file may have: three hours at 48 kHz.
pub const MOST_SAMPLES: usize = 1 << 29;

/// A file as sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Samples `[1 or 2][S]`: more channels are mixed down to two, and two equal ones are one.
    pub audio: Vec<Vec<f32>>,
    /// Rate in Hz.
    pub rate: u32,
    /// Channels of the file.
    pub channels: usize,
    /// What is worth knowing about it, a clause each.
    pub notes: Vec<String>,
}

impl Decoded {
    /// Its length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.audio.first().map_or(0, Vec::len) as f64 / f64::from(self.rate)
    }
}

/// Why a file could not be decoded: a clause that follows on its name.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Not in any known format.
    #[error("it is in no known format; convert it to WAV or FLAC")]
    Unknown,
    /// A WAV file for more than its format can count, RF64 or BW64.
    #[error(
        "it is a WAV file of the kind for more than 4 GB (RF64), which is not read; save it as FLAC, or as \
         WAV files below 4 GB"
    )]
    LongWav,
    /// Something about its format is not supported, or missing.
    #[error("it cannot be decoded ({0}); convert it to WAV or FLAC")]
    Unsupported(String),
    /// There is no sound in it.
    #[error("it holds no sound")]
    Empty,
    /// Less than half of it can be decoded.
    #[error("it is damaged: only {percent:.0} % of it can be decoded")]
    Damaged {
        /// How much can be decoded.
        percent: f64,
    },
    /// It has more than [`MOST_SAMPLES`].
    #[error("it is too long; split it into parts of {minutes} minutes at most")]
    Long {
        /// Minutes that as many take at its rate.
        minutes: usize,
    },
    /// Its rate is out of range.
    #[error("its sample rate of {0} Hz is not supported")]
    Rate(u32),
    /// The decoder failed.
    #[error("it is damaged: the decoder gave up on it")]
    Panic,
}

/// Decodes a file. Of a damaged one, what can be decoded counts if that is at least half.
///
/// # Errors
///
/// One [`DecodeError`] per kind of failure; a decoder that panics is one.
pub fn decode(path: &Path) -> Result<Decoded, DecodeError> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    decode_source(Box::new(File::open(path)?), ending)
}

/// Decodes what is read from `source`, the name of which has this `ending`, as [`decode`] does.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_source(
    source: Box<dyn MediaSource>,
    ending: Option<&str>,
) -> Result<Decoded, DecodeError> {
    let mut source = source;
    if source.is_seekable() && is_long_wav(&mut source)? {
        return Err(DecodeError::LongWav);
    }
    catch_unwind(AssertUnwindSafe(|| decode_track(source, ending)))
        .unwrap_or(Err(DecodeError::Panic))
}

/// Whether a source, which is left at its beginning, begins as WAV files for more than 4 GB do.
fn is_long_wav(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut head = Vec::new();
    source.by_ref().take(4).read_to_end(&mut head)?;
    source.rewind()?;
    Ok(head == b"RF64" || head == b"BW64")
}

/// Decodes the first track of sound in a file.
fn decode_track(
    source: Box<dyn MediaSource>,
    ending: Option<&str>,
) -> Result<Decoded, DecodeError> {
    let stream = MediaSourceStream::new(source, Default::default());
    let mut hint = Hint::new();
    if let Some(ending) = ending {
        hint.with_extension(ending);
    }
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let mut reader = symphonia::default::get_probe()
        .probe(&hint, stream, format, metadata)
        .map_err(cannot_begin)?;
    let track = reader.default_track(TrackType::Audio).ok_or(DecodeError::Empty)?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters.ok_or(DecodeError::Empty)?, &AudioDecoderOptions::default())
        .map_err(cannot_begin)?;
    let (id, expected_s) = (track.id, expected_seconds(track));
    let sound = read_packets(&mut *reader, &mut *decoder, id);
    sound.finish(expected_s)
}

/// Why decoding cannot begin.
fn cannot_begin(error: SymphoniaError) -> DecodeError {
    match error {
        // What the probe says when it has tried everything.
        SymphoniaError::Unsupported(what) if what.starts_with("core (probe)") => {
            DecodeError::Unknown
        }
        SymphoniaError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            DecodeError::Io(error)
        }
        SymphoniaError::IoError(_) | SymphoniaError::DecodeError(_) => {
            DecodeError::Damaged { percent: 0.0 }
        }
        error => DecodeError::Unsupported(error.to_string()),
    }
}

/// Length of a track in seconds, as its header tells it.
fn expected_seconds(track: &Track) -> Option<f64> {
    let rate = track.codec_params.as_ref()?.audio()?.sample_rate?;
    Some(track.num_frames? as f64 / f64::from(rate))
}

/// Decodes packets of track `id` until the end, or until the stream is damaged beyond repair.
fn read_packets(reader: &mut dyn FormatReader, decoder: &mut dyn AudioDecoder, id: u32) -> Sound {
    let mut sound = Sound::default();
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == id => packet,
            Ok(Some(_)) => continue,
            Ok(None) => break,
            Err(error) => {
                sound.stopped = Some(error);
                break;
            }
        };
        match decoder.decode(&packet) {
            Ok(buffer) => {
                if sound.samples() + buffer.frames() > MOST_SAMPLES {
                    sound.too_long = true;
                    break;
                }
                if !sound.append(&buffer) {
                    sound.notes.push("its channels or rate change; only the start is used".into());
                    break;
                }
            }
            // This packet is lost, the next ones may be well.
            Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_)) => sound.lost += 1,
            Err(error) => {
                sound.stopped = Some(error);
                break;
            }
        }
    }
    sound
}

/// What has been decoded of a file.
#[derive(Default)]
struct Sound {
    audio: Vec<Vec<f32>>,
    /// Rate and channels of the first packet.
    spec: Option<(u32, Channels)>,
    /// Gains of each channel of the file into those of `audio`, if it has more than two.
    mixdown: Vec<[f32; 2]>,
    /// The newest packet, `[channels of the file][samples]`.
    planes: Vec<Vec<f32>>,
    notes: Vec<String>,
    packets: usize,
    lost: usize,
    stopped: Option<SymphoniaError>,
    too_long: bool,
}

impl Sound {
    /// Samples of a channel so far.
    fn samples(&self) -> usize {
        self.audio.first().map_or(0, Vec::len)
    }

    /// Appends a packet; `false` if it is not like the ones before.
    fn append(&mut self, buffer: &GenericAudioBufferRef) -> bool {
        let spec = (buffer.spec().rate(), buffer.spec().channels().clone());
        let first = self.spec.get_or_insert_with(|| spec.clone());
        if *first != spec {
            return false;
        }
        let channels = spec.1.count();
        if self.packets == 0 {
            self.audio = vec![Vec::new(); channels.min(2)];
            self.mixdown = mixdown(&spec.1);
        }
        self.packets += 1;
        buffer.copy_to_vecs_planar(&mut self.planes);
        if channels <= 2 {
            for (channel, plane) in self.audio.iter_mut().zip(&self.planes) {
                channel.extend_from_slice(plane);
            }
            return true;
        }
        for (side, channel) in self.audio.iter_mut().enumerate() {
            let start = channel.len();
            channel.resize(start + buffer.frames(), 0.0);
            for (plane, gains) in self.planes.iter().zip(&self.mixdown) {
                for (sum, sample) in channel[start..].iter_mut().zip(plane) {
                    *sum += gains[side] * sample;
                }
            }
        }
        true
    }

    /// The sound, if it is at least half of what the header promises.
    fn finish(self, expected_s: Option<f64>) -> Result<Decoded, DecodeError> {
        let Self { mut audio, spec, mut notes, packets, lost, stopped, too_long, .. } = self;
        if too_long {
            let rate = spec.map_or(1, |(rate, _)| rate.max(1));
            return Err(DecodeError::Long { minutes: MOST_SAMPLES / 60 / rate as usize });
        }
        let damaged = lost > 0 || stopped.is_some();
        let Some((rate, channels)) = spec.filter(|_| audio.first().is_some_and(|c| !c.is_empty()))
        else {
            return Err(if damaged {
                DecodeError::Damaged { percent: 0.0 }
            } else {
                DecodeError::Empty
            });
        };
        if !RATES.contains(&rate) {
            return Err(DecodeError::Rate(rate));
        }
        let seconds = audio[0].len() as f64 / f64::from(rate);
        let of_packets = packets as f64 / (packets + lost) as f64;
        let share = expected_s.map_or(of_packets, |expected_s| seconds / expected_s.max(1e-9));
        if share < 0.5 {
            return Err(DecodeError::Damaged { percent: 100.0 * share });
        }
        // A header may be off by a packet without anything being missing.
        if damaged || share < 0.95 {
            notes.push(format!("damaged: {:.0} % of it is used", 100.0 * share.min(1.0)));
        }
        if channels.count() > 2 {
            notes.push(format!("{} channels mixed down to 2", channels.count()));
        }
        if audio.len() == 2 && audio[0] == audio[1] {
            audio.truncate(1);
        }
        Ok(Decoded { audio, rate, channels: channels.count(), notes })
    }
}

/// Gains of each channel into left and right: fronts as they are, everything else at -3 dB on its
/// side or on both, without the low-frequency effects (ITU-R BS.775-4, annex 4). Channels without a
/// position go left and right in turn.
fn mixdown(channels: &Channels) -> Vec<[f32; 2]> {
    const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let left = Position::FRONT_LEFT_CENTER
        | Position::REAR_LEFT
        | Position::SIDE_LEFT
        | Position::TOP_FRONT_LEFT
        | Position::TOP_REAR_LEFT;
    let right = Position::FRONT_RIGHT_CENTER
        | Position::REAR_RIGHT
        | Position::SIDE_RIGHT
        | Position::TOP_FRONT_RIGHT
        | Position::TOP_REAR_RIGHT;
    let gains = |position: Position| match position {
        Position::FRONT_LEFT => [1.0, 0.0],
        Position::FRONT_RIGHT => [0.0, 1.0],
        Position::LFE1 | Position::LFE2 => [0.0, 0.0],
        _ if left.contains(position) => [HALF, 0.0],
        _ if right.contains(position) => [0.0, HALF],
        _ => [HALF, HALF],
    };
    match channels {
        Channels::Positioned(positions) => positions.iter().map(gains).collect(),
        _ => {
            let count = channels.count();
            // Each side is the mean of its channels, so that the level stays.
            let share = 2.0 / f32::from(u16::try_from(count).unwrap_or(u16::MAX)).max(2.0);
            (0..count).map(|i| if i % 2 == 0 { [share, 0.0] } else { [0.0, share] }).collect()
        }
    }
}
