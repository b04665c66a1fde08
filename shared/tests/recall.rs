//! Takes that recall are made of frames of the recordings, and go on as these did the more they recall.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod small;

use std::collections::HashMap;
use std::sync::Arc;

use distill_shared::bundle::{Bundle, Card, CorpusCodes};
use distill_shared::codes::{ABSENT, Codes};
use distill_shared::player::{
    GivenCodes, Model, NextStep, Sampling, Take, TakeKey, infill, instruction_sets, random_weights,
};
use pulp::Arch;
use small::{HOP, KEY, LEVELS, config, random_codes};

/// Frames of each recording.
const LENGTH: usize = 40;
const STEPS: usize = 400;

/// Recordings of which the last is held out.
fn recordings() -> Vec<CorpusCodes> {
    let codes = random_codes(5 * 40);
    let one = |n: usize| CorpusCodes {
        name: n.to_string(),
        class: String::new(),
        held_out: n == 4,
        codes: codes.slice(n * LENGTH..(n + 1) * LENGTH),
    };
    (0..5).map(one).collect()
}

fn model_for(arch: Arch) -> Arc<Model> {
    let config = config(2);
    let model = Model::for_instructions(arch, &config, &random_weights(&config, 1), "digest");
    Arc::new(recorded(model.unwrap()))
}

/// With the recordings that are not held out.
fn recorded(model: Model) -> Model {
    let trained = recordings().into_iter().filter(|one| !one.held_out);
    let narrow = |code: &u32| u16::try_from(*code).unwrap();
    let codes: Vec<Vec<u16>> =
        trained.map(|one| one.codes.as_slice().iter().map(narrow).collect()).collect();
    model.with_recordings(codes.iter().map(Vec::as_slice)).unwrap()
}

/// With so few recordings, hardly anything is recalled below this.
const LEAST: f32 = 0.5;

fn recalling(recall: f32) -> Sampling {
    Sampling { recall, once: true, ..Sampling::default() }
}

/// Codes of a take.
fn taken(model: &Arc<Model>, sampling: &Sampling, seed: u64) -> Codes {
    let mut take = Take::new(Arc::clone(model), TakeKey { seed, ..KEY }).unwrap();
    let (mut codes, mut out) = (Codes::new(LEVELS), vec![0.0; 2 * HOP]);
    for _ in 0..STEPS {
        take.step(sampling, &mut out);
        codes.push(take.codes());
    }
    codes
}

/// Where in which recordings each frame of `codes` may be: recording and frame.
fn places(codes: &Codes) -> Vec<Vec<(usize, usize)>> {
    let mut known: HashMap<Vec<u32>, Vec<(usize, usize)>> = HashMap::new();
    for (n, recording) in recordings().iter().enumerate().filter(|(_, one)| !one.held_out) {
        for t in 0..LENGTH {
            known.entry(recording.codes.frame(t).to_vec()).or_default().push((n, t));
        }
    }
    let of = |t| known.get(codes.frame(t)).cloned().unwrap_or_default();
    (0..codes.frames()).map(of).collect()
}

/// In how many frames a take does not go on where it was.
fn jumps(places: &[Vec<(usize, usize)>]) -> usize {
    let goes_on =
        |pair: &&[Vec<(usize, usize)>]| pair[0].iter().any(|&(n, t)| pair[1].contains(&(n, t + 1)));
    places.windows(2).filter(|pair| !goes_on(pair)).count()
}

#[test]
fn every_frame_that_is_recalled_is_one_of_a_recording() {
    for model in instruction_sets().into_iter().map(model_for) {
        for recall in [LEAST, 0.6, 1.0] {
            let places = places(&taken(&model, &recalling(recall), 1));
            assert!(places.iter().all(|places| !places.is_empty()), "{recall}");
        }
        let free = places(&taken(&model, &recalling(0.0), 1));
        let met = free.iter().filter(|places| !places.is_empty()).count();
        assert!(met < STEPS / 2, "{met} of {STEPS} by chance");
    }
}

#[test]
fn the_more_is_recalled_the_longer_a_recording_goes_on_and_to_its_end() {
    let model = model_for(Arch::new());
    let of = |recall| places(&taken(&model, &recalling(recall), 2));
    let counts = [LEAST, 0.7, 1.0].map(|recall| jumps(&of(recall)));
    assert!(counts[0] > counts[1] && counts[1] > 4 * counts[2], "{counts:?}");
    // Where one ends, the next in line does not go on.
    let places = of(1.0);
    let ends = |pair: &&[Vec<(usize, usize)>]| pair[0].iter().any(|&(_, t)| t + 1 == LENGTH);
    let crosses = |pair: &&[Vec<(usize, usize)>]| {
        pair[0].iter().any(|&(n, t)| t + 1 == LENGTH && pair[1].contains(&(n + 1, 0)))
    };
    let ends: Vec<_> = places.windows(2).filter(ends).collect();
    let crossed = ends.iter().filter(|pair| crosses(pair)).count();
    assert!(ends.len() > 4 && 2 * crossed < ends.len(), "{crossed} of {}", ends.len());
}

