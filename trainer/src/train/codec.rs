//! Training the codec.

mod base;
mod begin;

use std::time::Instant;

use anyhow::{Result, bail};
use candle_core::Device;
use candle_core::backprop::GradStore;
use distill_shared::bundle::{CurvePoint, Tensor, Tensors};
use distill_shared::model::codec::{Codec, FIXED};
use distill_shared::model::config::CodecConfig;
use serde::{Deserialize, Serialize};

use super::codebooks::{LearningCodebooks, Quantized};
use super::crops::{Crop, Material};
use super::draw::{Draw, Purpose};
use super::keeper::Begun;
use super::learner::{Course, Learned, Learner, Measured};
use super::level::match_level;
use super::loss::{FeatureLoss, LossWeights};
use super::optimizer::Batch;
use super::quantize::quantize;
use super::schedule::{Length, Schedule};
use super::state::{Stage, State};
use super::watch::Verdict;
use super::workers::Workers;
use super::{Diverged, Run};
use crate::corpus::Corpus;
use crate::events::{
    CodecEpochMetrics, CodecStepMetrics, CodecTrainingComplete, LevelUse, TrainingEvent,
};
use crate::ranks::Ranks;
pub use base::Base;
use begin::{Placing, features, held_crops, rows};

/// Name of the codebooks among the tensors of a codec.
pub(super) const CODEBOOKS: &str = "codec.quantizer.codebooks";
/// The tensor of the shares of a latent that the next one is expected to keep.
pub(super) const MEMORY: &str = "codec.memory";
/// Codec frames of a crop: about a second.
pub(super) const CROP_FRAMES: usize = 48;
/// Crops that one thread takes at a time.
const PART: usize = 4;
/// Weight of the commitment loss.
const COMMITMENT: f64 = 0.25;
/// Updates after which the codebooks are placed again: early on the latents move faster than running
/// means can follow.
const PLACEMENTS: [u32; 2] = [100, 400];
/// Updates over which the learning rate rises.
const WARM_UP_STEPS: u32 = 50;
/// Share of crops that use all levels; the others use the first few.
const ALL_LEVELS_SHARE: f64 = 0.7;
/// Measurements on held-out files in the course of training.
const MEASUREMENTS: u32 = 12;

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
    /// What to begin with.
    pub beginning: Beginning,
}

/// What training of the codec begins with.
#[derive(Debug, Clone, Default)]
pub enum Beginning {
    /// The best linear codec of the corpus.
    #[default]
    Nothing,
    /// The same, with layers of a base.
    Base(Box<Base>),
    /// Tensors of a codec of the same sizes, whose codes are to mean what they meant.
    Again(Tensors),
}

impl Beginning {
    /// Tensors of what was trained before, if it is to go on.
    #[must_use]
    pub fn again(&self) -> Option<&Tensors> {
        if let Self::Again(tensors) = self { Some(tensors) } else { None }
    }
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
    /// What was measured on the way.
    pub curve: Vec<CurvePoint>,
    /// Why training ended before its time, if it was not stopped.
    pub diverged: Option<Diverged>,
}

/// Trains a codec on the recordings of `corpus` that are not held out, from where the run's keeper has
/// an interrupted training of it.
///
/// # Errors
///
/// Fails with [`Diverged`] if the loss does not stay finite before anything was measured.
pub fn train_codec(corpus: &Corpus, plan: &CodecPlan, run: &mut Run) -> Result<TrainedCodec> {
    let mut training = Training::new(corpus, plan, run)?;
    run.tell_resumption(Stage::Codec, &training.learner);
    run.reserve(|| training.state())?;
    let mut diverged = None;
    while diverged.is_none() && !run.ends(training.learner.schedule.is_over())? {
        let step = training.learner.schedule.step();
        let (metrics, verdict) = training.step()?;
        diverged = run.judge(verdict, metrics.spectral_loss, step);
        (run.events)(TrainingEvent::CodecStep(metrics));
        if diverged.is_none() && training.learner.is_time_to_measure(MEASUREMENTS) {
            let metrics = training.measure()?;
            (run.events)(TrainingEvent::CodecEpoch(metrics));
        }
        run.keep_if_due(|| training.state())?;
    }
    run.keep_if_stopped(|| training.state())?;
    let mut trained = training.finish(diverged, run.cancelled())?;
    match_level(corpus, &plan.config, &mut trained.tensors, run)?;
    (run.events)(TrainingEvent::CodecComplete(trained.complete.clone()));
    Ok(trained)
}

