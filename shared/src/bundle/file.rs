//! Bundles on disk: reading one whole, replacing one at a stroke.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Bundle, BundleError, MAX_BYTES, PriorMetadata, Tensors};
use crate::model::config::PriorConfig;

/// Why a file could not be opened as a bundle. The message is complete: it names the file, what is
/// wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A folder, device or pipe.
    #[error("cannot use {}: it is not a file; choose a .distill file", .0.display())]
    NotAFile(PathBuf),
    /// The file is not a bundle, or a damaged one.
    #[error("cannot use {}: {error}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: BundleError,
    },
}

/// Why a file could not be written. The file that was there before is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says; [`io::ErrorKind::StorageFull`] is worth telling apart.
    pub error: io::Error,
}

/// Why a prior could not be saved to a bundle. The file is untouched.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The bundle cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The prior does not fit the bundle.
    #[error("cannot save this prior to {}: {error}", path.display())]
    Prior {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with the prior.
        error: BundleError,
    },
    /// The bundle cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Bundle {
    /// Reads the bundle at `path` whole; the file is closed again.
    ///
    /// # Errors
    ///
    /// Fails if `path` is not a regular file, cannot be read or is not a valid bundle.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io_error = |error| OpenError::Io { path: path.to_owned(), error };
        // Asked before opening, since opening a pipe waits for a writer.
        let metadata = fs::metadata(path).map_err(io_error)?;
        if !metadata.is_file() {
            return Err(OpenError::NotAFile(path.to_owned()));
        }
        let bundle_error = |error| OpenError::Bundle { path: path.to_owned(), error };
        let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if len > MAX_BYTES {
            return Err(bundle_error(BundleError::TooLarge(len)));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|error| io_error(io::Error::other(error)))?;
        // A file may grow while it is read.
        let mut file = File::open(path).map_err(io_error)?.take(MAX_BYTES as u64 + 1);
        file.read_to_end(&mut bytes).map_err(io_error)?;
        Self::read(&bytes).map_err(bundle_error)
    }

    /// Writes the bundle to `path`, replacing what is there at a stroke.
    ///
    /// # Errors
    ///
    /// Fails as [`write_atomically`] does.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        write_atomically(path, &self.to_bytes())
    }
}

/// Puts a prior into the bundle at `path`, or replaces the one it has; everything else in it stays
/// as it is, to the byte. Gives the bundle as it now stands.
///
/// # Errors
///
/// Fails if the bundle cannot be opened or written, or if `weights` are not those that `config`
/// implies. The file is then untouched.
pub fn save_prior_to_model(
    path: &Path,
    config: &PriorConfig,
    weights: Tensors,
    metadata: PriorMetadata,
) -> Result<Bundle, SaveError> {
    let bundle = Bundle::open(path)?
        .with_prior(config, weights, metadata)
        .map_err(|error| SaveError::Prior { path: path.to_owned(), error })?;
    bundle.write(path)?;
    Ok(bundle)
}

/// Writes `bytes` to `path` so that at any moment, whatever fails, the file is either what it was
/// or all of `bytes`. A symbolic link is followed.
///
/// # Errors
///
/// Fails if the folder cannot be written to or the disk is full; nothing new is then left behind.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, |file| file.write_all(bytes))
        .map_err(|error| WriteError { path: path.to_owned(), error })
}

/// Fills a temporary file beside `path` and renames it to `path`.
fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = folder.join(temporary_name());
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let filled = fill(&mut file).and_then(|()| file.sync_all());
    // Some systems rename no file that is open.
    drop(file);
    let replaced = filled.and_then(|()| fs::rename(&temporary, &target));
    if replaced.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        return replaced;
    }
    sync_folder(folder);
    Ok(())
}

/// A name no other thread or process uses, short enough beside a target of any length.
fn temporary_name() -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(".distill-{}-{count}.tmp", std::process::id()).into()
}

/// Makes a rename survive a loss of power, where the system can. The file is in place either way,
/// so there is no failure to report.
fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_disk_that_fills_up_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.distill");
        write_atomically(&path, b"old").unwrap();
        let full = replace(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.distill"]);
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write_atomically(&path, b"new").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn a_name_as_long_as_names_can_be_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_goes_on_pointing_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }
}
