//! Two clips beside each other: which of them is heard, at the same place.

use std::sync::Arc;

use distill_shared::codes::Codes;

use super::{CodesPage, Hands, clip_of};
use crate::auditions::SIDES;

impl CodesPage {
    /// The codes of the other clip, if it can be compared with what is open from where that is heard.
    pub(super) fn compared(&self, hands: Hands<'_>) -> Option<Arc<Codes>> {
        let other = self.other.filter(|other| Some(*other) != self.opened)?;
        let clip = clip_of(hands, other).filter(|clip| hands.plays(clip))?;
        (self.draft.frames().start < clip.codes.frames()).then_some(clip.codes)
    }

    /// Lets the other of both be heard, at the same place; both begin if nothing is heard.
    pub(super) fn compare(&mut self, hands: Hands<'_>) {
        if self.compared(hands).is_none() {
            self.stop_comparing(hands);
            self.message =
                "Choose another clip of this bundle to compare with, long enough to reach \
                            the selection."
                    .to_owned();
            return;
        }
        self.comparing = true;
        self.turn_to(hands, 1 - self.side);
        let auditions = hands.instance().auditions();
        // What sounds may have one side only.
        if auditions.wanted().is_none_or(|number| auditions.sides(number) < SIDES) {
            self.hear(hands);
        }
    }

    /// Lets what is open be heard by itself.
    pub(super) fn stop_comparing(&mut self, hands: Hands<'_>) {
        self.comparing = false;
        self.turn_to(hands, 0);
    }

    /// Lets that side be heard.
    pub(super) fn turn_to(&mut self, hands: Hands<'_>, side: usize) {
        self.side = side;
        hands.instance().auditions().turn_to(side);
    }

    /// The button that compares.
    pub(super) fn show_compare(&mut self, ui: &mut egui::Ui, hands: Hands<'_>) {
        let hint = "Hear the other clip at the same place, or this one again (B)";
        let text = if self.side == 0 { "A / b" } else { "a / B" };
        let button = egui::Button::selectable(self.side == 1, text);
        if ui.add_enabled(self.other.is_some(), button).on_hover_text(hint).clicked() {
            self.compare(hands);
        }
    }
}
