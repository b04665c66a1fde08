//! What was done is undone, and done again.

use std::sync::Arc;

use distill_shared::codes::Codes;

use super::draft::Turned;
use super::{CodesPage, Hands, Swap};

impl CodesPage {
    /// Undoes the last edit; of a swap, on both sides.
    pub(super) fn undo(&mut self, hands: Hands<'_>) {
        let undone = Arc::clone(self.draft.codes());
        match self.draft.undo() {
            Some(Turned::Codes) => {
                self.put_theirs(hands, &undone, 0);
                self.edited(hands, true);
            }
            Some(Turned::Name(level, name)) => self.call_level(hands, level, name.as_deref()),
            None => {}
        }
    }

    /// Does again what was undone last.
    pub(super) fn redo(&mut self, hands: Hands<'_>) {
        match self.draft.redo() {
            Some(Turned::Codes) => {
                let done = Arc::clone(self.draft.codes());
                self.put_theirs(hands, &done, 1);
                self.edited(hands, true);
            }
            Some(Turned::Name(level, name)) => self.call_level(hands, level, name.as_deref()),
            None => {}
        }
    }

    /// The other side of the swap that led to `after`, as it was before, 0, or is after it, 1.
    fn put_theirs(&self, hands: Hands<'_>, after: &Arc<Codes>, which: usize) {
        let swap = self.swaps.iter().find(|swap| Arc::ptr_eq(&swap.after, after));
        if let Some(Swap { pad, theirs, .. }) = swap {
            hands.instance().pads().set(*pad, theirs.get(which).cloned());
        }
    }
}
