//! Training the prior on the codes of a corpus.
//!
//! What it reads is a stream: a recording from its start token or from somewhere inside, then
//! another recording, and so on. So it learns how sounds begin, how they go on, and that after the
//! end of one there comes another; a take never ends.

use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use distill_shared::bundle::{CorpusCodes, Tensors};
use distill_shared::model::conditioning::BEGINNING;
use distill_shared::model::config::{CodecConfig, PriorConfig};
use distill_shared::model::prior::CodePrior;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::Quantizer;

use super::draw::{Draw, Purpose};
use super::guide::guide;
use super::init::initial_weights;
use super::optimizer::AdamW;
use super::pieces::{PIECE_FRAMES, Piece, Recorded, frames, held_pieces, random_piece};
use super::schedule::{Length, Schedule};
use super::target::{SCALE, begin_target};
use super::workers::Workers;
use super::{Diverged, Run};
use crate::descriptors::Moment;
use crate::events::{PriorEpochMetrics, PriorStepMetrics, PriorTrainingComplete, TrainingEvent};

/// The tensor of the guide: counted, not trained.
pub(crate) const GUIDE: &str = "prior.guide";
/// The tensor of the log-odds of ends where nothing else is known.
pub(crate) const END_BIAS: &str = "prior.end.bias";
/// Pieces that one thread takes at a time.
const PART: usize = 2;
/// Share of the input codes that are replaced at random: what is learned must not hang on every
/// single code, since sampling will not repeat the corpus exactly.
const CORRUPTION: f64 = 0.06;
/// Deviation of the noise on the latents that are read; theirs is about 1.
const LATENT_NOISE: f32 = 0.1;
/// One in so many frames trains the depth transformer, which costs several times as much as the
/// temporal one: it learns as much of a few frames as of all, and more steps are made in a minute.
const DEPTH_STRIDE: usize = 4;
/// Times that each of them counts: together about as much as all others of the pieces around them,
/// since they decide what every note begins with, and there are few of them. Others that begin a
/// recording count once: of a corpus of short sounds they would drown the rest.
const BEGINNING_WEIGHT: f32 = 24.0;
/// Updates over which the learning rate rises.
const WARM_UP_STEPS: u32 = 30;
/// Measurements on held-out recordings in the course of training.
const MEASUREMENTS: u32 = 16;
/// Measurements without a new best after which training ends early.
const PATIENCE: u32 = 5;

/// How to train a prior.
#[derive(Debug, Clone)]
pub struct PriorPlan {
    /// Its sizes.
    pub config: PriorConfig,
    /// How long.
    pub length: Length,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Pieces of stream per update.
    pub batch: usize,
    /// Decides initial weights, pieces and everything else that is drawn.
    pub seed: u64,
}

impl PriorPlan {
    /// Updates after which about as many frames were read as the training part of `codes` holds.
    #[must_use]
    pub fn steps_per_epoch(&self, codes: &[CorpusCodes]) -> u32 {
        let train = codes.iter().filter(|c| !c.held_out);
        let frames: usize = train.map(|c| c.codes.frames()).sum();
        u32::try_from(frames.div_ceil(PIECE_FRAMES * self.batch.max(1))).unwrap_or(u32::MAX).max(1)
    }
}

/// A trained prior.
#[derive(Debug, Clone)]
pub struct TrainedPrior {
    /// Its sizes.
    pub config: PriorConfig,
    /// Its weights, `prior.*`, the best on held-out recordings.
    pub tensors: Tensors,
    /// How it went.
    pub complete: PriorTrainingComplete,
}

/// The codec whose codes a prior is trained on.
#[derive(Debug, Clone, Copy)]
pub struct KnownCodec<'a> {
    /// Its sizes.
    pub config: &'a CodecConfig,
    /// Its quantizer.
    pub quantizer: &'a Quantizer,
}

