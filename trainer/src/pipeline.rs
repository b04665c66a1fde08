//! A run from a folder of recordings to a bundle, stage by stage.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use distill_shared::bundle::{
    Bundle, CodecMetadata, CorpusCodes, CorpusSummary, LevelHealth, PriorMetadata, Tensor, Tensors,
    TrainingSummary,
};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::player::{Model, Sampling, Take, TakeKey};

use crate::budget::LEAST_S;
use crate::corpus::{Corpus, OpenOptions, Outcome};
use crate::date;
use crate::descriptors::offer::{Offer, offer};
use crate::device::OpenDevice;
use crate::evaluate::prior::lasting::shift_of_ends;
use crate::evaluate::prior::trial::{Trial, trial_seconds, try_out};
use crate::events::{CodecTrainingComplete, LevelUse, PriorTrainingComplete, TrainingEvent};
use crate::health::{self, Health};
use crate::listeners::Listeners;
use crate::render::render;
use crate::settings::Settings;
use crate::train::{
    self, CodecPlan, END_BIAS, GUIDE, KeptParts, KnownCodec, Length, PriorPlan, Run,
};

/// Seconds that a prior is trained for if the run was stopped before: a bundle without one plays
/// nothing.
const HASTY_PRIOR_S: f64 = 5.0;
/// Length of the preview in seconds.
const PREVIEW_S: usize = 4;

/// What all stages of a run share.
#[derive(Debug)]
pub struct Session<'a> {
    /// What to compute on.
    pub device: OpenDevice,
    /// Threads to decode and to compute with.
    pub threads: usize,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// Once set, the stage at hand ends with what it has.
    pub cancel: &'a AtomicBool,
    /// Hears what happens.
    pub listeners: Listeners,
}

/// A trained codec or prior, as it goes into a bundle.
#[derive(Debug)]
pub struct Trained<C, M> {
    /// Its sizes.
    pub config: C,
    /// Its weights, as 16-bit floats.
    pub weights: Tensors,
    /// How it was trained, for the card.
    pub metadata: M,
}

