//! Packages of a bare Debian, which is what continuous integration runs on.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::program::run;

/// Tries `attempt`; where it fails on a bare Debian, installs `package` and tries again.
///
/// # Errors
///
/// Fails as the last attempt does, or if the package cannot be installed.
pub(crate) fn or_with_package(package: &str, attempt: impl Fn() -> Result<()>) -> Result<()> {
    let Err(error) = attempt() else { return Ok(()) };
    if !Path::new("/usr/bin/apt-get").exists() || !is_root() {
        let cure = format!("on Debian: apt-get install {package}");
        return Err(error.context(cure));
    }
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(Command::new("apt-get").args(["install", "--quiet", "--yes", package]))?;
    attempt()
}

/// Whether this is root, who may install a package: the case of a bare machine.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
