//! Playing live: what is heard in real time is what is bounced.
//!
//! Whether a worker is in time depends on the machine, so this is no test that must always pass:
//! `cargo xtask soak` runs it, for as many minutes as `DISTILL_SOAK_MINUTES` says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use std::thread;

use built::{PHRASE, difference, enter, instrument};
use clack_extensions::render::RenderMode;
use distill_tests::host::Playback;
use distill_tests::phrase::Note;
use distill_tests::sound::Sound;

/// Instances that play at a time.
const INSTANCES: u8 = 4;

/// A chord of three notes every second, each a second and a half long, after a silent second.
fn song(seconds: f64) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut start = 1.0;
    while start < seconds - 2.0 {
        for (key, velocity) in [(48, 0.9), (60, 0.6), (67, 0.3)] {
            notes.push(Note { start, end: start + 1.5, key, velocity });
        }
        start += 1.0;
    }
    notes
}

fn play(seed: u8, playback: &Playback) -> Sound {
    let mut instrument = instrument();
    enter(&mut instrument, "Seed", &seed.to_string());
    instrument.play(&song(playback.seconds), playback).unwrap()
}

#[test]
#[ignore = "takes minutes of real time: cargo xtask soak"]
fn what_four_instances_play_live_is_what_they_bounce() {
    let minutes = std::env::var("DISTILL_SOAK_MINUTES").ok();
    let minutes: f64 = minutes.and_then(|minutes| minutes.parse().ok()).unwrap_or(1.0);
    let bounce = Playback { seconds: 60.0 * minutes, block: 256, ..Playback::default() };
    let live = Playback { mode: RenderMode::Realtime, pace: Some(1.0), ..bounce };
    let heard: Vec<Sound> = thread::scope(|scope| {
        let playing: Vec<_> =
            (0..INSTANCES).map(|seed| scope.spawn(move || play(seed, &live))).collect();
        playing.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all_equal = true;
    for (seed, heard) in (0..).zip(heard) {
        assert!(heard.rms_db() > -60.0);
        let bounced = play(seed, &bounce);
        if let Some(first) = difference(&bounced, &heard) {
            let seconds = first as f64 / f64::from(bounce.rate);
            let others = (first..heard.len()).filter(|&i| {
                let pairs = bounced.channels.iter().zip(&heard.channels);
                pairs.into_iter().any(|(a, b)| a[i] != b[i])
            });
            println!("instance {seed}: {} samples differ, from {seconds:.3} s on", others.count());
            all_equal = false;
        }
    }
    assert!(all_equal, "what was not in time, or had levels spared to be, is told above");
}

/// Blocks of up to two thirds of a second, by which no worker can be ahead.
#[test]
#[ignore = "takes a minute of real time: cargo xtask soak"]
fn what_is_played_live_in_long_blocks_is_what_is_bounced() {
    for rate in [44_100, 48_000, 96_000] {
        for block in [8192, 16_384, 32_768] {
            let bounce = Playback { rate, seconds: 6.0, block, ..Playback::default() };
            let live = Playback { mode: RenderMode::Realtime, pace: Some(1.0), ..bounce };
            let [bounced, heard] =
                [bounce, live].map(|playback| instrument().play(&PHRASE, &playback).unwrap());
            let first = difference(&bounced, &heard);
            assert_eq!(first, None, "blocks of {block} samples at {rate} Hz");
        }
    }
}
