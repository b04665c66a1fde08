//! When the audio thread waits for the worker.

use super::Engine;
use crate::instance::{Phase, Stop};
use crate::patience::Wait;

impl Engine {
    /// Waits for the worker again although it let this one down, but for what is rendered to a file:
    /// the rest of that is silent.
    pub(super) fn hope_again(&mut self) {
        if !self.offline && self.instance.stopped() == Some(Stop::Hopeless) {
            self.patience.forgive();
            self.instance.resume(Stop::Hopeless);
        }
    }

    /// Waits until it is known what sound there is, if the host has the time.
    pub(super) fn await_bundle(&mut self) {
        if self.instance.phase() == Phase::Loading && self.instance.is_hopeful() {
            self.await_worker(|engine| engine.instance.phase() != Phase::Loading);
        }
    }

    /// Waits for the worker, if the host has the time.
    pub(super) fn await_sound(&mut self, len: usize) {
        self.accept_streams();
        if self.voices.iter().next().is_none() || !self.instance.is_hopeful() {
            return;
        }
        self.await_worker(|engine| engine.is_ready(len));
    }

    /// Waits until `ready`, or until there is no hope left.
    fn await_worker(&mut self, ready: impl Fn(&mut Self) -> bool) {
        let mut patience = self.patience;
        let waited = patience.wait(|| ready(self) || !self.instance.is_hopeful());
        self.patience = patience;
        if waited == Wait::Hopeless {
            self.instance.stop(Stop::Hopeless);
        }
    }

    /// Whether the next `len` samples of all voices are there.
    fn is_ready(&mut self, len: usize) -> bool {
        self.accept_streams();
        self.sets.ask_on(&mut self.end);
        let scene = self.scene();
        self.voices.iter_mut().all(|voice| {
            voice.send_controls(len, &scene);
            voice.is_ready(len, &scene)
        })
    }
}
