//! Threads under ThreadSanitizer (Clang's, which Rust has behind a flag), which notices two that use
//! memory at once without a rule for who comes first. `cargo xtask soak` runs the tests of workers,
//! loading, takes and clips under it; here is what shows that it would notice.
#![cfg(thread_sanitizer)]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(unsafe_code, reason = "no rule keeps two threads apart where the compiler does")]

mod toy;

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use toy::rough::endure;

/// Makes the program that it is set for offend.
const OFFEND: &str = "DISTILL_OFFEND";

/// Two threads count in one place, by a rule or without.
fn count(by_rule: bool) -> u32 {
    struct Place(std::cell::UnsafeCell<u32>);
    // SAFETY: it is not; that is the offence.
    unsafe impl Sync for Place {}
    let (ruled, place) = (AtomicU32::new(0), Place(std::cell::UnsafeCell::new(0)));
    let place = &place;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    if by_rule {
                        ruled.fetch_add(1, Ordering::Relaxed);
                    } else {
                        // SAFETY: it lives; two threads write to it, which is the offence.
                        unsafe { *place.0.get() += 1 };
                    }
                }
            });
        }
    });
    // SAFETY: the threads have ended.
    ruled.into_inner() + unsafe { *place.0.get() }
}

#[test]
fn whatever_comes_no_two_threads_meet() {
    endure(2_000, |mut callback| {
        callback.run();
        callback
    });
}

#[test]
fn two_threads_that_meet_would_be_noticed() {
    if let Ok(kind) = std::env::var(OFFEND) {
        println!("{}", count(kind == "ruled"));
        return;
    }
    for (kind, ends) in [("ruled", false), ("unruled", true)] {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "two_threads_that_meet_would_be_noticed"]).env(OFFEND, kind);
        let output = program.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told.contains("data race"), ends, "{kind}: {told}");
        assert_eq!(!output.status.success(), ends, "{kind}");
    }
}
