//! The keys that a process has for values of threads.
#![expect(unsafe_code, reason = "keys of POSIX are made and deleted by their numbers")]

use libc::{pthread_key_create, pthread_key_delete, pthread_key_t};

/// More than any process has.
const MOST: usize = 1 << 16;

/// How many keys this process cannot make any more, of more than any process has: libraries that are
/// loaded and unloaded may leave some taken, and where none are left, others fail.
///
/// Nothing else may make keys at the same time.
#[must_use]
pub fn taken() -> usize {
    let mut free: Vec<pthread_key_t> = Vec::new();
    let mut key = 0;
    // SAFETY: `key` is written before it is read, and no value is stored under it.
    while free.len() < MOST && unsafe { pthread_key_create(&raw mut key, None) } == 0 {
        free.push(key);
    }
    for key in &free {
        // SAFETY: it was made above, and nobody else knows it.
        unsafe { pthread_key_delete(*key) };
    }
    MOST - free.len()
}
