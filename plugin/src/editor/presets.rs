//! The page of presets: settings saved under names, loaded, renamed and removed.

use std::path::PathBuf;

use distill_shared::bundle::is_digest;
use distill_shared::library;
use distill_shared::preset::{self, Preset, PresetEntry};
use nice_plug::prelude::ParamSetter;

use super::listing::{Deed, Errands, HOMELESS, Listing, Renaming, add, reveal, sentence};
use super::{cell, problem_cell};
use crate::params::DistillParams;
use crate::presets::{load, preset_of};

/// Width of a field for a name.
const FIELD: f32 = 260.0;
/// Width of the column for what there is: beside it is room for two buttons.
const CONTENT: f32 = 520.0;

/// The page.
#[derive(Debug, Default)]
pub(crate) struct PresetsPage {
    list: Listing<PresetEntry>,
    /// The name that is typed for what is to be saved.
    name: String,
    renaming: Renaming,
    errands: Errands<Result<Done, String>>,
    /// The preset that is being read, to be taken over.
    loading: Errands<Result<Preset, String>>,
    /// What happened last.
    message: String,
}

/// What was done with a file.
#[derive(Debug)]
enum Done {
    /// The settings are in it.
    Saved(PathBuf),
    /// The settings could not be saved under that name, for that reason.
    NotSaved(String, String),
    /// The preset of that name is gone.
    Removed(String),
    /// What needs no words.
    Plainly,
}

impl PresetsPage {
    /// A page that shows `entries`, for tests.
    #[cfg(test)]
    pub(crate) fn holding(entries: Vec<PresetEntry>) -> Self {
        let message =
            "“Soft bells” is loaded. It was made for the bundle “Felt Piano and Bells of the \
                       Old Town Hall”, and may sound unlike it."
                .to_owned();
        Self { list: Listing::holding(entries), message, ..Self::default() }
    }

