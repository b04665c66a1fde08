//! Takes through given codes keep them, and draw only what is left open.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod small;

use std::sync::Arc;

use distill_shared::codes::{ABSENT, Codes};
use distill_shared::model::conditioning::Controls;
use distill_shared::player::{
    GivenCodes, Model, NextStep, Sampling, Take, TakeKey, decode, infill, instruction_sets,
    random_weights,
};
use small::{HOP, KEY, LEVELS, model, model_for, random_codes};

const FRAMES: u32 = 24;

/// All of some random codes but the two finer levels of frames 8 to 15.
fn with_a_gap() -> GivenCodes {
    let mut given = GivenCodes::new(&random_codes(FRAMES));
    given.open(8..16, 1..LEVELS);
    given
}

fn filled(seed: u64, sampling: &Sampling, given: GivenCodes) -> Codes {
    infill(model(2), TakeKey { seed, ..KEY }, sampling, given).unwrap()
}

/// Planar sound of a take, whole: `[C, S]`.
fn played(take: &mut Take, samples: usize) -> Vec<f32> {
    let mut channels = vec![Vec::new(); 2];
    let mut out = vec![f32::NAN; 2 * HOP];
    while channels[0].len() < samples {
        take.step(&Sampling::default(), &mut out);
        channels.iter_mut().zip(out.chunks(HOP)).for_each(|(all, new)| all.extend(new));
    }
    channels.iter_mut().for_each(|channel| channel.truncate(samples));
    channels.concat()
}

#[test]
fn what_is_given_is_kept_and_what_is_open_is_drawn() {
    let clip = random_codes(FRAMES);
    let usual = Sampling::default();
    let codes = filled(1, &usual, with_a_gap());
    assert_eq!(codes.frames(), clip.frames());
    let mut changed = 0;
    for t in 0..clip.frames() {
        for level in 0..LEVELS {
            let (old, new) = (clip.frame(t)[level], codes.frame(t)[level]);
            if (8..16).contains(&t) && level > 0 {
                changed += usize::from(old != new);
            } else {
                assert_eq!(old, new, "frame {t}, level {level}");
            }
        }
    }
    assert!(changed > 4, "only {changed} of 16 codes changed");
    assert_eq!(filled(1, &usual, with_a_gap()), codes);
    assert_ne!(filled(2, &usual, with_a_gap()), codes);
}

#[test]
fn what_is_drawn_knows_what_was_given() {
    // Without chance: what differs after the same gap is what came before it.
    let likeliest = Sampling { temperature: 0.0, ..Sampling::default() };
    let gap = |codes: &Codes| {
        let mut given = GivenCodes::new(codes);
        given.open(8..16, 0..LEVELS);
        let codes = filled(1, &likeliest, given);
        (8..16).map(|t| codes.frame(t).to_vec()).collect::<Vec<_>>()
    };
    let clip = random_codes(FRAMES);
    let mut other = Codes::new(LEVELS);
    (0..clip.frames()).for_each(|t| other.push(clip.frame(clip.frames() - 1 - t)));
    assert_ne!(gap(&clip), gap(&other));
}

#[test]
fn nothing_given_is_a_take_and_everything_given_is_the_clip() {
    let clip = random_codes(FRAMES);
    let usual = Sampling::default();
    let mut open = GivenCodes::new(&clip);
    open.open(0..usize::MAX, 0..usize::MAX);
    let mut free = Take::new(model(2), KEY).unwrap();
    let mut through = Take::through(model(2), KEY, Arc::new(open.clone())).unwrap();
    assert_eq!(played(&mut through, 20 * HOP), played(&mut free, 20 * HOP));

    let all = GivenCodes::new(&clip);
    assert_eq!(filled(1, &usual, all.clone()), clip);
    let samples = clip.frames() * HOP - model(2).config().codec.delay();
    for arch in instruction_sets() {
        let model = model_for(arch, 2);
        let mut take = Take::through(Arc::clone(&model), KEY, Arc::new(all.clone())).unwrap();
        assert_eq!(played(&mut take, samples), decode(&model, &clip, samples));
        take.restart(KEY);
        assert_eq!(played(&mut take, samples), decode(&model, &clip, samples), "and once more");
    }
}

#[test]
fn what_a_take_plays_is_what_its_codes_are() {
    let model = model(2);
    let codes = infill(Arc::clone(&model), KEY, &Sampling::default(), with_a_gap()).unwrap();
    let samples = codes.frames() * HOP - model.config().codec.delay();
    let mut take = Take::through(Arc::clone(&model), KEY, Arc::new(with_a_gap())).unwrap();
    assert_eq!(played(&mut take, samples), decode(&model, &codes, samples));
}

#[test]
fn fewer_levels_leave_finer_open_ones_out_and_keep_given_ones() {
    let mut given = GivenCodes::new(&random_codes(FRAMES));
    given.open(8..16, 0..2);
    let codes = filled(1, &Sampling { levels: 1, ..Sampling::default() }, given);
    for t in 8..16 {
        assert!(codes.frame(t)[0] != ABSENT && codes.frame(t)[1] == ABSENT);
        assert_eq!(codes.frame(t)[2], random_codes(FRAMES).frame(t)[2]);
    }
}

