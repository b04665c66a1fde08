//! The VST3 in a host of our own: it plays what the CLAP plays, and bears what hosts do.
//!
//! What Steinberg's validator asks is asked here: it is published for one build system only.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use std::collections::HashSet;
use std::thread::sleep;
use std::time::Duration;

use built::{PHRASE, difference, instrument};
use clack_extensions::render::RenderMode;
use distill_tests::host::Playback;
use distill_tests::phrase::Note;
use distill_tests::vst3::{Block, Change, Instrument, Module};
use serde_json::Value;

/// Names of controllers in MIDI and, beyond it, VST3.
const PEDAL: i16 = 64;
const ALL_SOUND_OFF: i16 = 120;
const RESET: i16 = 121;
const ALL_NOTES_OFF: i16 = 123;
const WHEEL: i16 = 129;

fn module() -> Module {
    Module::open(&built::package().with_extension("vst3")).unwrap()
}

/// An instance that is active, and what it needs to live.
fn active() -> (Module, Instrument) {
    let module = module();
    let mut instrument = module.instrument().unwrap();
    assert_eq!(instrument.set_up(48_000.0, 512, 0, 0), 0);
    assert_eq!(instrument.set_active(true), 0);
    instrument.set_processing(true);
    (module, instrument)
}

#[test]
fn it_plays_what_the_clap_plays() {
    let module = module();
    for (rate, block, uneven, wavers) in
        [(48_000, 512, None, false), (44_100, 4096, Some(3), true), (96_000, 64, Some(7), false)]
    {
        let playback = Playback { rate, block, uneven, wavers, ..Playback::default() };
        let clap = instrument().play(&PHRASE, &Playback { wavers: false, ..playback }).unwrap();
        let vst3 = module.instrument().unwrap().play(&PHRASE, &playback, &[]).unwrap();
        assert!(clap.rms_db() > -60.0);
        assert_eq!(difference(&clap, &vst3), None, "{playback:?}");
    }
}

#[test]
fn a_bounce_of_a_new_instance_begins_with_its_first_note() {
    // A host that said that it plays live would get silence for lateness here.
    let notes = [Note { start: 0.0, ..PHRASE[0] }];
    let playback = Playback { seconds: 1.0, ..Playback::default() };
    let clap = instrument().play(&notes, &playback).unwrap();
    let vst3 = module().instrument().unwrap().play(&notes, &playback, &[]).unwrap();
    assert!(clap.rms_db() > -60.0);
    assert_eq!(difference(&clap, &vst3), None);
}

#[test]
fn the_wheel_and_the_pedal_are_heard_as_in_clap() {
    let module = module();
    let plain = instrument().play(&PHRASE, &Playback::default()).unwrap();
    for (controller, message) in [(WHEEL, [0xE0, 127, 127]), (PEDAL, [0xB0, 64, 127])] {
        let playback = Playback { message: Some(message), ..Playback::default() };
        let clap = instrument().play(&PHRASE, &playback).unwrap();
        assert_ne!(difference(&plain, &clap), None);
        let mut instrument = module.instrument().unwrap();
        let id = instrument.controller(controller, 0).unwrap();
        let change = Change { id, at: 0, value: 1.0 };
        let vst3 = instrument.play(&PHRASE, &Playback::default(), &[change]).unwrap();
        assert_eq!(difference(&clap, &vst3), None, "controller {controller}");
        let other = Change { id: instrument.controller(controller, 1).unwrap(), ..change };
        let vst3 = instrument.play(&PHRASE, &Playback::default(), &[other]).unwrap();
        assert_eq!(difference(&plain, &vst3), None, "another channel");
        assert_eq!(instrument.controller(controller, 16), None);
    }
    assert_eq!(module.instrument().unwrap().controller(1, 0), None);
}

#[test]
fn every_parameter_is_described_and_no_other() {
    let module = module();
    let instrument = module.instrument().unwrap();
    let count = instrument.parameter_count();
    assert!((80..150).contains(&count), "{count} parameters");
    let parameters = instrument.parameters();
    assert_eq!(i32::try_from(parameters.len()), Ok(count));
    for index in [-1, count, count + 1, i32::MIN, i32::MAX] {
        assert_eq!(instrument.parameter(index), None, "parameter {index}");
        assert_eq!(instrument.unit(index), None, "unit {index}");
    }
    let ids: HashSet<_> = parameters.iter().map(|parameter| parameter.id).collect();
    assert_eq!(ids.len(), parameters.len(), "identifiers differ");
    let mut units: Vec<i32> = instrument.units().into_iter().map(|(id, _)| id).collect();
    // The root of all groups need not be told.
    units.push(0);
    for parameter in &parameters {
        assert!((0.0..=1.0).contains(&parameter.default), "{parameter:?}");
        assert!(!parameter.name.is_empty() && units.contains(&parameter.unit), "{parameter:?}");
    }
    for parameter in parameters.iter().filter(|parameter| parameter.is_shown) {
        for value in [0.0, parameter.default, 1.0] {
            let shown = instrument.show(parameter.id, value).unwrap();
            let read = instrument.read(parameter.id, &shown).unwrap();
            assert_eq!(instrument.show(parameter.id, read), Some(shown), "{parameter:?}");
        }
    }
    for channel in 0..16 {
        for controller in [PEDAL, ALL_SOUND_OFF, RESET, ALL_NOTES_OFF, WHEEL] {
            let id = instrument.controller(controller, channel).unwrap();
            assert!(ids.contains(&id), "hosts only send what they know");
        }
    }
}

