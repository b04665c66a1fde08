//! One endless take instead of notes: when it sounds, begins anew, is frozen, and is a loop.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::sync::Arc;

use distill_plugin::engine::{Playing, Trigger};
use distill_plugin::expression::Expression;
use distill_plugin::meter::{Meter, Song};
use distill_plugin::state::BundleRef;
use distill_plugin::stream::{Hold, LOOKAHEAD};
use distill_plugin::voices::Which;
use distill_shared::model::conditioning::{Conditioning, Distribution, Pitches};
use distill_shared::player::Sampling;
use toy::{HOP, RATE, Stage, key, note};

/// Beats per minute of the song, whose bars have four.
const TEMPO: f64 = 1200.0;
/// Samples of a bar.
const BAR: usize = 9600;
/// Samples after which a take that makes room is silent.
const FADE: usize = 240;
const ALL: Which = Which { id: None, channel: None, key: None };

/// A stage on which `playing` sounds, and the transport stands.
fn stage(playing: Playing) -> Stage {
    let mut stage = Stage::new(7);
    stage.settings.playing = playing;
    stage.settings.shape.release = 0.001;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage
}

/// The first `len` samples of the left side of take `n`, its frames held as `hold` says.
fn take(n: u64, len: usize, hold: impl Fn(usize) -> Hold) -> Vec<f32> {
    let sampling = |frame| Sampling { frozen: hold(frame) == Hold::Freeze, ..Sampling::default() };
    let sound = toy::take(&toy::model(7), n, len.div_ceil(HOP), sampling);
    sound[..len].iter().map(|sample| sample[0]).collect()
}

fn never(_: usize) -> Hold {
    Hold::Off
}

fn listen(stage: &mut Stage, len: usize) -> Vec<f32> {
    let [left, _] = stage.listen(len);
    left
}

fn is_silent(sound: &[f32]) -> bool {
    sound.iter().all(|sample| *sample == 0.0)
}

/// Where the song is at a sample.
fn meter(at: usize) -> Option<Meter> {
    let beat = at as f64 / BAR as f64 * 4.0;
    let song = Song { beat, tempo: TEMPO, bar_beats: 4.0, bar: None, loop_beat: None };
    Meter::new(&song, RATE)
}

/// Starts the transport at sample `start` of the song and plays up to `end`, in blocks of the next of
/// `blocks` samples.
fn play(stage: &mut Stage, start: usize, end: usize, blocks: &[usize]) -> Vec<f32> {
    (stage.playing, stage.meter) = (false, meter(start));
    stage.listen(256);
    stage.playing = true;
    go_on(stage, start, end, blocks)
}

/// The same with the transport already running.
fn go_on(stage: &mut Stage, start: usize, end: usize, blocks: &[usize]) -> Vec<f32> {
    let mut heard = Vec::new();
    let mut blocks = blocks.iter().cycle();
    while start + heard.len() < end {
        let at = start + heard.len();
        let len = (*blocks.next().unwrap()).min(end - at);
        stage.meter = meter(at);
        stage.work();
        stage.begin(len);
        let (mut left, mut right) = (vec![0.0; len], vec![0.0; len]);
        for (left, right) in left.chunks_mut(500).zip(right.chunks_mut(500)) {
            stage.engine.render(left, right);
            stage.work();
        }
        stage.engine.finish();
        heard.extend(left);
    }
    heard
}

#[test]
fn with_the_transport_a_take_begins_and_ends() {
    let mut stage = stage(Playing::WithTransport);
    assert!(is_silent(&listen(&mut stage, 1000)));
    for _ in 0..2 {
        stage.playing = true;
        assert_eq!(listen(&mut stage, 20 * HOP), take(0, 20 * HOP, never));
        stage.playing = false;
        listen(&mut stage, FADE);
        assert!(is_silent(&listen(&mut stage, 1000)));
    }
}

#[test]
fn always_is_always_whatever_the_keys_do() {
    let mut stage = stage(Playing::Always);
    let mut heard = listen(&mut stage, 5 * HOP);
    stage.engine.note_on(note(72));
    heard.extend(listen(&mut stage, 5 * HOP));
    stage.engine.note_off(&key(72));
    stage.engine.choke(&key(72));
    stage.engine.express(&key(60), Expression::Tuning(5.0));
    stage.engine.choke(&key(60));
    stage.engine.pedal(0, false);
    heard.extend(listen(&mut stage, 10 * HOP));
    assert_eq!(heard, take(0, 20 * HOP, never));
}

