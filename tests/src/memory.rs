//! The memory of this process.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator and the system are asked by calls of C")
)]

#[cfg(target_env = "gnu")]
use std::io::{Read, Write};

use anyhow::{Context, Result};

const MIB: f64 = (1 << 20) as f64;

/// What of it is resident, in MiB.
///
/// # Errors
///
/// Fails if the system does not tell.
pub fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = status.split(' ').nth(1).context("proc(5) has changed")?.parse()?;
    Ok(pages * 4096.0 / MIB)
}

/// Bytes of addresses that belong to no file and can be both written and run.
///
/// # Errors
///
/// Fails if the system does not tell.
pub fn code() -> Result<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut bytes = 0;
    for map in maps.lines().filter(|map| map.contains(" rwxp ") && !map.contains('/')) {
        let (from, to) = map.split_once('-').context("proc(5) has changed")?;
        let to = to.split(' ').next().unwrap_or(to);
        bytes += usize::from_str_radix(to, 16)? - usize::from_str_radix(from, 16)?;
    }
    Ok(bytes)
}

/// What is resident in MiB, but for pages of files, if the allocator gives back to the system what nobody needs
/// (malloc_trim(3)): asked of a copy of this process, so that this one stays as it is.
///
/// # Errors
///
/// Fails if there can be no copy, or it does not tell.
#[cfg(target_env = "gnu")]
pub fn needed() -> Result<f64> {
    let (mut answer, mut sender) = std::io::pipe()?;
    // SAFETY: of the threads only this one goes on in the copy; there it uses nothing but the allocator,
    // which is made ready for that, and the system, and ends without a word to anybody else.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: it has no preconditions.
            unsafe { libc::malloc_trim(0) };
            let told = resident().and_then(|mib| Ok(sender.write_all(&mib.to_le_bytes())?));
            // SAFETY: nothing of this copy is used any more.
            unsafe { libc::_exit(i32::from(told.is_err())) }
        }
        -1 => Err(std::io::Error::last_os_error().into()),
        copy => {
            drop(sender);
            let mut told = [0; size_of::<f64>()];
            let read = answer.read_exact(&mut told);
            // SAFETY: it is a child of this process, and nobody asks how it ended.
            unsafe { libc::waitpid(copy, std::ptr::null_mut(), 0) };
            read.context("the copy ended")?;
            Ok(f64::from_le_bytes(told))
        }
    }
}

/// What is allocated in MiB, as the GNU library counts it (mallinfo2(3)): unlike what is resident, it leaves out
/// what was freed and is kept to be allocated again.
#[cfg(target_env = "gnu")]
#[must_use]
pub fn allocated() -> f64 {
    // SAFETY: it has no preconditions.
    let now = unsafe { libc::mallinfo2() };
    (now.uordblks + now.hblkhd) as f64 / MIB
}
