//! A header that is refused is refused before it takes room: the limits come first.
#![expect(unsafe_code, reason = "an allocator that counts is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use distill_shared::bundle::Bundle;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Counts the bytes that are held.
struct Counting;

// SAFETY: every call is handed to the allocator of the system as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps to the terms, which are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that a bundle takes which is all header, and is refused.
fn room_of_refusing(header: &str) -> usize {
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    assert!(Bundle::read(&file).is_err());
    PEAK.load(Relaxed) - before
}

// One test, since the allocator counts for the whole process.
#[test]
fn a_header_that_is_refused_takes_hardly_any_room() {
    let entry = r#"{"dtype":"F16","shape":[0],"data_offsets":[0,0]}"#;
    let tensors = |count: u32| {
        let list: Vec<_> = (0..count).map(|n| format!("\"{n}\":{entry}")).collect();
        format!("{{{}}}", list.join(","))
    };
    let dims = "1,".repeat(500_000);
    let keys: Vec<_> = (0..100_000).map(|n| format!("\"{n}\":\"\"")).collect();
    for (what, header) in [
        ("1.6 million tensors", tensors(1_600_000)),
        ("18 000 tensors, which a header can hold", tensors(18_000)),
        (
            "half a million dimensions",
            format!("{{\"a\":{{\"dtype\":\"F16\",\"shape\":[{dims}1]}}}}"),
        ),
        ("100 000 keys", format!("{{\"__metadata__\":{{{}}}}}", keys.join(","))),
        ("a million brackets", format!("{{\"a\":{}", "[".repeat(1_000_000))),
        ("a name of a million letters", format!("{{\"{}\":0}}", "\\n".repeat(500_000))),
    ] {
        let room = room_of_refusing(&header);
        assert!(room <= 3 << 20, "{what} take {room} bytes");
    }
}
