//! Whether what a prior makes is as various, and of the same kind, as recordings it never heard.
//!
//! Sounds are compared as clouds of windows: by the Fréchet distance, once of levels in mel bands and
//! once of the codec's latents. Either alone is blind: bands hear a faint hiss as much as a wrong note,
//! latents do not hear what the codec never learned. Distances mean little by themselves, so each stands
//! between two others at the same number of windows. The *floor*: recordings that the prior was trained
//! on against those held out. The *ceiling*: white noise at the level of these. A good prior is near
//! the floor, and far from the ceiling.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::bundle::{Distances, GenerationSummary};
use distill_shared::codes::Codes;
use distill_shared::player::{Model, TakeKey};
use rayon::prelude::*;
use serde::Serialize;

use super::hearing::{Ear, Heard};
use super::material::{Passage, frames_of, noises, recorded, takes};
use super::repetition::{Repetition, repetition};
use super::windows::{Directions, Silence, Windows};
use crate::date;
use crate::evaluate::frechet::{Cloud, frechet};
use crate::evaluate::wasserstein::wasserstein;

/// Takes that are compared with recordings.
const TAKES: u64 = 8;
/// The shortest that each of them lasts, in seconds. All takes begin, so that short ones would be
/// mostly beginnings, however seldom they begin anew.
const TAKE_S: f64 = 30.0;
/// The shortest and the longest of what they are compared with, and of takes that last longer, in
/// seconds. In between it is as long as the reference.
const TOGETHER_S: [f64; 2] = [60.0, 600.0];
/// Fewer windows are too few for a distance: half of them, the smallest draw, must be three times as many
/// as there are dimensions.
const LEAST: usize = 96;
/// Length in seconds of the take that is looked for repetition.
const LONG_S: f64 = 180.0;

/// A distance between two others.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Frechet {
    /// Recordings that the prior was trained on, against the reference.
    pub floor: f64,
    /// Takes against the reference.
    pub generated: f64,
    /// White noise against the reference.
    pub ceiling: f64,
}

/// A distance beside the one to judge it by.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Apart {
    /// Recordings that the prior was trained on, against the reference.
    pub floor: f64,
    /// Takes against the reference.
    pub generated: f64,
}

/// Share of the windows that are silent and not compared.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Silent {
    /// Of the reference.
    pub reference: f64,
    /// Of the recordings that the prior was trained on.
    pub trained: f64,
    /// Of takes.
    pub generated: f64,
}

/// How what a prior makes compares with recordings.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Generation {
    /// Length of the reference in seconds, or as much of it as is compared.
    pub seconds: f64,
    /// Windows of each that are compared.
    pub windows: usize,
    /// Squared Fréchet distance of levels in mel bands, in dB²; none if there are too few windows.
    pub mel: Option<Frechet>,
    /// Squared Fréchet distance of latents; none if there are too few windows.
    pub latent: Option<Frechet>,
    /// Wasserstein distance of loudness in dB.
    pub loudness_db: Option<Apart>,
    /// Wasserstein distance of the density of onsets, per second.
    pub onsets_per_s: Option<Apart>,
    /// What is not compared.
    pub silent: Silent,
    /// Length of what is looked for repetition, in seconds.
    pub long_s: f64,
    /// The self-similarity of a long take.
    pub take: Option<Repetition>,
    /// The self-similarity of as much of the recordings that the prior was trained on, in order.
    pub corpus: Option<Repetition>,
}

impl Generation {
    /// Measures the distances of windows of recordings that the prior was trained on, of takes and of
    /// noise from those of the reference, which comes first.
    fn set_distances(&mut self, all: [&Windows; 4]) {
        self.windows = all.iter().map(|windows| windows.count()).min().unwrap_or(0);
        if self.windows >= LEAST {
            let directions = Directions::of(&all[..2]);
            self.mel = Some(between(&all.map(Windows::mel), self.windows));
            let points = all.map(|windows| directions.points(windows));
            self.latent = Some(between(&points, self.windows));
        }
    }

    /// As it stands on the card; `folder` is where the reference lies, nothing for what was held out.
    #[must_use]
    pub fn for_card(&self, folder: &str) -> GenerationSummary {
        let known = |value: f64| Some(value).filter(|value| value.is_finite());
        let distances = |Frechet { floor, generated, ceiling }| Distances {
            floor: known(floor),
            generated: known(generated),
            ceiling: known(ceiling),
        };
        GenerationSummary {
            date: date::now(),
            folder: folder.to_owned(),
            windows: self.windows,
            mel: self.mel.map(distances),
            latent: self.latent.map(distances),
            take_repeats: self.take.map(|take| take.similarity),
            corpus_repeats: self.corpus.map(|corpus| corpus.similarity),
        }
    }
}

