//! A run from a folder of recordings to a bundle, stage by stage.

mod agreeing;
mod budgeting;
mod keeping;
mod telling;
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use distill_shared::bundle::{
    Bundle, CodecMetadata, CorpusCodes, CorpusSummary, LevelHealth, PriorMetadata, Tensor, Tensors,
    TrainingSummary,
};
use distill_shared::model::config::{CodecConfig, PriorConfig};
use distill_shared::player::{Model, Sampling, Take, TakeKey};

use crate::corpus::{Before, Corpus, OpenOptions, Outcome};
use crate::date;
use crate::descriptors::Moment;
use crate::descriptors::offer::{Offer, offer};
use crate::device::OpenDevice;
use crate::events::{CodecTrainingComplete, LevelUse, PriorTrainingComplete, TrainingEvent};
use crate::health::{self, Health};
use crate::listeners::Listeners;
use crate::progress::clock;
use crate::ranks::Ranks;
use crate::render::render;
use crate::run_dir::RunDir;
use crate::settings::{MOST_READ_S, Settings};
use crate::train::{
    self, CodecPlan, Diverged, Keeper, KeptParts, KnownCodec, Length, PriorPlan, Run, TrainedPrior,
};

pub(crate) use keeping::is_finished;

/// Seconds that a prior is trained for if the run was stopped before: a bundle without one plays
/// nothing.
const HASTY_PRIOR_S: f64 = 5.0;
/// Length of the preview in seconds.
const PREVIEW_S: usize = 4;

/// What all stages of a run share.
pub struct Session<'a> {
    /// What to compute on.
    pub device: OpenDevice,
    /// Threads to decode and to compute with.
    pub threads: usize,
    /// The processes that train together.
    pub ranks: &'a dyn Ranks,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// Once set, the stage at hand ends with what it has.
    pub cancel: &'a AtomicBool,
    /// Hears what happens.
    pub listeners: Listeners,
    /// Keeps what training has come to, if that is wanted.
    pub run_dir: Option<RunDir>,
    /// Whether the bundle is written whole: to stop changes nothing any more.
    pub complete: bool,
    /// Why training ended with the best it had, if it was neither done nor stopped.
    pub diverged: Option<Diverged>,
}

/// Values of a matrix that is stored in 8 bits, at least.
const LARGE: usize = 1 << 14;

/// A trained codec or prior, as it goes into a bundle.
#[derive(Debug, Clone)]
pub struct Trained<C, M> {
    /// Its sizes.
    pub config: C,
    /// Its weights, rounded as a bundle stores them.
    pub weights: Tensors,
    /// How it was trained, for the card.
    pub metadata: M,
}

