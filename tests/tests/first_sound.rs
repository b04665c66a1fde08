//! From a folder of recordings to the instrument in a host: every part in its place, once.
//!
//! Needs the program and the package that `cargo xtask test` builds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use distill_shared::bundle::Bundle;
use distill_shared::player::Model;
use distill_tests::host::{Host, Playback, state};
use distill_tests::phrase::Note;
use distill_tests::sound::Sound;
use distill_tests::takes::codes_of;
use tempfile::TempDir;

/// Sizes that train in a moment.
const TINY: &str = "--codec-steps 4 --prior-steps 4 --width 16 --encoder-blocks 1 \
    --decoder-blocks 1 --latent-dim 8 --quantizers 3 --codebook-size 16 --codec-batch 2 \
    --hidden-size 16 --layers 1 --heads 2";

const SEED: u32 = 5;

/// A folder with toy recordings and the bundle trained on them.
static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let recordings = folder.path().join("recordings");
    fs::create_dir(&recordings).unwrap();
    for number in 0..6_u8 {
        let file = recordings.join(format!("{number}.wav"));
        pluck(110.0 * (1.0 + 0.2 * f32::from(number))).write_wav(&file).unwrap();
    }
    distill(folder.path(), &format!("train recordings -o toy.distill --seed 1 --quiet {TINY}"));
    folder
});

/// Half a second of a plucked string, so soft that nothing made of it is bent to stay in range.
fn pluck(hz: f32) -> Sound {
    let sample = |i: u16| {
        let seconds = f32::from(i) / 48_000.0;
        0.1 * (-6.0 * seconds).exp() * (seconds * hz * std::f32::consts::TAU).sin()
    };
    Sound { rate: 48_000, channels: vec![(0..24_000).map(sample).collect()] }
}

/// Runs the program in `folder`.
fn distill(folder: &Path, arguments: &str) {
    let tests = std::env::current_exe().unwrap();
    let name = format!("distill{}", std::env::consts::EXE_SUFFIX);
    let program = tests.ancestors().nth(2).unwrap().join(name);
    let mut command = Command::new(&program);
    let status = command.current_dir(folder).args(arguments.split_whitespace()).status();
    let status = status.unwrap_or_else(|error| panic!("build {}: {error}", program.display()));
    assert!(status.success(), "distill {arguments}: {status}");
}

fn package() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("test/bundled/Distill.clap")
}

/// What a fresh instance plays with the bundle at `path`.
fn hosted(path: &Path, notes: &[Note], playback: Playback) -> Sound {
    let mut instrument = Host::open(&package()).unwrap().instrument().unwrap();
    let state = state::with_bundle(&instrument.save().unwrap(), path).unwrap();
    instrument.load(&state).unwrap();
    let seed = instrument.parameter("Seed").unwrap();
    instrument.set(&seed, f64::from(SEED)).unwrap();
    assert_eq!(instrument.latency(), 0);
    instrument.play(notes, &playback).unwrap()
}

/// A note that is held from the beginning on.
const HELD: Note = Note { start: 0.0, end: 60.0, key: 60, velocity: 1.0 };

#[test]
fn the_instrument_plays_the_samples_that_generate_writes() {
    let folder = TRAINED.path();
    let arguments = "generate toy.distill -o new.wav --duration 1.5 --bit-depth 32f --once";
    distill(folder, &format!("{arguments} --seed {SEED}"));
    let generated = Sound::read_wav(&folder.join("new.wav")).unwrap();
    assert!(generated.peak_db() > -90.0, "nothing to compare: {:.1} dBFS", generated.peak_db());

    let playback = Playback { seconds: 1.5, ..Playback::default() };
    let played = hosted(&folder.join("toy.distill"), &[HELD], playback);
    assert_eq!(played.len(), generated.len());
    for channel in &played.channels {
        let differs = channel.iter().zip(&generated.channels[0]).position(|(a, b)| a != b);
        assert_eq!(differs, None, "the first sample that differs");
    }
}

#[test]
fn the_second_note_is_the_second_take() {
    let folder = TRAINED.path();
    let arguments =
        "generate toy.distill -o take.wav --count 2 --duration 0.5 --bit-depth 32f --once";
    distill(folder, &format!("{arguments} --seed {SEED}"));
    let second = Sound::read_wav(&folder.join("take-2.wav")).unwrap();

    let first = Note { end: 0.1, ..HELD };
    let notes = [first, Note { start: 1.0, ..HELD }];
    let playback = Playback { seconds: 1.5, ..Playback::default() };
    let played = hosted(&folder.join("toy.distill"), &notes, playback);
    assert!(played.channels[0][48_000..] == second.channels[0]);
}

#[test]
fn a_damaged_bundle_is_silence_and_no_crash() {
    let whole = fs::read(TRAINED.path().join("toy.distill")).unwrap();
    let path = TRAINED.path().join("damaged.distill");
    for bytes in [&whole[..whole.len() - 100], b"PK\x03\x04", b""] {
        fs::write(&path, bytes).unwrap();
        let played = hosted(&path, &[HELD], Playback { seconds: 0.5, ..Playback::default() });
        assert!(played.channels.iter().flatten().all(|&x| x == 0.0));
    }
}

#[test]
fn the_picture_shows_a_column_of_codes_per_frame_that_sounds() {
    let bundle = Bundle::open(&TRAINED.path().join("toy.distill")).unwrap();
    let model = Arc::new(Model::from_bundle(&bundle).unwrap());
    let hop_seconds = 1.0 / model.config().codec.frame_rate();
    let notes = [
        Note { start: 2.0 * hop_seconds, end: 5.0 * hop_seconds, ..HELD },
        Note { start: 7.0 * hop_seconds, end: 8.0 * hop_seconds, ..HELD },
    ];
    let grid = codes_of(&notes, &model, u64::from(SEED)).unwrap();
    let sounding: Vec<bool> = grid.columns.iter().map(|column| !column.is_empty()).collect();
    assert_eq!(sounding, [false, false, true, true, true, false, false, true]);
    assert!(grid.columns.iter().flatten().all(|&code| code < 16));
}
