//! Sound files that the trainer learns from. Symphonia decodes them; it may give up, and even panic, which
//! is caught.

use std::io::Cursor;
use std::path::Path;

use distill_trainer::audio::decode::decode_source;

/// What is decoded is sound: one or two channels of the same length.
pub fn check(bytes: &[u8]) {
    let Ok(decoded) = decode_source(Box::new(Cursor::new(bytes.to_vec())), None) else { return };
    let channels = &decoded.audio;
    assert!((1..=2).contains(&channels.len()) && !channels[0].is_empty());
    assert!(channels.iter().all(|channel| channel.len() == channels[0].len()));
    assert!(decoded.seconds() > 0.0);
}

/// The beginnings of files of some formats.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../trainer/tests/fixtures");
    let begin = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).unwrap_or_default();
        bytes[..bytes.len().min(2000)].to_vec()
    };
    let others = ["tones.mp3", "tones.ogg", "tones-aac.m4a", "tones-alac.m4a"].map(begin);
    others.into_iter().chain([wave(), flac()]).collect()
}

/// A FLAC of two frames of silence (RFC 9639): the stream information, and constant subframes.
fn flac() -> Vec<u8> {
    let mut bytes = b"fLaC\x80\x00\x00\x22\x10\x00\x10\x00".to_vec();
    bytes.extend([0, 0, 0, 0, 0, 0, 0x0b, 0xb8, 0x02, 0xf0, 0, 0, 0x20, 0]);
    bytes.extend([0; 16]);
    for frame in [[0xff, 0xf8, 0xca, 0x18, 0], [0xff, 0xf8, 0xca, 0x18, 1]] {
        bytes.extend(frame);
        bytes.extend([0; 10]);
    }
    bytes
}

/// A WAV of four stereo samples of 16 bits.
fn wave() -> Vec<u8> {
    let mut bytes = b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0".to_vec();
    bytes.extend(b"\0\xee\x02\0\x04\0\x10\0data\x10\0\0\0");
    bytes.extend([0, 64, 0, 192].repeat(4));
    bytes
}
