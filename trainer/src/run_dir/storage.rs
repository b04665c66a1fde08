//! What checkpoints need of a disk: few operations, so that tests can let each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// Bytes of the largest checkpoint that is read.
const MAX_BYTES: u64 = 8 << 30;

/// One folder of files.
pub trait Storage {
    /// The names in it, in any order.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// All bytes of a file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Begins an empty file, in place of one that may be there.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to.
    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile + '_>>;

    /// Gives a file another name, in place of one that may have it.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or the folder cannot be written to.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names survive a loss of power.
    ///
    /// # Errors
    ///
    /// Fails if the disk does.
    fn sync(&self) -> io::Result<()>;
}

/// A folder that holds nothing and takes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Storage for Nowhere {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn StoredFile + '_>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is being written.
pub trait StoredFile: Write {
    /// Makes what was written survive a loss of power.
    ///
    /// # Errors
    ///
    /// Fails if the disk does; what was written may be lost then, however often this is called again.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder on disk.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Storage for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name().into_string()));
        // Names that are no text are not ours.
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().filter_map(Result::ok).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.0.join(name);
        let file = fs::metadata(&path)?;
        if !file.is_file() || file.len() > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no checkpoint"));
        }
        fs::read(path)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile + '_>> {
        let path = self.0.join(name);
        Ok(Box::new(OpenOptions::new().write(true).create(true).truncate(true).open(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        match File::open(&self.0)?.sync_all() {
            // Some network file systems cannot sync a folder, and need not.
            Err(error)
                if [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported]
                    .contains(&error.kind()) =>
            {
                Ok(())
            }
            result => result,
        }
    }
}

impl StoredFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Whether an error says that there is no room left.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
