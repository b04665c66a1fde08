//! The memory that a process has allocated and not freed.
#![expect(unsafe_code, reason = "the allocator is asked by a call of C")]

/// MiB of it, as the GNU library counts them (mallinfo2(3)): unlike what is resident, they leave out what
/// was freed and is kept to be allocated again.
#[must_use]
pub fn mib() -> f64 {
    // SAFETY: it has no preconditions.
    let now = unsafe { libc::mallinfo2() };
    (now.uordblks + now.hblkhd) as f64 / f64::from(1 << 20)
}
