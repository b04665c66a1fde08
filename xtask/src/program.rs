//! Runs other programs from the root of the workspace, and says plainly which one failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// The folder that cargo builds into, wherever that was set.
pub(crate) fn target_dir() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let named = || std::env::var_os("CARGO_TARGET_DIR").map(|named| root().join(named));
    FOLDER
        .get_or_init(|| named().or_else(told_target_dir).unwrap_or_else(|| root().join("target")))
        .clone()
}

/// The folder that cargo says it builds into.
fn told_target_dir() -> Option<PathBuf> {
    let mut metadata = cargo("metadata --format-version 1 --no-deps --offline");
    let told = metadata.current_dir(root()).stderr(Stdio::null()).output().ok()?;
    let told: Value = serde_json::from_slice(&told.stdout).ok()?;
    told["target_directory"].as_str().map(PathBuf::from)
}

/// A call of cargo with `arguments`, separated by spaces.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments.split(' '));
    command
}

/// A program that `cargo build --release` has built.
pub(crate) fn built(name: &str) -> Command {
    Command::new(built_in(&target_dir(), name))
}

/// Where `cargo build --release` leaves a program if it builds into `folder`.
pub(crate) fn built_in(folder: &Path, name: &str) -> PathBuf {
    folder.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Runs `command` with our own standard streams.
///
/// # Errors
///
/// Fails if the program cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} failed ({status}); its own words are above", shown(command));
    Ok(())
}

/// Runs `command` and returns what it wrote to its standard output.
///
/// # Errors
///
/// Fails if the program cannot be started or does not succeed.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(output.status.success(), "{} failed ({})", shown(command), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command line as a person would type it.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    format!("`{line}`")
}
