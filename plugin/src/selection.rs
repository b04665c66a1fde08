//! Which bundle an instance plays, and its place among the workers.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam::channel::{Receiver, bounded};
use nice_plug::params::persist::PersistentField;

use crate::auditions::Request;
use crate::instance::{Instance, Phase};
use crate::state::BundleRef;
use crate::stream::{AudioEnd, WorkerEnd, connect};
use crate::studio::Task;
use crate::worker::Membership;

/// Which bundle an instance plays: the part of its state that is no parameter.
///
/// Loading begins when a choice is made or the host activates the instrument, whichever is first,
/// and never blocks.
#[derive(Debug)]
pub struct Selection {
    instance: Arc<Instance>,
    seat: Mutex<Seat>,
}

/// Whether the instance has joined the workers.
#[derive(Debug)]
enum Seat {
    /// Not yet: a host that only looks what plugins there are starts no threads.
    Outside(WorkerEnd),
    Inside(Membership),
    /// Between the two.
    Moving,
}

impl Selection {
    /// An instance that plays the factory bundle once it is attached, and the end of it that the
    /// audio thread holds.
    #[must_use]
    pub fn new() -> (Self, AudioEnd) {
        let (audio, worker) = connect();
        let seat = Mutex::new(Seat::Outside(worker));
        (Self { instance: Arc::default(), seat }, audio)
    }

    /// What the threads of this instance know of each other.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Plays the bundle of `reference` from now on, as soon as it is loaded. Not for the audio
    /// thread.
    pub fn choose(&self, reference: BundleRef) {
        if reference.refused.is_empty() {
            let edition = self.instance.choose(reference.clone());
            self.with_membership(|membership| membership.load(edition, reference));
        } else {
            self.instance.show_error(reference.refused);
        }
    }

    /// Begins to load the factory bundle if nothing was chosen. Not for the audio thread.
    pub fn attach(&self) {
        if self.instance.phase() == Phase::Empty {
            let refused = self.instance.texts().error;
            self.choose(BundleRef::default());
            // The host has told of the project first.
            if !refused.is_empty() {
                self.instance.show_error(refused);
            }
        }
    }

    /// Lets what is asked for be heard, as soon as the worker has made some of it, and gives its number.
    /// Not for the audio thread.
    pub fn audition(&self, request: impl Into<Request>) -> u64 {
        let number = self.instance.auditions().begin(request);
        self.with_membership(Membership::wake);
        number
    }

    /// Does what takes time, on a thread of its own. Not for the audio thread.
    pub fn work(&self, task: Task) {
        self.with_membership(|membership| membership.work(task));
    }

    /// What `question` answers, on that thread. It is not asked, and there is no answer, if the thread is to
    /// end before its turn has come. Not for the audio thread.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Receiver<T> {
        let (answer, inbox) = bounded(1);
        self.work(Box::new(move |closing| {
            if !closing.load(Ordering::Acquire) {
                let _ = answer.send(question());
            }
        }));
        inbox
    }

    fn with_membership(&self, act: impl FnOnce(&Membership)) {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        *seat = match std::mem::replace(&mut *seat, Seat::Moving) {
            Seat::Outside(end) => Seat::Inside(Membership::join(end, Arc::clone(&self.instance))),
            taken => taken,
        };
        if let Seat::Inside(membership) = &*seat {
            act(membership);
        }
    }
}

impl PersistentField<'_, BundleRef> for Selection {
    fn set(&self, reference: BundleRef) {
        // A host may load the state again and again, to undo or to compare: what plays goes on.
        if !self.instance.plays(&reference) {
            self.choose(reference);
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&BundleRef) -> R,
    {
        f(&self.instance.lock().reference)
    }
}
