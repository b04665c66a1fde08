//! What ranks that train together agree on, since clocks and signals are of one process each.

use std::sync::atomic::Ordering;

use anyhow::Result;

use super::Session;
use crate::train::Length;

impl Session<'_> {
    /// How long the first rank trains, by its clock: so long do all of them.
    pub(super) fn agreed(&self, length: Length) -> Result<Length> {
        Ok(match length {
            Length::Seconds(seconds) => Length::Seconds(self.ranks.first(seconds)?),
            steps @ Length::Steps(_) => steps,
        })
    }

    /// Lets all ranks know that any was stopped.
    ///
    /// # Errors
    ///
    /// Fails if a rank is lost.
    pub fn agree_on_stop(&self) -> Result<()> {
        if self.ranks.any([self.is_stopped()])?[0] {
            self.cancel.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
