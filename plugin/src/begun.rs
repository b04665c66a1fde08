//! AUDIO THREAD: notes that began before it was known what they can ask for.

use crate::heads::Heads;
use crate::zones::{Played, Zones, number_of};

/// Notes that are remembered, at most: minutes of playing. Those after them are not counted in zones.
const MOST: usize = 512;

/// The notes of this pass, in the order in which they began, while the bundle is being loaded.
///
/// What is heard has to be what is heard where the bundle was there from the beginning, as in a bounce:
/// so they are counted in their zones once these are known.
#[derive(Debug)]
pub struct Begun {
    /// Their keys, as far as keys are followed, and velocities.
    notes: [(Option<u8>, f32); MOST],
    len: usize,
    /// The number of the first.
    from: u64,
}

impl Default for Begun {
    fn default() -> Self {
        Self { notes: [(None, 0.0); MOST], len: 0, from: 0 }
    }
}

impl Begun {
    /// Forgets them: takes are counted anew.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Remembers the note that plays take `number` of the only zone there is so far.
    pub fn note(&mut self, number: u64, key: Option<u8>, velocity: f32) {
        if self.len == 0 {
            self.from = number;
        }
        if let Some(place) = self.notes.get_mut(self.len) {
            *place = (key, velocity);
            self.len += 1;
        }
    }

    /// Counts them in `heads`, which have nothing yet: of one zone, those that are counted there already.
    pub fn count_in(&self, heads: &mut Heads) {
        let zones = heads.patch().zones.unwrap_or_default();
        if zones.are_like(&Zones::default()) {
            return;
        }
        for &(key, velocity) in &self.notes[..self.len] {
            let stream = heads.skip_take(&zones.play(key, velocity).zone);
            debug_assert!(stream.is_none(), "nothing was asked for");
        }
    }

    /// How a note is played, and by which take, that waits for take `waiting` of the only zone there was,
    /// now that there are `zones`, whose takes begin with `first`.
    #[must_use]
    pub fn place(
        &self,
        waiting: u64,
        (key, velocity): (Option<u8>, f32),
        zones: &Zones,
        first: u64,
    ) -> (Played, u64) {
        let played = zones.play(key, velocity);
        let number = number_of(waiting);
        let index = number.checked_sub(self.from).and_then(|index| usize::try_from(index).ok());
        let notes = &self.notes[..self.len];
        let index = index.filter(|index| notes.get(*index) == Some(&(key, velocity)));
        let is_single = zones.are_like(&Zones::default());
        // What waits from before this pass keeps its number.
        let Some(index) = index.filter(|_| !is_single) else {
            return (played, played.zone.take(number));
        };
        let alike = |(key, velocity): &&(Option<u8>, f32)| {
            zones.play(*key, *velocity).zone.index == played.zone.index
        };
        let before = notes[..index].iter().filter(alike).count() as u64;
        (played, played.zone.take(first + before))
    }
}
