//! The page of codes: what was played is looked at, edited, kept and exported.

mod aside;
mod compare;
mod draft;
mod grid;
mod hands;
mod levels;
mod shelf;
mod tools;
mod undo;
mod work;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use distill_shared::codes::Codes;
use nice_plug::prelude::ParamSetter;

use crate::auditions::Audition;
use crate::clips::{Clip, MAX_CODES};
use crate::export::Format;
use crate::import::Imported;
use crate::params::DistillParams;
use crate::zones::Keys;
use aside::Aside;
use draft::{Draft, Piece, Region};
use grid::{Grid, Touch, View};
use hands::{Hands, clip_of};
use shelf::{Listing, Shelf};
use work::{Answer, Making};

/// What is said where there is no room.
const FULL: &str = "All pads hold clips: remove one first.";
/// What is said where sizes may fit, and meanings do not.
const FOREIGN: &str = "Another bundle made this clip: load that one first.";
/// Frames that are heard after an edit: until it has faded.
const FADING: usize = 16;
/// Frames for which an entry is heard by itself.
const ENTRY: usize = 24;
/// Frames of a second, as long as no bundle says how many.
const FRAME_RATE: f64 = 46.875;

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// A take that was played, by its number in the history.
    Take(u64),
    /// The clip on a pad.
    Pad(usize),
}

/// The page.
#[derive(Debug, Default)]
pub(crate) struct CodesPage {
    opened: Option<Opened>,
    /// Whether what is open stays open; else whatever is played is opened as it comes.
    stays: bool,
    /// Name and codec of what is open: a take may be forgotten meanwhile.
    clip: Option<Clip>,
    draft: Draft,
    /// What was open before.
    aside: Aside,
    grid: Grid,
    /// What was copied, and the codec that it belongs to.
    piece: Option<(String, Piece)>,
    /// The entry that a selection is set to.
    entry: u32,
    looped: bool,
    /// Whether edits are not to be heard at once.
    silent: bool,
    /// The clip to compare with, to blend with or to swap with, and how much of it.
    other: Option<Opened>,
    /// Which of both is heard: what is open, 0, or the other, 1.
    side: usize,
    /// Whether both clips sound, since they are compared.
    comparing: bool,
    ratio: Ratio,
    swaps: Vec<Swap>,
    format: Format,
    /// How the clips on pads are listed.
    listing: Listing,
    /// How often something was made anew.
    rolls: u64,
    /// What is being made.
    making: Option<Making>,
    exporting: Vec<Answer<String>>,
    /// The path that is typed, of a file to import.
    path: String,
    /// Files that are read next.
    to_import: VecDeque<PathBuf>,
    importing: Option<Answer<Imported>>,
    /// Whether the page is what is shown.
    shown: bool,
    /// Whether the keys go to a field.
    typing: bool,
    /// What happened last.
    message: String,
    /// The frames that are auditioned.
    heard: (usize, usize),
}

/// How far to go toward another clip, 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Ratio(f32);

impl Default for Ratio {
    fn default() -> Self {
        Self(0.5)
    }
}

/// What a swap did to the other clip.
#[derive(Debug)]
struct Swap {
    /// What is open, after it.
    after: Arc<Codes>,
    pad: usize,
    /// The codes of the other clip, before it and after it.
    theirs: [Arc<Codes>; 2],
}

impl CodesPage {
    pub(crate) fn show(
        &mut self,
        ui: &mut egui::Ui,
        params: &DistillParams,
        setter: &ParamSetter<'_>,
    ) {
        let hands = Hands { params, setter };
        (self.shown, self.typing) = (true, ui.ctx().text_edit_focused());
        self.bring_up_to_date(hands);
        let frame_rate =
            hands.model().map_or(FRAME_RATE, |model| model.config().codec.frame_rate());
        ui.horizontal_top(|ui| {
            let mut chosen = None;
            ui.vertical(|ui| {
                self.show_import(ui);
                let stayed = self.stays;
                let mut shelf = Shelf { listing: &mut self.listing, stays: &mut self.stays };
                chosen = shelf.show(ui, hands.instance(), self.opened, frame_rate);
                if stayed && !self.stays {
                    self.leave_open(hands);
                }
                let hint = "Write every clip to a sound file, named by its key: a sample pack";
                let any = hands.instance().pads().mark().held != 0;
                let button = egui::Button::new("Export all");
                if any && ui.add(button).on_hover_text(hint).clicked() {
                    self.export_all(hands);
                }
            });
            if let Some(chosen) = chosen {
                self.stays = true;
                self.open(hands, chosen);
            }
            ui.separator();
            ui.vertical(|ui| match self.opened {
                None => {
                    ui.weak("Play something, or choose a pad, to see what it is made of.");
                    ui.label(&self.message);
                }
                Some(_) => self.show_opened(ui, hands, frame_rate),
            });
        });
    }

