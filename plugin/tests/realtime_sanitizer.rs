//! The audio thread under RealtimeSanitizer (Clang's, which Rust has behind a flag), which ends the
//! program at a call that may wait or allocate, whether it would have waited or not.
//!
//! Built and run by `cargo xtask soak`, with a compiler flag that is not stable yet.
#![cfg(realtime_sanitizer)]
#![feature(sanitize)]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::process::Command;

use toy::rough::{Callback, endure};

/// Makes the program that it is set for offend.
const OFFEND: &str = "DISTILL_OFFEND";

#[sanitize(realtime = "nonblocking")]
fn on_the_audio_thread(callback: &mut Callback) {
    callback.run();
}

#[sanitize(realtime = "nonblocking")]
fn offend(kind: &str) {
    match kind {
        "allocate" => drop(std::hint::black_box(vec![0_u8; 999])),
        "open" => drop(std::hint::black_box(std::fs::File::open("/dev/null"))),
        _ => {}
    }
}

#[test]
fn whatever_comes_the_audio_thread_calls_nothing_that_may_wait() {
    endure(200_000, |mut callback| {
        on_the_audio_thread(&mut callback);
        callback
    });
}

#[test]
fn a_call_that_may_wait_would_be_noticed() {
    if let Ok(kind) = std::env::var(OFFEND) {
        offend(&kind);
        return;
    }
    for (kind, ends) in [("allocate", true), ("open", true), ("nothing", false)] {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "a_call_that_may_wait_would_be_noticed"]).env(OFFEND, kind);
        assert_eq!(!program.output().unwrap().status.success(), ends, "{kind}");
    }
}
