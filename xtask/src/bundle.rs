//! `cargo xtask bundle`: the instrument as packages that a host can load.
//!
//! Packages for musicians are built in the release profile and lie in `target/bundled`. Those that
//! the tests load have debug assertions on, so that an allocation on the audio thread aborts; they
//! lie in `target/test/bundled` and never replace the others. Beside the former lie the notices that the
//! licences of what is inside ask for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::notices;
use crate::program::{cargo, run as run_program, target_dir};

const CRATE: &str = "distill-plugin";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Optimized, for playing: the default
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// With debug assertions, for testing: under target/test/bundled
    #[arg(long)]
    debug: bool,
}

/// The built packages.
#[derive(Debug)]
pub(crate) struct Packages {
    /// A file, on macOS a folder.
    pub(crate) clap: PathBuf,
    /// A folder.
    pub(crate) vst3: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let packages = if options.debug {
        run_program(&mut cargo(&format!("build -p {CRATE}")))?;
        package_debug()?
    } else {
        release()?
    };
    println!("{}\n{}", packages.clap.display(), packages.vst3.display());
    Ok(())
}

/// Builds and packages the instrument for musicians.
pub(crate) fn release() -> Result<Packages> {
    // Alone, so that the trainer's features stay out of the instrument.
    run_program(&mut cargo(&format!("build --release -p {CRATE}")))?;
    let packages = package(&target_dir(), &["--release".to_owned()])?;
    notices::write(&packages.clap.with_file_name("NOTICES.txt"))?;
    Ok(packages)
}

/// Packages the instrument that the dev profile has already built.
pub(crate) fn package_debug() -> Result<Packages> {
    // The bundler looks for the library under the folder that it writes to.
    let home = target_dir().join("test");
    let library =
        format!("{}distill_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let (from, to) = (target_dir().join("debug").join(&library), home.join("debug"));
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    fs::copy(&from, to.join(&library))
        .with_context(|| format!("cannot copy {}; build it first", from.display()))?;
    package(&home, &[])
}

fn package(home: &Path, profile: &[String]) -> Result<Packages> {
    nice_plug_xtask::bundle(home, CRATE, profile, false)?;
    let bundled = home.join("bundled");
    let packages =
        Packages { clap: bundled.join("Distill.clap"), vst3: bundled.join("Distill.vst3") };
    for path in [&packages.clap, &packages.vst3] {
        ensure!(path.exists(), "the bundler left no {}", path.display());
    }
    Ok(packages)
}