impl Session<'_> {
    /// Opens the corpus in `folder` and tells what becomes of it.
    ///
    /// # Errors
    ///
    /// Fails as [`Corpus::open`] does.
    pub fn open_corpus(&mut self, folder: &Path) -> Result<Corpus> {
        let bar = self.listeners.display.count("reading");
        let on_file = |files: usize| {
            bar.set_length(files as u64);
            bar.inc(1);
        };
        let options = OpenOptions {
            seed: self.seed,
            threads: self.threads,
            cancel: self.cancel,
            on_file: &on_file,
        };
        let (corpus, verdicts) = Corpus::open(folder, &options)?;
        self.listeners.display.finish();
        for verdict in &verdicts {
            if let Outcome::Skipped { reason } = &verdict.outcome {
                self.listeners.display.say(&format!("skipped {}: {reason}", verdict.name));
            }
        }
        self.listeners.display.say(&format!(
            "corpus  {} of {} files, {:.1} s, {}",
            verdicts.iter().filter(|verdict| verdict.outcome.is_used()).count(),
            verdicts.len(),
            corpus.seconds(),
            if corpus.channels == 1 { "mono" } else { "stereo" },
        ));
        Ok(corpus)
    }

    /// Trains a codec. Its weights are rounded as the bundle stores them, so that what is measured
    /// and built upon from here on is what will be played.
    ///
    /// # Errors
    ///
    /// Fails as [`train::train_codec`] does.
    pub fn train_codec(
        &mut self,
        corpus: &Corpus,
        settings: &Settings<CodecConfig>,
        length: Length,
    ) -> Result<Trained<CodecConfig, CodecMetadata>> {
        self.listeners.display.say(&format!("codec  {}", settings.chosen));
        let plan = CodecPlan {
            config: settings.config.clone(),
            length,
            learning_rate: settings.learning_rate,
            batch: settings.batch,
            seed: self.seed,
        };
        let codec = self.with_run(self.cancel, |run| train::train_codec(corpus, &plan, run))?;
        let CodecTrainingComplete { steps, elapsed_s, best_validation_loss, levels, cancelled } =
            codec.complete;
        let training = TrainingSummary {
            steps,
            seconds: elapsed_s,
            best_validation_loss: Some(best_validation_loss),
            curve: std::mem::take(&mut self.listeners.codec_curve),
            stopped_early: cancelled,
            ..self.summary(settings)
        };
        Ok(Trained {
            config: codec.config,
            weights: rounded(&codec.tensors),
            metadata: CodecMetadata { training, levels: health(&levels) },
        })
    }

    /// Reads `corpus` with a codec.
    ///
    /// # Errors
    ///
    /// Fails as [`train::extract_code_sequences`] does.
    pub fn read_codes(
        &mut self,
        corpus: &Corpus,
        codec: &CodecConfig,
        weights: &Tensors,
    ) -> Result<Vec<CorpusCodes>> {
        self.listeners.display.say("reading the corpus with the codec");
        self.with_run(self.cancel, |run| train::extract_code_sequences(corpus, codec, weights, run))
    }

    /// Trains a prior on `codes`, written by the codec of `bundle`. `length` is told the steps of an epoch. If the
    /// run has been stopped already, the prior is trained for a few seconds only.
    ///
    /// # Errors
    ///
    /// Fails as [`train::train_prior`] does.
    pub fn train_prior(
        &mut self,
        bundle: &Bundle,
        codes: &[CorpusCodes],
        settings: &Settings<PriorConfig>,
        length: &dyn Fn(u32) -> Length,
    ) -> Result<Trained<PriorConfig, PriorMetadata>> {
        self.listeners.display.say(&format!("prior  {}", settings.chosen));
        let hasty = self.is_stopped();
        let never = AtomicBool::new(false);
        let cancel = if hasty { &never } else { self.cancel };
        let mut plan = PriorPlan {
            config: settings.config.clone(),
            length: Length::Seconds(HASTY_PRIOR_S),
            learning_rate: settings.learning_rate,
            batch: settings.batch,
            seed: self.seed,
        };
        let config = &bundle.config().codec;
        let quantizer = &train::quantizer(config, bundle.tensors())?;
        let codec = KnownCodec { config, quantizer };
        let moments = self
            .with_run(cancel, |run| train::listen_to_codes(codes, config, bundle.tensors(), run))?;
        let trained: Vec<_> = codes.iter().filter(|one| !one.held_out).collect();
        let classes: Vec<&str> = trained.iter().map(|one| one.class.as_str()).collect();
        let Offer { conditioning, not_offered } = offer(&moments, &classes);
        plan.config.conditioning = conditioning;
        plan.config.longest = trained.iter().map(|one| one.codes.frames()).max();
        let tensors = bundle.tensors();
        let kept = self.with_run(cancel, |run| train::keep_corpus(codes, config, tensors, run))?;
        if !hasty {
            // Listening is a part of what a budget is for, and so is the trial.
            plan.length = match length(plan.steps_per_epoch(codes)) {
                Length::Seconds(seconds) => {
                    let whole =
                        ModelConfig { codec: config.clone(), prior: Some(plan.config.clone()) };
                    let trial = trial_seconds(&whole, self.threads)?;
                    Length::Seconds((seconds - trial).max(LEAST_S.min(seconds)))
                }
                steps => steps,
            };
        }
        let mut prior =
            self.with_run(cancel, |run| train::train_prior(codec, codes, &moments, &plan, run))?;
        let PriorTrainingComplete { steps, elapsed_s, best_validation_loss, cancelled } =
            prior.complete;
        let training = TrainingSummary {
            steps,
            seconds: elapsed_s,
            best_validation_loss: Some(best_validation_loss),
            curve: std::mem::take(&mut self.listeners.prior_curve),
            stopped_early: cancelled || hasty,
            ..self.summary(settings)
        };
        let perplexity = std::mem::take(&mut self.listeners.perplexity);
        let known = |value: f64| Some(value).filter(|value| value.is_finite());
        let perplexity = perplexity.into_iter().map(known).collect();
        let mut metadata = PriorMetadata { training, perplexity, not_offered };
        let mut weights = rounded(&prior.tensors);
        if let Some(KeptParts { kept, tensors }) = kept {
            prior.config.kept = Some(kept);
            weights.extend(tensors);
        }
        if !hasty && !cancelled {
            let codec = bundle.tensors().iter().filter(|(name, _)| name.starts_with("codec."));
            weights.extend(codec.map(|(name, tensor)| (name.clone(), tensor.clone())));
            let lengths: Vec<usize> = trained.iter().map(|one| one.codes.frames()).collect();
            self.even_out_ends(config, &prior.config, &mut weights, &lengths)?;
            self.withdraw_unheard(config, &mut prior.config, &mut weights, &mut metadata)?;
            weights.retain(|name, _| name.starts_with("prior."));
        }
        Ok(Trained { config: prior.config, weights, metadata })
    }

    /// Does `act` with a prior, given by the `tensors` of the whole model, and the seed of the run, on
    /// its threads.
    fn play<T: Send>(
        &self,
        codec: &CodecConfig,
        config: &PriorConfig,
        tensors: &Tensors,
        act: impl FnOnce(&Arc<Model>, u64) -> Result<T> + Send,
    ) -> Result<T> {
        let whole = ModelConfig { codec: codec.clone(), prior: Some(config.clone()) };
        let model = Model::new(&whole, tensors, "").context("cannot play the prior")?;
        let (model, seed) = (Arc::new(model), self.seed);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        pool.install(|| act(&model, seed))
    }

    /// Has a prior, given by the `tensors` of the whole model, end what it begins as often as
    /// recordings of `lengths`, in frames, end.
    fn even_out_ends(
        &self,
        codec: &CodecConfig,
        config: &PriorConfig,
        tensors: &mut Tensors,
        lengths: &[usize],
    ) -> Result<()> {
        let shift =
            self.play(codec, config, tensors, |model, seed| shift_of_ends(model, lengths, seed))?;
        if let Some(bias) = tensors.get_mut(END_BIAS) {
            let shifted = bias.to_f32().iter().map(|bias| bias + shift).collect::<Vec<f32>>();
            *bias = Tensor::f16(bias.shape(), &shifted).context("the shape is the bias' own")?;
        }
        Ok(())
    }

    /// Tries whether a prior, given by the `tensors` of the whole model, does what it offers, and
    /// withdraws what it does not.
    fn withdraw_unheard(
        &self,
        codec: &CodecConfig,
        config: &mut PriorConfig,
        tensors: &mut Tensors,
        metadata: &mut PriorMetadata,
    ) -> Result<()> {
        let Trial { followed, withdrawn } = self.play(codec, config, tensors, |model, seed| {
            try_out(model, &config.conditioning, seed)
        })?;
        metadata.not_offered.extend(withdrawn);
        if let Some(guide) = tensors.remove(GUIDE) {
            let rest = train::guide_of_rest(&guide, &config.conditioning, &followed);
            tensors.extend(rest.map(|guide| (GUIDE.to_owned(), guide)));
        }
        config.conditioning = followed;
        Ok(())
    }

    /// Tells in plain words how well a codec uses its codes.
    pub fn tell_health(&mut self, levels: &[LevelHealth]) {
        let sentence = health::sentence(levels);
        if Health::of_all(levels) == Health::Collapsed {
            let message = format!("the codes have {sentence}");
            self.listeners.hear(&TrainingEvent::Warning { message });
        } else {
            self.listeners.display.say(&format!("codes  {sentence}"));
        }
    }

    /// Whether the musician has stopped the run.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// What is known of a stage of training before it begins.
    fn summary<C>(&self, settings: &Settings<C>) -> TrainingSummary {
        TrainingSummary {
            finished: date::now(),
            device: self.device.name.to_owned(),
            seed: self.seed,
            learning_rate: settings.learning_rate,
            batch: settings.batch,
            ..TrainingSummary::default()
        }
    }

    /// Runs a stage.
    fn with_run<T>(
        &mut self,
        cancel: &AtomicBool,
        stage: impl FnOnce(&mut Run) -> Result<T>,
    ) -> Result<T> {
        let Self { device, threads, listeners, .. } = self;
        let mut events = |event: TrainingEvent| listeners.hear(&event);
        let run =
            &mut Run { device: &device.device, threads: *threads, cancel, events: &mut events };
        let result = stage(run);
        listeners.display.finish();
        result
    }
}

