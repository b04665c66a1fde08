//! The library of the instrument, kept in memory although its host has closed it.
//!
//! A thread that cannot be ended would go on where the library was.
#![cfg_attr(
    not(target_os = "linux"),
    expect(unsafe_code, reason = "a system tells libraries by addresses in them")
)]

/// Keeps the library that this function is in, until the process ends; says whether that is so.
///
/// On Linux every library of the instrument is linked to stay (`build.rs`).
#[cfg(target_os = "linux")]
pub fn stay() -> bool {
    true
}

/// Keeps the library that this function is in, until the process ends; says whether that is so.
#[cfg(target_os = "macos")]
pub fn stay() -> bool {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;

    use libc::{RTLD_LAZY, RTLD_NODELETE, RTLD_NOLOAD};

    let inside: *const c_void = (stay as fn() -> bool as *const ()).cast();
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: there is room for the answer; any address may be asked for.
    let known = unsafe { libc::dladdr(inside, info.as_mut_ptr()) } != 0;
    // SAFETY: it was written, and zeros are a value of it as well.
    let name = unsafe { info.assume_init() }.dli_fname;
    if !known || name.is_null() {
        return false;
    }
    // SAFETY: the name is text of the loader's, and what is loaded already runs nothing.
    !unsafe { libc::dlopen(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) }.is_null()
}

/// Keeps the library that this function is in, until the process ends; says whether that is so.
#[cfg(target_os = "windows")]
pub fn stay() -> bool {
    use std::ptr::null_mut;

    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };

    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let inside = (stay as fn() -> bool as *const ()).cast();
    let mut module = null_mut();
    // SAFETY: with the first flag, the name is any address in the library.
    unsafe { GetModuleHandleExW(flags, inside, &raw mut module) != 0 }
}
