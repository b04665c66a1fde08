//! The built CLAP in a host, playing its factory bundle.
//!
//! Needs the package that `cargo xtask bundle --debug` makes; `cargo xtask test` sees to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use std::path::Path;

use built::{PHRASE, count, difference, enter, host, instrument};
use clack_extensions::render::RenderMode;
use distill_tests::host::{Playback, state};
use distill_tests::phrase::Note;
use distill_tests::sound::Sound;
use serde_json::json;

/// The phrase as a new instance plays it.
fn played(playback: Playback) -> Sound {
    instrument().play(&PHRASE, &playback).unwrap()
}

/// Level of the `seconds` after `from`, in dBFS.
fn level_after(sound: &Sound, from: usize, seconds: f64) -> f64 {
    let end = from + Playback { rate: sound.rate, ..Playback::default() }.sample_at(seconds);
    let part = sound.channels.iter().map(|channel| channel[from..end].to_vec()).collect();
    Sound { rate: sound.rate, channels: part }.rms_db()
}

#[test]
fn the_factory_bundle_plays_every_note_of_a_phrase_from_its_sample_on() {
    let mut instrument = instrument();
    let playback = Playback::default();
    let sound = instrument.play(&PHRASE, &playback).unwrap();
    let latency = instrument.latency() as usize;
    assert!(sound.is_finite());
    let first = playback.sample_at(PHRASE[0].start) + latency;
    let silent = sound.channels.iter().all(|channel| channel[..first].iter().all(|&x| x == 0.0));
    assert!(silent, "something sounds before the first note");
    for note in PHRASE {
        let level = level_after(&sound, playback.sample_at(note.start) + latency, 0.2);
        assert!(level > -60.0, "the note at {} s is not heard: {level:.1} dBFS", note.start);
    }
    assert!(sound.peak_db() < 6.0, "{:.1} dBFS", sound.peak_db());
}

#[test]
fn a_note_that_is_moved_by_samples_moves_its_sound_by_as_many() {
    let played_at = |start: f64| {
        let note = Note { start, end: start + 0.5, ..PHRASE[0] };
        instrument().play(&[note], &Playback { seconds: 2.0, ..Playback::default() }).unwrap()
    };
    let (sound, moved) = (played_at(1.0), played_at(1.0 + 37.0 / 48_000.0));
    for (channel, moved) in sound.channels.iter().zip(&moved.channels) {
        assert!(channel[..channel.len() - 37] == moved[37..]);
    }
}

#[test]
fn a_saved_state_plays_the_same_samples_in_a_new_instance() {
    let mut first = instrument();
    enter(&mut first, "Seed", "7");
    enter(&mut first, "Volume", "-3 dB");
    let sound = first.play(&PHRASE, &Playback::default()).unwrap();
    let saved = first.save().unwrap();
    drop(first);

    let mut second = instrument();
    second.load(&saved).unwrap();
    assert_eq!(count(&mut second, "Seed"), 7.0);
    let again = second.play(&PHRASE, &Playback::default()).unwrap();
    assert_eq!(difference(&sound, &again), None);
    assert_eq!(state::open(&second.save().unwrap()).unwrap(), state::open(&saved).unwrap());
}

#[test]
fn another_seed_is_another_performance() {
    let with_seed = |seed| {
        let mut instrument = instrument();
        enter(&mut instrument, "Seed", seed);
        instrument.play(&PHRASE, &Playback::default()).unwrap()
    };
    assert!(difference(&with_seed("1"), &with_seed("2")).is_some());
}

#[test]
fn the_block_size_cannot_be_heard() {
    let whole = played(Playback::default());
    for block in [1, 64, 441, 4096] {
        let other = played(Playback { block, ..Playback::default() });
        assert_eq!(difference(&whole, &other), None, "blocks of {block}");
    }
}

#[test]
fn a_host_that_does_not_say_it_renders_a_file_gets_the_same_samples() {
    // So far ahead of the clock that the instrument has as much patience as with a host that says
    // so: how busy the machine is then decides nothing.
    const LEAD: f64 = 30.0;
    let phrase = PHRASE.map(|note| Note { start: note.start + LEAD, end: note.end + LEAD, ..note });
    let played = |mode| {
        let playback = Playback { seconds: 4.0 + LEAD, mode, ..Playback::default() };
        instrument().play(&phrase, &playback).unwrap()
    };
    let (offline, silent_about_it) = (played(RenderMode::Offline), played(RenderMode::Realtime));
    assert_eq!(difference(&offline, &silent_about_it), None);
}

#[test]
fn a_phrase_played_again_is_the_same() {
    let mut instrument = instrument();
    let first = instrument.play(&PHRASE, &Playback::default()).unwrap();
    let second = instrument.play(&PHRASE, &Playback::default()).unwrap();
    assert_eq!(difference(&first, &second), None);
}

