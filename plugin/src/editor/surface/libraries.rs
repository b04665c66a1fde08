//! The system's libraries of OpenGL, which stay once they are there (Linux).
//!
//! `baseview` loads them for every window and unloads them after it, which they are not made for: each
//! time, the process loses keys for values of threads and room for variables of threads. With glibc 2.36
//! and Mesa 22.3 it has none of that room left after two hundred windows, so that no window of any plugin
//! can be drawn with EGL any more, and what is drawn with GLX instead can end the host. Mesa before 24.2
//! does the same with its driver, which leaves ten megabytes of addresses behind, and what it wrote there.
#![expect(unsafe_code, reason = "a library runs code when it is loaded")]

use std::collections::HashSet;

use libc::{RTLD_LAZY, RTLD_NODELETE, RTLD_NOLOAD};
use libloading::os::unix::Library;

/// What `baseview` loads, on machines of today and of before.
const NAMES: [&str; 4] = ["libEGL.so.1", "libEGL.so", "libGL.so.1", "libGL.so"];

/// How the files of Mesa's drivers end, before they became a part of the libraries above.
const DRIVER: &str = "_dri.so";

/// Keeps those of them that are loaded, until the process ends.
pub(super) fn keep() {
    for name in NAMES.map(Into::into).into_iter().chain(drivers()) {
        // SAFETY: `RTLD_NOLOAD` loads nothing, so that nothing of it runs.
        let loaded = unsafe { Library::open(Some(name), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) };
        // One that is not loaded is not kept.
        drop(loaded);
    }
}

/// The drivers that are loaded: Mesa asks for them by their paths.
fn drivers() -> HashSet<String> {
    // Where the system does not tell, they are loaded again with each window, as they were.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|map| Some(map[map.find('/')?..].to_owned()));
    paths.filter(|path| path.ends_with(DRIVER)).collect()
}
