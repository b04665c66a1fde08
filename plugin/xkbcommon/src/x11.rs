//! The keyboard of a connection to X.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::LazyLock;

use crate::{
    library, xkb_context, xkb_keymap, xkb_keymap_compile_flags, xkb_state, xkbcommon_option,
};

/// A connection of libxcb.
pub type xcb_connection_t = c_void;

type Keyboard = unsafe extern "C" fn(*mut xcb_connection_t) -> i32;
type KeymapNew = unsafe extern "C" fn(
    *mut xkb_context,
    *mut xcb_connection_t,
    i32,
    xkb_keymap_compile_flags,
) -> *mut xkb_keymap;
type StateNew = unsafe extern "C" fn(*mut xkb_keymap, *mut xcb_connection_t, i32) -> *mut xkb_state;

/// The functions of libxkbcommon-x11.
#[derive(Debug)]
pub struct XkbCommonX11 {
    /// The number of the keyboard; 0, which is none, if there is none.
    pub xkb_x11_get_core_keyboard_device_id: Keyboard,
    /// A new map of a keyboard, or null; null has none.
    pub xkb_x11_keymap_new_from_device: KeymapNew,
    /// A new state of a keyboard, or null. It lets go of the map for the caller, who must not use it any
    /// more; null has no state.
    pub xkb_x11_state_new_from_device: StateNew,
    keyboard: Keyboard,
    keymap_new: KeymapNew,
    state_new: StateNew,
}

/// The library, unless the system has none.
pub fn xkbcommon_x11_option() -> Option<&'static XkbCommonX11> {
    static FUNCTIONS: LazyLock<Option<XkbCommonX11>> = LazyLock::new(|| {
        // What lets go of a map is in the other one.
        xkbcommon_option()?;
        let library = library(&["libxkbcommon-x11.so.0", "libxkbcommon-x11.so"])?;
        // SAFETY: these are the types of xkbcommon-x11.h, and the library stays.
        unsafe {
            Some(XkbCommonX11 {
                xkb_x11_get_core_keyboard_device_id: keyboard_of,
                xkb_x11_keymap_new_from_device: keymap_of,
                xkb_x11_state_new_from_device: state_of,
                keyboard: *library.get(c"xkb_x11_get_core_keyboard_device_id").ok()?,
                keymap_new: *library.get(c"xkb_x11_keymap_new_from_device").ok()?,
                state_new: *library.get(c"xkb_x11_state_new_from_device").ok()?,
            })
        }
    });
    FUNCTIONS.as_ref()
}

unsafe extern "C" fn keyboard_of(connection: *mut xcb_connection_t) -> i32 {
    // SAFETY: the caller's word is that of the library's own function.
    xkbcommon_x11_option().map_or(0, |x11| unsafe { (x11.keyboard)(connection) }.max(0))
}

unsafe extern "C" fn keymap_of(
    context: *mut xkb_context,
    connection: *mut xcb_connection_t,
    keyboard: i32,
    flags: xkb_keymap_compile_flags,
) -> *mut xkb_keymap {
    match xkbcommon_x11_option() {
        // SAFETY: the caller's word is that of the library's own function.
        Some(x11) if !context.is_null() => unsafe {
            (x11.keymap_new)(context, connection, keyboard, flags)
        },
        _ => null_mut(),
    }
}

unsafe extern "C" fn state_of(
    keymap: *mut xkb_keymap,
    connection: *mut xcb_connection_t,
    keyboard: i32,
) -> *mut xkb_state {
    let (Some(common), Some(x11)) = (xkbcommon_option(), xkbcommon_x11_option()) else {
        return null_mut();
    };
    if keymap.is_null() {
        return null_mut();
    }
    // SAFETY: the caller's word is that of the library's own function; a state holds its map by itself.
    unsafe {
        let state = (x11.state_new)(keymap, connection, keyboard);
        (common.keymap_unref)(keymap);
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xkb_key_direction::XKB_KEY_DOWN;

    #[test]
    fn a_keyboard_without_a_map_takes_keys_and_has_no_text() {
        let Some(x11) = xkbcommon_x11_option() else {
            return println!("there is no libxkbcommon-x11 here");
        };
        let common = xkbcommon_option().unwrap();
        let mut text = [1; 4];
        // SAFETY: nothing is what all of these take.
        unsafe {
            let flags = xkb_keymap_compile_flags::XKB_KEYMAP_COMPILE_NO_FLAGS;
            let keymap = (x11.xkb_x11_keymap_new_from_device)(null_mut(), null_mut(), 0, flags);
            let state = (x11.xkb_x11_state_new_from_device)(keymap, null_mut(), 0);
            assert!(state.is_null());
            assert_eq!((common.xkb_state_update_key)(state, 38, XKB_KEY_DOWN), 0);
            assert_eq!((common.xkb_state_key_get_utf8)(state, 38, text.as_mut_ptr(), 4), 0);
            (common.xkb_state_unref)(state);
        }
        assert_eq!(text, [1; 4]);
    }
}
