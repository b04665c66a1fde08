//! One project has one sound: however it is cut into blocks, however fast the host plays, whatever it
//! says about being in a hurry.
//!
//! Each test tries a few schedules; those that are ignored, of which `cargo xtask soak` runs all, try
//! hundreds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use built::{PHRASE, difference, enter, instrument};
use clack_extensions::render::RenderMode;
use distill_tests::host::Playback;
use distill_tests::phrase::Note;
use distill_tests::sound::Sound;

const RATES: [u32; 3] = [44_100, 48_000, 96_000];
/// The longest block, in samples.
const LONGEST: usize = 16_384;

/// Three seconds, the first of them silent: in it a host in a hurry shows that it is.
fn reference(rate: u32) -> Playback {
    Playback { rate, seconds: 3.0, ..Playback::default() }
}

/// The nth of many ways to play the same.
fn schedule(rate: u32, number: u64) -> Playback {
    let mode = if number.is_multiple_of(2) { RenderMode::Offline } else { RenderMode::Realtime };
    let wavers = number % 3 == 2;
    let block = if number.is_multiple_of(4) { LONGEST } else { 1024 };
    let pace = match number % 8 {
        5 => Some(5.0),
        6 => Some(50.0),
        _ => None,
    };
    Playback { uneven: Some(number), block, mode, wavers, pace, ..reference(rate) }
}

fn assert_one_sound(schedules: u64) {
    for rate in RATES {
        let whole = instrument().play(&PHRASE, &reference(rate)).unwrap();
        assert!(whole.rms_db() > -60.0);
        for number in 0..schedules {
            let playback = schedule(rate, number);
            let other = instrument().play(&PHRASE, &playback).unwrap();
            assert_eq!(difference(&whole, &other), None, "{playback:?}");
        }
    }
}

#[test]
fn a_project_sounds_the_same_under_every_schedule() {
    assert_one_sound(6);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn a_project_sounds_the_same_under_hundreds_of_schedules() {
    assert_one_sound(200);
}

/// A song of three notes a bar at 120 beats per minute, of which none sounds into the next bar.
fn song(bars: u8) -> Vec<Note> {
    let beats = [(0.0, 0.6), (0.75, 1.3), (1.5, 1.6)];
    let of_bar = |bar: u8| {
        beats.map(|(start, end)| {
            let bar_start = 2.0 * f64::from(bar);
            Note {
                start: bar_start + start,
                end: bar_start + end,
                key: 57 + bar % 5,
                velocity: 0.8,
            }
        })
    };
    (0..bars).flat_map(of_bar).collect()
}

/// `bars` of the song, takes locked to bars or not.
fn bars(range: std::ops::Range<u8>, locked: &str, block: usize) -> Sound {
    let mut instrument = instrument();
    enter(&mut instrument, "Lock to bars", locked);
    enter(&mut instrument, "Release", "50");
    let start = 2.0 * f64::from(range.start);
    let seconds = 2.0 * f64::from(range.end - range.start);
    let playback = Playback { start, seconds, block, ..Playback::default() };
    instrument.play(&song(range.end), &playback).unwrap()
}

/// Bars `from` to the end of `whole` beside `part`.
fn same(whole: &Sound, part: &Sound) -> bool {
    let from = whole.len() - part.len();
    let pairs = whole.channels.iter().zip(&part.channels);
    pairs.into_iter().all(|(whole, part)| whole[from..] == part[..])
}

#[test]
fn bars_that_are_rendered_alone_equal_those_of_the_whole_song_if_takes_are_locked() {
    let whole = bars(0..6, "on", 512);
    assert!(whole.rms_db() > -60.0);
    assert!(same(&whole, &bars(3..6, "on", 480)));
    assert!(!same(&bars(0..6, "off", 512), &bars(3..6, "off", 512)), "and only then");
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn bars_17_to_32_alone_equal_those_of_the_whole_song() {
    let whole = bars(0..32, "on", 512);
    for block in [1, 64, 441, 4096, LONGEST] {
        assert!(same(&whole, &bars(16..32, "on", block)), "blocks of {block}");
    }
}