/// Trains a prior on those of `codes` that are not held out. `moments` are what is heard in the
/// frames of each; none of them are needed if nothing is to be asked for.
///
/// # Errors
///
/// Fails with [`Diverged`] if the loss stops being finite, or if there is nothing to train on.
pub fn train_prior(
    codec: KnownCodec,
    codes: &[CorpusCodes],
    moments: &[Vec<Moment>],
    plan: &PriorPlan,
    run: &mut Run,
) -> Result<TrainedPrior> {
    let mut training = Training::new(codec, codes, moments, plan, run.device, run.threads)?;
    while !training.schedule.is_over() && !training.is_past_its_best() && !run.cancelled() {
        let metrics = training.step()?;
        (run.events)(TrainingEvent::PriorStep(metrics));
        if training.is_time_to_measure() {
            let metrics = training.measure()?;
            (run.events)(TrainingEvent::PriorEpoch(metrics));
        }
    }
    let trained = training.finish(run.cancelled())?;
    (run.events)(TrainingEvent::PriorComplete(trained.complete.clone()));
    Ok(trained)
}

/// Everything that changes while a prior trains.
struct Training<'a> {
    plan: &'a PriorPlan,
    codec: &'a CodecConfig,
    quantizer: &'a Quantizer,
    device: &'a Device,
    workers: Workers,
    train: Vec<Recorded<'a>>,
    held: Vec<Piece>,
    weights: Weights,
    prior: CodePrior,
    optimizer: AdamW,
    schedule: Schedule,
    best: Option<(f64, Tensors)>,
    since_best: u32,
    /// Sum and number of the training losses since the last measurement.
    recent: (f64, u32),
}

impl<'a> Training<'a> {
    fn new(
        codec: KnownCodec<'a>,
        codes: &'a [CorpusCodes],
        moments: &'a [Vec<Moment>],
        plan: &'a PriorPlan,
        device: &'a Device,
        threads: usize,
    ) -> Result<Self> {
        let schedule = Schedule::new(plan.length, plan.learning_rate, WARM_UP_STEPS);
        let KnownCodec { config: codec, quantizer } = codec;
        let classes = &plan.config.conditioning.classes;
        let heard = moments.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        let train = codes.iter().zip(heard).filter(|(c, _)| !c.held_out && c.codes.frames() > 0);
        let recorded = |(c, moments): (&'a CorpusCodes, &'a [Moment])| {
            let class = classes.iter().position(|name| *name == c.class);
            let class = class.and_then(|class| u32::try_from(class).ok());
            Recorded { codes: &c.codes, moments, class }
        };
        let train: Vec<_> = train.map(recorded).collect();
        ensure!(!train.is_empty(), "there are no codes to train a prior on");
        let held = codes.iter().filter(|c| c.held_out && c.codes.frames() > 0).map(|c| &c.codes);
        let mut weights = initial_weights(&plan.config.tensors(codec), plan.seed, device)?;
        begin_target(&mut weights, codec, quantizer, &train)?;
        begin_ends(&mut weights, &train)?;
        let books = Tensor::from_slice(
            quantizer.books().entries(),
            (codec.quantizers, codec.codebook_size, codec.latent_dim),
            device,
        )?;
        Ok(Self {
            held: held_pieces(held, quantizer.recall()),
            train,
            prior: CodePrior::new(&plan.config, codec, &weights, &books)?,
            optimizer: AdamW::new(&weights, &[GUIDE, SCALE])?,
            weights,
            schedule,
            workers: Workers::new(threads)?,
            best: None,
            since_best: 0,
            recent: (0.0, 0),
            plan,
            codec,
            quantizer,
            device,
        })
    }

