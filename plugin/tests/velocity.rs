//! Velocity: what is asked for, which takes notes play, and how loud.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::sync::Arc;

use distill_plugin::voice::Note;
use distill_plugin::zones::Keys;
use distill_shared::model::conditioning::{Conditioning, Controls, Distribution, Pitches};
use distill_shared::player::{Model, Sampling};
use toy::{HOP, Stage, note};

/// A stage whose toy can be asked for velocities, and for `pitches`.
fn stage(pitches: &[u8]) -> (Stage, Arc<Model>) {
    let offered = Conditioning {
        // Sounds that begin span 16 dB.
        velocity: Some(Distribution(std::array::from_fn(|knot| knot as f32 - 40.0))),
        pitch: Pitches::new(pitches.iter().copied()),
        ..Conditioning::default()
    };
    let model = toy::asked_model(7, offered);
    let mut stage = Stage::with_model(Arc::clone(&model));
    stage.settings.keys = Keys::Pitches;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    (stage, model)
}

/// What is heard on the left, at the level of the take, of a note of middle C.
fn struck(stage: &mut Stage, velocity: f32, level: f32) -> Vec<f32> {
    stage.engine.note_on(Note { velocity, ..note(60) });
    stage.listen(6 * HOP)[0].iter().map(|sample| sample / level).collect()
}

/// The same of the take itself: the first of `pitch` in `layer`, asked for `velocity`.
fn taken(model: &Arc<Model>, pitch: Option<u8>, layer: u64, velocity: f32) -> Vec<f32> {
    let pitched = pitch.map(f32::from);
    let controls = Controls { velocity: Some(velocity), pitch: pitched, ..Controls::default() };
    let sampling = Sampling { controls, ..Sampling::default() };
    let take = layer << 40 | pitch.map_or(0, |key| u64::from(key) + 1) << 32;
    toy::take(model, take, 6, |_| sampling).iter().map(|sample| sample[0]).collect()
}

fn assert_same(one: &[f32], other: &[f32]) {
    assert!(one.iter().any(|sample| sample.abs() > 1e-3));
    let differs = one.iter().zip(other).position(|(a, b)| (a - b).abs() > 1e-4);
    assert_eq!(differs, None);
}

#[test]
fn a_note_plays_a_take_that_is_asked_to_begin_as_hard_as_its_key_was_struck() {
    let layers = [(0.3, 0, 1.0 / 6.0), (0.5, 1, 0.5), (1.0, 2, 2.5 / 3.0)];
    for (velocity, layer, asked) in layers {
        let (mut stage, model) = stage(&[]);
        // The takes of a layer are louder than those of the hardest by what the corpus says.
        let lacking = 16.0 * (2.5 / 3.0 - asked);
        let level = velocity * velocity * 10.0_f32.powf(lacking / 20.0);
        let heard = struck(&mut stage, velocity, level);
        assert_same(&heard, &taken(&model, None, layer, asked));
    }
    let (_, model) = stage(&[]);
    let [soft, hard] = [1.0 / 6.0, 0.5].map(|asked| taken(&model, None, 0, asked));
    assert_ne!(soft, hard, "the toy hears what is asked");
}

#[test]
fn pitches_have_layers_of_their_own() {
    let (mut stage, model) = stage(&[48, 60, 63]);
    assert!(stage.engine.is_prepared());
    let heard = struck(&mut stage, 1.0, 1.0);
    assert_same(&heard, &taken(&model, Some(60), 2, 2.5 / 3.0));
}

#[test]
fn velocity_that_is_not_followed_is_level_alone() {
    let (mut stage, model) = stage(&[]);
    stage.settings.velocity = false;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    let heard = struck(&mut stage, 0.5, 0.25);
    let take = toy::take(&model, 0, 6, |_| Sampling::default());
    assert_same(&heard, &take.iter().map(|sample| sample[0]).collect::<Vec<_>>());
}
