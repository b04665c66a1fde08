//! What can be done with what is open.

use std::path::PathBuf;
use std::sync::Arc;

use distill_shared::codes::ABSENT;
use distill_shared::player::Blended;

use super::{CodesPage, FOREIGN, FULL, Hands, Opened, Ratio, Swap, clip_of, shelf};
use crate::clips::{Clip, MAX_NAME, MAX_RATING};
use crate::editor::pasted::pasted_path;
use crate::engine::Settings;
use crate::export::Format;
use crate::zones::Keys;

/// Size of a star to be clicked.
const STAR: egui::Vec2 = egui::vec2(14.0, 18.0);

impl CodesPage {
    /// A field for the path of a sound file.
    pub(super) fn show_import(&mut self, ui: &mut egui::Ui) {
        ui.horizontal(|ui| {
            let field = egui::TextEdit::singleline(&mut self.path)
                .hint_text("Path of a WAV file")
                .desired_width(shelf::WIDTH - 64.0);
            ui.add(field);
            let ready = !self.path.trim().is_empty();
            let button = egui::Button::new("Import");
            let hint = "Read it as codes, onto a pad: to blend with, to swap from, to go on from";
            if ui.add_enabled(ready, button).on_hover_text(hint).clicked() {
                self.import_file(PathBuf::from(pasted_path(&self.path)));
            }
        });
    }

    /// The name of what is open, and what is done with all of it.
    pub(super) fn show_title(&mut self, ui: &mut egui::Ui, hands: Hands<'_>) {
        let Some((opened, clip)) = self.opened.zip(self.current()) else { return };
        ui.horizontal_wrapped(|ui| {
            match opened {
                Opened::Take(_) => {
                    ui.strong(&clip.name);
                    if ui.button("Keep").on_hover_text("Put it on a pad of this project").clicked()
                    {
                        self.keep(hands);
                    }
                }
                Opened::Pad(pad) => show_pad(ui, hands, pad, &clip),
            }
            if ui.button("Export").on_hover_text("Write a sound file, as a pad plays it").clicked()
            {
                self.export(hands);
            }
            let formats = [
                (Format::Wav16, "WAV 16 bit"),
                (Format::Wav24, "WAV 24 bit"),
                (Format::WavFloat, "WAV 32 bit"),
                (Format::Flac16, "FLAC 16 bit"),
                (Format::Flac24, "FLAC 24 bit"),
            ];
            let shown = formats.iter().find(|(format, _)| *format == self.format);
            egui::ComboBox::from_id_salt("format")
                .width(100.0)
                .selected_text(shown.map_or("", |(_, text)| text))
                .show_ui(ui, |ui| {
                    for (format, text) in formats {
                        ui.selectable_value(&mut self.format, format, text);
                    }
                });
            if let Opened::Pad(pad) = opened {
                ui.scope(|ui| show_rating(ui, hands, pad, &clip));
            }
            let Settings { keys, .. } = hands.params.settings();
            if keys != Keys::Pads
                && ui.button("Play pads").on_hover_text("Set Keys to Pads").clicked()
            {
                Self::play_pads(hands);
            }
            if !hands.plays(&clip) {
                ui.colored_label(ui.visuals().warn_fg_color, "! made by another bundle");
            }
        });
    }

    /// What is done with the selection.
    pub(super) fn show_tools(&mut self, ui: &mut egui::Ui, hands: Hands<'_>) {
        let Some(clip) = self.current() else { return };
        let mut changed = false;
        ui.horizontal_wrapped(|ui| {
            let playing = hands.instance().auditions().wanted().is_some();
            let text = if playing { "Stop" } else { "Play" };
            if ui.button(text).on_hover_text("Hear the selection, or all (space)").clicked() {
                self.play_or_stop(hands);
            }
            if ui.toggle_value(&mut self.looped, "Loop").clicked() && playing {
                self.hear(hands);
            }
            let mut hears = !self.silent;
            ui.toggle_value(&mut hears, "Hear edits");
            self.silent = !hears;
            ui.separator();
            let (undo, redo) = (self.draft.can_undo(), self.draft.can_redo());
            if ui.add_enabled(undo, egui::Button::new("Undo")).clicked() {
                self.undo(hands);
            }
            if ui.add_enabled(redo, egui::Button::new("Redo")).clicked() {
                self.redo(hands);
            }
            ui.separator();
            let busy = self.making.is_some();
            let regenerate = egui::Button::new(if busy { "Making…" } else { "Regenerate" });
            let hint = "Make the selection anew, from what comes before it (R)";
            if ui.add_enabled(!busy, regenerate).on_hover_text(hint).clicked() {
                self.regenerate(hands);
            }
            let hint = "Make two more seconds after its end";
            if ui.add_enabled(!busy, egui::Button::new("Go on")).on_hover_text(hint).clicked() {
                self.go_on(hands);
            }
            changed |= self.show_entry(ui, hands);
            if ui.button("Clear").on_hover_text("These levels tell nothing there").clicked() {
                changed |= self.draft.clear();
            }
            if ui.button("Lock").on_hover_text("Nothing changes there (L)").clicked() {
                self.lock(hands);
            }
            if ui.button("Crop").on_hover_text("Leave out all but these frames").clicked() {
                changed |= self.draft.crop();
            }
            if ui.button("Copy").clicked() {
                self.piece = Some((clip.codec.clone(), self.draft.copy()));
            }
            // To another codec its codes mean something else.
            let piece = self.piece.as_ref().filter(|(codec, _)| *codec == clip.codec);
            if ui.add_enabled(piece.is_some(), egui::Button::new("Paste")).clicked()
                && let Some((_, piece)) = piece
            {
                changed |= self.draft.paste(piece);
            }
            ui.separator();
            changed |= self.show_other(ui, hands);
            ui.separator();
            ui.add(egui::Slider::new(&mut self.grid.zoom, 3.0..=40.0).show_value(false))
                .on_hover_text("How wide a frame is");
        });
        self.edited(hands, changed);
    }

