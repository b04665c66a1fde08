//! The room that a target takes: an allocator that counts, and aborts before it is too much.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that a target may hold at once beyond those that were held before it.
pub const MOST_BYTES: usize = 256 << 20;

/// Bytes that are held now.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Bytes that were held when the target began.
static BEFORE: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The most bytes that were held since then.
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The largest peak of a target that has been told.
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// The allocator of the system, which aborts the process where a target asks for too much.
#[derive(Debug)]
pub struct Limited;

/// Runs a target; gives the most bytes that it held at once. Under libFuzzer, tells on stderr if it took
/// twice as much room as any before.
pub fn watch(target: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    BEFORE.store(before, Relaxed);
    target();
    BEFORE.store(usize::MAX, Relaxed);
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    if cfg!(fuzzing) && peak > TOLD.load(Relaxed).saturating_mul(2) {
        TOLD.store(peak, Relaxed);
        let _ = writeln!(std::io::stderr(), "PEAK {peak} bytes");
    }
    peak
}

/// Counts what is allocated.
fn take(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
    if held.saturating_sub(BEFORE.load(Relaxed)) > MOST_BYTES {
        BEFORE.store(usize::MAX, Relaxed);
        let _ = writeln!(std::io::stderr(), "a target asks for over {MOST_BYTES} bytes");
        std::process::abort();
    }
}

// SAFETY: every call is handed to the allocator of the system as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