#[test]
fn there_is_one_bus_for_notes_and_one_for_stereo_sound() {
    let (_module, mut instrument) = active();
    let buses = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(kind, to)| instrument.bus_count(kind, to));
    assert_eq!(buses, [0, 1, 1, 0]);
    assert_eq!(instrument.bus_channels(0, 1, 0), Some(2));
    assert_eq!(instrument.bus_count(9, 0) + instrument.bus_count(0, 9), 0);
    for index in [-1, 1, i32::MAX] {
        assert_eq!(instrument.bus_channels(0, 1, index), None);
        assert_ne!(instrument.activate_bus(0, 1, index, true), 0);
    }
    for _ in 0..3 {
        assert_eq!(instrument.activate_bus(0, 1, 0, true), 0);
    }
    instrument.set_active(false);
    assert_eq!(instrument.arrange(&mut [3]), 0, "left and right");
    for other in [0, 1, 0x3F] {
        assert_ne!(instrument.arrange(&mut [other]), 0, "{other:#x}");
    }
    assert_ne!(instrument.arrange(&mut [3, 3]), 0);
}

#[test]
fn what_cannot_be_played_is_refused() {
    let module = module();
    let mut instrument = module.instrument().unwrap();
    assert!(instrument.refuses_null());
    assert_ne!(instrument.process(&mut Block::new(64)), 0, "it does not know at which rate");
    for (rate, block, size) in [
        (0.0, 512, 0),
        (f64::NAN, 512, 0),
        (-48_000.0, 512, 0),
        (48_000.0, -1, 0),
        (48_000.0, 64, 1),
    ] {
        assert_ne!(instrument.set_up(rate, block, 0, size), 0, "{rate} {block} {size}");
    }
    assert!(instrument.plays(0) && !instrument.plays(1) && !instrument.plays(-1));

    assert_eq!(instrument.set_up(48_000.0, 512, 0, 0), 0);
    let mut early = Block::new(64);
    assert_ne!(instrument.process(&mut early), 0, "it is not active");
    assert!(early.is_untouched());

    let (_module, mut instrument) = active();
    for samples in [-1, -50_000, i32::MIN] {
        assert_ne!(instrument.process(&mut Block { samples, ..Block::new(512) }), 0);
    }
    let mut wide = Block { size: 1, ..Block::new(64) };
    assert_ne!(instrument.process(&mut wide), 0);
    assert!(wide.is_untouched());
    assert_eq!(instrument.latency(), 0);
}

#[test]
fn buses_without_memory_are_left_alone() {
    let (_module, mut instrument) = active();
    let channel = || Some(vec![f32::NAN; 64]);
    for channels in [vec![], vec![channel()], vec![None, None], vec![channel(), None]] {
        let mut block = Block { channels, ..Block::new(64) };
        instrument.process(&mut block);
        assert!(block.is_untouched());
    }
    let mut none = Block { buses: 0, ..Block::new(64) };
    instrument.process(&mut none);
    assert!(none.is_untouched());

    // More channels than it asked for: the first two are played.
    let mut three = Block { channels: vec![channel(), channel(), channel()], ..Block::new(64) };
    assert_eq!(instrument.process(&mut three), 0);
    assert!(three.channels.iter().take(2).flatten().flatten().all(|sample| sample.is_finite()));
    for samples in [0, 1, 512, 4096] {
        let mut block = Block::new(samples);
        assert_eq!(instrument.process(&mut block), 0, "{samples} of 512 that were promised");
        assert!(block.is_written());
    }
}

/// How many of the next blocks are not silent.
fn sounding(instrument: &mut Instrument, blocks: usize) -> usize {
    let heard = (0..blocks).map(|_| {
        let mut block = Block::new(512);
        assert_eq!(instrument.process(&mut block), 0);
        sleep(Duration::from_millis(10));
        block.channels.iter().flatten().flatten().any(|sample| *sample != 0.0)
    });
    heard.filter(|sounds| *sounds).count()
}

