//! Training goes on from where it was interrupted, to the bit, and survives what would ruin it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use candle_core::Device;
use distill_shared::bundle::Tensors;
use distill_trainer::corpus::{Corpus, Recording, Sound};
use distill_trainer::events::TrainingEvent;
use distill_trainer::ranks::Alone;
use distill_trainer::run_dir::checkpoint::Checkpoint;
use distill_trainer::run_dir::terms::Terms;
use distill_trainer::train::{
    Beginning, Begun, Changed, CodecPlan, Diverged, Keeper, KnownCodec, Length, PriorPlan, Run,
    Stage, State, TrainedCodec, TrainedPrior, Unkept, train_codec, train_prior,
};
use serde_json::Value;
use tiny::{codec_config, prior_config};

/// Keeps states in memory.
#[derive(Default)]
struct Notebook {
    begun: Option<State>,
    /// Steps after which states are kept; the last one always is.
    wanted: Vec<u32>,
    kept: BTreeMap<u32, State>,
    last: Option<State>,
}

impl Keeper for Notebook {
    fn begun(&mut self, stage: Stage) -> Option<Begun> {
        let state = self.begun.take_if(|state| state.stage == stage)?;
        Some(Begun { state, changed: Changed::default() })
    }

    fn reserve(&mut self, _: &State) -> Result<()> {
        Ok(())
    }

    fn is_due(&self) -> bool {
        true
    }

    fn keep(&mut self, state: State) -> Result<(), Unkept> {
        self.last = Some(state.clone());
        if self.wanted.contains(&state.step) {
            self.kept.insert(state.step, state);
        }
        Ok(())
    }
}

/// What a run made, the states it kept, and what it warned of.
struct Outcome<T> {
    made: Result<T>,
    notebook: Notebook,
    warnings: Vec<String>,
}

fn run<T>(
    notebook: Notebook,
    threads: usize,
    train: impl FnOnce(&mut Run) -> Result<T>,
) -> Outcome<T> {
    let (cancel, mut notebook, mut warnings) = (AtomicBool::new(false), notebook, Vec::new());
    let mut events = |event: TrainingEvent| {
        if let TrainingEvent::Warning { message } = event {
            warnings.push(message);
        }
    };
    let keeper = Some(&mut notebook as &mut dyn Keeper);
    let device = &Device::Cpu;
    let made = train(&mut Run {
        device,
        threads,
        ranks: &Alone,
        cancel: &cancel,
        keeper,
        events: &mut events,
    });
    assert!(!cancel.load(Ordering::Relaxed));
    Outcome { made, notebook, warnings }
}

/// A state as it comes back from a file.
fn from_file(state: &State) -> State {
    let (terms, state) = (Terms::default(), Some(state.clone()));
    let bytes = Checkpoint { terms, spent_s: 1.5, codec: None, state }.into_bytes().unwrap();
    Checkpoint::read(&bytes).unwrap().state.unwrap()
}

fn bytes(tensors: &Tensors) -> BTreeMap<&str, &[u8]> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.data().bytes())).collect()
}

/// Everything that a state tells but times.
fn timeless(state: &State) -> (u32, Value, BTreeMap<&str, &[u8]>) {
    let mut text: Value = serde_json::from_str(&state.text).unwrap();
    text["course"]["position"]["elapsed_s"] = Value::Null;
    (state.step, text, bytes(&state.tensors))
}

/// Four strokes of different pitch, one of which is `last`.
fn corpus(last: Vec<f32>) -> Corpus {
    let stroke = |hz: f32| -> Vec<f32> {
        let value = |t: u16| {
            let t = f32::from(t) / 48_000.0;
            0.5 * (-8.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
        };
        (0..9000).map(value).collect()
    };
    let sounds = [stroke(200.0), stroke(333.0), stroke(777.0), last];
    let recording = |(i, sound)| Recording {
        name: format!("{i}.wav"),
        class: String::new(),
        sound: Sound::new(vec![sound]),
        held_out: false,
    };
    Corpus::new(sounds.into_iter().enumerate().map(recording).collect(), 0).unwrap()
}

fn ordinary_corpus() -> Corpus {
    corpus((0..9000_u16).map(|t| 0.1 * (f32::from(t) * 0.3).sin()).collect())
}

/// Long enough for the codebooks to be placed again.
const CODEC_STEPS: u32 = 210;

fn codec_plan() -> CodecPlan {
    let length = Length::Steps(CODEC_STEPS);
    let beginning = Beginning::Nothing;
    CodecPlan { config: codec_config(), length, learning_rate: 2e-3, batch: 5, seed: 5, beginning }
}

fn codec(corpus: &Corpus, plan: &CodecPlan, notebook: Notebook) -> Outcome<TrainedCodec> {
    // As many threads as there are, which is another number where a run goes on.
    let threads = if notebook.begun.is_some() { 1 } else { 2 };
    run(notebook, threads, |run| train_codec(corpus, plan, run))
}

/// A notebook that keeps states after these steps.
fn wanting(steps: &[u32]) -> Notebook {
    Notebook { wanted: steps.to_vec(), ..Notebook::default() }
}

/// A notebook with a run that was interrupted.
fn going_on(state: &State) -> Notebook {
    Notebook { begun: Some(from_file(state)), ..Notebook::default() }
}

/// A run that nothing interrupts, and states of it.
fn whole() -> &'static (TrainedCodec, Notebook) {
    static WHOLE: OnceLock<(TrainedCodec, Notebook)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let steps = [1, 99, 100, 101, 120, CODEC_STEPS - 1, CODEC_STEPS];
        let whole = codec(&ordinary_corpus(), &codec_plan(), wanting(&steps));
        assert_eq!(whole.notebook.kept.len(), steps.len());
        (whole.made.unwrap(), whole.notebook)
    })
}

