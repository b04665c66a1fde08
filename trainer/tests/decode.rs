//! Every format is decoded to the sound that went in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::f32::consts::FRAC_1_SQRT_2;
use std::fs;
use std::path::{Path, PathBuf};

use distill_trainer::audio::decode::{DecodeError, Decoded, decode};
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};

/// A sine at half of full scale.
fn tone(hz: f32, rate: u32, samples: u16) -> Vec<f32> {
    let step = std::f32::consts::TAU * hz / rate as f32;
    (0..samples).map(|i| 0.5 * (f32::from(i) * step).sin()).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn fixture(name: &str) -> Decoded {
    decode(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// A WAV file of integers of `bits` bits: each channel a constant, its number times 0.1.
fn constants(folder: &Path, channels: u16, bits: u16, rate: u32) -> PathBuf {
    let path = folder.join(format!("{channels}-{bits}-{rate}.wav"));
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    let full_scale = 2_f32.powi(i32::from(bits) - 1);
    for _ in 0..1000 {
        for channel in 1..=channels {
            #[expect(clippy::cast_possible_truncation, reason = "rounded, and in range")]
            writer.write_sample((0.1 * f32::from(channel) * full_scale).round() as i32).unwrap();
        }
    }
    writer.finalize().unwrap();
    path
}

#[test]
fn a_wav_file_for_more_than_four_gigabytes_is_told_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [b"RF64", b"BW64"] {
        let path = folder.path().join("long.wav");
        let head = [&kind[..], &[0xFF; 4], b"WAVEds64\x1c\0\0\0", &[0; 28]].concat();
        std::fs::write(&path, head).unwrap();
        let error = decode(&path).unwrap_err();
        assert!(matches!(error, DecodeError::LongWav), "{error}");
    }
}

#[test]
fn integers_of_every_width_keep_their_level() {
    let folder = tempfile::tempdir().unwrap();
    for bits in [8, 16, 24, 32] {
        let decoded = decode(&constants(folder.path(), 2, bits, 44_100)).unwrap();
        assert_eq!((decoded.rate, decoded.channels, decoded.audio.len()), (44_100, 2, 2));
        for (channel, level) in decoded.audio.iter().zip([0.1, 0.2]) {
            assert_eq!(channel.len(), 1000, "{bits} bits");
            let step = 0.51 / 2_f32.powi(i32::from(bits) - 1) + 1e-6;
            assert!(channel.iter().all(|sample| (sample - level).abs() <= step), "{bits} bits");
        }
    }
}

#[test]
fn odd_rates_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for rate in [4_000, 11_025, 44_101, 96_000, 384_000] {
        assert_eq!(decode(&constants(folder.path(), 1, 16, rate)).unwrap().rate, rate);
    }
    let error = decode(&constants(folder.path(), 1, 16, 1_000)).unwrap_err();
    assert!(matches!(error, DecodeError::Rate(1_000)), "{error}");
}

#[test]
fn surround_is_mixed_down_to_stereo() {
    let folder = tempfile::tempdir().unwrap();
    let decoded = decode(&constants(folder.path(), 6, 16, 48_000)).unwrap();
    assert_eq!((decoded.channels, decoded.audio.len()), (6, 2));
    // Front left and right, centre, low-frequency effects, surround left and right.
    let (left, right) = (0.1 + FRAC_1_SQRT_2 * (0.3 + 0.5), 0.2 + FRAC_1_SQRT_2 * (0.3 + 0.6));
    assert!((decoded.audio[0][500] - left).abs() < 1e-3, "{}", decoded.audio[0][500]);
    assert!((decoded.audio[1][500] - right).abs() < 1e-3, "{}", decoded.audio[1][500]);
    assert!(decoded.notes.iter().any(|note| note.contains("6 channels")));
}

#[test]
fn two_equal_channels_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dual-mono.wav");
    let format =
        ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Float32, rate: 48_000 };
    let channel = tone(440.0, 48_000, 4800);
    write_audio(&path, &[channel.clone(), channel.clone()], format).unwrap();
    let decoded = decode(&path).unwrap();
    assert_eq!(decoded.audio, [channel]);
    assert_eq!(decoded.channels, 2);
}

