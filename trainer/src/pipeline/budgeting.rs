//! What a budget is spent on besides training.

use anyhow::Result;
use distill_shared::bundle::CorpusCodes;
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};

use super::Session;
use crate::budget::LEAST_S;
use crate::corpus::Corpus;
use crate::evaluate::prior::trial::trial_seconds;
use crate::events::TrainingEvent;
use crate::progress::clock;
use crate::settings::MOST_READ_S;
use crate::train::{Length, reading_pace};

/// Steps below which a prior that was given a time has learned next to nothing: its learning rate still
/// rises.
const FEW_STEPS: u32 = 30;

impl Session<'_> {
    /// Listening is a part of what a budget is for, and so is the trial: what is left to train.
    pub(super) fn before_trial(
        &self,
        length: Length,
        codec: &CodecConfig,
        prior: &PriorConfig,
    ) -> Result<Length> {
        let Length::Seconds(seconds) = length else { return Ok(length) };
        let whole = ModelConfig { codec: codec.clone(), prior: Some(prior.clone()) };
        let trial = trial_seconds(&whole, self.threads, self.report_s())?;
        Ok(Length::Seconds((seconds - trial).max(LEAST_S.min(seconds))))
    }

    /// Seconds that it takes to read `corpus` with a codec of these sizes and to listen to what that
    /// keeps, before a prior can be trained.
    ///
    /// # Errors
    ///
    /// Fails if the sizes are not those of a codec.
    pub fn reading_seconds(&self, corpus: &Corpus, codec: &CodecConfig) -> Result<f64> {
        let seconds = corpus.seconds().min(MOST_READ_S);
        Ok(reading_pace(codec)? * seconds / self.threads.max(1) as f64)
    }

    /// Warns if a prior of `codes` that was given a `length` came to hardly any steps.
    pub(super) fn warn_of_haste(
        &mut self,
        length: Length,
        steps: u32,
        codes: &[CorpusCodes],
        codec: &CodecConfig,
    ) {
        let frames: usize = codes.iter().map(|one| one.codes.frames()).sum();
        let sound_s = frames as f64 / codec.frame_rate();
        if let Some(message) = haste(length, steps, sound_s) {
            self.listeners.hear(&TrainingEvent::Warning { message });
        }
    }
}

/// What is to be said of a prior of so many seconds of sound that was given a `length` and came to `steps`.
fn haste(length: Length, steps: u32, sound_s: f64) -> Option<String> {
    let is_timed = matches!(length, Length::Seconds(_));
    (is_timed && steps < FEW_STEPS).then(|| {
        let all = if steps == 1 { "a single step".to_owned() } else { format!("{steps} steps") };
        format!(
            "the prior had time for {all}, so it has learned next to nothing: the budget went into the \
             codec and into reading {} of sound; give a longer --budget, or train the prior again with \
             `distill train-prior`",
            clock(sound_s)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prior_without_time_is_told_of() {
        let told = haste(Length::Seconds(2.0), 1, 3600.0).unwrap();
        assert!(told.contains("a single step") && told.contains("reading 1:00:00"), "{told}");
        assert!(haste(Length::Seconds(2.0), 29, 3600.0).is_some());
        assert_eq!(haste(Length::Seconds(2.0), 30, 3600.0), None);
        assert_eq!(haste(Length::Steps(1), 1, 3600.0), None, "that is what was asked for");
    }
}
