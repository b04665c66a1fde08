//! Phrases of notes, read from standard MIDI files.

use std::path::Path;

use anyhow::{Context, Result, bail};
use midly::{MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};

/// One note of a phrase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Note {
    /// When the key goes down, in seconds.
    pub start: f64,
    /// When the key comes up, in seconds.
    pub end: f64,
    /// MIDI key, 0 to 127.
    pub key: u8,
    /// 0 to 1.
    pub velocity: f64,
}

/// Reads the notes of a MIDI file, all tracks and channels together, by start.
///
/// # Errors
///
/// Fails if the file cannot be read, is no MIDI file, or counts time in video frames.
pub fn read(path: &Path) -> Result<Vec<Note>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("cannot play {}", path.display()))
}

/// Reads the notes of a MIDI file in memory; see [`read`].
///
/// # Errors
///
/// Fails if `bytes` are no MIDI file, or one that counts time in video frames.
pub fn parse(bytes: &[u8]) -> Result<Vec<Note>> {
    let file = Smf::parse(bytes)?;
    let Timing::Metrical(ticks_per_beat) = file.header.timing else {
        bail!("its time is counted in video frames; export it with beats");
    };
    let mut events = Vec::new();
    for track in &file.tracks {
        let mut tick = 0_u64;
        for event in track {
            tick += u64::from(event.delta.as_int());
            events.push((tick, event.kind));
        }
    }
    events.sort_by_key(|(tick, _)| *tick); // stable: the order within a track stays

    let mut clock = Clock::new(ticks_per_beat.as_int());
    let mut notes: Vec<Note> = Vec::new();
    let mut held: Vec<usize> = Vec::new(); // indices into `notes`, the earliest first
    for (tick, kind) in events {
        let now = clock.seconds(tick);
        match kind {
            TrackEventKind::Meta(MetaMessage::Tempo(tempo)) => clock.set(tick, tempo.as_int()),
            TrackEventKind::Midi { message, .. } => match note_event(message) {
                Some((key, 0)) => {
                    if let Some(place) = held.iter().position(|&note| notes[note].key == key) {
                        notes[held.remove(place)].end = now;
                    }
                }
                Some((key, velocity)) => {
                    held.push(notes.len());
                    let velocity = f64::from(velocity) / 127.0;
                    notes.push(Note { start: now, end: f64::INFINITY, key, velocity });
                }
                None => {}
            },
            _ => {}
        }
    }
    let last = notes.iter().map(|note| note.start).fold(0.0, f64::max);
    for note in notes.iter_mut().filter(|note| note.end.is_infinite()) {
        note.end = last + 1.0;
    }
    Ok(notes)
}

/// Key and velocity of a note message; velocity 0 lets go.
fn note_event(message: MidiMessage) -> Option<(u8, u8)> {
    match message {
        MidiMessage::NoteOn { key, vel } => Some((key.as_int(), vel.as_int())),
        MidiMessage::NoteOff { key, .. } => Some((key.as_int(), 0)),
        _ => None,
    }
}

/// Turns ticks into seconds under the tempo of the moment.
struct Clock {
    ticks_per_beat: f64,
    seconds_per_beat: f64,
    /// The last change of tempo: tick and seconds.
    since: (u64, f64),
}

impl Clock {
    fn new(ticks_per_beat: u16) -> Self {
        // A file that names no tempo plays at 120 beats per minute (Standard MIDI Files 1.0).
        Self { ticks_per_beat: f64::from(ticks_per_beat), seconds_per_beat: 0.5, since: (0, 0.0) }
    }

    fn seconds(&self, tick: u64) -> f64 {
        let beats = (tick - self.since.0) as f64 / self.ticks_per_beat;
        self.since.1 + beats * self.seconds_per_beat
    }

    fn set(&mut self, tick: u64, microseconds_per_beat: u32) {
        self.since = (tick, self.seconds(tick));
        self.seconds_per_beat = f64::from(microseconds_per_beat) / 1e6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One track at 480 ticks a beat.
    fn file(events: &[u8]) -> Vec<u8> {
        let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk\0\0\0".to_vec();
        bytes.push(u8::try_from(events.len() + 4).unwrap());
        bytes.extend(events);
        bytes.extend(b"\0\xff\x2f\0");
        bytes
    }

    #[test]
    fn notes_follow_the_tempo_of_the_moment() {
        let notes = parse(&file(&[
            0, 0x90, 60, 127, 0x83, 0x60, 0x80, 60, 0, // a beat at 120
            0, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, // 60 beats per minute from here
            0, 0x90, 62, 64, 0x83, 0x60, 0x90, 62, 0, // a beat, let go by velocity 0
        ]))
        .unwrap();
        assert_eq!(notes[0], Note { start: 0.0, end: 0.5, key: 60, velocity: 1.0 });
        assert_eq!(notes[1], Note { start: 0.5, end: 1.5, key: 62, velocity: 64.0 / 127.0 });
    }

    #[test]
    fn a_key_that_never_comes_up_ends_a_second_after_the_last_note() {
        let notes = parse(&file(&[0, 0x90, 60, 100])).unwrap();
        assert_eq!(notes.len(), 1);
        assert!((notes[0].end - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_demo_phrase_is_long_enough_to_judge() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let notes = read(&folder.join("assets/demo/phrase.mid")).unwrap();
        let end = notes.iter().map(|note| note.end).fold(0.0, f64::max);
        assert!((20.0..30.0).contains(&end), "{end} s");
        assert!(notes.len() > 40, "{} notes", notes.len());
    }

    #[test]
    fn what_is_no_midi_file_is_refused() {
        assert!(parse(b"RIFF").is_err());
    }
}
