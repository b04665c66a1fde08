//! `distill train-prior`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use distill_shared::bundle::{Bundle, CorpusCodes};

use super::duration;
use super::exit::Ending;
use super::run::{RunArgs, beside, end, given, stem};
use crate::budget::Budget;
use crate::corpus::Corpus;
use crate::pipeline::{Session, heard_by, with_preview};
use crate::run_dir::terms::{CODEC_OF_BUNDLE, Recordings, Terms};
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
    #[arg(long, requires = "folder")]
    no_corpus_codes: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    prior: PriorOverrides,
}

impl TrainPriorArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let start = Instant::now();
        let (run_dir, report) = (prior_run_dir(&self.bundle), prior_report(&self.bundle));
        let mut session = self.run.session(run_dir, report, stem(&self.bundle))?;
        let budget = Budget::new(start, self.budget.unwrap_or(DEFAULT_BUDGET));
        let budget = budget.after(session.spent_before());
        let source = PriorSource {
            bundle: &self.bundle,
            folder: self.folder.as_deref(),
            overrides: &self.prior,
            keep_codes: !self.no_corpus_codes,
            settings: self.settings(&session)?,
        };
        let length = |epoch: u32| match (self.steps, self.epochs) {
            (Some(steps), _) => Length::Steps(steps),
            (None, Some(epochs)) => Length::Steps(epoch.saturating_mul(epochs)),
            (None, None) => Length::Seconds(budget.prior_seconds()),
        };
        let resumed = session.resumes();
        let trained = replace_prior(&mut session, &source, &length);
        end(&mut session, trained, resumed, self.run.json)
    }

    /// What decides the outcome, besides the recordings.
    fn settings(&self, session: &Session) -> Result<BTreeMap<String, String>> {
        let mut settings = self.run.settings(session);
        settings.extend(given(&self.prior)?);
        let (name, length) = match (self.steps, self.epochs) {
            (Some(steps), _) => ("--steps", steps.to_string()),
            (None, Some(epochs)) => ("--epochs", epochs.to_string()),
            (None, None) => ("--budget", duration::text(self.budget.unwrap_or(DEFAULT_BUDGET))),
        };
        settings.insert(name.to_owned(), length);
        Ok(settings)
    }
}

/// What a run that trains the prior of a bundle alone goes on from: not what a run that trains all of
/// it does.
pub(super) fn prior_run_dir(bundle: &Path) -> PathBuf {
    bundle.with_added_extension("prior.run")
}

/// The report of such a run.
pub(super) fn prior_report(bundle: &Path) -> PathBuf {
    beside(bundle, "prior.report.html")
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
    /// What decides the outcome, besides the recordings.
    pub(super) settings: BTreeMap<String, String>,
}

impl PriorSource<'_> {
    /// Whether the bundle is to remember recordings that it need not have heard.
    fn keeps_what_it_hears(&self) -> bool {
        self.folder.is_some() && self.keep_codes
    }

    /// `bundle` with what it is to remember of `codes`.
    fn remembered(
        &self,
        session: &mut Session,
        bundle: Bundle,
        codes: &[CorpusCodes],
    ) -> Result<Bundle> {
        match self.folder {
            Some(_) if self.keep_codes => session.remembering(bundle, codes),
            Some(_) => Ok(bundle.with_corpus_codes(&[])?),
            None => Ok(bundle),
        }
    }
}

/// Trains another prior into a bundle, and tells where that was written. `length` is told the steps of an
/// epoch.
pub(super) fn replace_prior(
    session: &mut Session,
    source: &PriorSource,
    length: &dyn Fn(u32) -> Length,
) -> Result<(Bundle, PathBuf)> {
    let path = source.bundle;
    let bundle = Bundle::open(path)?;
    let codec = &bundle.config().codec;
    let heard = heard_by(&bundle);
    // A bundle that remembers nothing still tells by which seed its codec held recordings out.
    let seed = if heard.is_empty() { bundle.card().codec.training.seed } else { session.seed };
    let open = |folder| session.open_corpus(folder, &heard, seed);
    let corpus = source.folder.map(open).transpose()?;
    // Of those that are not kept as codes too: a run that goes on holds the same ones out.
    let held_out = corpus.as_ref().map(Corpus::held_out_names);
    let corpus = corpus.map(|corpus| session.readable(corpus.as_heard_by(codec)));
    let codes = match &corpus {
        Some(corpus) => session.read_codes(corpus, codec, bundle.tensors())?,
        None => bundle.corpus_codes(),
    };
    if codes.is_empty() {
        bail!(
            "{} does not remember the recordings it was trained on; give their folder, too",
            path.display()
        );
    }
    let settings = source.overrides.settings(codec, &codes)?;
    let recordings = Recordings::of_codes(&codes);
    let recordings = match held_out {
        Some(names) => recordings.holding_out(names),
        None => recordings,
    };
    let mut terms = Terms { settings: source.settings.clone(), recordings };
    terms.settings.insert(CODEC_OF_BUNDLE.to_owned(), bundle.codec_digest());
    session.begin_run(terms)?;
    session.tell_codec(&bundle.card().codec);
    session.show_codec(corpus.as_ref(), &codes, codec, bundle.tensors());
    if source.keeps_what_it_hears() && bundle.corpus_codes().is_empty() {
        session.listeners.display.say(
            "note: the bundle will hold these recordings as codes, and whoever has it can play them; \
             --no-corpus-codes leaves them out",
        );
    }
    // Its prior is tried with what takes are to recall.
    let bundle = source.remembered(session, bundle, &codes)?;
    let prior = session.train_prior(&bundle, &codes, &settings, length)?;
    // Another run may have written the bundle meanwhile.
    let now = Bundle::open(path)?;
    if now.codec_digest() != bundle.codec_digest() {
        bail!("{} has another codec than when this began: train its prior anew", path.display());
    }
    let bundle = source
        .remembered(session, now, &codes)?
        .with_prior(&prior.config, prior.weights, prior.metadata)
        .with_context(|| format!("cannot complete {}", path.display()))?;

    // The preview is the old prior's.
    let bundle = with_preview(bundle, session.seed)?;
    let whole = session.is_whole(&bundle);
    let written = session.write(&bundle, path, whole, false)?;
    Ok((bundle, written))
}
