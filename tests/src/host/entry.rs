//! Loading a plugin file: the one unsafe act of a host.
#![expect(unsafe_code, reason = "a plugin is foreign code")]

use std::path::Path;

use anyhow::{Context, Result};
use clack_host::entry::PluginEntry;

/// Loads a CLAP file and runs its entry function.
///
/// # Errors
///
/// Fails if the file cannot be loaded or is no CLAP.
pub(super) fn load(path: &Path) -> Result<PluginEntry> {
    // SAFETY: the file is our own build of the instrument, which keeps to the CLAP specification
    // as far as its framework and these tests can tell. Nothing in the process depends on it not
    // running code.
    unsafe { PluginEntry::load(path) }.with_context(|| format!("cannot load {}", path.display()))
}
