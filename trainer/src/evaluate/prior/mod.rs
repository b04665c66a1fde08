//! What the prior of a bundle is worth, in figures, from the bundle alone.
//!
//! [`likelihood`](mod@likelihood): how well it foresees the recordings held out of its training. [`steering`]:
//! whether it does what it is asked for; [`trial`]: what a new prior may offer; [`lasting`]: how often it
//! begins anew. [`copying`](mod@copying): how much of what it plays it only remembers. [`distribution`]: whether what it plays is as various as
//! recordings, and of their kind.

pub mod copying;
pub mod distribution;
pub mod hearing;
pub mod lasting;
pub mod likelihood;
pub mod material;
pub mod repetition;
pub mod steering;
pub mod table;
pub mod trial;
pub mod windows;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Bundle, CorpusCodes, PriorEvaluationSummary};
use distill_shared::codes::Codes;
use distill_shared::player::Model;
use serde::Serialize;

use crate::date;
use copying::{CopyFigures, copying};
use distribution::{Generation, Keep, generation};
use likelihood::{Likelihood, likelihood};
use steering::{Steering, steer};

/// What was measured of a prior.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PriorEvaluation {
    /// How well it foresees recordings, in bits per second.
    pub likelihood: Likelihood,
    /// Whether it does what it is asked for.
    pub steering: Steering,
    /// How much is copied; none if the bundle keeps nothing to compare with.
    pub copying: Option<CopyFigures>,
    /// Whether what it plays is like recordings that it never heard.
    pub generation: Generation,
}

/// How a prior is measured.
pub struct PriorOptions<'a> {
    /// Threads to measure on; their number changes no figure.
    pub threads: usize,
    /// Decides its takes.
    pub seed: u64,
    /// Gets every sound that is compared.
    pub keep: &'a Keep<'a>,
}

impl PriorEvaluation {
    /// As it stands on the card.
    #[must_use]
    pub fn for_card(&self) -> PriorEvaluationSummary {
        let Self { likelihood, steering, copying, generation } = self;
        let takes = copying.as_ref().and_then(|figures| figures.takes.first());
        let known = |value: f64| Some(value).filter(|value| value.is_finite());
        PriorEvaluationSummary {
            date: date::now(),
            held_out: known(likelihood.held_out),
            trained: known(likelihood.trained),
            unigram: known(likelihood.unigram),
            bigram: known(likelihood.bigram),
            follows: steering.ranks.iter().map(|(name, rho)| ((*name).to_owned(), *rho)).collect(),
            notes_in_tune: steering.pitch.map(|pitch| pitch.notes_in_tune),
            copied: takes.map(|takes| takes.copied),
            longest_copy_s: takes.map(|takes| takes.longest_s),
            held_out_copied: copying.as_ref().map(|figures| figures.held_out.copied),
            planted_found: copying.as_ref().and_then(|figures| figures.planted_found),
            generation: Some(generation.for_card("")),
        }
    }
}

/// Measures the prior of `bundle` by the recordings that were held out of its training.
///
/// # Errors
///
/// Fails if the bundle has no prior, does not remember recordings that were held out, or if
/// `options.keep` fails.
pub fn measure_prior(bundle: &Bundle, options: &PriorOptions) -> Result<PriorEvaluation> {
    let seed = options.seed;
    let model = Arc::new(Model::from_bundle(bundle)?);
    let prior = bundle.prior_config().context("it has no prior; train one for it")?;
    let corpus = bundle.corpus_codes();
    let (held, trained) = (codes_of(&corpus, true), codes_of(&corpus, false));
    ensure!(!held.is_empty() && !trained.is_empty(), FORGOTTEN);
    pool(options.threads)?.install(|| {
        Ok(PriorEvaluation {
            likelihood: likelihood(&model, &held, &trained)?,
            steering: steer(&model, &prior.conditioning, seed)?,
            copying: copying(&model, &held, &trained, seed)?,
            generation: generation(&model, &held, &trained, seed, options.keep)?,
        })
    })
}

/// Measures what the prior of `bundle` makes against `recordings` that it was not trained on, as its
/// codec tells them.
///
/// # Errors
///
/// Fails if the bundle has no prior, does not remember what it was trained on, or if `options.keep`
/// fails.
pub fn measure_generation(
    bundle: &Bundle,
    recordings: &[CorpusCodes],
    options: &PriorOptions,
) -> Result<Generation> {
    let model = Arc::new(Model::from_bundle(bundle)?);
    let corpus = bundle.corpus_codes();
    let trained = codes_of(&corpus, false);
    ensure!(!trained.is_empty(), FORGOTTEN);
    let reference: Vec<&Codes> = recordings.iter().map(|one| &one.codes).collect();
    pool(options.threads)?
        .install(|| generation(&model, &reference, &trained, options.seed, options.keep))
}

/// Why a prior cannot be measured without its corpus.
const FORGOTTEN: &str = "it does not remember the recordings it was trained on; train its prior \
                         again, from their folder";

/// The codes of the recordings that were held out, or of those that were not.
fn codes_of(corpus: &[CorpusCodes], held_out: bool) -> Vec<&Codes> {
    corpus.iter().filter(|one| one.held_out == held_out).map(|one| &one.codes).collect()
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .context("cannot start threads to measure with")
}
