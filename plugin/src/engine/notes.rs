//! What notes, wheels and pedals do.

use super::endless::FREE;
use super::{Engine, Playing, Trigger, Voicing, begin_take};
use crate::expression::Expression;
use crate::voice::{Note, Voice};
use crate::voices::Which;
use crate::zones::Keys;

impl Engine {
    /// A key goes down, at the next sample to be rendered. Real-time safe.
    pub fn note_on(&mut self, note: Note) {
        // Heads that are left would make shreds of notes.
        if self.keys_are_deaf() || self.instance.stopped().is_some() {
            return;
        }
        if self.settings.trigger == Trigger::Latch && self.unlatch(&note) {
            return;
        }
        self.keyboard.press(note);
        match self.voicing() {
            Voicing::Poly => self.begin_note(note, self.settings.voices),
            Voicing::Mono => self.begin_note(note, 1),
            Voicing::Legato if self.lead_to(&note) => {}
            Voicing::Legato => self.begin_note(note, 1),
        }
    }

    /// Lets go of the notes that `which` means. Real-time safe.
    pub fn note_off(&mut self, which: &Which) {
        let Self { keyboard, channels, settings, .. } = self;
        if settings.trigger != Trigger::Gate {
            keyboard.forget(which);
            return;
        }
        keyboard.release(which, |channel| channels.is_held(channel));
        if self.voicing() != Voicing::Poly {
            self.fall_back();
        } else if !self.keys_are_deaf() {
            for voice in self.voices.that(which) {
                voice.key_up(self.channels.is_held(voice.called().channel));
            }
        }
    }

    /// Silences the notes that `which` means, without their release. Real-time safe.
    pub fn choke(&mut self, which: &Which) {
        self.keyboard.forget(which);
        if self.keys_are_deaf() && which.key.is_some() {
            return;
        }
        self.voices.that(which).for_each(Voice::fade);
        self.hushed |= self.keys_are_deaf() && which.means(&FREE);
        self.latched = self.latched.filter(|note| !which.means(note));
    }

    /// Changes how the notes that `which` means sound. Real-time safe.
    pub fn express(&mut self, which: &Which, expression: Expression) {
        // What no key began is no note of any key.
        if self.keys_are_deaf() && which.key.is_some() {
            return;
        }
        self.keyboard.express(which, expression);
        self.voices.that(which).for_each(|voice| voice.express(expression));
    }

    /// Bends the notes of a MIDI channel by `semitones`, those to come too. Real-time safe.
    pub fn bend(&mut self, channel: u8, semitones: f32) {
        self.channels.set_bend(channel, semitones);
        let bend = self.channels.bend(channel);
        self.voices.that(&Which::of_channel(channel)).for_each(|voice| voice.bend(bend));
    }

    /// The pedal of a MIDI channel goes down, and holds notes whose keys come up, or comes up, and
    /// lets go of them. Real-time safe.
    pub fn pedal(&mut self, channel: u8, down: bool) {
        self.channels.set_pedal(channel, down);
        if down {
            return;
        }
        self.keyboard.pedal_up(channel);
        if self.settings.trigger != Trigger::Gate {
            // Their keys let go of nothing, and neither does what stands for keys.
            return;
        }
        if self.voicing() == Voicing::Poly {
            self.voices.that(&Which::of_channel(channel)).for_each(Voice::pedal_up);
        } else {
            self.fall_back();
        }
    }

    /// Begins a voice for `note`; those that are too many for `most` with it make room.
    pub(super) fn begin_note(&mut self, note: Note, most: usize) {
        self.await_bundle();
        self.turn_heads();
        self.edition = self.instance.edition();
        self.begun = Some(note);
        self.voices.leave(most.saturating_sub(1));
        let start = begin_take(&mut self.sets, &self.settings, &note, &mut self.end);
        let mut voice = Voice::new(note, start);
        voice.bend(self.channels.bend(note.channel));
        voice.bear(self.keyboard.expressed(&note));
        if let Some(stream) = self.voices.add(voice) {
            self.end.retire(stream);
        }
        self.sets.ask(&mut self.end);
    }

    /// How notes that are down together sound: one endless take goes on under all of them.
    fn voicing(&self) -> Voicing {
        match self.settings.playing {
            Playing::Notes => self.settings.voicing,
            Playing::WithKeys => Voicing::Legato,
            Playing::WithTransport | Playing::Always => Voicing::Poly,
        }
    }

    /// Whether keys decide nothing about what sounds.
    pub(super) fn keys_are_deaf(&self) -> bool {
        matches!(self.settings.playing, Playing::WithTransport | Playing::Always)
    }

    /// The voice that is held goes on at the key of `note`; returns whether there is one.
    fn lead_to(&mut self, note: &Note) -> bool {
        let held = self.voices.iter_mut().find(|voice| voice.envelope().is_held());
        let Some(voice) = held else { return false };
        voice.call(note, self.settings.keys == Keys::Pitches);
        voice.bend(self.channels.bend(note.channel));
        voice.bear(self.keyboard.expressed(note));
        true
    }

    /// Keys have come up: the newest of those that are left is heard again.
    fn fall_back(&mut self) {
        let held = |voice: &&mut Voice| voice.envelope().is_held();
        let Some(newest) = self.keyboard.newest() else {
            self.voices.iter_mut().filter(held).for_each(Voice::release);
            return;
        };
        if self.voicing() == Voicing::Legato {
            self.lead_to(&newest);
        } else if self.begun != Some(newest) {
            // Even if that is over, as a clip on a pad is: nobody has struck it again.
            self.begin_note(newest, 1);
        }
    }

    /// Lets go of what the key of `note` began, or called last; returns whether that is anything.
    fn unlatch(&mut self, note: &Note) -> bool {
        let key = |note: &Note| (note.channel, note.key);
        let called = |voice: &&mut Voice| key(voice.called()) == key(note);
        let held = self.voices.iter_mut().filter(|voice| voice.envelope().is_held());
        let released = held.filter(called).map(Voice::release).count() > 0;
        // An endless take that is over, as a clip on a pad is, is about to begin again.
        let waits = self.latched.take_if(|latched| key(latched) == key(note)).is_some();
        released || waits
    }
}
