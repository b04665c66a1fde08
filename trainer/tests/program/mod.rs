//! The program, and a bundle that it trained.
#![allow(dead_code, reason = "every test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use tempfile::TempDir;

/// Sizes of a model that trains in a blink.
pub(crate) const TINY: &str = "--width 16 --encoder-blocks 1 --decoder-blocks 1 --quantizers 2 \
    --codebook-size 16 --latent-dim 8 --hidden-size 16 --layers 1 --heads 2 \
    --codec-batch 2 --prior-batch 2";

/// Runs the program in `folder` with arguments that hold no spaces.
pub(crate) fn distill(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run that must succeed.
pub(crate) fn succeed(folder: &Path, arguments: &str) -> Output {
    let output = distill(folder, arguments);
    assert_eq!(code(&output), 0, "distill {arguments}\n{}", stderr(&output));
    output
}

/// A run that must fail with `exit` and say `what`.
pub(crate) fn fail(folder: &Path, arguments: &str, exit: i32, what: &str) {
    let output = distill(folder, arguments);
    let message = stderr(&output);
    assert_eq!(code(&output), exit, "distill {arguments}\n{message}");
    assert!(message.contains(what), "expected {what:?} in: {message}");
    assert!(stdout(&output).is_empty(), "a failure prints no result");
}

/// Six short stereo sounds in two folders.
pub(crate) fn write_recordings(folder: &Path) {
    for i in 0..6_u8 {
        let hz = 110.0 * f32::from(i + 2);
        let value = |t: u16, hz: f32| {
            let t = f32::from(t) / 44_100.0;
            0.5 * (-6.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
        };
        let left: Vec<f32> = (0..20_000).map(|t| value(t, hz)).collect();
        let right: Vec<f32> = (0..20_000).map(|t| value(t, 1.5 * hz)).collect();
        let class = folder.join(if i < 3 { "low" } else { "high" });
        fs::create_dir_all(&class).unwrap();
        let path = class.join(format!("{i}.wav"));
        let format =
            ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 44_100 };
        write_audio(&path, &[left, right], format).unwrap();
    }
}

/// A folder with recordings in `sounds` and a bundle, `toy.distill`, that was trained on them.
pub(crate) fn toy() -> &'static Path {
    static TOY: OnceLock<TempDir> = OnceLock::new();
    let toy = TOY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write_recordings(&folder.path().join("sounds"));
        let arguments = "train sounds -o toy.distill --codec-steps 30 --prior-steps 5 --seed 7";
        let output = succeed(folder.path(), &format!("{arguments} {TINY} --log log.jsonl"));
        assert_eq!(stdout(&output), "toy.distill\n");
        fs::write(folder.path().join("stderr.txt"), output.stderr).unwrap();
        folder
    });
    toy.path()
}

/// A copy of the toy bundle that a test may change.
pub(crate) fn own_toy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.distill");
    fs::copy(toy().join("toy.distill"), &path).unwrap();
    (folder, path)
}
