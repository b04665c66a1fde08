//! Results on stdout.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints a result. A reader that has gone away has had enough: that is no failure.
pub(super) fn print(result: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{result}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the result to stdout")
        }
        _ => Ok(()),
    }
}

/// Prints a result as one JSON object.
pub(super) fn print_json(result: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(result)?)
}
