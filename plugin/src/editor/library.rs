//! The page of the library: bundles found, searched, sorted, listened to, chosen, renamed and removed.

use std::path::PathBuf;
use std::sync::Arc;

use distill_shared::library::{self, Content, Entry, Order};
use distill_shared::tags::{self, MAX_LETTERS, MAX_TAGS};
use nice_plug::prelude::ParamSetter;

use super::bundle_row::{folders, note_change};
use super::listening::Listening;
use super::listing::{Deed, Errands, Listing, Renaming, Typing, add, in_lines, reveal, sentence};
use super::{cell, problem_cell};
use crate::instance::Phase;
use crate::params::DistillParams;
use crate::state::BundleRef;

/// Widths of the columns for names and for what there is: beside them is room for three buttons.
const NAME: f32 = 200.0;
const CONTENT: f32 = 520.0;
/// Letters of the longest name that can be typed: with its ending it fits every file system.
const MAX_NAME: usize = 200;

/// The page.
#[derive(Debug, Default)]
pub(crate) struct LibraryPage {
    list: Listing<Entry>,
    words: String,
    order: Order,
    renaming: Renaming,
    tagging: Typing,
    message: String,
    errands: Errands<Result<Done, String>>,
    listening: Listening,
}

/// What was done with a file.
#[derive(Debug)]
enum Done {
    /// It has another name.
    Renamed { from: PathBuf, to: PathBuf },
    /// Something else.
    Plainly,
}

impl LibraryPage {
    /// A page that shows `entries`, for tests.
    #[cfg(test)]
    pub(crate) fn holding(entries: Vec<Entry>) -> Self {
        Self { list: Listing::holding(entries), ..Self::default() }
    }

    /// As if the bundle at `path` were listened to, as the audition of that number, for tests.
    #[cfg(test)]
    pub(crate) fn listen(&mut self, path: &str, number: u64) {
        self.listening = Listening::Now(path.into(), number);
    }

