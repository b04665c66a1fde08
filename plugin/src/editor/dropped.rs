//! Files that are dragged onto the window and dropped there.

use std::path::Path;

use distill_shared::library;
use nice_plug::prelude::ParamSetter;

use super::{Page, Window, bundle_row};
use crate::state::BundleRef;

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bundle,
    Preset,
    Sound,
}

impl Kind {
    fn of(path: &Path) -> Self {
        match library::ending_of(path) {
            Some(library::ENDING) => Self::Bundle,
            Some(_) => Self::Preset,
            None => Self::Sound,
        }
    }
}

impl Window {
    /// Takes what was dropped: a bundle plays, or is added to the library if that is shown; a preset is
    /// added to the library; anything else is read as a sound, onto a pad. While it is held over the window,
    /// says so.
    pub(super) fn take_dropped(&mut self, ui: &egui::Ui, setter: &ParamSetter<'_>) {
        let (hovered, dropped) =
            ui.input(|input| (input.raw.hovered_files.clone(), input.raw.dropped_files.clone()));
        if let Some(path) = hovered.first().and_then(|file| file.path.as_deref()) {
            show_hint(
                ui,
                match (self.page, Kind::of(path)) {
                    (Page::Library, Kind::Bundle) => "Drop to add to the library",
                    (_, Kind::Bundle) => "Drop to play",
                    (_, Kind::Preset) => "Drop to add to the presets",
                    (_, Kind::Sound) => "Drop to put on a pad",
                },
            );
        }
        for file in dropped {
            let path = file.path().to_owned();
            match Kind::of(&path) {
                Kind::Bundle if self.page == Page::Library => self.library.add(&self.params, path),
                Kind::Bundle => {
                    let path = path.to_string_lossy().into_owned();
                    self.params.selection.choose(BundleRef::file(path));
                    bundle_row::note_change(&self.params, setter);
                    self.page = Page::Play;
                }
                Kind::Preset => {
                    self.presets.add(&self.params, path);
                    self.page = Page::Presets;
                }
                Kind::Sound => {
                    self.codes.import_file(path);
                    self.page = Page::Codes;
                }
            }
        }
    }
}

/// Says over everything else what dropping does.
fn show_hint(ui: &egui::Ui, text: &str) {
    let order = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("dropped"));
    let (painter, all) = (ui.ctx().layer_painter(order), ui.ctx().content_rect());
    painter.rect_filled(all, 0.0, egui::Color32::from_black_alpha(160));
    let (font, colour) = (egui::FontId::proportional(28.0), egui::Color32::WHITE);
    painter.text(all.center(), egui::Align2::CENTER_CENTER, text, font, colour);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_names() {
        let kinds = ["a.distill", "A.DISTILL", "a.distill-preset", "a.wav", "a"];
        let kinds = kinds.map(|name| Kind::of(Path::new(name)));
        use Kind::{Bundle, Preset, Sound};
        assert_eq!(kinds, [Bundle, Bundle, Preset, Sound, Sound]);
    }
}