/// An AIFF file, 16-bit mono at 44,100 Hz, laid out by hand (AIFF 1.3, Apple 1989).
fn aiff(samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let mut common = Vec::new();
    common.extend(1_u16.to_be_bytes());
    common.extend(u32::try_from(samples.len()).unwrap().to_be_bytes());
    common.extend(16_u16.to_be_bytes());
    // 44,100 as an 80-bit float: exponent 16383 + 15, mantissa 44,100 · 2^48.
    common.extend((16_383_u16 + 15).to_be_bytes());
    common.extend((44_100_u64 << 48).to_be_bytes());
    let mut sound = vec![0; 8];
    sound.extend(data);
    let mut form = b"AIFF".to_vec();
    for (id, chunk) in [(b"COMM", common), (b"SSND", sound)] {
        form.extend(id);
        form.extend(u32::try_from(chunk.len()).unwrap().to_be_bytes());
        form.extend(chunk);
    }
    let mut file = b"FORM".to_vec();
    file.extend(u32::try_from(form.len()).unwrap().to_be_bytes());
    file.extend(form);
    file
}

#[test]
fn aiff_is_decoded_to_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ramp.aif");
    let samples: Vec<i16> = (-4000..4000).collect();
    fs::write(&path, aiff(&samples)).unwrap();
    let decoded = decode(&path).unwrap();
    assert_eq!(decoded.rate, 44_100);
    let expected: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32_768.0).collect();
    assert_eq!(decoded.audio, [expected]);
}

#[test]
fn lossy_formats_keep_length_and_sound() {
    for (name, rate) in [("tones.mp3", 44_100), ("tones.ogg", 48_000)] {
        let decoded = fixture(name);
        assert_eq!((decoded.rate, decoded.audio.len()), (rate, 2), "{name}");
        let samples = u16::try_from(rate / 2).unwrap();
        for (channel, hz) in decoded.audio.iter().zip([440.0, 660.0]) {
            assert_eq!(channel.len(), usize::from(samples), "{name}");
            // The tone begins and ends hard, which no lossy codec keeps.
            let middle = 2000..usize::from(samples) - 2000;
            let expected = tone(hz, rate, samples);
            let error = largest_difference(&channel[middle.clone()], &expected[middle]);
            assert!(error < 0.03, "{name} is off by {error}");
        }
    }
}

#[test]
fn m4a_holds_lossless_or_lossy_sound() {
    let lossless = fixture("tones-alac.m4a");
    // The encoder was given 16 bits with dither.
    let error = largest_difference(&lossless.audio[1], &tone(660.0, 48_000, 24_000));
    assert!(error < 4.0 / 32_768.0, "off by {error}");
    assert_eq!(lossless.audio[0].len(), 24_000);
    // An encoder's delay may be left in: AAC is compared by level.
    let lossy = fixture("tones-aac.m4a");
    let middle = &lossy.audio[0][4000..18_000];
    let power: f32 = middle.iter().map(|sample| sample * sample).sum::<f32>() / 14_000.0;
    assert!((power - 0.125).abs() < 0.005, "power {power}");
}

#[test]
fn a_file_cut_short_is_used_if_half_of_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let audio = [tone(440.0, 48_000, 48_000), tone(550.0, 48_000, 48_000)];
    for (format, name) in [(FileFormat::Wav, "cut.wav"), (FileFormat::Flac, "cut.flac")] {
        let path = folder.path().join(name);
        let export = ExportFormat { format, bit_depth: BitDepth::Int16, rate: 48_000 };
        write_audio(&path, &audio, export).unwrap();
        let bytes = fs::read(&path).unwrap();

        fs::write(&path, &bytes[..bytes.len() * 3 / 4]).unwrap();
        let decoded = decode(&path).unwrap();
        assert!((0.6..=0.8).contains(&decoded.seconds()), "{name}: {} s", decoded.seconds());
        assert!(decoded.notes.iter().any(|note| note.contains("damaged")), "{name}");
        let samples = decoded.audio[0].len();
        assert!(largest_difference(&decoded.audio[0], &audio[0][..samples]) < 1e-4, "{name}");

        fs::write(&path, &bytes[..bytes.len() / 4]).unwrap();
        let error = decode(&path).unwrap_err();
        assert!(matches!(error, DecodeError::Damaged { .. }), "{name}: {error}");
    }
}

#[test]
fn what_is_no_sound_is_refused_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.wav", "x.flac", "x.mp3", "x.ogg", "x.m4a", "x.aif"] {
        let path = folder.path().join(name);
        for content in [&b""[..], b"RIFF", &[0; 1000], b"<!DOCTYPE html><html>", &[0xff; 4096]] {
            fs::write(&path, content).unwrap();
            assert!(decode(&path).is_err(), "{name} holding {:?}", content.get(..8));
        }
    }
}
