//! AUDIO THREAD: takes that are ready before their notes are.

use crate::params::MAX_VOICES;
use crate::stream::{Patch, Stream, Ticket};
use crate::zones::{MAX_ZONES, Played, Zone, Zones, number_of};

/// Heads of one zone that are kept ready, at most: one more than notes that can begin at once.
pub const HEADS: usize = MAX_VOICES + 1;
/// Heads that are kept ready of all zones together, as far as each may have more than
/// [`LEAST_HEADS`].
const ALL_HEADS: usize = 36;
/// Heads that every zone has, or a single one while they are spare.
const LEAST_HEADS: usize = 2;
/// Heads of all zones together, at most.
const MAX_HEADS: usize = MAX_ZONES * LEAST_HEADS;

/// The heads of the next takes of every zone, all made from one patch.
#[derive(Debug)]
pub struct Heads {
    generation: u64,
    patch: Patch,
    /// The first take of each zone.
    first: u64,
    spare: bool,
    zones: [Count; MAX_ZONES],
    /// Those of the first zone, then those of the second, and so on.
    streams: [Option<Stream>; MAX_HEADS],
}

/// Takes of one zone.
#[derive(Debug, Clone, Copy)]
struct Count {
    /// The take that the next note plays, counted within the zone.
    next: u64,
    /// The first take that has not been asked for.
    asked: u64,
}

/// What a note plays.
#[derive(Debug)]
pub struct Start {
    /// Number of the set of heads.
    pub generation: u64,
    /// Which take.
    pub take: u64,
    /// How the note plays it.
    pub played: Played,
    /// Its stream, if that has come.
    pub stream: Option<Stream>,
}

impl Heads {
    /// An empty set, for the takes from `first` on. Real-time safe.
    #[must_use]
    pub fn new(generation: u64, patch: Patch, first: u64) -> Self {
        let zones = [Count::from(first); MAX_ZONES];
        let streams = [const { None }; MAX_HEADS];
        Self { generation, patch, first, spare: false, zones, streams }
    }

