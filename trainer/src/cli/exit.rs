//! Exit codes: what a script learns without reading.

use std::process::ExitCode;

use distill_shared::bundle::{SaveError, WriteError};

use crate::run_dir::storage::is_full;
use crate::stop::{Cancelled, Usage};
use crate::train::Diverged;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was done.
    Done,
    /// It was stopped; what there was by then is saved.
    Stopped,
}

impl Ending {
    pub(super) fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Stopped => ExitCode::from(STOPPED),
        }
    }
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
/// Exit code of a command that was stopped.
pub(super) const STOPPED: u8 = 3;
const DIVERGED: u8 = 4;
const DISK_FULL: u8 = 5;

/// The exit code for a failure.
pub(super) fn code_of(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(number_of(error))
}

/// The same, as a number.
pub(super) fn number_of(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        USAGE
    } else if error.is::<Cancelled>() {
        STOPPED
    } else if error.is::<Diverged>() {
        DIVERGED
    } else if error.chain().any(is_disk_full) {
        DISK_FULL
    } else {
        FAILED
    }
}

/// Whether a link in a chain of errors says that the disk is full.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_write = |error: &WriteError| is_full(&error.error);
    error.downcast_ref().is_some_and(is_full)
        || error.downcast_ref().is_some_and(of_write)
        || matches!(error.downcast_ref(), Some(SaveError::Write(error)) if of_write(error))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use anyhow::Context;

    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let write = || WriteError { path: PathBuf::from("x"), error: full() };
        let failure =
            |error: anyhow::Error| number_of(&Err::<(), _>(error).context("so").unwrap_err());
        assert_eq!(failure(anyhow::anyhow!("no")), FAILED);
        assert_eq!(failure(Usage("no".to_owned()).into()), USAGE);
        assert_eq!(failure(Cancelled.into()), STOPPED);
        assert_eq!(failure(Diverged { loss: f64::NAN, step: 7 }.into()), DIVERGED);
        assert_eq!(failure(full().into()), DISK_FULL);
        assert_eq!(failure(write().into()), DISK_FULL);
        assert_eq!(failure(SaveError::Write(write()).into()), DISK_FULL);
    }
}
