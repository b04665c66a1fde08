//! The grid: what a clip is made of, time from left to right and the levels from coarse to fine.

use std::collections::BTreeSet;

use distill_shared::codes::{ABSENT, Codes};
use distill_shared::player::{GROUPS, Group};

use super::draft::{Draft, Region};
use crate::editor::listing;
use crate::level_names::MAX_NAME;

/// Width of the column with the names of the levels.
const NAMES: f32 = 84.0;
/// Height of the row that tells the time.
const TIMES: f32 = 16.0;
/// Width from which cells show their entry as a number.
const NUMBERED: f32 = 26.0;
/// Space between two marks of time, at least.
const MARKS: f32 = 60.0;

/// How the grid is looked at.
#[derive(Debug)]
pub(super) struct Grid {
    /// Width of a frame in points.
    pub(super) zoom: f32,
    /// Where a drag began: frame and level.
    anchor: Option<(usize, usize)>,
    /// The level whose name is being typed, and what was typed so far.
    naming: Option<(usize, String)>,
}

impl Default for Grid {
    fn default() -> Self {
        Self { zoom: 9.0, anchor: None, naming: None }
    }
}

/// What the grid has to know besides the draft.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// Frames of a second.
    pub(super) frame_rate: f64,
    /// The frame that is heard, if any is.
    pub(super) heard: Option<usize>,
    /// Whether to keep the newest frames in sight.
    pub(super) follows: bool,
    pub(super) height: f32,
    /// What the levels are called.
    pub(super) names: &'a [String],
}

/// What was done to the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Touch {
    /// A region was selected.
    Selected,
    /// A cell was clicked twice: frame and level.
    Entry(usize, usize),
    /// A level was given a name: which, and what was typed.
    Name(usize, String),
}

impl Grid {
    /// Draws the grid; selects where it is dragged over.
    pub(super) fn show(
        &mut self,
        ui: &mut egui::Ui,
        draft: &mut Draft,
        view: &View<'_>,
    ) -> Option<Touch> {
        let levels = draft.codes().quantizers().max(1);
        let row = ((view.height - TIMES) / levels as f32).floor().clamp(6.0, 44.0);
        let mut touch = None;
        ui.horizontal_top(|ui| {
            let named = self.names(ui, view.names, levels, row);
            let area = egui::ScrollArea::horizontal().id_salt("grid").stick_to_right(view.follows);
            area.auto_shrink([false, true]).show_viewport(ui, |ui, viewport| {
                let width = draft.codes().frames() as f32 * self.zoom;
                let size = egui::vec2(width.max(ui.available_width()), TIMES + levels as f32 * row);
                let (area, response) = ui.allocate_exact_size(size, egui::Sense::click_and_drag());
                let cells = Cells {
                    origin: area.min + egui::vec2(0.0, TIMES),
                    zoom: self.zoom,
                    row,
                    first: index(viewport.min.x / self.zoom),
                    end: index(viewport.max.x / self.zoom) + 1,
                };
                touch = named.or_else(|| self.touch(&response, draft, &cells));
                cells.draw(ui, draft, view);
                hint(response, draft, &cells, view);
            });
        });
        touch
    }

    /// As if `text` were being typed as the name of a level.
    #[cfg(test)]
    pub(super) fn begin_naming_for_test(&mut self, level: usize, text: &str) {
        self.naming = Some((level, text.to_owned()));
    }

    /// Whether a name is being typed.
    pub(super) const fn is_naming(&self) -> bool {
        self.naming.is_some()
    }

    /// Ends the typing of a name; gives the level and what was typed.
    pub(super) fn take_naming(&mut self) -> Option<(usize, String)> {
        self.naming.take()
    }

