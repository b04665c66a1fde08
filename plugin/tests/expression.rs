//! What a host changes of one note while it sounds: tuning, volume and pan.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use distill_plugin::engine::Voicing;
use distill_plugin::expression::Expression;
use distill_plugin::zones::Keys;
use toy::{HOP, Stage, key, note};

/// Both sides of a note, expressed from its first sample on.
fn expressed(expressions: &[Expression]) -> [Vec<f32>; 2] {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    expressions.iter().for_each(|one| stage.engine.express(&key(60), *one));
    stage.listen(6 * HOP)
}

fn times(sound: &[f32], gain: f32) -> Vec<f32> {
    sound.iter().map(|sample| sample * gain).collect()
}

#[test]
fn a_note_that_is_tuned_plays_as_one_of_another_key() {
    let mut stage = Stage::new(7);
    stage.settings.keys = Keys::Pitches;
    stage.begin(0);
    stage.engine.note_on(note(67));
    assert_eq!(expressed(&[Expression::Tuning(7.0)]), stage.listen(6 * HOP));
}

#[test]
fn volume_and_pan_are_gains_of_the_sides() {
    let plain = expressed(&[]);
    assert!(plain.iter().flatten().any(|sample| sample.abs() > 1e-3));
    let [left, right] = expressed(&[Expression::Volume(0.5), Expression::Pan(-0.5)]);
    assert_eq!((left, right), (times(&plain[0], 0.5), times(&plain[1], 0.25)));
}

#[test]
fn a_volume_that_changes_while_a_note_sounds_makes_no_step() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    stage.listen(HOP);
    stage.engine.express(&key(60), Expression::Volume(0.0));
    let [left, _] = stage.listen(5 * HOP);
    let whole = &expressed(&[])[0][HOP..];
    let gains: Vec<f32> = left.iter().zip(whole).map(|(a, b)| a / b).collect();
    let falls = gains
        .windows(2)
        .all(|pair| pair[0].is_nan() || pair[1].is_nan() || pair[0] - pair[1] <= 0.01);
    assert!(falls && gains[10] > 0.9, "5 ms from all to nothing");
    assert!(left[300..].iter().all(|sample| *sample == 0.0));
}

#[test]
fn only_the_notes_that_are_meant_change_and_nonsense_changes_nothing() {
    let plain = expressed(&[]);
    let nonsense = [f32::NAN; 3];
    let [tuning, volume, pan] = nonsense;
    let wrong = [Expression::Tuning(tuning), Expression::Volume(volume), Expression::Pan(pan)];
    assert_eq!(expressed(&wrong), plain);
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    stage.engine.express(&key(61), Expression::Volume(0.0));
    assert_eq!(stage.listen(6 * HOP), plain);
    let wild = [Expression::Tuning(1e9), Expression::Volume(1e9), Expression::Pan(-1e9)];
    let heard = expressed(&wild);
    assert!(heard.iter().flatten().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
    assert!(heard[1].iter().all(|sample| *sample == 0.0));
}

#[test]
fn a_wheel_bends_the_notes_of_its_channel_those_to_come_too() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    stage.engine.bend(0, 2.0);
    let bent = stage.listen(6 * HOP);
    assert_eq!(bent, expressed(&[Expression::Tuning(2.0)]));

    let mut stage = Stage::new(7);
    stage.engine.bend(0, f32::NAN);
    stage.engine.bend(1, -2.0);
    stage.engine.bend(200, 2.0);
    stage.engine.note_on(note(60));
    assert_eq!(stage.listen(6 * HOP), expressed(&[]), "nothing of it means this channel");

    let mut stage = Stage::new(7);
    stage.engine.bend(0, 2.0);
    stage.engine.note_on(note(60));
    assert_eq!(stage.listen(6 * HOP), bent);
}

/// Whether a note still sounds 20 ms after its key came up, with the pedal of a channel down, and
/// 20 ms after that came up.
fn held_by(channel: u8) -> [bool; 2] {
    let mut stage = Stage::new(7);
    stage.settings.shape.release = 0.001;
    stage.begin(0);
    stage.engine.note_on(note(60));
    stage.engine.pedal(channel, true);
    stage.engine.note_off(&key(60));
    let _ = stage.listen(960);
    let held = stage.engine.is_sounding();
    stage.engine.pedal(channel, false);
    let _ = stage.listen(960);
    [held, stage.engine.is_sounding()]
}

#[test]
fn a_pedal_holds_the_notes_of_its_channel_until_it_comes_up() {
    assert_eq!(held_by(0), [true, false]);
    assert_eq!(held_by(1), [false, false]);
}

#[test]
fn a_pedal_that_comes_up_lets_no_key_go_that_is_down() {
    let mut stage = Stage::new(7);
    stage.engine.pedal(0, true);
    stage.engine.note_on(note(60));
    let _ = stage.listen(HOP);
    stage.engine.pedal(0, false);
    let _ = stage.listen(2 * HOP);
    assert!(stage.engine.is_sounding());
    let reset = stage.settings;
    stage.engine.pedal(0, true);
    stage.engine.bend(0, 2.0);
    stage.engine.reset(&reset);
    stage.begin(0);
    stage.engine.note_on(note(60));
    assert_eq!(stage.listen(6 * HOP), expressed(&[]), "a reset puts wheels and pedals to rest");
}

#[test]
fn what_was_said_of_a_key_holds_for_all_that_begins_or_goes_on_at_it() {
    // The key before is heard again as it was.
    let heard = |voicing: Voicing, first: &[Expression], second: &[Expression]| {
        let mut stage = Stage::new(7);
        stage.settings.voicing = voicing;
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage.engine.note_on(note(60));
        first.iter().for_each(|one| stage.engine.express(&key(60), *one));
        stage.listen(HOP);
        stage.engine.note_on(note(64));
        second.iter().for_each(|one| stage.engine.express(&key(64), *one));
        let between = stage.listen(4 * HOP);
        stage.engine.note_off(&key(64));
        [between, stage.listen(4 * HOP)]
    };
    let (left, right) = ([Expression::Pan(-1.0)], [Expression::Pan(1.0)]);
    let is_silent = |side: &[f32]| side[2 * HOP..].iter().all(|sample| *sample == 0.0);
    for voicing in [Voicing::Mono, Voicing::Legato] {
        let [between, after] = heard(voicing, &left, &right);
        assert_eq!(between.map(|side| is_silent(&side)), [true, false], "{voicing:?}");
        assert_eq!(after.map(|side| is_silent(&side)), [false, true], "{voicing:?}");
        let [between, _] = heard(voicing, &left, &[]);
        assert_eq!(between.map(|side| is_silent(&side)), [false; 2], "nothing was said of it");
    }
}
