//! What the commands that train have in common.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use distill_shared::bundle::Bundle;
use serde::Serialize;
use serde_json::Value;

use super::duration;
use super::exit::Ending;
use super::interrupt::stop_flag;
use super::result::print_result;
use crate::device::{DeviceChoice, cores};
use crate::listeners::Listeners;
use crate::log::Log;
use crate::pipeline::Session;
use crate::progress::Display;
use crate::ranks::{self, Ranks};
use crate::report::Report;
use crate::report::story::Story;
use crate::run_dir::{FoundRun, RunDir, Start};
use crate::train::Diverged;

/// Arguments of every command that trains.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Seed: the same seed and numbers of steps train the same model
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads to compute with; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// What to compute on
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Let an NVIDIA GPU round what it multiplies to ten bits of mantissa, for speed
    #[arg(long)]
    tf32: bool,
    /// Write every event of training to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Drop what an interrupted run has left, and begin anew
    #[arg(long, conflicts_with = "accept_changes")]
    fresh: bool,
    /// Go on with an interrupted run although recordings or settings have changed since it began
    #[arg(long)]
    accept_changes: bool,
    /// Time between the checkpoints that an interrupted run goes on from; with 0s there is one after
    /// every step
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::interval)]
    checkpoint_every: Duration,
    /// Print one JSON object when done
    #[arg(long)]
    pub(super) json: bool,
    /// Write no report: otherwise there is one beside the bundle, X.report.html for X.distill
    /// (X.prior.report.html if only a prior is trained), to be read in a browser while the run goes on
    /// and after it
    #[arg(long)]
    no_report: bool,
    /// Tell nothing on the way but warnings
    #[arg(long)]
    pub(super) quiet: bool,
}

impl RunArgs {
    /// Whether a report is written.
    pub(super) fn reports(&self) -> bool {
        !self.no_report
    }

    /// Prepares a run whose directory is `run_dir`, and whose report, which calls it `name`, is to lie at
    /// `report`.
    pub(super) fn session(
        &self,
        run_dir: PathBuf,
        report: PathBuf,
        name: String,
    ) -> Result<Session<'static>> {
        let device = self.device.open()?;
        if self.tf32 {
            device.round_to_tf32()?;
        }
        let found = match (self.fresh, self.accept_changes) {
            (true, _) => FoundRun::Drop,
            (_, true) => FoundRun::Accept,
            _ => FoundRun::Resume,
        };
        let ranks = ranks::joined_with(&device.device)?;
        let start = Start { found, every: self.checkpoint_every };
        let run_dir = open_run(run_dir, start, ranks)?;
        let leads = ranks.is_first();
        let log = if run_dir.resumes() { Log::go_on } else { Log::create };
        let log = self.log.as_deref().filter(|_| leads).map(log).transpose()?;
        let report = (leads && self.reports()).then(|| {
            Report::new(
                report,
                Story { name, command: command_line(repeated()), ..Story::default() },
            )
        });
        let display = if self.quiet || !leads { Display::quiet() } else { Display::new() };
        Ok(Session {
            device,
            threads: self.threads.map_or_else(cores, usize::from),
            ranks,
            seed: self.seed,
            cancel: stop_flag("what has been learnt is saved")?,
            listeners: Listeners { display, log, report },
            run_dir: Some(run_dir),
            complete: false,
            diverged: None,
        })
    }

    /// What decides the outcome of any run in `session`, by names of options.
    pub(super) fn settings(&self, session: &Session) -> BTreeMap<String, String> {
        let texts = [
            ("distill", env!("CARGO_PKG_VERSION").to_owned()),
            ("--seed", self.seed.to_string()),
            ("--device", session.device.name.to_owned()),
        ];
        let rounding = self.tf32.then(|| ("--tf32", "on".to_owned()));
        texts.into_iter().chain(rounding).map(|(name, text)| (name.to_owned(), text)).collect()
    }
}