    /// Takes in, while another page is shown, what was asked for here. Nothing of it is heard.
    pub(crate) fn attend(&mut self, params: &DistillParams, setter: &ParamSetter<'_>) {
        let hands = Hands { params, setter };
        (self.shown, self.typing) = (false, false);
        let silent = std::mem::replace(&mut self.silent, true);
        self.receive(hands);
        self.import_next(hands);
        self.silent = silent;
    }

    /// Takes in what has happened since the last picture.
    fn bring_up_to_date(&mut self, hands: Hands<'_>) {
        self.receive(hands);
        self.import_next(hands);
        self.follow(hands);
        self.refresh(hands);
    }

    /// Leaves what is open, as choosing something else does.
    fn leave_open(&mut self, hands: Hands<'_>) {
        if let Some((level, typed)) = self.grid.take_naming() {
            self.rename_level(hands, level, &typed);
        }
        // What is being made of it would not find it.
        self.making = None;
        self.fall_silent(hands);
        self.stop_comparing(hands);
        self.put_aside();
    }

    /// Ends what is heard of this page. While another one is shown, that is what is heard.
    fn fall_silent(&self, hands: Hands<'_>) {
        if self.shown {
            hands.instance().auditions().end();
        }
    }

    fn show_opened(&mut self, ui: &mut egui::Ui, hands: Hands<'_>, frame_rate: f64) {
        self.show_title(ui, hands);
        self.show_tools(ui, hands);
        let auditioned = hands.instance().auditions().heard();
        let (first, len) = self.heard;
        let heard = auditioned.and_then(|frame| usize::try_from(frame).ok());
        let heard = heard.map(|frame| first + if self.looped { frame % len.max(1) } else { frame });
        let follows = self.sounds(hands);
        let height = (ui.available_height() - 40.0).max(120.0);
        let names = self.level_names(hands);
        let view = View { frame_rate, heard, follows, height, names: &names };
        match self.grid.show(ui, &mut self.draft, &view) {
            Some(Touch::Selected) => {
                if let Some(Region { frames, levels }) = self.draft.selection() {
                    let code = self.draft.codes().get(frames.start, levels.start);
                    self.entry = code.unwrap_or(self.entry);
                }
            }
            Some(Touch::Entry(t, level)) => self.hear_entry(hands, t, level),
            Some(Touch::Name(level, typed)) => self.rename_level(hands, level, &typed),
            None => {}
        }
        self.keys(ui, hands);
        if self.message.is_empty() {
            ui.weak("Drag over the grid to select; click twice to hear an entry; space plays.");
        } else {
            ui.label(&self.message);
        }
    }

    /// Whether something is being typed.
    fn is_typing(&self) -> bool {
        self.typing || self.grid.is_naming()
    }

    /// Whether what is open is a take that still sounds, as it came.
    fn sounds(&self, hands: Hands<'_>) -> bool {
        let Some(Opened::Take(number)) = self.opened else { return false };
        let now = Instant::now();
        let sounds = hands
            .instance()
            .history()
            .read(|takes| takes.iter().any(|take| take.number == number && take.sounds(now)));
        sounds && !self.draft.is_edited()
    }

    /// Opens a take or a pad.
    fn open(&mut self, hands: Hands<'_>, opened: Opened) {
        let Some(clip) = clip_of(hands, opened) else { return };
        self.leave_open(hands);
        self.draft = self.aside.take(opened, &clip);
        (self.opened, self.clip) = (Some(opened), Some(clip));
        self.message = String::new();
    }

