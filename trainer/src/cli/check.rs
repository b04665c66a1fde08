//! `distill check`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::exit::Ending;
use super::interrupt::stop_flag;
use super::output::{print, print_json};
use crate::corpus::{Before, Corpus, OpenOptions, Outcome, Verdict, nothing_usable, survey};
use crate::device::cores;
use crate::progress::{Display, clock};

/// Tells of every file in a folder whether it can be trained on, and why not
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Folder of recordings; the folders in it are searched too
    folder: PathBuf,
    /// Seed that decides which recordings are held out
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Files to decode at a time; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    /// Every file.
    files: &'a [Verdict],
    /// Of the files that are used.
    used: Option<&'a Used>,
}

/// What the corpus amounts to.
#[derive(Serialize)]
struct Used {
    files: usize,
    seconds: f64,
    channels: usize,
    /// Seconds that training leaves out, to measure with.
    held_out_seconds: f64,
    /// Names of the recordings that are held out.
    held_out: Vec<String>,
    gain: f32,
}

impl CheckArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let mut display = Display::new();
        let bar = display.count("reading");
        let on_file = |files: usize| {
            bar.set_length(files as u64);
            bar.inc(1);
        };
        let program = std::env::current_exe().ok();
        let options = OpenOptions {
            seed: self.seed,
            threads: self.threads.map_or_else(cores, usize::from),
            cancel: stop_flag("there is no result")?,
            program: program.as_deref(),
            before: &Before::default(),
            on_file: &on_file,
        };
        let mut found = survey(&self.folder, &options)?;
        display.finish();

        let mut verdicts = std::mem::take(&mut found.verdicts);
        let used = if found.recordings.is_empty() {
            None
        } else {
            let corpus = Corpus::of(found, self.seed, &Before::default(), options.threads)?;
            corpus.judge(&mut verdicts);
            let files = verdicts.iter().filter(|verdict| verdict.outcome.is_used()).count();
            Some(Used::new(&corpus, files))
        };
        if self.json {
            print_json(&Report { files: &verdicts, used: used.as_ref() })?;
        } else {
            let mut lines: Vec<String> = verdicts.iter().map(line).collect();
            lines.extend(used.as_ref().map(|used| used.summary(verdicts.len())));
            print(&lines.join("\n"))?;
        }
        if used.is_none() {
            bail!(nothing_usable(&self.folder, &verdicts));
        }
        Ok(Ending::Done)
    }
}

impl Used {
    fn new(corpus: &Corpus, files: usize) -> Self {
        let held_out_samples: usize = corpus.held_out().map(|one| one.samples()).sum();
        Self {
            files,
            seconds: corpus.seconds(),
            channels: corpus.channels,
            held_out_seconds: held_out_samples as f64 / f64::from(corpus.sample_rate),
            held_out: corpus.held_out().map(|one| one.name.clone()).collect(),
            gain: corpus.gain,
        }
    }

    fn summary(&self, all: usize) -> String {
        let channels = if self.channels == 1 { "mono" } else { "stereo" };
        format!(
            "\n{} of {all} files are used: {} in {channels}, of which {} are held out to measure with",
            self.files,
            clock(self.seconds),
            clock(self.held_out_seconds),
        )
    }
}

/// A verdict for people.
fn line(verdict: &Verdict) -> String {
    let Verdict { name, outcome, seconds, rate, channels, notes } = verdict;
    let (word, why) = match outcome {
        Outcome::Used => ("used", None),
        Outcome::Resampled => ("resampled", None),
        Outcome::Duplicate { of } => ("duplicate", Some(format!("sounds the same as {of}"))),
        Outcome::Skipped { reason } => ("skipped", Some(reason.clone())),
    };
    let remarks: Vec<&str> = why.iter().chain(notes).map(String::as_str).collect();
    let remarks =
        if remarks.is_empty() { String::new() } else { format!("  ({})", remarks.join("; ")) };
    if *rate == 0 {
        return format!("{word:9}  {:25}  {name}{remarks}", "");
    }
    format!("{word:9}  {seconds:9.2} s {rate:6} Hz {channels} ch  {name}{remarks}")
}
