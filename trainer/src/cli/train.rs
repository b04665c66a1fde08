//! `distill train`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use distill_shared::bundle::{Bundle, Card, CodecMetadata, CorpusCodes};
use distill_shared::library;
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::whole_file::is_same_file;

use super::duration;
use super::exit::Ending;
use super::output::{BROKEN_LINK, is_broken_link};
use super::prepare::ENDING;
use super::run::{RunArgs, beside, end, given, stem};
use super::train_prior::{PriorSource, prior_report, prior_run_dir, replace_prior};
use crate::budget::{self, Budget};
use crate::corpus::Corpus;
use crate::date;
use crate::numbered::numbered;
use crate::pipeline::{
    Session, Trained, corpus_health, heard_by, is_finished, summary_of, with_preview,
};
use crate::run_dir::terms::{Recordings, Terms};
use crate::settings::{CodecOverrides, PriorOverrides, Settings};
use crate::stop::Usage;
use crate::train::{Base, Diverged, Length};

/// The budget if neither a time nor numbers of steps are given.
const DEFAULT_BUDGET: Duration = Duration::from_secs(600);

/// Seconds of sound that a run still reads with the codec once it was stopped.
const STOPPED_CORPUS_S: f64 = 120.0;

/// Learns a folder of recordings: writes a bundle that the instrument plays
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Folder of recordings (WAV, AIFF, FLAC, MP3, OGG, M4A), the folders in it are searched too; or what
    /// `prepare` has made of one
    folder: PathBuf,
    /// Bundle to write; if not given, the folder's name with .distill, and nothing is replaced
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Time for the whole run, such as 90s, 10m or 1h30m; 10m if not given. A stage that is given steps
    /// takes what they take
    #[arg(long, value_name = "TIME", value_parser = duration::budget)]
    budget: Option<Duration>,
    /// What to train; `prior` needs the bundle to exist and replaces its prior
    #[arg(long, default_value = "all")]
    stage: Stage,
    /// Steps of the codec, whatever time they take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    codec_steps: Option<u32>,
    /// Steps of the prior, whatever time they take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    prior_steps: Option<u32>,
    /// Begin with what this bundle has learned instead of from nothing: after sounds were added to
    /// the folder, or for a folder that sounds like it
    #[arg(long, value_name = "BUNDLE")]
    from: Option<PathBuf>,
    /// Begin with the layers of this bundle's codec, whatever it was trained on; codebooks are the
    /// folder's own, as if it had begun with nothing
    #[arg(long, value_name = "BUNDLE", conflicts_with = "from")]
    base: Option<PathBuf>,
    /// What to call it; the output's name if not given
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Leave the recordings, as codes, out of the bundle; it then takes the folder to train
    /// another prior, and takes recall nothing
    #[arg(long)]
    no_corpus_codes: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    codec: CodecOverrides,
    #[command(flatten)]
    prior: PriorOverrides,
}

/// What to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    Codec,
    Prior,
    All,
}

/// What a run begins with.
enum Start {
    Nothing,
    Base(Bundle),
    /// The run goes on with it.
    Again(Bundle),
}

impl Start {
    /// The recordings that what is begun with was trained on, as far as it remembers them.
    fn heard(&self) -> Vec<String> {
        self.again().or(self.base()).map_or(Vec::new(), heard_by)
    }

    /// The bundle to go on with, if there is one.
    fn again(&self) -> Option<&Bundle> {
        if let Self::Again(bundle) = self { Some(bundle) } else { None }
    }

    /// The bundle whose layers are begun with, if that is all.
    fn base(&self) -> Option<&Bundle> {
        if let Self::Base(bundle) = self { Some(bundle) } else { None }
    }
}

