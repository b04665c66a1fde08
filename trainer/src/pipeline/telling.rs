//! What the report of a run is told on the way.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::{Bundle, CodecMetadata, CorpusCodes, Tensors};
use distill_shared::codes::Codes;
use distill_shared::model::config::{CodecConfig, ModelConfig};
use distill_shared::player::Model;

use super::{Session, corpus_health, summary_of};
use crate::corpus::{Corpus, Outcome, Verdict};
use crate::descriptors::words::offered;
use crate::evaluate::prior::likelihood::nats_of_tables;
use crate::report::Report;
use crate::report::picture::use_of_entries;
use crate::report::sound::{pairs, takes};
use crate::report::story::{Baselines, Files, State, Story};
use crate::run_dir::terms::Terms;
use crate::train::corpus_counts;

/// Entries of a codebook up to which pairs of codes are counted: a table has the square of them.
const COUNTED: usize = 2048;

impl Session<'_> {
    /// Tells what the run is at.
    pub(super) fn doing(&mut self, what: &'static str) {
        self.listeners.tell(|story| story.doing(what));
    }

    /// Tells what became of the files of a folder.
    pub(super) fn tell_files(&mut self, corpus: &Corpus, verdicts: &[Verdict]) {
        let used = |verdict: &&Verdict| verdict.outcome.is_used();
        let summary = summary_of(corpus);
        let skipped = verdicts.iter().filter_map(|verdict| {
            let why = match &verdict.outcome {
                Outcome::Used | Outcome::Resampled => return None,
                Outcome::Duplicate { of } => format!("it is the same as {of}"),
                Outcome::Skipped { reason } => reason.clone(),
            };
            Some((verdict.name.clone(), why))
        });
        let odd = verdicts.iter().filter(used).filter(|verdict| !verdict.notes.is_empty());
        let files = Files {
            used: verdicts.iter().filter(used).count(),
            held_out: summary.held_out_files,
            found: verdicts.len(),
            seconds: summary.seconds,
            channels: summary.channels,
            classes: summary.classes,
            skipped: skipped.collect(),
            odd: odd.map(|verdict| (verdict.name.clone(), verdict.notes.join("; "))).collect(),
        };
        self.listeners.tell(|story| story.files = Some(files));
    }

    /// Begins the report of a run of these terms.
    pub(super) fn begin_report(&mut self, terms: &Terms) {
        let (resumed, before) = (self.resumes(), self.spent_before());
        let mut settings: Vec<(String, String)> =
            terms.settings.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
        settings.push(("threads".to_owned(), self.threads.to_string()));
        let Some(report) = &mut self.listeners.report else { return };
        report.begin(before);
        let line = format!("report  {}", report.path().display());
        self.listeners.display.say(&line);
        self.listeners.tell(|story| (story.settings, story.resumed) = (settings, resumed));
    }

    /// Tells of a codec that is trained already.
    pub fn tell_codec(&mut self, codec: &CodecMetadata) {
        if let Some(report) = &mut self.listeners.report {
            report.know_codec(codec);
        }
    }

    /// Tells how a codec uses its codes and, if there is a corpus, lets hear what it keeps. `codes` are
    /// those of the corpus, in its order.
    pub fn show_codec(
        &mut self,
        corpus: Option<&Corpus>,
        codes: &[CorpusCodes],
        config: &CodecConfig,
        weights: &Tensors,
    ) {
        if self.listeners.report.is_none() {
            return;
        }
        self.doing("comparing recordings with what the codec keeps of them");
        let levels = corpus_health(codes, config);
        let counts = corpus_counts(codes, config);
        let uses = counts.iter().map(|counts| use_of_entries(counts));
        let uses: Result<Vec<String>> = uses.collect();
        let heard = corpus.map_or_else(
            || Ok(Vec::new()),
            |corpus| {
                let model = codec_model(config, weights)?;
                self.on_threads(|| pairs(&model, &corpus.recordings, codes))
            },
        );
        let told = uses.and_then(|uses| Ok((uses, heard?)));
        self.tell_made(told, |story, (uses, pairs)| {
            (story.levels, story.uses, story.pairs) = (levels, uses, pairs);
        });
    }

    /// Tells what a prior of `codes` is to be judged by.
    pub(super) fn tell_baselines(&mut self, codes: &[CorpusCodes], config: &CodecConfig) {
        if self.listeners.report.is_none() || config.codebook_size > COUNTED {
            return;
        }
        let of = |held_out: bool| {
            let some = codes.iter().filter(move |one| one.held_out == held_out);
            some.map(|one| &one.codes).collect::<Vec<&Codes>>()
        };
        let (held, trained, size) = (of(true), of(false), config.codebook_size);
        let counted = self.on_threads(|| Ok(nats_of_tables(&held, &trained, size)));
        self.tell_made(counted, |story, [codes, pairs]| {
            let nothing = (size as f64).ln();
            story.baselines = Some(Baselines { nothing, codes, pairs });
        });
    }

    /// Tells of a bundle that is written to `path`, and lets hear what it plays.
    pub fn show_bundle(&mut self, bundle: &Bundle, path: &Path) {
        if self.listeners.report.is_none() {
            return;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.listeners.tell(|story| story.bundle = Some(name));
        let Some(prior) = bundle.prior_config() else { return };
        self.doing("making new sound to show");
        let rate = bundle.config().codec.frame_rate();
        let can = offered(&prior.conditioning, rate);
        let cannot = bundle.prior_metadata().map(|prior| prior.not_offered.clone());
        let (seed, hasty) = (self.seed, self.is_stopped());
        let model = Model::from_bundle(bundle).context("cannot play what was trained");
        let made = model.and_then(|model| {
            let model = Arc::new(model);
            self.on_threads(|| takes(&model, seed, hasty))
        });
        self.tell_made(made, |story, takes| {
            (story.offered, story.not_offered) = (Some(can), cannot.unwrap_or_default());
            story.takes = Some(takes);
        });
    }

    /// Tells how the run has ended: with `error`, or with a bundle.
    pub fn end_report(&mut self, error: Option<&anyhow::Error>) {
        let state = State::at_end(error, self.is_stopped());
        self.listeners.tell(|story| (story.state, story.place) = (state, None));
    }

    /// Seconds of the prior's sound that making a report is worth, if there is one.
    pub(super) fn report_s(&self) -> f64 {
        if self.listeners.report.is_some() { Report::sounds_s() } else { 0.0 }
    }

    /// Tells what was made, or that the report goes without.
    fn tell_made<T>(&mut self, made: Result<T>, tell: impl FnOnce(&mut Story, T)) {
        match made {
            Ok(made) => self.listeners.tell(|story| tell(story, made)),
            Err(error) => {
                self.listeners.display.warn(&format!("a part of the report is missing: {error:#}"));
            }
        }
    }

    /// Runs `work` on the threads of the run.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?.install(work)
    }
}

/// A codec without a prior, to play with.
fn codec_model(config: &CodecConfig, weights: &Tensors) -> Result<Arc<Model>> {
    let whole = ModelConfig { codec: config.clone(), prior: None };
    Ok(Arc::new(Model::new(&whole, weights, "").context("cannot play the codec")?))
}
