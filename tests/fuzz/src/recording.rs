//! Sound files that the trainer learns from. Symphonia decodes them; it may give up, and even panic, which
//! is caught.

use std::io::Cursor;
use std::path::Path;

use distill_shared::flac::{FlacFormat, FlacWriter};
use distill_trainer::audio::decode::decode_source;

/// What is decoded is sound: one or two channels of the same length.
pub fn check(bytes: &[u8]) -> bool {
    let Ok(decoded) = decode_source(Box::new(Cursor::new(bytes.to_vec())), None) else {
        return false;
    };
    let channels = &decoded.audio;
    assert!((1..=2).contains(&channels.len()) && !channels[0].is_empty());
    assert!(channels.iter().all(|channel| channel.len() == channels[0].len()));
    assert!(decoded.seconds() > 0.0);
    true
}

/// Files of some formats.
///
/// # Panics
///
/// Panics if a file is missing.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../trainer/tests/fixtures");
    let begin = |name: &str| {
        std::fs::read(folder.join(name)).expect("it lies beside the tests of the trainer")
    };
    let others = ["tones.mp3", "tones.ogg", "tones-aac.m4a", "tones-alac.m4a"].map(begin);
    others.into_iter().chain([wave(), flac()]).collect()
}

/// A FLAC of a few samples, as we write it.
fn flac() -> Vec<u8> {
    let format = FlacFormat { rate: 48_000, channels: 2, bits: 16 };
    let mut writer =
        FlacWriter::new(Cursor::new(Vec::new()), format, None).expect("there is such a format");
    let samples = (0_u8..200).map(|t| f32::from(t) / 256.0);
    writer.write(samples).expect("memory can be written");
    writer.finish().expect("memory can be written").into_inner()
}

/// A WAV of four stereo samples of 16 bits.
fn wave() -> Vec<u8> {
    let mut bytes = b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0".to_vec();
    bytes.extend(b"\0\xee\x02\0\x04\0\x10\0data\x10\0\0\0");
    bytes.extend([0, 64, 0, 192].repeat(4));
    bytes
}
