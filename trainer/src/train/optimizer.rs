//! AdamW with moments of our own.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor, Var};
use distill_shared::bundle::Tensors;
use distill_shared::model::weights::Weights;

use super::workers::Workers;
use crate::ranks::Ranks;

/// Decay of the mean of gradients.
const BETA_1: f32 = 0.9;
/// Decay of the mean of squared gradients; short memory suits short runs.
const BETA_2: f32 = 0.99;
/// Keeps the division finite.
const EPSILON: f32 = 1e-8;
/// Share of the rate by which matrices shrink at each step.
const WEIGHT_DECAY: f32 = 0.01;
/// Gradients are scaled down to this norm.
const MAX_NORM: f64 = 1.0;

/// AdamW (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>), gradients clipped by
/// their norm.
pub(super) struct AdamW {
    slots: Vec<Slot>,
    /// Sums of the gradients of the newest batch, of one variable after the other: what ranks exchange. It
    /// is kept for its memory: asking the system for it anew takes as long as what is done with it.
    grads: Vec<f64>,
    step: i32,
}

/// What the optimizer remembers of all updates: of every variable, one after the other in the order of
/// their names.
pub(super) struct Moments {
    /// Updates made since they were zero.
    pub(super) updates: i32,
    /// Running means of gradients.
    pub(super) mean: Vec<f32>,
    /// Running means of their squares.
    pub(super) square: Vec<f32>,
}

/// One variable with its moments.
struct Slot {
    name: String,
    var: Var,
    values: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    decay: f32,
}

/// What a step found.
pub(super) struct Batch<'a> {
    /// Gradients of the parts that this rank has.
    pub(super) own: &'a [GradStore],
    /// Parts of all ranks.
    pub(super) parts: usize,
    pub(super) ranks: &'a dyn Ranks,
}

impl AdamW {
    /// Optimizes all variables of `weights` but those called `fixed`.
    pub(super) fn new(weights: &Weights, fixed: &[&str]) -> Result<Self> {
        let mut slots = Vec::new();
        for (name, var) in weights.iter().filter(|(name, _)| !fixed.contains(name)) {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            let zeros = vec![0.0; values.len()];
            let decay = if var.rank() > 1 { WEIGHT_DECAY } else { 0.0 };
            slots.push(Slot {
                name: name.to_owned(),
                var: var.clone(),
                mean: zeros.clone(),
                square: zeros,
                values,
                decay,
            });
        }
        let values = slots.iter().map(|slot| slot.values.len()).sum();
        Ok(Self { slots, grads: vec![0.0; values], step: 0 })
    }

    /// Number of values that are learned.
    pub(super) fn values(&self) -> usize {
        self.grads.len()
    }

    /// What it remembers.
    pub(super) fn moments(&self) -> Moments {
        Moments {
            updates: self.step,
            mean: self.slots.iter().flat_map(|slot| &slot.mean).copied().collect(),
            square: self.slots.iter().flat_map(|slot| &slot.square).copied().collect(),
        }
    }

    /// Goes on with `moments`, of which there are [`Self::values`].
    pub(super) fn set_moments(&mut self, moments: &Moments) {
        let (mut mean, mut square) = (&moments.mean[..], &moments.square[..]);
        for slot in &mut self.slots {
            let take = |rest: &mut &[f32]| {
                let (own, others) = rest.split_at(slot.values.len());
                *rest = others;
                own.to_vec()
            };
            (slot.mean, slot.square) = (take(&mut mean), take(&mut square));
        }
        self.step = moments.updates;
    }

    /// Puts the variables back to `weights`, and forgets all updates.
    pub(super) fn begin_anew(&mut self, weights: &Tensors) -> Result<()> {
        for slot in &mut self.slots {
            let values = weights.get(&slot.name).context("a weight has no value to go back to")?;
            slot.values = values.to_f32();
            slot.mean.fill(0.0);
            slot.square.fill(0.0);
            slot.write()?;
        }
        self.step = 0;
        Ok(())
    }

    /// Moves the weights down the mean of the gradients of all parts of a batch. Returns the norm
    /// of the gradient; where that is not finite, nothing moves.
    pub(super) fn update(&mut self, batch: &Batch, rate: f64, workers: &Workers) -> Result<f64> {
        ensure!(batch.parts > 0, "a batch has at least one part");
        self.with_each(workers, |slot, grad| sum_gradient(&slot.var, batch.own, grad))?;
        if batch.ranks.count() > 1 {
            batch.ranks.add(&mut self.grads)?;
        }
        let squares = self.with_each(workers, |_, grad| Ok(sum_of_squares(grad)))?;
        let share = 1.0 / batch.parts as f64;
        let norm = squares.iter().sum::<f64>().sqrt() * share;
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.step += 1;
        let scale = (MAX_NORM / norm.max(1e-12)).min(1.0) * share;
        let update = Update::new(self.step, rate, scale);
        self.with_each(workers, |slot, grad| {
            update.apply(slot, grad);
            slot.write()
        })?;
        Ok(norm)
    }

