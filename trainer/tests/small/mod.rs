//! The program, and bundles of random weights for it.

use std::path::Path;
use std::process::{Command, Output};

use distill_shared::bundle::{Bundle, Card, CorpusCodes};
use distill_shared::codes::Codes;
use distill_shared::model::conditioning::{Conditioning, Distribution, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::model::copying::Kept;
use distill_shared::player::random_weights;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use tempfile::TempDir;

fn distill(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

pub(crate) fn succeed(folder: &Path, arguments: &str) -> String {
    let output = distill(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "distill {arguments}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that it fails with `exit`, says `what`, and leaves `out.wav` unmade.
pub(crate) fn fail(folder: &Path, arguments: &str, exit: i32, what: &str) {
    let output = distill(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "distill {arguments}\n{errors}");
    assert!(errors.contains(what), "expected {what:?} in: {errors}");
    assert!(!folder.join("out.wav").exists());
}

/// A bundle of random weights with one recording, `low/a.wav`, of nine frames.
fn bundle(seed: u64) -> Bundle {
    let codec = CodecConfig {
        sample_rate: 48_000,
        channels: 2,
        fft_size: 512,
        stft_hop: 128,
        stride: 2,
        width: 16,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 3,
        expansion: 2,
        latent_dim: 8,
        quantizers: 3,
        codebook_size: 16,
        memory: Some(0.8),
        coherence: 0.5,
        power_bands: 4,
        power: 1.0,
        gain: 0.5,
    };
    let prior = PriorConfig {
        hidden_size: 16,
        layers: 1,
        heads: 2,
        window: 16,
        depth_size: 8,
        depth_layers: 1,
        depth_heads: 2,
        ends: true,
        longest: None,
        kept: Some(Kept { frames: 300, near: 0.5 }),
        conditioning: Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32))),
            pitch: Pitches::new(60..=64),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Conditioning::default()
        },
    };
    let config = ModelConfig { codec, prior: Some(prior) };
    let mut codes = Codes::new(3);
    (0..9).for_each(|t| codes.push(&[t, 15 - t, 3]));
    let recording = CorpusCodes { name: "low/a.wav".to_owned(), codes, ..CorpusCodes::default() };
    let weights = random_weights(&config, seed);
    let bundle = Bundle::new(config, Card::default(), weights).unwrap();
    bundle.with_corpus_codes(&[recording]).unwrap()
}

/// A folder with two bundles and a recording of 20 000 samples at 44.1 kHz.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    bundle(1).write(&folder.path().join("one.distill")).unwrap();
    bundle(2).write(&folder.path().join("other.distill")).unwrap();
    let sample = |i: u16| 0.4 * (f32::from(i) * 0.05).sin();
    let sound: Vec<f32> = (0..20_000).map(sample).collect();
    let format = ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 44_100 };
    write_audio(&folder.path().join("clip.wav"), &[sound], format).unwrap();
    folder
}
