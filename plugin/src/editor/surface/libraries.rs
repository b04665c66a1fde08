//! The system's libraries of OpenGL, which stay once they are there (Linux).
//!
//! `baseview` loads them for every window and unloads them after it, which they are not made for: each
//! time, the process loses keys for values of threads and room for variables of threads. With glibc 2.36
//! and Mesa 22.3 it has none of that room left after two hundred windows, so that no window of any plugin
//! can be drawn with EGL any more, and what is drawn with GLX instead can end the host.
#![expect(unsafe_code, reason = "a library runs code when it is loaded")]

use libc::{RTLD_LAZY, RTLD_NODELETE, RTLD_NOLOAD};
use libloading::os::unix::Library;

/// What `baseview` loads, on machines of today and of before.
const NAMES: [&str; 4] = ["libEGL.so.1", "libEGL.so", "libGL.so.1", "libGL.so"];

/// Keeps those of them that are loaded, until the process ends.
pub(super) fn keep() {
    for name in NAMES {
        // SAFETY: `RTLD_NOLOAD` loads nothing, so that nothing of it runs.
        let loaded = unsafe { Library::open(Some(name), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) };
        // One that is not loaded is not kept.
        drop(loaded);
    }
}
