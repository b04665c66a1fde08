//! What is copied from the corpus is recognized while it is played, and novelty keeps away from it.

mod small;

use std::sync::Arc;

use distill_shared::bundle::{Tensor, Tensors};
use distill_shared::codes::Codes;
use distill_shared::fingerprint::{BANDS, Fingerprints};
use distill_shared::model::copying::{COARSE_CODES, FINGERPRINTS, Kept, STARTS};
use distill_shared::player::{
    CopyCheck, Copying, Decoder, KeptCorpus, Model, Sampling, Take, instruction_sets,
    random_weights,
};
use pulp::Arch;
use small::{HOP, KEY, config, model, random_codes};

const FRAMES: u32 = 600;
const NEAR: f32 = 1e-3;
/// A gain that leaves nothing to hear.
const FAINT: f32 = 5e-4;
/// Frames after which a copy is told.
const FIRST: usize = 6;

/// Features of `codes`, `[T, X]`.
fn features(model: &Arc<Model>, codes: &Codes) -> Vec<f32> {
    Decoder::new(Arc::clone(model)).decode_features(codes.as_slice())
}

fn fingerprints(model: &Arc<Model>, codes: &Codes) -> Vec<f32> {
    let codec = &model.config().codec;
    let of = Fingerprints::new(codec);
    let features = features(model, codes);
    let frames = features.chunks_exact(codec.frame_features());
    frames.flat_map(|features| of.of_frame(Arch::new(), features)).collect()
}

/// A recording begins every 40 frames.
fn starts(codes: &Codes) -> Vec<bool> {
    (0..codes.frames()).map(|t| t % 40 == 0).collect()
}

/// The corpus of `codes`.
fn corpus(model: &Arc<Model>, codes: &Codes) -> Arc<KeptCorpus> {
    let kept = Kept { frames: codes.frames(), near: NEAR };
    let coarse = codes.as_slice().to_vec();
    Arc::new(KeptCorpus::new(kept, &fingerprints(model, codes), coarse, &starts(codes)))
}

/// Compares frames from `first` on, turned up by `gain`.
fn heard(
    model: &Arc<Model>,
    corpus: &Arc<KeptCorpus>,
    codes: &Codes,
    first: usize,
    gain: f32,
) -> Vec<Copying> {
    let codec = &model.config().codec;
    let mut check = CopyCheck::new(codec, corpus);
    let features = features(model, codes);
    let frames = features.chunks_exact(codec.frame_features()).skip(first);
    let hear = |features: &[f32]| {
        let louder: Vec<f32> = features.iter().map(|log| log + gain.ln()).collect();
        check.hear(&louder);
        check.newest()
    };
    frames.map(hear).collect()
}

#[test]
fn a_copy_is_found_wherever_it_begins_and_at_whatever_level() {
    let model = model(2);
    let codes = random_codes(FRAMES);
    let corpus = corpus(&model, &codes);
    for (first, gain) in [(0, 1.0), (1, 1.0), (17, 4.0), (258, 0.25), (560, 1.0)] {
        let heard = heard(&model, &corpus, &codes, first, gain);
        let rest = (40 - first % 40).min(heard.len());
        let copied = heard[..rest].iter().skip(FIRST).all(Copying::is_copied);
        assert!(copied, "from {first} at {gain}");
        let run = heard[rest - 1].run as usize;
        assert!(run + FIRST >= rest, "a run of {run} in {rest} frames from {first}");
    }
}

#[test]
fn other_sound_is_no_copy() {
    let model = model(1);
    let corpus = corpus(&model, &random_codes(FRAMES));
    let mut other = Codes::new(3);
    (0..100_u32).for_each(|t| other.push(&[t * 7 % 9, t * 5 % 9, t * t % 9]));
    let heard = heard(&model, &corpus, &other, 0, 1.0);
    assert!(heard.iter().all(|copying| !copying.is_copied() && copying.run == 0));
}

