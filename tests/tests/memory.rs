//! What a process needs of its memory can be told. Alone in its program, since others would need some too.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use distill_tests::memory::needed;

#[test]
fn what_is_needed_is_what_is_kept_of_many_small_pieces() {
    let before = needed().unwrap();
    let mut pieces: Vec<Vec<u8>> = (0..40_000).map(|_| vec![1; 1000]).collect();
    let all = needed().unwrap() - before;
    assert!((35.0..60.0).contains(&all), "{all} MiB");
    // The last of them holds all before it where they are, for the allocator to keep.
    pieces.drain(..39_999);
    let one = needed().unwrap() - before;
    assert!(one < 5.0, "{one} MiB");
    assert_eq!(pieces.len(), 1);
}