#[test]
fn every_usual_sample_rate_plays_at_the_same_level() {
    let reference = played(Playback::default()).rms_db();
    for rate in [44_100, 88_200, 96_000] {
        let sound = played(Playback { rate, ..Playback::default() });
        assert!(sound.is_finite());
        let level = sound.rms_db();
        assert!(
            (level - reference).abs() < 1.0,
            "{level:.1} dBFS at {rate} Hz, {reference:.1} at 48"
        );
    }
}

#[test]
fn a_missing_bundle_is_silent_and_stays_in_the_project() {
    let mut instrument = instrument();
    let path = Path::new("/nowhere/lost.distill");
    let lost = state::with_bundle(&instrument.save().unwrap(), path).unwrap();
    instrument.load(&lost).unwrap();
    let sound = instrument.play(&PHRASE, &Playback::default()).unwrap();
    assert!(sound.channels.iter().flatten().all(|&x| x == 0.0));
    let saved = state::open(&instrument.save().unwrap()).unwrap();
    assert!(saved["fields"]["bundle"].as_str().unwrap().contains("/nowhere/lost.distill"));
}

#[test]
fn a_state_that_makes_no_sense_changes_nothing() {
    let mut instrument = instrument();
    enter(&mut instrument, "Seed", "7");
    let before = instrument.save().unwrap();
    let mut broken = state::open(&before).unwrap();
    broken["params"]["seed"] = json!({ "i32": 9 });
    broken["fields"]["bundle"] = json!("no reference");
    for bytes in [state::close(&broken), b"nonsense".to_vec(), before[..before.len() / 2].to_vec()]
    {
        let _ = instrument.load(&bytes);
        assert_eq!(count(&mut instrument, "Seed"), 7.0);
    }
    assert_eq!(state::open(&instrument.save().unwrap()).unwrap(), state::open(&before).unwrap());
}

#[test]
fn instances_that_come_and_go_leave_the_others_playing() {
    let host = host();
    let mut kept = host.instrument().unwrap();
    let alone = kept.play(&PHRASE, &Playback::default()).unwrap();
    for _ in 0..3 {
        let mut passing = host.instrument().unwrap();
        passing.play(&PHRASE[..1], &Playback { seconds: 1.2, ..Playback::default() }).unwrap();
        drop(passing);
        let again = kept.play(&PHRASE, &Playback::default()).unwrap();
        assert_eq!(difference(&alone, &again), None);
    }
}

#[test]
fn the_volume_is_in_decibels() {
    let level = |text| {
        let mut instrument = instrument();
        enter(&mut instrument, "Volume", text);
        instrument.play(&PHRASE, &Playback::default()).unwrap().rms_db()
    };
    // So low that no peak is bent.
    let quieter = level("-18 dB") - level("-24 dB");
    assert!((quieter - 6.0).abs() < 0.1, "6 dB less is {quieter} dB less");
}

#[test]
fn a_value_out_of_range_is_not_set() {
    let mut instrument = instrument();
    let volume = instrument.parameter("Volume").unwrap();
    assert!(instrument.set(&volume, -6.0).is_err());
}

#[test]
fn the_wheel_of_a_keyboard_bends_by_two_semitones() {
    let playback = Playback { seconds: 2.0, ..Playback::default() };
    let bent = played(Playback { message: Some([0xE0, 0, 0]), ..playback });
    let mut tuned = instrument();
    enter(&mut tuned, "Tune", "-2");
    assert_eq!(difference(&bent, &tuned.play(&PHRASE, &playback).unwrap()), None);
    let middle = played(Playback { message: Some([0xE0, 0, 0x40]), ..playback });
    assert_eq!(difference(&middle, &played(playback)), None);
}

#[test]
fn the_pedal_of_a_keyboard_holds_notes() {
    let note = [Note { start: 0.0, end: 0.2, ..PHRASE[0] }];
    let playback = Playback { seconds: 2.0, ..Playback::default() };
    let level = |message| {
        let sound = instrument().play(&note, &Playback { message, ..playback }).unwrap();
        level_after(&sound, playback.sample_at(1.0), 0.5)
    };
    let (down, up) = (level(Some([0xB0, 64, 127])), level(Some([0xB0, 64, 63])));
    assert!(down > -60.0 && up < -90.0, "{down} dBFS with the pedal, {up} dBFS without");
}

#[test]
fn a_host_may_modulate_a_parameter_and_the_project_keeps_its_value() {
    let mut instrument = instrument();
    let volume = instrument.parameter("Volume").unwrap();
    let plain = Playback::default();
    let loud = instrument.play(&PHRASE, &plain).unwrap();
    let state = instrument.save().unwrap();
    let modulated = Playback { modulation: Some((volume.id, -0.25)), ..plain };
    let quiet = instrument.play(&PHRASE, &modulated).unwrap();
    // A quarter of the range from -60 to 12 dB.
    assert!((loud.rms_db() - quiet.rms_db() - 18.0).abs() < 0.5);
    assert_eq!(instrument.save().unwrap(), state, "a project keeps no modulation");
}
