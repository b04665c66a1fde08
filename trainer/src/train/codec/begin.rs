//! What training of the codec begins with: the best linear codec, a codec that was trained before, or
//! where a run was interrupted.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use distill_shared::bundle::{Tensor as Stored, Tensors};
use distill_shared::model::codec::{Codec, FIXED};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::{Memory, Quantizer};

use super::super::bounds::insert_bounds;
use super::super::codebooks::LearningCodebooks;
use super::super::crops::{Crop, Material};
use super::super::draw::{Draw, Purpose};
use super::super::init::initial_weights;
use super::super::keeper::Begun;
use super::super::learner::weight;
use super::super::principal::insert_principal;
use super::super::quantize::{before, quantize};
use super::super::workers::Workers;
use super::base::Base;
use super::{CODEBOOKS, CROP_FRAMES, CodecPlan, MEMORY};

/// Crops that the linear path is fitted to and the codebooks are placed among.
const SURVEYED: u32 = 128;
/// How many frames of a corpus what a base knows of sound is worth.
const KNOWN_FRAMES: f32 = 4000.0;
/// The most that a channel of a latent is expected to keep, so that what a code tells is forgotten
/// in a second and a half.
const MOST_EXPECTED: f32 = 0.9;
/// Crops of held-out files to measure on, at most.
const HELD_CROPS: usize = 16;

/// Weights and codebooks to begin with; layers are those of `base`, if there is one.
pub(super) fn first(
    train: &Material,
    plan: &CodecPlan,
    base: Option<&Base>,
    run: (&Workers, &Device),
) -> Result<(Weights, LearningCodebooks)> {
    let (config, device) = (&plan.config, run.1);
    let mut weights = learned_weights(plan, device)?;
    let surveyed = surveyed(train, plan)?;
    let mut draw = Draw::new(plan.seed, Purpose::Weights, u32::MAX);
    let known = base.map(|base| base.directions(config, device)).transpose()?.unwrap_or_default();
    let frames: usize = (0..train.len()).map(|recording| train.frames(recording)).sum();
    let known = (&known[..], KNOWN_FRAMES / frames.max(1) as f32);
    insert_principal(&mut weights, config, &rows(&surveyed), known, &mut draw, device)?;
    base.map(|base| base.insert_layers(&mut weights, config, device)).transpose()?;
    insert_bounds(&mut weights, config, train, run)?;
    let codec = Codec::new(config, &weights)?;
    let placing = Placing { codec: &codec, train, plan, run };
    let latents = run.0.run(surveyed.len(), |i| {
        let latents = placing.latents(&surveyed[i])?.flatten_all()?;
        Ok((surveyed[i].begins, latents.to_vec1()?))
    })?;
    if config.memory.is_none() {
        let sequences = latents.iter().map(|(_, latents)| latents.as_slice());
        let memory = Memory::fitted(config.latent_dim, MOST_EXPECTED, sequences);
        let shares = Tensor::from_slice(memory.shares(), config.latent_dim, device)?;
        weights.insert(MEMORY, shares)?;
    }
    let books = placing.at_first(&latents, memory_of(config, &weights)?)?;
    Ok((weights, books))
}

/// Weights and codebooks of a codec that was trained before. What it knows of the loudness of its
/// recordings is measured anew. Its entries stay where they are, so that most codes go on meaning
/// what they meant to the prior that was trained with it; those that nothing chooses start afresh.
pub(super) fn tuned(
    from: &Tensors,
    train: &Material,
    plan: &CodecPlan,
    run: (&Workers, &Device),
) -> Result<(Weights, LearningCodebooks)> {
    let config = &plan.config;
    let stored = |name: &str| {
        from.get(name).with_context(|| format!("the codec to begin with lacks {name}"))
    };
    let mut weights = gathered(config, run.1, |name, _| stored(name))?;
    insert_bounds(&mut weights, config, train, run)?;
    let memory = memory_of(config, &weights)?;
    Ok((weights, LearningCodebooks::of(config, memory, stored(CODEBOOKS)?.to_f32())))
}

/// Weights and codebooks as they were when a run was interrupted.
pub(super) fn resumed(
    begun: &Begun,
    train: &Material,
    plan: &CodecPlan,
    run: (&Workers, &Device),
) -> Result<(Weights, LearningCodebooks)> {
    let (config, state) = (&plan.config, &begun.state);
    let mut weights = gathered(config, run.1, |name, shape| weight(state, name, shape))?;
    if begun.changed.recordings {
        // What is new may be louder than all that was there.
        insert_bounds(&mut weights, config, train, run)?;
    }
    let memory = memory_of(config, &weights)?;
    Ok((weights, LearningCodebooks::resumed(config, memory, state)?))
}