#[test]
fn a_codec_that_goes_on_from_any_step_ends_in_the_same_bits() {
    let (corpus, plan) = (ordinary_corpus(), codec_plan());
    let (trained, notebook) = whole();
    let last = notebook.last.as_ref().unwrap();
    for (step, state) in &notebook.kept {
        let resumed = codec(&corpus, &plan, going_on(state));
        let again = resumed.made.unwrap();
        assert_eq!(bytes(&again.tensors), bytes(&trained.tensors), "from step {step}");
        assert_eq!(again.curve, trained.curve, "from step {step}");
        let (loss, levels) = (again.complete.best_validation_loss, again.complete.levels);
        assert_eq!(loss.to_bits(), trained.complete.best_validation_loss.to_bits());
        assert_eq!(format!("{levels:?}"), format!("{:?}", trained.complete.levels));
        if *step < CODEC_STEPS {
            let end = resumed.notebook.last.unwrap();
            assert_eq!(timeless(&end), timeless(last), "from step {step}");
        }
    }
}

const PRIOR_STEPS: u32 = 32;

fn prior(notebook: Notebook) -> Outcome<TrainedPrior> {
    let (config, quantizer, codes) = tiny::codes();
    let length = Length::Steps(PRIOR_STEPS);
    let plan = PriorPlan {
        config: prior_config(),
        length,
        learning_rate: 5e-3,
        batch: 3,
        seed: 5,
        from: None,
    };
    let known = KnownCodec { config: &config, quantizer: &quantizer };
    let threads = if notebook.begun.is_some() { 1 } else { 2 };
    run(notebook, threads, |run| train_prior(known, &codes, &[], &plan, run))
}

#[test]
fn a_prior_that_goes_on_from_any_step_ends_in_the_same_bits() {
    let whole = prior(wanting(&[1, 2, 5, 13, 20, 27, PRIOR_STEPS - 1]));
    let trained = whole.made.unwrap();
    let last = whole.notebook.last.unwrap();
    assert!(whole.notebook.kept.len() > 3, "it stopped at step {}", last.step);
    for (step, state) in &whole.notebook.kept {
        let resumed = prior(going_on(state));
        let again = resumed.made.unwrap();
        assert_eq!(bytes(&again.tensors), bytes(&trained.tensors), "from step {step}");
        assert_eq!(
            (again.curve, again.perplexity),
            (trained.curve.clone(), trained.perplexity.clone())
        );
        if let Some(end) = resumed.notebook.last {
            assert_eq!(timeless(&end), timeless(&last), "from step {step}");
        }
    }
}

/// The state of an ordinary run that has measured something and placed its codebooks.
fn well_begun() -> &'static State {
    &whole().1.kept[&120]
}

fn assert_finite(tensors: &Tensors) {
    for (name, tensor) in tensors {
        assert!(tensor.to_f32().iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn a_recording_that_breaks_the_loss_is_left_out_and_nothing_of_it_is_learned() {
    // What no file can hold, since files with such samples are refused. It has no features of a sound.
    let mut poisoned = corpus(vec![f32::NAN; 500]);
    poisoned.gain = 1.0;
    poisoned.recordings.iter_mut().for_each(|one| one.held_out = one.name == "0.wav");
    let plan = CodecPlan { batch: 1, ..codec_plan() };
    let outcome = codec(&poisoned, &plan, going_on(well_begun()));
    let trained = outcome.made.unwrap();
    let told = outcome.warnings.join("\n");
    assert!(told.contains("was left out, since its loss was"), "{told}");
    assert_eq!((trained.complete.steps, trained.diverged.is_none()), (CODEC_STEPS, true), "{told}");
    assert_finite(&outcome.notebook.last.unwrap().tensors);
    assert!(trained.curve.iter().all(|point| point.train_loss.unwrap().is_finite()));
}

#[test]
fn a_rate_that_ruins_everything_ends_with_the_best_there_was() {
    let (state, plan) = (well_begun(), CodecPlan { learning_rate: 1e3, ..codec_plan() });
    let outcome = codec(&ordinary_corpus(), &plan, going_on(state));
    let trained = outcome.made.unwrap();
    assert!(trained.diverged.is_some() && trained.complete.steps < CODEC_STEPS);
    let returns = outcome.warnings.iter().filter(|told| told.contains("going back")).count();
    assert_eq!(returns, 3, "{:?}", outcome.warnings);
    assert_finite(&trained.tensors);
    let best: Vec<f64> = trained.curve.iter().filter_map(|point| point.validation_loss).collect();
    let best = best.into_iter().fold(f64::INFINITY, f64::min);
    assert_eq!(trained.complete.best_validation_loss, best);
    assert!(best < 10.0, "it is one of before: {best}");
}

#[test]
fn a_rate_that_ruins_everything_from_the_start_is_an_error() {
    let plan = CodecPlan { learning_rate: 1e6, ..codec_plan() };
    let outcome = codec(&ordinary_corpus(), &plan, Notebook::default());
    let error = outcome.made.unwrap_err();
    assert!(error.is::<Diverged>(), "{error:#}");
}
