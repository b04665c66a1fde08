//! What the prior of a bundle is worth, in figures, from the bundle alone.
//!
//! [`likelihood`](mod@likelihood): how well it foresees the recordings held out of its training. [`steering`]:
//! whether it does what it is asked for. [`trial`]: what a new prior may offer.

pub mod copying;
pub mod likelihood;
pub mod steering;
pub mod table;
pub mod trial;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Bundle, PriorEvaluationSummary};
use distill_shared::codes::Codes;
use distill_shared::player::Model;
use serde::Serialize;

use crate::date;
use copying::{CopyFigures, copying};
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
}

impl PriorEvaluation {
    /// As it stands on the card.
    #[must_use]
    pub fn for_card(&self) -> PriorEvaluationSummary {
        let Self { likelihood, steering, copying } = self;
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
        }
    }
}

/// Measures the prior of `bundle` on `threads` threads; `seed` decides its takes.
///
/// # Errors
///
/// Fails if the bundle has no prior, or does not remember recordings that were held out.
pub fn measure_prior(bundle: &Bundle, threads: usize, seed: u64) -> Result<PriorEvaluation> {
    let model = Arc::new(Model::from_bundle(bundle)?);
    let prior = bundle.prior_config().context("it has no prior; train one for it")?;
    let corpus = bundle.corpus_codes();
    let (held, trained): (Vec<_>, Vec<_>) = corpus.iter().partition(|one| one.held_out);
    let held: Vec<&Codes> = held.into_iter().map(|one| &one.codes).collect();
    let trained: Vec<&Codes> = trained.into_iter().map(|one| &one.codes).collect();
    ensure!(
        !held.is_empty() && !trained.is_empty(),
        "it does not remember the recordings it was trained on; train its prior again, from their \
         folder"
    );
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .context("cannot start threads to measure with")?;
    pool.install(|| {
        Ok(PriorEvaluation {
            likelihood: likelihood(&model, &held, &trained)?,
            steering: steer(&model, &prior.conditioning, seed)?,
            copying: copying(&model, &held, &trained, seed)?,
        })
    })
}