/// Everything that training of a codec needs.
struct Training<'a> {
    plan: &'a CodecPlan,
    device: Device,
    workers: Workers,
    ranks: &'a dyn Ranks,
    train: Material,
    held: Vec<Crop>,
    codec: Codec,
    books: LearningCodebooks,
    loss: FeatureLoss,
    learner: Learner,
    /// Use of the codebooks at the last measurement.
    levels: Vec<LevelUse>,
}

/// What a state tells, apart from arrays. What it does not tell never changes.
#[derive(Serialize, Deserialize)]
struct Standing {
    config: CodecConfig,
    course: Course,
    levels: Vec<LevelUse>,
}

/// What one part of a batch found.
struct Part {
    grads: GradStore,
    quantized: Vec<Quantized>,
    loss: f64,
    commitment: f64,
}

impl<'a> Training<'a> {
    fn new<'r: 'a>(corpus: &Corpus, plan: &'a CodecPlan, run: &mut Run<'r>) -> Result<Self> {
        let (config, began) = (&plan.config, Instant::now());
        let train = Material::new(corpus, corpus.train(), config, CROP_FRAMES);
        if train.len() == 0 {
            bail!("there is no recording to train on");
        }
        let (workers, device, begun) =
            (Workers::new(run.threads)?, run.device.clone(), run.begun(Stage::Codec));
        let (weights, books) = match (&begun, &plan.beginning) {
            (Some(begun), _) => begin::resumed(begun, &train, plan, (&workers, &device))?,
            (_, Beginning::Nothing) => begin::first(&train, plan, None, (&workers, &device))?,
            (_, Beginning::Base(base)) => {
                begin::first(&train, plan, Some(base), (&workers, &device))?
            }
            (_, Beginning::Again(from)) => begin::tuned(from, &train, plan, (&workers, &device))?,
        };
        let codec = Codec::new(config, &weights)?;
        let length = plan.length.after(run.ranks.first(began.elapsed().as_secs_f64())?);
        let schedule = Schedule::new(length, plan.learning_rate, WARM_UP_STEPS);
        let tensors = with_codebooks(weights.to_tensors()?, &books, config);
        let mut training = Self {
            held: held_crops(&Material::new(corpus, corpus.held_out(), config, CROP_FRAMES))?,
            train,
            books,
            codec,
            learner: Learner::new(weights, &FIXED, schedule, tensors)?,
            loss: FeatureLoss::new(LossWeights::default(), config),
            workers,
            ranks: run.ranks,
            levels: Vec::new(),
            plan,
            device,
        };
        begun.iter().try_for_each(|begun| training.resume(begun))?;
        Ok(training)
    }

    /// Goes on where a run was interrupted.
    fn resume(&mut self, begun: &Begun) -> Result<()> {
        let Standing { course, levels, .. } = begun.state.read()?;
        self.levels = levels;
        self.learner.resume(course, begun)
    }

    /// What training has come to.
    fn state(&self) -> Result<State> {
        let (course, mut tensors) = self.learner.course()?;
        tensors.extend(self.books.tensors());
        let (config, levels) = (self.plan.config.clone(), self.levels.clone());
        let text = serde_json::to_string(&Standing { config, course, levels })?;
        Ok(State { stage: Stage::Codec, step: self.learner.schedule.step(), text, tensors })
    }

