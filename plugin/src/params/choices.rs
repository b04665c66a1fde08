//! Parameters of few values as what they mean.

use super::limits::{HOLD, KEYS, PLAYING, TRIGGER, VOICING};
use super::{NoteParams, StreamParams};
use crate::engine::{Playing, Trigger, Voicing};
use crate::stream::Hold;
use crate::zones::Keys;

impl StreamParams {
    /// What sounds. Real-time safe.
    pub(super) fn playing(&self) -> Playing {
        match PLAYING.clamp(self.playing.value()) {
            0 => Playing::Notes,
            1 => Playing::WithTransport,
            2 => Playing::WithKeys,
            _ => Playing::Always,
        }
    }

    /// What takes do instead of going on. Real-time safe.
    pub(super) fn hold(&self) -> Hold {
        match HOLD.clamp(self.hold.value()) {
            0 => Hold::Off,
            1 => Hold::Freeze,
            _ => Hold::Loop,
        }
    }
}

impl NoteParams {
    /// What keys do. Real-time safe.
    pub(super) fn trigger(&self) -> Trigger {
        match TRIGGER.clamp(self.trigger.value()) {
            0 => Trigger::Gate,
            1 => Trigger::OneShot,
            _ => Trigger::Latch,
        }
    }

    /// How notes that are down together sound. Real-time safe.
    pub(super) fn voicing(&self) -> Voicing {
        match VOICING.clamp(self.voicing.value()) {
            0 => Voicing::Poly,
            1 => Voicing::Mono,
            _ => Voicing::Legato,
        }
    }

    /// What keys decide. Real-time safe.
    pub(super) fn keys(&self) -> Keys {
        match KEYS.clamp(self.keys.value()) {
            0 => Keys::Ignored,
            1 => Keys::Pitches,
            _ => Keys::Pads,
        }
    }
}