#[test]
fn takes_made_together_play_what_each_would_alone() {
    let model = model(2);
    let new = |take: u64| {
        let key = TakeKey { take, ..KEY };
        match take {
            0 => Take::new(Arc::clone(&model), key),
            1 => Take::through(Arc::clone(&model), key, Arc::new(with_a_gap())),
            _ => Take::through(
                Arc::clone(&model),
                key,
                Arc::new(GivenCodes::new(&random_codes(FRAMES))),
            ),
        }
        .unwrap()
    };
    let sampling = Sampling {
        novelty: 0.5,
        controls: Controls { pitch: Some(64.0), ..Controls::default() },
        ..Sampling::default()
    };
    let (mut together, mut alone) = ([0, 1, 2].map(new), [0, 1, 2].map(new));
    for step in 0..FRAMES {
        let mut outs = [[f32::NAN; 2 * HOP]; 3];
        let next = together.iter_mut().zip(&mut outs);
        let next = next.map(|(take, out)| NextStep { take, sampling, out: &mut out[..] });
        Take::step_together(&mut next.collect::<Vec<_>>());
        for (take, expected) in alone.iter_mut().zip(outs) {
            let mut out = [f32::NAN; 2 * HOP];
            take.step(&sampling, &mut out);
            assert_eq!(out, expected, "step {step}");
        }
    }
}

#[test]
fn a_clip_goes_on_after_its_end() {
    let clip = random_codes(FRAMES);
    let mut given = GivenCodes::new(&clip);
    given.go_on(6);
    let codes = filled(1, &Sampling::default(), given);
    assert_eq!(codes.frames(), clip.frames() + 6);
    assert_eq!(codes.first(clip.frames()), clip);
    assert!(codes.as_slice().iter().all(|code| *code < 9));
}

#[test]
fn what_is_drawn_may_lie_above_a_level_that_is_absent() {
    let mut clip = random_codes(FRAMES);
    (4..9).for_each(|t| clip.set(t, 1, ABSENT));
    let mut given = GivenCodes::new(&clip);
    given.open(2..12, 2..3);
    let codes = filled(1, &Sampling::default(), given);
    for t in 0..clip.frames() {
        assert_eq!(codes.frame(t)[..2], clip.frame(t)[..2]);
        assert!(codes.frame(t)[2] < 9, "frame {t}");
    }
}

#[test]
fn what_is_open_between_given_codes_does_not_begin_anew() {
    // Recordings of three frames: whatever goes on for longer begins anew.
    let mut config = small::config(2);
    config.prior.as_mut().unwrap().longest = Some(3);
    let weights = random_weights(&config, 1);
    let model = Arc::new(Model::new(&config, &weights, "digest").unwrap());
    let through = |open: std::ops::Range<usize>, more: usize, once: bool| {
        let mut given = GivenCodes::new(&random_codes(FRAMES));
        given.open(open, 0..LEVELS);
        given.go_on(more);
        infill(Arc::clone(&model), KEY, &Sampling { once, ..Sampling::default() }, given).unwrap()
    };
    assert_eq!(through(8..16, 0, false), through(8..16, 0, true));
    // After the clip something does, as long after it as a recording lasts.
    let (anew, on) = (through(20..24, 8, false), through(20..24, 8, true));
    assert_eq!(anew.first(FRAMES as usize + 1), on.first(FRAMES as usize + 1));
    assert_ne!(anew, on);
}

/// Steps of a take that is frozen for a while, and frames of clips of it: one ends while it is frozen, one some time after.
const STEPS: usize = 40;
const ENDS: [usize; 2] = [14, 20];

/// Nothing begins anew: codes alone do not tell where something did.
fn on_and_on() -> Sampling {
    Sampling { once: true, ..Sampling::default() }
}

/// A take that is frozen for some frames: what was heard in each step, as codes and as sound.
fn frozen_take(model: &Arc<Model>) -> (Codes, Vec<Vec<f32>>) {
    let mut take = Take::new(Arc::clone(model), KEY).unwrap();
    let mut codes = Codes::new(LEVELS);
    let sounds = (0..STEPS).map(|step| {
        let mut out = vec![f32::NAN; 2 * HOP];
        take.step(&Sampling { frozen: (8..14).contains(&step), ..on_and_on() }, &mut out);
        codes.push(take.heard_codes());
        out
    });
    let sounds = sounds.collect();
    (codes, sounds)
}

#[test]
fn a_clip_of_a_frozen_take_goes_on_with_the_codes_of_the_take() {
    let model = model(2);
    let (codes, _) = frozen_take(&model);
    assert!(codes.as_slice().contains(&ABSENT), "it was frozen");
    for end in ENDS {
        let mut given = GivenCodes::new(&codes.first(end));
        given.go_on(STEPS - end);
        let made = infill(Arc::clone(&model), KEY, &on_and_on(), given).unwrap();
        let (drawn, all) = (made.slice(end..STEPS), codes.slice(end..STEPS));
        let tell = |codes: &Codes| {
            let told = (0..codes.frames()).map(|t| codes.told(t).to_vec());
            told.filter(|frame| !frame.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(made.first(end), codes.first(end));
        assert!(tell(&drawn).starts_with(&tell(&all)), "a clip of {end} frames");
    }
}

#[test]
fn a_take_that_goes_on_from_a_clip_of_a_frozen_one_plays_what_that_plays() {
    let model = model(2);
    let (codes, sounds) = frozen_take(&model);
    let [_, end] = ENDS;
    let mut primed = Take::primed(Arc::clone(&model), KEY, &codes.first(end)).unwrap();
    for (step, sound) in sounds.iter().enumerate().skip(end) {
        let mut out = vec![f32::NAN; 2 * HOP];
        primed.step(&on_and_on(), &mut out);
        assert_eq!(out, *sound, "step {step}");
    }
}
