//! Which bundle plays, and the choice of another.

use std::path::{Path, PathBuf};

use distill_shared::library::{self, bundles_in};
use nice_plug::prelude::*;

use super::card;
use super::listing::Listing;
use super::pasted::pasted_path;
use crate::instance::{Phase, Texts};
use crate::params::DistillParams;
use crate::state::BundleRef;

/// Name of the bundle, and a field and a list to choose another.
#[derive(Debug, Default)]
pub(crate) struct BundleRow {
    /// What is typed into the field.
    path: String,
    /// The path in the field when it was last set from the loaded bundle.
    shown: String,
    /// Bundles beside the present one, then those in the library folder.
    library: Listing<PathBuf>,
}

impl BundleRow {
    pub(crate) fn show(
        &mut self,
        ui: &mut egui::Ui,
        params: &DistillParams,
        setter: &ParamSetter<'_>,
    ) {
        let instance = params.selection.instance();
        let texts = instance.texts();
        let phase = instance.phase();
        ui.label(egui::RichText::new(title(&texts, phase)).strong().size(18.0));
        ui.label(if texts.details.is_empty() { state(phase) } else { &texts.details });
        if !texts.error.is_empty() {
            card(ui, &texts.error);
        }
        if self.shown != texts.reference.path {
            self.shown.clone_from(&texts.reference.path);
            self.path.clone_from(&texts.reference.path);
            self.library.is_old();
        }
        if let Some(reference) = self.choice(ui, params, &texts) {
            params.selection.choose(reference);
            note_change(params, setter);
        }
    }

    /// The field, the list and the buttons; gives what was chosen.
    fn choice(
        &mut self,
        ui: &mut egui::Ui,
        params: &DistillParams,
        texts: &Texts,
    ) -> Option<BundleRef> {
        let mut chosen = None;
        ui.horizontal(|ui| {
            let field = egui::TextEdit::singleline(&mut self.path)
                .hint_text("Path of a .distill file")
                .desired_width(440.0);
            let typed = ui.add(field);
            let entered =
                typed.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let pressed =
                ui.add_enabled(!self.path.is_empty(), egui::Button::new("Load")).clicked();
            if !self.path.is_empty() && (entered || pressed) {
                chosen = Some(BundleRef::file(pasted_path(&self.path)));
            }
            if ui.button("Factory").clicked() {
                chosen = Some(BundleRef::default());
            }
            ui.menu_button("Library", |ui| {
                if self.library.is_due() {
                    // Not here: a drive may not answer.
                    let folders = folders(&texts.reference);
                    self.library.read(params, move || files(&folders));
                }
                self.library.take_in();
                if self.library.is_known() && self.library.entries.is_empty() {
                    ui.weak("No bundles yet");
                }
                for file in &self.library.entries {
                    let name = file.file_stem().unwrap_or_default().to_string_lossy();
                    if ui.button(name).clicked() {
                        chosen = Some(BundleRef::file(file.to_string_lossy().into_owned()));
                        ui.close();
                    }
                }
            });
        });
        chosen
    }
}

/// The bundle's name.
fn title(texts: &Texts, phase: Phase) -> &str {
    match (texts.reference.name.as_str(), phase) {
        ("", Phase::Loading) => "…",
        ("", _) => "No bundle",
        (name, _) => name,
    }
}

/// What the loader does.
fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Empty => "nothing loaded yet",
        Phase::Loading => "loading",
        Phase::Ready => "ready",
        Phase::Failed => "not loaded: drop it on this window, or type where it is and press Load",
    }
}

/// The bundles in `folders`.
fn files(folders: &[PathBuf]) -> Vec<PathBuf> {
    folders.iter().flat_map(|folder| bundles_in(folder)).collect()
}

/// The folders of the library: the one of the present bundle, and the musician's own.
pub(super) fn folders(reference: &BundleRef) -> Vec<PathBuf> {
    let beside = Path::new(&reference.path).parent().map(Path::to_owned);
    let mut folders: Vec<PathBuf> = beside.into_iter().chain(library::folder()).collect();
    folders.retain(|folder| !folder.as_os_str().is_empty());
    folders.dedup();
    folders
}

/// Tells the host that the project has changed.
pub(super) fn note_change(params: &DistillParams, setter: &ParamSetter<'_>) {
    let next = (params.output.choice.value() + 1) % 128;
    setter.begin_set_parameter(&params.output.choice);
    setter.set_parameter(&params.output.choice, next);
    setter.end_set_parameter(&params.output.choice);
}
