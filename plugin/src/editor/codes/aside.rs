//! What was under the hand before something else was opened: it is found again as it was left, with what
//! is locked in it and what can be undone.

use super::Opened;
use super::draft::Draft;
use crate::clips::Clip;

/// Drafts that are kept: as many as there are pads, and some takes.
const MOST: usize = 40;

/// Drafts of what is not open now, those put aside last at the end.
#[derive(Debug, Default)]
pub(super) struct Aside(Vec<(Opened, Draft)>);

impl Aside {
    /// Puts a draft aside if it was touched; the oldest of too many is forgotten.
    pub(super) fn put(&mut self, opened: Opened, draft: Draft) {
        self.0.retain(|(other, _)| *other != opened);
        if draft.is_touched() {
            self.0.push((opened, draft));
        }
        let many = self.0.len().saturating_sub(MOST);
        self.0.drain(..many);
    }

    /// What was put aside of `opened`.
    pub(super) fn of(&self, opened: Opened) -> Option<&Draft> {
        self.0.iter().find(|(other, _)| *other == opened).map(|(_, draft)| draft)
    }

    /// The draft of `opened`, which now is `clip`: as it was left, unless the pad holds something else by
    /// now. A take is never another one: it has gone on, or was edited and found no pad.
    pub(super) fn take(&mut self, opened: Opened, clip: &Clip) -> Draft {
        let place = self.0.iter().position(|(other, _)| *other == opened);
        let left = place.map(|place| self.0.remove(place).1);
        let is_the_same = |draft: &Draft| match opened {
            Opened::Take(_) => true,
            Opened::Pad(_) => draft.is_of(clip),
        };
        left.filter(is_the_same).unwrap_or_else(|| Draft::of(clip))
    }
}
