//! What travels between the audio thread and the worker.
//!
//! The audio thread sends a [`Ticket`] for every take it may soon need. The worker answers with a
//! [`Stream`]: the audio thread's end of one take, into which the worker renders ahead. When the
//! audio thread is done with a stream it sends it back to be freed; it never frees anything itself.
//!
//! # Why the sound depends on nothing but the notes and the knobs
//!
//! The first [`LOOKAHEAD`] frames of a take, its *head*, are made from the ticket alone, so they
//! are ready before the note is. From then on frame n is made with the controls that the audio
//! thread sampled when it began to play frame n - [`LOOKAHEAD`], and with nothing later. So the
//! worker is at most that far ahead, and how far it really is cannot be heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use distill_shared::player::{Sampling, TakeKey};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::zones::{Zone, Zones, number_of};

/// Frames by which the worker may be ahead of the audio thread, and the length of a head. At 8
/// frames of 1024 samples, turning a knob is heard after 0.17 s, and a host in real time waits for
/// nothing in blocks of up to 8192 samples; of half as many if a note is an octave above its take. Of
/// longer ones see [`patience`](crate::patience).
pub const LOOKAHEAD: usize = 8;
/// Streams of one instance that exist at a time, those on the way included.
pub const MAX_STREAMS: usize = 320;
/// Tickets that may be on the way.
const MAX_TICKETS: usize = 320;
/// Frames whose controls may be on the way to the worker; over a second.
const MAX_CONTROLS: usize = 64;

/// The number that stands in place of a set of heads where a stream is an audition: no set has it.
pub const AUDITION: u64 = u64::MAX;

/// What a head depends on besides its take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patch {
    /// Which choice of a bundle: see [`Instance::edition`](crate::instance::Instance::edition).
    pub edition: u64,
    /// What notes can ask for, once the bundle is there: every zone has heads of its own.
    pub zones: Option<Zones>,
    /// The user's seed.
    pub seed: u64,
    /// After how many takes the first of a zone comes again; 0 for never.
    pub variations: u32,
    /// Which clips lie on the pads, if keys are pads: see [`Mark`](crate::pads::Mark).
    pub clips: u32,
    /// How the prior draws the frames of a head.
    pub sampling: Sampling,
}

/// Asks the worker for a take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticket {
    /// Number of the set of heads it belongs to; newer sets have larger numbers.
    pub generation: u64,
    /// The oldest set that is still wanted.
    pub oldest: u64,
    /// Which take: notes since playback or, if takes are locked to bars, the bar began, of each zone.
    pub take: u64,
    /// The zone, and so what is asked for.
    pub zone: Zone,
    /// Notes of its zone that were to come before the one that plays it, when it was asked for.
    pub ahead: u64,
    /// Whether it is kept for the next time playback begins, and can wait.
    pub spare: bool,
    /// What the head depends on.
    pub patch: Patch,
}

impl Ticket {
    /// Whose random numbers the take is made of: its own, or those of the variation that it repeats.
    #[must_use]
    pub fn key(&self) -> TakeKey {
        let number = number_of(self.take);
        let repeated = number.checked_rem(self.patch.variations.into()).unwrap_or(number);
        TakeKey { seed: self.patch.seed, take: self.take - number + repeated }
    }
}

/// What the audio thread says when playing reaches a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlFrame {
    /// How the frame [`LOOKAHEAD`] later is drawn.
    pub sampling: Sampling,
    /// Whether the host plays in real time, and waits for nothing.
    pub live: bool,
    /// What the take does at that frame.
    pub hold: Hold,
    /// Samples of the take in a loop; 0 where none can be asked for.
    pub loop_len: usize,
}

/// What a sounding take does instead of going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// It goes on.
    #[default]
    Off,
    /// Its newest sound goes on as it is.
    Freeze,
    /// The last of what was heard of it is played again and again.
    Loop,
}

