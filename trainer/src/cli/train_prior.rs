//! `distill train-prior`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use distill_shared::bundle::{Bundle, save_prior_to_model};

use super::duration;
use super::exit::Ending;
use super::result::report;
use super::run::RunArgs;
use crate::budget::Budget;
use crate::pipeline::{Session, with_preview};
use crate::settings::PriorOverrides;
use crate::train::Length;

/// The budget if no length is given.
const DEFAULT_BUDGET: Duration = Duration::from_secs(300);

/// Trains another prior into a bundle; its codec stays as it is
#[derive(Debug, Args)]
pub(super) struct TrainPriorArgs {
    /// The bundle; its prior is replaced
    bundle: PathBuf,
    /// Recordings to learn from, instead of those the bundle remembers
    folder: Option<PathBuf>,
    /// Passes over the recordings
    #[arg(long, value_name = "N", conflicts_with_all = ["steps", "budget"],
        value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Steps, whatever time they take
    #[arg(long, value_name = "N", conflicts_with = "budget",
        value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Time for the whole run, such as 90s or 10m; 5m if no other length is given
    #[arg(long, value_name = "TIME", value_parser = duration::budget)]
    budget: Option<Duration>,
    /// With FOLDER: leave the recordings, as codes, out of the bundle
    #[arg(long)]
    no_corpus_codes: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    prior: PriorOverrides,
}

impl TrainPriorArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let budget = Budget::new(Instant::now(), self.budget.unwrap_or(DEFAULT_BUDGET));
        let mut session = self.run.session()?;
        let source = PriorSource {
            bundle: &self.bundle,
            folder: self.folder.as_deref(),
            overrides: &self.prior,
            keep_codes: !self.no_corpus_codes,
        };
        let length = |epoch: u32| match (self.steps, self.epochs) {
            (Some(steps), _) => Length::Steps(steps),
            (None, Some(epochs)) => Length::Steps(epoch.saturating_mul(epochs)),
            (None, None) => Length::Seconds(budget.prior_seconds()),
        };
        let bundle = replace_prior(&mut session, &source, &length)?;
        report(&self.bundle, &bundle, &session, self.run.json)
    }
}

/// What a prior is trained from, and where it goes.
pub(super) struct PriorSource<'a> {
    /// The bundle whose prior is replaced.
    pub(super) bundle: &'a Path,
    /// Recordings to learn from, instead of those the bundle remembers.
    pub(super) folder: Option<&'a Path>,
    /// Settings that were given.
    pub(super) overrides: &'a PriorOverrides,
    /// Whether the bundle remembers the recordings of `folder`.
    pub(super) keep_codes: bool,
}

/// Trains another prior into a bundle. `length` is told the steps of an epoch.
pub(super) fn replace_prior(
    session: &mut Session,
    source: &PriorSource,
    length: &dyn Fn(u32) -> Length,
) -> Result<Bundle> {
    let path = source.bundle;
    let bundle = Bundle::open(path)?;
    let codec = &bundle.config().codec;
    let codes = match source.folder {
        Some(folder) => {
            let corpus = session.open_corpus(folder)?.as_heard_by(codec);
            session.read_codes(&corpus, codec, bundle.tensors())?
        }
        None => bundle.corpus_codes(),
    };
    if codes.is_empty() {
        bail!(
            "{} does not remember the recordings it was trained on; give their folder, too",
            path.display()
        );
    }
    let settings = source.overrides.settings(codec, &codes)?;
    let prior = session.train_prior(&bundle, &codes, &settings, length)?;
    let bundle = save_prior_to_model(path, &prior.config, prior.weights, prior.metadata)?;

    // The preview is the old prior's, and the codes may be those of other recordings.
    let bundle = with_preview(bundle, session.seed)?;
    let bundle = match source.folder {
        Some(_) if source.keep_codes => bundle.with_corpus_codes(&codes),
        Some(_) => bundle.with_corpus_codes(&[]),
        None => Ok(bundle),
    };
    let bundle = bundle.with_context(|| format!("cannot complete {}", path.display()))?;
    bundle.write(path)?;
    Ok(bundle)
}