    /// Nothing is open any more; what was is found again as it is.
    fn put_aside(&mut self) {
        let draft = std::mem::take(&mut self.draft);
        if let Some(opened) = self.opened.take() {
            self.aside.put(opened, draft);
        }
        // What no draft can undo any more.
        self.swaps.retain(|swap| Arc::strong_count(&swap.after) > 1);
    }

    /// What is open, with its codes as they are now.
    fn current(&self) -> Option<Clip> {
        let (codes, locks) = (Arc::clone(self.draft.codes()), self.draft.locks().clone());
        self.clip.as_ref().map(|clip| Clip { codes, locks, ..clip.clone() })
    }

    /// Opens what was played last, unless something else is to stay open.
    fn follow(&mut self, hands: Hands<'_>) {
        // Whoever works on it, or listens to it, wants to go on with it.
        self.stays |= self.draft.is_edited()
            || self.draft.selection().is_some()
            || self.making.is_some()
            || self.grid.is_naming()
            || hands.instance().auditions().heard().is_some();
        if self.stays {
            return;
        }
        let newest = hands.instance().history().read(|takes| takes.back().map(|take| take.number));
        if let Some(newest) = newest.map(Opened::Take).filter(|newest| self.opened != Some(*newest))
        {
            self.open(hands, newest);
        }
    }

    /// Shows what is open as it is now.
    fn refresh(&mut self, hands: Hands<'_>) {
        match self.opened {
            // What was edited stays, and what something is made of.
            Some(Opened::Take(_)) if self.draft.is_edited() || self.making.is_some() => {}
            Some(Opened::Take(number)) => {
                // Only if there is more of it: it may be long.
                let shown = self.draft.codes().frames();
                let more = hands.instance().history().read(|takes| {
                    let take = takes.iter().find(|take| take.number == number)?;
                    (take.codes.frames() != shown).then(|| take.codes.clone())
                });
                more.into_iter().for_each(|codes| self.draft.follow(codes));
            }
            Some(Opened::Pad(pad)) => match hands.instance().pads().clips().get(pad) {
                None => {
                    self.fall_silent(hands);
                    self.opened = None;
                }
                Some(clip) => {
                    if !self.draft.is_of(clip) {
                        self.draft = Draft::of(clip);
                    }
                    self.clip = Some(clip.clone());
                }
            },
            None => {}
        }
    }

    /// Falls silent: nobody looks any more.
    pub(crate) fn leave(params: &DistillParams) {
        params.selection.instance().auditions().end();
    }

    /// After an edit: it is kept, and heard.
    fn edited(&mut self, hands: Hands<'_>, changed: bool) {
        if changed {
            self.keep(hands);
            self.stop_comparing(hands);
            if !self.silent {
                self.hear(hands);
            }
        }
    }

    /// Whether it is longer than a clip can be; says so if it is.
    fn is_too_long(&mut self) -> bool {
        let is_too_long = self.draft.codes().as_slice().len() > MAX_CODES;
        if is_too_long {
            self.message = "It is longer than a clip can be: crop it first.".to_owned();
        }
        is_too_long
    }

    /// Keeps what is open on its pad, or on the first free one. Returns whether it is kept.
    fn keep(&mut self, hands: Hands<'_>) -> bool {
        let Some((opened, clip)) = self.opened.zip(self.current()) else { return false };
        if self.is_too_long() {
            return false;
        }
        let pads = hands.instance().pads();
        let pad = match opened {
            Opened::Pad(pad) => Some(pad),
            Opened::Take(_) => pads.clips().first_free(),
        };
        let Some(pad) = pad else {
            self.message = FULL.to_owned();
            return false;
        };
        pads.set(pad, Some(clip));
        hands.note_change();
        if opened != Opened::Pad(pad) {
            // Nothing that is played takes its place: it is named, and rated, where it is.
            (self.opened, self.stays) = (Some(Opened::Pad(pad)), true);
            self.making.iter_mut().for_each(|making| making.moves(opened, Opened::Pad(pad)));
            self.message =
                format!("Kept on pad {}: set Keys to Pads to play it.", shelf::keys(pad));
        }
        true
    }

