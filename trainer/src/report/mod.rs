//! The report of a run: one HTML file beside the bundle, readable while the run goes on and after it.
//!
//! * [`story`]: what it tells, apart from how;
//! * [`trace`]: curves of every update, in bounded memory;
//! * [`sound`]: what can be heard in it;
//! * [`picture`]: what can be seen in it;
//! * `page`, `chart`, `html`: how it is told;
//! * [`Report`]: when it is written.
//!
//! A report needs nothing but itself: sounds and pictures are in it, no script runs and nothing is
//! fetched. It takes no part in the run: nothing that is trained depends on it, and where it cannot be
//! written, that is told once. But for the section of times, the same run gives the same report.

mod chart;
mod html;
mod page;
pub mod picture;
pub mod sound;
pub mod story;
pub mod trace;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use distill_shared::bundle::{CodecMetadata, LevelHealth, WriteError, write_atomically};

use crate::date;
use crate::events::{LevelUse, Progress, Resumption, TrainingEvent};
use crate::train;
use page::Times;
use story::{Stage, Story};

/// Least time between two writings while a stage goes on.
const EVERY: Duration = Duration::from_secs(10);
/// Writing may cost one in so many seconds.
const COST: u32 = 100;
/// What decoding, FLAC and spectrograms cost, in seconds of the prior's sound.
const SOUNDS_S: f64 = 2.0;

/// The report of one run.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    story: Story,
    clock: Clock,
    /// Whether the run has begun: until then an earlier report stays what it is.
    begun: bool,
    /// Whether writing has failed.
    failed: bool,
}

/// When the report was written, and how long the run takes.
#[derive(Debug)]
struct Clock {
    began: Instant,
    times: Times,
    /// Seconds that the run took before it went on.
    before_s: f64,
    written: Instant,
    /// What the last writing took.
    cost: Duration,
}

impl Report {
    /// A report that is to lie at `path`. Nothing is written yet.
    #[must_use]
    pub fn new(path: PathBuf, story: Story) -> Self {
        let (now, times) = (Instant::now(), Times { began: date::now(), ..Times::default() });
        let clock = Clock { began: now, times, before_s: 0.0, written: now, cost: Duration::ZERO };
        Self { path, story, clock, begun: false, failed: false }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it tells.
    pub fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    /// Seconds of the prior's sound that all sounds of a report cost as much as, about.
    #[must_use]
    pub fn sounds_s() -> f64 {
        sound::TAKES_S + SOUNDS_S
    }

    /// From now on it is written. The run had taken `before` already, if it goes on.
    pub fn begin(&mut self, before: Duration) {
        self.begun = true;
        self.clock.before_s = before.as_secs_f64();
    }

    /// Writes it, once the run has begun.
    ///
    /// # Errors
    ///
    /// Fails once if the file cannot be written; from then on it is only tried again when the run ends.
    pub fn write(&mut self) -> Result<(), WriteError> {
        if !self.begun || (self.failed && self.story.goes_on()) {
            return Ok(());
        }
        let start = Instant::now();
        let Clock { began, times, before_s, .. } = &mut self.clock;
        times.written = date::now();
        times.spent_s = *before_s + began.elapsed().as_secs_f64();
        if !self.story.goes_on() {
            times.left_s = None;
        }
        let page = page::page(&self.story, times);
        let written = write_atomically(&self.path, page.as_bytes());
        (self.clock.written, self.clock.cost) = (Instant::now(), start.elapsed());
        let told = std::mem::replace(&mut self.failed, written.is_err());
        if told { Ok(()) } else { written }
    }

    /// Takes note of an event, and writes if it is time.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::write`] does.
    pub fn hear(&mut self, event: &TrainingEvent) -> Result<(), WriteError> {
        self.note(event);
        let wait = EVERY.max(self.clock.cost * COST);
        if self.clock.written.elapsed() < wait { Ok(()) } else { self.write() }
    }

    /// Takes note of a codec that is trained already.
    pub fn know_codec(&mut self, codec: &CodecMetadata) {
        let stage = &mut self.story.codec;
        stage.curve.clone_from(&codec.training.curve);
        (stage.best, stage.steps) = (codec.training.best_validation_loss, codec.training.steps);
        self.story.levels.clone_from(&codec.levels);
    }

    fn note(&mut self, event: &TrainingEvent) {
        let Story { codec, prior, levels, .. } = &mut self.story;
        match event {
            TrainingEvent::CodecStep(step) => {
                note_step(codec, &step.progress, step.spectral_loss);
                self.note_progress("training the codec", &step.progress);
            }
            TrainingEvent::PriorStep(step) => {
                note_step(prior, &step.progress, step.loss);
                self.note_progress("training the prior", &step.progress);
            }
            TrainingEvent::CodecEpoch(epoch) => {
                codec.measured(epoch.progress.step, epoch.train_loss, epoch.validation_loss);
                *levels = health_of(&epoch.levels);
            }
            TrainingEvent::PriorEpoch(epoch) => {
                prior.measured(epoch.progress.step, epoch.train_loss, epoch.validation_loss);
            }
            TrainingEvent::CodecComplete(complete) => {
                codec.best = Some(complete.best_validation_loss);
                self.note_end("training the codec", complete.elapsed_s);
            }
            TrainingEvent::PriorComplete(complete) => {
                prior.best = Some(complete.best_validation_loss);
                self.note_end("training the prior", complete.elapsed_s);
            }
            TrainingEvent::Resumed(Resumption { stage, curve }) => {
                let stage = match stage {
                    train::Stage::Codec => codec,
                    train::Stage::Prior => prior,
                };
                stage.curve.clone_from(curve);
            }
            TrainingEvent::Warning { message } => self.story.warn(message),
        }
    }

    fn note_progress(&mut self, stage: &'static str, progress: &Progress) {
        self.story.place = Some((progress.step, progress.steps));
        self.clock.times.left_s = progress.remaining_s;
        self.note_time(stage, progress.elapsed_s);
    }

    fn note_end(&mut self, stage: &'static str, elapsed_s: f64) {
        self.clock.times.left_s = None;
        self.note_time(stage, elapsed_s);
    }

    fn note_time(&mut self, stage: &'static str, elapsed_s: f64) {
        let times = &mut self.clock.times.stages_s;
        match times.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, seconds)) => *seconds = elapsed_s,
            None => times.push((stage, elapsed_s)),
        }
    }
}

