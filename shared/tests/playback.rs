//! Codes that were recorded from a take play what the take played.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod small;

use std::ops::Range;
use std::sync::Arc;

use distill_shared::codes::{ABSENT, Codes};
use distill_shared::player::{Playback, Sampling, Take, decode};
use small::{HOP, KEY, LEVELS, model, random_codes};

const FRAMES: u32 = 24;

/// The next `steps` of a playback, planar pieces `[C, hop]` one after the other.
fn played(playback: &mut Playback, steps: usize) -> Vec<f32> {
    let mut all = Vec::new();
    let mut out = vec![f32::NAN; 2 * HOP];
    for _ in 0..steps {
        playback.step(&mut out);
        all.extend_from_slice(&out);
    }
    all
}

fn playback(codes: &Codes, frames: Range<usize>, looped: bool) -> Option<Playback> {
    Playback::new(&model(2), &Arc::new(codes.clone()), frames, looped)
}

#[test]
fn what_a_take_played_is_played_again_to_the_bit() {
    let mut take = Take::new(model(2), KEY).unwrap();
    let mut codes = Codes::new(LEVELS);
    let mut heard = Vec::new();
    let mut out = vec![f32::NAN; 2 * HOP];
    for t in 0..FRAMES {
        // In the middle its newest sound goes on for a while.
        let sampling = Sampling { frozen: (9..14).contains(&t), ..Sampling::default() };
        take.step(&sampling, &mut out);
        codes.push(take.heard_codes());
        heard.extend_from_slice(&out);
    }
    assert!(codes.as_slice().contains(&ABSENT), "it was frozen");
    let whole = codes.frames();
    let mut again = playback(&codes, 0..whole, false).unwrap();
    let steps = whole - 2;
    // What comes late was made of frames that the take had not come to yet.
    assert_eq!(played(&mut again, steps), heard[..steps * 2 * HOP]);
}

#[test]
fn it_plays_what_decoding_gives_and_ends_in_silence() {
    let codes = random_codes(FRAMES);
    let frames = codes.frames();
    let whole = decode(&model(2), &codes, frames * HOP);
    let mut playback = playback(&codes, 0..frames, false).unwrap();
    let steps = played(&mut playback, frames);
    assert!(playback.is_over());
    for t in 0..frames {
        for side in 0..2 {
            let step = &steps[(2 * t + side) * HOP..][..HOP];
            let same = &whole[(side * frames + t) * HOP..][..HOP];
            // The last frame fades, and what is late of it is not in the codes.
            let until = if t + 2 < frames { HOP } else { 0 };
            assert_eq!(step[..until], same[..until], "frame {t}");
        }
    }
    assert_eq!(steps[steps.len() - 1], 0.0, "it fades");
    assert!(played(&mut playback, 3).iter().all(|sample| *sample == 0.0));
    assert!(playback.heard_codes().is_empty());
}

#[test]
fn a_loop_begins_again_and_never_ends() {
    let codes = random_codes(FRAMES);
    let mut looped = playback(&codes, 4..12, true).unwrap();
    let mut seen = Vec::new();
    for _ in 0..20 {
        assert!(played(&mut looped, 1).iter().any(|sample| *sample != 0.0));
        seen.push(looped.heard_codes().to_vec());
    }
    let wanted: Vec<_> = (0..20).map(|n| codes.frame(4 + n % 8).to_vec()).collect();
    assert_eq!(seen, wanted);
    assert!(!looped.is_over());
}

#[test]
fn a_part_sounds_nearly_as_it_does_in_the_whole() {
    let codes = random_codes(FRAMES);
    let mut whole = playback(&codes, 0..24, false).unwrap();
    let before = played(&mut whole, 10);
    assert!(!before.is_empty());
    let mut part = playback(&codes, 10..20, false).unwrap();
    // With 10 frames before it, all that there are.
    assert_eq!(played(&mut part, 8), played(&mut whole, 8));
}

#[test]
fn codes_of_another_codec_are_not_played() {
    let mut codes = random_codes(FRAMES);
    assert!(playback(&codes, 5..5, false).is_none());
    assert!(playback(&codes, 40..50, false).is_none());
    codes.set(3, 1, 4096);
    assert!(playback(&codes, 0..4, false).is_none());
    assert!(playback(&Codes::new(LEVELS + 1), 0..4, false).is_none());
}
