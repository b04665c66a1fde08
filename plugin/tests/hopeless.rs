//! A worker that hangs while a host renders to a file.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::time::{Duration, Instant};

use distill_plugin::engine::Block;
use distill_plugin::instance::Stop;
use distill_plugin::stream::LOOKAHEAD;
use distill_shared::player::Sampling;
use toy::{HOP, RATE, Stage, note};

/// The left side of the next `frames` frames, while the worker does nothing.
fn without_worker(stage: &mut Stage, frames: usize) -> Vec<f32> {
    let mut heard = Vec::new();
    for _ in 0..frames {
        let (mut left, mut right) = (vec![f32::NAN; HOP], vec![f32::NAN; HOP]);
        stage.begin(HOP);
        stage.engine.render(&mut left, &mut right);
        stage.engine.finish();
        heard.extend(left);
    }
    heard
}

/// As when a host activates the instrument to render to a file.
fn activate(stage: &mut Stage) {
    stage.engine.activate(RATE, true);
    let settings = stage.settings;
    stage.engine.reset(&settings);
    stage.work();
    stage.begin(0);
}

#[test]
fn a_bounce_whose_worker_hangs_ends_in_silence_and_says_why_until_it_is_activated_again() {
    let mut stage = Stage::new(7);
    activate(&mut stage);
    stage.engine.note_on(note(60));
    // It waits once, for ten seconds, and not for each of the blocks after that.
    let heard = without_worker(&mut stage, 2000);
    let take = toy::take(&toy::model(7), 0, 2 * LOOKAHEAD, |_| Sampling::default());
    let (made, fade) = (LOOKAHEAD * HOP, 192);
    let left: Vec<f32> = take.iter().map(|sample| sample[0]).collect();
    assert!(heard[..made - fade] == left[..made - fade], "what there is, is played");
    assert!(heard[made..].iter().all(|&sample| sample == 0.0), "then there is silence");
    assert_eq!(stage.instance.stopped(), Some(Stop::Hopeless));
    assert!(Stop::Hopeless.message().ends_with("Render again."));
    stage.engine.note_on(note(62));
    assert!(without_worker(&mut stage, 4).iter().all(|&sample| sample == 0.0));

    activate(&mut stage);
    assert_eq!(stage.instance.stopped(), None);
    stage.engine.note_on(note(60));
    assert!(without_worker(&mut stage, 4)[..] == left[..4 * HOP], "it plays again");
}

/// Activates a `stage` that always waits, for a block that began ten seconds ago and has no sound.
fn despair(stage: &mut Stage, offline: bool) {
    stage.settings.always_wait = true;
    let settings = stage.settings;
    stage.engine.activate(RATE, offline);
    stage.engine.reset(&settings);
    let (len, now) = (16 * HOP, Instant::now().checked_sub(Duration::from_secs(10)).unwrap());
    stage.engine.begin(&Block { settings, len, now, playing: false, meter: None });
    stage.engine.note_on(note(60));
    stage.engine.render(&mut vec![0.0; len], &mut vec![0.0; len]);
    stage.engine.finish();
    assert_eq!(stage.instance.stopped(), Some(Stop::Hopeless));
}

#[test]
fn a_bundle_that_comes_when_there_was_no_hope_left_is_heard_but_in_a_bounce() {
    for offline in [false, true] {
        let mut stage = Stage::loading();
        despair(&mut stage, offline);
        stage.deliver(&toy::model(7));
        stage.begin(0);
        assert_eq!(stage.instance.stopped(), Some(Stop::Hopeless).filter(|_| offline));
        stage.work();
        stage.engine.note_on(note(62));
        let sounds = stage.listen(4 * HOP)[0].iter().any(|sample| *sample != 0.0);
        assert!(sounds || offline);
    }
}

#[test]
fn playback_that_starts_again_hopes_again_but_in_a_bounce() {
    for offline in [false, true] {
        let mut stage = Stage::new(7);
        despair(&mut stage, offline);
        stage.begin(0);
        assert_eq!(stage.instance.stopped(), Some(Stop::Hopeless));
        stage.playing = true;
        stage.begin(0);
        assert_eq!(stage.instance.stopped(), Some(Stop::Hopeless).filter(|_| offline));
    }
}
