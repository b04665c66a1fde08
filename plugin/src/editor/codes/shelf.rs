//! What can be opened: what was played lately, and what lies on the pads.

use std::cmp::Reverse;
use std::time::Instant;

use super::Opened;
use crate::clips::{Clip, Clips, MAX_RATING};
use crate::history::Heard;
use crate::instance::Instance;
use crate::zones::PADS;

/// Width of the lists.
pub(super) const WIDTH: f32 = 190.0;
/// Height of the list of what was played.
const PLAYED: f32 = 150.0;

/// How the clips on pads are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Listing {
    order: Order,
    /// The least rating of what is listed.
    least: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Order {
    /// By their keys.
    #[default]
    Key,
    /// By their names, from A to Z.
    Name,
    /// The best first.
    Best,
}

impl Listing {
    /// The clips that are listed, in their order; of equals the lowest key comes first.
    fn of(self, clips: &Clips) -> Vec<(usize, &Clip)> {
        let mut listed: Vec<_> =
            clips.iter().filter(|(_, clip)| clip.rating >= self.least).collect();
        match self.order {
            Order::Key => {}
            Order::Name => listed.sort_by_key(|(_, clip)| clip.name.to_lowercase()),
            Order::Best => listed.sort_by_key(|(_, clip)| Reverse(clip.rating)),
        }
        listed
    }

    /// What is listed, and how.
    fn show(&mut self, ui: &mut egui::Ui) {
        let orders =
            [(Order::Key, "by key"), (Order::Name, "by name"), (Order::Best, "best first")];
        let shown = orders.iter().find(|(order, _)| *order == self.order);
        ui.horizontal(|ui| {
            egui::ComboBox::from_id_salt("order of clips")
                .width(84.0)
                .selected_text(shown.map_or("", |(_, text)| text))
                .show_ui(ui, |ui| {
                    for (order, text) in orders {
                        ui.selectable_value(&mut self.order, order, text);
                    }
                });
            let text = |least: u8| if least == 0 { "all".to_owned() } else { stars(least) };
            egui::ComboBox::from_id_salt("least rating")
                .width(84.0)
                .selected_text(text(self.least))
                .show_ui(ui, |ui| {
                    for least in 0..=MAX_RATING {
                        ui.selectable_value(&mut self.least, least, text(least));
                    }
                })
                .response
                .on_hover_text("Only clips with as many stars, or more");
        });
    }
}

/// A rating as stars.
pub(super) fn stars(rating: u8) -> String {
    "★".repeat(rating.into())
}

/// Both lists.
pub(super) struct Shelf<'a> {
    pub(super) listing: &'a mut Listing,
    /// Whether what is open stays open while something else is played.
    pub(super) stays: &'a mut bool,
}

impl Shelf<'_> {
    /// Draws the lists; gives what was chosen.
    pub(super) fn show(
        &mut self,
        ui: &mut egui::Ui,
        instance: &Instance,
        opened: Option<Opened>,
        frame_rate: f64,
    ) -> Option<Opened> {
        let mut chosen = None;
        ui.vertical(|ui| {
            ui.set_width(WIDTH);
            ui.horizontal(|ui| {
                ui.strong("Played lately");
                let mut follows = !*self.stays;
                let hint = "Open what is played as it comes, until something is chosen or edited";
                ui.checkbox(&mut follows, "Follow").on_hover_text(hint);
                *self.stays = !follows;
            });
            let played = played(instance, frame_rate);
            if played.is_empty() {
                ui.weak("Play a note: what is heard is kept for five minutes.");
            }
            egui::ScrollArea::vertical().id_salt("played").max_height(PLAYED).show(ui, |ui| {
                for (number, text) in played {
                    let this = Opened::Take(number);
                    if ui.selectable_label(opened == Some(this), text).clicked() {
                        chosen = Some(this);
                    }
                }
            });
            ui.add_space(6.0);
            ui.strong("On pads");
            let clips = instance.pads().clips();
            if clips.iter().next().is_none() {
                ui.weak("Keep a take, and a pad plays it.");
            } else {
                self.listing.show(ui);
            }
            let codec = instance.texts().playing.codec;
            egui::ScrollArea::vertical().id_salt("pads").show(ui, |ui| {
                for (pad, clip) in self.listing.of(&clips) {
                    let this = Opened::Pad(pad);
                    let foreign = if clip.codec == codec { "" } else { " (other bundle)" };
                    let stars = stars(clip.rating);
                    let text = format!("{}: {} {stars}{foreign}", keys(pad), clip.name);
                    if ui.selectable_label(opened == Some(this), text).clicked() {
                        chosen = Some(this);
                    }
                }
            });
        });
        chosen
    }
}

/// What was played lately, the newest first: numbers, and what to say of them.
fn played(instance: &Instance, frame_rate: f64) -> Vec<(u64, String)> {
    let now = Instant::now();
    let text = |take: &Heard| {
        let seconds = take.codes.frames() as f64 / frame_rate;
        let age = match take.age(now).as_secs() {
            _ if take.sounds(now) => "now".to_owned(),
            age @ 0..60 => format!("{age} s ago"),
            age => format!("{} min ago", age / 60),
        };
        (take.number, format!("Take {}  {seconds:.1} s  {age}", take.number))
    };
    instance.history().read(|takes| takes.iter().rev().map(text).collect())
}

/// Numbers of the takes that were played lately, the newest first.
pub(super) fn numbers(instance: &Instance) -> Vec<u64> {
    instance.history().read(|takes| takes.iter().rev().map(|take| take.number).collect())
}

/// Names of the clips, for a menu: pads, and what to say of them.
pub(super) fn on_pads(clips: &Clips) -> Vec<(usize, String)> {
    clips.iter().map(|(pad, clip)| (pad, format!("{}: {}", keys(pad), clip.name))).collect()
}

/// The key of a pad, of those about middle C.
pub(super) fn keys(pad: usize) -> String {
    // C3 is middle C, key 60, as in Live, Logic and Cubase; keys 48 to 71 are pads 0 to 23.
    const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    let pad = pad % PADS;
    format!("{}{}", NAMES[pad % 12], 2 + pad / 12)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use distill_shared::codes::unflatten_codes;

    use super::*;
    use crate::locks::Locks;

    #[test]
    fn clips_are_sorted_and_the_best_of_them_chosen() {
        let mut clips = Clips::default();
        for (pad, name, rating) in [(2, "bell", 3), (5, "Attic", 0), (9, "Cave", 5), (11, "Air", 3)]
        {
            let codes = Arc::new(unflatten_codes(&[1, 2], 2).expect("a frame"));
            let (name, codec) = (name.to_owned(), "0f".repeat(32));
            clips.set(pad, Some(Clip { name, rating, codec, codes, locks: Locks::default() }));
        }
        let pads = |order, least| -> Vec<usize> {
            Listing { order, least }.of(&clips).iter().map(|(pad, _)| *pad).collect()
        };
        assert_eq!(pads(Order::Key, 0), [2, 5, 9, 11]);
        assert_eq!(pads(Order::Name, 0), [11, 5, 2, 9]);
        assert_eq!(pads(Order::Best, 1), [9, 2, 11]);
        assert_eq!(pads(Order::Key, 4), [9]);
    }

    #[test]
    fn pads_are_named_by_keys_that_play_them() {
        assert_eq!([0, 1, 11, 12, 23].map(keys), ["C2", "C#2", "B2", "C3", "B3"]);
        // Middle C, key 60, is C3.
        assert_eq!(60 % PADS, 12);
    }
}
