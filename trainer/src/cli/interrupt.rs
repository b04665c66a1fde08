//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::exit::STOPPED;

/// Set by the first Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C (or polite kill) sets the flag that is given back and tells `what`
/// becomes of the work; the next one ends the program at once.
///
/// # Errors
///
/// Fails if the system refuses, and when called twice.
pub(super) fn stop_flag(what: &'static str) -> Result<&'static AtomicBool> {
    ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(STOPPED));
        }
        eprintln!("\nstopping; {what} (Ctrl-C again quits at once)");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(&STOP)
}
