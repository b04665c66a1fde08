//! Progress on stderr: bars on a terminal, a line per measurement elsewhere.

use std::io::{IsTerminal, Write as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::events::{LevelUse, Progress, TrainingEvent};

/// Writes a line to stderr. A terminal that has been closed is no reason to stop.
pub fn tell(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// Where a run tells what it does. Nothing of it goes to stdout.
#[derive(Debug)]
pub struct Display {
    style: Style,
    bar: ProgressBar,
    /// How fast training goes.
    rate: String,
    /// What was last measured on held-out recordings: the second line of the bar.
    measured: String,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Quiet,
}

impl Display {
    /// Bars if stderr is a terminal, else lines.
    #[must_use]
    pub fn new() -> Self {
        Self::with(if stderr().is_terminal() { Style::Bars } else { Style::Lines })
    }

    /// Warnings only.
    #[must_use]
    pub fn quiet() -> Self {
        Self::with(Style::Quiet)
    }

    fn with(style: Style) -> Self {
        Self { style, bar: ProgressBar::hidden(), rate: String::new(), measured: String::new() }
    }

    /// Tells something in one line.
    pub fn say(&self, line: &str) {
        if self.style != Style::Quiet {
            self.bar.suspend(|| tell(line));
        }
    }

    /// Tells something that must not be missed.
    pub fn warn(&self, line: &str) {
        self.bar.suspend(|| tell(&format!("warning: {line}")));
    }

    /// Begins a bar over a count of things that is not yet known; it may be used from any thread.
    pub fn count(&mut self, what: &str) -> ProgressBar {
        self.begin(&format!("{what:10} {{bar:30}} {{pos}}/{{len}}"))
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.measured.clear();
    }

    /// Shows an event of training.
    pub fn event(&mut self, event: &TrainingEvent) {
        match event {
            TrainingEvent::CodecStep(step) => {
                self.rate = format!("{:.1} s/s", step.audio_rate);
                self.step("codec", &step.progress, step.loss);
            }
            TrainingEvent::PriorStep(step) => {
                let Progress { step: steps, elapsed_s, .. } = step.progress;
                self.rate = format!("{:.1} steps/s", f64::from(steps) / elapsed_s.max(1e-9));
                self.step("prior", &step.progress, step.loss);
            }
            TrainingEvent::CodecEpoch(epoch) => {
                let losses = losses(epoch.train_loss, epoch.validation_loss, epoch.best);
                self.epoch(
                    "codec",
                    &epoch.progress,
                    &format!("{losses}  {}", levels(&epoch.levels)),
                );
            }
            TrainingEvent::PriorEpoch(epoch) => {
                let losses = losses(epoch.train_loss, epoch.validation_loss, epoch.best);
                let perplexity = list(epoch.perplexity.iter().copied());
                self.epoch("prior", &epoch.progress, &format!("{losses}  perplexity {perplexity}"));
            }
            TrainingEvent::CodecComplete(complete) => {
                let (steps, time) = (complete.steps, clock(complete.elapsed_s));
                let (best, levels) = (complete.best_validation_loss, levels(&complete.levels));
                self.finish();
                self.say(&format!("codec  {steps} steps in {time}  best {best:.3}  {levels}"));
            }
            TrainingEvent::PriorComplete(complete) => {
                let (steps, time) = (complete.steps, clock(complete.elapsed_s));
                let best = complete.best_validation_loss;
                self.finish();
                self.say(&format!("prior  {steps} steps in {time}  best {best:.3}"));
            }
            TrainingEvent::Resumed(_) => {}
            TrainingEvent::Warning { message } => self.warn(message),
        }
    }

    fn step(&mut self, stage: &str, progress: &Progress, loss: f64) {
        if self.style != Style::Bars {
            return;
        }
        if self.bar.is_hidden() {
            self.begin(&format!("{stage:10} {{bar:30}} {{pos}}/{{len}}  {{msg}}"));
        }
        self.bar.set_length(u64::from(progress.steps.max(progress.step)));
        self.bar.set_position(u64::from(progress.step));
        let second = if self.measured.is_empty() { "" } else { "\n           " };
        let Self { rate, measured, .. } = &*self;
        let left = remaining(progress);
        self.bar.set_message(format!("loss {loss:.3}  {rate}{left}{second}{measured}"));
    }

    fn epoch(&mut self, stage: &str, progress: &Progress, figures: &str) {
        figures.clone_into(&mut self.measured);
        if self.style == Style::Lines {
            let (step, rate, left) = (steps(progress), &self.rate, remaining(progress));
            tell(&format!("{stage}  {step}  {figures}  {rate}{left}"));
        }
    }

    fn begin(&mut self, template: &str) -> ProgressBar {
        self.finish();
        if self.style == Style::Bars {
            let style = ProgressStyle::with_template(template)
                .expect("templates are written here")
                .progress_chars("━╸─");
            self.bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            self.bar.set_style(style);
            self.bar.enable_steady_tick(Duration::from_millis(500));
        }
        self.bar.clone()
    }
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

/// `step 120/900`, or `step 120` while the number of steps is being measured.
fn steps(progress: &Progress) -> String {
    match progress.steps {
        0 => format!("step {}", progress.step),
        steps => format!("step {}/{steps}", progress.step),
    }
}

fn remaining(progress: &Progress) -> String {
    progress.remaining_s.map(|left| format!("  {} left", clock(left))).unwrap_or_default()
}

fn losses(train: f64, validation: f64, best: bool) -> String {
    let best = if best { " (best)" } else { "" };
    format!("loss {train:.3}  held out {validation:.3}{best}")
}

/// Use and perplexity of the codebooks, coarse to fine.
fn levels(levels: &[LevelUse]) -> String {
    let used = list(levels.iter().map(|level| 100.0 * level.used));
    let perplexity = list(levels.iter().map(|level| level.perplexity));
    format!("used {used} %  perplexity {perplexity}")
}

fn list(values: impl Iterator<Item = f64>) -> String {
    values.map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(" ")
}

/// Seconds as `0:07`, `12:34` or `1:02:03`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds.round()).unwrap_or_default().as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_as_on_a_clock() {
        assert_eq!(clock(6.6), "0:07");
        assert_eq!(clock(754.0), "12:34");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(clock(f64::NAN), "0:00");
        assert_eq!(clock(-1.0), "0:00");
    }

    #[test]
    fn a_measurement_tells_use_and_perplexity_per_level() {
        let one = LevelUse { used: 0.987, perplexity: 200.4 };
        let two = LevelUse { used: 0.5, perplexity: 61.0 };
        assert_eq!(levels(&[one, two]), "used 99 50 %  perplexity 200 61");
    }
}
