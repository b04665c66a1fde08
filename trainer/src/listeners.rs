//! Who listens to a run: the display, the log, and the curves for the card.

use distill_shared::bundle::CurvePoint;

use crate::events::TrainingEvent;
use crate::log::Log;
use crate::progress::Display;

/// Everything that listens to the events of a run.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Shows them.
    pub display: Display,
    /// Writes them down, if that is asked for.
    pub log: Option<Log>,
    /// Losses of the codec over time.
    pub codec_curve: Vec<CurvePoint>,
    /// Losses of the prior over time.
    pub prior_curve: Vec<CurvePoint>,
    /// Exponential of the held-out cross-entropy of each level, at the best measurement.
    pub perplexity: Vec<f64>,
}

impl Listeners {
    /// Passes an event on to everyone.
    pub fn hear(&mut self, event: &TrainingEvent) {
        self.display.event(event);
        if let Some(Err(error)) = self.log.as_mut().map(|log| log.write(event)) {
            self.display.warn(&format!("{error:#}"));
        }
        let point = |step, train: f64, validation: f64| CurvePoint {
            step,
            train_loss: Some(train),
            validation_loss: Some(validation),
        };
        match event {
            TrainingEvent::CodecEpoch(epoch) => self.codec_curve.push(point(
                epoch.progress.step,
                epoch.train_loss,
                epoch.validation_loss,
            )),
            TrainingEvent::PriorEpoch(epoch) => {
                self.prior_curve.push(point(
                    epoch.progress.step,
                    epoch.train_loss,
                    epoch.validation_loss,
                ));
                if epoch.best {
                    self.perplexity.clone_from(&epoch.perplexity);
                }
            }
            _ => {}
        }
    }
}
