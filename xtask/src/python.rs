//! The Python environment of the tests: VST3 hosts, the reference reader, the licence checker.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::or_with_packages;
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
        or_with_packages("python3-venv", || python.create())?;
        run(python.command("python").args(["-m", "pip", "install", "--quiet"]).args([
            "--disable-pip-version-check",
            "--requirement",
            REQUIREMENTS,
        ]))?;
        // Hosts draw: DawDreamer cannot be loaded without OpenGL, even where nothing is shown.
        or_with_packages("libgl1", || python.import("dawdreamer, pedalboard, safetensors"))?;
        fs::write(&installed, wanted)
            .with_context(|| format!("cannot write {}", installed.display()))?;
        Ok(python)
    }

    /// A program of the environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.home.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name))
    }

    fn create(&self) -> Result<()> {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&self.home))
    }

    fn import(&self, modules: &str) -> Result<()> {
        run(self.command("python").arg("-c").arg(format!("import {modules}")))
    }
}
