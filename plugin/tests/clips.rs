//! What was played is kept as codes, and plays again from a pad to the bit.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "clips/auditions.rs"]
mod auditions;
mod toy;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use distill_plugin::auditions::Audition;
use distill_plugin::clips::{Clip, Clips};
use distill_plugin::engine::{Playing, Settings, Trigger, Voicing};
use distill_plugin::envelope::{FADE_SECONDS, Shape};
use distill_plugin::export::{Export, Format};
use distill_plugin::instance::ModelRef;
use distill_plugin::preview::Preview;
use distill_shared::codes::Codes;
use distill_shared::player::{Model, Playback, Sampling};
use toy::{CODEC, HOP, Keys, RATE, Stage, clip, key, model, note, random_codes, settings};

const FRAMES: u32 = 20;

/// What a clip sounds like by itself, and then silence: the left side.
fn played(model: &Arc<Model>, codes: &Codes, frames: usize) -> Vec<f32> {
    let codes = Arc::new(codes.clone());
    let mut playback = Playback::new(model, &codes, 0..codes.frames(), false).unwrap();
    let mut frame = vec![0.0; 2 * HOP];
    let mut sound = Vec::new();
    for _ in 0..frames {
        playback.step(&mut frame);
        sound.extend_from_slice(&frame[..HOP]);
    }
    sound
}

/// A stage whose keys are pads, with a clip on pad 5.
fn stage(codes: &Codes) -> Stage {
    let mut stage = Stage::new(7);
    stage.settings.keys = Keys::Pads;
    stage.instance.pads().set(5, Some(clip(codes)));
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage
}

/// The left side of a note of `frames` frames.
fn strike(stage: &mut Stage, pressed: u8, frames: usize) -> Vec<f32> {
    stage.engine.note_on(note(pressed));
    let heard = stage.listen(frames * HOP)[0].clone();
    stage.engine.note_off(&key(pressed));
    stage.listen(2 * HOP);
    heard
}

#[test]
fn what_was_heard_plays_again_from_a_pad_to_the_bit() {
    let mut stage = Stage::new(7);
    let heard = strike(&mut stage, 60, 30);
    let take = stage.instance.history().get(1).unwrap();
    // The frame that was begun when its key came up, and those in its release.
    assert!((30..=33).contains(&take.codes.frames()), "{}", take.codes.frames());
    assert_eq!(&*take.codec, CODEC.repeat(32));
    let codes = take.codes.first(30);
    stage.instance.pads().set(5, Some(clip(&codes)));
    stage.settings.keys = Keys::Pads;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    let again = strike(&mut stage, 5, 30);
    // The last frames fade, and lack what would have followed.
    assert_eq!(again[..27 * HOP], heard[..27 * HOP]);
    assert!(heard.iter().any(|sample| sample.abs() > 1e-3));
}

#[test]
fn a_pad_plays_its_clip_and_then_nothing_and_other_pads_make_new_sound() {
    let codes = random_codes(FRAMES, 3);
    let mut stage = stage(&codes);
    let whole = played(&model(7), &codes, 30);
    assert_eq!(strike(&mut stage, 5, 30), whole);
    assert_eq!(strike(&mut stage, 29, 30), whole, "the same pad, and the same again");
    let other = toy::take(&model(7), (129 + 6) << 32, 30, |_| Sampling::default());
    let other: Vec<f32> = other.iter().map(|[left, _]| *left).collect();
    assert_eq!(strike(&mut stage, 6, 30), other);
}

#[test]
fn a_clip_that_is_saved_and_loaded_sounds_the_same() {
    let codes = random_codes(FRAMES, 3);
    let before = strike(&mut stage(&codes), 5, 25);
    let mut first = stage(&codes);
    let text = serde_json::to_string(&first.instance.pads().clips().saved()).unwrap();
    let mut second = Stage::new(7);
    second.settings.keys = Keys::Pads;
    second.instance.pads().replace(Clips::read(&text).unwrap());
    second.engine.reset(&second.settings.clone());
    second.work();
    assert_eq!(strike(&mut second, 5, 25), before);
    assert_eq!(strike(&mut first, 5, 25), before);
}

#[test]
fn a_clip_of_another_codec_is_kept_and_not_played() {
    let codes = random_codes(FRAMES, 3);
    let mut stage = stage(&codes);
    let foreign = Clip { codec: "ab".repeat(32), ..clip(&codes) };
    stage.instance.pads().set(5, Some(foreign));
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    let other = toy::take(&model(7), (129 + 5) << 32, 25, |_| Sampling::default());
    let other: Vec<f32> = other.iter().map(|[left, _]| *left).collect();
    assert_eq!(strike(&mut stage, 5, 25), other);
    assert!(stage.instance.pads().clips().get(5).is_some());
}

