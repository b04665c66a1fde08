//! Hostile files: what each parser of Distill is told, and what must never come of it.
//!
//! A *target* takes any bytes and gives them to one parser. It panics if something is accepted that
//! should not be, or that cannot be used as the program uses it. Whatever the bytes are, a target must
//! not panic, must not hold more than [`MOST_BYTES`] and must end within a second.
//!
//! | target | parser |
//! |---|---|
//! | [`bundle`] | a bundle, and the model that is made of it |
//! | [`sealed_bundle`] | the same, its sums put right first |
//! | [`model`] | the config of a bundle, with tensors that fit it; the model plays |
//! | [`state`] | what a host saves of the instrument: settings, bundle and clips |
//! | [`codes_file`] | a file of codes, for a bundle |
//! | [`preset`] | a preset of the instrument |
//! | [`tags`] | the tags of the bundles in a folder |
//! | [`take_file`] | the file beside a take, which tells how it was made |
//! | [`checkpoint`] | a checkpoint of a run |
//! | [`sealed_checkpoint`] | the same, its digest put right first |
//! | [`recording`] | a sound file that the trainer learns from, of any format |
//! | [`wave_file`] | a sound file that the instrument imports |
//!
//! The targets run in two ways: with mutations of their seeds that are always the same, as the tests of
//! this crate, and under libFuzzer, by `cargo xtask fuzz`. See `docs/fuzzing.md`.

pub mod bundle;
#[cfg(feature = "trainer")]
pub mod checkpoint;
#[cfg(feature = "trainer")]
pub mod codes_file;
pub mod model;
pub mod preset;
#[cfg(feature = "trainer")]
pub mod recording;
pub mod room;
pub mod sealed_bundle;
#[cfg(feature = "trainer")]
pub mod sealed_checkpoint;
pub mod sealing;
#[cfg(feature = "plugin")]
pub mod state;
pub mod tags;
#[cfg(feature = "trainer")]
pub mod take_file;
#[cfg(feature = "plugin")]
pub mod wave_file;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub use room::{Limited, MOST_BYTES};

/// One parser, and where to begin with it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called: the name of its module.
    pub name: &'static str,
    /// Gives bytes to the parser. Whether it accepts them.
    pub check: fn(&[u8]) -> bool,
    /// Files that the parser accepts, or inputs that stand for them.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($(#[$only:meta])? $name:ident),+) => {
        &[$($(#[$only])? Target {
            name: stringify!($name),
            check: $name::check,
            seeds: $name::seeds,
        }),+]
    };
}

/// All targets.
pub const TARGETS: &[Target] = targets![
    bundle,
    sealed_bundle,
    model,
    preset,
    tags,
    #[cfg(feature = "plugin")]
    state,
    #[cfg(feature = "plugin")]
    wave_file,
    #[cfg(feature = "trainer")]
    codes_file,
    #[cfg(feature = "trainer")]
    take_file,
    #[cfg(feature = "trainer")]
    checkpoint,
    #[cfg(feature = "trainer")]
    sealed_checkpoint,
    #[cfg(feature = "trainer")]
    recording
];

/// Names the folder that [`write_seeds`] writes to.
const SEEDS: &str = "DISTILL_FUZZ_SEEDS";

/// Gives `bytes` to a target, and watches over the room that it takes; whether they are accepted. A
/// process whose allocator is [`Limited`] is aborted if that is too much.
pub fn run(check: fn(&[u8]) -> bool, bytes: &[u8]) -> bool {
    let mut accepted = false;
    room::watch(|| accepted = check(bytes));
    accepted
}

/// Writes seeds, one file each, into the folder that the environment names in `DISTILL_FUZZ_SEEDS`, if it
/// names one.
///
/// # Errors
///
/// Fails if the folder cannot be written to.
pub fn write_seeds(seeds: fn() -> Vec<Vec<u8>>) -> io::Result<()> {
    let Some(folder) = std::env::var_os(SEEDS).map(PathBuf::from) else { return Ok(()) };
    fs::create_dir_all(&folder)?;
    seeds()
        .iter()
        .enumerate()
        .try_for_each(|(number, seed)| fs::write(folder.join(format!("seed-{number}")), seed))
}

/// The folder of inputs of a target that were found to do harm once.
#[must_use]
pub fn fixtures(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(target)
}