    /// An empty set for the takes that come after those of `before`, if it has the same zones.
    #[must_use]
    pub fn after(before: &Self, generation: u64, patch: Patch) -> Self {
        let mut heads = Self::new(generation, patch, before.first);
        if zones(&before.patch).are_like(&zones(&heads.patch)) {
            for (zone, before) in heads.zones.iter_mut().zip(&before.zones) {
                *zone = Count::from(before.next);
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

    /// Number of the set.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The first take of each zone.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Whether no note has played any of them.
    #[must_use]
    pub fn are_unused(&self) -> bool {
        self.zones.iter().all(|zone| zone.next == self.first)
    }

    /// How many there are when all are there.
    #[must_use]
    pub fn count(&self) -> usize {
        zones(&self.patch).count() * self.depth()
    }

    /// The next take to ask the worker for, as far as any is missing and it is known what sound
    /// there is. Of all zones the one that has fewest heads comes first. `oldest` is the oldest set of
    /// the instance.
    #[must_use]
    pub fn wanted(&self, oldest: u64) -> Option<Ticket> {
        let zones = self.patch.zones?;
        // Takes that have begun before there was room to ask for them come first.
        let ahead = |of: &Count| i128::from(of.asked) - i128::from(of.next);
        let all = self.zones[..zones.count()].iter();
        let (index, of) = all.enumerate().min_by_key(|(_, of)| ahead(of))?;
        let Self { generation, patch, spare, .. } = *self;
        let zone = zones.nth(index);
        let take = zone.take(of.asked);
        let missing = ahead(of) < self.kept() as i128;
        let ahead = u64::try_from(ahead(of)).unwrap_or(0);
        missing.then_some(Ticket { generation, oldest, take, zone, ahead, spare, patch })
    }

    /// Asks for `take` of `zone`, which a note waits for that has begun.
    #[must_use]
    pub fn ticket(&self, zone: Zone, take: u64, oldest: u64) -> Ticket {
        let Self { generation, patch, .. } = *self;
        Ticket { generation, oldest, take, zone, ahead: 0, spare: false, patch }
    }

    /// Notes that the wanted take has been asked for.
    pub fn has_asked(&mut self, ticket: &Ticket) {
        self.of_zone(&ticket.zone).asked += 1;
    }

    /// Takes in a stream; gives it back if it is not one of these.
    pub fn accept(&mut self, stream: Stream) -> Option<Stream> {
        if stream.generation != self.generation {
            return Some(stream);
        }
        let number = number_of(stream.take);
        let next = self.of_zone(&stream.zone).next;
        if !(next..next + self.depth() as u64).contains(&number) {
            return Some(stream);
        }
        let slot = self.slot(&stream.zone, number);
        self.streams[slot].replace(stream)
    }

    /// Hands out the next take, with its stream, if that has come: for a note of `key`, if keys are
    /// followed, that is struck at `velocity`, 0 to 1.
    pub fn begin_take(&mut self, key: Option<u8>, velocity: f32) -> Start {
        let played = zones(&self.patch).play(key, velocity);
        let take = played.zone.take(self.of_zone(&played.zone).next);
        let stream = self.pass_take(&played.zone);
        // Of those that have not been asked for, no more can be waited for than sound at once.
        let of = self.of_zone(&played.zone);
        of.asked = of.asked.max(of.next.saturating_sub(MAX_VOICES as u64));
        Start { generation: self.generation, take, played, stream }
    }

    /// Counts the next take of a zone as played by others. Gives its stream, if that has come.
    pub fn skip_take(&mut self, zone: &Zone) -> Option<Stream> {
        let stream = self.pass_take(zone);
        // Nobody waits for it, so it need not be asked for any more.
        let of = self.of_zone(zone);
        of.asked = of.asked.max(of.next);
        stream
    }

    /// Goes on to the take after the next one of a zone, whose stream it gives, if that has come.
    fn pass_take(&mut self, zone: &Zone) -> Option<Stream> {
        let of = self.of_zone(zone);
        let number = of.next;
        of.next += 1;
        let slot = self.slot(zone, number);
        self.streams[slot].take()
    }

    /// Hands out every stream that is left.
    pub fn drain(&mut self) -> impl Iterator<Item = Stream> {
        self.streams.iter_mut().filter_map(Option::take)
    }

    /// Whether every head has sound.
    #[must_use]
    pub fn are_ready(&self) -> bool {
        let ready = self.streams.iter().flatten();
        self.patch.zones.is_some()
            && ready.filter(|stream| !stream.sound.is_empty()).count() == self.count()
    }

    /// Heads of each zone.
    fn depth(&self) -> usize {
        (ALL_HEADS / zones(&self.patch).count()).clamp(LEAST_HEADS, HEADS)
    }

    /// Heads of each zone that are asked for. Of many zones a spare set has one each: playback is
    /// heard to begin with a chord, hardly with the same note twice.
    fn kept(&self) -> usize {
        let least = if self.spare { 1 } else { LEAST_HEADS };
        (ALL_HEADS / zones(&self.patch).count()).clamp(least, HEADS)
    }

    /// Where the stream of take `number` of a zone is kept.
    fn slot(&self, zone: &Zone, number: u64) -> usize {
        let depth = self.depth();
        let within = usize::try_from(number % depth as u64).unwrap_or(0);
        (zone.index * depth + within).min(MAX_HEADS - 1)
    }

    fn of_zone(&mut self, zone: &Zone) -> &mut Count {
        &mut self.zones[zone.index.min(MAX_ZONES - 1)]
    }
}

impl Count {
    fn from(next: u64) -> Self {
        Self { next, asked: next }
    }
}

/// The zones; one as long as they are not known.
fn zones(patch: &Patch) -> Zones {
    patch.zones.unwrap_or_default()
}
