//! Files that are read whole, up to a limit.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Why a file was not read: a clause that follows on its name.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder, device or pipe.
    #[error("is not a file")]
    NotAFile,
    /// It has more bytes than a file of its kind. So many does the system tell.
    #[error("has {0} bytes, which is too large for such a file")]
    TooLarge(u64),
}

/// The bytes of the file at `path`, of which there may be `most`. The file is closed again; nothing of
/// it stays mapped.
///
/// # Errors
///
/// Fails if it is not a regular file, is larger than that, or cannot be read; without memory for it, too.
pub fn read_whole(path: &Path, most: usize) -> Result<Vec<u8>, ReadError> {
    // Asked before opening, since opening a pipe waits for a writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile);
    }
    let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if len > most {
        return Err(ReadError::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(io::Error::other)?;
    // A file may grow while it is read.
    let grown = File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if grown > most { Err(ReadError::TooLarge(grown as u64)) } else { Ok(bytes) }
}

/// Whether two paths lead to the same file.
#[must_use]
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(a).is_some_and(|a| whole(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("file");
        fs::write(&path, b"four").expect("it can be written");
        assert_eq!(read_whole(&path, 4).expect("it is a file"), b"four");
        assert!(matches!(read_whole(&path, 3), Err(ReadError::TooLarge(4))));
        assert!(matches!(read_whole(folder.path(), 4), Err(ReadError::NotAFile)));
        assert!(matches!(read_whole(&folder.path().join("none"), 4), Err(ReadError::Io(_))));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_neither_waited_for_nor_read() {
        use std::os::unix::net::UnixListener;

        let folder = tempfile::tempdir().expect("a folder can be made");
        let [pipe, socket, ring] = ["pipe", "socket", "ring"].map(|name| folder.path().join(name));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo is there").success());
        let _listener = UnixListener::bind(&socket).expect("a socket can be made");
        std::os::unix::fs::symlink(&ring, &ring).expect("a link can be made");
        for path in [pipe.as_path(), &socket, Path::new("/dev/zero"), Path::new("/dev/full")] {
            assert!(matches!(read_whole(path, 4), Err(ReadError::NotAFile)), "{path:?}");
        }
        assert!(matches!(read_whole(&ring, 4), Err(ReadError::Io(_))));
        let long = folder.path().join("x".repeat(5000));
        assert!(matches!(read_whole(&long, 4), Err(ReadError::Io(_))));
    }
}
