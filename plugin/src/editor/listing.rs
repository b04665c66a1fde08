//! What pages of files have in common: a list that is read now and then, and names that are typed.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use distill_shared::library;

use crate::params::DistillParams;

/// How often folders are looked into while a page is shown.
const WATCH: Duration = Duration::from_secs(5);
/// Lines that there is room for.
const MOST_LINES: usize = 3;
/// What is said where there is no folder.
pub(super) const HOMELESS: &str = "There is no home folder: name one in DISTILL_FOLDER.";

/// What is being done with files, one after the other on a thread of its own: a window that touched one
/// would wait for ever on a drive that does not answer.
#[derive(Debug)]
pub(super) struct Errands<T>(Vec<Receiver<T>>);

impl<T> Default for Errands<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Send + 'static> Errands<T> {
    /// Does `errand` as soon as those before it are done, also if the instrument goes meanwhile.
    pub(super) fn begin(
        &mut self,
        params: &DistillParams,
        errand: impl FnOnce() -> T + Send + 'static,
    ) {
        let (answer, inbox) = bounded(1);
        params.selection.work(Box::new(move |_| {
            let _ = answer.send(errand());
        }));
        self.0.push(inbox);
    }

    /// As [`Self::begin`], for what only its answer is wanted of: not if the instrument goes before.
    pub(super) fn ask(
        &mut self,
        params: &DistillParams,
        question: impl FnOnce() -> T + Send + 'static,
    ) {
        self.0.push(params.selection.ask(question));
    }

    /// What has come of the first one that is done, if any is.
    pub(super) fn take_in(&mut self) -> Option<T> {
        let mut done = None;
        self.0.retain(|inbox| {
            if done.is_some() {
                return true;
            }
            match inbox.try_recv() {
                Ok(answer) => {
                    done = Some(answer);
                    false
                }
                Err(TryRecvError::Empty) => true,
                Err(TryRecvError::Disconnected) => false,
            }
        });
        done
    }

    /// Whether none is left.
    pub(super) fn are_done(&self) -> bool {
        self.0.is_empty()
    }
}

/// Files of a kind, read anew now and then: files come and go.
#[derive(Debug)]
pub(super) struct Listing<T> {
    pub(super) entries: Vec<T>,
    reading: Errands<Vec<T>>,
    read: Option<Instant>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), reading: Errands::default(), read: None }
    }
}

impl<T: Send + 'static> Listing<T> {
    /// A list that was just read, for tests.
    #[cfg(test)]
    pub(super) fn holding(entries: Vec<T>) -> Self {
        Self { entries, read: Some(Instant::now()), ..Self::default() }
    }

    /// Takes in what was read. Whether anything was.
    pub(super) fn take_in(&mut self) -> bool {
        let read = self.reading.take_in();
        let is_new = read.is_some();
        self.entries = read.unwrap_or_else(|| std::mem::take(&mut self.entries));
        is_new
    }

    /// Whether it was read, and is not being read.
    pub(super) fn is_known(&self) -> bool {
        self.reading.are_done() && self.read.is_some()
    }

    /// Whether it is time to read it anew.
    pub(super) fn is_due(&self) -> bool {
        self.reading.are_done() && self.read.is_none_or(|read| read.elapsed() > WATCH)
    }

    /// Reads it anew by `list`.
    pub(super) fn read(
        &mut self,
        params: &DistillParams,
        list: impl FnOnce() -> Vec<T> + Send + 'static,
    ) {
        self.reading.ask(params, list);
        self.read = Some(Instant::now());
    }

    /// Something has changed: it is read anew as soon as may be.
    pub(super) fn is_old(&mut self) {
        self.read = None;
    }
}

/// Copies the file at `path` into the library folder; what went wrong, in a sentence.
pub(super) fn add(path: &Path) -> Result<(), String> {
    let folder = library::folder().ok_or(HOMELESS)?;
    library::add(path, &folder).map(drop).map_err(sentence)
}