#[test]
fn a_key_that_comes_up_in_a_block_without_memory_is_let_go_of() {
    for buses in [0, 1] {
        let (_module, mut instrument) = active();
        let mut first = Block::new(512);
        first.press(0, 1, 60, 0.8);
        instrument.process(&mut first);
        assert!(sounding(&mut instrument, 150) > 20, "it is held");
        let mut bypassed = Block { buses, channels: vec![None, None], ..Block::new(512) };
        bypassed.release(5, 1, 60);
        assert_eq!(instrument.process(&mut bypassed), 0);
        sounding(&mut instrument, 150);
        assert_eq!(sounding(&mut instrument, 10), 0, "it is released");
    }
}

#[test]
fn a_parameter_changes_without_sound_too() {
    let (_module, mut instrument) = active();
    let parameter = instrument.parameter(1).unwrap();
    let changes = vec![Change { id: parameter.id, at: 0, value: 0.25 }];
    let mut flush = Block { changes, buses: 0, ..Block::new(0) };
    assert_eq!(instrument.process(&mut flush), 0);
    assert!((instrument.value(parameter.id) - 0.25).abs() < 1e-6);
}

#[test]
fn what_is_no_number_never_reaches_the_state() {
    let (_module, mut instrument) = active();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        for index in 0..instrument.parameter_count() {
            let id = instrument.parameter(index).unwrap().id;
            instrument.set(id, value);
            let changes = vec![Change { id, at: 3, value }];
            let mut block = Block { changes, ..Block::new(16) };
            instrument.process(&mut block);
            assert!(block.is_written());
        }
    }
    instrument.set_processing(false);
    instrument.set_active(false);
    let saved = instrument.project().save().unwrap();
    assert_eq!(
        module().instrument().unwrap().project().load(&saved),
        0,
        "{}",
        String::from_utf8_lossy(&saved)
    );
}

#[test]
fn states_come_and_go_in_any_order() {
    let (_module, mut instrument) = active();
    for step in 0..60 {
        // The same twice, then the other; and what a host should not do while it is active.
        let on = step % 4 < 2;
        let _ = match step % 3 {
            0 => instrument.set_processing(on),
            1 => instrument.set_active(on),
            _ => instrument.set_up(44_100.0 + f64::from(step), 256, 0, 0),
        };
        instrument.process(&mut Block::new(32));
    }
    instrument.set_active(false);
    let playback = Playback { mode: RenderMode::Offline, ..Playback::default() };
    let after = instrument.play(&PHRASE, &playback, &[]).unwrap();
    let fresh = module().instrument().unwrap().play(&PHRASE, &playback, &[]).unwrap();
    assert_eq!(difference(&fresh, &after), None);
}

#[test]
fn a_project_of_one_format_opens_in_the_other() {
    let (_module, vst3) = active();
    let seed = vst3.parameters().into_iter().find(|parameter| parameter.name == "Seed").unwrap();
    let mut clap = instrument();
    built::enter(&mut clap, "Seed", "7");
    // In CLAP the framework writes the length first.
    let saved = clap.save().unwrap();
    assert_eq!(vst3.project().load(&saved[8..]), 0);
    assert_eq!(vst3.show(seed.id, vst3.value(seed.id)), Some("7".to_owned()));
    let again = vst3.project().save().unwrap();
    assert_eq!(vst3.project().load(&again), 0);
    assert_eq!(params(&vst3.project().save().unwrap()), params(&again));
    for end in (0..again.len()).step_by(7) {
        assert_ne!(vst3.project().load(&again[..end]), 0, "a state that is cut off at {end}");
    }
    let unchanged = vst3.project().save().unwrap();
    assert_eq!(params(&unchanged), params(&again), "it changes nothing");
}

#[test]
fn a_state_comes_and_goes_in_pieces_as_small_as_a_host_likes() {
    let module = module();
    let mut instrument = module.instrument().unwrap();
    let id = instrument.parameter(1).unwrap().id;
    instrument.set(id, 0.3);
    let project = instrument.project();
    let saved = project.save().unwrap();
    for piece in [1, 17, 23] {
        assert_eq!(project.save_to(Some(piece), None).unwrap(), saved);
        let other = module.instrument().unwrap();
        assert_eq!(other.project().load_from(&saved, Some(piece)), 0);
        assert_eq!(params(&other.project().save().unwrap()), params(&saved));
    }
    assert!(project.save_to(Some(100), Some(150)).is_err(), "a full disk is told");
    assert!(project.save_to(None, Some(0)).is_err());
}