impl TrainArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let start = Instant::now();
        let output = self.output()?;
        let start_with = self.begins_with()?;
        let (run_dir, report) = match self.stage {
            Stage::Prior => (prior_run_dir(&output), prior_report(&output)),
            Stage::Codec | Stage::All => (run_dir_of(&output), beside(&output, "report.html")),
        };
        if self.stage == Stage::Prior {
            self.keeps_the_codec()?;
        }
        let mut session = self.run.session(run_dir, report, self.bundle_name(&output))?;
        let resumed = session.resumes();
        let lengths = self.lengths(start, session.spent_before());
        let trained = if self.stage == Stage::Prior {
            let source = PriorSource {
                bundle: &output,
                folder: Some(&self.folder),
                overrides: &self.prior,
                keep_codes: !self.no_corpus_codes,
                settings: self.settings(&session, &Start::Nothing)?,
            };
            replace_prior(&mut session, &source, &|_| lengths.prior())
        } else {
            self.train(&mut session, &lengths, &output, &start_with)
        };
        end(&mut session, trained, resumed, self.run.json)
    }

    /// Whether nothing is asked of the codec and the name, which `--stage prior` leaves as they are.
    fn keeps_the_codec(&self) -> Result<()> {
        let mut asked = given(&self.codec)?;
        asked.extend(self.codec_steps.map(|_| ("--codec-steps".to_owned(), String::new())));
        asked.extend(self.name.as_ref().map(|_| ("--name".to_owned(), String::new())));
        let Some((option, _)) = asked.pop_first() else { return Ok(()) };
        let problem = "--stage prior keeps the codec and the name of the bundle as they are";
        Err(Usage(format!("{problem}; leave {option} out")).into())
    }

    /// What the bundle is called.
    fn bundle_name(&self, output: &Path) -> String {
        self.name.clone().unwrap_or_else(|| stem(output))
    }

    /// What to begin with.
    fn begins_with(&self) -> Result<Start> {
        let Some(path) = self.from.as_ref().or(self.base.as_ref()) else {
            return Ok(Start::Nothing);
        };
        if self.stage == Stage::Prior {
            let problem =
                "--stage prior keeps the codec of the bundle as it is; leave --from and --base out";
            return Err(Usage(problem.to_owned()).into());
        }
        let bundle = Bundle::open(path)?;
        Ok(if self.from.is_some() { Start::Again(bundle) } else { Start::Base(bundle) })
    }

    /// Opens the corpus and begins the run, or goes on with the one that was interrupted.
    fn begin(
        &self,
        session: &mut Session,
        start: &Start,
    ) -> Result<(Corpus, Settings<CodecConfig>)> {
        let from = start.again();
        let mut corpus = session.open_corpus(&self.folder, &start.heard(), session.seed)?;
        let recordings = Recordings::of_corpus(&corpus);
        let mut settings = match from {
            None => self.codec.settings(&corpus, start.base().map(Base::of))?,
            Some(bundle) => {
                let settings = self.codec.settings_from(bundle)?;
                if settings.config.channels < corpus.channels {
                    let name = &bundle.card().name;
                    let line = format!("{name} is mono, so the recordings are heard in mono");
                    session.listeners.display.say(&line);
                }
                corpus = corpus.as_heard_by(&settings.config);
                settings
            }
        };
        if self.stage == Stage::All {
            self.prior.check(&settings.config, &corpus, from)?;
        }
        session.begin_run(Terms { settings: self.settings(session, start)?, recordings })?;
        if let Some(config) = session.begun_codec()? {
            corpus = corpus.as_heard_by(&config);
            settings.config = config;
        }
        Ok((corpus, settings))
    }

    /// What decides the outcome, besides the recordings.
    fn settings(&self, session: &Session, start: &Start) -> Result<BTreeMap<String, String>> {
        let mut settings = self.run.settings(session);
        settings.extend(given(&self.codec)?);
        settings.extend(given(&self.prior)?);
        let stage = match self.stage {
            Stage::Codec => Some("codec"),
            Stage::All => Some("all"),
            // It goes on where `train-prior` was interrupted, and the other way round.
            Stage::Prior => None,
        };
        let digest = |bundle: &Bundle| bundle.digest().to_owned();
        let steps = |steps: Option<u32>| steps.map(|steps| steps.to_string());
        let timed = self.codec_steps.is_none() || self.prior_steps.is_none();
        let budget = timed.then(|| duration::text(self.budget.unwrap_or(DEFAULT_BUDGET)));
        for (name, text) in [
            ("--from", start.again().map(digest)),
            ("--base", start.base().map(digest)),
            ("--stage", stage.map(str::to_owned)),
            ("--codec-steps", steps(self.codec_steps)),
            ("--prior-steps", steps(self.prior_steps)),
            ("--budget", budget),
        ] {
            settings.extend(text.map(|text| (name.to_owned(), text)));
        }
        Ok(settings)
    }

    /// Trains the codec and, if that is asked for, the prior, and writes the bundle.
    fn train(
        &self,
        session: &mut Session,
        lengths: &Lengths,
        output: &Path,
        start: &Start,
    ) -> Result<(Bundle, PathBuf)> {
        let (mut corpus, settings) = self.begin(session, start)?;
        let summary = summary_of(&corpus);
        let length = lengths.codec(|| session.reading_seconds(&corpus, &settings.config))?;
        let mut codec = session.train_codec(&corpus, &settings, length)?;
        let mut keep_codes = !self.no_corpus_codes;
        session.agree_on_stop()?;
        if session.is_stopped() && corpus.seconds() > STOPPED_CORPUS_S {
            // Reading hours of sound is not what someone who stops a run waits for.
            corpus = corpus.beginnings(STOPPED_CORPUS_S, session.seed);
            keep_codes = false;
            // A bundle without its recordings is not what was asked for.
            codec.metadata.training.stopped_early = true;
        }
        let corpus = session.readable(corpus);
        let codes = session.read_codes(&corpus, &codec.config, &codec.weights)?;
        let levels = corpus_health(&codes, &codec.config);
        session.show_codec(Some(&corpus), &codes, &codec.config, &codec.weights);
        session.tell_health(&levels);
        let card = Card {
            name: self.bundle_name(output),
            created: date::now(),
            software: concat!("distill ", env!("CARGO_PKG_VERSION")).to_owned(),
            corpus: summary,
            codec: CodecMetadata { levels, ..codec.metadata },
            ..Card::default()
        };
        let Trained { config, weights, .. } = codec;
        let model = ModelConfig { codec: config, prior: None };
        let mut bundle = Bundle::new(model, card, weights).context("cannot bundle the codec")?;
        if keep_codes {
            bundle = session.remembering(bundle, &codes)?;
        }
        if self.stage == Stage::All {
            let settings = match start.again() {
                None => self.prior.settings(&bundle.config().codec, &codes)?,
                Some(from) => self.prior.settings_from(from, &codes)?,
            };
            let stays = self.goes_on_with(output);
            bundle = with_prior(session, lengths, bundle, (&codes, &settings), (output, stays))?;
        }
        let whole = session.is_whole(&bundle);
        let written = session.write(&bundle, output, whole, self.goes_on_with(output))?;
        Ok((bundle, written))
    }

    /// Whether it begins with the bundle that it writes: repeated, it needs that as it was.
    fn goes_on_with(&self, output: &Path) -> bool {
        let begun_with = self.from.as_ref().or(self.base.as_ref());
        begun_with.is_some_and(|path| is_same_file(path, output))
    }

    /// The bundle to write, if it can be written: better to know before hours of training.
    fn output(&self) -> Result<PathBuf> {
        let output = match &self.output {
            Some(output) => output.clone(),
            None => {
                let folder = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
                // Of what was prepared, the name of the folder that it was made of.
                let is_prepared = folder.extension().is_some_and(|ending| ending == ENDING);
                let name = if is_prepared { folder.file_stem() } else { folder.file_name() };
                let name = name.unwrap_or("sounds".as_ref());
                let named = Path::new(name).with_added_extension("distill");
                if self.stage == Stage::Prior { named } else { self.unused(&named) }
            }
        };
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let problem = if library::ending_of(&output) != Some(library::ENDING) {
            "a bundle is a .distill file"
        } else if output.is_dir() {
            "it is a folder; name a file"
        } else if is_broken_link(&output) {
            BROKEN_LINK
        } else if !folder.unwrap_or(Path::new(".")).is_dir() {
            "its folder does not exist; create it first"
        } else if self.stage == Stage::Prior && !output.exists() {
            "it does not exist, and --stage prior needs a bundle with a codec; train the codec first"
        } else {
            return Ok(output);
        };
        Err(Usage(format!("cannot write {}: {problem}", output.display())).into())
    }

    /// `path`, or the first of NAME-2, NAME-3 and so on that has neither bundle nor report, or has what an
    /// interrupted run left and no finished bundle: nothing is replaced that nobody named.
    fn unused(&self, path: &Path) -> PathBuf {
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let is_its_own = |path: &Path| {
            let finished = || Bundle::open(path).is_ok_and(|bundle| is_finished(&bundle));
            let reported = || self.run.reports() && is_there(&beside(path, "report.html"));
            if run_dir_of(path).is_dir() { !finished() } else { !is_there(path) && !reported() }
        };
        let found = numbered(path).find(|path| is_its_own(path)).unwrap_or_else(|| path.to_owned());
        if found != path && !self.run.quiet {
            eprintln!("{} is there and stays; this one is {}", path.display(), found.display());
            if run_dir_of(path).is_dir() {
                let (run_dir, path) = (run_dir_of(path), path.display());
                eprintln!("{} holds a run that -o {path} goes on with", run_dir.display());
            }
        }
        found
    }

    fn lengths(&self, start: Instant, spent: Duration) -> Lengths {
        let budget = self.budget.unwrap_or(DEFAULT_BUDGET);
        Lengths {
            budget: Budget::new(start, budget).after(spent),
            is_given: self.budget.is_some(),
            codec_steps: self.codec_steps,
            prior_steps: self.prior_steps,
            prior_follows: self.stage == Stage::All,
        }
    }
}

