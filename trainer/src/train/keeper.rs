//! What keeps the state of training while it goes on, so that an interrupted run can go on from it.

use std::sync::atomic::Ordering;

use anyhow::Result;

use super::Run;
use super::state::{Stage, State};
use crate::events::TrainingEvent;

/// Keeps states of training.
pub trait Keeper {
    /// What `stage` had come to when an earlier run was interrupted in it, if one was. It is given
    /// once.
    fn begun(&mut self, stage: Stage) -> Option<Begun>;

    /// Sees to it that there is room for states like `state`, before there is anything to lose.
    ///
    /// # Errors
    ///
    /// Fails if there is none; training does not begin then.
    fn reserve(&mut self, state: &State) -> Result<()>;

    /// Whether it is time to keep a state.
    fn is_due(&self) -> bool;

    /// Keeps `state`. When this returns without an error, it survives a loss of power.
    ///
    /// # Errors
    ///
    /// Fails if it could not be kept, or only by using up the last room; what was kept before stays.
    fn keep(&mut self, state: State) -> Result<(), Unkept>;
}

/// Where an interrupted stage goes on.
#[derive(Debug, Clone)]
pub struct Begun {
    /// What it had come to.
    pub state: State,
    /// What has changed since.
    pub changed: Changed,
}

/// What is otherwise than when a run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// The recordings, or which of them are held out: earlier measurements do not compare.
    pub recordings: bool,
    /// How long to train.
    pub length: bool,
}

/// Why a state was not kept, or the next one will not be.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Unkept {
    /// In a sentence, with what to do.
    pub message: String,
    /// Whether the disk is full, so that training should end while what there is can be saved.
    pub full: bool,
}

impl Run<'_> {
    pub(super) fn begun(&mut self, stage: Stage) -> Option<Begun> {
        self.keeper.as_mut().and_then(|keeper| keeper.begun(stage))
    }

    /// Makes sure that there is room for what `state` gives, if states are kept at all.
    pub(super) fn reserve(&mut self, state: impl FnOnce() -> Result<State>) -> Result<()> {
        self.keeper.as_mut().map_or(Ok(()), |keeper| keeper.reserve(&state()?))
    }

    /// Keeps what `state` gives if it is time.
    pub(super) fn keep_if_due(&mut self, state: impl FnOnce() -> Result<State>) -> Result<()> {
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_due()) {
            self.keep(state()?);
        }
        Ok(())
    }

    /// Keeps what `state` gives if training ends before its time.
    pub(super) fn keep_if_stopped(&mut self, state: impl FnOnce() -> Result<State>) -> Result<()> {
        if self.keeper.is_some() && self.cancelled() {
            self.keep(state()?);
        }
        Ok(())
    }

    /// Training goes on if `state` cannot be kept, but for a full disk: then it ends while what there
    /// is can be saved.
    fn keep(&mut self, state: State) {
        let Some(keeper) = &mut self.keeper else { return };
        if let Err(Unkept { message, full }) = keeper.keep(state) {
            if full {
                self.cancel.store(true, Ordering::Relaxed);
            }
            self.warn(message);
        }
    }

    pub(super) fn warn(&mut self, message: String) {
        (self.events)(TrainingEvent::Warning { message });
    }
}
