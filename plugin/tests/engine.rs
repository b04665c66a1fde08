//! What the engine plays: notes at their sample, takes to the bit, settings when they should.

mod toy;

use distill_plugin::instance::ModelRef;
use distill_plugin::zones::Zones;
use distill_shared::player::Sampling;
use toy::{HOP, Stage, key, note};

/// The left side of `sound`.
fn left(sound: &[[f32; 2]]) -> Vec<f32> {
    sound.iter().map(|sample| sample[0]).collect()
}

#[test]
fn a_note_is_its_take_to_the_bit_from_its_very_sample() {
    let mut stage = Stage::new(7);
    let before = stage.listen(1000);
    stage.engine.note_on(note(60));
    let [heard_left, heard_right] = stage.listen(20 * HOP);
    let take = toy::take(&toy::model(7), 0, 20, |_| Sampling::default());
    assert!(before[0].iter().all(|&sample| sample == 0.0));
    assert!(left(&take).iter().any(|&sample| sample.abs() > 1e-3), "the toy makes sound");
    assert_eq!(heard_left, left(&take));
    assert_eq!(heard_right, take.iter().map(|sample| sample[1]).collect::<Vec<_>>());
}

#[test]
fn every_note_is_another_take_and_beginning_anew_begins_with_the_first() {
    let mut stage = Stage::new(7);
    let phrase = |stage: &mut Stage| {
        [0, 1].map(|_| {
            stage.engine.note_on(note(60));
            let heard = stage.listen(4 * HOP);
            stage.engine.note_off(&key(60));
            stage.listen(4 * HOP);
            heard
        })
    };
    let first = phrase(&mut stage);
    assert_ne!(first[0], first[1]);
    stage.engine.reset(&stage.settings.clone());
    assert_eq!(phrase(&mut stage), first);
    // A host that starts its transport begins anew too.
    stage.playing = true;
    stage.begin(0);
    assert_eq!(phrase(&mut stage), first);
}

#[test]
fn when_playback_begins_anew_the_first_notes_are_ready_at_once() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let [first, _] = stage.listen(2 * HOP);
    stage.work();
    stage.engine.reset(&stage.settings.clone());
    stage.engine.note_on(note(60));
    let (mut again, mut right) = (vec![0.0; 2 * HOP], vec![0.0; 2 * HOP]);
    stage.begin(again.len());
    stage.engine.render(&mut again, &mut right);
    assert_eq!(again, first);
}

#[test]
fn a_turned_knob_reaches_a_sounding_note_after_the_lookahead() {
    let cold = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let mut heard = stage.listen(3 * HOP + 10)[0].clone();
    stage.settings.sampling = cold;
    heard.extend_from_slice(&stage.listen(30 * HOP - 10)[0]);
    // Frame 4 is the first to begin with the knob turned, and frame 4 + 8 the first made with it.
    let changed = |n: usize| if n >= 12 { cold } else { Sampling::default() };
    let take = left(&toy::take(&toy::model(7), 0, 33, changed));
    let unchanged = left(&toy::take(&toy::model(7), 0, 33, |_| Sampling::default()));
    assert_ne!(take, unchanged, "the knob matters");
    assert_eq!(heard, take);
}

#[test]
fn a_turned_knob_reaches_the_heads_of_later_notes_at_an_exact_sample() {
    let cold = Sampling { temperature: 0.0, ..Sampling::default() };
    let settle = 12_000;
    for (wait, expected) in [(settle - 1, Sampling::default()), (settle, cold)] {
        let mut stage = Stage::new(7);
        stage.listen(100);
        stage.settings.sampling = cold;
        stage.listen(wait);
        stage.engine.note_on(note(60));
        let heard = &stage.listen(8 * HOP)[0];
        let take = left(&toy::take(&toy::model(7), 0, 8, |_| expected));
        assert_eq!(heard, &take, "{wait} samples after the knob was turned");
    }
}

#[test]
fn a_note_that_is_struck_while_a_knob_settles_is_counted_once() {
    // Not so cold that all takes are the same.
    let cool = Sampling { temperature: 0.8, ..Sampling::default() };
    let mut stage = Stage::new(7);
    stage.listen(100);
    stage.settings.sampling = cool;
    let mut strike = |after: usize, take: u64, sampling| {
        stage.listen(after);
        stage.engine.note_on(note(60));
        let heard = stage.listen(8 * HOP)[0].clone();
        stage.engine.note_off(&key(60));
        let wanted = left(&toy::take(&toy::model(7), take, 8, |_| sampling));
        assert_eq!(heard, wanted, "take {take}");
    };
    strike(10, 0, Sampling::default());
    strike(1000, 1, Sampling::default());
    strike(12_000, 2, cool);
    strike(4000, 3, cool);
}

#[test]
fn keys_struck_together_sound_together() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    stage.engine.note_on(note(64));
    let heard = &stage.listen(8 * HOP)[0];
    let takes = [0, 1].map(|n| left(&toy::take(&toy::model(7), n, 8, |_| Sampling::default())));
    let sum: Vec<f32> = takes[0].iter().zip(&takes[1]).map(|(a, b)| a + b).collect();
    assert_eq!(heard, &sum);
}

