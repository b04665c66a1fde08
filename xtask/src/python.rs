//! The Python environment of the tests: VST3 hosts, the reference reader, the licence checker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program::{run, target_dir};

const REQUIREMENTS: &str = "tests/hosts/requirements.txt";

/// A virtual environment with everything in `tests/hosts/requirements.txt`.
pub(crate) struct Python {
    home: PathBuf,
}

impl Python {
    /// Makes the environment under `target/venv`, unless an equal one is there.
    ///
    /// # Errors
    ///
    /// Fails if there is no Python 3 with `venv`, or a package cannot be installed.
    pub(crate) fn prepare() -> Result<Self> {
        let python = Self { home: target_dir().join("venv") };
        let wanted =
            fs::read(REQUIREMENTS).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
        let installed = python.home.join("requirements.txt");
        if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        create(&python.home)?;
        run(python.command("python").args(["-m", "pip", "install", "--quiet"]).args([
            "--disable-pip-version-check",
            "--requirement",
            REQUIREMENTS,
        ]))?;
        fs::write(&installed, wanted)
            .with_context(|| format!("cannot write {}", installed.display()))?;
        Ok(python)
    }

    /// A program of the environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.home.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name))
    }
}

/// Creates an empty environment; on Debian `venv` is a package of its own.
fn create(home: &Path) -> Result<()> {
    let venv = || Command::new("python3").args(["-m", "venv", "--clear"]).arg(home).output();
    if venv().context("cannot start python3; install Python 3")?.status.success() {
        return Ok(());
    }
    let debian = Path::new("/usr/bin/apt-get").exists();
    if debian && is_root() {
        run(Command::new("apt-get").args(["update", "--quiet"]))?;
        run(Command::new("apt-get").args(["install", "--quiet", "--yes", "python3-venv"]))?;
        if venv()?.status.success() {
            return Ok(());
        }
    }
    bail!("Python 3 has no working venv module; on Debian: apt-get install python3-venv")
}

/// Whether this is root, who may install a package: the case of a bare machine.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
