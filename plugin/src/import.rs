//! Import: a sound file as a clip, to blend with, to swap from, or to go on from.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use distill_shared::player::{Model, encode};
use hound::{SampleFormat, WavReader};
use rtrb::RingBuffer;

use crate::clips::{Clip, MAX_CODES};
use crate::filters::{Filters, REACH};
use crate::interpolator::{Interpolator, Motion};
use crate::locks::Locks;

/// Sample rates that are read, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// A sound file as a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// As much of its beginning as a clip can be long.
    pub clip: Clip,
    /// The seconds of that, if there was more.
    pub cut: Option<f64>,
}

/// The WAV file at `path` as the codec with digest `codec`, which is that of `model`, hears it.
///
/// # Errors
///
/// Fails with a sentence for the editor if the file cannot be read or holds no sound.
pub fn import(path: &Path, model: &Arc<Model>, codec: &str) -> Result<Imported, String> {
    let shown = path.display();
    let config = &model.config().codec;
    let frames = MAX_CODES / config.quantizers;
    let seconds = (frames * config.hop()) as f64 / f64::from(config.sample_rate);
    // A little more tells whether there is more.
    let (sound, rate) = read(path, seconds + 0.1)
        .map_err(|problem| format!("{shown} was not imported: {problem}."))?;
    let sound = resample(sound, rate, config.sample_rate);
    if sound.is_empty() {
        return Err(format!("{shown} was not imported: it holds no sound."));
    }
    let channel = |side: usize| sound.iter().map(|sample| sample[side]).collect::<Vec<f32>>();
    let mean = || sound.iter().map(|[left, right]| 0.5 * (left + right)).collect();
    let channels = if config.channels == 2 { vec![channel(0), channel(1)] } else { vec![mean()] };
    let channels: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
    let whole = sound.len().div_ceil(config.hop());
    let codes = encode(model, &channels).first(whole.min(frames));
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (codes, locks) = (Arc::new(codes), Locks::default());
    let clip = Clip { name, rating: 0, codec: codec.to_owned(), codes, locks };
    Ok(Imported { clip, cut: (whole > frames).then_some(seconds) })
}

/// The first `seconds` of the file at `path`, as [`read_wave`] reads it.
fn read(path: &Path, seconds: f64) -> Result<(Vec<[f32; 2]>, u32), String> {
    let told = |error: std::io::Error| error.to_string();
    // Asked before opening, since opening a pipe waits for a writer.
    if !std::fs::metadata(path).map_err(told)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    read_wave(BufReader::new(File::open(path).map_err(told)?), seconds)
}

