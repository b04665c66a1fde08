//! Files that are dragged onto the window and dropped there.

use std::path::Path;

use nice_plug::prelude::ParamSetter;

use super::{Page, Window, bundle_row};
use crate::state::BundleRef;

impl Window {
    /// Takes what was dropped: a bundle plays, or is added to the library if that is shown; anything else
    /// is read as a sound, onto a pad. While it is held over the window, says so.
    pub(super) fn take_dropped(&mut self, ui: &egui::Ui, setter: &ParamSetter<'_>) {
        let (hovered, dropped) =
            ui.input(|input| (input.raw.hovered_files.clone(), input.raw.dropped_files.clone()));
        if let Some(path) = hovered.first().and_then(|file| file.path.as_deref()) {
            show_hint(
                ui,
                match (self.page, is_bundle(path)) {
                    (Page::Library, true) => "Drop to add to the library",
                    (_, true) => "Drop to play",
                    (_, false) => "Drop to put on a pad",
                },
            );
        }
        for file in dropped {
            let path = file.path();
            if is_bundle(path) && self.page == Page::Library {
                self.library.add(&self.params, path.to_owned());
            } else if is_bundle(path) {
                let path = path.to_string_lossy().into_owned();
                self.params.selection.choose(BundleRef::file(path));
                bundle_row::note_change(&self.params, setter);
                self.page = Page::Play;
            } else {
                self.codes.import_file(path.to_owned());
                self.page = Page::Codes;
            }
        }
    }
}

fn is_bundle(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("distill"))
}

/// Says over everything else what dropping does.
fn show_hint(ui: &egui::Ui, text: &str) {
    let order = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("dropped"));
    let (painter, all) = (ui.ctx().layer_painter(order), ui.ctx().content_rect());
    painter.rect_filled(all, 0.0, egui::Color32::from_black_alpha(160));
    let (font, colour) = (egui::FontId::proportional(28.0), egui::Color32::WHITE);
    painter.text(all.center(), egui::Align2::CENTER_CENTER, text, font, colour);
}
