//! Who listens to a run: the display and the log.

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
}

impl Listeners {
    /// Passes an event on to everyone.
    pub fn hear(&mut self, event: &TrainingEvent) {
        self.display.event(event);
        if let Some(Err(error)) = self.log.as_mut().map(|log| log.write(event)) {
            self.display.warn(&format!("{error:#}"));
        }
    }
}
