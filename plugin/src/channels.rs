//! AUDIO THREAD: what the wheel and the pedal of each MIDI channel say.

/// MIDI channels.
const CHANNELS: usize = 16;
/// The farthest that a wheel bends, in semitones.
const FARTHEST: f32 = 24.0;

/// Wheels and pedals as they are now, those of a channel that MIDI does not have being at rest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Channels([Channel; CHANNELS]);

#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    bend: f32,
    pedal: bool,
}

impl Channels {
    /// By how many semitones the notes of a channel are bent.
    #[must_use]
    pub fn bend(&self, channel: u8) -> f32 {
        self.of(channel).bend
    }

    /// Whether its pedal holds notes.
    #[must_use]
    pub fn is_held(&self, channel: u8) -> bool {
        self.of(channel).pedal
    }

    /// The wheel moves. What is no number changes nothing.
    pub fn set_bend(&mut self, channel: u8, semitones: f32) {
        if let Some(channel) = self.0.get_mut(usize::from(channel)).filter(|_| !semitones.is_nan())
        {
            channel.bend = semitones.clamp(-FARTHEST, FARTHEST);
        }
    }

    /// The pedal moves.
    pub fn set_pedal(&mut self, channel: u8, down: bool) {
        if let Some(channel) = self.0.get_mut(usize::from(channel)) {
            channel.pedal = down;
        }
    }

    fn of(&self, channel: u8) -> Channel {
        self.0.get(usize::from(channel)).copied().unwrap_or_default()
    }
}