impl Session<'_> {
    /// Opens the corpus in `folder` and tells what becomes of it. Recordings called `heard` were
    /// trained on before; of the others `seed` decides which are held out, unless a run goes on, which has
    /// held out some.
    ///
    /// # Errors
    ///
    /// Fails as [`Corpus::open`] does.
    pub fn open_corpus(&mut self, folder: &Path, heard: &[String], seed: u64) -> Result<Corpus> {
        let bar = self.listeners.display.count("reading");
        let on_file = |files: usize| {
            bar.set_length(files as u64);
            bar.inc(1);
        };
        let program = std::env::current_exe().ok();
        let before = self.run_dir.as_ref().map_or(Before::default(), RunDir::before);
        let before = Before { heard: [heard, &before.heard].concat(), ..before };
        let options = OpenOptions {
            seed,
            threads: self.threads,
            cancel: self.cancel,
            program: program.as_deref(),
            before: &before,
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
        self.tell_files(&corpus, &verdicts);
        Ok(corpus)
    }

    /// Trains a codec, or goes on with one where a run was interrupted. Its weights are rounded as the
    /// bundle stores them, so that what is measured and built upon from here on is what will be played.
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
        if let Some(codec) = self.run_dir.as_ref().and_then(RunDir::finished_codec) {
            self.tell_codec(&codec.metadata);
            return Ok(codec);
        }
        self.listeners.display.say(&format!("codec  {}", settings.chosen));
        self.listeners.tell(|story| story.codec.sizes = settings.chosen.to_string());
        self.doing("training the codec");
        let plan = CodecPlan {
            config: settings.config.clone(),
            length: self.agreed(length)?,
            learning_rate: settings.learning_rate,
            batch: settings.batch * self.ranks.count(),
            seed: self.seed,
            beginning: settings.beginning.clone(),
        };
        let codec = self.with_kept_run(|run| train::train_codec(corpus, &plan, run))?;
        let CodecTrainingComplete { steps, elapsed_s, best_validation_loss, levels, cancelled } =
            codec.complete;
        let training = TrainingSummary {
            steps,
            seconds: elapsed_s,
            best_validation_loss: Some(best_validation_loss),
            curve: codec.curve,
            stopped_early: cancelled,
            ..self.summary(settings)
        };
        let trained = Trained {
            config: codec.config,
            weights: rounded(&codec.tensors),
            metadata: CodecMetadata { training, levels: health(&levels) },
        };
        if codec.diverged.is_some() {
            // What there is goes into a bundle that plays, as if the musician had stopped here.
            self.diverged = codec.diverged;
            self.cancel.store(true, Ordering::Relaxed);
        } else if !cancelled {
            self.keep_codec(&trained);
        }
        Ok(trained)
    }

    /// What of `corpus` is read with a codec: of very much sound, some.
    #[must_use]
    pub fn readable(&self, corpus: Corpus) -> Corpus {
        let all = corpus.seconds();
        let some = corpus.at_most(MOST_READ_S, self.seed);
        if some.seconds() < all {
            self.listeners.display.say(&format!(
                "{} of {} are kept as codes, for the prior to learn from",
                clock(some.seconds()),
                clock(all)
            ));
        }
        some
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
        self.doing("reading the recordings with the codec");
        self.with_run(self.cancel, |run| train::extract_code_sequences(corpus, codec, weights, run))
    }

    /// Trains a prior on `codes`, written by the codec of `bundle`, or goes on with one where a run was
    /// interrupted. `length` is told the steps of an epoch. If the run has been stopped already, a new
    /// prior is trained for a few seconds only.
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
        self.listeners.tell(|story| story.prior.sizes = settings.chosen.to_string());
        self.doing("listening for what can be asked for");
        self.tell_baselines(codes, &bundle.config().codec);
        let begun = self.run_dir.as_ref().map(RunDir::prior_config).transpose()?.flatten();
        self.agree_on_stop()?;
        let hasty = self.is_stopped() && begun.is_none();
        let never = AtomicBool::new(false);
        let cancel = if hasty { &never } else { self.cancel };
        let (config, tensors) = (&bundle.config().codec, bundle.tensors());
        let moments =
            self.with_run(cancel, |run| train::listen_to_codes(codes, config, tensors, run))?;
        let sizes = begun.unwrap_or_else(|| settings.config.clone());
        let (sizes, not_offered) = offering(sizes, &moments, codes);
        let mut plan = PriorPlan {
            config: sizes,
            length: Length::Seconds(HASTY_PRIOR_S),
            learning_rate: settings.learning_rate,
            batch: settings.batch * self.ranks.count(),
            seed: self.seed,
            from: settings.beginning.again().cloned(),
        };
        let kept = self.with_run(cancel, |run| train::keep_corpus(codes, config, tensors, run))?;
        if !hasty {
            let asked = length(plan.steps_per_epoch(codes));
            let left = self.before_trial(asked, config, &plan.config)?;
            plan.length = self.agreed(left)?;
        }
        let quantizer = &train::quantizer(config, tensors)?;
        let codec = KnownCodec { config, quantizer };
        self.doing("training the prior");
        let train = |run: &mut Run| train::train_prior(codec, codes, &moments, &plan, run);
        let prior = if hasty { self.with_run(cancel, train)? } else { self.with_kept_run(train)? };
        self.diverged = self.diverged.or(prior.diverged);
        let stopped_early = prior.complete.cancelled || hasty;
        if !stopped_early && self.diverged.is_none() {
            self.warn_of_haste(plan.length, prior.complete.steps, codes, config);
        }
        let training = TrainingSummary { stopped_early, ..self.summary(settings) };
        let mut trained = finished(prior, training, not_offered, kept);
        if !stopped_early {
            self.doing("trying what the prior follows");
            self.try_out(bundle, codes, &mut trained)?;
        }
        Ok(trained)
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

    /// Whether the run was stopped: by the musician, or since it cannot go on.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        !self.complete && self.cancel.load(Ordering::Relaxed)
    }

    /// What is known of a stage of training before it begins.
    fn summary<C>(&self, settings: &Settings<C>) -> TrainingSummary {
        TrainingSummary {
            finished: date::now(),
            device: self.device.name.to_owned(),
            seed: self.seed,
            learning_rate: settings.learning_rate,
            batch: settings.batch * self.ranks.count(),
            ..TrainingSummary::default()
        }
    }

    /// Runs a stage of which nothing is kept on the way.
    fn with_run<T>(
        &mut self,
        cancel: &AtomicBool,
        stage: impl FnOnce(&mut Run) -> Result<T>,
    ) -> Result<T> {
        let Self { device, threads, ranks, listeners, .. } = self;
        let mut events = |event: TrainingEvent| listeners.hear(&event);
        let (device, threads, ranks) = (&device.device, *threads, *ranks);
        let run = &mut Run { device, threads, ranks, cancel, keeper: None, events: &mut events };
        let result = stage(run);
        listeners.display.finish();
        result
    }

    /// Runs a stage that goes on from where a run was interrupted, and that is kept on the way.
    fn with_kept_run<T>(&mut self, stage: impl FnOnce(&mut Run) -> Result<T>) -> Result<T> {
        let Self { device, threads, ranks, listeners, cancel, run_dir, .. } = self;
        let mut events = |event: TrainingEvent| listeners.hear(&event);
        let (device, threads, ranks, cancel) = (&device.device, *threads, *ranks, *cancel);
        let keeper = run_dir.as_mut().map(|run_dir| run_dir as &mut dyn Keeper);
        let run = &mut Run { device, threads, ranks, cancel, keeper, events: &mut events };
        let result = stage(run);
        listeners.display.finish();
        result
    }
}

