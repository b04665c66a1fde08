//! What the engine is told: by the parameters, and by the host at the beginning of a block.

use std::time::Instant;

use distill_shared::player::Sampling;

use crate::envelope::Shape;
use crate::meter::Meter;
use crate::stream::Hold;
use crate::zones::Keys;

/// What sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Playing {
    /// Notes, each a take of its own.
    #[default]
    Notes,
    /// One endless take, while the transport runs.
    WithTransport,
    /// One endless take, while any key is down.
    WithKeys,
    /// One endless take, always.
    Always,
}

/// How notes that are down together sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Voicing {
    /// Each has its voice.
    #[default]
    Poly,
    /// The newest alone is heard; where it ends, the one before begins anew.
    Mono,
    /// One take goes on under all of them, at the pitch of the newest.
    Legato,
}

/// What the going down and coming up of a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trigger {
    /// A note sounds while its key is down.
    #[default]
    Gate,
    /// It sounds for as long as its attack and decay last, whatever the key does.
    OneShot,
    /// It sounds until its key goes down again.
    Latch,
}

/// What the parameters say, every number in its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The user's seed.
    pub seed: u64,
    /// How the prior draws.
    pub sampling: Sampling,
    /// Volume as a factor.
    pub gain: f32,
    /// Envelope of every voice.
    pub shape: Shape,
    /// What sounds.
    pub playing: Playing,
    /// After how many bars an endless take is replaced by the next; 0 for never.
    pub restart_bars: u32,
    /// What sounding takes do instead of going on.
    pub hold: Hold,
    /// Bars of a loop, at least 1.
    pub loop_bars: u32,
    /// What keys do.
    pub trigger: Trigger,
    /// How notes that are down together sound.
    pub voicing: Voicing,
    /// Voices that may sound at once, 1 to [`MAX_VOICES`](crate::params::MAX_VOICES).
    pub voices: usize,
    /// What keys decide.
    pub keys: Keys,
    /// After how many notes of a zone its first take comes again; 0 for never.
    pub variations: u32,
    /// Whether velocities are asked for.
    pub velocity: bool,
    /// Whether takes belong to the bars of the song.
    pub locked: bool,
    /// By how many semitones all notes are raised, -12 to 12.
    pub tune: f32,
    /// How wide the stereo image is: 0 mono, 1 as it is, 2 twice as wide.
    pub width: f32,
    /// Whether the host renders to a file, whatever it says.
    pub always_wait: bool,
}

/// What the host says at the beginning of a block.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// The parameters, which hold for the whole block.
    pub settings: Settings,
    /// Samples in the block.
    pub len: usize,
    /// When it was asked for.
    pub now: Instant,
    /// Whether the transport runs.
    pub playing: bool,
    /// Where in the song it is, if the host says so.
    pub meter: Option<Meter>,
}