#[test]
fn of_few_recordings_little_recall_is_none() {
    let model = model_for(Arch::new());
    let free = taken(&model, &recalling(0.0), 1);
    assert_eq!(taken(&model, &recalling(0.25), 1), free);
    assert_ne!(taken(&model, &recalling(LEAST), 1), free);
}

#[test]
fn where_something_begins_nothing_goes_on() {
    let mut config = config(2);
    // What goes on for longer than three frames begins anew.
    config.prior.as_mut().unwrap().longest = Some(3);
    let model = Model::new(&config, &random_weights(&config, 1), "digest").unwrap();
    let model = Arc::new(recorded(model));
    let of = |once| {
        let sampling = Sampling { once, ..recalling(1.0) };
        jumps(&places(&taken(&model, &sampling, 2)))
    };
    assert!(of(false) > STEPS / 2 && of(true) < STEPS / 4, "{} {}", of(false), of(true));
}

#[test]
fn what_is_given_or_spared_narrows_what_is_recalled() {
    let (model, recordings) = (model_for(Arch::new()), recordings());
    let mut given = GivenCodes::new(&recordings[1].codes);
    given.open(0..LENGTH, 1..LEVELS);
    let codes = infill(Arc::clone(&model), KEY, &recalling(0.5), given).unwrap();
    for t in 0..LENGTH {
        assert_eq!(codes.frame(t)[0], recordings[1].codes.frame(t)[0]);
    }
    assert!(places(&codes).iter().all(|places| !places.is_empty()));
    // Codes that no recording begins a frame with leave nothing to recall, and stop nothing.
    let mut strange = Codes::new(LEVELS);
    (0..8).for_each(|_| strange.push(&[ABSENT, 0, 0]));
    let mut given = GivenCodes::new(&strange);
    given.open(0..8, 1..LEVELS);
    assert_eq!(infill(Arc::clone(&model), KEY, &recalling(0.5), given).unwrap().frames(), 8);
    let codes = taken(&model, &Sampling { levels: 2, ..recalling(0.5) }, 3);
    let begins = |t: usize| {
        let first = &codes.frame(t)[..2];
        recordings[..4].iter().any(|one| (0..LENGTH).any(|at| one.codes.frame(at)[..2] == *first))
    };
    assert!((0..STEPS).all(begins));
}

#[test]
fn takes_that_recall_play_alone_what_they_play_together_and_once_more() {
    let model = model_for(Arch::new());
    let key = |seed| TakeKey { seed, ..KEY };
    let samplings = [0.0, 0.2, 0.6, 1.0].map(recalling);
    let new = |seed| Take::new(Arc::clone(&model), key(seed)).unwrap();
    let mut takes: Vec<Take> = (0..4).map(new).collect();
    for round in 0..2 {
        let mut outs = vec![vec![0.0; 2 * HOP]; 4];
        let mut codes = vec![Codes::new(LEVELS); 4];
        for _ in 0..STEPS {
            let next = takes.iter_mut().zip(&samplings).zip(&mut outs);
            let next = next.map(|((take, &sampling), out)| NextStep { take, sampling, out });
            Take::step_together(&mut next.collect::<Vec<_>>());
            codes.iter_mut().zip(&takes).for_each(|(codes, take)| codes.push(take.codes()));
        }
        for (seed, (codes, sampling)) in (0..).zip(codes.iter().zip(&samplings)) {
            assert!(*codes == taken(&model, sampling, seed), "round {round}, take {seed}");
        }
        (0..).zip(&mut takes).for_each(|(seed, take)| take.restart(key(seed)));
    }
}

#[test]
fn without_recordings_recall_changes_nothing() {
    let model = small::model(2);
    assert_eq!(taken(&model, &recalling(1.0), 1), taken(&model, &recalling(0.0), 1));
    let nothing = Model::new(&config(2), &random_weights(&config(2), 1), "digest").unwrap();
    assert!(!nothing.with_recordings(std::iter::empty()).unwrap().has_recordings());
}

#[test]
fn of_a_bundle_what_was_not_held_out_is_recalled() {
    let config = config(2);
    let weights = random_weights(&config, 1);
    let bundle = Bundle::new(config.clone(), Card::default(), weights).unwrap();
    let bundle = bundle.with_corpus_codes(&recordings()).unwrap();
    let model = Arc::new(Model::from_bundle(&bundle).unwrap());
    let same = taken(&model_for(Arch::new()), &recalling(0.5), 1);
    assert_eq!(taken(&model, &recalling(0.5), 1), same);
}
