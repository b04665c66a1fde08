//! Which letters are on the keys, where a window is not told: X windows hear those of a US keyboard while
//! Ctrl is held.

use std::collections::HashMap;

use egui::Key;
use keyboard_types::Code;

/// Letters by the places of their keys; none where the window is told what is on them.
pub(super) type Letters = HashMap<Code, Key>;

#[cfg(not(target_os = "linux"))]
pub(super) fn letters() -> Letters {
    Letters::new()
}

#[cfg(target_os = "linux")]
pub(super) use on_x::letters;

#[cfg(target_os = "linux")]
mod on_x {
    use x11rb::protocol::xproto::ConnectionExt;

    use super::{Code, Key, Letters};

    /// The first key of each row, as Linux numbers keys (`linux/input-event-codes.h`) and X does after
    /// eight others, and the places of those that have letters on some keyboard.
    const ROWS: [(u8, &[Code]); 3] = [
        (
            24,
            &[
                Code::KeyQ,
                Code::KeyW,
                Code::KeyE,
                Code::KeyR,
                Code::KeyT,
                Code::KeyY,
                Code::KeyU,
                Code::KeyI,
                Code::KeyO,
                Code::KeyP,
                Code::BracketLeft,
                Code::BracketRight,
            ],
        ),
        (
            38,
            &[
                Code::KeyA,
                Code::KeyS,
                Code::KeyD,
                Code::KeyF,
                Code::KeyG,
                Code::KeyH,
                Code::KeyJ,
                Code::KeyK,
                Code::KeyL,
                Code::Semicolon,
                Code::Quote,
            ],
        ),
        (
            52,
            &[
                Code::KeyZ,
                Code::KeyX,
                Code::KeyC,
                Code::KeyV,
                Code::KeyB,
                Code::KeyN,
                Code::KeyM,
                Code::Comma,
                Code::Period,
                Code::Slash,
            ],
        ),
    ];

    /// Those of the display, as they are now; of several layouts, of the first.
    pub(in super::super) fn letters() -> Letters {
        // A display that does not say leaves those of a US keyboard.
        read().unwrap_or_default()
    }

    fn read() -> Option<Letters> {
        let (display, _) = x11rb::connect(None).ok()?;
        let mut letters = Letters::new();
        for (first, places) in ROWS {
            let count = u8::try_from(places.len()).ok()?;
            let keys = display.get_keyboard_mapping(first, count).ok()?.reply().ok()?;
            let symbols = keys.keysyms.chunks(usize::from(keys.keysyms_per_keycode.max(1)));
            for (place, symbols) in places.iter().zip(symbols) {
                if let Some(letter) = symbols.first().and_then(|symbol| letter(*symbol)) {
                    letters.insert(*place, letter);
                }
            }
        }
        Some(letters)
    }

    /// The letter of a symbol (X11 protocol, appendix A: of Latin letters, their code in ASCII).
    fn letter(symbol: u32) -> Option<Key> {
        let letter = char::from_u32(symbol).filter(char::is_ascii_alphabetic)?;
        Key::from_name(letter.to_ascii_uppercase().to_string().as_str())
    }
}
