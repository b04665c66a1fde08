//! Why a run ends other than well. The program's exit code tells them apart.

/// The musician stopped the run before there was anything to keep.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Cancelled;

/// The command line asks for something that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