/// Gets every passage that is compared: of what (`reference`, `trained`, `generated`, `noise` or
/// `long`), its number, and its sound, `[C][S]`. Called from any thread.
pub type Keep<'a> = dyn Fn(&str, usize, &[Vec<f32>]) -> Result<()> + Sync + 'a;

/// Measures the prior of `model` against `reference`, recordings that it was not trained on; `seed`
/// decides its takes. Runs on the threads of the current pool, whose number changes nothing.
///
/// # Errors
///
/// Fails if the model has no prior, and if `keep` does.
pub fn generation(
    model: &Arc<Model>,
    reference: &[&Codes],
    trained: &[&Codes],
    seed: u64,
    keep: &Keep,
) -> Result<Generation> {
    let studio = Studio { model, ear: Ear::new(Arc::clone(model)), seed, keep };
    let mut generation = studio.compare(reference, trained)?;
    studio.look_for_repetition(trained, &mut generation)?;
    Ok(generation)
}

/// Makes sounds and hears them.
struct Studio<'a> {
    model: &'a Arc<Model>,
    ear: Ear,
    seed: u64,
    keep: &'a Keep<'a>,
}

impl Studio<'_> {
    fn rate(&self) -> f64 {
        self.model.config().codec.frame_rate()
    }

    /// What is heard in `passages`, one after the other.
    fn hear(&self, of: &str, passages: &[Passage]) -> Result<Heard> {
        let one = |(number, passage): (usize, &Passage)| {
            let sound = passage.sound(self.model)?;
            (self.keep)(of, number, &sound)?;
            Ok(self.ear.hear(&sound))
        };
        let parts: Vec<Heard> = passages.par_iter().enumerate().map(one).collect::<Result<_>>()?;
        Ok(Heard::joined(parts))
    }

    /// Power in mel bands of `passages`, one after the other.
    fn mel(&self, of: &str, passages: &[Passage]) -> Result<Vec<f32>> {
        let hop = self.model.config().codec.hop();
        let one = |(number, passage): (usize, &Passage)| {
            let sound = passage.sound(self.model)?;
            (self.keep)(of, number, &sound)?;
            Ok(self.ear.mel(&sound, sound.first().map_or(0, Vec::len) / hop))
        };
        let parts: Vec<Vec<f32>> =
            passages.par_iter().enumerate().map(one).collect::<Result<_>>()?;
        Ok(parts.concat())
    }

    /// Everything but repetition.
    fn compare(&self, reference: &[&Codes], trained: &[&Codes]) -> Result<Generation> {
        let rate = self.rate();
        let [shortest, longest] = TOGETHER_S.map(|seconds| frames_of(seconds, rate));
        let heard = self.hear("reference", &recorded(reference, longest, rate))?;
        let mut generation =
            Generation { seconds: heard.frames() as f64 / rate, ..Generation::default() };
        let silence = Silence::beside(&heard, rate);
        let reference = Windows::of(&heard, silence, rate);
        if reference.count() == 0 {
            return Ok(generation);
        }
        let frames = heard.frames().clamp(shortest, longest);
        let windows = |of: &str, passages: &[Passage]| {
            Ok::<_, anyhow::Error>(Windows::of(&self.hear(of, passages)?, silence, rate))
        };
        let trained = windows("trained", &recorded(trained, frames, rate))?;
        let made = frames.max(frames_of(TAKES as f64 * TAKE_S, rate));
        let generated = windows("generated", &takes(TAKES, made, self.seed))?;
        let noise = windows("noise", &noises(frames, heard.level(), rate))?;
        let apart = |of: fn(&Windows) -> &[f64]| {
            let from = |other: &Windows| wasserstein(of(&reference), of(other));
            Some(Apart { floor: from(&trained)?, generated: from(&generated)? })
        };
        generation.loudness_db = apart(|windows| &windows.loudness_db);
        generation.onsets_per_s = apart(|windows| &windows.onsets_per_s);
        generation.silent = Silent {
            reference: reference.silent,
            trained: trained.silent,
            generated: generated.silent,
        };
        generation.set_distances([&reference, &trained, &generated, &noise]);
        Ok(generation)
    }

    /// Looks for repetition in a long take, and in as much of the corpus.
    fn look_for_repetition(&self, trained: &[&Codes], generation: &mut Generation) -> Result<()> {
        let rate = self.rate();
        let mut enough = 0;
        let first = trained.iter().copied().take_while(|codes| {
            let more = enough < frames_of(LONG_S, rate);
            enough += codes.frames();
            more
        });
        let first: Vec<&Codes> = first.collect();
        let passages = recorded(&first, enough, rate);
        let mut corpus = self.mel("corpus", &passages)?;
        let bands = super::hearing::BANDS;
        corpus.truncate(frames_of(LONG_S, rate) * bands);
        let frames = corpus.len() / bands;
        generation.long_s = frames as f64 / rate;
        generation.corpus = repetition(&corpus, rate);
        if generation.corpus.is_some() {
            let key = TakeKey { seed: self.seed, take: TAKES };
            let take = self.mel("long", &[Passage::Take(key, frames)])?;
            generation.take = repetition(&take, rate);
        }
        Ok(())
    }
}

