//! What takes time: it is done on the thread that loads bundles, and its answer comes later.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use distill_shared::library;
use distill_shared::player::{GivenCodes, TakeKey, infill};

use super::draft::Region;
use super::{CodesPage, FULL, Hands, Opened, clip_of, shelf};
use crate::clips::Clip;
use crate::export::{Export, plain};
use crate::import::import;

/// Frames that are made when a clip goes on: two seconds.
const MORE: usize = 94;
/// What comes of it, or why nothing does, in a sentence.
pub(super) type Answer<T> = Receiver<Result<T, String>>;

/// What is made of what is open.
#[derive(Debug)]
pub(super) enum Made {
    /// A region anew.
    Anew(Region),
    /// More of it, after its end.
    More,
}

impl CodesPage {
    /// Takes in what was made meanwhile.
    pub(super) fn receive(&mut self, hands: Hands<'_>) {
        if let Some((opened, made, inbox)) = self.making.take() {
            match inbox.try_recv() {
                Ok(Ok(filled)) if self.opened == Some(opened) => {
                    let changed = match made {
                        Made::Anew(region) => self.draft.fill(&region, &filled),
                        Made::More => self.draft.go_on(&filled),
                    };
                    self.edited(hands, changed);
                }
                Ok(Ok(_)) | Err(TryRecvError::Disconnected) => {}
                Ok(Err(problem)) => self.message = problem,
                Err(TryRecvError::Empty) => self.making = Some((opened, made, inbox)),
            }
        }
        if let Some(imported) = self.importing.as_ref().and_then(|inbox| inbox.try_recv().ok()) {
            self.importing = None;
            match imported {
                Ok(clip) => self.take_in(hands, clip),
                Err(problem) => self.message = problem,
            }
        }
        match self.exporting.as_ref().map(Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => return,
            Some(Ok(Ok(path))) => self.message = format!("Exported to {}", path.display()),
            Some(Ok(Err(problem))) => self.message = problem,
            Some(Err(TryRecvError::Disconnected)) => {
                self.message = "The clip was not exported.".to_owned();
            }
        }
        self.exporting = None;
    }

    /// Makes the selection anew.
    pub(super) fn regenerate(&mut self, hands: Hands<'_>) {
        let (given, region) = (self.draft.open(), self.draft.asked());
        self.make(hands, given, Made::Anew(region));
    }

    /// Makes more of what is open, after its end.
    pub(super) fn go_on(&mut self, hands: Hands<'_>) {
        let given = self.draft.open_after(MORE);
        self.make(hands, given, Made::More);
    }

    /// Draws what `given` leaves open, with chances that were not drawn before.
    fn make(&mut self, hands: Hands<'_>, given: GivenCodes, made: Made) {
        let Some((opened, model)) = self.opened.zip(hands.model()) else { return };
        let codec = &model.config().codec;
        if !self.draft.codes().fit(codec.quantizers, codec.codebook_size) {
            self.message = "Only the bundle that made this clip can make more of it.".to_owned();
            return;
        }
        self.rolls += 1;
        let settings = hands.params.settings();
        let key = TakeKey { seed: settings.seed, take: u64::MAX - self.rolls };
        let (answer, inbox) = bounded(1);
        hands.params.selection.work(Box::new(move || {
            let filled = infill(model, key, &settings.sampling, given);
            let _ = answer.send(filled.map_err(|error| error.to_string()));
        }));
        self.making = Some((opened, made, inbox));
    }

    /// Writes what is open to a file.
    pub(super) fn export(&mut self, hands: Hands<'_>) {
        let clip = self.opened.and_then(|opened| clip_of(hands, opened));
        let clip = clip.map(|clip| Clip { codes: Arc::clone(self.draft.codes()), ..clip });
        self.write(hands, clip.into_iter().collect(), "");
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
        self.write(hands, playable.map(named).collect(), &texts.reference.name);
    }

    /// Writes `clips` into `folder` of what was exported.
    fn write(&mut self, hands: Hands<'_>, clips: Vec<Clip>, folder: &str) {
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
                depth: self.depth,
                folder: folder.clone(),
            })
            .collect();
        let (answer, inbox) = bounded(1);
        hands.params.selection.work(Box::new(move || {
            let written: Result<Vec<PathBuf>, String> = exports.iter().map(Export::write).collect();
            let last = |mut paths: Vec<PathBuf>| match paths.len() {
                1 => paths.pop().unwrap_or_default(),
                _ => folder,
            };
            let _ = answer.send(written.map(last));
        }));
        self.exporting = Some(inbox);
        self.message = "Exporting".to_owned();
    }

    /// Puts what was imported on the first free pad, and opens it.
    fn take_in(&mut self, hands: Hands<'_>, clip: Clip) {
        let pads = hands.instance().pads();
        let Some(pad) = pads.clips().first_free() else {
            self.message = FULL.to_owned();
            return;
        };
        pads.set(pad, Some(clip));
        hands.note_change();
        self.open(hands, Opened::Pad(pad));
    }

    /// Reads a sound file as a clip.
    pub(super) fn import(&mut self, hands: Hands<'_>) {
        let Some(model) = hands.model() else { return };
        let path = PathBuf::from(self.path.trim());
        let codec = hands.instance().texts().playing.codec;
        let (answer, inbox) = bounded(1);
        hands.params.selection.work(Box::new(move || {
            let _ = answer.send(import(&path, &model, &codec));
        }));
        self.importing = Some(inbox);
    }
}
