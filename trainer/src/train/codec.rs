//! Training the codec.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use distill_shared::bundle::{self, Tensors};
use distill_shared::model::codec::{Codec, FIXED};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::{Quantizer, news};

use super::bounds::insert_bounds;
use super::codebooks::{LearningCodebooks, Quantized};
use super::crops::{Crop, Material};
use super::draw::{Draw, Purpose};
use super::init::initial_weights;
use super::level::match_level;
use super::loss::{FeatureLoss, LossWeights};
use super::optimizer::AdamW;
use super::principal::insert_principal;
use super::quantize::{before, quantize};
use super::schedule::{Length, Schedule};
use super::workers::Workers;
use super::{Diverged, Run};
use crate::corpus::Corpus;
use crate::events::{
    CodecEpochMetrics, CodecStepMetrics, CodecTrainingComplete, LevelUse, TrainingEvent,
};

/// Codec frames of a crop: about a second.
pub(super) const CROP_FRAMES: usize = 48;
/// Crops that one thread takes at a time.
const PART: usize = 4;
/// Weight of the commitment loss.
const COMMITMENT: f64 = 0.25;
/// Crops that the linear path is fitted to and the codebooks are placed among.
const SURVEYED: u32 = 128;
/// Updates after which the codebooks are placed again: early on the latents move faster than running
/// means can follow.
const PLACEMENTS: [u32; 2] = [100, 400];
/// Updates over which the learning rate rises.
const WARM_UP_STEPS: u32 = 50;
/// Share of crops that use all levels; the others use the first few.
const ALL_LEVELS_SHARE: f64 = 0.7;
/// Measurements on held-out files in the course of training.
const MEASUREMENTS: u32 = 12;
/// Crops of held-out files to measure on, at most.
const HELD_CROPS: usize = 16;
/// Updates with a loss that is not finite, one after another, before training gives up.
const PATIENCE: u32 = 5;

/// How to train a codec.
#[derive(Debug, Clone)]
pub struct CodecPlan {
    /// Its sizes.
    pub config: CodecConfig,
    /// How long.
    pub length: Length,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Crops per update.
    pub batch: usize,
    /// Decides initial weights, crops and everything else that is drawn.
    pub seed: u64,
}

/// A trained codec.
#[derive(Debug, Clone)]
pub struct TrainedCodec {
    /// Its sizes.
    pub config: CodecConfig,
    /// Its weights, `codec.*`, the best on held-out files.
    pub tensors: Tensors,
    /// How it went.
    pub complete: CodecTrainingComplete,
}

/// Trains a codec on the recordings of `corpus` that are not held out.
///
/// # Errors
///
/// Fails with [`Diverged`] if the loss is not finite several times in a row.
pub fn train_codec(corpus: &Corpus, plan: &CodecPlan, run: &mut Run) -> Result<TrainedCodec> {
    let mut training = Training::new(corpus, plan, run.device, run.threads)?;
    while !training.schedule.is_over() && !run.cancelled() {
        let metrics = training.step()?;
        (run.events)(TrainingEvent::CodecStep(metrics));
        if training.is_time_to_measure() {
            let metrics = training.measure()?;
            (run.events)(TrainingEvent::CodecEpoch(metrics));
        }
    }
    let mut trained = training.finish(run.cancelled())?;
    match_level(corpus, &plan.config, &mut trained.tensors, run)?;
    (run.events)(TrainingEvent::CodecComplete(trained.complete.clone()));
    Ok(trained)
}

/// Everything that changes while a codec trains.
struct Training<'a> {
    plan: &'a CodecPlan,
    device: &'a Device,
    workers: Workers,
    train: Material,
    held: Vec<Crop>,
    weights: Weights,
    codec: Codec,
    books: LearningCodebooks,
    loss: FeatureLoss,
    optimizer: AdamW,
    schedule: Schedule,
    best: Option<(f64, Tensors)>,
    /// Sum and number of the training losses since the last measurement.
    recent: (f64, u32),
    /// Use of the codebooks at the last measurement.
    levels: Vec<LevelUse>,
    failures: u32,
}

/// What one part of a batch found.
struct Part {
    grads: GradStore,
    quantized: Vec<Quantized>,
    loss: f64,
    commitment: f64,
}

