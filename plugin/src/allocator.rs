//! Memory that was freed, and goes back to the system.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "the allocator is asked by a call of C")
)]

/// Lets the allocator give back what it keeps of what was freed, tens of megabytes after a window or a
/// bundle. The GNU library keeps it for as long as anything lies behind it, in every thread's arena of
/// its own (malloc_trim(3)); others give back by themselves. It takes milliseconds, and locks: never on
/// the audio thread.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
