//! Training the codec.

use anyhow::{Context, Result, bail};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use distill_shared::bundle::{self, Tensors};
use distill_shared::model::codec::Codec;
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::Codebooks;
use distill_shared::stft::log_magnitude;

use super::codebooks::{LearningCodebooks, Quantized};
use super::crops::{Crop, Material};
use super::draw::{Draw, Purpose};
use super::init::initial_weights;
use super::loss::{LossWeights, SpectralLoss};
use super::optimizer::AdamW;
use super::schedule::{Length, Schedule};
use super::workers::Workers;
use super::{Diverged, Run};
use crate::corpus::Corpus;
use crate::events::{
    CodecEpochMetrics, CodecStepMetrics, CodecTrainingComplete, LevelUse, TrainingEvent,
};

/// Codec frames of a crop: about 0.7 s.
pub(super) const CROP_FRAMES: usize = 32;
/// Crops that one thread takes at a time.
const PART: usize = 2;
/// Weight of the commitment loss.
const COMMITMENT: f64 = 0.25;
/// Updates after which the codebooks are placed among the latents: early on the latents move faster
/// than running means can follow. Until the first, latents pass through as they are.
const PLACEMENTS: [u32; 4] = [20, 60, 150, 400];
/// Updates over which the learning rate rises.
const WARM_UP_STEPS: u32 = 30;
/// Share of crops that use all levels; the others use the first few.
const ALL_LEVELS_SHARE: f64 = 0.6;
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
    let trained = training.finish(run.cancelled())?;
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
    books: Option<LearningCodebooks>,
    loss: SpectralLoss,
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
        let config = &plan.config;
        let train = Material::new(corpus, corpus.train(), config, CROP_FRAMES);
        if train.len() == 0 {
            bail!("there is no recording to train on");
        }
        let learned = config.tensors().into_iter().filter(|(name, _)| name != CODEBOOKS);
        let mut weights = initial_weights(&learned.collect::<Vec<_>>(), plan.seed, device)?;
        weights.insert(HEAD_BIAS, mean_spectrum(&train, plan, device)?)?;
        Ok(Self {
            held: held_crops(&Material::new(corpus, corpus.held_out(), config, CROP_FRAMES)),
            train,
            codec: Codec::new(config, &weights)?,
            optimizer: AdamW::new(&weights)?,
            weights,
            books: None,
            loss: SpectralLoss::new(LossWeights::default(), config.sample_rate),
            schedule: Schedule::new(plan.length, plan.learning_rate, WARM_UP_STEPS),
            workers: Workers::new(threads)?,
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
            self.place_codebooks()?;
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
        let latents = self.codec.encode(&self.features(&crops)?)?;
        let quantized = self.quantize(&latents, levels.collect())?;
        let sound = self.codec.decode(&quantized.passed)?;
        let loss = self.distance(&sound, crops)?;
        let total = (&loss + (&quantized.commitment * COMMITMENT)?)?;
        Ok(Part {
            grads: total.backward()?,
            quantized: quantized.parts,
            loss: f64::from(loss.to_scalar::<f32>()?),
            commitment: f64::from(quantized.commitment.to_scalar::<f32>()?),
        })
    }

    /// Features of crops of one length, `[B, T * stride, features]`.
    fn features(&self, crops: &[Crop]) -> Result<Tensor> {
        let width = self.plan.config.features();
        let rows = crops.iter().flat_map(|crop| &crop.features).copied().collect::<Vec<f32>>();
        let frames = rows.len() / width / crops.len();
        Ok(Tensor::from_vec(rows, (crops.len(), frames, width), self.device)?)
    }

    /// Distance of decoded sound from what was cropped, past the decoder's delay.
    fn distance(&self, sound: &Tensor, crops: Vec<Crop>) -> Result<Tensor> {
        let delay = self.plan.config.delay();
        let sound = sound.narrow(2, delay, sound.dim(2)? - delay)?;
        let target = crops.into_iter().flat_map(|crop| crop.target).collect();
        self.loss.forward(&sound.contiguous()?, target)
    }

    /// Quantizes each item of `latents`, `[B, T, D]`, with its number of levels.
    fn quantize(&self, latents: &Tensor, levels: Vec<usize>) -> Result<Quantization> {
        let Some(books) = &self.books else {
            let commitment = latents.sqr()?.mean_all()?.affine(0.0, 0.0)?;
            return Ok(Quantization { passed: latents.clone(), commitment, parts: Vec::new() });
        };
        let books = books.books();
        let host = latents.flatten_all()?.to_vec1::<f32>()?;
        let (mut entries, mut centres, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for (item, levels) in host.chunks_exact(host.len() / levels.len()).zip(levels) {
            let mut codes = vec![0; item.len() / books.dim() * levels];
            books.encode_all(item, levels, &mut codes);
            for frame in codes.chunks_exact(levels) {
                let (entry, centre) = sums(books, frame);
                entries.extend(entry);
                centres.extend(centre);
            }
            parts.push(Quantized { latents: item.to_vec(), codes, levels });
        }
        let entries = Tensor::from_vec(entries, latents.shape(), self.device)?;
        let centres = Tensor::from_vec(centres, latents.shape(), self.device)?;
        // Straight-through (Bengio et al. 2013): the entries forwards, the identity backwards.
        let passed = (latents + (&entries - latents)?.detach())?;
        // The sum over levels of the squared distances from the partial sums of entries has the
        // gradient of the squared distance from their mean.
        let commitment = (latents - centres)?.sqr()?.mean_all()?;
        Ok(Quantization { passed, commitment, parts })
    }

    fn place_codebooks(&mut self) -> Result<()> {
        let crops: Vec<Crop> = (0..64)
            .map(|i| {
                let mut draw = Draw::new(self.plan.seed, Purpose::Crops, u32::MAX - i);
                self.train.random(CROP_FRAMES, &mut draw)
            })
            .collect();
        let latents = self.workers.run(crops.len(), |i| {
            let features = self.features(std::slice::from_ref(&crops[i]))?;
            Ok(self.codec.encode(&features)?.detach().flatten_all()?.to_vec1::<f32>()?)
        })?;
        let mut draw = Draw::new(self.plan.seed, Purpose::Restarts, u32::MAX);
        self.books =
            Some(LearningCodebooks::among(&self.plan.config, &latents.concat(), &mut draw));
        Ok(())
    }

    fn update_codebooks(&mut self, step: u32, quantized: &[Quantized]) {
        let Some(books) = &mut self.books else { return };
        // Entries settle towards the end.
        let restart = step.is_multiple_of(10) && self.schedule.share() < 0.8;
        let mut draw = Draw::new(self.plan.seed, Purpose::Restarts, step);
        books.update(quantized, restart.then_some(&mut draw));
    }

    fn is_time_to_measure(&self) -> bool {
        let (step, steps) = (self.schedule.step(), self.schedule.steps());
        let every = (steps / MEASUREMENTS).max(1);
        self.books.is_some() && steps > 0 && (steps.saturating_sub(step)).is_multiple_of(every)
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
        self.levels = self.books.as_mut().map(LearningCodebooks::take_use).unwrap_or_default();
        Ok(CodecEpochMetrics {
            progress: self.schedule.progress(),
            train_loss: sum / f64::from(count.max(1)),
            validation_loss,
            best,
            levels: self.levels.clone(),
        })
    }

    fn held_loss(&self, crop: &Crop) -> Result<f64> {
        let crop = Crop { features: crop.features.clone(), target: crop.target.clone() };
        let latents = self.codec.encode(&self.features(std::slice::from_ref(&crop))?)?.detach();
        let quantized = self.quantize(&latents, vec![self.plan.config.quantizers])?;
        let sound = self.codec.decode(&quantized.passed.detach())?;
        Ok(f64::from(self.distance(&sound, vec![crop])?.to_scalar::<f32>()?))
    }

    /// The weights as they are, codebooks included.
    fn tensors(&self) -> Result<Tensors> {
        let config = &self.plan.config;
        let mut tensors = self.weights.to_tensors()?;
        let books = self.books.as_ref().context("the codebooks have not begun")?.books();
        let shape = [config.quantizers, config.codebook_size, config.latent_dim];
        let entries = bundle::Tensor::f32(&shape, books.entries().to_vec());
        tensors.insert(CODEBOOKS.to_owned(), entries.context("the codebooks are [N, K, D]")?);
        Ok(tensors)
    }

    fn finish(mut self, cancelled: bool) -> Result<TrainedCodec> {
        if self.books.is_none() {
            self.place_codebooks()?;
        }
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

/// Name of the bias of the decoder's head.
const HEAD_BIAS: &str = "codec.decoder.head.bias";

/// A bias of the decoder's head that gives the mean log-magnitude of the material in each bin, so
/// that training begins at the colour of the corpus.
fn mean_spectrum(train: &Material, plan: &CodecPlan, device: &Device) -> Result<Tensor> {
    const CROPS: u32 = 48;
    let config = &plan.config;
    let (bins, per_channel) = (config.bins(), config.features() / config.channels);
    let mut bias = vec![0.0; config.channels * 2 * bins];
    let share = 1.0 / (CROPS as usize * CROP_FRAMES * config.stride) as f32;
    for i in 0..CROPS {
        let mut draw = Draw::new(plan.seed, Purpose::Crops, u32::MAX / 2 - i);
        let features = train.random(CROP_FRAMES, &mut draw).features;
        for (row, values) in features.chunks_exact(per_channel).enumerate() {
            let channel = row % config.channels * 2 * bins;
            for (b, &value) in bias[channel..channel + bins].iter_mut().zip(values) {
                *b += share * log_magnitude(value);
            }
        }
    }
    Ok(Tensor::from_vec(bias, config.channels * 2 * bins, device)?)
}

/// Name of the codebooks among the tensors of a codec.
pub(super) const CODEBOOKS: &str = "codec.quantizer.codebooks";

/// Latents after quantization.
struct Quantization {
    /// What the decoder gets, `[B, T, D]`.
    passed: Tensor,
    /// Draws the encoder towards the entries: a scalar.
    commitment: Tensor,
    /// For the codebooks.
    parts: Vec<Quantized>,
}

/// The sum of a frame's entries, and the mean of its partial sums.
fn sums(books: &Codebooks, codes: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let (mut sum, mut mean) = (vec![0.0; books.dim()], vec![0.0; books.dim()]);
    for (level, &code) in codes.iter().enumerate() {
        sum.iter_mut().zip(books.entry(level, code)).for_each(|(s, e)| *s += e);
        mean.iter_mut().zip(&sum).for_each(|(m, s)| *m += s / codes.len() as f32);
    }
    (sum, mean)
}

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