    /// Does something with every variable and its gradient, side by side; the results come in the order of
    /// their names.
    fn with_each<T: Send>(
        &mut self,
        workers: &Workers,
        work: impl Fn(&mut Slot, &mut [f64]) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let mut rest = &mut self.grads[..];
        let mut slots = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let (grad, others) = rest.split_at_mut(slot.values.len());
            rest = others;
            slots.push(Mutex::new((slot, grad)));
        }
        workers.run(slots.len(), |i| {
            let mut slot = slots[i].lock().unwrap_or_else(PoisonError::into_inner);
            let (slot, grad) = &mut *slot;
            work(slot, grad)
        })
    }
}

/// Sums the gradients of a variable over the parts. In 64 bits it is the same in whatever order they come
/// and however ranks share them, but for one value in hundreds of millions.
fn sum_gradient(var: &Var, parts: &[GradStore], sum: &mut [f64]) -> Result<()> {
    sum.fill(0.0);
    let mut add = |values: &[f32]| {
        sum.iter_mut().zip(values).for_each(|(sum, g)| *sum += f64::from(*g));
    };
    for grad in parts.iter().filter_map(|store| store.get(var)) {
        let (storage, layout) = grad.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => add(&values[start..end]),
            _ => {
                drop(storage);
                add(&grad.flatten_all()?.to_vec1::<f32>()?);
            }
        }
    }
    Ok(())
}

impl Slot {
    /// Gives the variable its values.
    fn write(&self) -> Result<()> {
        if self.var.device().is_cpu() && self.var.is_contiguous() {
            return Ok(self.var.inplace_op1(&Set(&self.values))?);
        }
        let values = Tensor::from_vec(self.values.clone(), self.var.shape(), self.var.device())?;
        Ok(self.var.set(&values)?)
    }
}

/// Writes values over those of a variable in the memory of the host.
struct Set<'a>(&'a [f32]);

impl InplaceOp1 for Set<'_> {
    fn name(&self) -> &'static str {
        "set"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((start, end))) => {
                values[start..end].copy_from_slice(self.0);
                Ok(())
            }
            _ => candle_core::bail!("only whole variables of 32-bit floats are set"),
        }
    }
}

/// Sum of squares, in eight sums that do not wait for each other.
fn sum_of_squares(values: &[f64]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        sums.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value * value);
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| value * value).sum::<f64>()
}

/// The numbers that one update has in common for all variables.
struct Update {
    rate: f32,
    /// From the sum of the gradients of all parts to their mean, clipped.
    scale: f64,
    /// Corrections for moments that began at zero.
    mean_scale: f32,
    square_scale: f32,
}

impl Update {
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    fn new(step: i32, rate: f64, scale: f64) -> Self {
        Self {
            rate: rate as f32,
            scale,
            mean_scale: 1.0 / (1.0 - BETA_1.powi(step)),
            square_scale: 1.0 / (1.0 - BETA_2.powi(step)),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "moments are f32")]
    fn apply(&self, slot: &mut Slot, grad: &[f64]) {
        let shrink = 1.0 - self.rate * slot.decay;
        let moments = slot.mean.iter_mut().zip(&mut slot.square);
        pulp::Arch::new().dispatch(|| {
            for ((value, (mean, square)), grad) in slot.values.iter_mut().zip(moments).zip(grad) {
                let grad = (grad * self.scale) as f32;
                *mean = BETA_1 * *mean + (1.0 - BETA_1) * grad;
                *square = BETA_2 * *square + (1.0 - BETA_2) * grad * grad;
                let step =
                    *mean * self.mean_scale / ((*square * self.square_scale).sqrt() + EPSILON);
                *value = *value * shrink - self.rate * step;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ranks::Alone;

    #[test]
    fn it_finds_the_bottom_of_a_bowl() -> Result<()> {
        let mut weights = Weights::default();
        weights.insert("x", Tensor::new(&[3.0_f32, -2.0], &Device::Cpu)?)?;
        let mut optimizer = AdamW::new(&weights, &[])?;
        let workers = Workers::new(1)?;
        let goal = Tensor::new(&[1.0_f32, 0.5], &Device::Cpu)?;
        for _ in 0..400 {
            let (_, x) = weights.iter().next().expect("there is one");
            let loss = (x.as_tensor() - &goal)?.sqr()?.sum_all()?;
            let batch = Batch { own: &[loss.backward()?], parts: 1, ranks: &Alone };
            optimizer.update(&batch, 0.02, &workers)?;
        }
        let (_, x) = weights.iter().next().expect("there is one");
        let error = (x.as_tensor() - &goal)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(error < 0.05, "off by {error}");
        Ok(())
    }
}
