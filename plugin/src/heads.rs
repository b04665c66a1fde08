//! AUDIO THREAD: takes that are ready before their notes are.

use crate::params::MAX_VOICES;
use crate::stream::{Patch, Stream, Ticket};

/// Heads that are kept ready: one more than notes that can begin at once.
pub const HEADS: usize = MAX_VOICES + 1;

/// The heads of the next takes, all made from one patch.
#[derive(Debug)]
pub struct Heads {
    generation: u64,
    patch: Patch,
    spare: bool,
    /// The take that the next note plays.
    next: u64,
    /// The first take that has not been asked for.
    asked: u64,
    streams: [Option<Stream>; HEADS],
}

impl Heads {
    /// An empty set for the takes from `next` on. Real-time safe.
    #[must_use]
    pub fn new(generation: u64, patch: Patch, next: u64) -> Self {
        let streams = [const { None }; HEADS];
        Self { generation, patch, spare: false, next, asked: next, streams }
    }

    /// The same, for takes that can wait.
    #[must_use]
    pub fn spare(generation: u64, patch: Patch) -> Self {
        Self { spare: true, ..Self::new(generation, patch, 0) }
    }

    /// The same heads, needed now.
    #[must_use]
    pub fn promoted(self) -> Self {
        Self { spare: false, ..self }
    }

    /// What these heads are made from.
    #[must_use]
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    /// Number of this set.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The take that the next note plays.
    #[must_use]
    pub fn next_take(&self) -> u64 {
        self.next
    }

    /// The next take to ask the worker for, as far as any is missing.
    #[must_use]
    pub fn wanted(&self) -> Option<Ticket> {
        let Self { generation, patch, spare, .. } = *self;
        let missing = self.asked < self.next + HEADS as u64;
        missing.then_some(Ticket { generation, take: self.asked, spare, patch })
    }

    /// Notes that the wanted take has been asked for.
    pub fn has_asked(&mut self) {
        self.asked += 1;
    }

    /// Takes in a stream; gives it back if it is not one of these.
    pub fn accept(&mut self, stream: Stream) -> Option<Stream> {
        let ours = stream.generation == self.generation
            && (self.next..self.next + HEADS as u64).contains(&stream.take);
        if !ours {
            return Some(stream);
        }
        self.streams[slot(stream.take)].replace(stream)
    }

    /// Hands out the next take with its stream, if that has come.
    pub fn begin_take(&mut self) -> (u64, Option<Stream>) {
        let take = self.next;
        self.next += 1;
        // Takes that nobody waited for need not be asked for any more.
        self.asked = self.asked.max(self.next);
        (take, self.streams[slot(take)].take())
    }

    /// Hands out every stream that is left.
    pub fn drain(&mut self) -> impl Iterator<Item = Stream> {
        self.streams.iter_mut().filter_map(Option::take)
    }

    /// Whether every head has sound.
    #[must_use]
    pub fn are_ready(&self) -> bool {
        self.streams.iter().flatten().filter(|stream| !stream.sound.is_empty()).count() == HEADS
    }
}

/// Where the stream of a take is kept.
fn slot(take: u64) -> usize {
    usize::try_from(take % HEADS as u64).unwrap_or(0)
}
