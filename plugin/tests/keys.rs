//! Keys as pitches: what is asked for, what is played faster or slower, and which takes notes play.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::sync::Arc;

use distill_plugin::filters::Filters;
use distill_plugin::interpolator::{Interpolator, Motion};
use distill_plugin::zones::Keys;
use distill_shared::model::conditioning::{Controls, Pitches, speed_of};
use distill_shared::player::{Model, Sampling};
use rtrb::RingBuffer;
use toy::{HOP, Stage, key, note};

/// What a take whose sound is `take` gives when it is raised by `semitones`, the left side.
fn raised(take: &[[f32; 2]], semitones: f32, len: usize) -> Vec<f32> {
    let (mut feed, mut sound) = RingBuffer::new(take.len());
    feed.push_entire_slice(take).unwrap();
    let speed = speed_of(semitones);
    let motion = Motion { speed, filter: Filters::of_process().at(speed) };
    assert!(Interpolator::default().playable(take.len(), &motion) >= len, "enough to hear");
    let mut heard = Vec::new();
    Interpolator::default().play(&mut sound, &motion, (len, len), |_, [left, _]| heard.push(left));
    heard
}

/// A stage whose toy can be asked for `pitches`, and its model.
fn pitched(pitches: &[u8]) -> (Stage, Arc<Model>) {
    let pitches = Pitches::new(pitches.iter().copied());
    let model = toy::pitched_model(7, pitches);
    let mut stage = Stage::with_model(Arc::clone(&model));
    stage.settings.keys = Keys::Pitches;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    (stage, model)
}

/// The nth take of `pitch`, all frames asked for it.
fn asked(model: &Arc<Model>, pitch: u8, n: u64, frames: usize) -> Vec<[f32; 2]> {
    let controls = Controls { pitch: Some(pitch.into()), ..Controls::default() };
    let sampling = Sampling { controls, ..Sampling::default() };
    toy::take(model, (u64::from(pitch) + 1) << 32 | n, frames, |_| sampling)
}

#[test]
fn without_pitches_a_key_is_the_take_played_faster_or_slower() {
    for (pressed, shift) in [(60, 0.0), (67, 7.0), (48, -12.0), (53, -7.0), (84, 12.0)] {
        let mut stage = Stage::new(7);
        stage.settings.keys = Keys::Pitches;
        stage.begin(0);
        stage.engine.note_on(note(pressed));
        let heard = &stage.listen(6 * HOP)[0];
        let take = toy::take(&toy::model(7), 0, 16, |_| Sampling::default());
        let expected = raised(&take, shift, 6 * HOP);
        let differs = heard.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(differs, None, "key {pressed}");
    }
}

#[test]
fn a_key_asks_for_the_nearest_pitch_and_is_raised_by_the_rest() {
    let (mut stage, model) = pitched(&[48, 60, 63]);
    assert_ne!(asked(&model, 60, 0, 2), asked(&model, 63, 0, 2), "the toy hears what is asked");
    for (pressed, pitch, shift) in [(63, 63, 0.0), (61, 60, 1.0), (50, 48, 2.0), (96, 63, 9.0)] {
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage.engine.note_on(note(pressed));
        let heard = &stage.listen(12 * HOP)[0];
        assert!(
            heard == &raised(&asked(&model, pitch, 0, 24), shift, 12 * HOP),
            "key {pressed} plays {pitch}"
        );
        stage.engine.choke(&key(pressed));
        stage.listen(HOP);
    }
}

#[test]
fn every_pitch_counts_its_own_takes_so_a_chord_may_come_in_any_order() {
    let chord = |keys: [u8; 3]| {
        let (mut stage, _) = pitched(&[48, 60, 63]);
        keys.iter().for_each(|&key| stage.engine.note_on(note(key)));
        stage.listen(4 * HOP)[0].clone()
    };
    let sum = chord([48, 60, 64]);
    assert!(sum.iter().any(|sample| sample.abs() > 1e-3));
    let same = chord([64, 48, 60]).iter().zip(&sum).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(same, "but for the order of a sum");
    let (mut stage, model) = pitched(&[48, 60, 63]);
    stage.engine.note_on(note(48));
    stage.listen(HOP);
    stage.engine.choke(&key(48));
    stage.listen(HOP);
    stage.engine.note_on(note(48));
    let again = &stage.listen(4 * HOP)[0];
    assert!(again == &raised(&asked(&model, 48, 1, 10), 0.0, 4 * HOP), "the second of its pitch");
}

#[test]
fn tune_raises_what_sounds_at_once() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let before = stage.listen(2 * HOP)[0].clone();
    stage.settings.tune = 12.0;
    let after = stage.listen(2 * HOP)[0].clone();
    let take = toy::take(&toy::model(7), 0, 16, |_| Sampling::default());
    assert_eq!(before, take[..2 * HOP].iter().map(|sample| sample[0]).collect::<Vec<_>>());
    // From sample 2 HOP on, every second one, but for what lies above the filter.
    let (mut feed, mut sound) = RingBuffer::new(take.len());
    feed.push_entire_slice(&take).unwrap();
    let (one, two) = (Filters::of_process().at(1.0), Filters::of_process().at(2.0));
    let mut player = Interpolator::default();
    let mut expected = Vec::new();
    let slow = Motion { speed: 1.0, filter: one };
    player.play(&mut sound, &slow, (2 * HOP, 2 * HOP), |_, _| {});
    let fast = Motion { speed: 2.0, filter: two };
    player.play(&mut sound, &fast, (2 * HOP, 2 * HOP), |_, [left, _]| expected.push(left));
    assert!(after == expected);
}

#[test]
fn heads_that_lie_in_wait_hold_no_takes_and_go_on_as_if_they_had() {
    let (mut stage, model) = pitched(&[48, 60, 63]);
    stage.work();
    // Long after the head was made and forgotten.
    stage.listen(40 * HOP);
    stage.engine.note_on(note(60));
    let heard = &stage.listen(30 * HOP)[0];
    let take: Vec<f32> = asked(&model, 60, 0, 30).iter().map(|sample| sample[0]).collect();
    assert_eq!(heard, &take);
    assert_eq!(stage.instance.missed(), 0);
}

#[test]
fn a_note_of_a_bundle_that_is_still_loading_comes_in_where_it_should_be() {
    let mut stage = Stage::loading();
    stage.settings.keys = Keys::Pitches;
    stage.begin(0);
    stage.engine.note_on(note(61));
    let (mut left, mut right) = (vec![0.0; HOP], vec![0.0; HOP]);
    stage.begin(HOP);
    stage.engine.render(&mut left, &mut right);
    stage.engine.finish();
    assert!(left.iter().all(|&sample| sample == 0.0));
    let model = toy::pitched_model(7, Pitches::new([60]));
    stage.deliver(&model);
    let heard = &stage.listen(6 * HOP)[0];
    // Until it had come, time went by as if it were not raised.
    let fade = 128 + 192;
    assert!(heard[fade..].iter().any(|&sample| sample.abs() > 1e-3));
    let (mut feed, mut sound) = RingBuffer::new(20 * HOP);
    feed.push_entire_slice(&asked(&model, 60, 0, 20)).unwrap();
    let speed = speed_of(1.0);
    let motion = Motion { speed, filter: Filters::of_process().at(speed) };
    let mut player = Interpolator::default();
    player.advance(HOP, speed);
    let mut expected = Vec::new();
    player.play(&mut sound, &motion, (6 * HOP, 6 * HOP), |_, [left, _]| expected.push(left));
    assert!(heard[fade..] == expected[fade..]);
}
