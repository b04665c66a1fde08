//! AUDIO THREAD: the keys that are down, in the order in which they went down.

use arrayvec::ArrayVec;

use crate::expression::{Expressed, Expression};
use crate::voice::Note;
use crate::voices::Which;

/// Keys that are remembered: more than a player has fingers. Of more, the oldest are forgotten.
const MOST: usize = 32;

/// The keys that are down, or that a pedal holds.
#[derive(Debug, Default)]
pub struct Keyboard(ArrayVec<Held, MOST>);

/// A note whose key is down, or was when the pedal went down.
#[derive(Debug, Clone, Copy)]
struct Held {
    note: Note,
    pedalled: bool,
    expressed: Expressed,
}

impl Keyboard {
    /// A key goes down. Real-time safe.
    pub fn press(&mut self, note: Note) {
        let same = |held: &Held| (held.note.channel, held.note.key) == (note.channel, note.key);
        self.0.retain(|held| !same(held));
        if self.0.is_full() {
            self.0.remove(0);
        }
        self.0.push(Held { note, pedalled: false, expressed: Expressed::default() });
    }

    /// The keys that `which` means come up; pedals that are down hold them, as `is_held` says of
    /// each channel. Real-time safe.
    pub fn release(&mut self, which: &Which, is_held: impl Fn(u8) -> bool) {
        let that = self.0.iter_mut().filter(|held| which.means(&held.note));
        that.for_each(|held| held.pedalled = true);
        self.0.retain(|held| !held.pedalled || is_held(held.note.channel));
    }

    /// The pedal of `channel` comes up. Real-time safe.
    pub fn pedal_up(&mut self, channel: u8) {
        self.0.retain(|held| !(held.pedalled && held.note.channel == channel));
    }

    /// The keys that `which` means are forgotten, whatever holds them. Real-time safe.
    pub fn forget(&mut self, which: &Which) {
        self.0.retain(|held| !which.means(&held.note));
    }

    /// The host says something of the keys that `which` means. Real-time safe.
    pub fn express(&mut self, which: &Which, expression: Expression) {
        let that = self.0.iter_mut().filter(|held| which.means(&held.note));
        that.for_each(|held| held.expressed.take(expression));
    }

    /// What was said of the key of `note` since it went down.
    #[must_use]
    pub fn expressed(&self, note: &Note) -> Expressed {
        let its = self.0.iter().find(|held| held.note == *note);
        its.map(|held| held.expressed).unwrap_or_default()
    }

    /// The key that went down last of those that are held.
    #[must_use]
    pub fn newest(&self) -> Option<Note> {
        self.0.last().map(|held| held.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(key: u8) -> Note {
        Note { id: None, channel: 0, key, velocity: 1.0 }
    }

    fn key(key: u8) -> Which {
        Which { id: None, channel: None, key: Some(key) }
    }

    fn newest(keyboard: &Keyboard) -> Option<u8> {
        keyboard.newest().map(|note| note.key)
    }

    #[test]
    fn the_newest_key_counts_and_then_the_one_before() {
        let mut keyboard = Keyboard::default();
        [60, 64, 60].into_iter().for_each(|key| keyboard.press(note(key)));
        assert_eq!(newest(&keyboard), Some(60));
        keyboard.release(&key(60), |_| false);
        assert_eq!(newest(&keyboard), Some(64));
        keyboard.release(&key(64), |_| false);
        assert_eq!(newest(&keyboard), None);
    }

    #[test]
    fn a_pedal_holds_keys_that_came_up_until_it_does() {
        let mut keyboard = Keyboard::default();
        [60, 64].into_iter().for_each(|key| keyboard.press(note(key)));
        keyboard.release(&key(64), |_| true);
        assert_eq!(newest(&keyboard), Some(64));
        keyboard.pedal_up(1);
        assert_eq!(newest(&keyboard), Some(64), "another channel's");
        keyboard.pedal_up(0);
        assert_eq!(newest(&keyboard), Some(60), "its key is down");
    }

    #[test]
    fn more_keys_than_fingers_are_no_trouble() {
        let mut keyboard = Keyboard::default();
        (0..=127).for_each(|key| keyboard.press(note(key)));
        assert_eq!(newest(&keyboard), Some(127));
        (0..=127).for_each(|n| keyboard.release(&key(n), |_| false));
        assert_eq!(newest(&keyboard), None);
    }
}
