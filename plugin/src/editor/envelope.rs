//! The envelope as a picture whose corners can be dragged.

use nice_plug::prelude::*;

use crate::params::EnvelopeParams;

/// Size of the picture in points.
const SIZE: egui::Vec2 = egui::vec2(240.0, 74.0);
/// Radius of a corner that can be dragged.
const CORNER: f32 = 5.0;

/// Draws attack, decay, sustain and release, each time on a quarter of the width.
pub(crate) fn show(ui: &mut egui::Ui, envelope: &EnvelopeParams, setter: &ParamSetter<'_>) {
    let EnvelopeParams { attack, decay, sustain, release } = envelope;
    let (response, painter) = ui.allocate_painter(SIZE, egui::Sense::hover());
    let area = response.rect.shrink(CORNER + 1.0);
    let quarter = area.width() / 4.0;
    let level = area.bottom() - sustain.modulated_normalized_value() * area.height();
    let begin = area.left_bottom();
    let top = egui::pos2(area.left() + attack.modulated_normalized_value() * quarter, area.top());
    let held = egui::pos2(top.x + decay.modulated_normalized_value() * quarter, level);
    let up = egui::pos2(held.x + quarter, level);
    let end = egui::pos2(up.x + release.modulated_normalized_value() * quarter, area.bottom());
    let stroke = egui::Stroke::new(1.5, ui.visuals().selection.bg_fill);
    painter.rect_filled(response.rect, 3.0, ui.visuals().extreme_bg_color);
    painter.line(vec![begin, top, held, up, end], stroke);
    let along = |from: f32| move |to: egui::Pos2| (to.x - from) / quarter;
    let rising = move |to: egui::Pos2| (area.bottom() - to.y) / area.height();
    let corner = Corner { ui, painter: &painter, setter };
    corner.show(top, "Attack", &[(attack, &along(area.left()))]);
    corner.show(held, "Decay and sustain", &[(decay, &along(top.x)), (sustain, &rising)]);
    corner.show(end, "Release", &[(release, &along(up.x))]);
}

/// What a corner needs to be drawn and dragged.
struct Corner<'a> {
    ui: &'a egui::Ui,
    painter: &'a egui::Painter,
    setter: &'a ParamSetter<'a>,
}

/// A parameter, and its share of its range where a corner is.
type Dragged<'a> = (&'a FloatParam, &'a dyn Fn(egui::Pos2) -> f32);

impl Corner<'_> {
    /// Draws a corner, which changes `params` when it is dragged.
    fn show(&self, at: egui::Pos2, name: &str, params: &[Dragged<'_>]) {
        let Self { ui, painter, setter } = self;
        let reach = egui::Rect::from_center_size(at, egui::Vec2::splat(3.0 * CORNER));
        let response = ui.interact(reach, ui.scope_id().with(name), egui::Sense::drag());
        let lit = response.hovered() || response.dragged();
        let colour = if lit { egui::Color32::WHITE } else { ui.visuals().text_color() };
        painter.circle_filled(at, CORNER, colour);
        for (param, share) in params {
            if response.drag_started() {
                setter.begin_set_parameter(*param);
            }
            if let Some(to) = response.interact_pointer_pos().filter(|_| response.dragged()) {
                setter.set_parameter_normalized(*param, share(to).clamp(0.0, 1.0));
            }
            if response.drag_stopped() {
                setter.end_set_parameter(*param);
            }
        }
        response.on_hover_text(name);
    }
}
