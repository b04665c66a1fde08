//! Training the prior on the codes of a corpus.
//!
//! What it reads is a stream: a recording from its start token or from somewhere inside, then
//! another recording, and so on. So it learns how sounds begin, how they go on, and that after the
//! end of one there comes another; a take never ends.

mod begin;

use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use distill_shared::bundle::{CorpusCodes, CurvePoint, Tensors};
use distill_shared::model::config::{CodecConfig, PriorConfig};
use distill_shared::model::prior::CodePrior;
use distill_shared::quantizer::Quantizer;
use serde::{Deserialize, Serialize};

use super::astray::how_often;
use super::depth::depth_rows;
use super::draw::{Draw, Purpose};
use super::guide::guide;
use super::keeper::Begun;
use super::learner::{Course, Learned, Learner, Measured};
use super::optimizer::Batch;
use super::pieces::{PIECE_FRAMES, Piece, Reading, Recorded, frames, held_pieces, random_piece};
use super::schedule::{Length, Schedule};
use super::state::{Stage, State};
use super::target::SCALE;
use super::watch::Verdict;
use super::workers::Workers;
use super::{Diverged, Run};
use crate::descriptors::Moment;
use crate::events::{PriorEpochMetrics, PriorStepMetrics, PriorTrainingComplete, TrainingEvent};
use crate::ranks::Ranks;
use begin::{books, first_weights, recorded, resumed_weights, without_guide};

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
    /// Tensors of a prior of these sizes that was trained before, to begin with instead of from
    /// nothing.
    pub from: Option<Tensors>,
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
    /// What was measured on the way.
    pub curve: Vec<CurvePoint>,
    /// Exponential of the held-out cross-entropy of each level at the best measurement, coarse to
    /// fine.
    pub perplexity: Vec<f64>,
    /// Why training ended before its time, if it was not stopped.
    pub diverged: Option<Diverged>,
}

/// The codec whose codes a prior is trained on.
#[derive(Debug, Clone, Copy)]
pub struct KnownCodec<'a> {
    /// Its sizes.
    pub config: &'a CodecConfig,
    /// Its quantizer.
    pub quantizer: &'a Quantizer,
}

/// Trains a prior on those of `codes` that are not held out, from where the run's keeper has an
/// interrupted training of it. `moments` are what is heard in the frames of each; none of them are
/// needed if nothing is to be asked for.
///
/// # Errors
///
/// Fails if there is nothing to train on, and with [`Diverged`] if the loss does not stay finite before
/// anything was measured.
pub fn train_prior(
    codec: KnownCodec,
    codes: &[CorpusCodes],
    moments: &[Vec<Moment>],
    plan: &PriorPlan,
    run: &mut Run,
) -> Result<TrainedPrior> {
    let mut training = Training::new(codec, codes, moments, plan, run)?;
    run.tell_resumption(Stage::Prior, &training.learner);
    run.reserve(|| training.state())?;
    let mut diverged = None;
    while diverged.is_none() && !run.ends(training.is_over())? {
        let step = training.learner.schedule.step();
        let (metrics, verdict) = training.step()?;
        diverged = run.judge(verdict, metrics.loss, step);
        (run.events)(TrainingEvent::PriorStep(metrics));
        if diverged.is_none() && training.learner.is_time_to_measure(MEASUREMENTS) {
            let metrics = training.measure()?;
            (run.events)(TrainingEvent::PriorEpoch(metrics));
        }
        run.keep_if_due(|| training.state())?;
    }
    run.keep_if_stopped(|| training.state())?;
    let trained = training.finish(diverged, run.cancelled())?;
    (run.events)(TrainingEvent::PriorComplete(trained.complete.clone()));
    Ok(trained)
}

/// Everything that training of a prior needs.
struct Training<'a> {
    plan: &'a PriorPlan,
    codec: &'a CodecConfig,
    quantizer: &'a Quantizer,
    device: Device,
    workers: Workers,
    ranks: &'a dyn Ranks,
    train: Vec<Recorded<'a>>,
    held: Vec<Piece>,
    prior: CodePrior,
    learner: Learner,
    /// Measurements since the best one.
    since_best: u32,
    /// Of each level at the best measurement.
    perplexity: Vec<f64>,
}

/// What a state tells, apart from arrays. What it does not tell never changes.
#[derive(Serialize, Deserialize)]
struct Standing {
    config: PriorConfig,
    course: Course,
    since_best: u32,
    perplexity: Vec<Option<f64>>,
}

