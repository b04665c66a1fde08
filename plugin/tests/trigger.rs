//! What the going down and coming up of keys does.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use distill_plugin::engine::{Trigger, Voicing};
use toy::{HOP, Stage, key, note};

/// A stage on which keys do what `trigger` says.
fn stage(trigger: Trigger) -> Stage {
    let mut stage = Stage::new(7);
    stage.settings.trigger = trigger;
    stage.settings.shape.one_shot = trigger == Trigger::OneShot;
    stage.settings.shape.decay = 0.1;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage
}

/// Whether anything is heard in the last of the next `frames`.
fn sounds(stage: &mut Stage, frames: usize) -> bool {
    stage.listen(frames * HOP)[0][(frames - 1) * HOP..].iter().any(|sample| *sample != 0.0)
}

#[test]
fn a_gated_note_ends_with_its_key() {
    let mut stage = stage(Trigger::Gate);
    stage.engine.note_on(note(60));
    assert!(sounds(&mut stage, 100));
    stage.engine.note_off(&key(60));
    assert!(!sounds(&mut stage, 100));
}

#[test]
fn a_one_shot_lasts_as_long_as_attack_and_decay_whatever_the_key_does() {
    let heard = |released: bool| {
        let mut stage = stage(Trigger::OneShot);
        stage.engine.note_on(note(60));
        if released {
            stage.engine.note_off(&key(60));
        }
        let heard = stage.listen(9600);
        assert!(!stage.engine.is_sounding(), "a tenth of a second and its release");
        heard
    };
    let held = heard(false);
    assert_eq!(heard(true), held);
    assert!(held[0][4700..4800].iter().any(|sample| *sample != 0.0));
}

#[test]
fn a_latched_note_sounds_until_its_key_goes_down_again() {
    let mut stage = stage(Trigger::Latch);
    stage.engine.note_on(note(60));
    stage.engine.note_off(&key(60));
    stage.engine.note_on(note(64));
    stage.engine.note_off(&key(64));
    assert!(sounds(&mut stage, 100));
    stage.engine.note_on(note(64));
    assert!(sounds(&mut stage, 100), "the other goes on");
    stage.engine.note_on(note(60));
    assert!(!sounds(&mut stage, 100));
    stage.engine.note_on(note(60));
    assert!(sounds(&mut stage, 100), "and begins anew");
    stage.settings.trigger = Trigger::Gate;
    assert!(!sounds(&mut stage, 100), "nothing is latched for ever");
}

#[test]
fn the_pedal_lets_go_of_nothing_that_keys_do_not_hold() {
    for voicing in [Voicing::Poly, Voicing::Mono, Voicing::Legato] {
        let mut stage = stage(Trigger::Latch);
        stage.settings.voicing = voicing;
        stage.begin(0);
        stage.engine.note_on(note(60));
        stage.engine.note_off(&key(60));
        assert!(sounds(&mut stage, 10));
        stage.engine.pedal(3, false);
        assert!(sounds(&mut stage, 100), "{voicing:?}: latched");
    }
    let mut stage = stage(Trigger::OneShot);
    stage.settings.voicing = Voicing::Mono;
    stage.begin(0);
    stage.engine.note_on(note(60));
    stage.listen(9600);
    assert!(!stage.engine.is_sounding());
    stage.engine.pedal(0, false);
    assert!(!stage.engine.is_sounding(), "the key is down, and has had its shot");
}

#[test]
fn a_latched_line_ends_with_the_key_that_led_it_last() {
    let mut stage = stage(Trigger::Latch);
    stage.settings.voicing = Voicing::Legato;
    stage.begin(0);
    for pressed in [60, 64] {
        stage.engine.note_on(note(pressed));
        stage.engine.note_off(&key(pressed));
        assert!(sounds(&mut stage, 10), "{pressed}");
    }
    stage.engine.note_on(note(60));
    stage.engine.note_off(&key(60));
    assert!(sounds(&mut stage, 100), "it is led back");
    stage.engine.note_on(note(60));
    assert!(!sounds(&mut stage, 100));
}
