//! Bundles on disk: reading one whole, saving one.

use std::io;
use std::path::{Path, PathBuf};

use super::{Bundle, BundleError, MAX_BYTES, PriorMetadata, Tensors, WriteError, write_atomically};
use crate::model::config::PriorConfig;
use crate::whole_file::{ReadError, read_whole};

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
        let bundle_error = |error| OpenError::Bundle { path: path.to_owned(), error };
        let bytes = read_whole(path, MAX_BYTES).map_err(|error| match error {
            ReadError::Io(error) => OpenError::Io { path: path.to_owned(), error },
            ReadError::NotAFile => OpenError::NotAFile(path.to_owned()),
            ReadError::TooLarge(len) => {
                bundle_error(BundleError::TooLarge(usize::try_from(len).unwrap_or(usize::MAX)))
            }
        })?;
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
