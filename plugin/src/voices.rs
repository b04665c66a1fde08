//! AUDIO THREAD: the notes that sound, and which of them an event means.

use crate::params::MAX_VOICES;
use crate::stream::Stream;
use crate::voice::{Note, Voice};

/// Voices with those that are making room.
const SLOTS: usize = 2 * MAX_VOICES;

/// Which notes an event means; `None` means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// The host's own name for the note.
    pub id: Option<i32>,
    /// MIDI channel.
    pub channel: Option<u8>,
    /// MIDI key.
    pub key: Option<u8>,
}

impl Which {
    /// All notes of a MIDI channel.
    #[must_use]
    pub fn of_channel(channel: u8) -> Self {
        Self { id: None, channel: Some(channel), key: None }
    }

    /// Whether it means `note`.
    #[must_use]
    pub fn means(&self, note: &Note) -> bool {
        let Note { id, channel, key, .. } = *note;
        (self.id.is_none() || id.is_none() || self.id == id)
            && self.channel.is_none_or(|wanted| wanted == channel)
            && self.key.is_none_or(|wanted| wanted == key)
    }
}

/// Sounding notes, in no order.
#[derive(Debug, Default)]
pub struct Voices([Option<Voice>; SLOTS]);

impl Voices {
    /// All that sound.
    pub fn iter(&self) -> impl Iterator<Item = &Voice> {
        self.0.iter().flatten()
    }

    /// All that sound.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.0.iter_mut().flatten()
    }

    /// Those that `which` means: by what called them last.
    pub fn that(&mut self, which: &Which) -> impl Iterator<Item = &mut Voice> {
        self.iter_mut().filter(|voice| which.means(voice.called()))
    }

    /// Fades those that are not making room yet, until `most` are left: what was let go of before what is
    /// held, and of these the oldest.
    pub fn leave(&mut self, most: usize) {
        let holds = |voice: &Voice| !voice.envelope().is_fading() && !voice.envelope().is_done();
        while self.iter().filter(|voice| holds(voice)).count() > most {
            let held = self.iter_mut().filter(|voice| holds(voice));
            held.max_by_key(|voice| (!voice.envelope().is_held(), voice.age())).map(Voice::fade);
        }
    }

    /// Adds a voice. If there is no room, the oldest of those that make some is cut short: its
    /// stream has to be retired.
    #[must_use]
    pub fn add(&mut self, voice: Voice) -> Option<Stream> {
        let age = |voice: &Option<Voice>| voice.as_ref().map_or(u64::MAX, Voice::age);
        let fades = |voice: &Option<Voice>| voice.as_ref().is_none_or(|v| v.envelope().is_fading());
        let slot = self.0.iter_mut().filter(|slot| fades(slot)).max_by_key(|slot| age(slot));
        // There always is one; a voice that is dropped here would free its stream.
        match slot {
            Some(slot) => slot.replace(voice)?.into_stream(),
            None => voice.into_stream(),
        }
    }

    /// Takes one of the voices that are `over`.
    pub fn take_if(&mut self, over: impl Fn(&Voice) -> bool) -> Option<Voice> {
        self.0.iter_mut().find_map(|slot| slot.take_if(|voice| over(voice)))
    }
}
