//! Keys as pads, takes that come again, and the width of it all.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use distill_plugin::expression::Expression;
use distill_plugin::zones::{Keys, PADS};
use distill_shared::player::Sampling;
use toy::{HOP, Stage, key, note};

/// A stage with these settings, ready to play.
fn stage(keys: Keys, variations: u32) -> Stage {
    let mut stage = Stage::new(7);
    (stage.settings.keys, stage.settings.variations) = (keys, variations);
    stage.begin(0);
    stage
}

/// What a note by itself sounds like, and all that is left of it.
fn strike(stage: &mut Stage, pressed: u8) -> Vec<f32> {
    stage.engine.note_on(note(pressed));
    let heard = stage.listen(4 * HOP)[0].clone();
    stage.engine.note_off(&key(pressed));
    stage.listen(2 * HOP);
    heard
}

/// The left side of a take.
fn take(number: u64) -> Vec<f32> {
    let take = toy::take(&toy::model(7), number, 8, |_| Sampling::default());
    take.iter().take(4 * HOP).map(|[left, _]| *left).collect()
}

#[test]
fn every_pad_has_takes_of_its_own_at_their_own_pitch() {
    let mut stage = stage(Keys::Pads, 0);
    for (pressed, number) in [(36, 0), (37, 0), (60, 1), (84, 2), (61, 1), (127, 0)] {
        let pad = 129 + u64::from(pressed) % PADS as u64;
        assert_eq!(strike(&mut stage, pressed), take(pad << 32 | number), "key {pressed}");
    }
}

#[test]
fn a_pad_sounds_the_same_whichever_are_struck_before_it() {
    let mut first = stage(Keys::Pads, 0);
    let alone = strike(&mut first, 40);
    let mut second = stage(Keys::Pads, 0);
    (41..50).for_each(|other| drop(strike(&mut second, other)));
    assert_eq!(strike(&mut second, 40), alone);
}

#[test]
fn takes_come_again_after_as_many_as_there_are_variations() {
    let heard = |variations| {
        let mut stage = stage(Keys::Ignored, variations);
        (0..5).map(|_| strike(&mut stage, 60)).collect::<Vec<_>>()
    };
    let takes: Vec<_> = (0..5).map(take).collect();
    assert_eq!(heard(0), takes);
    assert_eq!(heard(1), [0; 5].map(|n: usize| takes[n].clone()));
    assert_eq!(heard(2), [0, 1, 0, 1, 0].map(|n: usize| takes[n].clone()));
    assert_ne!(takes[0], takes[1]);
}

#[test]
fn notes_that_are_down_together_may_be_the_same_take() {
    let mut stage = stage(Keys::Ignored, 1);
    // Far from where peaks are bent.
    stage.settings.gain = 0.01;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage.engine.note_on(note(60));
    stage.engine.note_on(note(62));
    let heard = &stage.listen(HOP)[0];
    let twice = take(0).into_iter().map(|sample| 0.02 * sample);
    assert!(heard.iter().zip(twice).all(|(heard, twice)| (heard - twice).abs() < 1e-6));
    assert!(heard.iter().any(|sample| sample.abs() > 1e-4));
}

#[test]
fn each_pad_counts_its_variations_for_itself() {
    let mut stage = stage(Keys::Pads, 4);
    let first = strike(&mut stage, 40);
    for pressed in [40, 41, 40, 40, 41] {
        assert_ne!(strike(&mut stage, pressed), first);
    }
    assert_eq!(strike(&mut stage, 40), first);
}

#[test]
fn width_makes_mono_or_leaves_alone_or_widens() {
    let sides = |width: f32| {
        let mut stage = Stage::new(7);
        stage.settings.width = width;
        stage.settings.gain = 0.01;
        stage.engine.reset(&stage.settings.clone());
        stage.begin(0);
        stage.engine.note_on(note(60));
        stage.engine.express(&key(60), Expression::Pan(0.5));
        stage.listen(2 * HOP)
    };
    let [left, right] = sides(1.0);
    assert_ne!(left, right);
    let [mono_left, mono_right] = sides(0.0);
    let [wide_left, wide_right] = sides(2.0);
    for i in 0..left.len() {
        let (middle, side) = (0.5 * (left[i] + right[i]), 0.5 * (left[i] - right[i]));
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(mono_left[i], middle) && near(mono_right[i], middle));
        assert!(near(wide_left[i], middle + 2.0 * side));
        assert!(near(wide_right[i], middle - 2.0 * side));
    }
}
