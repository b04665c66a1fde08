//! A machine that has too much to do for what is played live: fewer levels of codes, and no holes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::time::{Duration, Instant};

use distill_plugin::engine::Block;
use distill_plugin::source::Source;
use distill_plugin::stream::Hold;
use distill_shared::player::Sampling;
use toy::{HOP, RATE, Stage, note};

/// Plays a frame as a host in real time would, `played` frames after it began.
fn live(stage: &mut Stage, begun: Instant, played: u32) -> Vec<f32> {
    let (mut left, mut right) = (vec![0.0; HOP], vec![0.0; HOP]);
    let frame = Duration::from_secs_f64(HOP as f64 / f64::from(RATE));
    let Stage { settings, playing, meter, .. } = *stage;
    let now = begun + played * frame;
    stage.engine.begin(&Block { settings, len: HOP, now, playing, meter });
    stage.engine.render(&mut left, &mut right);
    stage.engine.finish();
    left
}

/// A worker that makes a frame of what plays.
fn make_a_frame(stage: &mut Stage) {
    stage.desk.tend();
    let Some(source) = stage.desk.pick(None) else { return };
    let mut sources = [source];
    Source::step_together(&mut sources).unwrap();
    sources.into_iter().for_each(|source| stage.desk.put_back(source));
}

/// The left side of what is played, with all of its levels.
fn left_of_take(frames: usize) -> Vec<f32> {
    let take = toy::take(&toy::model(7), 0, frames, |_| Sampling::default());
    take.iter().map(|sample| sample[0]).collect()
}

#[test]
fn a_worker_that_cannot_keep_up_spares_levels_until_it_can() {
    let begun = Instant::now();
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let (mut credit, mut heard) = (0.0, Vec::new());
    for played in 0..60 {
        heard.extend(live(&mut stage, begun, played));
        // A little too slow, until it spares.
        credit += if stage.instance.spared() > 0 { 1.0 } else { 0.8 };
        while credit >= 1.0 {
            make_a_frame(&mut stage);
            credit -= 1.0;
        }
    }
    let spared = stage.instance.spared();
    assert!(spared > 0);
    assert_eq!(stage.instance.missed(), 0, "it was in time to spare");
    assert!(heard != left_of_take(60), "fewer levels are another sound");
    for played in 60..80 {
        live(&mut stage, begun, played);
        stage.work();
    }
    let now = stage.instance.spared();
    assert!(now - spared < 20, "it takes the levels back");
    for played in 80..100 {
        live(&mut stage, begun, played);
        stage.work();
    }
    assert_eq!(stage.instance.spared(), now);
}

#[test]
fn a_worker_that_keeps_up_spares_nothing() {
    let begun = Instant::now();
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let mut heard = Vec::new();
    for played in 0..100 {
        heard.extend(live(&mut stage, begun, played));
        // Four frames at a time, after having left them be for as long.
        if played % 4 == 3 {
            stage.work();
        }
    }
    assert_eq!((stage.instance.spared(), stage.instance.missed()), (0, 0));
    assert!(heard == left_of_take(100), "it plays the take, bit for bit");
}

#[test]
fn what_is_frozen_draws_nothing_that_could_be_spared() {
    let begun = Instant::now();
    let mut stage = Stage::new(7);
    stage.settings.hold = Hold::Freeze;
    stage.engine.note_on(note(60));
    for played in 0..60 {
        live(&mut stage, begun, played);
        if played % 5 != 0 {
            make_a_frame(&mut stage);
        }
    }
    assert_eq!(stage.instance.spared(), 0);
}