    /// The names of the levels, each beside its row; gives one that was changed.
    fn names(
        &mut self,
        ui: &mut egui::Ui,
        names: &[String],
        levels: usize,
        row: f32,
    ) -> Option<Touch> {
        let size = egui::vec2(NAMES, TIMES + levels as f32 * row);
        let (area, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        let mut touch = None;
        for (level, name) in names.iter().enumerate() {
            let top = area.top() + TIMES + level as f32 * row;
            let place = egui::pos2(area.left(), top);
            let place = egui::Rect::from_min_size(place, egui::vec2(NAMES - 4.0, row));
            if let Some((_, typed)) = self.naming.as_mut().filter(|(of, _)| *of == level) {
                if let Some(done) = type_name(ui, place, typed) {
                    touch = done.map(|typed| Touch::Name(level, typed));
                    self.naming = None;
                }
                continue;
            }
            let response =
                ui.interact(place, ui.scope_id().with(("level", level)), egui::Sense::click());
            paint_name(ui, place, name);
            let hint = format!("{name}: click twice to call it something else");
            if response.on_hover_text(hint).double_clicked() {
                self.naming = Some((level, name.clone()));
            }
        }
        touch
    }

    /// What the pointer does.
    fn touch(
        &mut self,
        response: &egui::Response,
        draft: &mut Draft,
        cells: &Cells,
    ) -> Option<Touch> {
        let at = response.interact_pointer_pos().map(|at| cells.at(at, draft.codes()));
        if response.double_clicked() {
            let (t, level) = at?;
            return Some(Touch::Entry(t, level));
        }
        if response.drag_started() || response.clicked() {
            // Where the button went down: a drag is known for one only some way on.
            let origin = response.ctx.input(|input| input.pointer.press_origin());
            self.anchor = origin.map(|from| cells.at(from, draft.codes())).or(at);
        }
        if response.dragged() || response.clicked() {
            let region = self.anchor.zip(at).map(|(a, b)| Region::between(a, b));
            draft.select(region);
            return response.clicked().then_some(Touch::Selected);
        }
        response.drag_stopped().then_some(Touch::Selected)
    }
}

/// Where cells are on the screen.
struct Cells {
    origin: egui::Pos2,
    zoom: f32,
    row: f32,
    /// The frames that can be seen.
    first: usize,
    end: usize,
}

impl Cells {
    /// The cell at a place: frame and level, the nearest one if it is outside.
    fn at(&self, place: egui::Pos2, codes: &Codes) -> (usize, usize) {
        let from = place - self.origin;
        let t = index(from.x / self.zoom).min(codes.frames().saturating_sub(1));
        let level = index(from.y / self.row).min(codes.quantizers().saturating_sub(1));
        (t, level)
    }

    /// The place of a region.
    fn rect(&self, region: &Region) -> egui::Rect {
        let corner = |t: usize, level: usize| {
            self.origin + egui::vec2(t as f32 * self.zoom, level as f32 * self.row)
        };
        egui::Rect::from_min_max(
            corner(region.frames.start, region.levels.start),
            corner(region.frames.end, region.levels.end),
        )
    }

    fn draw(&self, ui: &egui::Ui, draft: &Draft, view: &View<'_>) {
        let painter = ui.painter();
        let codes = draft.codes();
        // One shape for all: shapes of their own would cost most of the drawing.
        let mut cells = egui::Mesh::default();
        for t in self.first..self.end.min(codes.frames()) {
            for (level, &code) in codes.frame(t).iter().enumerate() {
                let cell = Region { frames: t..t + 1, levels: level..level + 1 };
                let colour = colour(code, level, codes.quantizers());
                cells.add_colored_rect(self.rect(&cell).shrink(0.5), colour);
            }
        }
        painter.add(cells);
        for t in self.first..self.end.min(codes.frames()) {
            for (level, &code) in codes.frame(t).iter().enumerate() {
                let cell = Region { frames: t..t + 1, levels: level..level + 1 };
                let rect = self.rect(&cell).shrink(0.5);
                // A number that is cut off is another number.
                let has_room = ui.clip_rect().x_range().contains(rect.left())
                    && ui.clip_rect().x_range().contains(rect.right());
                if self.zoom >= NUMBERED && code != ABSENT && has_room {
                    let font = egui::FontId::monospace((self.row - 4.0).min(11.0));
                    let ink = ink(colour(code, level, codes.quantizers()));
                    painter.text(rect.center(), egui::Align2::CENTER_CENTER, code, font, ink);
                }
                if draft.is_locked(t, level) {
                    let line = [rect.left_bottom(), rect.right_top()];
                    painter.line_segment(line, (1.5, egui::Color32::WHITE));
                }
            }
        }
        self.draw_times(ui, codes, view.frame_rate);
        if let Some(selection) = draft.selection() {
            let stroke = egui::Stroke::new(2.0, egui::Color32::WHITE);
            painter.rect_stroke(self.rect(selection), 0.0, stroke, egui::StrokeKind::Outside);
        }
        if let Some(heard) = view.heard {
            let x = self.origin.x + (heard as f32 + 0.5) * self.zoom;
            let bottom = self.origin.y + codes.quantizers() as f32 * self.row;
            painter.vline(x, self.origin.y - TIMES..=bottom, (2.0, egui::Color32::YELLOW));
        }
    }