    fn step(&mut self) -> Result<PriorStepMetrics> {
        let step = self.schedule.step();
        let parts = self.plan.batch.div_ceil(PART);
        let results = self.workers.run(parts, |part| self.part(step, part))?;
        let loss = results.iter().map(|(_, loss)| loss).sum::<f64>() / results.len() as f64;
        let grads: Vec<_> = results.into_iter().map(|(grads, _)| grads).collect();
        let norm = self.optimizer.update(&grads, self.schedule.rate(), &self.workers)?;
        if !(norm.is_finite() && loss.is_finite()) {
            return Err(Diverged { loss, step }.into());
        }
        self.recent = (self.recent.0 + loss, self.recent.1 + 1);
        self.schedule.advance();
        Ok(PriorStepMetrics { progress: self.schedule.progress(), loss })
    }

    /// Gradients, and mean cross-entropy per code of the frames that count once, of one part of the
    /// batch of `step`.
    fn part(&self, step: u32, part: usize) -> Result<(GradStore, f64)> {
        let first = part * PART;
        let items = first..self.plan.batch.min(first + PART);
        let key =
            |i: usize| step.wrapping_mul(0x1_0001).wrapping_add(u32::try_from(i).unwrap_or(0));
        let recall = self.quantizer.recall();
        let pieces: Vec<Piece> = items
            .clone()
            .map(|i| {
                random_piece(
                    &self.train,
                    recall,
                    &mut Draw::new(self.plan.seed, Purpose::Crops, key(i)),
                )
            })
            .collect();
        let mut draw = Draw::new(self.plan.seed, Purpose::Corruption, key(first));
        let (inputs, latents) = self.inputs(&pieces, Some(&mut draw))?;
        let hidden = self.prior.hidden(&inputs)?;

        let mut draw = Draw::new(self.plan.seed, Purpose::Frames, key(first));
        let (rows, weights) = depth_rows(&pieces, &mut draw)?;
        let hidden = hidden.reshape((pieces.len() * PIECE_FRAMES, ()))?;
        let ends = self.end_loss(&hidden, &pieces)?;
        let chosen = Tensor::new(rows.as_slice(), self.device)?;
        let hidden = hidden.index_select(&chosen, 0)?;
        let latents = latents.index_select(&chosen, 0)?;
        let all: Vec<&[u32]> = pieces.iter().flat_map(|p| frames(&p.codes)).collect();
        let codes: Vec<u32> = rows.iter().flat_map(|&row| all[row as usize]).copied().collect();
        let losses = self.prior.cross_entropy(&hidden, &latents, &codes)?.mean(0)?;
        let told = losses.to_vec1::<f32>()?;
        let once = told.iter().zip(&weights).filter(|(_, weight)| **weight <= 1.0);
        let once: Vec<f64> = once.map(|(loss, _)| f64::from(*loss)).collect();
        let value = once.iter().sum::<f64>() / once.len() as f64;
        let weights = Tensor::new(weights.as_slice(), self.device)?;
        let loss = (((losses * &weights)?.sum_all()? / weights.sum_all()?)? + ends)?;
        Ok((loss.backward()?, value))
    }

    /// What the prior reads before each frame of `pieces` of one length, `[B, T, H]`, and the latents
    /// that it reads, `[B * T, D]`.
    fn inputs(&self, pieces: &[Piece], mut corrupt: Option<&mut Draw>) -> Result<(Tensor, Tensor)> {
        let mut rows = Vec::with_capacity(pieces.len());
        let mut before = Vec::new();
        for piece in pieces {
            let (mut codes, mut latents) = piece.read(self.quantizer);
            if let Some(draw) = &mut corrupt {
                self.corrupt(&mut codes, &mut latents, draw)?;
            }
            let starts = piece.before.frames() == 0;
            let mut row = if starts { vec![self.prior.start()?] } else { Vec::new() };
            if starts {
                before.extend(vec![0.0; self.codec.latent_dim]);
            }
            before.extend_from_slice(&latents);
            if !codes.is_empty() {
                let shape = (codes.len() / self.codec.quantizers, self.codec.latent_dim);
                let latents = Tensor::from_vec(latents, shape, self.device)?;
                row.push(self.prior.embed(&codes, &latents)?);
            }
            let row = Tensor::cat(&row, 0)?;
            rows.push(self.begin_anew(row, piece, &mut before)?);
        }
        let frames = before.len() / self.codec.latent_dim;
        let before = Tensor::from_vec(before, (frames, self.codec.latent_dim), self.device)?;
        Ok((Tensor::stack(&rows, 0)?, before))
    }

