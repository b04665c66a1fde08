//! What training of the codec begins with: the best linear codec, a codec that was trained before, or
//! where a run was interrupted.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use distill_shared::bundle::{Tensor as Stored, Tensors};
use distill_shared::model::codec::{Codec, FIXED};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::{Quantizer, news};

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
use super::{CODEBOOKS, CROP_FRAMES, CodecPlan};

/// Crops that the linear path is fitted to and the codebooks are placed among.
const SURVEYED: u32 = 128;
/// How many frames of a corpus what a base knows of sound is worth.
const KNOWN_FRAMES: f32 = 4000.0;
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
    let books = placed(&codec, &surveyed, plan, None, run)?;
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
    Ok((weights, LearningCodebooks::of(config, stored(CODEBOOKS)?.to_f32())))
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
    Ok((weights, LearningCodebooks::resumed(config, state)?))
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
    let crop =
        |i| train.random(CROP_FRAMES, &mut Draw::new(plan.seed, Purpose::Crops, u32::MAX - i));
    (0..SURVEYED).map(crop).collect()
}

/// Codebooks placed among what is new in the latents of `crops` to the `current` quantizer; to none,
/// as if it had quantized what came before without an error.
pub(super) fn placed(
    codec: &Codec,
    crops: &[Crop],
    plan: &CodecPlan,
    current: Option<&Quantizer>,
    (workers, device): (&Workers, &Device),
) -> Result<LearningCodebooks> {
    let (config, d) = (&plan.config, plan.config.latent_dim);
    let news = workers.run(crops.len(), |i| {
        let crop = &crops[i..=i];
        let latents = codec.encode(&features(crop, config, device)?)?.detach();
        if let Some(quantizer) = current {
            let quantized = quantize(quantizer, &latents, crop, &[config.quantizers])?;
            return Ok(quantized.parts.into_iter().flat_map(|part| part.news).collect());
        }
        let latents = latents.flatten_all()?.to_vec1::<f32>()?;
        let last = [before(&crops[i], &latents, d), latents.clone()].concat();
        let pairs = latents.chunks_exact(d).zip(last.chunks_exact(d));
        Ok(pairs.flat_map(|(latent, last)| news(config.memory, latent, last)).collect::<Vec<_>>())
    })?;
    let mut draw = Draw::new(plan.seed, Purpose::Restarts, u32::MAX);
    Ok(LearningCodebooks::among(config, &news.concat(), &mut draw))
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
