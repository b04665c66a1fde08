//! The part of `xkbcommon-dl` that `baseview` uses, without two faults of the latter (0.4.2):
//!
//! * For each window it asks for a map of the keyboard (70 kB with its context), makes a state from it, and lets go of the
//!   state alone. Here a state takes the caller's map over.
//! * It takes for granted that there is a keyboard and a map of it. Here a state that is not there takes
//!   keys and gives no text.
//!
//! Names and types are those of xkbcommon.h and xkbcommon-x11.h, which tell what the functions ask for.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "functions of C libraries that are found while running")]
#![expect(non_camel_case_types, reason = "the names of xkbcommon.h")]

use std::ffi::{c_char, c_int};
use std::sync::LazyLock;

use libloading::Library;

pub mod x11;

/// What maps are made in.
#[derive(Debug)]
pub enum xkb_context {}
/// What the keys of a keyboard mean.
#[derive(Debug)]
pub enum xkb_keymap {}
/// Which keys are down, and the map of them.
#[derive(Debug)]
pub enum xkb_state {}
/// The number of a key.
pub type xkb_keycode_t = u32;

/// How a context is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum xkb_context_flags {
    /// As usual.
    XKB_CONTEXT_NO_FLAGS = 0,
}

/// How a map is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum xkb_keymap_compile_flags {
    /// As usual.
    XKB_KEYMAP_COMPILE_NO_FLAGS = 0,
}

/// What a key does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum xkb_key_direction {
    /// It comes up.
    XKB_KEY_UP = 0,
    /// It goes down.
    XKB_KEY_DOWN = 1,
}

type ContextNew = unsafe extern "C" fn(xkb_context_flags) -> *mut xkb_context;
type ContextUnref = unsafe extern "C" fn(*mut xkb_context);
type KeymapUnref = unsafe extern "C" fn(*mut xkb_keymap);
type StateUnref = unsafe extern "C" fn(*mut xkb_state);
type KeyGetUtf8 = unsafe extern "C" fn(*mut xkb_state, xkb_keycode_t, *mut c_char, usize) -> c_int;
type UpdateKey = unsafe extern "C" fn(*mut xkb_state, xkb_keycode_t, xkb_key_direction) -> u32;

/// The functions of libxkbcommon.
#[derive(Debug)]
pub struct XkbCommon {
    /// A new context, or null.
    pub xkb_context_new: ContextNew,
    /// Lets go of a context, or of null.
    pub xkb_context_unref: ContextUnref,
    /// Lets go of a state, or of null.
    pub xkb_state_unref: StateUnref,
    /// The text of a key, of which it gives the length; none of null.
    pub xkb_state_key_get_utf8: KeyGetUtf8,
    /// Takes a key, and gives what has changed; nothing of null.
    pub xkb_state_update_key: UpdateKey,
    keymap_unref: KeymapUnref,
    key_get_utf8: KeyGetUtf8,
    update_key: UpdateKey,
}

/// The library, unless the system has none.
pub fn xkbcommon_option() -> Option<&'static XkbCommon> {
    static FUNCTIONS: LazyLock<Option<XkbCommon>> = LazyLock::new(|| {
        let library = library(&["libxkbcommon.so.0", "libxkbcommon.so"])?;
        // SAFETY: these are the types of xkbcommon.h, and the library stays.
        unsafe {
            Some(XkbCommon {
                xkb_context_new: *library.get(c"xkb_context_new").ok()?,
                xkb_context_unref: *library.get(c"xkb_context_unref").ok()?,
                xkb_state_unref: *library.get(c"xkb_state_unref").ok()?,
                xkb_state_key_get_utf8: text_of,
                xkb_state_update_key: take,
                keymap_unref: *library.get(c"xkb_keymap_unref").ok()?,
                key_get_utf8: *library.get(c"xkb_state_key_get_utf8").ok()?,
                update_key: *library.get(c"xkb_state_update_key").ok()?,
            })
        }
    });
    FUNCTIONS.as_ref()
}

/// The first of these libraries that there is. It stays for as long as this one.
fn library(names: &[&str]) -> Option<&'static Library> {
    // SAFETY: what runs when libxkbcommon is loaded expects nothing.
    let library = names.iter().find_map(|name| unsafe { Library::new(*name) }.ok())?;
    Some(Box::leak(Box::new(library)))
}

unsafe extern "C" fn text_of(
    state: *mut xkb_state,
    key: xkb_keycode_t,
    text: *mut c_char,
    room: usize,
) -> c_int {
    match xkbcommon_option() {
        // SAFETY: the caller's word is that of the library's own function.
        Some(common) if !state.is_null() => unsafe {
            (common.key_get_utf8)(state, key, text, room)
        },
        _ => 0,
    }
}

unsafe extern "C" fn take(
    state: *mut xkb_state,
    key: xkb_keycode_t,
    direction: xkb_key_direction,
) -> u32 {
    match xkbcommon_option() {
        // SAFETY: the caller's word is that of the library's own function.
        Some(common) if !state.is_null() => unsafe { (common.update_key)(state, key, direction) },
        _ => 0,
    }
}