#[test]
fn an_edited_clip_is_what_the_next_notes_play() {
    let (old, new) = (random_codes(FRAMES, 3), random_codes(FRAMES, 4));
    let mut stage = stage(&old);
    assert_eq!(strike(&mut stage, 5, 25), played(&model(7), &old, 25));
    stage.instance.pads().set(5, Some(clip(&new)));
    // A while after, as with all settings.
    stage.listen(2 * 48_000);
    assert_eq!(strike(&mut stage, 5, 25), played(&model(7), &new, 25));
}

#[test]
fn keeping_a_take_while_pads_play_leaves_the_other_pads_alone() {
    let codes = random_codes(FRAMES, 3);
    let mut stage = stage(&codes);
    strike(&mut stage, 6, 4);
    stage.instance.pads().set(7, Some(clip(&codes)));
    // The heads that are there go on, and so does their count.
    let second = toy::take(&model(7), (129 + 6) << 32 | 1, 4, |_| Sampling::default());
    let second: Vec<f32> = second.iter().map(|[left, _]| *left).collect();
    stage.engine.note_on(note(6));
    let mut heard = vec![0.0; 64];
    stage.begin(64);
    stage.engine.render(&mut heard, &mut [0.0; 64]);
    assert_eq!(heard, second[..64]);
}

#[test]
fn pads_go_on_counting_once_a_clip_has_come() {
    let codes = random_codes(FRAMES, 3);
    let mut stage = stage(&codes);
    strike(&mut stage, 6, 4);
    stage.instance.pads().set(7, Some(clip(&codes)));
    stage.listen(3 * 48_000);
    assert_eq!(strike(&mut stage, 7, 30), played(&model(7), &codes, 30));
    let second = toy::take(&model(7), (129 + 6) << 32 | 1, 4, |_| Sampling::default());
    let second: Vec<f32> = second.iter().map(|[left, _]| *left).collect();
    assert_eq!(strike(&mut stage, 6, 4), second);
}

#[test]
fn a_voice_makes_room_where_its_clip_is_over() {
    let codes = random_codes(FRAMES, 3);
    let mut held = stage(&codes);
    held.engine.note_on(note(5));
    held.listen(40 * HOP);
    assert!(!held.engine.is_sounding(), "its key is down all along");
    assert_eq!(held.instance.missed(), 0);
}

#[test]
fn an_endless_clip_begins_again_where_it_ends_to_the_sample_however_it_is_cut() {
    let codes = random_codes(FRAMES, 3);
    // At its own speed, and at one that ends between two samples.
    for rate in [toy::RATE, 44_100.0] {
        let heard = |block: usize| {
            let mut stage = stage(&codes);
            stage.instance.pads().set(12, Some(clip(&codes)));
            stage.settings.playing = Playing::Always;
            stage.engine.activate(rate, false);
            stage.engine.reset(&stage.settings.clone());
            stage.work();
            let mut heard = [vec![f32::NAN; 100 * HOP], vec![f32::NAN; 100 * HOP]];
            stage.play(&mut heard, block);
            assert_eq!(stage.instance.missed(), 0);
            heard
        };
        let whole = heard(128);
        assert!([1, 61, 509].iter().all(|block| heard(*block) == whole), "at {rate} Hz");
        if rate == toy::RATE {
            let clip = played(&model(7), &codes, FRAMES as usize);
            let mut clips = whole[0].chunks_exact(FRAMES as usize * HOP);
            assert!(clips.len() > 3 && clips.all(|heard| *heard == clip[..]));
        }
    }
}

#[test]
fn a_clip_fades_from_its_end_however_blocks_are_cut() {
    let codes = random_codes(FRAMES, 3);
    let heard = |block: usize| {
        let mut stage = stage(&codes);
        stage.engine.activate(44_100.0, false);
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage.engine.note_on(note(5));
        let mut heard = [vec![f32::NAN; 40 * HOP], vec![f32::NAN; 40 * HOP]];
        stage.play(&mut heard, block);
        heard
    };
    let whole = heard(128);
    assert!([1, 61, 500].iter().all(|block| heard(*block) == whole));
}

#[test]
fn what_a_pad_played_to_its_end_is_in_the_history_whole() {
    for frames in [3, FRAMES] {
        let codes = random_codes(frames, 3);
        let mut stage = stage(&codes);
        strike(&mut stage, 5, 40);
        let heard = stage.instance.history().get(1).unwrap();
        assert_eq!(heard.codes, codes);
    }
}

