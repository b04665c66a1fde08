//! Whether what is released can be built again: two clones, in folders of other names, one result.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::program::{cargo, read, root, run as run_program, target_dir};

/// Folders to build in, of paths of different lengths.
const FOLDERS: [&str; 2] = ["one", "another/of-a-longer-name"];

/// Builds what is committed twice and compares the files.
///
/// # Errors
///
/// Fails if a file differs.
pub(crate) fn check() -> Result<()> {
    // Clones are of what is committed.
    let changed = read(Command::new("git").args(["status", "--porcelain"]).current_dir(root()))?;
    ensure!(changed.is_empty(), "not all is committed, so the clones would be of other sources");
    let home = target_dir().join("reproducible");
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    }
    let [one, other] = FOLDERS.map(|folder| home.join(folder));
    let (one, other) = (build(&one)?, build(&other)?);
    for ((file, one), (_, other)) in one.iter().zip(&other) {
        ensure!(one == other, "{file} depends on where it is built: {one} and {other}");
        println!("{file}: {one}, twice");
    }
    fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))
}

/// Names and hashes of what is shipped, built in a clone in `folder`.
fn build(folder: &Path) -> Result<Vec<(String, String)>> {
    run_program(Command::new("git").args(["clone", "--quiet"]).arg(root()).arg(folder))?;
    let target = folder.join("target");
    for package in ["distill-plugin", "distill-trainer"] {
        let mut command = cargo("build --quiet --release --locked -p");
        run_program(command.arg(package).current_dir(folder).env("CARGO_TARGET_DIR", &target))?;
    }
    let library =
        format!("{}distill_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let program = format!("distill{}", std::env::consts::EXE_SUFFIX);
    let hash = |name: String| {
        let file = target.join("release").join(&name);
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let hash = Sha256::digest(bytes);
        Ok((name, hash.iter().map(|byte| format!("{byte:02x}")).collect()))
    };
    [library, program].into_iter().map(hash).collect()
}