/// Distances from the first of clouds to each of the others, by `count` points each.
fn between([reference, trained, generated, noise]: &[Cloud; 4], count: usize) -> Frechet {
    Frechet {
        floor: frechet(reference, trained, count),
        generated: frechet(reference, generated, count),
        ceiling: frechet(reference, noise, count),
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
    use distill_shared::player::{philox, random_weights};

    use super::*;

    /// A small model that was never trained.
    fn model() -> Arc<Model> {
        let codec = CodecConfig {
            fft_size: 2048,
            stft_hop: 512,
            latent_dim: 3,
            codebook_size: 16,
            ..crate::train::toy_codec()
        };
        let prior = PriorConfig {
            hidden_size: 16,
            layers: 1,
            heads: 2,
            window: 16,
            depth_size: 8,
            depth_layers: 1,
            depth_heads: 2,
            ends: true,
            longest: None,
            kept: None,
            conditioning: Default::default(),
        };
        let config = ModelConfig { codec, prior: Some(prior) };
        Arc::new(Model::new(&config, &random_weights(&config, 3), "").unwrap())
    }

    /// Half a minute of decaying tones, one every third of a second, of keys drawn from this many.
    fn tones(draw: u32, keys: u32) -> Vec<Vec<f32>> {
        let mut sound = vec![0.0; 48_000 * 30];
        for (note, place) in (0_u32..).zip(sound.chunks_mut(16_000)) {
            let [key, loud, ..] = philox([note, 0, 0, 3], [draw, keys]);
            let turn = 0.03 * 2_f32.powf((key % keys) as f32 / 12.0);
            let level = 0.1 + 0.2 * loud as f32 / u32::MAX as f32;
            for (t, sample) in place.iter_mut().enumerate() {
                *sample = level * (turn * t as f32).sin() * (-(t as f32) / 6000.0).exp();
            }
        }
        vec![sound]
    }

    #[test]
    fn other_notes_are_farther_than_the_same_and_noise_is_farthest() {
        let model = model();
        let ear = Ear::new(Arc::clone(&model));
        let rate = model.config().codec.frame_rate();
        let reference = ear.hear(&tones(1, 12));
        let silence = Silence::beside(&reference, rate);
        let windows = |heard: &Heard| Windows::of(heard, silence, rate);
        let same = windows(&ear.hear(&tones(2, 12)));
        let other = windows(&ear.hear(&tones(3, 36)));
        let noise = noises(reference.frames(), reference.level(), rate)[0].sound(&model).unwrap();
        let noise = windows(&ear.hear(&noise));
        let mut found = Generation::default();
        found.set_distances([&windows(&reference), &same, &other, &noise]);
        assert!(found.windows > LEAST, "{found:?}");
        for Frechet { floor, generated, ceiling } in [found.mel.unwrap(), found.latent.unwrap()] {
            assert!(1.5 * floor < generated && 2.0 * generated < ceiling, "{found:?}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_figure() {
        let model = model();
        let codes = |key: u32| {
            let mut codes = Codes::new(2);
            for t in 0..1500 {
                let [a, b, ..] = philox([t / 7, 0, 0, 4], [key, 0]);
                codes.push(&[a % 16, b % 16]);
            }
            codes
        };
        let (held, trained) = (codes(1), codes(2));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let keep: &Keep = &|_, _, _| Ok(());
            pool.install(|| generation(&model, &[&held], &[&trained], 5, keep)).unwrap()
        };
        let one = on(1);
        assert!(one.mel.is_some() && one.latent.is_some() && one.take.is_some(), "{one:?}");
        assert_eq!(one, on(2));
    }
}