/// Opens the directory of a run. The first rank has it; the others know what is in it.
fn open_run(path: PathBuf, start: Start, ranks: &dyn Ranks) -> Result<RunDir> {
    if ranks.count() == 1 {
        return RunDir::open(path, start);
    }
    // Those that wait are told of a failure by being ended.
    let own = ranks.is_first().then(|| RunDir::open(path.clone(), start)).transpose()?;
    let found = own.as_ref().map_or(Ok(Vec::new()), RunDir::found)?;
    let found = ranks.gather(&found)?.swap_remove(0);
    own.map_or_else(|| RunDir::following(path, &found, start), Ok)
}

/// Ends a run that has come to a bundle and the place where that is written, or to an error: completes its
/// report and prints the result. `resumed` says whether it went on with one that was interrupted.
pub(super) fn end(
    session: &mut Session,
    trained: Result<(Bundle, PathBuf)>,
    resumed: bool,
    json: bool,
) -> Result<Ending> {
    if !resumed && trained.as_ref().is_err_and(|error| error.is::<Diverged>()) {
        // It would come to the same again.
        session.give_up_run();
    }
    let (bundle, written) = match trained {
        Ok(trained) => trained,
        Err(error) => {
            session.end_report(Some(&error));
            return Err(error);
        }
    };
    session.show_bundle(&bundle, &written);
    let is_full = session.is_full();
    let ended = session.end_run(&written);
    session.end_report(ended.as_ref().err());
    // Whoever asked for the result is told where it is, whatever is to be said of it.
    print_result(&written, &bundle, session, is_full, json)?;
    ended?;
    Ok(if session.is_stopped() { Ending::Stopped } else { Ending::Done })
}

/// What lies beside `bundle`, `X.distill`, as `X.` and this ending.
pub(super) fn beside(bundle: &Path, ending: &str) -> PathBuf {
    if bundle.extension().is_some_and(|extension| extension == "distill") {
        bundle.with_extension(ending)
    } else {
        bundle.with_added_extension(ending)
    }
}

/// The name of a file without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The words of our command line, whatever bytes they are of, for a run to be repeated, or to go on: it is
/// not to drop what it has come to.
fn repeated() -> impl Iterator<Item = String> {
    let words = env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    words.filter(|word| word != "--fresh")
}

/// The command line of these `arguments`, the first of which is the program, as it would be typed.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=:,@%+".contains(c);
    let quoted = arguments.skip(1).map(|argument| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    std::iter::once("distill".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// The options that were given of those that were not left to the program, by name.
pub(super) fn given(overrides: &impl Serialize) -> Result<BTreeMap<String, String>> {
    let Value::Object(fields) = serde_json::to_value(overrides)? else {
        return Ok(BTreeMap::new());
    };
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    let option = |field: String| format!("--{}", field.replace('_', "-"));
    Ok(given.map(|(field, value)| (option(field), value.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_one_that_can_be_typed() {
        let typed =
            |arguments: &[&str]| command_line(arguments.iter().map(|one| (*one).to_owned()));
        let line = typed(&["/usr/bin/distill", "train", "my sounds", "-o", "it's.distill", ""]);
        assert_eq!(line, r"distill train 'my sounds' -o 'it'\''s.distill' ''");
        assert_eq!(
            typed(&["x", "--budget", "10m", "a=b", "Grüße"]),
            "distill --budget 10m a=b Grüße"
        );
        assert_eq!(typed(&["x", "$(rm -r ~)"]), "distill '$(rm -r ~)'");
    }

    #[test]
    fn a_report_lies_beside_its_bundle() {
        let beside = |bundle: &str| beside(Path::new(bundle), "report.html");
        assert_eq!(beside("a/x.distill"), Path::new("a/x.report.html"));
        assert_eq!(beside("a/take.2"), Path::new("a/take.2.report.html"));
        assert_eq!(beside("x"), Path::new("x.report.html"));
    }
}