impl<'a> Training<'a> {
    fn new(
        corpus: &Corpus,
        plan: &'a CodecPlan,
        device: &'a Device,
        threads: usize,
    ) -> Result<Self> {
        let (config, began) = (&plan.config, Instant::now());
        let train = Material::new(corpus, corpus.train(), config, CROP_FRAMES);
        if train.len() == 0 {
            bail!("there is no recording to train on");
        }
        let (mut weights, workers) = (learned_weights(plan, device)?, Workers::new(threads)?);
        let surveyed = surveyed(&train, plan);
        let mut draw = Draw::new(plan.seed, Purpose::Weights, u32::MAX);
        insert_principal(&mut weights, config, &rows(&surveyed), &mut draw, device)?;
        insert_bounds(&mut weights, config, &train, (&workers, device))?;
        let codec = Codec::new(config, &weights)?;
        let books = placed(&codec, &surveyed, plan, None, (&workers, device))?;
        let length = plan.length.after(began.elapsed().as_secs_f64());
        Ok(Self {
            held: held_crops(&Material::new(corpus, corpus.held_out(), config, CROP_FRAMES)),
            train,
            books,
            codec,
            optimizer: AdamW::new(&weights, &FIXED)?,
            weights,
            loss: FeatureLoss::new(LossWeights::default(), config),
            schedule: Schedule::new(length, plan.learning_rate, WARM_UP_STEPS),
            workers,
            best: None,
            recent: (0.0, 0),
            levels: Vec::new(),
            failures: 0,
            plan,
            device,
        })
    }

    /// One optimizer update.
    fn step(&mut self) -> Result<CodecStepMetrics> {
        let step = self.schedule.step();
        if PLACEMENTS.contains(&step) && self.schedule.share() < 0.5 {
            let surveyed = surveyed(&self.train, self.plan);
            let (codec, workers) = (&self.codec, &self.workers);
            let current = Some(self.books.quantizer());
            self.books = placed(codec, &surveyed, self.plan, current, (workers, self.device))?;
        }
        let parts = self.plan.batch.div_ceil(PART);
        let results = self.workers.run(parts, |part| self.part(step, part))?;
        let count = results.len() as f64;
        let loss = results.iter().map(|r| r.loss).sum::<f64>() / count;
        let commitment = results.iter().map(|r| r.commitment).sum::<f64>() / count;

        let (mut grads, mut quantized) = (Vec::new(), Vec::new());
        for result in results {
            grads.push(result.grads);
            quantized.extend(result.quantized);
        }
        let norm = self.optimizer.update(&grads, self.schedule.rate(), &self.workers)?;
        if norm.is_finite() && loss.is_finite() {
            self.failures = 0;
            self.recent = (self.recent.0 + loss, self.recent.1 + 1);
            self.update_codebooks(step, &quantized);
        } else {
            self.failures += 1;
            if self.failures >= PATIENCE {
                return Err(Diverged { loss, step }.into());
            }
        }
        self.schedule.advance();
        let progress = self.schedule.progress();
        let seconds = (self.plan.batch * CROP_FRAMES) as f64 / self.plan.config.frame_rate();
        Ok(CodecStepMetrics {
            loss: loss + COMMITMENT * commitment,
            spectral_loss: loss,
            commitment_loss: commitment,
            audio_rate: f64::from(progress.step) * seconds / progress.elapsed_s.max(1e-9),
            progress,
        })
    }

    /// Forward and backward pass of one part of the batch of `step`.
    fn part(&self, step: u32, part: usize) -> Result<Part> {
        let item =
            |i: usize| step.wrapping_mul(0x1_0001).wrapping_add(u32::try_from(i).unwrap_or(0));
        let first = part * PART;
        let items: Vec<usize> = (first..self.plan.batch.min(first + PART)).collect();
        let crops: Vec<Crop> = items
            .iter()
            .map(|&i| {
                let mut draw = Draw::new(self.plan.seed, Purpose::Crops, item(i));
                self.train.random(CROP_FRAMES, &mut draw)
            })
            .collect();
        let levels = items.iter().map(|&i| {
            let mut draw = Draw::new(self.plan.seed, Purpose::Levels, item(i));
            let all = self.plan.config.quantizers;
            if draw.uniform() < ALL_LEVELS_SHARE { all } else { 1 + draw.below(all) }
        });
        let latents = self.codec.encode(&features(&crops, &self.plan.config, self.device)?)?;
        let quantized =
            quantize(self.books.quantizer(), &latents, &crops, &levels.collect::<Vec<_>>())?;
        let decoded = self.codec.decode(&quantized.passed)?;
        let loss = self.loss.forward(&decoded, rows(&crops))?;
        let total = (&loss + (&quantized.commitment * COMMITMENT)?)?;
        Ok(Part {
            grads: total.backward()?,
            quantized: quantized.parts,
            loss: f64::from(loss.to_scalar::<f32>()?),
            commitment: f64::from(quantized.commitment.to_scalar::<f32>()?),
        })
    }

    fn update_codebooks(&mut self, step: u32, quantized: &[Quantized]) {
        // Entries settle in the end.
        let restart = step.is_multiple_of(10) && self.schedule.share() < 0.95;
        let mut draw = Draw::new(self.plan.seed, Purpose::Restarts, step);
        self.books.update(quantized, restart.then_some(&mut draw));
    }