    pub(crate) fn show(
        &mut self,
        ui: &mut egui::Ui,
        params: &DistillParams,
        setter: &ParamSetter<'_>,
    ) {
        self.watch(params);
        self.show_search(ui);
        let instance = Arc::clone(params.selection.instance());
        let chosen = instance.texts().reference;
        let heard = self.listening.heard(&instance);
        let mut act = None;
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Grid::new("library").num_columns(5).striped(true).show(ui, |ui| {
                for entry in self.list.entries.iter().filter(|entry| entry.has(&self.words)) {
                    let now = Now {
                        plays: instance.phase() != Phase::Failed && is_of(entry, &chosen),
                        is_heard: heard.as_ref() == Some(&entry.path),
                        can_listen: instance.phase() == Phase::Ready,
                    };
                    let done = show_entry(ui, entry, now, &mut self.renaming, &mut self.tagging);
                    act = act.take().or(done.map(|done| (entry.path.clone(), done)));
                    ui.end_row();
                }
            });
        });
        let Some((path, act)) = act else { return };
        self.message.clear();
        match act {
            Act::Listen => self.listening.turn(params, path),
            Act::File(Deed::Load) => {
                self.listening.end(params);
                params.selection.choose(BundleRef::file(path.to_string_lossy().into_owned()));
                note_change(params, setter);
            }
            Act::File(Deed::Reveal) => self.message = reveal(&path).err().unwrap_or_default(),
            Act::Tag(typed) => self.errands.begin(params, move || {
                let set = tags::parse(&typed).and_then(|tags| tags::set(&path, tags));
                set.map(|()| Done::Plainly).map_err(sentence)
            }),
            Act::File(Deed::Rename(name)) => self.errands.begin(params, move || {
                let to = library::rename(&path, &name).map_err(sentence)?;
                Ok(Done::Renamed { from: path, to })
            }),
            Act::File(Deed::Remove) => self.errands.begin(params, move || {
                library::remove(&path).map(|()| Done::Plainly).map_err(sentence)
            }),
        }
    }

    /// Copies a bundle that was dropped into the library folder.
    pub(super) fn add(&mut self, params: &DistillParams, path: PathBuf) {
        self.message.clear();
        self.errands.begin(params, move || add(&path).map(|()| Done::Plainly));
    }

    /// Takes in what was done with files. To be called often, whatever page is shown.
    pub(super) fn attend(&mut self, params: &DistillParams) {
        let Some(done) = self.errands.take_in() else { return };
        self.list.is_old();
        match done {
            Ok(Done::Plainly) => {}
            Ok(Done::Renamed { from, to }) => params.selection.instance().follow(&from, &to),
            // Of several files each may have its own.
            Err(problem) => {
                self.message = in_lines([std::mem::take(&mut self.message), problem]);
            }
        }
    }

    /// Falls silent: nobody looks any more.
    pub(super) fn leave(&mut self, params: &DistillParams) {
        self.listening.end(params);
    }

    /// Reads the folders anew now and then, on a thread of its own.
    fn watch(&mut self, params: &DistillParams) {
        if self.list.take_in() {
            library::sort(&mut self.list.entries, self.order);
        }
        if let Some(problem) = self.listening.take_in(params) {
            self.message = problem;
        }
        if self.list.is_due() {
            let folders = folders(&params.selection.instance().texts().reference);
            self.list.read(params, move || library::list(&folders));
        }
    }

    fn show_search(&mut self, ui: &mut egui::Ui) {
        ui.horizontal(|ui| {
            let field = egui::TextEdit::singleline(&mut self.words).desired_width(260.0);
            ui.add(field.hint_text("Search names, tags and kinds of sound"));
            let orders = [
                (Order::Name, "by name"),
                (Order::Newest, "newest first"),
                (Order::Longest, "longest first"),
                (Order::Largest, "largest first"),
            ];
            let shown = orders.iter().find(|(order, _)| *order == self.order);
            let before = self.order;
            egui::ComboBox::from_id_salt("order")
                .selected_text(shown.map_or("", |(_, text)| text))
                .show_ui(ui, |ui| {
                    for (order, text) in orders {
                        ui.selectable_value(&mut self.order, order, text);
                    }
                });
            if self.order != before {
                library::sort(&mut self.list.entries, self.order);
            }
        });
        if let Some(folder) = library::folder() {
            ui.weak("Bundles in the library folder, and beside the one that plays")
                .on_hover_text(folder.display().to_string());
        }
        if !self.message.is_empty() {
            ui.colored_label(ui.visuals().warn_fg_color, &self.message);
        }
    }
}

/// Whether it is what was chosen. A file may have got other content since, or another name.
fn is_of(entry: &Entry, chosen: &BundleRef) -> bool {
    match &entry.content {
        Ok(content) if !chosen.digest.is_empty() => content.digest == chosen.digest,
        _ => !chosen.path.is_empty() && entry.path.to_string_lossy() == chosen.path,
    }
}

/// What is to be done with an entry.
enum Act {
    Listen,
    /// What was typed as its tags.
    Tag(String),
    File(Deed),
}

/// What of an entry is on.
struct Now {
    plays: bool,
    is_heard: bool,
    can_listen: bool,
}

