//! Texts out of files, as they can be shown.

use std::fmt::Display;

/// `text` with characters written out that control a terminal, or change the order of letters.
#[must_use]
pub fn plain(text: &dyn Display) -> String {
    let mut shown = String::new();
    for c in text.to_string().chars() {
        let reorders = matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        if reorders || c.is_control() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
