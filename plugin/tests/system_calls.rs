//! The audio thread asks the kernel for nothing.
//!
//! It runs under a filter that ends the program at the first system call (Linux, `seccomp(2)`): so
//! it takes no lock that anybody waits for, sleeps, reads and writes nothing, and neither allocates nor
//! frees memory. The clock may be asked, which is a system call only on machines whose clock is slow.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use nice_assert_no_alloc::assert_no_alloc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use toy::rough::{Callback, endure};

/// Asks the program that it runs in for a system call on a thread that may make none.
const OFFEND: &str = "DISTILL_OFFEND";
/// The stack of an audio thread, in bytes: as little as hosts give.
const STACK: usize = 512 << 10;
/// How Linux ends a program for such a call.
const SIGSYS: i32 = 31;

/// What one thread leaves for the other.
enum Place {
    Empty,
    /// For the audio thread.
    Due(Box<Callback>),
    /// For the host.
    Done(Box<Callback>),
}

/// From now on this thread may make no system calls.
fn forsake_the_kernel() {
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let allowed = BTreeMap::from([(libc::SYS_clock_gettime, Vec::new())]);
    let filter = SeccompFilter::new(allowed, SeccompAction::Trap, SeccompAction::Allow, arch);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&program).unwrap();
}

/// An audio thread that makes no system calls, and so cannot end by itself either; it ends with the
/// program. Neither side ever waits for the lock: it would take a call to be woken.
fn audio_thread() -> Arc<Mutex<Place>> {
    let place = Arc::new(Mutex::new(Place::Empty));
    let theirs = Arc::clone(&place);
    let audio = thread::Builder::new().stack_size(STACK);
    let run = move || {
        forsake_the_kernel();
        loop {
            if let Ok(mut place) = theirs.try_lock() {
                *place = match std::mem::replace(&mut *place, Place::Empty) {
                    Place::Due(mut callback) => {
                        assert_no_alloc(|| callback.run());
                        Place::Done(callback)
                    }
                    other => other,
                };
            }
            std::hint::spin_loop();
        }
    };
    audio.spawn(run).unwrap();
    place
}

/// Runs `callback` on the audio thread.
fn call(place: &Mutex<Place>, callback: Callback) -> Callback {
    let mut due = Some(Box::new(callback));
    loop {
        if let Ok(mut place) = place.try_lock() {
            match std::mem::replace(&mut *place, Place::Empty) {
                Place::Done(callback) => return *callback,
                Place::Empty if due.is_some() => *place = Place::Due(due.take().unwrap()),
                other => *place = other,
            }
        }
        // Threads that make sound may need the core.
        thread::yield_now();
    }
}

fn endure_without_system_calls(callbacks: u32) {
    let place = audio_thread();
    endure(callbacks, |callback| call(&place, callback));
}

#[test]
fn whatever_comes_the_audio_thread_makes_no_system_call() {
    endure_without_system_calls(200_000);
}

#[test]
#[ignore = "takes half an hour: cargo xtask soak"]
fn for_ten_million_callbacks_the_audio_thread_makes_no_system_call() {
    endure_without_system_calls(10_000_000);
}

#[test]
fn a_system_call_would_be_noticed() {
    if std::env::var_os(OFFEND).is_some() {
        let offender = thread::spawn(|| {
            forsake_the_kernel();
            thread::yield_now();
        });
        offender.join().unwrap();
    }
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "a_system_call_would_be_noticed"]).env(OFFEND, "1");
    assert_eq!(program.output().unwrap().status.signal(), Some(SIGSYS));
}