    fn is_time_to_measure(&self) -> bool {
        let (step, steps) = (self.schedule.step(), self.schedule.steps());
        let every = (steps / MEASUREMENTS).max(1);
        steps > 0 && (steps.saturating_sub(step)).is_multiple_of(every)
    }

    /// Measures the codec, all levels in use, on held-out files, and keeps it if it is the best.
    fn measure(&mut self) -> Result<CodecEpochMetrics> {
        let losses = self.workers.run(self.held.len(), |i| self.held_loss(&self.held[i]))?;
        let validation_loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let best = self.best.as_ref().is_none_or(|(loss, _)| validation_loss < *loss);
        if best {
            self.best = Some((validation_loss, self.tensors()?));
        }
        let (sum, count) = std::mem::take(&mut self.recent);
        self.levels = self.books.take_use();
        Ok(CodecEpochMetrics {
            progress: self.schedule.progress(),
            train_loss: sum / f64::from(count.max(1)),
            validation_loss,
            best,
            levels: self.levels.clone(),
        })
    }

    fn held_loss(&self, crop: &Crop) -> Result<f64> {
        let crop = std::slice::from_ref(crop);
        let latents = self.codec.encode(&features(crop, &self.plan.config, self.device)?)?;
        let levels = [self.plan.config.quantizers];
        let quantized = quantize(self.books.quantizer(), &latents.detach(), crop, &levels)?;
        let decoded = self.codec.decode(&quantized.passed.detach())?;
        Ok(f64::from(self.loss.forward(&decoded, rows(crop))?.to_scalar::<f32>()?))
    }

    /// The weights as they are, codebooks included.
    fn tensors(&self) -> Result<Tensors> {
        let config = &self.plan.config;
        let mut tensors = self.weights.to_tensors()?;
        let books = self.books.quantizer().books();
        let shape = [config.quantizers, config.codebook_size, config.latent_dim];
        let entries = bundle::Tensor::f32(&shape, books.entries().to_vec());
        tensors.insert(CODEBOOKS.to_owned(), entries.context("the codebooks are [N, K, D]")?);
        Ok(tensors)
    }

    fn finish(mut self, cancelled: bool) -> Result<TrainedCodec> {
        if self.recent.1 > 0 || self.best.is_none() {
            self.measure()?;
        }
        let (best_validation_loss, tensors) = self.best.take().context("nothing was measured")?;
        let complete = CodecTrainingComplete {
            steps: self.schedule.step(),
            elapsed_s: self.schedule.elapsed_s(),
            best_validation_loss,
            levels: std::mem::take(&mut self.levels),
            cancelled,
        };
        Ok(TrainedCodec { config: self.plan.config.clone(), tensors, complete })
    }
}

/// Initial weights of everything that is learned by gradients.
fn learned_weights(plan: &CodecPlan, device: &Device) -> Result<Weights> {
    let learned = plan.config.tensors().into_iter();
    let learned = learned.filter(|(name, _)| name != CODEBOOKS && !FIXED.contains(&name.as_str()));
    Ok(initial_weights(&learned.collect::<Vec<_>>(), plan.seed, device)?)
}

/// Crops from all over the material, always the same.
fn surveyed(train: &Material, plan: &CodecPlan) -> Vec<Crop> {
    let crop =
        |i| train.random(CROP_FRAMES, &mut Draw::new(plan.seed, Purpose::Crops, u32::MAX - i));
    (0..SURVEYED).map(crop).collect()
}

/// Codebooks placed among what is new in the latents of `crops` to the `current` quantizer; to none,
/// as if it had quantized what came before without an error.
fn placed(
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
fn rows(crops: &[Crop]) -> Vec<f32> {
    crops.iter().flat_map(|crop| &crop.features).copied().collect()
}

/// Crops of one length as a tensor, `[B, T, X]`.
fn features(crops: &[Crop], config: &CodecConfig, device: &Device) -> Result<Tensor> {
    let (rows, width) = (rows(crops), config.frame_features());
    let frames = rows.len() / width / crops.len().max(1);
    Ok(Tensor::from_vec(rows, (crops.len(), frames, width), device)?)
}

/// Name of the codebooks among the tensors of a codec.
pub(super) const CODEBOOKS: &str = "codec.quantizer.codebooks";

/// Crops spread evenly over the held-out recordings.
fn held_crops(held: &Material) -> Vec<Crop> {
    let count = held.len().clamp(1, HELD_CROPS);
    let each = HELD_CROPS / count;
    let crop = |i: usize| {
        let recording = i / each * held.len() / count;
        let span = held.frames(recording).saturating_sub(CROP_FRAMES);
        held.crop(recording, span * (i % each) / each, CROP_FRAMES)
    };
    if held.len() == 0 { Vec::new() } else { (0..count * each).map(crop).collect() }
}
