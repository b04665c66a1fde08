//! Auditions: codes that the editor wants to hear, beside all that notes play.
//!
//! The editor asks for one, the worker makes its stream and sends it to the audio thread unasked, and
//! that plays it as soon as there is sound.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use distill_shared::codes::Codes;
use distill_shared::player::Model;

/// Codes to be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audition {
    /// The codes.
    pub codes: Arc<Codes>,
    /// The frames of them to be heard.
    pub frames: Range<usize>,
    /// Whether they come again and again.
    pub looped: bool,
}

impl Audition {
    /// All of `codes`, once.
    #[must_use]
    pub fn whole(codes: Arc<Codes>) -> Self {
        let frames = 0..codes.frames();
        Self { codes, frames, looped: false }
    }

    /// Whether there is anything to be heard that `model` can play.
    #[must_use]
    pub fn suits(&self, model: &Model) -> bool {
        let codec = &model.config().codec;
        let there = self.frames.start < self.frames.end.min(self.codes.frames());
        there && self.codes.fit(codec.quantizers, codec.codebook_size)
    }
}

/// What an instance is asked to let hear.
#[derive(Debug, Default)]
pub struct Auditions {
    /// Number of the newest.
    count: AtomicU64,
    /// Number of the one that is to be heard; 0 for none.
    wanted: AtomicU64,
    /// The one that the worker has not begun.
    request: Mutex<Option<(u64, Audition)>>,
    /// Frames of it that were heard.
    heard: AtomicU64,
}

impl Auditions {
    /// Asks for `audition` in place of any other. Not for the audio thread.
    pub fn begin(&self, audition: Audition) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        *request = Some((number, audition));
        self.heard.store(0, Ordering::Relaxed);
        self.wanted.store(number, Ordering::Release);
    }

    /// Ends it, if any is heard. Real-time safe.
    pub fn end(&self) {
        self.wanted.store(0, Ordering::Release);
    }

    /// Takes the request that waits, and its number. Never waits itself.
    #[must_use]
    pub fn take(&self) -> Option<(u64, Audition)> {
        match self.request.try_lock() {
            Ok(mut request) => request.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Number of the one that is to be heard, if any is. Real-time safe.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        Some(self.wanted.load(Ordering::Acquire)).filter(|number| *number > 0)
    }

    /// Says that audition `number` has come to its nth frame. Real-time safe.
    pub fn report(&self, number: u64, frame: u64) {
        if self.wanted() == Some(number) {
            self.heard.store(frame, Ordering::Relaxed);
        }
    }

    /// Says that audition `number` is over. Real-time safe.
    pub fn finish(&self, number: u64) {
        let _ = self.wanted.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// How many frames of it were heard, if any is to be heard.
    #[must_use]
    pub fn heard(&self) -> Option<u64> {
        self.wanted().map(|_| self.heard.load(Ordering::Relaxed))
    }
}
