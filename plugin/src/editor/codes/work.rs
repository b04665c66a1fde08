//! What takes time: it is done in the studio, and its answer comes later.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use distill_shared::codes::Codes;
use distill_shared::library;
use distill_shared::player::{GivenCodes, TakeKey, infill_while};

use super::draft::Region;
use super::{CodesPage, FOREIGN, FULL, Hands, Opened, shelf};
use crate::clips::{Clip, MAX_CODES};
use crate::editor::listing::in_lines;
use crate::export::{Export, plain};
use crate::import::{Imported, import};

/// Frames that are made when a clip goes on: two seconds.
const MORE: usize = 94;
/// What is said where no answer comes.
const FAILED: &str = "Internal error: it was not made.";

/// What is said while files are written.
const EXPORTING: &str = "Exporting";
/// What is said of files while no bundle plays.
const WAITING: &str = "Imported as soon as a bundle plays";

/// What comes of it, or why nothing does, in a sentence.
pub(super) type Answer<T> = Receiver<Result<T, String>>;

/// What is being made of what is open.
#[derive(Debug)]
pub(super) struct Making {
    /// The place that was open, and the codes in it that it is made from.
    opened: Option<Opened>,
    from: Arc<Codes>,
    made: Made,
    answer: Answer<Codes>,
    /// As long as this lives, it is wanted.
    #[expect(dead_code, reason = "that it is there says enough")]
    wish: Arc<()>,
}

#[derive(Debug)]
enum Made {
    /// A region anew; the answer begins with that frame.
    Anew(Region, usize),
    /// More of it, after its end.
    More,
}

impl Making {
    /// What it is made of was at `from`, and is at `to` now.
    pub(super) fn moves(&mut self, from: Opened, to: Opened) {
        if self.opened == Some(from) {
            self.opened = Some(to);
        }
    }
}

impl CodesPage {
    /// Takes in what was made meanwhile.
    pub(super) fn receive(&mut self, hands: Hands<'_>) {
        let made = self.making.as_ref().map(|making| making.answer.try_recv());
        if let Some(made) = made.filter(|made| *made != Err(TryRecvError::Empty)) {
            // The page may not have been shown for a while.
            self.refresh(hands);
            match (self.making.take(), made) {
                (Some(making), Ok(Ok(codes))) => self.take_made(hands, &making, &codes),
                (_, Ok(Err(problem))) => self.message = problem,
                _ => self.message = FAILED.to_owned(),
            }
        }
        if let Some(importing) = self.importing.take() {
            match importing.try_recv() {
                Ok(Ok(imported)) => self.take_in(hands, imported),
                Ok(Err(problem)) => {
                    self.message = in_lines([std::mem::take(&mut self.message), problem]);
                }
                Err(TryRecvError::Empty) => self.importing = Some(importing),
                Err(TryRecvError::Disconnected) => self.message = FAILED.to_owned(),
            }
        }
        let message = &mut self.message;
        self.exporting.retain(|exporting| {
            match exporting.try_recv() {
                Ok(Ok(said) | Err(said)) if message == EXPORTING => *message = said,
                Ok(Ok(said) | Err(said)) => *message = in_lines([std::mem::take(message), said]),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => FAILED.clone_into(message),
            }
            false
        });
    }

    /// As if `codes` had just been made of all of `from`.
    #[cfg(test)]
    pub(super) fn making_for_test(&mut self, from: Arc<Codes>, codes: Arc<Codes>) {
        let all = Region { frames: 0..from.frames(), levels: 0..from.quantizers() };
        let (sender, answer) = bounded(1);
        let _ = sender.send(Ok((*codes).clone()));
        let (opened, made, wish) = (self.opened, Made::Anew(all, 0), Arc::default());
        self.making = Some(Making { opened, from, made, answer, wish });
    }

    /// Puts what was made where it belongs, if that is still there.
    fn take_made(&mut self, hands: Hands<'_>, making: &Making, codes: &Codes) {
        // Other places may hold the same codes.
        let is_there = making.opened == self.opened;
        if !is_there || !Arc::ptr_eq(&making.from, self.draft.codes()) {
            self.message = "What was made came too late: the clip has changed.".to_owned();
            return;
        }
        let changed = match &making.made {
            Made::Anew(region, first) => self.draft.fill(region, *first, codes),
            Made::More => self.draft.go_on(codes),
        };
        self.edited(hands, changed);
    }

    /// Makes the selection anew.
    pub(super) fn regenerate(&mut self, hands: Hands<'_>) {
        if self.is_too_long() {
            return;
        }
        let (given, first) = self.draft.open();
        let region = self.draft.asked();
        self.make(hands, given, Made::Anew(region, first));
    }

    /// Makes more of what is open, after its end.
    pub(super) fn go_on(&mut self, hands: Hands<'_>) {
        let codes = self.draft.codes();
        if codes.as_slice().len() + MORE * codes.quantizers() > MAX_CODES {
            self.message = "It is as long as a clip can be.".to_owned();
            return;
        }
        let given = self.draft.open_after(MORE);
        self.make(hands, given, Made::More);
    }

