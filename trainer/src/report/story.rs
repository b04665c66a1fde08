//! What a report tells, apart from how.

use distill_shared::bundle::{CurvePoint, LevelHealth};

use super::trace::Trace;
use crate::evaluate::prior::copying::Shared;
use crate::stop::Cancelled;
use crate::train::Diverged;

/// Warnings that a report tells.
const WARNINGS: usize = 40;

/// Everything that a report tells of a run but for times.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// What is trained, as the musician calls it.
    pub name: String,
    /// The command that began the run.
    pub command: String,
    /// What decided the outcome, by names of options.
    pub settings: Vec<(String, String)>,
    /// What the run is at, or how it ended.
    pub state: State,
    /// Updates made of the stage at hand and, once that is known, in all.
    pub place: Option<(u32, u32)>,
    /// File name of the bundle, once it is written.
    pub bundle: Option<String>,
    /// Whether the run goes on with one that was interrupted.
    pub resumed: bool,
    /// What the musician was warned of.
    pub warnings: Vec<String>,
    /// The recordings, if they were read as files.
    pub files: Option<Files>,
    /// How the codec is trained.
    pub codec: Stage,
    /// How the prior is trained.
    pub prior: Stage,
    /// Cross-entropies per code, in nats, that a prior is judged by.
    pub baselines: Option<Baselines>,
    /// Use of the codebooks, coarse to fine, as far as it is known by now.
    pub levels: Vec<LevelHealth>,
    /// Pictures of the use of each level's entries over the whole corpus, as data URIs.
    pub uses: Vec<String>,
    /// Recordings beside what the codec keeps of them.
    pub pairs: Vec<Pair>,
    /// New sound.
    pub takes: Option<Takes>,
    /// What the prior can be asked for; none before that is known.
    pub offered: Option<Vec<String>>,
    /// What it cannot be asked for, and why: a sentence for each.
    pub not_offered: Vec<String>,
}

/// What a run is at, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It goes on, and does this.
    Doing(&'static str),
    /// It is complete.
    Done,
    /// The musician stopped it.
    Stopped,
    /// Training has diverged: a sentence.
    Diverged(String),
    /// Something failed: a sentence.
    Failed(String),
}

impl State {
    /// How a run has ended: with `error`, or without one, be it that it was `stopped`.
    #[must_use]
    pub fn at_end(error: Option<&anyhow::Error>, stopped: bool) -> Self {
        match error {
            None if stopped => Self::Stopped,
            None => Self::Done,
            Some(error) if error.is::<Cancelled>() => Self::Stopped,
            Some(error) if error.is::<Diverged>() => Self::Diverged(format!("{error:#}")),
            Some(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Doing("reading the recordings")
    }
}

/// What became of the files of a folder.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Files that are used.
    pub used: usize,
    /// Those of them that are held out to measure with.
    pub held_out: usize,
    /// Files that were found.
    pub found: usize,
    /// Seconds of sound.
    pub seconds: f64,
    /// Channels: 1 or 2.
    pub channels: usize,
    /// The folders that are classes.
    pub classes: Vec<String>,
    /// Names of files that are not used, and why.
    pub skipped: Vec<(String, String)>,
    /// Names of files that are used, and what is odd about them.
    pub odd: Vec<(String, String)>,
}

/// A stage of training.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// Sizes, in words; empty if the stage is not trained.
    pub sizes: String,
    /// Updates that are planned, once that is known.
    pub steps: u32,
    /// The loss of every update since the run went on last.
    pub loss: Trace,
    /// The learning rate of every update since then.
    pub rate: Trace,
    /// What was measured, oldest first.
    pub curve: Vec<CurvePoint>,
    /// The best loss on held-out recordings, once the stage is over.
    pub best: Option<f64>,
}

/// Cross-entropies per code, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baselines {
    /// Of who knows nothing.
    pub nothing: f64,
    /// Of who knows how often each code occurs.
    pub codes: f64,
    /// Of who knows how often each code follows another.
    pub pairs: f64,
}

/// A sound to play and to see.
#[derive(Debug, Clone)]
pub struct Player {
    /// The sound, as the data URI of a FLAC file.
    pub sound: String,
    /// Its spectrogram, as the data URI of a PNG.
    pub picture: String,
    /// Length in seconds.
    pub seconds: f64,
    /// Frequency at the top of the spectrogram.
    pub highest_hz: f64,
}

/// A recording beside what the codec keeps of it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Name of the recording.
    pub name: String,
    /// Whether training has left it out.
    pub held_out: bool,
    /// The recording.
    pub original: Player,
    /// What the codec keeps.
    pub kept: Player,
}

/// New sound.
#[derive(Debug, Clone)]
pub struct Takes {
    /// Each take.
    pub players: Vec<Player>,
    /// How much of them is copied, if that can be known.
    pub copied: Option<Shared>,
}

impl Story {
    /// Whether the run goes on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        matches!(self.state, State::Doing(_))
    }

    /// From now on the run does this.
    pub fn doing(&mut self, what: &'static str) {
        (self.state, self.place) = (State::Doing(what), None);
    }

    /// Adds a warning, unless there are very many.
    pub fn warn(&mut self, message: &str) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(message.to_owned());
        }
    }
}

impl Stage {
    /// Whether there is anything to show.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.curve.is_empty() || !self.loss.points().is_empty()
    }

    /// Takes note of a measurement.
    pub(super) fn measured(&mut self, step: u32, train_loss: f64, validation_loss: f64) {
        let (train_loss, validation_loss) = (Some(train_loss), Some(validation_loss));
        self.curve.push(CurvePoint { step, train_loss, validation_loss });
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn how_a_run_has_ended_follows_from_its_error() {
        assert_eq!(State::at_end(None, false), State::Done);
        assert_eq!(State::at_end(None, true), State::Stopped);
        assert_eq!(State::at_end(Some(&Cancelled.into()), true), State::Stopped);
        let diverged =
            Err::<(), _>(Diverged { loss: f64::NAN, step: 7 }).context("x.distill is kept");
        let State::Diverged(told) = State::at_end(diverged.as_ref().err(), true) else { panic!() };
        assert!(told.starts_with("x.distill is kept: the loss became NaN at step 7"), "{told}");
        let full = anyhow!("the disk is full");
        assert_eq!(State::at_end(Some(&full), true), State::Failed("the disk is full".to_owned()));
    }
}