impl<'a> Training<'a> {
    fn new<'r: 'a>(
        codec: KnownCodec<'a>,
        codes: &'a [CorpusCodes],
        moments: &'a [Vec<Moment>],
        plan: &'a PriorPlan,
        run: &mut Run<'r>,
    ) -> Result<Self> {
        let schedule = Schedule::new(plan.length, plan.learning_rate, WARM_UP_STEPS);
        let (device, begun) = (run.device.clone(), run.begun(Stage::Prior));
        let train = recorded(codes, moments, &plan.config);
        ensure!(!train.is_empty(), "there are no codes to train a prior on");
        let held = codes.iter().filter(|c| c.held_out && c.codes.frames() > 0).map(|c| &c.codes);
        let weights = match &begun {
            Some(begun) => resumed_weights(begun, codec, plan, &device)?,
            None => first_weights(codec, plan, &train, &device)?,
        };
        let books = books(codec, &device)?;
        let KnownCodec { config: codec, quantizer } = codec;
        let tensors = without_guide(weights.to_tensors()?);
        let mut training = Self {
            held: held_pieces(held, quantizer.recall()),
            train,
            prior: CodePrior::new(&plan.config, codec, &weights, &books)?,
            learner: Learner::new(weights, &[GUIDE, SCALE], schedule, tensors)?,
            workers: Workers::new(run.threads)?,
            ranks: run.ranks,
            since_best: 0,
            perplexity: Vec::new(),
            plan,
            codec,
            quantizer,
            device,
        };
        begun.iter().try_for_each(|begun| training.resume(begun))?;
        Ok(training)
    }

    /// Goes on where a run was interrupted.
    fn resume(&mut self, begun: &Begun) -> Result<()> {
        let Standing { course, since_best, perplexity, .. } = begun.state.read()?;
        if !begun.changed.recordings {
            self.since_best = since_best;
            self.perplexity = perplexity.into_iter().map(|p| p.unwrap_or(f64::NAN)).collect();
        }
        self.learner.resume(course, begun)
    }

    /// What training has come to.
    fn state(&self) -> Result<State> {
        let (course, tensors) = self.learner.course()?;
        let (config, since_best) = (self.plan.config.clone(), self.since_best);
        let perplexity = self.perplexity.iter().map(|&p| Some(p)).collect();
        let text = serde_json::to_string(&Standing { config, course, since_best, perplexity })?;
        Ok(State { stage: Stage::Prior, step: self.learner.schedule.step(), text, tensors })
    }

    fn step(&mut self) -> Result<(PriorStepMetrics, Verdict)> {
        let step = self.learner.schedule.step();
        let parts = self.plan.batch.div_ceil(PART);
        let own = self.ranks.share(parts);
        let results = self.workers.run(own.len(), |i| self.part(step, own.start + i))?;
        let (grads, losses): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        let loss = self.ranks.numbers(&losses)?.iter().sum::<f64>() / parts as f64;
        let batch = Batch { own: &grads, parts, ranks: self.ranks };
        let verdict = self.learner.learn(&batch, loss, &self.workers)?;
        self.learner.schedule.advance(self.ranks)?;
        Ok((PriorStepMetrics { progress: self.learner.progress(), loss }, verdict))
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
        let read = |piece: &Piece| self.read_corrupt(piece, &mut draw);
        let readings = pieces.iter().map(read).collect::<Result<Vec<_>>>()?;
        let (inputs, latents) = self.inputs(&pieces, &readings)?;
        let hidden = self.prior.hidden(&inputs)?;

        let mut draw = Draw::new(self.plan.seed, Purpose::Frames, key(first));
        let (rows, weights) = depth_rows(&pieces, &mut draw)?;
        let hidden = hidden.reshape((pieces.len() * PIECE_FRAMES, ()))?;
        let ends = self.end_loss(&hidden, &pieces)?;
        let chosen = Tensor::new(rows.as_slice(), &self.device)?;
        let hidden = hidden.index_select(&chosen, 0)?;
        let latents = latents.index_select(&chosen, 0)?;
        let all: Vec<&[u32]> = readings.iter().flat_map(|r| frames(&r.answers)).collect();
        let codes: Vec<u32> = rows.iter().flat_map(|&row| all[row as usize]).copied().collect();
        let losses = self.prior.cross_entropy(&hidden, &latents, &codes)?.mean(0)?;
        let told = losses.to_vec1::<f32>()?;
        let once = told.iter().zip(&weights).filter(|(_, weight)| **weight <= 1.0);
        let once: Vec<f64> = once.map(|(loss, _)| f64::from(*loss)).collect();
        let value = once.iter().sum::<f64>() / once.len() as f64;
        let weights = Tensor::new(weights.as_slice(), &self.device)?;
        let loss = (((losses * &weights)?.sum_all()? / weights.sum_all()?)? + ends)?;
        Ok((loss.backward()?, value))
    }