/// What there is of `said`, each in a line of its own, the last few of too many.
pub(super) fn in_lines<const N: usize>(said: [String; N]) -> String {
    let lines: Vec<&str> = said.iter().flat_map(|said| said.lines()).collect();
    lines[lines.len().saturating_sub(MOST_LINES)..].join("\n")
}

/// An error as a sentence.
pub(super) fn sentence(error: impl Display) -> String {
    format!("{error}.")
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
        // It stays that of the file whatever becomes of the rows above.
        let of_file = egui::UiBuilder::new().scope_id(egui::Id::unique(("more", path)));
        ui.scope_builder(of_file, |ui| {
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
            })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::wait_at_most;
    use crate::selection::Selection;

    /// The texts of a picture of that many files with their menus, and where they are.
    fn picture(
        context: &egui::Context,
        events: Vec<egui::Event>,
        files: &[&str],
    ) -> Vec<(String, egui::Pos2)> {
        let screen_rect =
            Some(egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(800.0, 400.0)));
        let input = egui::RawInput { screen_rect, events, ..Default::default() };
        let mut output = context.run_ui(input, |ui| {
            egui::Grid::new("files").show(ui, |ui| {
                for file in files {
                    Renaming::default().show_menu(ui, Path::new(file), file, |ui| {
                        ui.label(format!("of {file}"));
                    });
                    ui.end_row();
                }
            });
        });
        // There is no graphics card that would take them.
        output.textures_delta.clear();
        let texts = output.shapes.iter().filter_map(|shape| match &shape.shape {
            egui::Shape::Text(text) => Some((text.galley.text().to_owned(), text.pos)),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn of_much_that_is_said_the_last_is_shown() {
        let said = |said: [&str; 2]| in_lines(said.map(str::to_owned));
        assert_eq!(said(["", "A."]), "A.");
        assert_eq!(said(["A.\nB.\nC.", "D."]), "B.\nC.\nD.");
    }

    #[test]
    fn an_open_menu_is_that_of_its_file_whatever_becomes_of_others() {
        let context = egui::Context::default();
        let all = ["/a", "/b", "/c"];
        let see = |events: Vec<egui::Event>, files: &[&str]| picture(&context, events, files);
        see(Vec::new(), &all);
        let texts = see(Vec::new(), &all);
        let (_, second) = texts.iter().filter(|(text, _)| text == "More").nth(1).expect("a button");
        let at = *second + egui::vec2(4.0, 4.0);
        let press = |pressed| egui::Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        };
        see(vec![egui::Event::PointerMoved(at)], &all);
        see(vec![press(true)], &all);
        see(vec![press(false)], &all);
        let shows =
            |texts: &[(String, egui::Pos2)], what: &str| texts.iter().any(|(text, _)| text == what);
        (0..3).for_each(|_| drop(see(Vec::new(), &all)));
        assert!(shows(&see(Vec::new(), &all), "of /b"));
        let without = see(Vec::new(), &["/b", "/c"]);
        assert!(shows(&without, "of /b") && !shows(&without, "of /c"), "{without:?}");
        let gone = see(Vec::new(), &["/a", "/c"]);
        assert!(!shows(&gone, "of /a") && !shows(&gone, "of /c"), "{gone:?}");
    }

    #[test]
    fn a_window_waits_for_no_file_and_gets_every_answer_in_its_turn() {
        let (selection, _audio) = Selection::new();
        let params = DistillParams::new(selection);
        let (drive, answers) = bounded::<()>(1);
        let mut errands = Errands::default();
        errands.begin(&params, move || answers.recv().map_or("gone", |()| "first"));
        errands.ask(&params, || "second");
        assert_eq!(errands.take_in(), None, "the drive does not answer");
        assert!(!errands.are_done());
        drive.send(()).expect("it waits");
        for expected in ["first", "second"] {
            let mut answer = None;
            wait_at_most(Duration::from_secs(20), || {
                answer = answer.or_else(|| errands.take_in());
                answer.is_some()
            });
            assert_eq!(answer, Some(expected));
        }
        assert!(errands.are_done());
    }
}
