//! What the prior can be asked for, as a slider over what the recordings have.

use distill_shared::model::conditioning::{Distribution, KNOTS};
use nice_plug::prelude::*;
use nice_plug_egui::widgets::ParamSlider;

use super::controls::{SLIDER_WIDTH, grey_row, label};

/// A descriptor in words.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// dB re full scale.
    Decibels,
    /// Octaves above 1 Hz.
    Octaves,
    /// Per frame, of so many frames in a second.
    PerFrame(f64),
}

/// Draws a row: grey if the bundle cannot be asked for it.
pub(crate) fn row(
    ui: &mut egui::Ui,
    param: &FloatParam,
    setter: &ParamSetter<'_>,
    offered: Option<&Distribution>,
    unit: Unit,
) {
    let Some(distribution) = offered else {
        let why = "The bundle that plays does not follow it: its card says why";
        return grey_row(ui, param, setter, why);
    };
    label(ui, param);
    ui.horizontal(|ui| {
        // The slider first, its number behind it.
        let slider = ParamSlider::for_param(param, setter).with_width(SLIDER_WIDTH);
        let response = ui.add(slider);
        let area = egui::Rect::from_min_size(
            response.rect.min,
            egui::vec2(SLIDER_WIDTH, response.rect.height()),
        );
        curve(ui, area.shrink2(egui::vec2(1.0, 4.0)), distribution);
        let value = distribution.value(param.modulated_plain_value());
        let asked = param.modulated_plain_value() > 0.0;
        let text = if asked { text(value, unit) } else { String::new() };
        response.on_hover_text(format!(
            "The line is what your recordings have, from {} to {}. {text}",
            self::text(distribution.0[0], unit),
            self::text(distribution.0[KNOTS - 1], unit)
        ));
    });
    ui.end_row();
}

/// The values of the corpus from the least to the most, as a line.
fn curve(ui: &egui::Ui, area: egui::Rect, Distribution(knots): &Distribution) {
    let (low, high) = (knots[0], knots[KNOTS - 1]);
    let point = |(n, value): (usize, &f32)| {
        let x = area.left() + area.width() * n as f32 / (KNOTS - 1) as f32;
        let share = (value - low) / (high - low).max(f32::MIN_POSITIVE);
        egui::pos2(x, area.bottom() - area.height() * share)
    };
    let points = knots.iter().enumerate().map(point).collect();
    ui.painter().line(points, (1.0, ui.visuals().weak_text_color()));
}

/// A value with its unit.
fn text(value: f32, unit: Unit) -> String {
    match unit {
        Unit::Decibels => format!("{value:.0} dB"),
        Unit::Octaves if value.exp2() >= 1000.0 => format!("{:.1} kHz", value.exp2() / 1000.0),
        Unit::Octaves => format!("{:.0} Hz", value.exp2()),
        Unit::PerFrame(rate) => format!("{:.1} a second", f64::from(value) * rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_units() {
        assert_eq!(text(-28.4, Unit::Decibels), "-28 dB");
        assert_eq!(text(8.0, Unit::Octaves), "256 Hz");
        assert_eq!(text(11.0, Unit::Octaves), "2.0 kHz");
        assert_eq!(text(0.1, Unit::PerFrame(46.875)), "4.7 a second");
    }
}