    /// Marks of time above the grid.
    fn draw_times(&self, ui: &egui::Ui, codes: &Codes, frame_rate: f64) {
        let second = frame_rate * f64::from(self.zoom);
        let steps = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
        let step = steps.into_iter().find(|step| step * second >= f64::from(MARKS)).unwrap_or(60.0);
        let colour = ui.visuals().weak_text_color();
        let marks: BTreeSet<usize> =
            (self.first..self.end.min(codes.frames())).map(|t| mark(t, step, frame_rate)).collect();
        for n in marks {
            #[expect(clippy::cast_possible_truncation, reason = "a place on the screen")]
            let x = self.origin.x + (n as f64 * step * second) as f32;
            let font = egui::FontId::monospace(10.0);
            let text =
                ui.painter().layout_no_wrap(format!("{:.1} s", n as f64 * step), font, colour);
            let place = egui::pos2(x + 2.0, self.origin.y - TIMES);
            let room = ui.clip_rect().x_range();
            if room.contains(place.x) && room.contains(place.x + text.size().x) {
                ui.painter().galley(place, text, colour);
            }
            ui.painter().vline(x, self.origin.y - TIMES..=self.origin.y, (1.0, colour));
        }
    }
}

/// Number of the mark of time before frame `t`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn mark(t: usize, step: f64, frame_rate: f64) -> usize {
    (t as f64 / frame_rate / step) as usize
}

/// Shows a name at the right of its place, as much of it as there is room for.
fn paint_name(ui: &egui::Ui, place: egui::Rect, name: &str) {
    let font = egui::FontId::proportional((place.height() - 3.0).clamp(6.0, 13.0));
    let colour = ui.visuals().text_color();
    let mut job = egui::text::LayoutJob::simple_singleline(name.to_owned(), font, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(place.width());
    let galley = ui.painter().layout_job(job);
    let size = galley.size();
    let at = egui::pos2(place.right() - size.x, place.center().y - 0.5 * size.y);
    ui.painter().galley(at, galley, colour);
}

/// A field for the name of a level in its place. Once it is left it gives what was typed, or nothing if
/// that was given up.
fn type_name(ui: &mut egui::Ui, place: egui::Rect, typed: &mut String) -> Option<Option<String>> {
    let height = ui.spacing().interact_size.y;
    let place = egui::Rect::from_center_size(place.center(), egui::vec2(place.width(), height));
    let field = egui::TextEdit::singleline(typed).char_limit(MAX_NAME);
    let response = ui.put(place, field);
    listing::typed(ui, &response, typed)
}

/// What a level is called by itself: by what it decides, and its number in that group.
pub(super) fn name(level: usize, levels: usize) -> String {
    let group = Group::of(level, levels);
    let first = (0..level).find(|other| Group::of(*other, levels) == group).unwrap_or(level);
    let word = match group {
        Group::Structure => "Structure",
        Group::Timbre => "Timbre",
        Group::Detail => "Detail",
    };
    format!("{word} {}", level - first + 1)
}

/// What is under the pointer, in words.
fn hint(response: egui::Response, draft: &Draft, cells: &Cells, view: &View<'_>) {
    let Some(place) = response.hover_pos().filter(|_| draft.codes().frames() > 0) else { return };
    let (t, level) = cells.at(place, draft.codes());
    let entry = match draft.codes().get(t, level) {
        Some(ABSENT) | None => "tells nothing".to_owned(),
        Some(entry) => format!("entry {entry}"),
    };
    let seconds = t as f64 / view.frame_rate;
    let locked = if draft.is_locked(t, level) { ", locked" } else { "" };
    let name = view.names.get(level).map_or("", String::as_str);
    response.on_hover_text_at_pointer(format!("{name}, {seconds:.2} s: {entry}{locked}"));
}

/// The colour of an entry: its hue tells which one it is, its brightness the group of its level.
fn colour(code: u32, level: usize, levels: usize) -> egui::Color32 {
    if code == ABSENT {
        return egui::Color32::from_gray(24);
    }
    // Hues of neighbours are far apart: multiples of the golden ratio.
    let hue = (code as f32 * 0.618_034).fract();
    let group = Group::of(level, levels) as usize;
    let value = 0.85 - 0.45 * group as f32 / GROUPS as f32;
    egui::ecolor::Hsva::new(hue, 0.55, value, 1.0).into()
}

/// Black or white, whichever can be read on `colour` (luma of ITU-R BT.709).
fn ink(colour: egui::Color32) -> egui::Color32 {
    let [r, g, b] = [colour.r(), colour.g(), colour.b()].map(f32::from);
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    if luma > 110.0 { egui::Color32::BLACK } else { egui::Color32::WHITE }
}

/// A length in cells as a number of them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at 0")]
fn index(cells: f32) -> usize {
    cells as usize
}

#[cfg(test)]
mod tests;