    /// Draws what `given` leaves open, with chances that were not drawn before.
    fn make(&mut self, hands: Hands<'_>, given: GivenCodes, made: Made) {
        if self.making.is_some() || self.draft.codes().frames() == 0 {
            return;
        }
        let clip = self.current().filter(|clip| hands.plays(clip));
        let Some((clip, model)) = clip.zip(hands.model()) else {
            self.message = FOREIGN.to_owned();
            return;
        };
        self.rolls += 1;
        let settings = hands.params.settings();
        let key = TakeKey { seed: settings.seed, take: u64::MAX - self.rolls };
        let (sender, answer) = bounded(1);
        let wish = Arc::new(());
        let wished = Arc::downgrade(&wish);
        hands.params.selection.work(Box::new(move |closing| {
            let goes_on = || !closing.load(Ordering::Acquire) && wished.strong_count() > 0;
            let made = infill_while(model, key, &settings.sampling, given, goes_on);
            let _ = sender.send(made.map_err(|error| format!("{error}.")));
        }));
        self.making = Some(Making { opened: self.opened, from: clip.codes, made, answer, wish });
    }

    /// Writes what is open to a file.
    pub(super) fn export(&mut self, hands: Hands<'_>) {
        let clip = self.current();
        self.write(hands, clip.into_iter().collect(), "", 0);
    }

    /// Writes all clips to a folder of their own, each named by its key: a sample pack.
    pub(super) fn export_all(&mut self, hands: Hands<'_>) {
        let texts = hands.instance().texts();
        let named = |(pad, clip): (usize, &Clip)| Clip {
            name: format!("{} {}", shelf::keys(pad), clip.name),
            ..clip.clone()
        };
        let clips = hands.instance().pads().clips();
        let playable = clips.iter().filter(|(_, clip)| clip.codec == texts.playing.codec);
        let playable: Vec<Clip> = playable.map(named).collect();
        let left_out = clips.iter().count() - playable.len();
        self.write(hands, playable, &texts.reference.name, left_out);
    }

    /// Writes `clips` into `folder` of what was exported; so many of other bundles cannot be.
    fn write(&mut self, hands: Hands<'_>, clips: Vec<Clip>, folder: &str, left_out: usize) {
        let Some(home) = library::folder().filter(|_| !clips.is_empty()) else {
            self.message = "There is nothing to export, or no home folder to export to.".to_owned();
            return;
        };
        let instance = hands.instance();
        let folder = home.join("Exports").join(plain(folder));
        let exports: Vec<Export> = clips
            .into_iter()
            .map(|clip| Export {
                model: instance.texts().playing,
                clip,
                settings: hands.params.settings(),
                rate: instance.rate().unwrap_or(48_000.0),
                format: self.format,
                folder: folder.clone(),
            })
            .collect();
        let (answer, inbox) = bounded(1);
        hands.params.selection.work(Box::new(move |closing| {
            let written: Result<Vec<PathBuf>, String> =
                exports.iter().map(|export| export.write(closing)).collect();
            let _ = answer.send(written.map(|paths| exported(&paths, &folder, left_out)));
        }));
        self.exporting.push(inbox);
        EXPORTING.clone_into(&mut self.message);
    }

    /// Puts what was imported on the first free pad, and opens it, unless something is being done with
    /// what is open. What was wrong with others is still said.
    pub(super) fn take_in(&mut self, hands: Hands<'_>, imported: Imported) {
        let Imported { clip, cut } = imported;
        let pads = hands.instance().pads();
        let Some(pad) = pads.clips().first_free() else {
            self.message = FULL.to_owned();
            return;
        };
        pads.set(pad, Some(clip));
        hands.note_change();
        let problems = std::mem::take(&mut self.message);
        self.stays = true;
        if self.is_typing() || self.making.is_some() {
            self.message = format!("Imported on pad {}.", shelf::keys(pad));
        } else {
            self.open(hands, Opened::Pad(pad));
        }
        let cut = cut.map_or(String::new(), |seconds| {
            format!("A clip can be {seconds:.0} s long; the rest was left out.")
        });
        self.message = in_lines([problems, std::mem::take(&mut self.message), cut]);
    }

    /// Reads sound files as clips, one after the other.
    pub(in crate::editor) fn import_file(&mut self, path: PathBuf) {
        self.message.clear();
        self.to_import.push_back(path);
    }

    /// Begins to read the next sound file, if none is being read.
    pub(super) fn import_next(&mut self, hands: Hands<'_>) {
        if self.importing.is_some() {
            return;
        }
        let Some(path) = self.to_import.pop_front() else { return };
        let Some(model) = hands.model() else {
            WAITING.clone_into(&mut self.message);
            self.to_import.push_front(path);
            return;
        };
        if self.message == WAITING {
            self.message.clear();
        }
        let codec = hands.instance().texts().playing.codec;
        let clip = move || import(&path, &model, &codec);
        self.importing = Some(hands.params.selection.ask(clip));
    }
}

/// What is said when `paths` are written into `folder`.
fn exported(paths: &[PathBuf], folder: &Path, left_out: usize) -> String {
    let place = if let [path] = paths { path } else { folder };
    let others = match left_out {
        0 => String::new(),
        left_out => format!("; {left_out} made by other bundles left out"),
    };
    format!("Exported to {}{others}", place.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_where_clips_were_exported_and_what_was_left_out() {
        let paths = ["E/1.wav", "E/2.wav"].map(PathBuf::from);
        let folder = Path::new("E");
        assert_eq!(exported(&paths[..1], folder, 0), "Exported to E/1.wav");
        let several = "Exported to E; 3 made by other bundles left out";
        assert_eq!(exported(&paths, folder, 3), several);
    }
}