/// A prior of these sizes that offers what can be asked for of what was heard, and, in a sentence each,
/// why it does not offer the rest.
fn offering(
    sizes: PriorConfig,
    moments: &[Vec<Moment>],
    codes: &[CorpusCodes],
) -> (PriorConfig, Vec<String>) {
    let trained = || codes.iter().filter(|one| !one.held_out);
    let classes: Vec<&str> = trained().map(|one| one.class.as_str()).collect();
    let Offer { conditioning, not_offered } = offer(moments, &classes);
    let longest = trained().map(|one| one.codes.frames()).max();
    (PriorConfig { conditioning, longest, ..sizes }, not_offered)
}

/// A trained prior, as it goes into a bundle, with what is kept of the corpus. `training` is what is
/// known of it besides.
fn finished(
    prior: TrainedPrior,
    training: TrainingSummary,
    not_offered: Vec<String>,
    kept: Option<KeptParts>,
) -> Trained<PriorConfig, PriorMetadata> {
    let PriorTrainingComplete { steps, elapsed_s, best_validation_loss, .. } = prior.complete;
    let training = TrainingSummary {
        steps,
        seconds: elapsed_s,
        best_validation_loss: Some(best_validation_loss),
        curve: prior.curve,
        ..training
    };
    let known = |value: f64| Some(value).filter(|value| value.is_finite());
    let perplexity = prior.perplexity.into_iter().map(known).collect();
    let metadata = PriorMetadata { training, perplexity, not_offered };
    let (mut config, mut weights) = (prior.config, rounded(&prior.tensors));
    if let Some(KeptParts { kept, tensors }) = kept {
        config.kept = Some(kept);
        weights.extend(tensors);
    }
    Trained { config, weights, metadata }
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

/// Weights as a bundle stores them: those of large matrices in 8 bits, the others as 16-bit floats.
fn rounded(weights: &Tensors) -> Tensors {
    let is_large = |shape: &[usize]| {
        shape.len() > 1
            && shape.last().is_some_and(|row| *row >= 64)
            && shape.iter().product::<usize>() >= LARGE
    };
    let round = |tensor: &Tensor| match tensor.shape() {
        shape if is_large(shape) => tensor.rounded(),
        shape => Tensor::f16(shape, &tensor.to_f32()).expect("the shape is the tensor's own"),
    };
    weights.iter().map(|(name, tensor)| (name.clone(), round(tensor))).collect()
}

/// Names of the recordings that a bundle was trained on, as far as it remembers them.
#[must_use]
pub fn heard_by(bundle: &Bundle) -> Vec<String> {
    let trained = bundle.corpus_codes().into_iter().filter(|one| !one.held_out);
    trained.map(|one| one.name).collect()
}

/// Names of the recordings that the training of a bundle held out, if it remembers any recordings.
#[must_use]
pub fn held_out_of(bundle: &Bundle) -> Option<Vec<String>> {
    let codes = bundle.corpus_codes();
    let held = codes.iter().filter(|one| one.held_out).map(|one| one.name.clone()).collect();
    (!codes.is_empty()).then_some(held)
}

/// What the card says of a corpus.
#[must_use]
pub fn summary_of(corpus: &Corpus) -> CorpusSummary {
    let mut classes: Vec<String> =
        corpus.recordings.iter().map(|recording| recording.class.clone()).collect();
    classes.sort();
    classes.dedup();
    classes.retain(|class| !class.is_empty());
    // The end of a file that is held out is no file.
    let tails = corpus.recordings.iter().filter(|recording| recording.is_tail()).count();
    CorpusSummary {
        files: corpus.recordings.len() - tails,
        held_out_files: corpus.held_out().count() - tails,
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