#[test]
fn what_comes_and_goes_ends_clean() {
    for life in 0..30 {
        let module = module();
        let mut instruments: Vec<_> = (0..3).map(|_| module.instrument().unwrap()).collect();
        if life % 10 == 0 {
            let playback = Playback { seconds: 1.2, ..Playback::default() };
            instruments[1].play(&PHRASE[..1], &playback, &[]).unwrap();
        }
        drop(instruments.swap_remove(life % 3));
    }
}

/// The parameters in a state; the reference to a bundle is completed while that loads.
fn params(state: &[u8]) -> Value {
    let params = serde_json::from_slice::<Value>(state).unwrap()["params"].clone();
    assert!(params.is_object());
    params
}

#[test]
fn a_state_may_be_loaded_and_saved_while_another_thread_plays() {
    let module = module();
    let state = |seed: f64| {
        let mut instrument = module.instrument().unwrap();
        let of_seed = instrument.parameters().into_iter().find(|p| p.name == "Seed").unwrap();
        instrument.set(of_seed.id, seed);
        instrument.project().save().unwrap()
    };
    let states = [state(0.25), state(0.75)];
    let mut instrument = module.instrument().unwrap();
    assert_eq!(instrument.set_up(48_000.0, 512, 0, 0), 0);
    assert_eq!(instrument.set_active(true), 0);
    instrument.set_processing(true);
    let project = instrument.project();
    let saved = std::thread::scope(|scope| {
        let main = scope.spawn(|| {
            let mut turns = states.iter().cycle().take(400);
            let torn = turns.find(|state| {
                project.load(state) != 0 || params(&project.save().unwrap()) != params(state)
            });
            torn.is_none()
        });
        let mut number = 0;
        while !main.is_finished() {
            let mut block = Block::new(64);
            (number % 40 == 0).then(|| block.press(0, number, 60, 0.8));
            (number % 40 == 30).then(|| block.release(0, number - 30, 60));
            assert_eq!(instrument.process(&mut block), 0);
            assert!(block.is_written());
            number += 1;
        }
        main.join().unwrap()
    });
    assert!(saved, "what is saved is what was loaded");
    instrument.set_active(false);
    let playback = Playback::default();
    let after = instrument.play(&PHRASE, &playback, &[]).unwrap();
    let fresh = module.instrument().unwrap();
    assert_eq!(fresh.project().load(&states[1]), 0);
    let mut fresh = fresh;
    assert_eq!(difference(&fresh.play(&PHRASE, &playback, &[]).unwrap(), &after), None);
}

#[test]
fn instances_come_and_go_on_threads_of_their_own() {
    let module = module();
    let playback = Playback { seconds: 1.5, ..Playback::default() };
    let reference = module.instrument().unwrap().play(&PHRASE[..1], &playback, &[]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let mut instrument = module.instrument().unwrap();
                    let heard = instrument.play(&PHRASE[..1], &playback, &[]).unwrap();
                    assert_eq!(difference(&reference, &heard), None);
                }
            });
        }
    });
}

#[test]
fn the_rate_may_change_as_often_as_a_host_likes() {
    let module = module();
    let mut instrument = module.instrument().unwrap();
    for rate in [44_100, 96_000, 192_000, 44_100, 22_050, 768_000].into_iter().cycle().take(100) {
        // The note still sounds when the rate changes.
        let notes = [Note { start: 0.0, end: 9.0, ..PHRASE[0] }];
        let playback = Playback { rate, seconds: 0.1, ..Playback::default() };
        let heard = instrument.play(&notes, &playback, &[]).unwrap();
        assert!(heard.rms_db() > -60.0 && heard.is_finite(), "{rate} Hz");
    }
    let playback = Playback::default();
    let after = instrument.play(&PHRASE, &playback, &[]).unwrap();
    let fresh = module.instrument().unwrap().play(&PHRASE, &playback, &[]).unwrap();
    assert_eq!(difference(&fresh, &after), None);
}

fn assert_endured(seeds: std::ops::Range<u64>, calls: u32) {
    let module = module();
    let playback = Playback::default();
    let reference = module.instrument().unwrap().play(&PHRASE, &playback, &[]).unwrap();
    for seed in seeds {
        let mut instrument = module.instrument().unwrap();
        let saved = instrument.project().save().unwrap();
        let endured = instrument.endure(seed, calls);
        assert!(endured.samples > 0 && endured.peak <= 1.0, "seed {seed}: {endured:?}");
        assert_eq!(endured.not_finite, 0, "seed {seed}: {endured:?}");
        assert_eq!(instrument.project().load(&saved), 0);
        let after = instrument.play(&PHRASE, &playback, &[]).unwrap();
        assert_eq!(difference(&reference, &after), None, "seed {seed}");
    }
}

#[test]
fn what_a_rough_host_calls_harms_nothing() {
    assert_endured(0..3, 300);
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn what_a_rough_host_calls_for_long_harms_nothing() {
    assert_endured(100..160, 2000);
}
