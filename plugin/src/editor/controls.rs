//! The parameters as sliders.

use nice_plug::prelude::*;
use nice_plug_egui::widgets::ParamSlider;

use crate::params::DistillParams;

/// Width of a slider.
const SLIDER_WIDTH: f32 = 140.0;
/// Space between the columns.
const COLUMN_GAP: f32 = 24.0;

/// Draws one row for every parameter: what is made, when it is heard, and how.
pub(crate) fn show(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    ui.horizontal_top(|ui| {
        prior(ui, params, setter);
        ui.add_space(COLUMN_GAP);
        notes(ui, params, setter);
        ui.add_space(COLUMN_GAP);
        sound(ui, params, setter);
    });
}

fn prior(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    column(ui, "Prior", |ui| {
        row(ui, &params.prior.seed, setter);
        row(ui, &params.notes.variations, setter);
        row(ui, &params.prior.temperature, setter);
        row(ui, &params.prior.structure, setter);
        row(ui, &params.prior.timbre, setter);
        row(ui, &params.prior.detail, setter);
        row(ui, &params.prior.top_k, setter);
        row(ui, &params.prior.top_p, setter);
        row(ui, &params.prior.novelty, setter);
        row(ui, &params.prior.loudness, setter);
        row(ui, &params.prior.brightness, setter);
        row(ui, &params.prior.density, setter);
    });
}

fn notes(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    column(ui, "Notes", |ui| {
        row(ui, &params.stream.playing, setter);
        row(ui, &params.stream.restart, setter);
        row(ui, &params.stream.hold, setter);
        row(ui, &params.stream.loop_bars, setter);
        row(ui, &params.notes.keys, setter);
        row(ui, &params.notes.velocity, setter);
        row(ui, &params.notes.trigger, setter);
        row(ui, &params.notes.voicing, setter);
        row(ui, &params.notes.voices, setter);
        row(ui, &params.notes.anew, setter);
        row(ui, &params.notes.locked, setter);
    });
}

fn sound(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    column(ui, "Sound", |ui| {
        row(ui, &params.notes.tune, setter);
        row(ui, &params.output.gain, setter);
        row(ui, &params.output.width, setter);
        row(ui, &params.envelope.attack, setter);
        row(ui, &params.envelope.decay, setter);
        row(ui, &params.envelope.sustain, setter);
        row(ui, &params.envelope.release, setter);
        row(ui, &params.prior.levels, setter);
        row(ui, &params.output.always_wait, setter);
    });
}

/// A column of rows, names and sliders, under its title.
fn column(ui: &mut egui::Ui, title: &str, rows: impl FnOnce(&mut egui::Ui)) {
    ui.vertical(|ui| {
        ui.strong(title);
        egui::Grid::new(title).num_columns(2).spacing([12.0, 6.0]).show(ui, rows);
    });
}

fn row<P: Param>(ui: &mut egui::Ui, param: &P, setter: &ParamSetter<'_>) {
    ui.label(param.name());
    ui.add(ParamSlider::for_param(param, setter).with_width(SLIDER_WIDTH));
    ui.end_row();
}