    /// `row`, `[T, H]`, reads the start where a recording of `piece` begins, and its frames of
    /// `before`, the last `[T, D]`, tell nothing there.
    fn begin_anew(&self, row: Tensor, piece: &Piece, before: &mut [f32]) -> Result<Tensor> {
        let d = self.codec.latent_dim;
        let frames = piece.codes.frames();
        let first = before.len() - frames * d;
        let begins = &piece.begins[..frames];
        for (latent, begins) in before[first..].chunks_exact_mut(d).zip(begins) {
            if *begins {
                latent.fill(0.0);
            }
        }
        if !begins.iter().skip(1).any(|begins| *begins) {
            return Ok(row);
        }
        let mask: Vec<f32> = begins.iter().map(|&begins| f32::from(u8::from(begins))).collect();
        let mask = Tensor::from_vec(mask, (frames, 1), self.device)?;
        let start = self.prior.start()?.broadcast_sub(&row)?;
        Ok((row + start.broadcast_mul(&mask)?)?)
    }

    /// Binary cross-entropy of which frames, of `hidden`, `[B * T, H]`, are the last of a recording.
    fn end_loss(&self, hidden: &Tensor, pieces: &[Piece]) -> Result<Tensor> {
        let ends = pieces.iter().flat_map(|piece| &piece.begins[1..]);
        let ends: Vec<f32> = ends.map(|&ends| f32::from(u8::from(ends))).collect();
        let ends = Tensor::from_vec(ends, hidden.dim(0)?, self.device)?;
        let logits = self.prior.ends(hidden)?.context("a prior in training tells ends")?;
        // ln(1 + exp(x)) without overflow: max(x, 0) + ln(1 + exp(-|x|)).
        let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        Ok((softplus - (logits * ends)?)?.mean_all()?)
    }

    /// Replaces some codes, and moves the latents a little.
    #[expect(clippy::cast_possible_truncation, reason = "latents are f32")]
    fn corrupt(&self, codes: &mut [u32], latents: &mut [f32], draw: &mut Draw) -> Result<()> {
        for code in codes {
            if draw.uniform() < CORRUPTION {
                *code = u32::try_from(draw.below(self.codec.codebook_size))?;
            }
        }
        latents.iter_mut().for_each(|value| *value += LATENT_NOISE * draw.normal() as f32);
        Ok(())
    }

    fn is_time_to_measure(&self) -> bool {
        let (step, steps) = (self.schedule.step(), self.schedule.steps());
        let every = (steps / MEASUREMENTS).max(1);
        steps > 0 && (steps.saturating_sub(step)).is_multiple_of(every)
    }

    fn is_past_its_best(&self) -> bool {
        self.since_best >= PATIENCE
    }