    /// The entry that the selection is set to.
    fn show_entry(&mut self, ui: &mut egui::Ui, hands: Hands<'_>) -> bool {
        let plays = self.current().is_some_and(|clip| hands.plays(&clip));
        let model = hands.model().filter(|_| plays);
        let size = model.map_or(0, |model| model.config().codec.codebook_size);
        let last = u32::try_from(size).unwrap_or(0).saturating_sub(1);
        // What was selected may tell nothing. How many there are is not known of another bundle.
        self.entry = if plays { self.entry.min(last) } else { self.entry };
        let entry = egui::DragValue::new(&mut self.entry).range(0..=last).prefix("entry ");
        ui.add_enabled(plays, entry);
        let set = ui.add_enabled(plays, egui::Button::new("Set"));
        let set = set.on_hover_text("Put this entry everywhere in the selection");
        let set = set.on_disabled_hover_text(FOREIGN);
        let entry = self.entry;
        set.clicked() && self.draft.change(|_, _, _| entry)
    }

    /// Another clip, to compare with, to blend with or to swap with.
    fn show_other(&mut self, ui: &mut egui::Ui, hands: Hands<'_>) -> bool {
        let others: Vec<(Opened, String)> = shelf::on_pads(&hands.instance().pads().clips())
            .into_iter()
            .map(|(pad, text)| (Opened::Pad(pad), text))
            .chain(
                shelf::numbers(hands.instance())
                    .into_iter()
                    .map(|number| (Opened::Take(number), format!("Take {number}"))),
            )
            .filter(|(other, _)| Some(*other) != self.opened)
            .collect();
        let before = self.other;
        let shown = others.iter().find(|(other, _)| Some(*other) == self.other);
        egui::ComboBox::from_id_salt("other")
            .width(110.0)
            .selected_text(shown.map_or("another clip", |(_, text)| text))
            .show_ui(ui, |ui| {
                for (other, text) in &others {
                    ui.selectable_value(&mut self.other, Some(*other), text);
                }
            });
        let ready = shown.is_some();
        if self.other != before {
            self.stop_comparing(hands);
            // Both have to begin together.
            if hands.instance().auditions().wanted().is_some() {
                self.hear(hands);
            }
        }
        self.show_compare(ui, hands);
        let ratio = egui::Slider::new(&mut self.ratio.0, 0.0..=1.0).show_value(false);
        ui.add_enabled(ready, ratio).on_hover_text("How much of the other clip");
        let hint = "Go that far toward the other clip, in the space of its entries";
        let blend = ui.add_enabled(ready, egui::Button::new("Blend")).on_hover_text(hint).clicked();
        let hint = "Swap the selection with the same place of the other clip";
        if ui.add_enabled(ready, egui::Button::new("Swap")).on_hover_text(hint).clicked() {
            self.swap(hands);
        }
        blend && self.blend(hands)
    }

    /// The other clip, if both it and what is open belong to the bundle that plays; says so if not.
    fn other(&mut self, hands: Hands<'_>) -> Option<Clip> {
        let other = self.other.and_then(|other| clip_of(hands, other))?;
        let both = [Some(other.clone()), self.current()];
        if both.iter().flatten().all(|clip| hands.plays(clip)) {
            return Some(other);
        }
        self.message = FOREIGN.to_owned();
        None
    }