#[test]
fn what_no_key_begins_has_a_pitch_and_a_velocity_of_its_own() {
    let knots = std::array::from_fn(|knot| knot as f32);
    let pitch = Pitches::new([36, 40, 43]);
    let offered =
        Conditioning { pitch, velocity: Some(Distribution(knots)), ..Conditioning::default() };
    let model = toy::asked_model(7, offered);
    for playing in [Playing::WithTransport, Playing::Always] {
        let mut stage = Stage::with_model(Arc::clone(&model));
        stage.settings.playing = playing;
        stage.engine.reset(&stage.settings.clone());
        stage.playing = true;
        stage.work();
        let take = toy::take(&model, 0, 10, |_| Sampling::default());
        let left: Vec<f32> = take.iter().map(|sample| sample[0]).collect();
        assert_eq!(listen(&mut stage, 10 * HOP), left, "{playing:?}");
    }
}

#[test]
fn a_key_at_a_bar_line_begins_one_take() {
    let mut stage = stage(Playing::WithKeys);
    stage.settings.restart_bars = 1;
    (stage.playing, stage.meter) = (true, meter(0));
    stage.work();
    stage.begin(480);
    stage.engine.note_on(note(60));
    let (mut left, mut right) = (vec![0.0; 480], vec![0.0; 480]);
    stage.engine.render(&mut left, &mut right);
    stage.engine.finish();
    assert_eq!(left, take(0, 480, never));
}

#[test]
fn a_bundle_that_is_still_read_is_no_end_of_what_sounds() {
    let mut stage = stage(Playing::WithTransport);
    stage.settings.restart_bars = 1;
    let mut heard = play(&mut stage, 0, BAR / 2, &[480]);
    stage.instance.choose(BundleRef::default());
    heard.extend(go_on(&mut stage, BAR / 2, 2 * BAR, &[480]));
    assert_eq!(heard, take(0, 2 * BAR, never));
    stage.deliver(&toy::model(8));
    stage.work();
    let other = go_on(&mut stage, 2 * BAR, 4 * BAR, &[480]);
    assert_ne!(other[..BAR], take(0, 3 * BAR, never)[2 * BAR..], "it takes over");
    assert!(!is_silent(&other[..BAR]));
}

#[test]
fn a_choke_silences_it_until_playback_begins_anew() {
    let mut stage = stage(Playing::WithTransport);
    stage.playing = true;
    listen(&mut stage, 1000);
    stage.engine.choke(&ALL);
    listen(&mut stage, FADE);
    assert!(is_silent(&listen(&mut stage, 10_000)));
    stage.playing = false;
    listen(&mut stage, 100);
    stage.playing = true;
    assert_eq!(listen(&mut stage, 5 * HOP), take(0, 5 * HOP, never));
}

#[test]
fn silence_of_another_channel_leaves_it_to_begin_anew() {
    let heard = |silenced: bool| {
        let mut stage = stage(Playing::Always);
        stage.settings.restart_bars = 1;
        let mut heard = play(&mut stage, 0, BAR, &[480]);
        if silenced {
            stage.engine.choke(&Which::of_channel(3));
        }
        heard.extend(go_on(&mut stage, BAR, 3 * BAR, &[480]));
        heard
    };
    assert_eq!(heard(true), heard(false));
}

#[test]
fn with_keys_one_take_lasts_as_long_as_any_is_down() {
    let mut stage = stage(Playing::WithKeys);
    assert!(is_silent(&listen(&mut stage, 1000)));
    stage.engine.note_on(note(60));
    let mut heard = listen(&mut stage, 5 * HOP);
    stage.engine.note_on(note(72));
    stage.engine.note_off(&key(60));
    heard.extend(listen(&mut stage, 5 * HOP));
    assert_eq!(heard, take(0, 10 * HOP, never));
    stage.engine.note_off(&key(72));
    listen(&mut stage, FADE);
    assert!(is_silent(&listen(&mut stage, 1000)));
    stage.engine.note_on(note(64));
    assert_eq!(listen(&mut stage, 5 * HOP), take(1, 5 * HOP, never));
}

#[test]
fn it_begins_anew_at_its_bars_to_the_sample_however_they_are_cut() {
    for playing in [Playing::WithTransport, Playing::WithKeys, Playing::Always] {
        let heard = |blocks: &[usize]| {
            let mut stage = stage(playing);
            stage.settings.restart_bars = 2;
            if playing == Playing::WithKeys {
                stage.engine.note_on(note(60));
            }
            play(&mut stage, 0, 6 * BAR, blocks)
        };
        let whole = heard(&[480]);
        for n in 0..3 {
            let begins = 2 * n * BAR;
            let take = take(n as u64, 2 * BAR, never);
            assert_eq!(whole[begins + FADE..begins + 2 * BAR], take[FADE..], "{playing:?}, {n}");
        }
        for blocks in [&[1, 333, 64, 1000][..], &[9600], &[7]] {
            assert_eq!(heard(blocks), whole, "{playing:?}, {blocks:?}");
        }
    }
}