fn note_step(stage: &mut Stage, progress: &Progress, loss: f64) {
    stage.steps = progress.steps;
    stage.loss.push(progress.step, loss);
    stage.rate.push(progress.step, progress.learning_rate);
}

fn health_of(levels: &[LevelUse]) -> Vec<LevelHealth> {
    let health = |level: &LevelUse| LevelHealth { used: level.used, perplexity: level.perplexity };
    levels.iter().map(health).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::events::{PriorStepMetrics, PriorTrainingComplete};
    use story::State;

    fn step(step: u32) -> TrainingEvent {
        let progress = Progress {
            step,
            steps: 9,
            elapsed_s: 1.5,
            remaining_s: Some(3.0),
            learning_rate: 1e-3,
        };
        TrainingEvent::PriorStep(PriorStepMetrics { progress, loss: f64::from(step) })
    }

    #[test]
    fn nothing_is_written_before_the_run_has_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.report.html");
        let mut report = Report::new(path.clone(), Story::default());
        report.write().unwrap();
        assert!(!path.exists());
        report.begin(Duration::ZERO);
        report.write().unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("reading the recordings"));
    }

    #[test]
    fn events_are_written_once_it_is_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.report.html");
        let mut report = Report::new(path.clone(), Story::default());
        report.begin(Duration::ZERO);
        report.hear(&step(1)).unwrap();
        assert!(!path.exists(), "it has just begun");
        let Some(earlier) = Instant::now().checked_sub(EVERY) else { return };
        report.clock.written = earlier;
        report.hear(&step(2)).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("Step 2 of 9."));
        report.clock.written = earlier;
        report.clock.cost = EVERY;
        report.hear(&step(3)).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("Step 2 of 9."), "it costs too much");
        assert_eq!(report.story.prior.loss.points(), [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]);
    }

    #[test]
    fn a_report_that_cannot_be_written_complains_once_and_is_tried_again_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/x.report.html");
        let mut report = Report::new(path.clone(), Story::default());
        report.begin(Duration::ZERO);
        assert!(report.write().is_err());
        fs::create_dir(folder.path().join("gone")).unwrap();
        assert!(report.write().is_ok() && !path.exists(), "a full disk has no room for attempts");
        report.story().state = State::Done;
        assert!(report.write().is_ok() && path.exists());
    }

    #[test]
    fn two_reports_of_a_run_differ_in_their_times_alone() {
        let told = |elapsed_s: f64| {
            let mut report = Report::new(PathBuf::new(), Story::default());
            (1..=9).for_each(|i| report.note(&step(i)));
            let complete = PriorTrainingComplete {
                steps: 9,
                elapsed_s,
                best_validation_loss: 2.0,
                cancelled: false,
            };
            report.note(&TrainingEvent::PriorComplete(complete));
            report.story.state = State::Done;
            let page = page::page(&report.story, &report.clock.times);
            let (before, rest) = page.split_once("<section id=\"times\">").unwrap();
            let (times, after) = rest.split_once("</section>").unwrap();
            (times.to_owned(), format!("{before}{after}"))
        };
        let (one, other) = (told(65.0), told(3601.0));
        assert_eq!(one.1, other.1);
        assert!(one.0.contains("1:05") && other.0.contains("1:00:01"));
    }
}
