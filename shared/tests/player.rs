//! However the work is cut, the player plays the same bits; and it plays what it is asked.

mod small;

use std::sync::Arc;

use distill_shared::bundle::Tensor;
use distill_shared::codes::Codes;
use distill_shared::model::conditioning::Controls;
use distill_shared::model::config::ModelConfig;
use distill_shared::player::{
    Decoder, Model, ModelError, NextStep, PriorPlayer, Sampling, Take, TakeKey, decode,
    instruction_sets, random_weights,
};
use small::{HOP, KEY, LEVELS, config, model, model_for, random_codes};

/// Decodes `codes` in calls of `at_once` frames: the samples of each channel.
fn decoded(decoder: &mut Decoder, codes: &Codes, channels: usize, at_once: usize) -> Vec<Vec<f32>> {
    let mut sound = vec![Vec::new(); channels];
    for codes in codes.as_slice().chunks(at_once * LEVELS) {
        let samples = codes.len() / LEVELS * HOP;
        let mut out = vec![f32::NAN; channels * samples];
        decoder.decode_frames(codes, &mut out);
        for (sound, out) in sound.iter_mut().zip(out.chunks(samples)) {
            sound.extend(out);
        }
    }
    sound
}

/// The first `steps` steps of a take, one after the other.
fn played(take: &mut Take, steps: usize, sampling: impl Fn(usize) -> Sampling) -> Vec<f32> {
    let mut sound = Vec::new();
    for step in 0..steps {
        let mut out = vec![f32::NAN; 2 * HOP];
        take.step(&sampling(step), &mut out);
        sound.extend(out);
    }
    sound
}

/// A model that does not begin anew: codes alone do not tell where another did.
fn model_without_ends(channels: usize) -> Arc<Model> {
    let mut config = config(channels);
    config.prior.as_mut().expect("there is a prior").ends = false;
    let model = Model::new(&config, &random_weights(&config, 1), "digest");
    Arc::new(model.expect("the weights fit"))
}

fn usual(_: usize) -> Sampling {
    Sampling::default()
}

/// The logits of all levels, frame by frame, while the prior is told `codes`.
fn told(player: &mut PriorPlayer, codes: &Codes) -> Vec<Vec<f32>> {
    let mut frame = [0; LEVELS];
    let mut all = Vec::new();
    for t in 0..codes.frames() {
        let mut logits = Vec::new();
        player.step_with(&mut frame, |level, of_level| {
            logits.extend(of_level);
            codes.frame(t)[level]
        });
        all.push(logits);
    }
    all
}