    /// One optimizer update.
    fn step(&mut self) -> Result<(CodecStepMetrics, Verdict)> {
        let step = self.learner.schedule.step();
        let keeps_codes = self.plan.beginning.again().is_some();
        let moves_fast = PLACEMENTS.contains(&step) && !keeps_codes;
        if moves_fast && self.learner.schedule.share() < 0.5 {
            let (codec, train, plan) = (&self.codec, &self.train, self.plan);
            let run = (&self.workers, &self.device);
            self.books = Placing { codec, train, plan, run }.anew(self.books.quantizer())?;
        }
        let parts = self.plan.batch.div_ceil(PART);
        let own = self.ranks.share(parts);
        let results = self.workers.run(own.len(), |i| self.part(step, own.start + i))?;
        let (mut grads, mut quantized, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for result in results {
            grads.push(result.grads);
            quantized.extend(result.quantized);
            told.extend([result.loss, result.commitment]);
        }
        let told = self.ranks.numbers(&told)?;
        let mean = |of: usize| told.iter().skip(of).step_by(2).sum::<f64>() / parts as f64;
        let (loss, commitment) = (mean(0), mean(1));
        let quantized = Quantized::of_all_ranks(quantized, self.ranks)?;
        let batch = Batch { own: &grads, parts, ranks: self.ranks };
        let verdict = self.learner.learn(&batch, loss, &self.workers)?;
        match verdict {
            Verdict::Learned => self.update_codebooks(step, &quantized),
            Verdict::Return => {
                let entries = self.learner.best().tensors[CODEBOOKS].to_f32();
                let memory = self.books.quantizer().memory().clone();
                self.books = LearningCodebooks::of(&self.plan.config, memory, entries);
            }
            Verdict::LeftOut { .. } | Verdict::Diverged => {}
        }
        self.learner.schedule.advance(self.ranks)?;
        let progress = self.learner.progress();
        let seconds = (self.plan.batch * CROP_FRAMES) as f64 / self.plan.config.frame_rate();
        let metrics = CodecStepMetrics {
            loss: loss + COMMITMENT * commitment,
            spectral_loss: loss,
            commitment_loss: commitment,
            audio_rate: f64::from(progress.step) * seconds / progress.elapsed_s.max(1e-9),
            progress,
        };
        Ok((metrics, verdict))
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
            .collect::<Result<_>>()?;
        let levels = items.iter().map(|&i| {
            let mut draw = Draw::new(self.plan.seed, Purpose::Levels, item(i));
            let all = self.plan.config.quantizers;
            if draw.uniform() < ALL_LEVELS_SHARE { all } else { 1 + draw.below(all) }
        });
        let latents = self.codec.encode(&features(&crops, &self.plan.config, &self.device)?)?;
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
        let restart = step.is_multiple_of(10) && self.learner.schedule.share() < 0.95;
        let mut draw = Draw::new(self.plan.seed, Purpose::Restarts, step);
        self.books.update(quantized, restart.then_some(&mut draw));
    }

    /// Measures the codec, all levels in use, on held-out files, and keeps it if it is the best.
    fn measure(&mut self) -> Result<CodecEpochMetrics> {
        let own = &self.held[self.ranks.share(self.held.len())];
        let losses = self.workers.run(own.len(), |i| self.held_loss(&own[i]))?;
        let losses = self.ranks.numbers(&losses)?;
        let validation_loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let (books, config) = (&self.books, &self.plan.config);
        let Measured { train_loss, best } = self
            .learner
            .measured(validation_loss, |weights| with_codebooks(weights, books, config))?;
        self.levels = self.books.take_use();
        let (progress, levels) = (self.learner.progress(), self.levels.clone());
        Ok(CodecEpochMetrics { progress, train_loss, validation_loss, best, levels })
    }

    fn held_loss(&self, crop: &Crop) -> Result<f64> {
        let crop = std::slice::from_ref(crop);
        let latents = self.codec.encode(&features(crop, &self.plan.config, &self.device)?)?;
        let levels = [self.plan.config.quantizers];
        let quantized = quantize(self.books.quantizer(), &latents.detach(), crop, &levels)?;
        let decoded = self.codec.decode(&quantized.passed.detach())?;
        Ok(f64::from(self.loss.forward(&decoded, rows(crop))?.to_scalar::<f32>()?))
    }

    fn finish(mut self, diverged: Option<Diverged>, cancelled: bool) -> Result<TrainedCodec> {
        match diverged {
            Some(diverged) if self.learner.best().loss.is_none() => return Err(diverged.into()),
            None if self.learner.is_unmeasured() => drop(self.measure()?),
            _ => {}
        }
        let Learned { best_loss, tensors, curve, steps, elapsed_s } = self.learner.finish()?;
        let (best_validation_loss, levels) = (best_loss, self.levels);
        let complete =
            CodecTrainingComplete { steps, elapsed_s, best_validation_loss, levels, cancelled };
        let config = self.plan.config.clone();
        Ok(TrainedCodec { config, tensors, complete, curve, diverged })
    }
}

/// All tensors of a codec: its weights and its codebooks.
fn with_codebooks(
    mut tensors: Tensors,
    books: &LearningCodebooks,
    config: &CodecConfig,
) -> Tensors {
    let entries = books.quantizer().books().entries().to_vec();
    let shape = [config.quantizers, config.codebook_size, config.latent_dim];
    let entries = Tensor::f32(&shape, entries).expect("the codebooks are [N, K, D]");
    tensors.insert(CODEBOOKS.to_owned(), entries);
    tensors
}