/// All weights of a codec but the codebooks, each as `stored` gives it for a name and a shape.
fn gathered<'a>(
    config: &CodecConfig,
    device: &Device,
    stored: impl Fn(&str, &[usize]) -> Result<&'a Stored>,
) -> Result<Weights> {
    let mut weights = Weights::default();
    for (name, shape) in config.tensors().into_iter().filter(|(name, _)| name != CODEBOOKS) {
        let values = stored(&name, &shape)?.to_f32();
        weights.insert(&name, Tensor::from_vec(values, shape, device)?)?;
    }
    Ok(weights)
}

/// Initial weights of everything that is learned by gradients.
fn learned_weights(plan: &CodecPlan, device: &Device) -> Result<Weights> {
    let learned = plan.config.tensors().into_iter();
    let learned = learned.filter(|(name, _)| name != CODEBOOKS && !FIXED.contains(&name.as_str()));
    Ok(initial_weights(&learned.collect::<Vec<_>>(), plan.seed, device)?)
}

/// Crops from all over the material, always the same.
pub(super) fn surveyed(train: &Material, plan: &CodecPlan) -> Result<Vec<Crop>> {
    (0..SURVEYED).map(|i| surveyed_crop(train, plan, i)).collect()
}

fn surveyed_crop(train: &Material, plan: &CodecPlan, i: u32) -> Result<Crop> {
    train.random(CROP_FRAMES, &mut Draw::new(plan.seed, Purpose::Crops, u32::MAX - i))
}

/// What a codec of these weights remembers.
fn memory_of(config: &CodecConfig, weights: &Weights) -> Result<Memory> {
    let stored = match config.memory {
        Some(_) => Vec::new(),
        None => weights.scope("codec").get("memory")?.to_vec1::<f32>()?,
    };
    Ok(Memory::of(config, || stored))
}

/// Places codebooks among what is new in latents of the material.
pub(super) struct Placing<'a> {
    pub(super) codec: &'a Codec,
    pub(super) train: &'a Material,
    pub(super) plan: &'a CodecPlan,
    pub(super) run: (&'a Workers, &'a Device),
}

impl Placing<'_> {
    /// Codebooks for what is new to the `current` quantizer.
    pub(super) fn anew(&self, current: &Quantizer) -> Result<LearningCodebooks> {
        let levels = [self.plan.config.quantizers];
        let news = self.run.0.run(SURVEYED as usize, |i| {
            #[expect(clippy::cast_possible_truncation, reason = "crops are few")]
            let crop = surveyed_crop(self.train, self.plan, i as u32)?;
            let latents = self.latents(&crop)?;
            let quantized = quantize(current, &latents, std::slice::from_ref(&crop), &levels)?;
            Ok(quantized.parts.into_iter().flat_map(|part| part.news).collect::<Vec<_>>())
        })?;
        self.among(&news.concat(), current.memory().clone())
    }

    /// Codebooks for what is new in `latents`, as if what came before had been told without an error.
    fn at_first(&self, latents: &[(bool, Vec<f32>)], memory: Memory) -> Result<LearningCodebooks> {
        let d = self.plan.config.latent_dim;
        let news = latents.iter().flat_map(|(begins, latents)| {
            let last = [before(*begins, latents, d), latents.clone()].concat();
            let pairs = latents.chunks_exact(d).zip(last.chunks_exact(d));
            pairs.flat_map(|(latent, last)| memory.news(latent, last)).collect::<Vec<_>>()
        });
        self.among(&news.collect::<Vec<_>>(), memory.clone())
    }

    /// The latents of a crop, `[1, T, D]`.
    fn latents(&self, crop: &Crop) -> Result<Tensor> {
        let features = features(std::slice::from_ref(crop), &self.plan.config, self.run.1)?;
        Ok(self.codec.encode(&features)?.detach())
    }

    fn among(&self, news: &[f32], memory: Memory) -> Result<LearningCodebooks> {
        let mut draw = Draw::new(self.plan.seed, Purpose::Restarts, u32::MAX);
        LearningCodebooks::among(&self.plan.config, memory, news, &mut draw, self.run.0)
    }
}

/// The features of all crops, one after the other.
pub(super) fn rows(crops: &[Crop]) -> Vec<f32> {
    crops.iter().flat_map(|crop| &crop.features).copied().collect()
}

/// Crops of one length as a tensor, `[B, T, X]`.
pub(super) fn features(crops: &[Crop], config: &CodecConfig, device: &Device) -> Result<Tensor> {
    let (rows, width) = (rows(crops), config.frame_features());
    let frames = rows.len() / width / crops.len().max(1);
    Ok(Tensor::from_vec(rows, (crops.len(), frames, width), device)?)
}

/// Crops spread evenly over the held-out recordings.
pub(super) fn held_crops(held: &Material) -> Result<Vec<Crop>> {
    let count = held.len().clamp(1, HELD_CROPS);
    let each = HELD_CROPS / count;
    let crop = |i: usize| {
        let recording = i / each * held.len() / count;
        let span = held.frames(recording).saturating_sub(CROP_FRAMES);
        held.crop(recording, span * (i % each) / each, CROP_FRAMES)
    };
    if held.len() == 0 { Ok(Vec::new()) } else { (0..count * each).map(crop).collect() }
}
