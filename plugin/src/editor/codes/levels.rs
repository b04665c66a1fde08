//! The names of levels, and how they are changed.

use super::{CodesPage, Hands, grid};
use crate::level_names::plain;

/// What is said where a level cannot be named.
const TOO_MANY: &str = "This project holds as many names of levels as it can.";

impl CodesPage {
    /// What the levels of what is open are called, from coarse to fine.
    pub(super) fn level_names(&self, hands: Hands<'_>) -> Vec<String> {
        let given = hands.instance().naming();
        let codec = self.clip.as_ref().map_or("", |clip| &clip.codec);
        let levels = self.draft.codes().quantizers();
        let name = |level| given.get(codec, level).unwrap_or_else(|| grid::name(level, levels));
        (0..levels).map(name).collect()
    }

    /// Calls a level what was typed; nothing, or what it is called by itself, takes its name back.
    pub(super) fn rename_level(&mut self, hands: Hands<'_>, level: usize, typed: &str) {
        let Some(codec) = self.clip.as_ref().map(|clip| clip.codec.clone()) else { return };
        let own = grid::name(level, self.draft.codes().quantizers());
        let name = Some(plain(typed)).filter(|name| !name.is_empty() && *name != own);
        let before = hands.instance().naming().get(&codec, level);
        if before == name {
            return;
        }
        if hands.instance().naming().set(&codec, level, name.as_deref()) {
            self.draft.named(level, [before, name]);
            hands.note_change();
        } else {
            self.message = TOO_MANY.to_owned();
        }
    }

    /// Calls a level that again, after what was done was undone, or done again.
    pub(super) fn call_level(&mut self, hands: Hands<'_>, level: usize, name: Option<&str>) {
        let codec = self.clip.as_ref().map_or("", |clip| &clip.codec);
        hands.instance().naming().set(codec, level, name);
        hands.note_change();
    }
}
