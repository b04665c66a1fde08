//! What was done is undone, and done again.

use std::sync::Arc;

use distill_shared::codes::Codes;

use super::draft::Turned;
use super::{CodesPage, Hands, Opened, Swap};
use crate::clips::Clip;

impl CodesPage {
    /// Undoes the last edit; of a swap, on both sides.
    pub(super) fn undo(&mut self, hands: Hands<'_>) {
        let undone = Arc::clone(self.draft.codes());
        match self.draft.undo() {
            // What was cropped to be kept stays so.
            Some(Turned::Codes) if self.is_on_pad() && self.is_too_long() => {
                self.draft.redo();
            }
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
            Some(Turned::Codes) if self.is_on_pad() && self.is_too_long() => {
                self.draft.undo();
            }
            Some(Turned::Codes) => {
                let done = Arc::clone(self.draft.codes());
                self.put_theirs(hands, &done, 1);
                self.edited(hands, true);
            }
            Some(Turned::Name(level, name)) => self.call_level(hands, level, name.as_deref()),
            None => {}
        }
    }

    fn is_on_pad(&self) -> bool {
        matches!(self.opened, Some(Opened::Pad(_)))
    }

    /// The other side of the swap that led to `after`, as it was before, 0, or is after it, 1.
    fn put_theirs(&self, hands: Hands<'_>, after: &Arc<Codes>, which: usize) {
        let swap = self.swaps.iter().find(|swap| Arc::ptr_eq(&swap.after, after));
        let Some(Swap { pad, theirs, .. }) = swap else { return };
        let pads = hands.instance().pads();
        // Only if it is as the swap has left it: it may have been edited, or be another by now.
        if let Some(clip) = pads.clips().get(*pad).filter(|clip| clip.codes == theirs[1 - which]) {
            let codes = Arc::clone(&theirs[which]);
            pads.set(*pad, Some(Clip { codes, ..clip.clone() }));
        }
    }
}
