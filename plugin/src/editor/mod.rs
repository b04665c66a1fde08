//! The window: which sounds are loaded, what is being played, and the controls that matter.
//!
//! It runs on the host's main thread. It reads the atomic numbers of the
//! [`Instance`](crate::instance::Instance) and changes parameters through the host, so that what
//! is done here can be automated and undone.

mod asked;
mod bundle_row;
mod codes;
mod controls;
mod dropped;
mod envelope;
mod keys;
#[cfg(test)]
mod layout_tests;
mod library;
mod listening;
mod listing;
mod meters;
mod pasted;
mod presets;
mod surface;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use nice_plug::context::gui::GuiContext;

use crate::params::DistillParams;
use bundle_row::BundleRow;
use codes::CodesPage;
use library::LibraryPage;
use meters::Meters;
use presets::PresetsPage;
pub use surface::DistillEditor;

/// Pause between two looks at what is being played.
const REFRESH: Duration = Duration::from_millis(33);
/// Space around and between the parts of the window.
const MARGIN: f32 = 12.0;

/// Prepares the editor; the window opens when the host asks.
#[must_use]
pub fn create(params: Arc<DistillParams>) -> DistillEditor {
    DistillEditor::new(Window::new(params))
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Page {
    /// What is made, and how.
    #[default]
    Play,
    /// What was made, code by code.
    Codes,
    /// The bundles there are.
    Library,
    /// Settings that were saved.
    Presets,
}

/// What the window shows.
pub struct Window {
    params: Arc<DistillParams>,
    page: Page,
    /// The page that was shown last.
    shown: Page,
    codes: CodesPage,
    library: LibraryPage,
    presets: PresetsPage,
    /// The way to the host, while the window is open.
    host: Option<GuiContext>,
    bundle: BundleRow,
    meters: Meters,
    /// An internal error in the window: it shows nothing else any more.
    broken: bool,
}

impl Window {
    fn new(params: Arc<DistillParams>) -> Self {
        let (page, shown, codes, library, presets, bundle, meters) = Default::default();
        let (host, broken) = (None, false);
        Self { params, page, shown, codes, library, presets, host, bundle, meters, broken }
    }

    /// Draws everything.
    fn show(&mut self, ui: &mut egui::Ui) {
        let Some(host) = self.host.clone() else { return };
        let setter = host.param_setter();
        let instance = Arc::clone(self.params.selection.instance());
        self.take_dropped(ui, &setter);
        ui.horizontal(|ui| {
            ui.heading("Distill");
            ui.add_space(MARGIN);
            let pages = [
                (Page::Play, "Play"),
                (Page::Codes, "Codes"),
                (Page::Library, "Library"),
                (Page::Presets, "Presets"),
            ];
            for (page, name) in pages {
                ui.selectable_value(&mut self.page, page, name);
            }
        });
        let left = std::mem::replace(&mut self.shown, self.page);
        match left {
            _ if left == self.page => {}
            Page::Codes => CodesPage::leave(&self.params),
            Page::Library => self.library.leave(&self.params),
            Page::Presets => self.presets.leave(),
            Page::Play => {}
        }
        // What was asked for on a page comes also while another one is shown.
        if self.page != Page::Codes {
            self.codes.attend(&self.params, &setter);
        }
        self.library.attend(&self.params);
        self.presets.attend(&self.params, &setter);
        ui.separator();
        let stopped = instance.stopped();
        if let Some(stop) = stopped {
            card(ui, stop.message());
        }
        match self.page {
            // What is wrong may be said at such length that there is more than the window shows.
            Page::Play => {
                egui::ScrollArea::vertical().show(ui, |ui| {
                    self.bundle.show(ui, &self.params, &setter);
                    ui.separator();
                    // What has stopped has no level and sounds no key, and there is more to be read.
                    if stopped.is_none() {
                        self.meters.show(ui, &instance);
                        keys::show(ui, instance.sounding());
                        ui.separator();
                    }
                    controls::show(ui, &self.params, &setter);
                });
            }
            Page::Codes => self.codes.show(ui, &self.params, &setter),
            Page::Library => self.library.show(ui, &self.params, &setter),
            Page::Presets => self.presets.show(ui, &self.params),
        }
    }
}

/// What the native window asks of what it shows.
impl Window {
    /// It opens.
    fn opened(&mut self, context: &egui::Context, host: GuiContext) {
        context.set_theme(egui::Theme::Dark);
        self.host = Some(host);
        self.params.selection.instance().show(true);
    }

    /// It is to be drawn.
    fn draw(&mut self, ui: &mut egui::Ui) {
        ui.ctx().request_repaint_after(REFRESH);
        egui::CentralPanel::default().frame(panel(ui)).show(ui, |ui| {
            if self.broken {
                card(ui, "The window stopped: internal error. The sound goes on.");
                return;
            }
            let shown = catch_unwind(AssertUnwindSafe(|| self.show(ui)));
            self.broken = shown.is_err();
        });
    }

    /// It closes.
    fn closed(&mut self) {
        CodesPage::leave(&self.params);
        self.library.leave(&self.params);
        self.presets.leave();
        self.host = None;
        self.params.selection.instance().show(false);
    }
}

/// The background of the window.
fn panel(ui: &egui::Ui) -> egui::Frame {
    egui::Frame::central_panel(ui.style()).inner_margin(MARGIN)
}

/// A text in a cell of that width: as much of it as there is room for, and all of it where the pointer
/// is.
fn cell(ui: &mut egui::Ui, width: f32, text: impl Into<egui::WidgetText>) -> egui::Response {
    let text = egui::Label::new(text).truncate();
    ui.scope(|ui| {
        ui.set_width(width);
        ui.add(text)
    })
    .inner
}

/// Why the file of a row cannot be used, in a cell of that width: all of it, in as many lines as it takes.
fn problem_cell(ui: &mut egui::Ui, width: f32, problem: impl Into<String>) {
    let text = egui::RichText::new(problem).color(ui.visuals().warn_fg_color);
    ui.scope(|ui| {
        ui.set_width(width);
        ui.add(egui::Label::new(text).wrap());
    });
}

/// Says that something is wrong, where it cannot be overlooked.
fn card(ui: &mut egui::Ui, message: &str) {
    let color = ui.visuals().error_fg_color;
    egui::Frame::group(ui.style()).stroke((1.0, color)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        // The sign says the same as the colour.
        ui.colored_label(color, format!("! {message}"));
    });
}