/// What a run keeps of itself, beside its bundle.
fn run_dir_of(output: &Path) -> PathBuf {
    output.with_added_extension("run")
}

/// Trains a prior on `codes` into `bundle`. If it diverges, the codec alone is written to `output`, or
/// beside what `stays` there.
fn with_prior(
    session: &mut Session,
    lengths: &Lengths,
    bundle: Bundle,
    (codes, settings): (&[CorpusCodes], &Settings<PriorConfig>),
    (output, stays): (&Path, bool),
) -> Result<Bundle> {
    let prior = match session.train_prior(&bundle, codes, settings, &|_| lengths.prior()) {
        Err(error) if error.is::<Diverged>() => {
            let written = session.write(&bundle, output, false, stays)?;
            let kept = format!("the codec is kept in {} without a prior", written.display());
            return Err(error.context(kept));
        }
        prior => prior?,
    };
    let bundle = bundle
        .with_prior(&prior.config, prior.weights, prior.metadata)
        .context("cannot bundle the prior")?;
    with_preview(bundle, session.seed)
}

/// How long each stage is trained.
struct Lengths {
    budget: Budget,
    /// Whether the budget was asked for.
    is_given: bool,
    codec_steps: Option<u32>,
    prior_steps: Option<u32>,
    prior_follows: bool,
}