/// Health of the codebooks over a whole corpus, for the card.
#[must_use]
pub fn corpus_health(codes: &[CorpusCodes], codec: &CodecConfig) -> Vec<LevelHealth> {
    health(&train::corpus_use(codes, codec))
}

fn health(levels: &[LevelUse]) -> Vec<LevelHealth> {
    let health = |level: &LevelUse| LevelHealth { used: level.used, perplexity: level.perplexity };
    levels.iter().map(health).collect()
}

/// Weights as 16-bit floats.
fn rounded(weights: &Tensors) -> Tensors {
    let round = |tensor: &Tensor| {
        Tensor::f16(tensor.shape(), &tensor.to_f32()).expect("the shape is the tensor's own")
    };
    weights.iter().map(|(name, tensor)| (name.clone(), round(tensor))).collect()
}

/// What the card says of a corpus.
#[must_use]
pub fn summary_of(corpus: &Corpus) -> CorpusSummary {
    let mut classes: Vec<String> =
        corpus.recordings.iter().map(|recording| recording.class.clone()).collect();
    classes.sort();
    classes.dedup();
    classes.retain(|class| !class.is_empty());
    CorpusSummary {
        files: corpus.recordings.len(),
        held_out_files: corpus.held_out().count(),
        seconds: corpus.seconds(),
        channels: corpus.channels,
        classes,
    }
}

/// The bundle with the first seconds of a take as its preview, made by the player.
///
/// # Errors
///
/// Fails if the bundle has no prior, or if what it plays is not sound.
pub fn with_preview(bundle: Bundle, seed: u64) -> Result<Bundle> {
    let model = Model::from_bundle(&bundle).context("cannot play what was trained")?;
    let samples = PREVIEW_S * usize::try_from(bundle.config().codec.sample_rate)?;
    let key = TakeKey { seed, take: 0 };
    let take = Take::new(Arc::new(model), key).context("cannot play what was trained")?;
    let preview = render(take, &Sampling::default(), samples);
    if !preview.iter().flatten().all(|sample| sample.is_finite()) {
        bail!("what was trained plays samples that are not numbers");
    }
    Ok(bundle.with_preview(&preview)?)
}