/// Where a take ends: nowhere, but for a clip, whose end both sides know before it is heard.
#[derive(Debug, Clone)]
pub struct End(Arc<AtomicU64>);

impl End {
    /// No end yet.
    fn open() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// Nothing comes after so many samples of the take. To be said before the last of them are fed, and
    /// once: what is asked for of the take after that comes too late.
    pub fn come_after(&self, samples: u64) {
        let _ = self.0.compare_exchange(u64::MAX, samples, Ordering::Release, Ordering::Relaxed);
    }

    /// After how many samples, if that is known. Real-time safe.
    #[must_use]
    pub fn samples(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|samples| *samples != u64::MAX)
    }
}

/// The audio thread's end of a take.
#[derive(Debug)]
pub struct Stream {
    /// Number of the set of heads it belongs to.
    pub generation: u64,
    /// Which take it plays.
    pub take: u64,
    /// The zone of the take.
    pub zone: Zone,
    /// Samples per frame.
    pub hop: usize,
    /// The model's sample rate in Hz.
    pub rate: u32,
    /// Stereo samples at the model's rate, from the first on.
    pub sound: Consumer<[f32; 2]>,
    /// Where it ends.
    pub end: End,
    /// The controls of every frame from the first on, as playing reaches it.
    pub controls: Producer<ControlFrame>,
}

/// The worker's end of a take.
#[derive(Debug)]
pub struct Feed {
    /// Counterpart of [`Stream::sound`].
    pub sound: Producer<[f32; 2]>,
    /// Counterpart of [`Stream::end`].
    pub end: End,
    /// Counterpart of [`Stream::controls`].
    pub controls: Consumer<ControlFrame>,
}

/// Connects both ends of the take of `ticket`, whose frames are `hop` samples at `rate` Hz.
#[must_use]
pub fn open(ticket: &Ticket, hop: usize, rate: u32) -> (Stream, Feed) {
    // The worker is a head and the frame being played ahead; one more absorbs rounding.
    let (sound_in, sound) = RingBuffer::new((LOOKAHEAD + 2) * hop);
    let (controls, controls_out) = RingBuffer::new(MAX_CONTROLS);
    let Ticket { generation, take, zone, .. } = *ticket;
    let end = End::open();
    let feed = Feed { sound: sound_in, end: end.clone(), controls: controls_out };
    (Stream { generation, take, zone, hop, rate, sound, end, controls }, feed)
}

/// The audio thread's end of an instance.
#[derive(Debug)]
pub struct AudioEnd {
    /// Takes that are wanted.
    pub tickets: Producer<Ticket>,
    /// Their streams.
    pub streams: Consumer<Stream>,
    retired: Producer<Stream>,
}

impl AudioEnd {
    /// Sends a stream back to be freed. Real-time safe.
    pub fn retire(&mut self, stream: Stream) {
        if let Err(rtrb::PushError::Full(stream)) = self.retired.push(stream) {
            // There is room for every stream that can exist. Should that ever be wrong, losing
            // memory is better than freeing it here.
            std::mem::forget(stream);
        }
    }
}

/// The worker's end of an instance.
#[derive(Debug)]
pub struct WorkerEnd {
    /// Takes that are wanted.
    pub tickets: Consumer<Ticket>,
    /// Their streams.
    pub streams: Producer<Stream>,
    /// Streams to free.
    pub retired: Consumer<Stream>,
}

/// Connects both ends of an instance.
#[must_use]
pub fn connect() -> (AudioEnd, WorkerEnd) {
    let (tickets, tickets_out) = RingBuffer::new(MAX_TICKETS);
    let (streams_in, streams) = RingBuffer::new(MAX_STREAMS);
    let (retired, retired_out) = RingBuffer::new(MAX_STREAMS);
    let worker = WorkerEnd { tickets: tickets_out, streams: streams_in, retired: retired_out };
    (AudioEnd { tickets, streams, retired }, worker)
}