/// A row: the name, what it holds, and what can be done with it.
fn show_entry(
    ui: &mut egui::Ui,
    entry: &Entry,
    Now { plays, is_heard, can_listen }: Now,
    renaming: &mut Renaming,
    tagging: &mut Typing,
) -> Option<Act> {
    let mut deed = None;
    if let Some(done) = renaming.show(ui, &entry.path, NAME, MAX_NAME) {
        deed = done;
    } else {
        let name = egui::RichText::new(&entry.name);
        let name = if plays { name.strong() } else { name };
        cell(ui, NAME, name).on_hover_text(entry.path.display().to_string());
    }
    let tagged = tagging.show(ui, &entry.path, CONTENT, (MAX_LETTERS + 1) * MAX_TAGS);
    if tagged.is_none() {
        show_content(ui, entry);
    }
    let playable = entry.content.as_ref().is_ok_and(|content| content.has_prior);
    let text = if plays { "Plays" } else { "Load" };
    if ui.add_enabled(playable && !plays, egui::Button::new(text)).clicked() {
        deed = Some(Deed::Load);
    }
    let text = if is_heard { "Stop" } else { "Listen" };
    let listen = ui.add_enabled(playable && can_listen, egui::Button::new(text));
    let why_not = if playable {
        "It is heard beside the bundle that plays: load any first."
    } else {
        "It makes no new sound, or cannot be read."
    };
    let listen = listen.on_hover_text("What it sounds like").on_disabled_hover_text(why_not);
    let stem = entry.path.file_stem().unwrap_or_default().to_string_lossy();
    let menu = renaming.show_menu(ui, &entry.path, &stem, |ui| {
        let hint = "Words to find it by, in the search above";
        if ui.button("Tags").on_hover_text(hint).clicked() {
            tagging.begin(&entry.path, tags::shown(&entry.tags));
            ui.close();
        }
    });
    let act = deed.or(menu).map(Act::File).or(tagged.flatten().map(Act::Tag));
    act.or(listen.clicked().then_some(Act::Listen))
}

/// The cell of what a bundle holds, or of why it cannot be read.
fn show_content(ui: &mut egui::Ui, entry: &Entry) {
    let tags = tags::shown(&entry.tags);
    match &entry.content {
        Ok(content) => {
            cell(ui, CONTENT, in_words(content, entry.bytes, &tags));
        }
        Err(problem) => problem_cell(ui, CONTENT, format!("{problem}  {tags}").trim_end()),
    }
}

/// What a bundle holds, in a line. What somebody has named comes last, since that may be long.
fn in_words(content: &Content, bytes: u64, tags: &str) -> String {
    let Content {
        title, created, files, seconds, channels, sample_rate, classes, has_prior, ..
    } = content;
    let channels = if *channels == 2 { "stereo" } else { "mono" };
    let prior = if *has_prior { "" } else { "no new sound yet, " };
    let day = created.get(..10).unwrap_or_default();
    let (kilohertz, megabytes) = (f64::from(*sample_rate) / 1e3, bytes as f64 / 1e6);
    let named = [tags, title].into_iter().chain(classes.iter().map(String::as_str));
    let named = named.filter(|name| !name.is_empty());
    let named: String = named.map(|name| format!(", {name}")).collect();
    format!(
        "{prior}{files} recordings, {seconds:.0} s, {channels}, {kilohertz} kHz, {megabytes:.1} MB, \
         {day}{named}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kit() -> Content {
        Content {
            digest: "0f".to_owned(),
            title: "Kit".to_owned(),
            created: "2026-11-28T10:00:00Z".to_owned(),
            files: 58,
            seconds: 54.4,
            channels: 1,
            sample_rate: 44_100,
            classes: vec!["bells".to_owned(), "drums".to_owned()],
            has_prior: false,
        }
    }

    #[test]
    fn what_plays_is_told_by_what_it_holds() {
        let entry = |path: &str, digest: &str| Entry {
            path: path.into(),
            name: String::new(),
            bytes: 9,
            tags: Vec::new(),
            content: Ok(Content { digest: digest.to_owned(), ..kit() }),
        };
        let chosen = BundleRef { digest: "aa".to_owned(), ..BundleRef::file("/a".to_owned()) };
        assert!(is_of(&entry("/a", "aa"), &chosen));
        assert!(is_of(&entry("/renamed", "aa"), &chosen));
        assert!(!is_of(&entry("/a", "bb"), &chosen), "another one took its place");
        let unread = BundleRef::file("/a".to_owned());
        assert!(is_of(&entry("/a", "aa"), &unread) && !is_of(&entry("/b", "aa"), &unread));
    }

    #[test]
    fn a_line_says_what_a_bundle_holds() {
        assert_eq!(
            in_words(&kit(), 2_400_000, "#soft"),
            "no new sound yet, 58 recordings, 54 s, mono, 44.1 kHz, 2.4 MB, 2026-11-28, #soft, Kit, bells, drums"
        );
    }
}
