//! Sound files that the instrument imports.

use std::io::Cursor;

use distill_plugin::import::read_wave;
use hound::{SampleFormat, WavSpec, WavWriter};

/// Seconds that are read.
const SECONDS: f64 = 0.01;

/// What is read is finite sound, no longer than was asked for.
pub fn check(bytes: &[u8]) -> bool {
    let Ok((sound, rate)) = read_wave(Cursor::new(bytes), SECONDS) else { return false };
    assert!(!sound.is_empty() && sound.len() as f64 <= SECONDS * f64::from(rate));
    assert!(sound.iter().flatten().all(|sample| sample.is_finite()));
    true
}

/// Files of all kinds of samples.
///
/// # Panics
///
/// Panics if a file cannot be made in memory.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let kinds = [
        (8, SampleFormat::Int, 1),
        (16, SampleFormat::Int, 2),
        (24, SampleFormat::Int, 3),
        (32, SampleFormat::Float, 2),
    ];
    let file = |(bits_per_sample, sample_format, channels): (u16, _, u16)| {
        let spec = WavSpec { channels, sample_rate: 48_000, bits_per_sample, sample_format };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).expect("memory can be written");
        for _ in 0..10 * channels {
            match sample_format {
                SampleFormat::Float => writer.write_sample(0.5_f32),
                SampleFormat::Int => writer.write_sample(1_i32 << (bits_per_sample - 2)),
            }
            .expect("memory can be written");
        }
        writer.finalize().expect("memory can be written");
        bytes.into_inner()
    };
    kinds.map(file).into()
}