    /// What the prior reads before each frame of `pieces` of one length, `[B, T, H]`, and the latents
    /// that it reads, `[B * T, D]`.
    fn inputs(&self, pieces: &[Piece], readings: &[Reading]) -> Result<(Tensor, Tensor)> {
        let mut rows = Vec::with_capacity(pieces.len());
        let mut before = Vec::new();
        for (piece, Reading { codes, latents, .. }) in pieces.iter().zip(readings) {
            let starts = piece.before.frames() == 0;
            let mut row = if starts { vec![self.prior.start()?] } else { Vec::new() };
            if starts {
                before.extend(vec![0.0; self.codec.latent_dim]);
            }
            before.extend_from_slice(latents);
            if !codes.is_empty() {
                let shape = (codes.len() / self.codec.quantizers, self.codec.latent_dim);
                let latents = Tensor::from_slice(latents, shape, &self.device)?;
                row.push(self.prior.embed(codes, &latents)?);
            }
            let row = Tensor::cat(&row, 0)?;
            rows.push(self.begin_anew(row, piece, &mut before)?);
        }
        let frames = before.len() / self.codec.latent_dim;
        let before = Tensor::from_vec(before, (frames, self.codec.latent_dim), &self.device)?;
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
        let mask = Tensor::from_vec(mask, (frames, 1), &self.device)?;
        let start = self.prior.start()?.broadcast_sub(&row)?;
        Ok((row + start.broadcast_mul(&mask)?)?)
    }

    /// Binary cross-entropy of which frames, of `hidden`, `[B * T, H]`, are the last of a recording.
    fn end_loss(&self, hidden: &Tensor, pieces: &[Piece]) -> Result<Tensor> {
        let ends = pieces.iter().flat_map(|piece| &piece.begins[1..]);
        let ends: Vec<f32> = ends.map(|&ends| f32::from(u8::from(ends))).collect();
        let ends = Tensor::from_vec(ends, hidden.dim(0)?, &self.device)?;
        let logits = self.prior.ends(hidden)?.context("a prior in training tells ends")?;
        // ln(1 + exp(x)) without overflow: max(x, 0) + ln(1 + exp(-|x|)).
        let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        Ok((softplus - (logits * ends)?)?.mean_all()?)
    }

    /// Reads a piece that goes astray now and then, replaces some codes of what is read, and moves its
    /// latents a little.
    #[expect(clippy::cast_possible_truncation, reason = "latents are f32")]
    fn read_corrupt(&self, piece: &Piece, draw: &mut Draw) -> Result<Reading> {
        let often = how_often(draw);
        let mut reading = piece.read_astray(self.quantizer, often, draw);
        for code in &mut reading.codes {
            if draw.uniform() < CORRUPTION {
                *code = u32::try_from(draw.below(self.codec.codebook_size))?;
            }
        }
        reading.latents.iter_mut().for_each(|value| *value += LATENT_NOISE * draw.normal() as f32);
        Ok(reading)
    }

    /// Whether the course is run, or nothing better has come for long.
    fn is_over(&self) -> bool {
        self.learner.schedule.is_over() || self.since_best >= PATIENCE
    }

    /// Measures the prior on held-out recordings, and keeps it if it is the best.
    fn measure(&mut self) -> Result<PriorEpochMetrics> {
        let measured = self.workers.run(self.held.len(), |i| {
            let piece = &self.held[i];
            let reading = piece.read(self.quantizer);
            let (inputs, latents) = self.inputs(std::slice::from_ref(piece), &[reading])?;
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
        let perplexity: Vec<f64> = levels.iter().map(|loss| loss.exp()).collect();
        let Measured { train_loss, best } =
            self.learner.measured(validation_loss, without_guide)?;
        self.since_best = if best { 0 } else { self.since_best + 1 };
        if best {
            self.perplexity.clone_from(&perplexity);
        }
        let progress = self.learner.progress();
        Ok(PriorEpochMetrics { progress, train_loss, validation_loss, perplexity, best })
    }

    fn finish(mut self, diverged: Option<Diverged>, cancelled: bool) -> Result<TrainedPrior> {
        match diverged {
            Some(diverged) if self.learner.best().loss.is_none() => return Err(diverged.into()),
            None if self.learner.is_unmeasured() => drop(self.measure()?),
            _ => {}
        }
        let Learned { best_loss, mut tensors, curve, steps, elapsed_s } = self.learner.finish()?;
        if let Some(guide) = guide(&self.train, self.codec, &self.plan.config, self.plan.seed) {
            tensors.insert(GUIDE.to_owned(), guide);
        }
        let best_validation_loss = best_loss;
        let complete = PriorTrainingComplete { steps, elapsed_s, best_validation_loss, cancelled };
        let (config, perplexity) = (self.plan.config.clone(), self.perplexity);
        Ok(TrainedPrior { config, tensors, complete, curve, perplexity, diverged })
    }
}