#[test]
fn with_one_variation_every_restart_plays_the_same_phrase() {
    let heard = |variations| {
        let mut stage = stage(Playing::WithTransport);
        stage.settings.restart_bars = 1;
        stage.settings.variations = variations;
        play(&mut stage, 0, 3 * BAR, &[480])
    };
    let (same, other) = (heard(1), heard(2));
    assert_eq!(same[BAR + FADE..2 * BAR], same[FADE..BAR]);
    assert_eq!(same[2 * BAR..], same[BAR..2 * BAR]);
    assert_ne!(other[BAR + FADE..2 * BAR], other[FADE..BAR]);
    assert_eq!(other[2 * BAR + FADE..], other[FADE..BAR]);
}

#[test]
fn locked_to_bars_a_part_of_the_song_is_that_part_of_the_whole() {
    let heard = |start: usize, end: usize, blocks: &[usize]| {
        let mut stage = stage(Playing::WithTransport);
        stage.settings.restart_bars = 1;
        stage.settings.locked = true;
        play(&mut stage, start * BAR, end * BAR, blocks)
    };
    let whole = heard(0, 5, &[480]);
    let part = heard(2, 4, &[1000, 77]);
    // Before it was the end of another bar, which the part does not have.
    assert_eq!(part[FADE..], whole[2 * BAR + FADE..4 * BAR]);
    assert_ne!(whole[FADE..BAR], whole[BAR + FADE..2 * BAR]);
}

#[test]
fn a_frozen_take_goes_on_as_it_is_from_the_lookahead_on() {
    for playing in [Playing::Always, Playing::Notes] {
        let mut stage = stage(playing);
        if playing == Playing::Notes {
            stage.engine.note_on(note(60));
        }
        let mut heard = listen(&mut stage, 10 * HOP);
        stage.settings.hold = Hold::Freeze;
        heard.extend(listen(&mut stage, 10 * HOP));
        stage.settings.hold = Hold::Off;
        heard.extend(listen(&mut stage, 20 * HOP));
        let frozen = 10 + LOOKAHEAD..20 + LOOKAHEAD;
        let hold = |n: usize| if frozen.contains(&n) { Hold::Freeze } else { Hold::Off };
        assert_eq!(heard, take(0, 40 * HOP, hold), "{playing:?}");
        assert_ne!(heard, take(0, 40 * HOP, never), "{playing:?}");
    }
}

#[test]
fn a_loop_repeats_its_bars_to_the_sample() {
    let heard = |bars: u32| {
        let mut stage = stage(Playing::WithTransport);
        stage.settings.loop_bars = bars;
        let mut heard = play(&mut stage, 0, 4 * BAR, &[480]);
        stage.settings.hold = Hold::Loop;
        heard.extend(go_on(&mut stage, 4 * BAR, 12 * BAR, &[480]));
        heard
    };
    for bars in [1, 2] {
        let heard = heard(bars);
        let len = bars as usize * BAR;
        // The loop begins at the next frame after the lookahead, and is closed by one.
        let begins = 4 * BAR + (LOOKAHEAD + 2) * HOP;
        assert!((begins..12 * BAR - len).all(|n| heard[n] == heard[n + len]), "{bars}");
        let before = take(0, 4 * BAR, never);
        assert_eq!(heard[..4 * BAR], before, "{bars}");
        let first = begins..begins + len - 2 * HOP;
        assert_eq!(
            heard[first.clone()],
            take(0, 6 * BAR, never)[first.start - len..first.end - len]
        );
    }
}

#[test]
fn notes_have_no_loop() {
    let mut stage = stage(Playing::Notes);
    stage.settings.hold = Hold::Loop;
    stage.engine.note_on(note(60));
    assert_eq!(listen(&mut stage, 40 * HOP), take(0, 40 * HOP, never));
}