impl Lengths {
    /// That of the codec; `reading_s` tells how long it takes to read the corpus for the prior.
    fn codec(&self, reading_s: impl FnOnce() -> Result<f64>) -> Result<Length> {
        if let Some(steps) = self.codec_steps {
            return Ok(Length::Steps(steps));
        }
        let reading_s = if self.prior_follows { reading_s()? } else { 0.0 };
        Ok(Length::Seconds(self.budget.codec_seconds(self.prior_follows, reading_s)))
    }

    fn prior(&self) -> Length {
        // Steps of the codec take what they take: that the prior has time left, somebody has to say.
        let usual = self.codec_steps.is_some() && !self.is_given;
        let seconds = || {
            let seconds = if usual {
                budget::prior_share_s(DEFAULT_BUDGET)
            } else {
                self.budget.prior_seconds()
            };
            Length::Seconds(seconds)
        };
        self.prior_steps.map_or_else(seconds, Length::Steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_codec_leave_the_prior_its_time_unless_a_budget_is_asked_for() {
        let lengths = |is_given| Lengths {
            // A codec of an hour is behind it.
            budget: Budget::new(Instant::now(), DEFAULT_BUDGET).after(Duration::from_secs(3600)),
            is_given,
            codec_steps: Some(20_000),
            prior_steps: None,
            prior_follows: true,
        };
        let seconds = |is_given| match lengths(is_given).prior() {
            Length::Seconds(seconds) => seconds,
            Length::Steps(steps) => panic!("{steps} steps were not asked for"),
        };
        assert!((170.0..190.0).contains(&seconds(false)), "{}", seconds(false));
        assert!(seconds(true) < 3.0);
    }
}
