//! What training of a prior begins with: what can be counted, a prior that was trained before, or where
//! a run was interrupted.

use anyhow::Result;
use candle_core::{Device, Tensor};
use distill_shared::bundle::{CorpusCodes, Tensors};
use distill_shared::model::config::PriorConfig;
use distill_shared::model::weights::Weights;

use super::super::init::initial_weights;
use super::super::keeper::Begun;
use super::super::learner::weight;
use super::super::pieces::Recorded;
use super::super::target::{SCALE, begin_target};
use super::{END_BIAS, GUIDE, KnownCodec, PriorPlan};
use crate::descriptors::Moment;

/// The recordings to train on, as a prior of `config` reads them.
pub(super) fn recorded<'a>(
    codes: &'a [CorpusCodes],
    moments: &'a [Vec<Moment>],
    config: &PriorConfig,
) -> Vec<Recorded<'a>> {
    let heard = moments.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
    let train = codes.iter().zip(heard).filter(|(c, _)| !c.held_out && c.codes.frames() > 0);
    let recorded = |(c, moments): (&'a CorpusCodes, &'a [Moment])| {
        let class = config.conditioning.classes.iter().position(|name| *name == c.class);
        let class = class.and_then(|class| u32::try_from(class).ok());
        Recorded { codes: &c.codes, moments, class }
    };
    train.map(recorded).collect()
}

/// Weights to begin with. Of a prior that was trained before, they are those that were learned; what is
/// counted is counted anew.
pub(super) fn first_weights(
    codec: KnownCodec,
    plan: &PriorPlan,
    train: &[Recorded],
    device: &Device,
) -> Result<Weights> {
    let mut weights = initial_weights(&plan.config.tensors(codec.config), plan.seed, device)?;
    begin_target(&mut weights, codec.config, codec.quantizer, train)?;
    begin_ends(&mut weights, train)?;
    let Some(from) = &plan.from else { return Ok(weights) };
    let is_learned = |name: &str| ![GUIDE, SCALE, END_BIAS].contains(&name);
    for (name, shape) in plan.config.tensors(codec.config) {
        // What a prior offers decides the shape of some: those of another shape begin as they do anyway.
        let stored = from.get(&name).filter(|one| is_learned(&name) && one.shape() == shape);
        if let Some(stored) = stored {
            weights.insert(&name, Tensor::from_vec(stored.to_f32(), shape, device)?)?;
        }
    }
    Ok(weights)
}

/// Weights as they were when a run was interrupted. The guide is counted in the end.
pub(super) fn resumed_weights(
    begun: &Begun,
    codec: KnownCodec,
    plan: &PriorPlan,
    device: &Device,
) -> Result<Weights> {
    let names = plan.config.tensors(codec.config);
    let mut weights = initial_weights(&names, plan.seed, device)?;
    for (name, shape) in names.into_iter().filter(|(name, _)| name != GUIDE) {
        let values = weight(&begun.state, &name, &shape)?.to_f32();
        weights.insert(&name, Tensor::from_vec(values, shape, device)?)?;
    }
    Ok(weights)
}

/// The codebooks of a codec, `[N, K, D]`.
pub(super) fn books(codec: KnownCodec, device: &Device) -> Result<Tensor> {
    let KnownCodec { config, quantizer } = codec;
    let shape = (config.quantizers, config.codebook_size, config.latent_dim);
    Ok(Tensor::from_slice(quantizer.books().entries(), shape, device)?)
}

/// Begins with how often recordings end.
fn begin_ends(weights: &mut Weights, train: &[Recorded]) -> Result<()> {
    let scope = weights.scope("prior.end");
    let (weight, bias) = (scope.get("weight")?, scope.get("bias")?);
    let frames: usize = train.iter().map(|one| one.codes.frames()).sum();
    let odds = train.len() as f64 / (frames - train.len()).max(1) as f64;
    weights.insert("prior.end.weight", weight.zeros_like()?)?;
    weights.insert(END_BIAS, (bias.zeros_like()? + odds.ln())?)?;
    Ok(())
}

/// Tensors without the guide, which is counted in the end, as far as it is needed then.
pub(super) fn without_guide(mut tensors: Tensors) -> Tensors {
    tensors.remove(GUIDE);
    tensors
}
