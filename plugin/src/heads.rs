//! AUDIO THREAD: takes that are ready before their notes are.

use distill_shared::model::conditioning::{MAX_PITCHES, Pitches, Tuned, within_octave};

use crate::params::MAX_VOICES;
use crate::stream::{Patch, Stream, Ticket};

/// Heads of one zone that are kept ready, at most: one more than notes that can begin at once.
pub const HEADS: usize = MAX_VOICES + 1;
/// Heads that are kept ready of all zones together, as far as each may have more than
/// [`LEAST_HEADS`].
const ALL_HEADS: usize = 36;
/// Heads that every zone has.
const LEAST_HEADS: usize = 2;
/// The key at which sound is played as it is, if the bundle tells no pitches: middle C.
const ROOT: f32 = 60.0;

/// The heads of the next takes, all made from one patch.
///
/// If the bundle can be asked for pitches, every one of them has a *zone*: the keys that are nearest
/// to it, with heads of their own. Otherwise there is one zone.
#[derive(Debug)]
pub struct Heads {
    generation: u64,
    patch: Patch,
    spare: bool,
    zones: [Zone; MAX_PITCHES],
}

/// The heads of one pitch.
#[derive(Debug)]
struct Zone {
    /// The take that the next note plays, counted within the zone.
    next: u64,
    /// The first take that has not been asked for.
    asked: u64,
    streams: [Option<Stream>; HEADS],
}

/// What a note plays.
#[derive(Debug)]
pub struct Start {
    /// Number of the set of heads.
    pub generation: u64,
    /// Which take.
    pub take: u64,
    /// By how many semitones it is raised.
    pub shift: f32,
    /// Its stream, if that has come.
    pub stream: Option<Stream>,
}

impl Heads {
    /// An empty set, for the first takes. Real-time safe.
    #[must_use]
    pub fn new(generation: u64, patch: Patch) -> Self {
        Self { generation, patch, spare: false, zones: [const { Zone::new(0) }; MAX_PITCHES] }
    }

    /// An empty set for the takes that come after those of `before`, if it has the same zones.
    #[must_use]
    pub fn after(before: &Self, generation: u64, patch: Patch) -> Self {
        let mut heads = Self::new(generation, patch);
        if pitches(&before.patch) == pitches(&heads.patch) {
            for (zone, before) in heads.zones.iter_mut().zip(&before.zones) {
                *zone = Zone::new(before.next);
            }
        }
        heads
    }

    /// The same heads, for the next time playback begins: they can wait.
    #[must_use]
    pub fn spared(self) -> Self {
        Self { spare: true, ..self }
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

    /// Whether no note has played any of them.
    #[must_use]
    pub fn are_unused(&self) -> bool {
        self.zones.iter().all(|zone| zone.next == 0)
    }

    /// How many there are when all are there.
    #[must_use]
    pub fn count(&self) -> usize {
        let zones = zones(&self.patch);
        zones * depth(zones)
    }

    /// The next take to ask the worker for, as far as any is missing and it is known what sound
    /// there is. Of all zones the one that has fewest heads comes first.
    #[must_use]
    pub fn wanted(&self) -> Option<Ticket> {
        let pitches = self.patch.pitches?;
        let count = zones(&self.patch);
        let ahead = |zone: &Zone| zone.asked - zone.next;
        let (at, zone) =
            self.zones[..count].iter().enumerate().min_by_key(|(_, zone)| ahead(zone))?;
        let Self { generation, patch, spare, .. } = *self;
        let pitch = pitches.keys().nth(at);
        let take = take_of(zone.asked, pitch);
        (ahead(zone) < depth(count) as u64).then_some(Ticket {
            generation,
            take,
            pitch,
            spare,
            patch,
        })
    }

    /// Notes that the wanted take has been asked for.
    pub fn has_asked(&mut self, ticket: &Ticket) {
        self.zone_of(ticket.pitch).asked += 1;
    }

    /// Takes in a stream; gives it back if it is not one of these.
    pub fn accept(&mut self, stream: Stream) -> Option<Stream> {
        if stream.generation != self.generation {
            return Some(stream);
        }
        let number = count_of(stream.take);
        let zone = self.zone_of(stream.pitch);
        if !(zone.next..zone.next + HEADS as u64).contains(&number) {
            return Some(stream);
        }
        zone.streams[slot(number)].replace(stream)
    }

    /// Hands out the next take, with its stream, if that has come: for `key`, if keys are followed.
    pub fn begin_take(&mut self, key: Option<u8>) -> Start {
        let key = key.map_or(ROOT, f32::from);
        let tuned = pitches(&self.patch).tune(key);
        let pitch = tuned.map(|tuned| tuned.key);
        let shift = tuned.map_or(within_octave(key - ROOT), |Tuned { shift, .. }| shift);
        let zone = self.zone_of(pitch);
        let number = zone.next;
        zone.next += 1;
        // Takes that nobody waited for need not be asked for any more.
        zone.asked = zone.asked.max(zone.next);
        let stream = zone.streams[slot(number)].take();
        Start { generation: self.generation, take: take_of(number, pitch), shift, stream }
    }

    /// Hands out every stream that is left.
    pub fn drain(&mut self) -> impl Iterator<Item = Stream> {
        self.zones.iter_mut().flat_map(|zone| zone.streams.iter_mut().filter_map(Option::take))
    }

    /// Whether every head has sound.
    #[must_use]
    pub fn are_ready(&self) -> bool {
        let zones = self.zones.iter();
        let ready = zones.flat_map(|zone| zone.streams.iter().flatten());
        self.patch.pitches.is_some()
            && ready.filter(|stream| !stream.sound.is_empty()).count() == self.count()
    }

    fn zone_of(&mut self, pitch: Option<u8>) -> &mut Zone {
        let place = pitch.map_or(0, |key| pitches(&self.patch).place(key));
        &mut self.zones[place.min(MAX_PITCHES - 1)]
    }
}

impl Zone {
    const fn new(next: u64) -> Self {
        Self { next, asked: next, streams: [const { None }; HEADS] }
    }
}

/// The pitches of the zones; none as long as they are not known.
fn pitches(patch: &Patch) -> Pitches {
    patch.pitches.unwrap_or_default()
}

fn zones(patch: &Patch) -> usize {
    pitches(patch).len().clamp(1, MAX_PITCHES)
}

/// Heads of each of `zones`.
fn depth(zones: usize) -> usize {
    (ALL_HEADS / zones).clamp(LEAST_HEADS, HEADS)
}

/// The take of the nth note of a zone. Every zone has takes of its own, so that the notes of a chord
/// sound the same in whichever order they come.
fn take_of(number: u64, pitch: Option<u8>) -> u64 {
    pitch.map_or(0, |key| u64::from(key) + 1) << 32 | number
}

/// Which note of its zone a take is.
fn count_of(take: u64) -> u64 {
    take & u64::from(u32::MAX)
}

/// Where the stream of a take is kept.
fn slot(number: u64) -> usize {
    usize::try_from(number % HEADS as u64).unwrap_or(0)
}
