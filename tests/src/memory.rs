//! The memory of this process, in MiB.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator is asked by a call of C")
)]

use anyhow::{Context, Result};

const MIB: f64 = (1 << 20) as f64;

/// What of it is resident.
///
/// # Errors
///
/// Fails if the system does not tell.
pub fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = status.split(' ').nth(1).context("proc(5) has changed")?.parse()?;
    Ok(pages * 4096.0 / MIB)
}

/// Has the allocator give back to the system what it keeps to be allocated again (malloc_trim(3)).
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: it has no preconditions.
    unsafe { libc::malloc_trim(0) };
}

/// What is allocated, as the GNU library counts it (mallinfo2(3)): unlike what is resident, it leaves out
/// what was freed and is kept to be allocated again.
#[cfg(target_env = "gnu")]
#[must_use]
pub fn allocated() -> f64 {
    // SAFETY: it has no preconditions.
    let now = unsafe { libc::mallinfo2() };
    (now.uordblks + now.hblkhd) as f64 / MIB
}
