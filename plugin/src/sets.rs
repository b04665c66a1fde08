//! AUDIO THREAD: the sets of heads that an instance keeps.
//!
//! One set is for the notes to come. Another may replace it, a while after settings have changed. Up
//! to two more lie ready for where playing may go next: to the beginning, or, if takes are locked to
//! bars, to the next bar and to the one that the song comes back to.

use crate::begun::Begun;
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
    /// Notes that began while it was not known what they can ask for.
    begun: Begun,
    /// Whether there was no room to ask for all that is missing.
    waits: bool,
    /// The oldest set of which a note waits for its stream, if one does.
    awaited: Option<u64>,
}

/// What became of the heads of the notes to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// They are of the same sound as before.
    Same,
    /// They are of other sound: what waits for a stream waits for ever.
    Other,
    /// It is known now what they can ask for. What waits for a stream has a take among them.
    Known,
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
    /// The oldest set of which a note waits for its stream, if one does.
    pub awaited: Option<u64>,
}

impl HeadSets {
    /// An empty set, for the first takes.
    #[must_use]
    pub fn new(patch: Patch) -> Self {
        let (current, begun) = (Heads::new(0, patch, 0), Begun::default());
        let spares = [const { None }; SPARES];
        Self { generation: 0, current, next: None, spares, begun, waits: false, awaited: None }
    }

    /// Hands out the take of a note, as [`Heads::begin_take`] does. Real-time safe.
    pub fn begin_take(&mut self, key: Option<u8>, velocity: f32, end: &mut AudioEnd) -> Start {
        let start = self.current.begin_take(key, velocity);
        // The heads that are about to come have the same zones, and go on where these end.
        let skipped = self.next.as_mut().and_then(|(next, _)| next.skip_take(&start.played.zone));
        skipped.into_iter().for_each(|stream| end.retire(stream));
        if self.current.patch().zones.is_none() {
            self.begun.note(start.take, key, velocity);
        }
        start
    }

    /// Hands out the take of a note that waits for take `waiting` of heads of which nothing was known: the
    /// one that it would have if they had been there when it began. Real-time safe.
    pub fn find_take(
        &mut self,
        waiting: u64,
        key: Option<u8>,
        velocity: f32,
        end: &mut AudioEnd,
    ) -> Start {
        let zones = self.current.patch().zones.unwrap_or_default();
        let first = self.current.first();
        let (played, take) = self.begun.place(waiting, (key, velocity), &zones, first);
        let oldest = self.oldest();
        let ticket = self.current.ticket(played.zone, take, oldest);
        if end.tickets.push(ticket).is_err() {
            // Better the next take than none.
            return self.begin_take(key, velocity, end);
        }
        Start { generation: self.current.generation(), take, played, stream: None }
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
        self.begun.clear();
        let fits = *self.current.patch() == plan.patch && self.current.first() == plan.first;
        if !(fits && self.current.are_unused()) {
            let heads = self.heads(plan.patch, plan.first);
            self.replace(heads, end);
        }
    }

    /// Sees to it that the heads are those of `plan`, at once or, if only settings have changed,
    /// `settle` samples later. Real-time safe.
    pub fn turn(&mut self, plan: &Plan, settle: u64, end: &mut AudioEnd) -> Turn {
        self.awaited = plan.awaited;
        if let Some((heads, _)) = self.next.take_if(|(_, at)| plan.position >= *at) {
            self.replace(heads, end);
        }
        if self.current.first() != plan.first {
            self.turn_bar(plan, end);
        }
        let turn = self.turn_to(plan);
        if turn != Turn::Same || *self.current.patch() != plan.patch && plan.position == 0 {
            self.drop_next(end);
            let generation = self.next_generation();
            let mut heads = Heads::after(&self.current, generation, plan.patch);
            match turn {
                Turn::Known => self.begun.count_in(&mut heads),
                Turn::Other => self.begun.clear(),
                Turn::Same => {}
            }
            self.replace(heads, end);
        } else if *self.current.patch() != plan.patch && self.next.is_none() {
            let generation = self.next_generation();
            let heads = Heads::after(&self.current, generation, plan.patch);
            self.next = Some((heads, plan.position + settle));
        }
        self.keep_spares(plan, end);
        self.ask(end);
        turn
    }

    /// What becomes of the heads if they are to be those of `plan`.
    fn turn_to(&self, plan: &Plan) -> Turn {
        let (now, before) = (&plan.patch, self.current.patch());
        match (&now.zones, &before.zones) {
            (None, None) => Turn::Same,
            (Some(_), None) => Turn::Known,
            (Some(now_has), Some(had))
                if now_has.are_like(had) && now.edition == before.edition =>
            {
                Turn::Same
            }
            (Some(_) | None, Some(_)) => Turn::Other,
        }
    }

    /// Another bar has begun, whose takes are its own.
    fn turn_bar(&mut self, plan: &Plan, end: &mut AudioEnd) {
        let heads = self.heads(*self.current.patch(), plan.first);
        self.replace(heads, end);
        self.begun.clear();
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

    /// The number of the oldest set that is still wanted, if only by a note that waits for its stream.
    fn oldest(&mut self) -> u64 {
        let awaited = self.awaited;
        self.all().map(|heads| heads.generation()).chain(awaited).min().unwrap_or(0)
    }

    /// Asks for the heads that are missing. Real-time safe.
    pub fn ask(&mut self, end: &mut AudioEnd) {
        let oldest = self.oldest();
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
