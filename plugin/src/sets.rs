//! AUDIO THREAD: the sets of heads that an instance keeps.
//!
//! One set is for the notes to come. Another may replace it, a while after settings have changed. Up
//! to two more lie ready for where playing may go next: to the beginning, or, if takes are locked to
//! bars, to the next bar and to the one that the song comes back to.

use crate::heads::{Heads, Start};
use crate::stream::{AudioEnd, Patch, Stream};

/// Sets that are kept ready.
const SPARES: usize = 2;

/// The sets of heads of an instance.
#[derive(Debug)]
pub struct HeadSets {
    generation: u64,
    /// Heads of the notes to come.
    current: Heads,
    /// Heads that replace them, and at which position.
    next: Option<(Heads, u64)>,
    spares: [Option<Heads>; SPARES],
    /// Whether there was no room to ask for all that is missing.
    waits: bool,
}

/// What the notes from a position on are to play.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What their heads are made from.
    pub patch: Patch,
    /// The first take of each zone.
    pub first: u64,
    /// Samples since playback began.
    pub position: u64,
    /// First takes of where playing may go next.
    pub later: [Option<u64>; SPARES],
}

impl HeadSets {
    /// An empty set, for the first takes.
    #[must_use]
    pub fn new(patch: Patch) -> Self {
        let current = Heads::new(0, patch, 0);
        Self { generation: 0, current, next: None, spares: [const { None }; SPARES], waits: false }
    }

    /// Hands out the take of a note, as [`Heads::begin_take`] does. Real-time safe.
    pub fn begin_take(&mut self, key: Option<u8>, velocity: f32, end: &mut AudioEnd) -> Start {
        let start = self.current.begin_take(key, velocity);
        // The heads that are about to come have the same zones, and go on where these end.
        let skipped = self.next.as_mut().and_then(|(next, _)| next.skip_take(&start.played.zone));
        skipped.into_iter().for_each(|stream| end.retire(stream));
        start
    }

    /// Whether every head of the notes to come has sound.
    #[must_use]
    pub fn are_ready(&self) -> bool {
        self.current.are_ready()
    }

    /// How many heads a set has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.current.count()
    }

    /// The position at which other heads replace those of the notes to come, if any do.
    #[must_use]
    pub fn turns_at(&self) -> Option<u64> {
        self.next.as_ref().map(|(_, at)| *at)
    }

    /// Playback begins: takes are counted from the first again. Real-time safe.
    pub fn restart(&mut self, plan: &Plan, end: &mut AudioEnd) {
        self.drop_next(end);
        let fits = *self.current.patch() == plan.patch && self.current.first() == plan.first;
        if !(fits && self.current.are_unused()) {
            let heads = self.heads(plan.patch, plan.first);
            self.replace(heads, end);
        }
    }

    /// Sees to it that the heads are those of `plan`, at once or, if only settings have changed,
    /// `settle` samples later. Returns whether they are of other sound than before. Real-time safe.
    pub fn turn(&mut self, plan: &Plan, settle: u64, end: &mut AudioEnd) -> bool {
        if let Some((heads, _)) = self.next.take_if(|(_, at)| plan.position >= *at) {
            self.replace(heads, end);
        }
        if self.current.first() != plan.first {
            self.turn_bar(plan, end);
        }
        let current = *self.current.patch();
        let mut other = false;
        if plan.patch != current {
            let zones = plan.patch.zones.zip(current.zones);
            let alike = zones.is_some_and(|(now, before)| now.are_like(&before))
                || plan.patch.zones == current.zones;
            other = plan.patch.edition != current.edition || !alike;
            if other || plan.position == 0 {
                self.drop_next(end);
                let generation = self.next_generation();
                self.replace(Heads::after(&self.current, generation, plan.patch), end);
            } else if self.next.is_none() {
                let generation = self.next_generation();
                let heads = Heads::after(&self.current, generation, plan.patch);
                self.next = Some((heads, plan.position + settle));
            }
        }
        self.keep_spares(plan, end);
        self.ask(end);
        other
    }

    /// Another bar has begun, whose takes are its own.
    fn turn_bar(&mut self, plan: &Plan, end: &mut AudioEnd) {
        let heads = self.heads(*self.current.patch(), plan.first);
        self.replace(heads, end);
        if let Some((mut heads, at)) = self.next.take() {
            let patch = *heads.patch();
            heads.drain().for_each(|stream| end.retire(stream));
            self.next = Some((self.heads(patch, plan.first), at));
        }
    }

    /// Keeps heads for where playing may go next.
    fn keep_spares(&mut self, plan: &Plan, end: &mut AudioEnd) {
        // Settings that are about to change would be asked for twice.
        if *self.current.patch() != plan.patch {
            return;
        }
        let wanted = |spare: &Heads| {
            *spare.patch() == plan.patch && plan.later.contains(&Some(spare.first()))
        };
        for spare in &mut self.spares {
            if let Some(mut old) = spare.take_if(|spare| !wanted(spare)) {
                old.drain().for_each(|stream| end.retire(stream));
            }
        }
        let unused = self.current.are_unused().then(|| self.current.first());
        for first in plan.later.into_iter().flatten().filter(|first| Some(*first) != unused) {
            let is_there = self.spares.iter().flatten().any(|spare| spare.first() == first);
            let generation = self.generation + 1;
            let place = self.spares.iter_mut().find(|spare| spare.is_none());
            if let Some(place) = place.filter(|_| !is_there) {
                *place = Some(Heads::new(generation, plan.patch, first).spared());
                self.generation = generation;
            }
        }
    }

    /// Heads of `patch` from take `first` on: spare ones, or new ones.
    fn heads(&mut self, patch: Patch, first: u64) -> Heads {
        let fits = |spare: &mut Heads| *spare.patch() == patch && spare.first() == first;
        let spare = self.spares.iter_mut().find_map(|spare| spare.take_if(fits));
        match spare {
            Some(spare) => spare.promoted(),
            None => Heads::new(self.next_generation(), patch, first),
        }
    }

    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    fn replace(&mut self, heads: Heads, end: &mut AudioEnd) {
        let mut old = std::mem::replace(&mut self.current, heads);
        old.drain().for_each(|stream| end.retire(stream));
    }

    fn drop_next(&mut self, end: &mut AudioEnd) {
        if let Some((mut heads, _)) = self.next.take() {
            heads.drain().for_each(|stream| end.retire(stream));
        }
    }

    /// All sets, those that are needed soonest first.
    fn all(&mut self) -> impl Iterator<Item = &mut Heads> {
        let next = self.next.as_mut().map(|(heads, _)| heads);
        std::iter::once(&mut self.current).chain(next).chain(self.spares.iter_mut().flatten())
    }

    /// Asks for the heads that are missing. Real-time safe.
    pub fn ask(&mut self, end: &mut AudioEnd) {
        let oldest = self.all().map(|heads| heads.generation()).min().unwrap_or(0);
        let waits = self.all().any(|heads| {
            while let Some(ticket) = heads.wanted(oldest) {
                if end.tickets.push(ticket).is_err() {
                    return true;
                }
                heads.has_asked(&ticket);
            }
            false
        });
        self.waits = waits;
    }

    /// Asks for the rest, if there was no room for it. Real-time safe.
    pub fn ask_on(&mut self, end: &mut AudioEnd) {
        if self.waits {
            self.ask(end);
        }
    }

    /// Takes in a stream; gives it back if it belongs to none of the heads. Real-time safe.
    pub fn accept(&mut self, stream: Stream) -> Option<Stream> {
        self.all().try_fold(stream, |stream, heads| heads.accept(stream))
    }
}