#[test]
fn a_released_note_ends_and_others_go_on() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    stage.engine.note_on(note(64));
    stage.listen(HOP);
    stage.engine.note_off(&key(60));
    stage.listen(1000);
    assert_eq!(stage.instance.voices(), 1);
    stage.engine.choke(&key(64));
    stage.listen(240);
    assert_eq!(stage.instance.voices(), 0);
    assert!(stage.listen(HOP)[0].iter().all(|&sample| sample == 0.0));
}

#[test]
fn the_oldest_voice_makes_room_without_a_click() {
    let mut stage = Stage::new(7);
    stage.settings.voices = 2;
    for n in 0..5 {
        stage.engine.note_on(note(60 + n));
        stage.listen(300);
        assert!(stage.instance.voices() <= 2, "after {n}");
    }
    // Far more notes at once than there is room for.
    (0..100).for_each(|n| stage.engine.note_on(note(n)));
    stage.listen(300);
    assert_eq!(stage.instance.voices(), 2);
    stage.engine.note_off(&key(99));
    stage.listen(1000);
    assert_eq!(stage.instance.voices(), 1, "the newest is among those that stayed");
}

#[test]
fn velocity_is_loudness() {
    let loudest = |velocity: f32| {
        let mut stage = Stage::new(7);
        stage.engine.note_on(distill_plugin::voice::Note { velocity, ..note(60) });
        stage.listen(8 * HOP)[0].iter().fold(0.0_f32, |max, sample| max.max(sample.abs()))
    };
    let ratio = loudest(0.5) / loudest(1.0);
    assert!((ratio - 0.25).abs() < 1e-3, "{ratio}");
}

#[test]
fn late_sound_is_silence_with_soft_edges_and_the_rest_is_in_its_place() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let mut heard = stage.listen(HOP)[0].clone();
    // The worker sleeps while 16 frames are played.
    for _ in 0..16 {
        let (mut left, mut right) = (vec![f32::NAN; HOP], vec![f32::NAN; HOP]);
        stage.begin(HOP);
        stage.engine.render(&mut left, &mut right);
        stage.engine.finish();
        heard.extend(left);
    }
    assert_eq!(stage.instance.missed(), 8 * HOP as u64, "all but the frames that were ready");
    heard.extend_from_slice(&stage.listen(16 * HOP)[0]);

    let take = left(&toy::take(&toy::model(7), 0, 33, |_| Sampling::default()));
    let fade = 192;
    assert_eq!(heard[..9 * HOP - fade], take[..9 * HOP - fade], "before");
    assert!(heard[9 * HOP..17 * HOP].iter().all(|&sample| sample == 0.0), "meanwhile");
    assert_eq!(heard[17 * HOP + fade..], take[17 * HOP + fade..], "after");
    for i in (9 * HOP - fade..9 * HOP).chain(17 * HOP..17 * HOP + fade) {
        assert!(heard[i].abs() <= take[i].abs(), "fades only take away");
    }
    let edge = |i: usize| heard[i].abs();
    assert!(edge(9 * HOP - 1) < 0.01 * take[9 * HOP - 1].abs().max(0.01));
    assert!(edge(17 * HOP) < 0.01 * take[17 * HOP].abs().max(0.01) + 1e-4);
}

#[test]
fn a_note_whose_head_is_late_comes_in_where_it_should_be() {
    let mut stage = Stage::new(7);
    stage.settings.voices = 1;
    stage.listen(100);
    (0..9).for_each(|n| stage.engine.note_on(note(n)));
    // Nobody has made the tenth head.
    stage.engine.note_on(note(60));
    let (mut left_out, mut right) = (vec![0.0; HOP], vec![0.0; HOP]);
    stage.begin(HOP);
    stage.engine.render(&mut left_out, &mut right);
    stage.engine.finish();
    assert!(stage.instance.missed() > 0);
    let heard = &stage.listen(4 * HOP)[0];
    let take = left(&toy::take(&toy::model(7), 9, 5, |_| Sampling::default()));
    assert_eq!(heard[HOP..], take[2 * HOP..]);
}

#[test]
fn another_bundle_plays_from_the_next_note_on() {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    stage.listen(HOP);
    let reference = distill_plugin::state::BundleRef::default();
    let edition = stage.instance.choose(reference.clone());
    stage.desk.set_model(edition, toy::model(8));
    stage.instance.succeed(
        edition,
        reference,
        String::new(),
        Zones::default(),
        ModelRef::default(),
    );
    let heard = &stage.listen(9 * HOP)[0];
    let old = left(&toy::take(&toy::model(7), 0, 10, |_| Sampling::default()));
    assert_eq!(heard, &old[HOP..], "what sounds goes on");
    stage.engine.choke(&key(60));
    stage.listen(300);
    stage.engine.note_on(note(60));
    let heard = &stage.listen(4 * HOP)[0];
    assert_eq!(heard, &left(&toy::take(&toy::model(8), 1, 4, |_| Sampling::default())));
}

#[test]
fn the_output_stays_below_full_scale() {
    let mut stage = Stage::new(7);
    stage.settings.gain = 100.0;
    stage.listen(4800);
    (0..8).for_each(|n| stage.engine.note_on(note(n)));
    let heard = stage.listen(20 * HOP);
    let loudest = heard.iter().flatten().fold(0.0_f32, |max, sample| max.max(sample.abs()));
    assert!(loudest > 0.9 && loudest < 1.0, "{loudest}");
}
