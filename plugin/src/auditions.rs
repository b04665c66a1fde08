//! Auditions: what the editor wants to hear, codes or the preview of a bundle, beside all that notes play.
//!
//! The editor asks for one, the worker makes its stream and sends it to the audio thread unasked, and
//! that plays it as soon as there is sound. Where two clips are compared an audition has two sides: both
//! play, each at the same place as the other, and one of them is heard.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use distill_shared::codes::Codes;
use distill_shared::player::Model;

use crate::preview::Preview;

/// Sides of an audition, at most.
pub const SIDES: usize = 2;

/// Codes to be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audition {
    /// The codes.
    pub codes: Arc<Codes>,
    /// Those of the other side, if there is one.
    pub other: Option<Arc<Codes>>,
    /// The frames of them to be heard. What ends before is silent after it.
    pub frames: Range<usize>,
    /// Whether they come again and again: if there are two sides, as many as both have.
    pub looped: bool,
}

impl Audition {
    /// All of `codes`, once.
    #[must_use]
    pub fn whole(codes: Arc<Codes>) -> Self {
        let frames = 0..codes.frames();
        Self { codes, other: None, frames, looped: false }
    }

    /// What is heard on one side, if it has that side.
    #[must_use]
    pub fn of(&self, side: usize) -> Option<Self> {
        let Self { codes, other, looped, .. } = self;
        let own = [Some(codes), other.as_ref()].into_iter().nth(side).flatten()?;
        // Loops of different lengths would not stay at the same place.
        let both = [Some(codes), other.as_ref()].into_iter().flatten();
        let shortest = both.map(|codes| codes.frames()).min().unwrap_or(0);
        let end = if *looped { self.frames.end.min(shortest) } else { self.frames.end };
        let frames = self.frames.start..end;
        Some(Self { codes: Arc::clone(own), other: None, frames, looped: *looped })
    }

    /// Whether there is anything to be heard on each side that `model` can play.
    #[must_use]
    pub fn suits(&self, model: &Model) -> bool {
        let codec = &model.config().codec;
        let mut sides = (0..SIDES).filter_map(|side| self.of(side));
        sides.all(|Self { codes, frames, .. }| {
            let there = frames.start < frames.end.min(codes.frames());
            there && codes.fit(codec.quantizers, codec.codebook_size)
        })
    }
}

/// What is to be heard.
#[derive(Debug, Clone)]
pub enum Request {
    /// Codes for the bundle that plays.
    Codes(Audition),
    /// Samples as they are.
    Preview(Arc<Preview>),
}

impl From<Audition> for Request {
    fn from(audition: Audition) -> Self {
        Self::Codes(audition)
    }
}

impl From<Preview> for Request {
    fn from(preview: Preview) -> Self {
        Self::Preview(Arc::new(preview))
    }
}

impl Request {
    /// What is heard on one side, if it has that side.
    #[must_use]
    pub fn of(&self, side: usize) -> Option<Self> {
        match self {
            Self::Codes(audition) => audition.of(side).map(Self::Codes),
            Self::Preview(_) => (side == 0).then(|| self.clone()),
        }
    }

    /// Whether there is anything to be heard beside what `model` plays.
    #[must_use]
    pub fn suits(&self, model: &Model) -> bool {
        match self {
            Self::Codes(audition) => audition.suits(model),
            Self::Preview(preview) => preview.is_heard(),
        }
    }

    fn has_two_sides(&self) -> bool {
        matches!(self, Self::Codes(Audition { other: Some(_), .. }))
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
    request: Mutex<Option<(u64, Request)>>,
    /// Frames of it that were heard.
    heard: AtomicU64,
    /// Number of the newest that has two sides.
    compared: AtomicU64,
    /// The side that is heard of what has two.
    side: AtomicUsize,
}

impl Auditions {
    /// Asks for `request` in place of any other, and gives its number. Not for the audio thread.
    pub fn begin(&self, request: impl Into<Request>) -> u64 {
        let wanted = request.into();
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if wanted.has_two_sides() {
            self.compared.store(number, Ordering::Relaxed);
        }
        let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        *request = Some((number, wanted));
        self.heard.store(0, Ordering::Relaxed);
        self.wanted.store(number, Ordering::Release);
        number
    }

    /// Ends it, if any is heard. Real-time safe.
    pub fn end(&self) {
        self.wanted.store(0, Ordering::Release);
    }

    /// How many sides audition `number` has, as long as it is wanted. Real-time safe.
    #[must_use]
    pub fn sides(&self, number: u64) -> usize {
        1 + usize::from(self.compared.load(Ordering::Relaxed) == number)
    }

    /// Lets that side be heard of what has two, from now on. Real-time safe.
    pub fn turn_to(&self, side: usize) {
        self.side.store(side.min(SIDES - 1), Ordering::Relaxed);
    }

    /// The side that is heard of what has two. Real-time safe.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side.load(Ordering::Relaxed)
    }

    /// Takes the request that waits, and its number. Never waits itself.
    #[must_use]
    pub fn take(&self) -> Option<(u64, Request)> {
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
