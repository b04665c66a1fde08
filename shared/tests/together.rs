//! Takes that are made together play what each would play alone, with all levels of codes or fewer.

mod small;

use std::sync::Arc;

use distill_shared::codes::{ABSENT, Codes};
use distill_shared::model::conditioning::Controls;
use distill_shared::player::{
    Decoder, Model, NextSound, NextStep, PriorPlayer, Sampling, Take, TakeKey, VOICES,
    instruction_sets,
};
use small::{HOP, KEY, LEVELS, model, model_for, random_codes};

const STEPS: usize = 12;

/// A take of its own, with a sampling of its own.
fn voice(model: &Arc<Model>, voice: usize) -> (Take, Sampling) {
    let number = u8::try_from(voice).expect("there are few voices");
    let sampling = Sampling {
        temperature: 0.5 + 0.2 * f32::from(number),
        factors: [1.0, 0.25 * f32::from(number), 1.0 / (1.0 + f32::from(number))],
        top_k: u32::from(number % 3) * 2,
        top_p: 1.0,
        levels: u32::from(number) % 5,
        once: number == 3,
        frozen: false,
        novelty: f32::from(number) / 8.0,
        recall: 0.0,
        controls: Controls {
            loudness: (number > 0).then_some(f32::from(number) / 8.0),
            class: number.is_multiple_of(2).then_some(1),
            ..Controls::default()
        },
    };
    let key = TakeKey { take: number.into(), ..KEY };
    (Take::new(Arc::clone(model), key).expect("there is a prior"), sampling)
}

/// Each of `voices` alone: its sound and its codes, step by step.
fn alone(model: &Arc<Model>, voices: usize) -> Vec<Vec<(Vec<f32>, Vec<u32>)>> {
    let play = |i| {
        let (mut take, sampling) = voice(model, i);
        let step = |_| {
            let mut out = vec![f32::NAN; 2 * HOP];
            take.step(&sampling, &mut out);
            (out, take.codes().to_vec())
        };
        (0..STEPS).map(step).collect()
    };
    (0..voices).map(play).collect()
}

/// The same together, each voice one step later than the one before it.
fn together(model: &Arc<Model>, voices: usize) -> Vec<Vec<(Vec<f32>, Vec<u32>)>> {
    let mut takes: Vec<_> = (0..voices).map(|i| voice(model, i)).collect();
    let mut played = vec![Vec::new(); voices];
    for step in 0..STEPS + voices {
        let mut outs = vec![vec![f32::NAN; 2 * HOP]; voices];
        let playing = |i: usize| (i..i + STEPS).contains(&step);
        let next = takes.iter_mut().zip(&mut outs).enumerate();
        let next = next.filter(|(i, _)| playing(*i)).map(|(_, ((take, sampling), out))| NextStep {
            take,
            sampling: *sampling,
            out,
        });
        Take::step_together(&mut next.collect::<Vec<_>>());
        for (i, out) in outs.into_iter().enumerate().filter(|(i, _)| playing(*i)) {
            played[i].push((out, takes[i].0.codes().to_vec()));
        }
    }
    played
}

#[test]
fn takes_made_together_give_the_bits_of_each_alone() {
    for arch in instruction_sets() {
        let model = model_for(arch, 2);
        let alone = alone(&model, VOICES);
        for voices in [1, 2, 5, VOICES] {
            assert!(together(&model, voices) == alone[..voices], "{voices} voices, {arch:?}");
        }
        assert_ne!(alone[0], alone[1], "the voices differ");
    }
}

#[test]
fn streams_decoded_together_give_the_bits_of_each_alone() {
    let model = model(1);
    let codes: Vec<Codes> = (0..3).map(|i| random_codes(9 + i)).collect();
    let mut decoders: Vec<_> = codes.iter().map(|_| Decoder::new(Arc::clone(&model))).collect();
    let mut others: Vec<_> = codes.iter().map(|_| Decoder::new(Arc::clone(&model))).collect();
    for t in 0..9 {
        let mut sounds = vec![vec![f32::NAN; HOP]; 3];
        let streams = decoders.iter_mut().zip(&codes).zip(&mut sounds).enumerate();
        let next = streams.map(|(i, ((decoder, codes), out))| NextSound {
            decoder,
            codes: codes.frame((t + i) % 9),
            out,
            check: None,
        });
        Decoder::decode_together(&mut next.collect::<Vec<_>>());
        for (i, (decoder, codes)) in others.iter_mut().zip(&codes).enumerate() {
            let mut sound = vec![f32::NAN; HOP];
            decoder.decode_frame(codes.frame((t + i) % 9), &mut sound);
            assert_eq!(sounds[i], sound, "stream {i}, frame {t}");
        }
    }
}

#[test]
fn levels_that_are_not_drawn_are_absent_and_the_first_ones_are_drawn_as_ever() {
    let model = model(2);
    let first_frame = |levels| {
        let mut prior = PriorPlayer::new(Arc::clone(&model)).expect("there is a prior");
        let mut codes = [0; LEVELS];
        prior.step(KEY, &Sampling { levels, ..Sampling::default() }, &mut codes);
        codes
    };
    let whole = first_frame(0);
    assert!(whole.iter().all(|code| *code != ABSENT));
    assert_eq!(first_frame(1), [whole[0], ABSENT, ABSENT]);
    assert_eq!(first_frame(2), [whole[0], whole[1], ABSENT]);
    assert_eq!(first_frame(3), whole);
    assert_eq!(first_frame(99), whole);
}

#[test]
fn the_number_of_levels_may_change_while_a_take_plays() {
    let (mut take, sampling) = voice(&model(2), 0);
    let (mut out, mut sound) = (vec![f32::NAN; 2 * HOP], Vec::new());
    for levels in [0, 1, 2, 0, 3, 1, 0] {
        take.step(&Sampling { levels, ..sampling }, &mut out);
        let drawn = take.codes().iter().filter(|code| **code != ABSENT).count();
        assert_eq!(drawn, if levels == 0 { LEVELS } else { levels as usize });
        sound.extend_from_slice(&out);
    }
    assert!(sound.iter().all(|sample| sample.is_finite()));
    assert!(sound.iter().any(|sample| sample.abs() > 1e-3), "it is not silent");
}

#[test]
#[should_panic(expected = "of one model")]
fn streams_of_two_models_are_not_decoded_together() {
    let (mut one, mut other) = (Decoder::new(model(1)), Decoder::new(model(1)));
    let (mut a, mut b) = (vec![0.0; HOP], vec![0.0; HOP]);
    Decoder::decode_together(&mut [
        NextSound { decoder: &mut one, codes: &[0; LEVELS], out: &mut a, check: None },
        NextSound { decoder: &mut other, codes: &[0; LEVELS], out: &mut b, check: None },
    ]);
}
