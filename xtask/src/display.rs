//! A display for windows, on Linux.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::debian::or_with_package;
use crate::program::run;

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
    or_with_package("xvfb", || {
        let mut help = Command::new("xvfb-run");
        let status = help.arg("--help").stdout(Stdio::null()).status();
        ensure!(status.context("cannot start `xvfb-run`")?.success(), "`xvfb-run` does not work");
        Ok(())
    })?;
    let mut command = Command::new("xvfb-run");
    command.args(["--auto-servernum", "--server-args=-screen 0 1000x700x24", "cargo", "test"]);
    command.args(["--workspace", "--test", "window", "--", "--ignored"]);
    run(command.env("DISTILL_SOAK_WINDOWS", cycles.to_string()))
}
