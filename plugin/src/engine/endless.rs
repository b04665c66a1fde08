//! One endless take, instead of notes.

use super::{Engine, Playing, Trigger};
use crate::voice::{Note, Voice};

/// The note that an endless take plays without keys: its pitch is its own.
pub(super) const FREE: Note = Note { id: None, channel: 0, key: 60, velocity: 1.0 };
/// A bar where the host tells none, in seconds: four beats at 120 in a minute.
const BAR_SECONDS: f64 = 2.0;

impl Engine {
    /// Sees to it that the endless take sounds while it is to, and is replaced by the next where the
    /// settings say, as of this very sample. Real-time safe.
    pub(super) fn tend_endless(&mut self) {
        let is_held = |voice: &&mut Voice| voice.envelope().is_held();
        let held = self.voices.iter_mut().find(is_held);
        let (sounding, age) = held.map(|voice| (*voice.called(), voice.age())).unzip();
        let begins_anew = if self.edition == self.instance.edition() {
            // What a key has begun at the line is the next take already.
            self.place.until_line(self.settings.restart_bars, 0) == Some(0) && age != Some(0)
        } else {
            // Another bundle takes over once it has sound; until then the old one goes on.
            self.sets.are_ready()
        };
        let latches = self.settings.trigger == Trigger::Latch;
        self.latched = sounding
            .or(self.latched)
            .filter(|_| latches && self.settings.playing == Playing::WithKeys);
        match self.settings.playing {
            Playing::Notes => {}
            // Its keys begin it and end it.
            Playing::WithKeys => {
                // What is latched leads, though its key is not down and others may be.
                let newest = self.latched.or(self.keyboard.newest());
                // A clip on a pad comes to its end.
                let is_over = sounding.is_none()
                    && self.settings.trigger != Trigger::OneShot
                    && self.instance.stopped().is_none();
                let begins = is_over || begins_anew && sounding.is_some();
                if let Some(newest) = newest.filter(|_| begins) {
                    self.replace_take(newest);
                }
            }
            Playing::WithTransport if !self.playing => {
                self.voices.iter_mut().filter(is_held).for_each(Voice::release);
            }
            Playing::WithTransport | Playing::Always => {
                let sounds = !self.hushed && self.instance.stopped().is_none();
                if sounds && (begins_anew || sounding.is_none()) {
                    self.replace_take(FREE);
                }
            }
        }
    }

    /// Begins the next take; the one before fades with its release.
    fn replace_take(&mut self, note: Note) {
        let held = self.voices.iter_mut().filter(|voice| voice.envelope().is_held());
        held.for_each(Voice::release);
        self.begin_note(note, self.settings.voices.max(2));
    }

    /// Seconds of a loop; 0 where notes play, which have none.
    pub(super) fn loop_s(&self) -> f64 {
        let bar_s = self.place.bar_s(self.rate).unwrap_or(BAR_SECONDS);
        let endless = self.settings.playing != Playing::Notes;
        if endless { f64::from(self.settings.loop_bars.max(1)) * bar_s } else { 0.0 }
    }
}
