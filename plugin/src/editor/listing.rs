//! What pages of files have in common: a list that is read now and then, and names that are typed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use distill_shared::library;

use crate::params::DistillParams;

/// How often folders are looked into while a page is shown.
const WATCH: Duration = Duration::from_secs(5);
/// What is said where there is no folder.
pub(super) const HOMELESS: &str = "There is no home folder: name one in DISTILL_FOLDER.";

/// Files of a kind, read anew now and then on a thread of its own: files come and go.
#[derive(Debug)]
pub(super) struct Listing<T> {
    pub(super) entries: Vec<T>,
    /// What is being read.
    reading: Option<Receiver<Vec<T>>>,
    read: Option<Instant>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), reading: None, read: None }
    }
}

impl<T: Send + 'static> Listing<T> {
    /// A list that was just read, for tests.
    #[cfg(test)]
    pub(super) fn holding(entries: Vec<T>) -> Self {
        Self { entries, reading: None, read: Some(Instant::now()) }
    }

    /// Takes in what was read. Whether anything was.
    pub(super) fn take_in(&mut self) -> bool {
        let Some(inbox) = self.reading.take() else { return false };
        match inbox.try_recv() {
            Ok(entries) => {
                self.entries = entries;
                return true;
            }
            Err(TryRecvError::Empty) => self.reading = Some(inbox),
            Err(TryRecvError::Disconnected) => {}
        }
        false
    }

    /// Whether it was read, and is not being read.
    pub(super) fn is_known(&self) -> bool {
        self.reading.is_none() && self.read.is_some()
    }

    /// Whether it is time to read it anew.
    pub(super) fn is_due(&self) -> bool {
        self.reading.is_none() && self.read.is_none_or(|read| read.elapsed() > WATCH)
    }

    /// Reads it anew by `list`, on a thread of its own.
    pub(super) fn read(
        &mut self,
        params: &DistillParams,
        list: impl FnOnce() -> Vec<T> + Send + 'static,
    ) {
        let (answer, inbox) = bounded(1);
        params.selection.work(Box::new(move |_| {
            let _ = answer.send(list());
        }));
        (self.reading, self.read) = (Some(inbox), Some(Instant::now()));
    }

    /// Something has changed: it is read anew as soon as may be.
    pub(super) fn is_old(&mut self) {
        self.read = None;
    }
}

/// Files that are being copied into the library folder, each on a thread of its own.
#[derive(Debug, Default)]
pub(super) struct Adding(Vec<Receiver<String>>);

impl Adding {
    /// Begins to copy the file at `path`. What is wrong, if it cannot.
    pub(super) fn begin(&mut self, params: &DistillParams, path: PathBuf) -> Option<String> {
        let Some(folder) = library::folder() else { return Some(HOMELESS.to_owned()) };
        let (answer, inbox) = bounded(1);
        params.selection.work(Box::new(move |_| {
            let added = library::add(&path, &folder);
            let _ = answer.send(added.err().map_or_else(String::new, |error| format!("{error}.")));
        }));
        self.0.push(inbox);
        None
    }

    /// What has come of one of them, if one is done: nothing, or why it cannot be added.
    pub(super) fn take_in(&mut self) -> Option<String> {
        let mut said = None;
        self.0.retain(|inbox| match inbox.try_recv() {
            Ok(one) => {
                said = Some(one);
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Disconnected) => false,
        });
        said
    }
}

/// What is to be done with a file.
pub(super) enum Deed {
    Load,
    /// Open the folder that it is in.
    Reveal,
    Rename(String),
    Remove,
}

/// The file of which something is being typed, and what.
#[derive(Debug, Default)]
pub(super) struct Typing(Option<(PathBuf, String)>);

impl Typing {
    /// Something is to be typed of the file at `path`, where `text` is now.
    pub(super) fn begin(&mut self, path: &Path, text: String) {
        self.0 = Some((path.to_owned(), text));
    }

    /// If something is being typed of the file at `path`, a field for it in a cell of that width, and
    /// what was typed once it is. Else nothing, and the cell should show what is there.
    pub(super) fn show(
        &mut self,
        ui: &mut egui::Ui,
        path: &Path,
        width: f32,
        longest: usize,
    ) -> Option<Option<String>> {
        let (_, text) = self.0.as_mut().filter(|(of, _)| of == path)?;
        let field = egui::TextEdit::singleline(text).char_limit(longest).desired_width(width);
        let response = ui.add(field);
        let Some(typed) = typed(ui, &response, text) else { return Some(None) };
        self.0 = None;
        Some(typed)
    }
}

/// The file whose name is being typed, and the name.
#[derive(Debug, Default)]
pub(super) struct Renaming(Typing);

impl Renaming {
    /// If the name of the file at `path` is being typed, a field for it in a cell of that width, and what
    /// comes of it. Else nothing, and its name should be shown.
    pub(super) fn show(
        &mut self,
        ui: &mut egui::Ui,
        path: &Path,
        width: f32,
        longest: usize,
    ) -> Option<Option<Deed>> {
        let typed = self.0.show(ui, path, width, longest)?;
        let is_new = |name: &String| path.file_stem().is_none_or(|stem| stem != name.as_str());
        Some(typed.filter(is_new).map(Deed::Rename))
    }

    /// The menu of the file at `path`, which is called `name`; it begins with what `first` shows.
    pub(super) fn show_menu(
        &mut self,
        ui: &mut egui::Ui,
        path: &Path,
        name: &str,
        first: impl FnOnce(&mut egui::Ui),
    ) -> Option<Deed> {
        let mut deed = None;
        ui.menu_button("More", |ui| {
            first(ui);
            if ui.button("Rename").clicked() {
                self.0.begin(path, name.to_owned());
                ui.close();
            }
            if ui.button("Show in folder").clicked() {
                deed = Some(Deed::Reveal);
                ui.close();
            }
            ui.menu_button("Remove", |ui| {
                if ui.button(format!("Delete {} for good", path.display())).clicked() {
                    deed = Some(Deed::Remove);
                    ui.close();
                }
            });
        });
        deed
    }
}

/// Opens the folder of the file at `path` as the system shows folders; what went wrong, in a sentence.
pub(super) fn reveal(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    open::that_detached(folder)
        .map_err(|error| format!("{} cannot be shown: {error}.", folder.display()))
}

/// Keeps the keys on a field for a name until it is left. Then it gives what was typed, or nothing if that
/// was given up with Escape.
pub(super) fn typed(
    ui: &mut egui::Ui,
    response: &egui::Response,
    text: &mut String,
) -> Option<Option<String>> {
    if !response.lost_focus() {
        response.request_focus();
        return None;
    }
    let given_up = ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::Escape));
    Some((!given_up).then(|| std::mem::take(text)))
}
