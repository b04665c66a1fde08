//! Playing a phrase, block by block.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clack_extensions::render::RenderMode;
use clack_host::events::event_types::{
    MidiEvent, NoteOffEvent, NoteOnEvent, ParamModEvent, TransportEvent, TransportFlags,
};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::prelude::*;
use clack_host::process::StartedPluginAudioProcessor;
use clack_host::utils::{BeatTime, ClapId, SecondsTime};
use distill_shared::player::{TakeKey, uniform};

use super::{Handlers, Instrument};
use crate::phrase::Note;
use crate::sound::Sound;

/// How a host plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Playback {
    /// Samples per second.
    pub rate: u32,
    /// Samples per block; the last block of a piece may be shorter.
    pub block: usize,
    /// Blocks are of random lengths instead, from 1 to `block` samples, those of this seed.
    pub uneven: Option<u64>,
    /// Where in the song the piece begins, in seconds.
    pub start: f64,
    /// Length of the piece, in seconds.
    pub seconds: f64,
    /// What the host tells the plugin about being in a hurry.
    pub mode: RenderMode,
    /// Whether it says the contrary every few milliseconds while it plays.
    pub wavers: bool,
    /// A MIDI message that comes before the first note.
    pub message: Option<[u8; 3]>,
    /// A parameter that is modulated from the beginning on, and by how much.
    pub modulation: Option<(ClapId, f64)>,
    /// How many times as fast as real time the host plays; as fast as it can without.
    pub pace: Option<f64>,
    /// Whether the song stands still at `start`.
    pub stands: bool,
}

impl Default for Playback {
    fn default() -> Self {
        Self {
            rate: 48_000,
            block: 512,
            uneven: None,
            start: 0.0,
            seconds: 4.0,
            mode: RenderMode::Offline,
            wavers: false,
            message: None,
            modulation: None,
            pace: None,
            stands: false,
        }
    }
}

impl Playback {
    /// Samples of the piece.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.sample_at(self.seconds)
    }

    /// The sample nearest to a time in seconds.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time from 0")]
    pub fn sample_at(&self, seconds: f64) -> usize {
        (seconds.max(0.0) * f64::from(self.rate)).round() as usize
    }

    /// The events of a phrase by time; at one sample a key comes up before another goes down.
    pub(crate) fn key_events(&self, notes: &[Note]) -> Vec<KeyEvent> {
        let mut events = Vec::with_capacity(2 * notes.len());
        let first = self.sample_at(self.start);
        for (number, note) in (0..).zip(notes).filter(|(_, note)| note.start >= self.start) {
            let at = |seconds| self.sample_at(seconds) - first;
            let event = |at, velocity| KeyEvent { at, note: number, key: note.key, velocity };
            events.push(event(at(note.start), Some(note.velocity)));
            events.push(event(at(note.end), None));
        }
        events.sort_by_key(|event| (event.at, event.velocity.is_some()));
        events
    }

    /// Samples of the nth block.
    pub(crate) fn block_len(&self, number: u32) -> usize {
        let Playback { block, uneven, .. } = *self;
        let Some(seed) = uneven else { return block };
        // Even in logarithms: hosts have small blocks and large ones.
        let share = uniform(TakeKey { seed, take: 0 }, number, 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to block")]
        let samples = (block as f32).powf(share) as usize;
        samples.clamp(1, block)
    }
}

impl Instrument {
    /// Activates the instance, ends that, and says how long each took.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses to be activated.
    pub fn activate_for_a_moment(&mut self) -> Result<[Duration; 2]> {
        let configuration = PluginAudioConfiguration {
            sample_rate: 48_000.0,
            min_frames_count: 1,
            max_frames_count: 512,
        };
        let begun = Instant::now();
        let stopped = self.plugin.activate(|_, _| (), configuration)?;
        let active = Instant::now();
        self.plugin.deactivate(stopped);
        Ok([active - begun, active.elapsed()])
    }

    /// Plays the `notes` of a song that begin in a piece of it, as fast as the plugin allows or the
    /// host wants.
    ///
    /// The sound starts with the piece; the plugin's latency is not taken off.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses to be activated or to process.
    pub fn play(&mut self, notes: &[Note], playback: &Playback) -> Result<Sound> {
        self.set_render_mode(playback.mode)?;
        let block = u32::try_from(playback.block)?;
        let configuration = PluginAudioConfiguration {
            sample_rate: f64::from(playback.rate),
            min_frames_count: 1,
            max_frames_count: block,
        };
        let stopped = self.plugin.activate(|_, _| (), configuration)?;
        self.answer_calls();
        let piece = Piece { events: playback.key_events(notes), playback: *playback };
        let (stopped, sound) = thread::scope(|scope| {
            let audio = scope.spawn(|| {
                let mut started = stopped.start_processing().map_err(|e| anyhow!("{e:?}"))?;
                let sound = piece.render(&mut started);
                anyhow::Ok((started.stop_processing(), sound))
            });
            let other = match playback.mode {
                RenderMode::Offline => RenderMode::Realtime,
                RenderMode::Realtime => RenderMode::Offline,
            };
            let mut modes = [other, playback.mode].into_iter().cycle();
            while !audio.is_finished() {
                self.answer_calls();
                if let Some(mode) = modes.next().filter(|_| playback.wavers) {
                    self.set_render_mode(mode)?;
                }
                thread::sleep(Duration::from_millis(1));
            }
            audio.join().map_err(|_| anyhow!("the audio thread panicked"))?
        })?;
        self.plugin.deactivate(stopped);
        let (sound, status) = sound?;
        self.may_sleep = status == ProcessStatus::ContinueIfNotQuiet;
        Ok(sound)
    }