/// The first `seconds` of a WAV file as stereo samples, the first channel of the file and the second, and
/// its rate in Hz. Takes no more room than these samples do, however many channels the file has.
///
/// # Errors
///
/// Fails with a clause if the file cannot be read or holds no sound.
pub fn read_wave(file: impl Read, seconds: f64) -> Result<(Vec<[f32; 2]>, u32), String> {
    let mut reader = WavReader::new(file).map_err(|error| match error {
        hound::Error::IoError(error) => error.to_string(),
        _ => "it is no WAV file that can be read".to_owned(),
    })?;
    let hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if !RATES.contains(&sample_rate) || channels == 0 || bits_per_sample == 0 {
        return Err(format!("its rate is {sample_rate} Hz with {channels} channels"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let most = (seconds * f64::from(sample_rate)) as usize;
    let channels = usize::from(channels);
    let sound = match sample_format {
        SampleFormat::Float => frames(reader.samples(), channels, most),
        SampleFormat::Int => frames(integers(&mut reader, bits_per_sample), channels, most),
    };
    let sound = sound.map_err(|_| "it is damaged".to_owned())?;
    if sound.is_empty() { Err("it holds no sound".to_owned()) } else { Ok((sound, sample_rate)) }
}

/// The first two of the `channels` that lie interleaved in `samples`, of up to `most` frames. What is not
/// finite is silence.
fn frames(
    mut samples: impl Iterator<Item = hound::Result<f32>>,
    channels: usize,
    most: usize,
) -> hound::Result<Vec<[f32; 2]>> {
    let mut sound = Vec::new();
    let mut frame = [0.0; 2];
    while sound.len() < most {
        for channel in 0..channels {
            // A frame that is cut off is left out.
            let Some(sample) = samples.next() else { return Ok(sound) };
            let sample = sample?;
            if let Some(place) = frame.get_mut(channel) {
                *place = if sample.is_finite() { sample } else { 0.0 };
            }
        }
        sound.push(if channels == 1 { [frame[0]; 2] } else { frame });
    }
    Ok(sound)
}

/// Integers of so many bits as samples of full scale 1.
fn integers(
    reader: &mut WavReader<impl Read>,
    bits: u16,
) -> impl Iterator<Item = hound::Result<f32>> {
    let full_scale = (f64::from(bits) - 1.0).exp2();
    #[expect(clippy::cast_possible_truncation, reason = "a sample")]
    let scaled = move |sample: i32| (f64::from(sample) / full_scale) as f32;
    reader.samples::<i32>().map(move |sample| sample.map(scaled))
}

/// `sound` of `from` Hz at `to` Hz.
fn resample(sound: Vec<[f32; 2]>, from: u32, to: u32) -> Vec<[f32; 2]> {
    if from == to {
        return sound;
    }
    let speed = f64::from(from) / f64::from(to);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let len = (sound.len() as f64 / speed).round() as usize;
    // After its end there is silence, as far as the filter reaches.
    let (mut ring, mut waiting) = RingBuffer::new(sound.len() + 4 * REACH);
    let silence = std::iter::repeat_n([0.0; 2], 4 * REACH);
    for sample in sound.into_iter().chain(silence) {
        let _ = ring.push(sample); // there is room for all
    }
    let motion = Motion { speed, filter: Filters::of_process().at(speed) };
    let mut player = Interpolator::default();
    let there = player.playable(waiting.slots(), &motion).min(len);
    let mut resampled = Vec::with_capacity(len);
    player.play(&mut waiting, &motion, (there, there), |_, sample| resampled.push(sample));
    resampled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, seconds: f32) -> Vec<[f32; 2]> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let samples = (rate as f32 * seconds) as usize;
        let sample = |n: usize| {
            let t = n as f32 / rate as f32;
            let fade = (std::f32::consts::PI * t / seconds).sin();
            [0.5 * fade * (std::f32::consts::TAU * 440.0 * t).sin(), 0.0]
        };
        (0..samples).map(sample).collect()
    }

    #[test]
    fn sound_of_any_rate_keeps_pitch_level_and_length() {
        for rate in [8_000, 22_050, 44_100, 96_000, 192_000] {
            let resampled = resample(tone(rate, 0.5), rate, 48_000);
            let wanted = tone(48_000, 0.5);
            assert!(resampled.len().abs_diff(wanted.len()) <= 1, "{rate} Hz");
            let error = resampled.iter().zip(&wanted).map(|(a, b)| (a[0] - b[0]).abs());
            let error = error.fold(0.0, f32::max);
            assert!(error < 5e-3, "off by {error} from {rate} Hz");
        }
    }

    #[test]
    fn files_of_all_kinds_are_read_and_others_refused() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("a.wav");
        for (bits_per_sample, sample_format, channels) in [
            (8, SampleFormat::Int, 1),
            (16, SampleFormat::Int, 2),
            (24, SampleFormat::Int, 3),
            (32, SampleFormat::Float, 2),
        ] {
            let sample_rate = 44_100;
            let spec = hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format };
            let mut writer = hound::WavWriter::create(&path, spec).expect("it can be written");
            for _ in 0..100 * channels {
                match sample_format {
                    SampleFormat::Float => writer.write_sample(0.5_f32),
                    SampleFormat::Int => writer.write_sample(1_i32 << (bits_per_sample - 2)),
                }
                .expect("it can be written");
            }
            writer.finalize().expect("it can be written");
            let (sound, rate) = read(&path, 0.001).expect("it is a WAV file");
            assert_eq!((sound.len(), rate), (44, 44_100));
            assert_eq!(sound[7], [0.5; 2], "{bits_per_sample} bits");
        }
        std::fs::write(&path, b"RIFF but nothing else").expect("it can be written");
        assert!(read(&path, 1.0).is_err_and(|problem| problem.contains("no WAV")));
        assert!(read(&folder.path().join("b.wav"), 1.0).is_err());
    }
}
