//! Parameters in words, and back.

use std::sync::Arc;

use nice_plug::prelude::IntParam;

use super::limits::FREE;

/// What sounds.
pub(super) const PLAYINGS: [&str; 4] = ["Notes", "With transport", "With keys", "Always"];
/// What keys do.
pub(super) const TRIGGERS: [&str; 3] = ["Gate", "One shot", "Latch"];
/// How notes that are down together sound.
pub(super) const VOICINGS: [&str; 3] = ["Poly", "Mono", "Legato"];
/// What keys decide.
pub(super) const KEYS: [&str; 3] = ["Ignored", "Pitches", "Pads"];
/// After how many takes the first comes again.
pub(super) const VARIATIONS: [&str; 6] = ["Endless", "1", "2", "4", "8", "16"];
/// What takes do instead of going on.
pub(super) const HOLDS: [&str; 3] = ["Off", "Freeze", "Loop"];
/// After how many bars an endless take is replaced.
pub(super) const RESTARTS: [&str; 6] = ["Never", "1 bar", "2 bars", "4 bars", "8 bars", "16 bars"];
/// How long loops are.
pub(super) const LOOPS: [&str; 4] = ["1 bar", "2 bars", "4 bars", "8 bars"];

/// `param` shows its values, from 0 on, as `names`, and reads them.
pub(super) fn named(param: IntParam, names: &'static [&'static str]) -> IntParam {
    let show = move |index: i32| {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index));
        name.copied().unwrap_or_default().to_owned()
    };
    let read = move |text: &str| {
        let index = names.iter().position(|name| name.eq_ignore_ascii_case(text.trim()))?;
        i32::try_from(index).ok()
    };
    param.with_value_to_string(Arc::new(show)).with_string_to_value(Arc::new(read))
}

pub(super) fn show_asked(value: f32) -> String {
    if value < FREE { "Free".to_owned() } else { format!("{value:.2}") }
}

pub(super) fn read_asked(text: &str) -> Option<f32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("free") { Some(0.0) } else { text.parse().ok() }
}

pub(super) fn show_count(count: i32) -> String {
    if count == 0 { "All".to_owned() } else { count.to_string() }
}

pub(super) fn read_count(text: &str) -> Option<i32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("all") { Some(0) } else { text.parse().ok() }
}