#[test]
fn silence_is_no_copy() {
    let model = model(1);
    let codec = &model.config().codec;
    let corpus = corpus(&model, &random_codes(FRAMES));
    let mut check = CopyCheck::new(codec, &corpus);
    let silence = vec![-20.0; codec.frame_features()];
    for _ in 0..40 {
        check.hear(&silence);
        assert_eq!((check.newest().distance, check.newest().run), (1.0, 0));
    }
}

#[test]
fn what_is_too_faint_to_hear_is_no_copy() {
    let model = model(2);
    let codes = random_codes(FRAMES);
    let heard = heard(&model, &corpus(&model, &codes), &codes, 0, FAINT);
    assert!(heard.iter().all(|copying| copying.distance == 1.0));
}

/// A model that keeps `codes`, with the weights of [`model`].
fn model_that_keeps(arch: Arch, codes: &Codes) -> Arc<Model> {
    let mut config = config(2);
    let bare = model(2);
    let prior = config.prior.as_mut().expect("there is a prior");
    prior.kept = Some(Kept { frames: codes.frames(), near: NEAR });
    let mut weights: Tensors = random_weights(&small::config(2), 1);
    let prints = fingerprints(&bare, codes);
    let coarse = codes.as_slice().iter().map(|&code| code as f32).collect();
    let tensor = |shape: [usize; 2], values| Tensor::f32(&shape, values).expect("the shape fits");
    weights.insert(FINGERPRINTS.to_owned(), tensor([codes.frames(), BANDS], prints));
    let begins = (0..codes.frames()).map(|t| if t == 0 { 1.0 } else { 0.0 }).collect();
    weights.insert(STARTS.to_owned(), Tensor::f32(&[codes.frames()], begins).expect("it fits"));
    weights.insert(COARSE_CODES.to_owned(), tensor([codes.frames(), 3], coarse));
    Arc::new(Model::for_instructions(arch, &config, &weights, "kept").expect("the weights fit"))
}

/// Codes of a take, frame by frame, and the longest run it copies.
fn played(model: &Arc<Model>, novelty: f32) -> (Codes, u32) {
    let mut take = Take::new(Arc::clone(model), KEY).expect("there is a prior");
    let (mut codes, mut longest) = (Codes::new(3), 0);
    let sampling = Sampling { novelty, ..Sampling::default() };
    for _ in 0..150 {
        take.step(&sampling, &mut [0.0; 2 * HOP]);
        codes.push(take.codes());
        longest = longest.max(take.copying().map_or(0, |copying| copying.run));
    }
    (codes, longest)
}

#[test]
fn novelty_leaves_what_the_corpus_goes_on_with() {
    let known = played(&model(2), 0.0).0;
    for arch in instruction_sets() {
        let model = model_that_keeps(arch, &known);
        let (again, longest) = played(&model, 0.0);
        assert_eq!(again, known, "without novelty, it plays what it would");
        assert!(longest > 100, "and all of it is in the corpus: {longest}");
        let (new, longest) = played(&model, 1.0);
        assert_ne!(new, known);
        assert!(longest < 20, "with novelty, it copies {longest} frames");
    }
}

#[test]
fn a_take_that_restarts_has_copied_nothing_yet() {
    let known = played(&model(2), 0.0).0;
    let model = model_that_keeps(Arch::new(), &known);
    let mut take = Take::new(Arc::clone(&model), KEY).expect("there is a prior");
    let mut first = || {
        let step = |take: &mut Take| {
            take.step(&Sampling::default(), &mut [0.0; 2 * HOP]);
            take.copying()
        };
        let heard: Vec<_> = (0..30).map(|_| step(&mut take)).collect();
        take.restart(KEY);
        heard
    };
    assert_eq!(first(), first());
}

#[test]
fn a_take_that_goes_on_from_the_corpus_knows_that_it_copies() {
    let known = played(&model(2), 0.0).0;
    let model = model_that_keeps(Arch::new(), &known);
    let mut clip = Codes::new(3);
    (0..60).for_each(|t| clip.push(known.frame(t)));
    let take = Take::primed(model, KEY, &clip).expect("there is a prior");
    let copying = take.copying().expect("a corpus is kept");
    assert!(copying.is_copied() && copying.run > 8, "{copying:?}");
}
