//! The parameters: numbers as sliders, choices as menus, and switches.

use std::time::{SystemTime, UNIX_EPOCH};

use nice_plug::prelude::*;
use nice_plug_egui::widgets::ParamSlider;

use super::asked::{self, Unit};
use super::envelope;
use crate::params::{DistillParams, help};

/// Width of a slider.
pub(super) const SLIDER_WIDTH: f32 = 140.0;
/// Space between the columns.
const COLUMN_GAP: f32 = 24.0;
/// Seeds that are remembered while the window is open.
const MOST_SEEDS: usize = 16;

/// Draws one row for every parameter: what is made, when it is heard, and how.
pub(crate) fn show(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    ui.horizontal_top(|ui| {
        prior(ui, params, setter);
        ui.add_space(COLUMN_GAP);
        notes(ui, params, setter);
        ui.add_space(COLUMN_GAP);
        ui.vertical(|ui| {
            sound(ui, params, setter);
            ui.add_space(6.0);
            envelope::show(ui, &params.envelope, setter);
        });
    });
}

fn prior(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    column(ui, "Prior", |ui| {
        seed(ui, &params.prior.seed, setter);
        choice(ui, &params.notes.variations, setter);
        row(ui, &params.prior.temperature, setter);
        row(ui, &params.prior.structure, setter);
        row(ui, &params.prior.timbre, setter);
        row(ui, &params.prior.detail, setter);
        row(ui, &params.prior.top_k, setter);
        row(ui, &params.prior.top_p, setter);
        row(ui, &params.prior.novelty, setter);
        let model = params.selection.instance().texts().playing.model.upgrade();
        let recalls = model.as_ref().is_some_and(|model| model.has_recordings());
        if recalls {
            row(ui, &params.prior.recall, setter);
        } else {
            let why = "The bundle that plays keeps no recordings to recall";
            grey_row(ui, &params.prior.recall, setter, why);
        }
        let config = model.as_ref().map(|model| model.config());
        let offered = config.and_then(|config| Some(&config.prior.as_ref()?.conditioning));
        let frame_rate = config.map_or(1.0, |config| config.codec.frame_rate());
        let loudness = offered.and_then(|offered| offered.loudness.as_ref());
        let brightness = offered.and_then(|offered| offered.brightness.as_ref());
        let density = offered.and_then(|offered| offered.density.as_ref());
        let unit = Unit::PerFrame(frame_rate);
        asked::row(ui, &params.prior.loudness, setter, loudness, Unit::Decibels);
        asked::row(ui, &params.prior.brightness, setter, brightness, Unit::Octaves);
        asked::row(ui, &params.prior.density, setter, density, unit);
    });
}

