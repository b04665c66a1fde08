//! Who listens to a run: the display, the log and the report.

use distill_shared::bundle::WriteError;

use crate::events::TrainingEvent;
use crate::log::Log;
use crate::progress::Display;
use crate::report::Report;
use crate::report::story::Story;

/// Everything that listens to the events of a run.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Shows them.
    pub display: Display,
    /// Writes them down, if that is asked for.
    pub log: Option<Log>,
    /// Tells of them to who looks later, if that is wanted.
    pub report: Option<Report>,
}

impl Listeners {
    /// Passes an event on to everyone.
    pub fn hear(&mut self, event: &TrainingEvent) {
        self.display.event(event);
        if let Some(Err(error)) = self.log.as_mut().map(|log| log.write(event)) {
            self.display.warn(&format!("{error:#}"));
        }
        if let Some(Err(error)) = self.report.as_mut().map(|report| report.hear(event)) {
            self.warn_of_report(&error);
        }
    }

    /// Changes what the report tells, and writes it.
    pub fn tell(&mut self, change: impl FnOnce(&mut Story)) {
        let Some(report) = &mut self.report else { return };
        change(report.story());
        if let Err(error) = report.write() {
            self.warn_of_report(&error);
        }
    }

    fn warn_of_report(&self, error: &WriteError) {
        self.display.warn(&format!("there is no report of this run, which goes on: {error}"));
    }
}