    /// Measures the prior on held-out recordings, and keeps it if it is the best.
    fn measure(&mut self) -> Result<PriorEpochMetrics> {
        let measured = self.workers.run(self.held.len(), |i| {
            let piece = &self.held[i];
            let (inputs, latents) = self.inputs(std::slice::from_ref(piece), None)?;
            let hidden = self.prior.hidden(&inputs)?;
            let losses = self.prior.cross_entropy(
                &hidden.squeeze(0)?.detach(),
                &latents,
                piece.codes.as_slice(),
            )?;
            let losses = losses.mean(1)?.to_vec1::<f32>()?;
            Ok((losses, piece.codes.frames()))
        })?;
        let total: usize = measured.iter().map(|(_, frames)| frames).sum();
        let mut levels = vec![0.0; self.codec.quantizers];
        for (losses, frames) in &measured {
            let share = *frames as f64 / total as f64;
            levels.iter_mut().zip(losses).for_each(|(sum, l)| *sum += share * f64::from(*l));
        }
        let validation_loss = levels.iter().sum::<f64>() / levels.len() as f64;
        let best = self.best.as_ref().is_none_or(|(loss, _)| validation_loss < *loss);
        if best {
            self.best = Some((validation_loss, self.weights.to_tensors()?));
        }
        self.since_best = if best { 0 } else { self.since_best + 1 };
        let (sum, count) = std::mem::take(&mut self.recent);
        Ok(PriorEpochMetrics {
            progress: self.schedule.progress(),
            train_loss: sum / f64::from(count.max(1)),
            validation_loss,
            perplexity: levels.iter().map(|loss| loss.exp()).collect(),
            best,
        })
    }

    fn finish(mut self, cancelled: bool) -> Result<TrainedPrior> {
        if self.recent.1 > 0 || self.best.is_none() {
            self.measure()?;
        }
        let (best_validation_loss, mut tensors) =
            self.best.take().context("nothing was measured")?;
        if let Some(guide) = guide(&self.train, self.codec, &self.plan.config, self.plan.seed) {
            tensors.insert(GUIDE.to_owned(), guide);
        }
        let complete = PriorTrainingComplete {
            steps: self.schedule.step(),
            elapsed_s: self.schedule.elapsed_s(),
            best_validation_loss,
            cancelled,
        };
        Ok(TrainedPrior { config: self.plan.config.clone(), tensors, complete })
    }
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

/// The frames of `pieces` on which to train the depth transformer: rows of `[B * T]`, none twice, and
/// how much each counts.
fn depth_rows(pieces: &[Piece], draw: &mut Draw) -> Result<(Vec<u32>, Vec<f32>)> {
    let (mut rows, mut weights) = (Vec::new(), Vec::new());
    for (i, piece) in pieces.iter().enumerate() {
        let beginning = if piece.before.frames() == 0 { BEGINNING } else { 0 };
        let others = (beginning..PIECE_FRAMES).step_by(DEPTH_STRIDE);
        let others = others.map(|frame| (frame + draw.below(DEPTH_STRIDE), 1.0));
        for (frame, weight) in (0..beginning).map(|t| (t, BEGINNING_WEIGHT)).chain(others) {
            rows.push(u32::try_from(i * PIECE_FRAMES + frame)?);
            weights.push(weight);
        }
    }
    Ok((rows, weights))
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;

    use super::*;

    #[test]
    fn the_beginning_of_a_take_counts_many_times_and_nothing_else_does() {
        let stream = |frames| {
            let mut codes = Codes::new(1);
            (0..frames).for_each(|_| codes.push(&[0]));
            codes
        };
        let piece = |before| Piece {
            before: stream(before),
            codes: stream(PIECE_FRAMES),
            moments: Vec::new(),
            classes: Vec::new(),
            begins: Vec::new(),
        };
        let (inside, start) = (piece(1), piece(0));
        let pieces = [inside, start];
        for key in 0..20 {
            let mut draw = Draw::new(1, Purpose::Frames, key);
            let (rows, weights) = depth_rows(&pieces, &mut draw).expect("few rows");
            let others = (2 * PIECE_FRAMES - BEGINNING) / DEPTH_STRIDE;
            assert_eq!(rows.len(), others + BEGINNING);
            assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
            let counts_more =
                |(&row, &weight): (&u32, &f32)| (weight > 1.0).then_some(row as usize);
            let starts: Vec<_> = rows.iter().zip(&weights).filter_map(counts_more).collect();
            assert_eq!(starts, Vec::from_iter(PIECE_FRAMES..PIECE_FRAMES + BEGINNING));
        }
    }
}
