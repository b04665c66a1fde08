//! What a stopped run left beside a finished bundle: only that may it replace there.

use std::fs;
use std::path::{Path, PathBuf};

use distill_shared::bundle::Bundle;

use super::RunDir;

/// The note of it: its digest, and its name.
const LEFT: &str = "left";

impl RunDir {
    /// The bundle that the run left beside its directory when it was stopped before, if it still lies there.
    #[must_use]
    pub fn left(&self) -> Option<PathBuf> {
        let note = fs::read_to_string(self.path.join(LEFT)).ok()?;
        let (digest, name) = note.split_once(' ')?;
        let path = self.path.with_file_name(Path::new(name).file_name()?);
        Bundle::open(&path).is_ok_and(|there| there.digest() == digest).then_some(path)
    }

    /// Remembers that the run leaves `bundle` at `path`, beside its directory. Where that fails the next one
    /// is left under another name.
    pub fn leaves(&self, bundle: &Bundle, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let _ = fs::write(self.path.join(LEFT), format!("{} {name}", bundle.digest()));
    }

    /// Forgets it: another run begins, or this one is complete.
    pub(super) fn forget_left(&self) {
        let _ = fs::remove_file(self.path.join(LEFT));
    }
}
