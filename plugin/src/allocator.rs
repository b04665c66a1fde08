//! Memory that was freed, and goes back to the system.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "the allocator is asked by a call of C")
)]

/// Lets the allocator give back what it keeps of what was freed, tens of megabytes after a window or a
/// bundle. The GNU library keeps it for as long as anything lies behind it, in every thread's arena of
/// its own (malloc_trim(3)); others give back by themselves. It goes through all that the process has,
/// and locks: never on the audio thread.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use std::fs;

    use super::give_back;

    /// Bytes of this process that are resident.
    fn resident() -> usize {
        let status = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = status.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        4096 * pages.unwrap_or(0_usize)
    }

    #[test]
    fn what_was_freed_goes_back_although_something_lies_behind_it() {
        const BLOCK: usize = 16 << 10;
        let mut blocks: Vec<_> = (0..4096).map(|_| vec![1_u8; BLOCK]).collect();
        let behind = blocks.split_off(4000);
        drop(blocks);
        let kept = resident();
        give_back();
        let freed = kept.saturating_sub(resident());
        assert!(freed > 1000 * BLOCK, "{freed} of {} bytes", 4000 * BLOCK);
        drop(behind);
    }
}