#[test]
fn a_file_holds_what_a_host_renders() {
    let codes = random_codes(FRAMES, 3);
    for rate in [44_100.0, 48_000.0, 96_000.0] {
        let model = model(7);
        let mut stage = stage(&codes);
        stage.settings.tune = -2.0;
        stage.engine.activate(rate, false);
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage.engine.note_on(note(5));
        let folder = tempfile::tempdir().unwrap();
        let export = Export {
            model: ModelRef { model: Arc::downgrade(&model), codec: CODEC.repeat(32) },
            clip: clip(&codes),
            // A one-shot is heard to its end, too.
            settings: Settings {
                trigger: Trigger::OneShot,
                shape: Shape { one_shot: true, decay: 0.1, ..stage.settings.shape },
                ..stage.settings
            },
            rate,
            format: Format::WavFloat,
            folder: folder.path().join("Exports"),
        };
        let path = export.write(&AtomicBool::new(false)).unwrap();
        let mut file = hound::WavReader::open(&path).unwrap();
        let samples: Vec<f32> = file.samples().map(Result::unwrap).collect();
        let heard = stage.listen(samples.len() / 2);
        let wanted: Vec<f32> = heard[0].iter().zip(&heard[1]).flat_map(|(l, r)| [*l, *r]).collect();
        assert_eq!(samples, wanted, "at {rate} Hz");
        let seconds = FRAMES as f32 * HOP as f32 / 48_000.0 * (2.0_f32 / 12.0).exp2();
        assert!((samples.len() as f32 / 2.0 / rate - seconds).abs() < 1e-3);
        // What follows is what the filter for other rates makes of the end, and silence.
        assert!(stage.listen(HOP)[0].iter().all(|sample| sample.abs() < 1e-3));
        stage.listen(3 * HOP);
        assert!(stage.listen(HOP)[0].iter().all(|sample| *sample == 0.0));
        assert!(path.with_extension("json").exists(), "its codes lie beside it");
    }
}

#[test]
fn an_export_without_its_bundle_or_a_folder_says_so() {
    let codes = random_codes(FRAMES, 3);
    let model = model(7);
    let export = |model: ModelRef, folder: PathBuf| Export {
        model,
        clip: clip(&codes),
        settings: settings(),
        rate: 48_000.0,
        format: Format::Flac16,
        folder,
    };
    let going = AtomicBool::new(false);
    let gone = export(ModelRef::default(), PathBuf::new()).write(&going).unwrap_err();
    assert!(gone.contains("another bundle"), "{gone}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, []).unwrap();
    let there = ModelRef { model: Arc::downgrade(&model), codec: CODEC.repeat(32) };
    let refused = export(there.clone(), file.join("Exports")).write(&going).unwrap_err();
    assert!(refused.contains("Exports"), "{refused}");
    let foreign = ModelRef { codec: "ab".repeat(32), ..there.clone() };
    let refused = export(foreign, folder.path().to_owned()).write(&going).unwrap_err();
    assert!(refused.contains("another bundle"), "{refused}");
    going.store(true, Ordering::Relaxed);
    let ended = export(there, folder.path().to_owned()).write(&going).unwrap_err();
    assert!(ended.contains("closed"), "{ended}");
}

#[test]
fn a_clip_that_is_over_is_not_struck_again_by_keys_that_come_up() {
    let codes = random_codes(FRAMES, 3);
    let mut stage = stage(&codes);
    stage.instance.pads().set(6, Some(clip(&codes)));
    stage.settings.voicing = Voicing::Mono;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage.engine.note_on(note(6));
    stage.listen(2 * HOP);
    stage.engine.note_on(note(5));
    stage.listen(40 * HOP);
    assert!(!stage.engine.is_sounding(), "it is over");
    stage.engine.note_off(&key(6));
    stage.engine.pedal(0, false);
    let heard = stage.listen(4 * HOP)[0].clone();
    assert!(heard.iter().all(|sample| *sample == 0.0));
}

#[test]
fn a_clip_begins_again_and_again_while_its_key_is_down_or_latched() {
    let codes = random_codes(FRAMES, 3);
    let begun = |trigger: Trigger| {
        let mut stage = stage(&codes);
        stage.settings.playing = Playing::WithKeys;
        stage.settings.trigger = trigger;
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        let silence = stage.listen(4 * HOP)[0].clone();
        assert!(silence.iter().all(|sample| *sample == 0.0), "no key is down");
        stage.engine.note_on(note(5));
        if trigger == Trigger::Latch {
            stage.engine.note_off(&key(5));
        }
        let heard = stage.listen(200 * HOP)[0].clone();
        // It ends with its key: the latch with the next time that it goes down.
        match trigger {
            Trigger::Latch => stage.engine.note_on(note(5)),
            _ => stage.engine.note_off(&key(5)),
        }
        stage.listen(40 * HOP);
        assert!(stage.listen(40 * HOP)[0].iter().all(|sample| *sample == 0.0));
        let first = &played(&model(7), &codes, 1)[..HOP];
        (0..heard.len() - HOP).filter(|at| heard[*at..*at + HOP] == *first).count()
    };
    assert!(begun(Trigger::Gate) > 4);
    assert!(begun(Trigger::Latch) > 4);
    assert_eq!(begun(Trigger::OneShot), 1);
}