fn notes(ui: &mut egui::Ui, params: &DistillParams, setter: &ParamSetter<'_>) {
    column(ui, "Notes", |ui| {
        choice(ui, &params.stream.playing, setter);
        choice(ui, &params.stream.restart, setter);
        choice(ui, &params.stream.hold, setter);
        choice(ui, &params.stream.loop_bars, setter);
        choice(ui, &params.notes.keys, setter);
        switch(ui, &params.notes.velocity, setter);
        choice(ui, &params.notes.trigger, setter);
        choice(ui, &params.notes.voicing, setter);
        row(ui, &params.notes.voices, setter);
        switch(ui, &params.notes.anew, setter);
        switch(ui, &params.notes.locked, setter);
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
        switch(ui, &params.output.always_wait, setter);
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
    label(ui, param);
    ui.add(ParamSlider::for_param(param, setter).with_width(SLIDER_WIDTH));
    ui.end_row();
}

/// A row of a parameter that changes nothing, and why.
pub(super) fn grey_row(ui: &mut egui::Ui, param: &impl Param, setter: &ParamSetter<'_>, why: &str) {
    label(ui, param);
    ui.horizontal(|ui| {
        ui.disable();
        let slider = ParamSlider::for_param(param, setter).with_width(SLIDER_WIDTH);
        ui.add(slider).on_disabled_hover_text(why);
    });
    ui.end_row();
}

/// The name of a parameter, which tells what it does.
pub(super) fn label(ui: &mut egui::Ui, param: &impl Param) {
    ui.label(param.name()).on_hover_text(help(param.name()));
}

/// A parameter whose few values have names, as a menu.
fn choice(ui: &mut egui::Ui, param: &IntParam, setter: &ParamSetter<'_>) {
    label(ui, param);
    let text = |value: i32| param.normalized_value_to_string(param.preview_normalized(value), true);
    let now = param.value();
    egui::ComboBox::from_id_salt(param.name())
        .width(SLIDER_WIDTH)
        .selected_text(text(now))
        .show_ui(ui, |ui| {
            let last = param.preview_plain(1.0);
            for value in param.preview_plain(0.0)..=last {
                if ui.selectable_label(value == now, text(value)).clicked() {
                    set(param, value, setter);
                }
            }
        });
    ui.end_row();
}

/// A parameter that is on or off.
fn switch(ui: &mut egui::Ui, param: &BoolParam, setter: &ParamSetter<'_>) {
    label(ui, param);
    let mut on = param.value();
    if ui.checkbox(&mut on, "").changed() {
        set(param, on, setter);
    }
    ui.end_row();
}

/// The seed, and a die for another.
fn seed(ui: &mut egui::Ui, param: &IntParam, setter: &ParamSetter<'_>) {
    label(ui, param);
    ui.horizontal(|ui| {
        let last = param.preview_plain(1.0);
        let mut value = param.value();
        let field = egui::DragValue::new(&mut value).range(0..=last).speed(0.2);
        // Half a number is no seed.
        let field = ui.add(field.update_while_editing(false));
        if field.changed() {
            set(param, value, setter);
        }
        let hint = "Another performance; the number brings this one back";
        if ui.button("Roll").on_hover_text(hint).clicked() {
            #[expect(clippy::disallowed_methods, reason = "a number that nobody expects")]
            let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let drawn = i64::from(clock.subsec_micros()) % (i64::from(last) + 1);
            set(param, i32::try_from(drawn).unwrap_or(0), setter);
        }
        if let Some(earlier) = earlier_seeds(ui, param.value()) {
            set(param, earlier, setter);
        }
    });
    ui.end_row();
}

/// A menu of the seeds that were there before `now`, the newest first, since the window has been open;
/// what is chosen of them.
fn earlier_seeds(ui: &mut egui::Ui, now: i32) -> Option<i32> {
    // What is dragged through is none of them.
    let settled = !ui.input(|input| input.pointer.any_down());
    let seeds = ui.data_mut(|data| {
        let seeds = data.get_temp_mut_or_default::<Vec<i32>>(egui::Id::unique("seeds"));
        if settled {
            remember(seeds, now);
        }
        seeds.clone()
    });
    let mut chosen = None;
    let earlier: Vec<i32> = seeds.into_iter().filter(|seed| *seed != now).collect();
    ui.add_enabled_ui(!earlier.is_empty(), |ui| {
        ui.menu_button("Earlier", |ui| {
            for seed in earlier {
                if ui.button(seed.to_string()).clicked() {
                    chosen = Some(seed);
                    ui.close();
                }
            }
        })
        .response
        .on_hover_text("Seeds that were there before");
    });
    chosen
}

/// Puts `now` in front of the seeds, each of which is there once.
fn remember(seeds: &mut Vec<i32>, now: i32) {
    if seeds.first() != Some(&now) {
        seeds.retain(|seed| *seed != now);
        seeds.insert(0, now);
        seeds.truncate(MOST_SEEDS);
    }
}

/// Changes a parameter through the host, at once.
fn set<P: Param>(param: &P, value: P::Plain, setter: &ParamSetter<'_>) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, value);
    setter.end_set_parameter(param);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_seeds_are_remembered_once_each() {
        let mut seeds = Vec::new();
        for now in [7, 7, 3, 7, 9] {
            remember(&mut seeds, now);
        }
        assert_eq!(seeds, [9, 7, 3]);
        (0..100).for_each(|now| remember(&mut seeds, now));
        assert_eq!((seeds.len(), seeds[0], seeds[15]), (MOST_SEEDS, 99, 84));
    }
}
