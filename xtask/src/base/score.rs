//! Scores that a soundfont plays: notes, chords and phrases of every General MIDI instrument.

use std::ops::Range;

use anyhow::Result;
use fastrand::Rng;
use midly::num::{u4, u7, u15, u28};
use midly::{
    Format, Header, MetaMessage, MidiMessage, PitchBend, Smf, Timing, Track, TrackEvent,
    TrackEventKind,
};

/// Ticks of a score in a second, at the tempo that a file has unless it says otherwise.
const TICKS_PER_SECOND: f64 = 960.0;
/// Single notes of each instrument.
const NOTES: usize = 6;
/// Keys of the percussion of General MIDI.
const DRUMS: Range<u8> = 35..82;
/// Seconds for a struck note to fade.
const DRUM_S: f64 = 1.0;
/// Seconds for which a note is left to sound after its key is up.
const RELEASE_S: f64 = 1.2;
/// MIDI channel of percussion.
const DRUM_CHANNEL: u8 = 9;
/// Steps of scales that phrases move in, in semitones.
const SCALES: [[u8; 7]; 3] =
    [[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 1, 3, 5, 6, 8, 10]];

/// A MIDI file, and the stretches of it, in seconds, that are recordings of their own.
pub(super) struct Score {
    pub(super) midi: Vec<u8>,
    pub(super) cuts: Vec<Range<f64>>,
}

/// Single notes, a chord and a phrase of instrument `program`.
pub(super) fn instrument(program: u8, mut rng: Rng) -> Result<Score> {
    let mut writer = Writer::new(0, program);
    for _ in 0..NOTES {
        writer.room(&mut rng);
        let (key, length) = (rng.u8(28..101), 0.15 + 2.0 * rng.f64() * rng.f64());
        writer.note(0.0, length, key, rng.u8(25..128));
        writer.cut(length + RELEASE_S);
    }
    writer.room(&mut rng);
    let root = rng.u8(36..72);
    let length = 0.5 + 1.5 * rng.f64();
    for step in [0, 3 + rng.u8(0..2), 7, 10 + rng.u8(0..5)] {
        writer.note(0.02 * rng.f64(), length, root + step, rng.u8(50..120));
    }
    writer.cut(length + RELEASE_S);
    writer.room(&mut rng);
    let end = writer.phrase(&mut rng);
    writer.cut(end + RELEASE_S);
    writer.finish()
}

/// Every drum of `kit`, then two grooves.
pub(super) fn percussion(kit: u8, mut rng: Rng) -> Result<Score> {
    let mut writer = Writer::new(DRUM_CHANNEL, kit);
    for key in DRUMS {
        writer.room(&mut rng);
        writer.note(0.0, 0.3, key, rng.u8(25..128));
        writer.cut(DRUM_S);
    }
    for _ in 0..2 {
        writer.room(&mut rng);
        let step = 60.0 / f64::from(rng.u8(80..170)) / 4.0;
        let parts: [u8; 5] = std::array::from_fn(|_| rng.u8(DRUMS));
        for (part, key) in parts.into_iter().enumerate() {
            let density = 0.1 + 0.3 * rng.f64();
            for at in 0..32_u8 {
                if rng.f64() < density || usize::from(at % 16) == 4 * part {
                    writer.note(f64::from(at) * step, step, key, rng.u8(40..128));
                }
            }
        }
        writer.cut(32.0 * step + 0.5);
    }
    writer.finish()
}

/// Writes one recording after the other.
struct Writer {
    channel: u4,
    /// When the present recording begins, in seconds.
    now: f64,
    /// Time in ticks, and what happens.
    events: Vec<(u32, MidiMessage)>,
    cuts: Vec<Range<f64>>,
}

impl Writer {
    fn new(channel: u8, program: u8) -> Self {
        let program = MidiMessage::ProgramChange { program: u7::new(program) };
        let (channel, events) = (u4::new(channel), vec![(0, program)]);
        Self { channel, now: 0.1, events, cuts: Vec::new() }
    }

    fn send(&mut self, at: f64, message: MidiMessage) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
        let ticks = ((self.now + at) * TICKS_PER_SECOND) as u32;
        self.events.push((ticks, message));
    }

    fn note(&mut self, at: f64, length: f64, key: u8, velocity: u8) {
        let (key, vel) = (u7::new(key.min(127)), u7::new(velocity));
        self.send(at, MidiMessage::NoteOn { key, vel });
        self.send(at + length, MidiMessage::NoteOff { key, vel: u7::new(64) });
    }

    /// Another room, and another tuning, up to half a semitone off.
    fn room(&mut self, rng: &mut Rng) {
        let reverb = if rng.bool() { 0 } else { rng.u8(0..128) };
        for (controller, value) in [(91, reverb), (93, rng.u8(0..40)), (1, rng.u8(0..64))] {
            let (controller, value) = (u7::new(controller), u7::new(value));
            self.send(0.0, MidiMessage::Controller { controller, value });
        }
        let bend = PitchBend::from_f64((rng.f64() - 0.5) / 2.0);
        self.send(0.0, MidiMessage::PitchBend { bend });
    }

    /// A line of notes in a scale, and its end in seconds.
    fn phrase(&mut self, rng: &mut Rng) -> f64 {
        let (root, scale) = (rng.u8(36..72), SCALES[rng.usize(..SCALES.len())]);
        let beat = 60.0 / f64::from(rng.u8(70..160));
        let (mut at, mut place) = (0.0, rng.usize(0..7));
        while at < 3.5 {
            let length = beat * [0.25, 0.5, 0.5, 1.0, 1.5][rng.usize(..5)];
            let octave = u8::try_from(place / 7).unwrap_or(0);
            let key = root + 12 * octave + scale[place % 7];
            self.note(at, length * (0.4 + 0.7 * rng.f64()), key, rng.u8(40..125));
            place = (place + rng.usize(0..5)).saturating_sub(2).min(13);
            at += length;
        }
        at
    }

    /// Ends the present recording after `seconds`.
    fn cut(&mut self, seconds: f64) {
        let end = self.now + seconds;
        self.cuts.push(self.now..end);
        self.now = end + 0.1;
    }

    fn finish(mut self) -> Result<Score> {
        // A last message, so that the whole of the last recording is played.
        let (controller, value) = (u7::new(7), u7::new(100));
        self.send(0.1, MidiMessage::Controller { controller, value });
        self.events.sort_by_key(|(ticks, message)| {
            (*ticks, matches!(message, MidiMessage::NoteOn { .. }))
        });
        let mut track = Track::new();
        let mut last = 0;
        for (ticks, message) in self.events {
            let kind = TrackEventKind::Midi { channel: self.channel, message };
            track.push(TrackEvent { delta: u28::new(ticks - last), kind });
            last = ticks;
        }
        let end = TrackEventKind::Meta(MetaMessage::EndOfTrack);
        track.push(TrackEvent { delta: u28::new(0), kind: end });
        let timing = Timing::Metrical(u15::new(480));
        let smf = Smf { header: Header::new(Format::SingleTrack, timing), tracks: vec![track] };
        let mut midi = Vec::new();
        smf.write_std(&mut midi)?;
        Ok(Score { midi, cuts: self.cuts })
    }
}