#[test]
fn another_bundle_takes_over_once_it_has_sound() {
    for playing in [Playing::WithTransport, Playing::WithKeys, Playing::Always] {
        let mut stage = stage(playing);
        stage.playing = true;
        if playing == Playing::WithKeys {
            stage.engine.note_on(note(60));
        }
        let mut heard = listen(&mut stage, 8 * HOP);
        stage.instance.choose(BundleRef::default());
        heard.extend(listen(&mut stage, 8 * HOP));
        assert_eq!(heard, take(0, 16 * HOP, never), "{playing:?}: the old one goes on");
        stage.deliver(&toy::model(8));
        let after = listen(&mut stage, 16 * HOP);
        // The takes are counted on.
        let other = toy::take(&toy::model(8), 1, 16, |_| Sampling::default());
        let other: Vec<f32> = other.iter().map(|sample| sample[0]).collect();
        // It begins where a block begins, within the first blocks after the bundle has come.
        let start = (0..1000)
            .step_by(128)
            .find(|start| after[start + FADE..start + 8 * HOP] == other[FADE..8 * HOP]);
        assert!(start.is_some(), "{playing:?}");
        assert!(!is_silent(&after[..HOP]));
    }
}

#[test]
fn another_way_of_playing_lets_go_of_what_sounds() {
    let mut stage = stage(Playing::Always);
    listen(&mut stage, 1000);
    stage.settings.playing = Playing::WithKeys;
    listen(&mut stage, FADE);
    assert!(is_silent(&listen(&mut stage, 1000)));
}

#[test]
fn what_is_replaced_fades_with_its_release() {
    let mut stage = stage(Playing::WithTransport);
    stage.settings.restart_bars = 1;
    stage.settings.shape.release = 0.1;
    let heard = play(&mut stage, 0, 2 * BAR, &[480]);
    let next = take(1, BAR, never);
    let release = 4800; // samples
    let is_next = |range: std::ops::Range<usize>| {
        heard[BAR..][range.clone()].iter().zip(&next[range]).all(|(a, b)| (a - b).abs() < 1e-6)
    };
    assert!(!is_next(FADE..release / 2), "the one before still sounds");
    assert!(is_next(release + FADE..BAR));
}

#[test]
fn what_is_latched_leads_although_an_older_key_is_down() {
    let mut stage = stage(Playing::WithKeys);
    stage.settings.trigger = Trigger::Latch;
    stage.settings.restart_bars = 2;
    stage.begin(0);
    stage.engine.note_on(note(60));
    stage.listen(100);
    stage.engine.note_on(note(64));
    stage.engine.note_off(&key(64));
    play(&mut stage, 0, 3 * BAR, &[480]);
    assert_eq!(stage.instance.sounding(), 1 << 64);
}

#[test]
fn what_is_latched_begins_anew_and_gives_way_too() {
    let mut stage = stage(Playing::WithKeys);
    stage.settings.trigger = Trigger::Latch;
    stage.settings.restart_bars = 2;
    stage.begin(0);
    stage.engine.note_on(note(60));
    stage.engine.note_off(&key(60));
    let heard = play(&mut stage, 0, 4 * BAR, &[480]);
    let next = take(1, 2 * BAR, never);
    assert_eq!(heard[2 * BAR + FADE..], next[FADE..]);
}

#[test]
fn the_host_has_to_call_as_long_as_something_may_begin() {
    let mut stage = stage(Playing::Notes);
    listen(&mut stage, 1000);
    assert!(!stage.engine.is_awake());
    stage.instance.show(true);
    assert!(stage.engine.is_awake(), "a window may ask for sound");
    stage.instance.show(false);
    assert!(!stage.engine.is_awake());
    stage.playing = true;
    listen(&mut stage, 1000);
    assert!(stage.engine.is_awake() && !stage.engine.is_sounding(), "takes are counted");
    for playing in [Playing::WithTransport, Playing::WithKeys, Playing::Always] {
        let mut stage = self::stage(playing);
        listen(&mut stage, 1000);
        assert!(stage.engine.is_awake(), "{playing:?}");
    }
}

#[test]
fn a_change_on_the_border_of_two_frames_is_heard_alike_however_blocks_are_cut() {
    /// Samples of the host after which a frame ends with a sample of the host's again: five frames.
    const BORDER: usize = 1176;
    let heard = |borders: usize, block: usize| {
        let mut stage = stage(Playing::Always);
        stage.engine.activate(44_100.0, false);
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        let mut before = [vec![0.0; borders * BORDER], vec![0.0; borders * BORDER]];
        stage.play(&mut before, block);
        stage.settings.hold = Hold::Freeze;
        let after = stage.listen(4 * BORDER);
        (before, after)
    };
    for borders in 2..8 {
        let whole = heard(borders, 64);
        for block in [49, 60, 100, 441, 480, 512, 588, BORDER] {
            assert!(heard(borders, block) == whole, "{borders} borders, blocks of {block}");
        }
    }
}
