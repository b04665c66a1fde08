//! Packages of a bare Debian, which is what continuous integration runs on.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::program::run;

/// Tries `attempt`; where it fails on a bare Debian, installs `packages`, separated by spaces, and tries
/// again.
///
/// # Errors
///
/// Fails as the last attempt does, or if a package cannot be installed.
pub(crate) fn or_with_packages(packages: &str, attempt: impl Fn() -> Result<()>) -> Result<()> {
    let Err(error) = attempt() else { return Ok(()) };
    if !Path::new("/usr/bin/apt-get").exists() || !is_root() {
        let cure = format!("on Debian: apt-get install {packages}");
        return Err(error.context(cure));
    }
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    run(install.args(["install", "--quiet", "--yes"]).args(packages.split(' ')))?;
    attempt()
}

/// Whether this is root, who may install a package: the case of a bare machine.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