    /// Locks what is selected, or frees it. The project knows of it, if it is on a pad.
    fn lock(&mut self, hands: Hands<'_>) {
        self.draft.toggle_lock();
        if let (Some(Opened::Pad(pad)), Some(clip)) = (self.opened, self.current()) {
            hands.instance().pads().set(pad, Some(clip));
            hands.note_change();
        }
    }

    /// Lets the selection be heard, and what follows until it has faded.
    fn hear(&mut self, hands: Hands<'_>) {
        if !self.can_be_heard(hands) {
            return;
        }
        let (frames, looped) = (self.draft.frames(), self.looped);
        let other = if self.comparing { self.compared(hands) } else { None };
        if other.is_none() {
            self.stop_comparing(hands);
        }
        let codes = Arc::clone(self.draft.codes());
        let longest = other.iter().map(|other| other.frames()).fold(codes.frames(), usize::max);
        let end = if self.draft.selection().is_some() { frames.end } else { longest };
        let end = if looped { end } else { (end + FADING).min(longest) };
        let audition = Audition { codes, other, frames: frames.start..end, looped };
        let heard = audition.of(0).map_or(0..0, |own| own.frames);
        self.heard = (heard.start, heard.len());
        hands.params.selection.audition(audition);
    }

    /// Whether it can be; says so if not.
    fn can_be_heard(&mut self, hands: Hands<'_>) -> bool {
        let plays = self.current().is_some_and(|clip| hands.plays(&clip));
        if !plays {
            self.message = FOREIGN.to_owned();
        } else if hands.params.settings().always_wait {
            self.message = "Nothing is let hear while Always wait is on.".to_owned();
        }
        plays && !hands.params.settings().always_wait
    }

    /// Lets one entry be heard by itself, held.
    fn hear_entry(&mut self, hands: Hands<'_>, t: usize, level: usize) {
        let levels = self.draft.codes().quantizers();
        let entry = self.draft.codes().get(t, level).filter(|_| self.can_be_heard(hands));
        let Some(entry) = entry else { return };
        let absent = vec![distill_shared::codes::ABSENT; levels];
        let mut first = absent.clone();
        first[level] = entry;
        let mut codes = Codes::new(levels);
        codes.push(&first);
        (1..ENTRY).for_each(|_| codes.push(&absent));
        self.heard = (t, 1);
        hands.params.selection.audition(Audition::whole(Arc::new(codes)));
    }

    /// What keys do that are pressed while nothing is typed.
    fn keys(&mut self, ui: &egui::Ui, hands: Hands<'_>) {
        if ui.memory(|memory| memory.focused().is_some()) {
            return;
        }
        let pressed = |modifiers: egui::Modifiers, key: egui::Key| {
            ui.input_mut(|input| input.consume_key(modifiers, key))
        };
        let (plain, command) = (egui::Modifiers::NONE, egui::Modifiers::COMMAND);
        let shifted = command | egui::Modifiers::SHIFT;
        if pressed(shifted, egui::Key::Z) || pressed(command, egui::Key::Y) {
            self.redo(hands);
        } else if pressed(command, egui::Key::Z) {
            self.undo(hands);
        } else if pressed(command, egui::Key::A) {
            self.draft.select_all();
        } else if pressed(plain, egui::Key::Escape) {
            self.draft.select(None);
        } else if pressed(plain, egui::Key::Delete) || pressed(plain, egui::Key::Backspace) {
            let changed = self.draft.clear();
            self.edited(hands, changed);
        } else if pressed(plain, egui::Key::Space) {
            self.play_or_stop(hands);
        } else if pressed(plain, egui::Key::R) {
            self.regenerate(hands);
        } else if pressed(plain, egui::Key::L) {
            self.lock(hands);
        } else if pressed(plain, egui::Key::B) {
            self.compare(hands);
        }
    }

    fn play_or_stop(&mut self, hands: Hands<'_>) {
        let auditions = hands.instance().auditions();
        if auditions.wanted().is_some() { auditions.end() } else { self.hear(hands) }
    }

    /// Makes pads play.
    fn play_pads(hands: Hands<'_>) {
        let keys = &hands.params.notes.keys;
        hands.setter.begin_set_parameter(keys);
        hands.setter.set_parameter(keys, Keys::Pads as i32);
        hands.setter.end_set_parameter(keys);
    }
}

#[cfg(test)]
mod tests;
