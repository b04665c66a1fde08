//! Takes that are locked to bars: a bar by itself is that bar of the whole song.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use distill_plugin::engine::Playing;
use distill_plugin::meter::{Meter, Song};
use distill_plugin::voices::Which;
use toy::{Stage, key, note};

/// Beats per minute of the song, whose bars have four.
const TEMPO: f64 = 1200.0;
/// Samples of a bar at the stage's rate of 48 kHz.
const BAR: usize = 9600;
/// Notes of a bar: when they begin, in samples, and how long they last. The third begins with the
/// second.
const NOTES: [(usize, usize); 4] = [(0, 3000), (2400, 1500), (2400, 2000), (6000, 2000)];

fn stage() -> Stage {
    let mut stage = Stage::new(7);
    stage.settings.locked = true;
    stage.settings.shape.release = 0.001;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage
}

/// Plays the `bars` of the song, in blocks of the next of `blocks` samples, and starts the transport
/// for it, which stood there for a moment. The left side.
fn play(stage: &mut Stage, bars: std::ops::Range<usize>, blocks: &[usize]) -> Vec<f32> {
    stage.playing = false;
    stage.meter = meter(bars.start * BAR, bars.start);
    stage.listen(256);
    stage.playing = true;
    let looped = bars.start;
    go_on(stage, bars, looped, blocks)
}

/// Where the song is at a sample, if the host will go back to bar `looped`.
fn meter(at: usize, looped: usize) -> Option<Meter> {
    let beat = at as f64 / BAR as f64 * 4.0;
    let loop_beat = Some(4.0 * looped as f64);
    let song = Song { beat, tempo: TEMPO, bar_beats: 4.0, bar: None, loop_beat };
    Meter::new(&song, 48_000.0)
}

/// The same with the transport already running, and a loop that leads back to bar `looped`.
fn go_on(
    stage: &mut Stage,
    bars: std::ops::Range<usize>,
    looped: usize,
    blocks: &[usize],
) -> Vec<f32> {
    let (mut at, end) = (bars.start * BAR, bars.end * BAR);
    let mut heard = Vec::new();
    let mut blocks = blocks.iter().cycle();
    while at < end {
        let len = (*blocks.next().unwrap()).min(end - at);
        stage.meter = meter(at, looped);
        stage.work();
        stage.begin(len);
        let (mut left, mut right) = (vec![0.0; len], vec![0.0; len]);
        let mut done = 0;
        while done < len {
            notes(stage, (at + done) % BAR);
            let until = (done + 1..len).find(|n| is_event((at + n) % BAR)).unwrap_or(len);
            let until = until.min(done + 200);
            stage.engine.render(&mut left[done..until], &mut right[done..until]);
            // A worker that is in time, but for what nobody could foresee.
            stage.work();
            done = until;
        }
        stage.engine.finish();
        heard.extend(left);
        at += len;
    }
    heard
}

fn is_event(at: usize) -> bool {
    NOTES.iter().any(|&(start, length)| at == start || at == start + length)
}

/// The notes that begin and end at a sample of a bar.
fn notes(stage: &mut Stage, at: usize) {
    for (n, (start, length)) in (60_u8..).zip(NOTES) {
        if at == start {
            stage.engine.note_on(note(n));
        }
        if at == start + length {
            stage.engine.note_off(&key(n));
        }
    }
}

fn assert_same(one: &[f32], other: &[f32], what: &str) {
    assert_eq!(one.len(), other.len(), "{what}");
    assert!(one.iter().any(|sample| sample.abs() > 1e-3), "{what}");
    assert_eq!(one.iter().zip(other).position(|(a, b)| a != b), None, "{what}");
}

#[test]
fn bars_alone_are_those_bars_of_the_whole_however_it_is_cut() {
    let whole = play(&mut stage(), 0..5, &[480]);
    for blocks in [&[480][..], &[1, 333, 64, 1000], &[9600], &[4096]] {
        let part = play(&mut stage(), 2..4, blocks);
        assert_same(&part, &whole[2 * BAR..4 * BAR], &format!("{blocks:?}"));
    }
    let (second, third) = (&whole[BAR..2 * BAR], &whole[2 * BAR..3 * BAR]);
    assert_ne!(second, third, "no bar is like another");
}

#[test]
fn a_loop_plays_the_same_bars_again() {
    let mut stage = stage();
    let first = play(&mut stage, 1..2, &[480]);
    for _ in 0..2 {
        assert_same(&go_on(&mut stage, 1..2, 1, &[480]), &first, "a loop of one bar");
    }
    let longer = go_on(&mut stage, 1..4, 2, &[500]);
    assert_same(&longer[..BAR], &first, "a longer one");
    assert_same(&go_on(&mut stage, 2..4, 2, &[500]), &longer[BAR..], "a loop of its end");
}

#[test]
fn starting_again_plays_the_same_whatever_was_played_while_it_stood_still() {
    let mut stage = stage();
    let first = play(&mut stage, 3..5, &[480]);
    stage.playing = false;
    stage.engine.note_on(note(40));
    stage.listen(480);
    stage.engine.choke(&key(40));
    stage.listen(4800);
    assert_same(&play(&mut stage, 3..5, &[480]), &first, "from the same bar");
}

#[test]
fn takes_that_are_not_locked_are_counted_from_where_playback_began() {
    let mut stage = stage();
    stage.settings.locked = false;
    let whole = play(&mut stage, 0..3, &[480]);
    let part = play(&mut stage, 2..3, &[480]);
    assert_same(&part, &whole[..BAR], "the first bar that is played");
    assert_ne!(part, whole[2 * BAR..]);
}

#[test]
fn settings_that_change_within_a_bar_reach_the_bars_after_it() {
    let sound = |from: usize| {
        let mut stage = stage();
        stage.settings.sampling.temperature = 0.4;
        if from == 0 {
            play(&mut stage, 0..1, &[480]);
            stage.settings.sampling.temperature = 0.5;
            go_on(&mut stage, 1..4, 0, &[480])[2 * BAR..].to_vec()
        } else {
            stage.settings.sampling.temperature = 0.5;
            play(&mut stage, from..from + 1, &[480])
        }
    };
    assert_same(&sound(0), &sound(3), "after they have settled");
}

#[test]
fn what_was_silenced_stays_so_where_a_loop_goes_back_and_sounds_where_playback_starts() {
    let mut stage = stage();
    stage.settings.playing = Playing::WithTransport;
    let sounds = |heard: Vec<f32>| heard[BAR / 2..].iter().any(|sample| *sample != 0.0);
    assert!(sounds(play(&mut stage, 1..2, &[480])));
    stage.engine.choke(&Which::of_channel(0));
    for _ in 0..2 {
        assert!(!sounds(go_on(&mut stage, 1..2, 1, &[480])));
    }
    assert!(sounds(play(&mut stage, 1..2, &[480])));
}
