//! Results: on stdout, and where files go whose names nobody typed.

use std::io::{self, Write};
use std::path::PathBuf;

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

/// Where a file goes whose name nobody typed: to `path` if that is free, else to the first of NAME-2, NAME-3
/// and so on that is. So nothing is replaced that nobody named. What is written beside it, under the same
/// name with the `endings`, has to be free too.
pub(super) fn free(path: PathBuf, endings: &[&str]) -> PathBuf {
    let is_free = |path: &PathBuf| {
        let beside = endings.iter().map(|ending| path.with_extension(ending));
        !std::iter::once(path.clone()).chain(beside).any(|path| path.symlink_metadata().is_ok())
    };
    let numbered = |number: u32| {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        let ending = path.extension().unwrap_or_default();
        path.with_file_name(PathBuf::from(name).with_added_extension(ending))
    };
    let mut names = std::iter::once(path.clone()).chain((2..).map(numbered));
    names.find(is_free).unwrap_or_else(|| path.clone())
}
