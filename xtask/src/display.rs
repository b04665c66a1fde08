//! A display for windows, on Linux.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bundle::package_debug;
use crate::debian::or_with_packages;
use crate::program::{cargo, root, run, target_dir};
use crate::python::Python;

/// How the display is made: large enough for the window, and with room for many connections, since the
/// server may close those of windows that are gone later than new ones are opened.
const SERVER: &str = "--server-args=-screen 0 2000x1400x24 -maxclients 2048";

/// Opens the instrument's window `cycles` times on a display of its own.
///
/// # Errors
///
/// Fails if there can be no display, or a window does not do what it should.
pub(crate) fn test_window(cycles: u32) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("skipped: it needs X");
        return Ok(());
    }
    let library = library()?;
    for name in ["Attic", "Bells"] {
        fs::copy(root().join("assets/factory.distill"), library.join(format!("{name}.distill")))?;
    }
    fs::write(library.join("tags.json"), r#"{ "Attic.distill": ["soft", "rehearsal"] }"#)?;
    // One at a time: they count what their program leaves behind.
    for test in ["window", "windows"] {
        let test = cargo(&format!("test --workspace --test {test} -- --ignored"));
        let mut command = on_display(&test)?;
        command.env("DISTILL_FOLDER", &library);
        run(command.env("DISTILL_SOAK_WINDOWS", cycles.to_string()))?;
    }
    Ok(())
}

/// A library for windows, with nothing in it: what they export is not to lie among a musician's own files.
fn library() -> Result<PathBuf> {
    let library = target_dir().join("tmp/library");
    if library.exists() {
        fs::remove_dir_all(&library)?;
    }
    fs::create_dir_all(&library)?;
    Ok(library)
}

/// Plays `package` in real time for some minutes, on a display of its own, while everything changes.
///
/// # Errors
///
/// Fails if there can be no display, or what is played is not what it should be.
pub(crate) fn perform(package: &Path, minutes: f64) -> Result<()> {
    let test = "test --workspace --test performance -- --ignored --nocapture";
    let mut command = on_display(&cargo(test))?;
    command.env("DISTILL_FOLDER", library()?).env("DISTILL_PACKAGE", package);
    // The GNU library keeps what threads have freed, in each of eight arenas for a core as much as was ever
    // allocated there at a time (mallopt(3)). With one that is less, and what is lost can sooner be told
    // from it.
    command.env("MALLOC_ARENA_MAX", "1");
    run(command.env("DISTILL_SOAK_MINUTES", minutes.to_string()))
}

/// Opens the window of `vst3` in pedalboard, a VST3 host.
///
/// # Errors
///
/// Fails if there can be no display, or the window does not open, is not drawn, or cannot be used.
pub(crate) fn test_window_in_host(python: &Python, vst3: &Path) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("skipped: it needs X");
        return Ok(());
    }
    or_with_packages("openbox xsettingsd", || {
        run(Command::new("which").args(["openbox", "xsettingsd"]))
    })?;
    let mut script = python.command("python");
    script.arg("tests/hosts/vst3_window.py").arg(vst3);
    run(&mut on_display(&script)?)
}

/// What runs `command` on a display of its own.
fn on_display(command: &Command) -> Result<Command> {
    or_with_packages("xvfb xauth libgl1-mesa-dri", || {
        run(Command::new("xvfb-run").args(["--auto-servernum", "true"]))
    })?;
    let mut server = Command::new("xvfb-run");
    server.args(["--auto-servernum", SERVER]).arg(command.get_program()).args(command.get_args());
    Ok(server)
}

/// Makes the pictures of the window that the documents show.
///
/// # Errors
///
/// Fails as [`test_window`] does, or if a picture cannot be copied.
pub(crate) fn take_pictures() -> Result<()> {
    run(&mut cargo("build --workspace --all-targets"))?;
    package_debug()?;
    test_window(5)?;
    let (from, to) = (target_dir().join("tmp/pictures"), root().join("docs/images"));
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(&from).with_context(|| format!("no {}", from.display()))? {
        let file = entry?.file_name();
        fs::copy(from.join(&file), to.join(&file))?;
        println!("{}", to.join(&file).display());
    }
    Ok(())
}
