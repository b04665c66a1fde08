//! Files that are replaced at a stroke.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a file could not be written. The file that was there before is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says; [`io::ErrorKind::StorageFull`] is worth telling apart.
    pub error: io::Error,
}

/// A file that is being written beside the one it is to replace. That one stays what it is until
/// [`Self::put_in_place`]; if it never comes to that, nothing new is left behind.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    target: PathBuf,
    temporary: PathBuf,
    /// None once it is closed.
    file: Option<File>,
    /// Whether it is in place: then its name is anybody's.
    is_in_place: bool,
}

impl Replacement {
    /// Begins an empty file that is to be `path`. A symbolic link is followed.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to, or `path` is a device, a pipe, a folder, or a link to
    /// nothing: a drive may be missing.
    pub fn of(path: &Path) -> Result<Self, WriteError> {
        let target = match fs::canonicalize(path) {
            Err(error) if path.is_symlink() => {
                return Err(WriteError { path: path.to_owned(), error });
            }
            target => target.unwrap_or_else(|_| path.to_owned()),
        };
        if fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
            let error = io::Error::other("it is there and is no file; name another");
            return Err(WriteError { path: path.to_owned(), error });
        }
        let (temporary, file) = begin_temporary(folder_of(&target))
            .map_err(|error| WriteError { path: path.to_owned(), error })?;
        let replacement =
            Self { path: path.to_owned(), target, temporary, file: Some(file), is_in_place: false };
        replacement.keep_permissions();
        Ok(replacement)
    }

    /// A file of these `bytes` that is to be `path`, on the disk already.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::of`] does, or if the disk is full.
    pub fn with(path: &Path, bytes: &[u8]) -> Result<Self, WriteError> {
        let replacement = Self::of(path)?;
        let written = replacement.handle()?.write_all(bytes);
        written.map_err(|error| replacement.error(error))?;
        replacement.save()?;
        Ok(replacement)
    }

    /// Has what was written on the disk, before it is put in place.
    ///
    /// # Errors
    ///
    /// Fails if the disk is full.
    pub fn save(&self) -> Result<(), WriteError> {
        let saved = self.file.as_ref().map_or(Ok(()), File::sync_all);
        saved.map_err(|error| self.error(error))
    }

    /// Who may read what is replaced, may read what replaces it, and nobody else.
    fn keep_permissions(&self) {
        let before =
            fs::metadata(&self.target).ok().filter(|before| before.is_file() && cfg!(unix));
        if let Some((before, file)) = before.zip(self.file.as_ref()) {
            // A file system without permissions has none to keep.
            let _ = file.set_permissions(before.permissions());
        }
    }

    /// Another handle of the file, to write to. All handles share one place in the file, and must
    /// be closed before [`Self::put_in_place`]: some systems rename no file that is open.
    ///
    /// # Errors
    ///
    /// Fails if the system has no more handles.
    pub fn handle(&self) -> Result<File, WriteError> {
        let file =
            self.file.as_ref().map_or_else(|| Err(io::ErrorKind::NotFound.into()), File::try_clone);
        file.map_err(|error| self.error(error))
    }

    /// Makes it `path`, at a stroke.
    ///
    /// # Errors
    ///
    /// Fails if the disk is full or `path` cannot be replaced.
    pub fn put_in_place(mut self) -> Result<(), WriteError> {
        self.save()?;
        self.file = None;
        fs::rename(&self.temporary, &self.target).map_err(|error| self.error(error))?;
        self.is_in_place = true;
        sync_folder(folder_of(&self.target));
        Ok(())
    }

    /// `error`, as one of this file.
    #[must_use]
    pub fn error(&self, error: io::Error) -> WriteError {
        WriteError { path: self.path.clone(), error }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        self.file = None;
        if !self.is_in_place {
            // An error before this is the one to tell.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `bytes` to `path` so that at any moment, whatever fails, the file is either what it was
/// or all of `bytes`. A symbolic link is followed.
///
/// # Errors
///
/// Fails if the folder cannot be written to or the disk is full; nothing new is then left behind.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    Replacement::with(path, bytes)?.put_in_place()
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Names that are tried, at most.
const TRIES: u32 = 10_000;

/// A new file in `folder`, with a name that no other thread or process uses.
fn begin_temporary(folder: &Path) -> io::Result<(PathBuf, File)> {
    let mut tried = 0;
    loop {
        let temporary = folder.join(temporary_name());
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            // A process of the same number, as in another container, has been killed while it wrote.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < TRIES => {
                tried += 1
            }
            opened => return opened.map(|file| (temporary, file)),
        }
    }
}

/// A name no other thread uses, nor any process that runs; short enough beside a target of any length.
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
    fn what_is_given_up_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.distill");
        write_atomically(&path, b"old").unwrap();
        let replacement = Replacement::of(&path).unwrap();
        replacement.handle().unwrap().write_all(b"ne").unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        drop(replacement);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.distill"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/null"), folder.path()] {
            let error = write_atomically(path, b"new").unwrap_err().to_string();
            assert!(error.contains("is no file"), "{error}");
        }
        assert!(!fs::metadata(&pipe).unwrap().is_file());
        assert_eq!(names(folder.path()), ["pipe"]);
    }

    #[test]
    fn what_a_killed_process_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        for count in 0..500 {
            let left = format!(".distill-{}-{count}.tmp", std::process::id());
            fs::write(folder.path().join(left), b"half").unwrap();
        }
        let path = folder.path().join("a.distill");
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_not_read_they_may_not_read_after_it_is_replaced() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.distill");
        for mode in [0o600, 0o640, 0o400] {
            write_atomically(&path, b"old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            write_atomically(&path, b"new").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            assert_eq!(fs::read(&path).unwrap(), b"new");
        }
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
        // The drive that it points to is not there.
        fs::remove_file(&file).unwrap();
        assert!(write_atomically(&link, b"new").is_err());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
