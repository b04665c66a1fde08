//! When memory runs out while a bundle is made playable there is an error, and the process lives.
#![expect(unsafe_code, reason = "an allocator that refuses is unsafe by its trait")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::ptr;

use distill_shared::bundle::{Bundle, BundleError};
use distill_shared::player::{Model, ModelError};

thread_local! {
    /// Bytes that this thread may still have; `None` if it may have all.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Gives each thread what is left to it, and no more.
struct Scarce;

// SAFETY: what is given comes from the allocator of the system as it was asked for; a null pointer says
// that there is nothing.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(left) = LEFT.get() {
            let Some(rest) = left.checked_sub(layout.size()) else { return ptr::null_mut() };
            LEFT.set(Some(rest));
        }
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LEFT.set(LEFT.get().map(|left| left + layout.size()));
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// The bytes that have to be left for `act` to come to something. With fewer it has to give the error that
/// `is_refusal` knows: without one, the process ends.
fn enough<T, E>(act: impl Fn() -> Result<T, E>, is_refusal: impl Fn(&E) -> bool) -> usize {
    let with = |room: usize| {
        LEFT.set(Some(room));
        let result = act();
        LEFT.set(None);
        result
    };
    let refused = |room: &usize| match with(*room) {
        Ok(_) => false,
        Err(error) => {
            assert!(is_refusal(&error), "another error with {room} bytes left");
            true
        }
    };
    (0..).step_by(50_000).find(|room| !refused(room)).unwrap()
}

#[test]
fn a_bundle_for_which_memory_runs_out_is_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/factory.distill");
    let bytes = std::fs::read(path).unwrap();
    let read = || Bundle::read(&bytes);
    let room = enough(read, |error| matches!(error, BundleError::NoRoom(_)));
    assert!(room > bytes.len());

    let bundle = Bundle::read(&bytes).unwrap();
    let pack = || Model::from_bundle(&bundle);
    let room = enough(pack, |error| matches!(error, ModelError::NoRoom(_)));
    assert!(room > bytes.len());
}