    pub(crate) fn show(&mut self, ui: &mut egui::Ui, params: &DistillParams) {
        self.watch(params);
        self.show_save(ui, params);
        let mut deed = None;
        let plays = params.selection.instance().texts().reference.digest;
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Grid::new("presets").num_columns(4).striped(true).show(ui, |ui| {
                for (n, entry) in self.list.entries.iter().enumerate() {
                    let done = show_entry(ui, entry, &plays, &mut self.renaming);
                    deed = deed.take().or(done.map(|done| (n, done)));
                    ui.end_row();
                }
            });
        });
        let deed = deed.and_then(|(n, deed)| Some((self.list.entries.get(n)?.clone(), deed)));
        if let Some((entry, deed)) = deed {
            self.act(entry, deed, params);
        }
    }

    /// Begins to do it.
    fn act(&mut self, entry: PresetEntry, deed: Deed, params: &DistillParams) {
        let errands = &mut self.errands;
        self.message.clear();
        match deed {
            // It may have changed since it was listed; and it is called as its file is.
            Deed::Load => {
                self.message = format!("“{}” is being read.", entry.name());
                // The one that was chosen last is wanted.
                self.loading = Errands::default();
                self.loading.ask(params, move || {
                    let preset = Preset::read(&entry.path).map_err(sentence)?;
                    Ok(Preset { name: entry.name(), ..preset })
                });
            }
            Deed::Reveal => self.message = reveal(&entry.path).err().unwrap_or_default(),
            Deed::Rename(name) => errands.begin(params, move || {
                Preset::rename(&entry.path, &name).map(|_| Done::Plainly).map_err(sentence)
            }),
            Deed::Remove => errands.begin(params, move || {
                let removed = library::remove(&entry.path);
                removed.map(|()| Done::Removed(entry.name())).map_err(sentence)
            }),
        }
    }

    /// Copies a preset that was dropped into the library folder.
    pub(super) fn add(&mut self, params: &DistillParams, path: PathBuf) {
        self.message.clear();
        self.errands.begin(params, move || add(&path).map(|()| Done::Plainly));
    }

    /// Takes in what was done with files. To be called often, whatever page is shown.
    pub(super) fn attend(&mut self, params: &DistillParams, setter: &ParamSetter<'_>) {
        let done = self.errands.take_in().map(|done| {
            self.list.is_old();
            done.and_then(|done| self.say(done))
        });
        let read = self.loading.take_in();
        let loaded = read.map(|read| read.and_then(|preset| load(params, setter, &preset)));
        for said in [done, loaded].into_iter().flatten() {
            match said {
                // What was wrong with other files is still said.
                Ok(said) if said.is_empty() => {}
                Ok(said) | Err(said) => self.message = said,
            }
        }
    }

    /// Nobody looks any more: settings that are still to be read would come as a surprise.
    pub(super) fn leave(&mut self) {
        if !self.loading.are_done() {
            self.loading = Errands::default();
            self.message.clear();
        }
    }

    /// Takes in the list that was read, and has it read again now and then.
    fn watch(&mut self, params: &DistillParams) {
        self.list.take_in();
        if let Some(folder) = library::folder().filter(|_| self.list.is_due()) {
            self.list.read(params, move || preset::list(&folder));
        }
    }

    /// What was done, in a sentence, or what was wrong.
    fn say(&mut self, done: Done) -> Result<String, String> {
        match done {
            Done::Saved(path) => Ok(format!("Saved as {}", path.display())),
            Done::NotSaved(name, problem) => {
                if self.name.is_empty() {
                    self.name = name;
                }
                Err(problem)
            }
            Done::Removed(name) => Ok(format!("“{name}” is removed.")),
            Done::Plainly => Ok(String::new()),
        }
    }

    /// The field in which the settings get a name, and what happened last.
    fn show_save(&mut self, ui: &mut egui::Ui, params: &DistillParams) {
        ui.horizontal(|ui| {
            let field = egui::TextEdit::singleline(&mut self.name)
                .hint_text("Name for the settings as they are")
                .char_limit(preset::MAX_NAME)
                .desired_width(FIELD);
            let typed = ui.add(field);
            let entered =
                typed.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let ready = !self.name.trim().is_empty();
            let hint = "Save all controls, but not the bundle, as a file in the library folder";
            let button = egui::Button::new("Save preset");
            let pressed = ui.add_enabled(ready, button).on_hover_text(hint).clicked();
            if ready && (entered || pressed) {
                self.save(params);
            }
        });
        if let Some(folder) = library::folder() {
            ui.weak("Presets in the library folder; share them as files")
                .on_hover_text(folder.display().to_string());
        }
        if !self.message.is_empty() {
            ui.label(&self.message);
        }
    }

    fn save(&mut self, params: &DistillParams) {
        let name = std::mem::take(&mut self.name);
        let preset = preset_of(params, &name);
        self.errands.begin(params, move || {
            let saved = library::folder().ok_or_else(|| HOMELESS.to_owned());
            let saved = saved.and_then(|folder| preset.save(&folder).map_err(sentence));
            Ok(saved.map_or_else(|problem| Done::NotSaved(name, problem), Done::Saved))
        });
    }
}

/// A row: the name, what it was made for, and what can be done with it.
fn show_entry(
    ui: &mut egui::Ui,
    entry: &PresetEntry,
    plays: &str,
    renaming: &mut Renaming,
) -> Option<Deed> {
    let mut deed = None;
    if let Some(done) = renaming.show(ui, &entry.path, FIELD, preset::MAX_NAME) {
        deed = done;
    } else {
        cell(ui, FIELD, entry.name()).on_hover_text(entry.path.display().to_string());
    }
    match &entry.content {
        Ok(Preset { bundle, .. }) => {
            let is_other = is_digest(&bundle.digest) && bundle.digest != plays;
            let other = if is_other { "another bundle, " } else { "" };
            cell(ui, CONTENT, format!("for {other}{}", bundle.name));
        }
        Err(problem) => problem_cell(ui, CONTENT, problem),
    }
    let button = egui::Button::new("Load");
    let hint = "Set every control as it says; the host can undo each";
    if ui.add_enabled(entry.content.is_ok(), button).on_hover_text(hint).clicked() {
        deed = Some(Deed::Load);
    }
    deed.or(renaming.show_menu(ui, &entry.path, &entry.name(), |_| {}))
}
