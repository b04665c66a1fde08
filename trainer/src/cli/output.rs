//! Results: on stdout, and where files go whose names nobody typed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use distill_shared::whole_file::is_same_file;
use serde::Serialize;

use crate::numbered::numbered;
use crate::stop::Usage;

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

/// What is wrong with a link that leads nowhere, perhaps to a drive that is not there.
pub(super) const BROKEN_LINK: &str = "it is a link to nothing; bring that back, or name a file";

/// Whether there is a link at `path`, and nothing where it leads.
pub(super) fn is_broken_link(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

/// Checks, before anything is made, that a file can be written to `path`, and that it does not take the place
/// of one that is `read`.
pub(super) fn check_target(path: &Path, read: &[&Path]) -> Result<()> {
    let cannot = |why: &str| Err(Usage(format!("cannot write {}: {why}", path.display())).into());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() {
        return cannot("it is a folder; name a file");
    } else if is_broken_link(path) {
        return cannot(BROKEN_LINK);
    } else if !folder.unwrap_or(Path::new(".")).is_dir() {
        return cannot("its folder does not exist; create it first");
    }
    let replaced = read.iter().find(|read| is_same_file(path, read));
    replaced.map_or(Ok(()), |read| {
        cannot(&format!(
            "it would take the place of {}, which it is made from; choose another --output",
            read.display()
        ))
    })
}

/// Where a file goes whose name nobody typed: to `path` if that is free, else to the first of NAME-2, NAME-3
/// and so on that is. So nothing is replaced that nobody named. What is written beside it, under the same
/// name with the `endings`, has to be free too.
pub(super) fn free(path: PathBuf, endings: &[&str]) -> PathBuf {
    let is_free = |path: &PathBuf| {
        let beside = endings.iter().map(|ending| path.with_extension(ending));
        !std::iter::once(path.clone()).chain(beside).any(|path| path.symlink_metadata().is_ok())
    };
    numbered(&path).find(is_free).unwrap_or_else(|| path.clone())
}

/// A new and empty file, so that nobody else takes its name while it is made; gone again if it stays empty.
#[derive(Debug)]
pub(super) struct Reserved(PathBuf);

impl Reserved {
    /// Fails if there is a file at `path`, or none can be made.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        File::create_new(path).map(|_| Self(path.to_owned()))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if fs::metadata(&self.0).is_ok_and(|there| there.len() == 0) {
            let _ = fs::remove_file(&self.0); // nobody can be told
        }
    }
}
