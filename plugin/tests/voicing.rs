//! What keys that are down together do.

mod toy;

use distill_plugin::engine::Voicing;
use distill_plugin::zones::Keys;
use distill_shared::player::Sampling;
use toy::{HOP, Stage, key, note};

/// Samples after which a voice that makes room is silent.
const FADE: usize = 240;

fn stage(voicing: Voicing) -> Stage {
    let mut stage = Stage::new(7);
    stage.settings.voicing = voicing;
    stage.settings.shape.release = 0.001;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage
}

fn take(n: u64, frames: usize) -> Vec<f32> {
    let sound = toy::take(&toy::model(7), n, frames, |_| Sampling::default());
    sound.iter().map(|sample| sample[0]).collect()
}

fn listen(stage: &mut Stage, frames: usize) -> Vec<f32> {
    let [left, _] = stage.listen(frames * HOP);
    left
}

fn ends(stage: &mut Stage) -> bool {
    stage.listen(FADE);
    listen(stage, 4).iter().all(|sample| *sample == 0.0)
}

#[test]
fn of_mono_notes_the_newest_sounds_and_then_the_one_before_begins_anew() {
    let mut stage = stage(Voicing::Mono);
    stage.engine.note_on(note(60));
    assert_eq!(listen(&mut stage, 4), take(0, 4));
    stage.engine.note_on(note(64));
    assert_eq!(listen(&mut stage, 4)[FADE..], take(1, 4)[FADE..]);
    stage.engine.note_off(&key(64));
    assert_eq!(listen(&mut stage, 4)[FADE..], take(2, 4)[FADE..]);
    stage.engine.note_off(&key(60));
    assert!(ends(&mut stage));
}

#[test]
fn a_mono_note_goes_on_when_an_older_key_comes_up() {
    let mut stage = stage(Voicing::Mono);
    stage.engine.note_on(note(60));
    stage.listen(100);
    stage.engine.note_on(note(64));
    let mut heard = listen(&mut stage, 4);
    stage.engine.note_off(&key(60));
    heard.extend(listen(&mut stage, 4));
    assert_eq!(heard[FADE..], take(1, 8)[FADE..]);
    stage.engine.note_off(&key(64));
    assert!(ends(&mut stage));
}

#[test]
fn legato_keys_share_a_take() {
    let mut stage = stage(Voicing::Legato);
    stage.engine.note_on(note(60));
    let mut heard = listen(&mut stage, 4);
    stage.engine.note_on(note(64));
    heard.extend(listen(&mut stage, 4));
    stage.engine.note_off(&key(64));
    heard.extend(listen(&mut stage, 4));
    assert_eq!(heard, take(0, 12));
    stage.engine.note_off(&key(60));
    assert!(ends(&mut stage));
    stage.engine.note_on(note(64));
    assert_eq!(listen(&mut stage, 4), take(1, 4), "the next is another");
}

#[test]
fn a_legato_take_is_heard_at_the_pitch_of_the_newest_key() {
    let heard = |led: bool| {
        let mut stage = stage(Voicing::Legato);
        stage.settings.keys = Keys::Pitches;
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage.engine.note_on(note(60));
        let mut heard = listen(&mut stage, 4);
        if led {
            stage.engine.note_on(note(72));
        } else {
            stage.settings.tune = 12.0;
        }
        heard.extend(listen(&mut stage, 4));
        if led {
            stage.engine.note_off(&key(72));
        } else {
            stage.settings.tune = 0.0;
        }
        heard.extend(listen(&mut stage, 4));
        heard
    };
    assert_eq!(heard(true), heard(false), "an octave up and back");
}

#[test]
fn a_pedal_holds_mono_keys() {
    let mut stage = stage(Voicing::Mono);
    stage.engine.note_on(note(60));
    stage.engine.pedal(0, true);
    stage.engine.note_off(&key(60));
    assert_eq!(listen(&mut stage, 4), take(0, 4));
    stage.engine.pedal(0, false);
    assert!(ends(&mut stage));
}

#[test]
fn a_choke_is_heard_by_the_take_that_its_key_leads() {
    let mut stage = stage(Voicing::Legato);
    stage.engine.note_on(note(60));
    stage.listen(100);
    stage.engine.note_on(note(64));
    stage.engine.note_off(&key(60));
    stage.listen(100);
    stage.engine.choke(&key(60));
    stage.listen(FADE);
    assert!(listen(&mut stage, 4).iter().any(|sample| *sample != 0.0), "no key of it is down");
    stage.engine.choke(&key(64));
    assert!(ends(&mut stage));
}

#[test]
fn what_was_let_go_of_makes_room_before_what_is_held() {
    let mut stage = stage(Voicing::Poly);
    stage.settings.voices = 2;
    stage.settings.shape.release = 100.0;
    stage.engine.note_on(note(60));
    stage.listen(100);
    stage.engine.note_on(note(62));
    stage.engine.note_off(&key(62));
    stage.listen(100);
    stage.engine.note_on(note(64));
    stage.listen(2 * FADE);
    assert_eq!(stage.instance.sounding(), 1 << 60 | 1 << 64);
    // Of what is held the oldest.
    stage.engine.note_on(note(65));
    stage.listen(2 * FADE);
    assert_eq!(stage.instance.sounding(), 1 << 64 | 1 << 65);
}

#[test]
fn a_legato_take_that_is_led_too_far_keeps_the_name_of_the_pitch() {
    let heard = |led: u8| {
        let mut stage = stage(Voicing::Legato);
        stage.settings.keys = Keys::Pitches;
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage.engine.note_on(note(60));
        stage.engine.note_on(note(led));
        listen(&mut stage, 8)
    };
    assert_eq!(heard(60 + 30), heard(60 + 18));
    assert_eq!(heard(60 - 25), heard(60 - 13));
    assert_ne!(heard(60 + 30), heard(60 + 24));
}
