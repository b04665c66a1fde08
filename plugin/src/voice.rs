//! AUDIO THREAD: one sounding note.

use distill_shared::player::Sampling;

use crate::envelope::{Envelope, FADE_SECONDS, Rates};
use crate::stream::Stream;

/// What a voice was started by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Note {
    /// The host's own name for the note, if it has one.
    pub id: Option<i32>,
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// MIDI key, 0 to 127.
    pub key: u8,
    /// How hard the key was struck, 0 to 1.
    pub velocity: f32,
}

/// What all voices share while a stretch of samples is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// Controls of the frames that begin in the stretch.
    pub sampling: Sampling,
    /// How envelopes move.
    pub rates: Rates,
    /// The host's sample rate in Hz.
    pub rate: f32,
}

/// A note that plays its take.
///
/// Time never waits: sample p of the take sounds p samples after the note. Where the worker is
/// late the voice is silent, and drops what comes too late.
#[derive(Debug)]
pub struct Voice {
    note: Note,
    generation: u64,
    take: u64,
    stream: Option<Stream>,
    envelope: Envelope,
    level: f32,
    /// Samples since the note began.
    position: u64,
    /// Frames whose controls have been sent.
    controlled: u64,
    /// Samples that were silence because they were not there, and are dropped when they come.
    late: u64,
    /// Gain that hides where sound is missing: 0 where it is, 1 away from it.
    presence: f32,
}

impl Voice {
    /// Begins a note with the take of a head.
    #[must_use]
    pub fn new(note: Note, generation: u64, take: u64, stream: Option<Stream>) -> Self {
        Self {
            note,
            generation,
            take,
            stream,
            envelope: Envelope::new(),
            level: loudness(note.velocity),
            position: 0,
            controlled: 0,
            late: 0,
            presence: 1.0,
        }
    }

    /// What started it.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Samples since the note began.
    #[must_use]
    pub fn age(&self) -> u64 {
        self.position
    }

    /// Whether its take has a stream.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Its life so far.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The key was released.
    pub fn release(&mut self) {
        self.envelope.release();
    }

    /// Has to make room.
    pub fn fade(&mut self) {
        self.envelope.fade();
    }

    /// Takes in its own stream, which came after the note; gives back any other.
    pub fn accept(&mut self, stream: Stream) -> Option<Stream> {
        let ours = (stream.generation, stream.take) == (self.generation, self.take);
        if !ours || self.stream.is_some() {
            return Some(stream);
        }
        self.stream = Some(stream);
        None
    }

    /// Ends the voice; its stream has to be retired.
    #[must_use]
    pub fn into_stream(self) -> Option<Stream> {
        self.stream
    }

    /// Sends the controls of every frame that begins in the next `len` samples.
    pub fn send_controls(&mut self, len: usize, sampling: Sampling) {
        let Some(stream) = &mut self.stream else { return };
        let end = (self.position + len as u64) as f64;
        while (self.controlled as f64) * stream.frame_len < end {
            // A worker that is more than a second late gets these controls when it has room again.
            if stream.controls.push(sampling).is_err() {
                break;
            }
            self.controlled += 1;
        }
    }

    /// Whether the next `len` samples can be played without missing any, or will never come.
    #[must_use]
    pub fn is_ready(&self, len: usize, rate: f32) -> bool {
        let Some(stream) = &self.stream else { return false };
        let wanted = self.late + (len + fade_len(rate)) as u64;
        stream.sound.slots() as u64 >= wanted || stream.sound.is_abandoned()
    }

    /// Adds the next samples to `left` and `right`, which are equally long. Returns how many were
    /// missing. Real-time safe.
    pub fn render(&mut self, left: &mut [f32], right: &mut [f32], scene: &Scene) -> u64 {
        self.send_controls(left.len(), scene.sampling);
        self.catch_up();
        let fade_len = fade_len(scene.rate);
        let slope = 1.0 / fade_len as f32;
        let there = self.stream.as_ref().map_or(0, |stream| stream.sound.slots());
        if self.position == 0 && there <= fade_len {
            self.presence = 0.0;
        }

        let playable = there.min(left.len());
        let missed = (left.len() - playable) as u64;
        let chunk = self.stream.as_mut().and_then(|stream| stream.sound.read_chunk(playable).ok());
        let (first, second) = chunk.as_ref().map_or((&[][..], &[][..]), |chunk| chunk.as_slices());
        let mut sound = first.iter().chain(second);
        for (i, (left, right)) in left.iter_mut().zip(right.iter_mut()).enumerate() {
            // A fade has to be over where the sound ends, so this is where it begins.
            let step = if there.saturating_sub(i) > fade_len { slope } else { -slope };
            self.presence = (self.presence + step).clamp(0.0, 1.0);
            let gain = self.envelope.advance(&scene.rates) * self.level * self.presence;
            let [l, r] = sound.next().copied().unwrap_or_default();
            *left += gain * l;
            *right += gain * r;
        }
        if let Some(chunk) = chunk {
            chunk.commit_all();
        }
        self.position += left.len() as u64;
        self.late += missed;
        missed
    }

    /// Drops what came too late, so that what follows sounds where it should.
    fn catch_up(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let late = usize::try_from(self.late).unwrap_or(usize::MAX).min(stream.sound.slots());
        if let Ok(chunk) = stream.sound.read_chunk(late) {
            chunk.commit_all();
            self.late -= late as u64;
        }
    }
}

/// Samples of a fade where sound is missing.
fn fade_len(rate: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let len = (FADE_SECONDS * rate) as usize;
    len.max(1)
}

/// Gain of a key struck at `velocity`, 0 to 1: 40 dB per decade, as in the MIDI Manufacturers
/// Association's DLS Level 1 specification, "MIDI velocity to attenuation".
fn loudness(velocity: f32) -> f32 {
    velocity * velocity
}