    /// Goes toward the other clip; says how far the entries are from where they should be.
    fn blend(&mut self, hands: Hands<'_>) -> bool {
        let Some((other, model)) = self.other(hands).zip(hands.model()) else { return false };
        let levels = model.config().codec.quantizers;
        let spacings: Vec<f32> = (0..levels).map(|level| model.spacing(level)).collect();
        let (Ratio(ratio), mut distances) = (self.ratio, Vec::new());
        let changed = self.draft.change(|t, level, old| match other.codes.get(t, level) {
            // Between something and nothing there is no entry to be found.
            Some(new) if [old, new].contains(&ABSENT) => [old, new][usize::from(ratio >= 0.5)],
            Some(new) if new != old => {
                let Blended { code, distance } =
                    model.blend(level, old, new, ratio, spacings[level]);
                distances.push(distance);
                code
            }
            _ => old,
        });
        let mean = distances.iter().sum::<f32>() / distances.len().max(1) as f32;
        self.message = format!(
            "{} codes blended; what was found is {:.0} % of the way between two entries off",
            distances.len(),
            100.0 * mean
        );
        changed
    }

    /// Swaps the selection with the same place of the other clip; what is on a pad is changed there
    /// too, once what is open is kept.
    fn swap(&mut self, hands: Hands<'_>) {
        if let Some((other, clip)) = self.other.zip(self.other(hands)) {
            self.swap_with(hands, other, clip);
        }
    }

    /// As [`Self::swap`], with that other clip.
    pub(super) fn swap_with(&mut self, hands: Hands<'_>, other: Opened, clip: Clip) {
        let takes_a_pad = matches!(self.opened, Some(Opened::Take(_)));
        if takes_a_pad && hands.instance().pads().clips().first_free().is_none() {
            // Half of a swap is none.
            self.message = FULL.to_owned();
            return;
        }
        if self.is_too_long() {
            return;
        }
        let mut theirs = (*clip.codes).clone();
        let aside = self.aside.of(other);
        let changed = self.draft.change(|t, level, old| {
            let is_aside = aside.is_some_and(|aside| aside.is_locked(t, level));
            if is_aside || clip.locks.hold(t, level) {
                return old;
            }
            let new = theirs.get(t, level);
            theirs.set(t, level, old);
            new.unwrap_or(old)
        });
        if !changed || !self.keep(hands) {
            return;
        }
        if let Opened::Pad(pad) = other {
            let theirs = Arc::new(theirs);
            let swapped = Clip { codes: Arc::clone(&theirs), ..clip.clone() };
            hands.instance().pads().set(pad, Some(swapped));
            let after = self.draft.codes().clone();
            self.swaps.push(Swap { after, pad, theirs: [clip.codes, theirs] });
        }
        self.edited(hands, true);
    }
}

/// How good the musician finds a pad's clip: as many stars as were clicked, one fewer if it was the last
/// of them.
fn show_rating(ui: &mut egui::Ui, hands: Hands<'_>, pad: usize, clip: &Clip) {
    ui.spacing_mut().item_spacing.x = 0.0;
    for star in 1..=MAX_RATING {
        let text = if star <= clip.rating { "★" } else { "☆" };
        let button = egui::Button::new(text).frame(false).min_size(STAR);
        let rating = if clip.rating == star { star - 1 } else { star };
        let hint = format!("Rate this clip: {rating} of {MAX_RATING}");
        if ui.add(button).on_hover_text(hint).clicked() {
            hands.instance().pads().set(pad, Some(Clip { rating, ..clip.clone() }));
            hands.note_change();
        }
    }
}

/// The name of a pad's clip, and what is done with it.
fn show_pad(ui: &mut egui::Ui, hands: Hands<'_>, pad: usize, clip: &Clip) {
    let pads = hands.instance().pads();
    ui.strong(shelf::keys(pad));
    let mut name = clip.name.clone();
    let field = egui::TextEdit::singleline(&mut name).desired_width(130.0).char_limit(MAX_NAME);
    if ui.add(field).changed() {
        pads.set(pad, Some(Clip { name, ..clip.clone() }));
        hands.note_change();
    }
    let free = pads.clips().first_free();
    let double = egui::Button::new("Duplicate");
    if ui.add_enabled(free.is_some(), double).clicked()
        && let Some(free) = free
    {
        pads.set(free, Some(clip.clone()));
        hands.note_change();
    }
    ui.menu_button("Remove", |ui| {
        if ui.button(format!("Take {} off this pad", clip.name)).clicked() {
            pads.set(pad, None);
            hands.note_change();
            ui.close();
        }
    });
}
