//! Ctrl-C, and other ways to ask a program to end.
#![cfg_attr(unix, expect(unsafe_code, reason = "a signal that is ignored stays so"))]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::exit::STOPPED;
use crate::progress::tell;

/// Set by the first Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);
/// When that was.
static STOPPED_AT: Mutex<Option<Instant>> = Mutex::new(None);
/// A terminal that is closed asks twice, at once.
const ONCE: Duration = Duration::from_secs(1);

/// From now on the first Ctrl-C (or polite kill) sets the flag that is given back and tells `what`
/// becomes of the work; the next one, a second later or more, ends the program at once.
///
/// # Errors
///
/// Fails if the system refuses, and when called twice.
pub(super) fn stop_flag(what: &'static str) -> Result<&'static AtomicBool> {
    let keep_hangups_ignored = are_hangups_ignored();
    ctrlc::set_handler(move || {
        let mut stopped = STOPPED_AT.lock().unwrap_or_else(PoisonError::into_inner);
        match *stopped {
            None => {
                *stopped = Some(Instant::now());
                STOP.store(true, Ordering::Relaxed);
                tell(&format!("\nstopping; {what} (Ctrl-C again quits at once)"));
            }
            Some(at) if at.elapsed() < ONCE => {}
            Some(_) => std::process::exit(i32::from(STOPPED)),
        }
    })
    .context("cannot listen for Ctrl-C")?;
    if keep_hangups_ignored {
        are_hangups_ignored();
    }
    Ok(&STOP)
}

/// Ignores that the terminal was closed, and tells whether that was so before: `nohup` asks for it, and a
/// run that it has started outlasts whoever started it.
#[cfg(unix)]
fn are_hangups_ignored() -> bool {
    // SAFETY: no code of ours runs on the signal; ignoring it is what POSIX defines SIG_IGN for.
    let before = unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    before == libc::SIG_IGN
}

#[cfg(not(unix))]
fn are_hangups_ignored() -> bool {
    false
}