    /// Whether it said of the last block of what was played last that the host need not call again while
    /// nothing sounds.
    #[must_use]
    pub const fn may_sleep(&self) -> bool {
        self.may_sleep
    }
}

/// A key going down or up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyEvent {
    /// Sample of the piece.
    pub(crate) at: usize,
    /// Number of the note in the phrase.
    pub(crate) note: u32,
    pub(crate) key: u8,
    /// `None` lets go.
    pub(crate) velocity: Option<f64>,
}

/// What is played, and how.
struct Piece {
    events: Vec<KeyEvent>,
    playback: Playback,
}

impl Piece {
    fn render(
        &self,
        plugin: &mut StartedPluginAudioProcessor<Handlers>,
    ) -> Result<(Sound, ProcessStatus)> {
        let total = self.playback.samples();
        let mut channels = vec![vec![0.0_f32; total]; 2];
        let mut ports = AudioPorts::with_capacity(2, 1);
        let begun = Instant::now();
        let (mut position, mut status) = (0, ProcessStatus::Continue);
        for number in 0.. {
            if position == total {
                break;
            }
            let end = total.min(position + self.playback.block_len(number));
            if let Some(pace) = self.playback.pace {
                let due = position as f64 / f64::from(self.playback.rate) / pace;
                thread::sleep(Duration::from_secs_f64(due).saturating_sub(begun.elapsed()));
            }
            let events = self.events_between(position, end)?;
            let buffers = channels.iter_mut().map(|channel| &mut channel[position..end]);
            let mut output = ports.with_output_buffers([AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_output_only(buffers),
            }]);
            status = plugin.process(
                &InputAudioBuffers::empty(),
                &mut output,
                &events.as_input(),
                &mut OutputEvents::void(),
                Some(position as u64),
                Some(&self.transport(position)),
            )?;
            position = end;
        }
        Ok((Sound { rate: self.playback.rate, channels }, status))
    }

    fn events_between(&self, start: usize, end: usize) -> Result<EventBuffer> {
        let mut buffer = EventBuffer::new();
        if let Some(message) = self.playback.message.filter(|_| start == 0) {
            buffer.push(&MidiEvent::new(0, 0, message));
        }
        if let Some((id, amount)) = self.playback.modulation.filter(|_| start == 0) {
            buffer.push(&ParamModEvent::new(0, id, Pckn::match_all(), amount));
        }
        let here = |event: &&KeyEvent| (start..end).contains(&event.at);
        for event in self.events.iter().filter(here) {
            let time = u32::try_from(event.at - start)?;
            let target = Pckn::new(0_u16, 0_u16, u16::from(event.key), event.note);
            match event.velocity {
                Some(velocity) => buffer.push(&NoteOnEvent::new(time, target, velocity)),
                None => buffer.push(&NoteOffEvent::new(time, target, 0.0)),
            }
        }
        Ok(buffer)
    }

    fn transport(&self, position: usize) -> TransportEvent {
        let Playback { start, rate, stands, .. } = self.playback;
        let passed = if stands { 0.0 } else { position as f64 / f64::from(rate) };
        let mut transport = transport(start + passed);
        transport.flags.set(TransportFlags::IS_PLAYING, !stands);
        transport
    }
}

/// A song in 4/4 at 120 beats per minute, `seconds` from its beginning.
pub(super) fn transport(seconds: f64) -> TransportEvent {
    let beats = 2.0 * seconds;
    let bar = (beats / 4.0).floor();
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags: TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_SECONDS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE
            | TransportFlags::IS_PLAYING,
        song_pos_beats: BeatTime::from_float(beats),
        song_pos_seconds: SecondsTime::from_float(seconds),
        tempo: 120.0,
        tempo_inc: 0.0,
        loop_start_beats: BeatTime::from_int(0),
        loop_end_beats: BeatTime::from_int(0),
        loop_start_seconds: SecondsTime::from_int(0),
        loop_end_seconds: SecondsTime::from_int(0),
        bar_start: BeatTime::from_float(4.0 * bar),
        bar_number: whole_number(bar),
        time_signature_numerator: 4,
        time_signature_denominator: 4,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bars of a piece of minutes")]
fn whole_number(bar: f64) -> i32 {
    bar as i32
}