fn assert_close(a: &[f32], b: &[f32]) {
    let largest = b.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let error = a.iter().zip(b).fold(0.0_f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(a.len() == b.len() && error < 1e-5 * largest, "off by {error} of {largest}");
}

#[test]
fn a_stream_cut_anyhow_gives_the_same_bits() {
    let codes = random_codes(23);
    for channels in [1, 2] {
        for arch in instruction_sets() {
            let model = model_for(arch, channels);
            let new = || Decoder::new(Arc::clone(&model));
            let whole = decoded(&mut new(), &codes, channels, 23);
            assert!(whole.iter().flatten().any(|sample| sample.abs() > 1e-3), "it is not silent");
            for at_once in [1, 2, 7, 8] {
                let cut = decoded(&mut new(), &codes, channels, at_once);
                assert_eq!(cut, whole, "{channels} channels, {at_once} frames at once");
            }
        }
    }
}

#[test]
fn one_frame_is_a_stream_of_one() {
    let (model, codes) = (model(2), random_codes(1));
    let (mut one, mut many) = (vec![f32::NAN; 2 * HOP], vec![f32::NAN; 2 * HOP]);
    Decoder::new(Arc::clone(&model)).decode_frame(codes.frame(0), &mut one);
    Decoder::new(model).decode_frames(codes.as_slice(), &mut many);
    assert_eq!(one, many);
}

#[test]
fn a_decoder_that_was_reset_knows_nothing_of_the_past() {
    let (model, codes) = (model(2), random_codes(6));
    let mut decoder = Decoder::new(model);
    let first = decoded(&mut decoder, &codes, 2, 6);
    let second = decoded(&mut decoder, &codes, 2, 6);
    assert_ne!(first, second, "the past is heard");
    decoder.reset();
    assert_eq!(decoded(&mut decoder, &codes, 2, 6), first);
}

/// What is decoded, left and right, with `name` replaced in the weights.
fn decoded_with(name: &str, values: &[f32]) -> Vec<Vec<f32>> {
    let config = config(2);
    let mut weights = random_weights(&config, 1);
    let shape = weights[name].shape().to_vec();
    let tensor = Tensor::f32(&shape, values.to_vec()).expect("as many values as before");
    weights.insert(name.to_owned(), tensor);
    let model = Arc::new(Model::new(&config, &weights, "").expect("the weights fit"));
    decoded(&mut Decoder::new(model), &random_codes(9), 2, 9)
}

#[test]
fn no_bin_is_louder_than_its_ceiling() {
    let silent = decoded_with("codec.ceiling", &[-40.0; 2 * 33]);
    assert!(silent.iter().flatten().all(|sample| *sample == 0.0));
    // Of mid, which comes first, nothing is left: what the sides have is of opposite signs.
    let ceiling = [[-40.0; 33], [6.0; 33]].concat();
    let sides = decoded_with("codec.ceiling", &ceiling);
    assert!(sides[0].iter().any(|sample| sample.abs() > 1e-4));
    assert!(sides[0].iter().zip(&sides[1]).all(|(left, right)| (left + right).abs() < 1e-6));
}

#[test]
fn a_channel_whose_peak_is_nothing_is_silent_and_the_other_is_not() {
    let middle = decoded_with("codec.peaks", &[1.0, 0.0]);
    assert!(middle[0].iter().any(|sample| sample.abs() > 1e-4));
    assert_eq!(middle[0], middle[1]);
    let negative = decoded_with("codec.peaks", &[-1.0, -1e4]);
    assert!(negative.iter().flatten().all(|sample| *sample == 0.0), "no peak is below nothing");
}

#[test]
fn decoding_a_recording_removes_the_delay_and_keeps_its_length() {
    let (model, codes) = (model(2), random_codes(9));
    let delay = model.config().codec.delay();
    let stream = decoded(&mut Decoder::new(Arc::clone(&model)), &codes, 2, 9);
    let heard = 9 * HOP - delay;
    for samples in [0, 1, 100, heard, heard + 50] {
        let sound = decode(&model, &codes, samples);
        assert_eq!(sound.len(), 2 * samples);
        for (channel, stream) in stream.iter().enumerate() {
            let sound = &sound[channel * samples..][..samples];
            let len = samples.min(heard);
            assert_eq!(sound[..len], stream[delay..][..len], "{samples} samples");
            assert!(sound[len..].iter().all(|&sample| sample == 0.0), "silence beyond the codes");
        }
    }
}

#[test]
fn vectors_of_every_width_play_the_same_bits_and_plain_instructions_up_to_rounding() {
    let codes = random_codes(12);
    let sets: Vec<_> = instruction_sets()
        .into_iter()
        .map(|arch| {
            let model = model_for(arch, 2);
            let sound = decode(&model, &codes, 300);
            (sound, told(&mut PriorPlayer::new(model).unwrap(), &codes).concat())
        })
        .collect();
    let (plain, vectors) = sets.split_first().expect("every processor has plain instructions");
    for (sound, logits) in vectors {
        assert_close(sound, &plain.0);
        assert_close(logits, &plain.1);
        assert_eq!((sound, logits), (&vectors[0].0, &vectors[0].1));
    }
}

#[test]
fn a_take_is_the_same_whenever_it_is_played() {
    let model = model(2);
    let sound = |key| played(&mut Take::new(Arc::clone(&model), key).unwrap(), 12, usual);
    let first = sound(KEY);
    assert!(first.iter().all(|sample| sample.is_finite()));
    assert_eq!(sound(KEY), first);
    assert_ne!(sound(TakeKey { take: 4, ..KEY }), first);
    assert_ne!(sound(TakeKey { seed: 12, ..KEY }), first);
}

#[test]
fn a_take_restarted_is_a_new_one() {
    let model = model(2);
    let mut take = Take::new(Arc::clone(&model), TakeKey::default()).unwrap();
    played(&mut take, 9, usual);
    take.restart(KEY);
    let fresh = played(&mut Take::new(model, KEY).unwrap(), 9, usual);
    assert_eq!(played(&mut take, 9, usual), fresh);
}

#[test]
fn a_take_is_what_the_prior_invents_decoded_without_delay() {
    let (model, steps) = (model(2), 10);
    let lead = model.config().codec.delay().div_ceil(HOP);
    let mut prior = PriorPlayer::new(Arc::clone(&model)).unwrap();
    let mut codes = Codes::new(LEVELS);
    let mut frame = [0; LEVELS];
    for _ in 0..lead + steps {
        prior.step(KEY, &Sampling::default(), &mut frame);
        codes.push(&frame);
    }
    let mut take = Take::new(Arc::clone(&model), KEY).unwrap();
    let sound = played(&mut take, steps, usual); // [steps, C, hop]
    assert_eq!(take.codes(), frame);
    let whole = decode(&model, &codes, steps * HOP); // [C, steps * hop]
    for (step, sound) in sound.chunks(2 * HOP).enumerate() {
        assert_eq!(sound[..HOP], whole[step * HOP..][..HOP], "left, step {step}");
        assert_eq!(sound[HOP..], whole[(steps + step) * HOP..][..HOP], "right, step {step}");
    }
}

#[test]
fn a_take_primed_with_the_beginning_of_another_goes_on_as_that_one_does() {
    let model = model_without_ends(2);
    let mut prior = PriorPlayer::new(Arc::clone(&model)).unwrap();
    let (mut codes, mut frame) = (Codes::new(LEVELS), [0; LEVELS]);
    for _ in 0..30 {
        prior.step(KEY, &Sampling::default(), &mut frame);
        codes.push(&frame);
    }
    let samples = 30 * HOP - model.config().codec.delay();
    let whole = decode(&model, &codes, samples); // [C, samples]
    for clip in [1, 8, 20] {
        let mut take = Take::primed(Arc::clone(&model), KEY, &codes.first(clip)).unwrap();
        for step in clip..samples / HOP {
            let mut out = vec![f32::NAN; 2 * HOP];
            take.step(&Sampling::default(), &mut out);
            assert_eq!(out[..HOP], whole[step * HOP..][..HOP], "left, {clip} frames, step {step}");
            assert_eq!(out[HOP..], whole[samples + step * HOP..][..HOP], "right, {clip} frames");
        }
    }
    let mut empty = Take::primed(Arc::clone(&model), KEY, &Codes::new(LEVELS)).unwrap();
    let fresh = played(&mut Take::new(model, KEY).unwrap(), 9, usual);
    assert_eq!(played(&mut empty, 9, usual), fresh, "after nothing, it begins");
}

#[test]
fn every_frame_and_level_is_drawn_anew() {
    let temperature = Sampling::MAX_TEMPERATURE;
    let hot = Sampling { temperature, once: true, ..Sampling::default() };
    let mut prior = PriorPlayer::new(model(1)).expect("there is a prior");
    let (mut frame, mut seen) = ([0; LEVELS], Vec::new());
    for _ in 0..40 {
        prior.step(KEY, &hot, &mut frame);
        seen.push(frame);
    }
    let changes = seen.windows(2).filter(|pair| pair[0][0] != pair[1][0]).count();
    let apart = seen.iter().filter(|frame| frame[0] != frame[1]).count();
    // Nine codes, all about as likely: two draws differ in eight of nine cases.
    assert!(changes > 28 && apart > 28, "{changes} changes, {apart} levels apart of 40");
}

#[test]
fn a_take_begins_with_likely_codes_whatever_the_sampling_lets_in() {
    let mut prior = PriorPlayer::new(model(1)).expect("there is a prior");
    let frames: [Vec<u32>; 2] = std::array::from_fn(|frame| {
        let first_codes = (0..400).map(|seed| {
            prior.reset();
            let mut codes = [0; LEVELS];
            for _ in 0..=frame {
                prior.step(TakeKey { seed, take: 0 }, &Sampling::default(), &mut codes);
            }
            codes[0]
        });
        first_codes.collect()
    });
    prior.reset();
    let mut weights = Vec::new();
    prior.step_with(&mut [0; LEVELS], |level, logits| {
        if level == 0 {
            weights = logits.iter().map(|logit| logit.exp()).collect();
        }
        0
    });
    let total: f32 = weights.iter().sum();
    let likelier = |code: u32| -> f32 {
        let own = weights[code as usize];
        weights.iter().filter(|weight| **weight > own).sum::<f32>() / total
    };
    let tail = |codes: &[u32]| codes.iter().filter(|code| likelier(**code) > 0.9).count();
    assert_eq!(tail(&frames[0]), 0, "of 400 takes begin with a code of the last tenth");
    assert!(tail(&frames[1]) > 0, "later frames leave nothing out");
}

#[test]
fn a_setting_changes_nothing_before_its_step() {
    let model = model(2);
    let cold = Sampling { temperature: 0.0, ..Sampling::default() };
    let sound = |sampling: &dyn Fn(usize) -> Sampling| {
        played(&mut Take::new(Arc::clone(&model), KEY).unwrap(), 12, sampling)
    };
    let loud = Controls { loudness: Some(1.0), ..Controls::default() };
    let asked = Sampling { controls: loud, ..Sampling::default() };
    let unchanged = sound(&usual);
    for setting in [cold, asked] {
        let changed = sound(&|step| if step < 6 { Sampling::default() } else { setting });
        assert_eq!(changed[..6 * 2 * HOP], unchanged[..6 * 2 * HOP]);
        assert_ne!(changed, unchanged, "{setting:?}");
    }
}

#[test]
fn the_prior_forgets_what_is_beyond_its_window() {
    // Two layers that each see the current frame and four more hear eight frames of the past.
    let past = 8;
    let (mut one, mut other) = (Codes::new(LEVELS), Codes::new(LEVELS));
    one.push(&[1, 2, 3]);
    other.push(&[4, 5, 6]);
    let then = random_codes(20);
    for t in 0..then.frames() {
        one.push(then.frame(t));
        other.push(then.frame(t));
    }
    // What the latents remember of it fades, and is not what this is about.
    let mut config = config(1);
    config.codec.memory = Some(0.0);
    let model = Model::new(&config, &random_weights(&config, 1), "").unwrap();
    let model = Arc::new(model);
    let one = told(&mut PriorPlayer::new(Arc::clone(&model)).unwrap(), &one);
    let other = told(&mut PriorPlayer::new(model).unwrap(), &other);
    // Frame 0 is first heard as the input of frame 1.
    for t in 1..=1 + past {
        assert_ne!(one[t], other[t], "frame {t} still hears the difference");
    }
    assert_eq!(one[2 + past..], other[2 + past..]);
}

#[test]
fn a_prior_that_was_reset_begins_again() {
    let codes = random_codes(9);
    let mut player = PriorPlayer::new(model(1)).unwrap();
    let first = told(&mut player, &codes);
    assert_ne!(told(&mut player, &codes), first, "the past is heard");
    player.reset();
    assert_eq!(player.frames(), 0);
    assert_eq!(told(&mut player, &codes), first);
}

#[test]
fn a_model_without_a_prior_decodes_but_makes_nothing_new() {
    let config = ModelConfig { prior: None, ..config(1) };
    let model = Arc::new(Model::new(&config, &random_weights(&config, 1), "").unwrap());
    assert!(!model.has_prior());
    assert_eq!(decode(&model, &random_codes(3), 10).len(), 10);
    assert_eq!(Take::new(model, KEY).err(), Some(ModelError::NoPrior));
}

#[test]
fn weights_that_do_not_fit_the_config_are_named() {
    let config = config(1);
    let name = "prior.depth.head.weight";
    let mut weights = random_weights(&config, 1);
    let tensor = weights.remove(name).unwrap();
    let missing = Model::new(&config, &weights, "").err();
    assert_eq!(missing, Some(ModelError::Missing(name.to_owned())));
    weights.insert(name.to_owned(), weights["prior.start"].clone());
    let (expected, found) = (tensor.shape().to_vec(), vec![40]);
    let wrong = ModelError::Shape { name: name.to_owned(), expected, found };
    assert_eq!(Model::new(&config, &weights, "").err(), Some(wrong));
}

#[test]
fn a_frozen_take_draws_nothing_and_goes_on_where_it_was() {
    let model = model(2);
    let frozen = 5..9;
    let sampling = |n: usize| Sampling { frozen: frozen.contains(&n), ..Sampling::default() };
    let codes = |sampling: &dyn Fn(usize) -> Sampling, steps: usize| {
        let mut take = Take::new(Arc::clone(&model), KEY).unwrap();
        let mut out = vec![0.0; 2 * HOP];
        let steps = (0..steps).map(|n| {
            take.step(&sampling(n), &mut out);
            (take.codes().to_vec(), out.clone())
        });
        steps.collect::<Vec<_>>()
    };
    let (held, free) = (codes(&sampling, 16), codes(&usual, 12));
    assert_eq!(held[..5], free[..5]);
    assert!(held[5..9].iter().all(|(codes, _)| *codes == free[4].0));
    let all = |steps: &[(Vec<u32>, Vec<f32>)]| {
        steps.iter().map(|(codes, _)| codes.clone()).collect::<Vec<_>>()
    };
    assert_eq!(all(&held[9..]), all(&free[5..]));
    assert!(held[5..9].iter().all(|(_, sound)| sound.iter().any(|sample| *sample != 0.0)));
    assert_ne!(held[5].1, free[5].1);
}

#[test]
fn frozen_takes_go_together_with_others() {
    let model = model(2);
    let sampling = |n: usize| Sampling { frozen: n >= 3, ..Sampling::default() };
    let new = |take| Take::new(Arc::clone(&model), TakeKey { take, ..KEY }).unwrap();
    let apart = [played(&mut new(0), 8, sampling), played(&mut new(1), 8, usual)];
    let (mut frozen, mut free) = (new(0), new(1));
    let mut together = [Vec::new(), Vec::new()];
    for n in 0..8 {
        let (mut first, mut second) = (vec![0.0; 2 * HOP], vec![0.0; 2 * HOP]);
        Take::step_together(&mut [
            NextStep { take: &mut frozen, sampling: sampling(n), out: &mut first },
            NextStep { take: &mut free, sampling: usual(n), out: &mut second },
        ]);
        together[0].extend(first);
        together[1].extend(second);
    }
    assert_eq!(together, apart);
}
