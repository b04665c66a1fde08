//! A host that is rough: it sends whatever a host can send, in any order and of any value, and keeps
//! only to what would crash every plugin.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clack_host::events::event_types::{
    MidiEvent, NoteChokeEvent, NoteExpressionEvent, NoteExpressionType, NoteOffEvent, NoteOnEvent,
    ParamModEvent, ParamValueEvent, TransportEvent, TransportFlags,
};
use clack_host::events::{EventFlags, EventHeader, Match};
use clack_host::prelude::*;
use clack_host::process::StartedPluginAudioProcessor;
use clack_host::utils::{BeatTime, ClapId, SecondsTime};

use super::{Handlers, Instrument};
use crate::dice::Dice;
use crate::endured::Endured;

/// Sample rates that a host asks for.
const RATES: [f64; 8] =
    [8_000.0, 22_050.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0, 1234.5678, 768_000.0];
/// The longest blocks that it promises.
const BLOCKS: [u32; 6] = [1, 17, 441, 512, 2027, 8192];
/// All kinds of expressions.
const EXPRESSIONS: [NoteExpressionType; 7] = [
    NoteExpressionType::Volume,
    NoteExpressionType::Pan,
    NoteExpressionType::Tuning,
    NoteExpressionType::Vibrato,
    NoteExpressionType::Expression,
    NoteExpressionType::Brightness,
    NoteExpressionType::Pressure,
];

impl Instrument {
    /// Activates the instance `sessions` times, and processes some blocks in each. What comes is
    /// told by `seed`.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses to be activated or to process, or its thread panics.
    pub fn endure(&mut self, seed: u64, sessions: u32) -> Result<Endured> {
        let parameters: Vec<ClapId> = self.parameters().iter().map(|p| p.id).collect();
        let mut dice = Dice::new(seed);
        let mut endured = Endured::default();
        for session in 0..=sessions {
            // A host takes back its modulation, which is no part of a state.
            let last = session == sessions;
            let longest = dice.one_of(&BLOCKS);
            let configuration = PluginAudioConfiguration {
                sample_rate: dice.one_of(&RATES),
                min_frames_count: 1,
                max_frames_count: longest,
            };
            let stopped = self.plugin.activate(|_, _| (), configuration)?;
            self.answer_calls();
            let (parameters, dice, endured) = (&parameters, &mut dice, &mut endured);
            let stopped = thread::scope(|scope| {
                let audio = scope.spawn(move || {
                    let mut stopped = stopped;
                    for _ in 0..=dice.below(3) {
                        if dice.once_in(3) {
                            stopped.reset();
                        }
                        let started = stopped.start_processing();
                        let mut started = started.map_err(|error| anyhow!("{error:?}"))?;
                        let mut session = Session { dice, parameters, longest, endured };
                        if last {
                            session.process(&mut started, 1, &unmodulated(parameters))?;
                        } else {
                            session.run(&mut started)?;
                        }
                        stopped = started.stop_processing();
                    }
                    anyhow::Ok(stopped)
                });
                while !audio.is_finished() {
                    self.answer_calls();
                    thread::sleep(Duration::from_micros(200));
                }
                audio.join().map_err(|_| anyhow!("the audio thread panicked"))?
            })?;
            self.plugin.deactivate(stopped);
        }
        Ok(endured)
    }
}

/// Blocks between start and stop.
struct Session<'a> {
    dice: &'a mut Dice,
    parameters: &'a [ClapId],
    longest: u32,
    endured: &'a mut Endured,
}

impl Session<'_> {
    fn run(&mut self, plugin: &mut StartedPluginAudioProcessor<Handlers>) -> Result<()> {
        for _ in 0..self.dice.below(12) {
            if self.dice.once_in(20) {
                plugin.reset();
            }
            self.block(plugin)?;
        }
        Ok(())
    }

    fn block(&mut self, plugin: &mut StartedPluginAudioProcessor<Handlers>) -> Result<()> {
        let len = match self.dice.below(5) {
            0 => 0,
            1 => self.longest,
            // More than was promised.
            2 => 2 * self.longest,
            _ => self.dice.below(self.longest + 1),
        };
        let events = self.events(len);
        self.process(plugin, len, &events)
    }

    fn process(
        &mut self,
        plugin: &mut StartedPluginAudioProcessor<Handlers>,
        len: u32,
        events: &EventBuffer,
    ) -> Result<()> {
        let transport = self.transport();
        let steady =
            if self.dice.once_in(2) { None } else { Some(u64::from(self.dice.below(999))) };
        // A plugin that writes nothing is found out.
        let mut channels = vec![vec![f32::NAN; len as usize]; 2];
        let mut ports = AudioPorts::with_capacity(2, 1);
        let buffers = channels.iter_mut().map(Vec::as_mut_slice);
        let mut output = ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(buffers),
        }]);
        plugin.process(
            &InputAudioBuffers::empty(),
            &mut output,
            &events.as_input(),
            &mut OutputEvents::void(),
            steady,
            transport.as_ref(),
        )?;
        self.endured.hear(&channels);
        Ok(())
    }

    /// Events of a block in the order of their times.
    fn events(&mut self, len: u32) -> EventBuffer {
        let count = if self.dice.once_in(60) { 4096 } else { self.dice.below(8) };
        let mut times: Vec<u32> = (0..count).map(|_| self.dice.below(len.max(1))).collect();
        times.sort_unstable();
        let mut events = EventBuffer::new();
        for time in times {
            self.push_event(time, &mut events);
        }
        events
    }

    fn push_event(&mut self, time: u32, events: &mut EventBuffer) {
        let note = self.note();
        let (value, dice) = (self.dice.value(), &mut self.dice);
        let parameter = dice.one_of(self.parameters);
        match dice.below(9) {
            0..3 => events.push(&NoteOnEvent::new(time, note, value)),
            3 => events.push(&NoteOffEvent::new(time, note, value)),
            4 => events.push(&NoteChokeEvent::new(time, note)),
            5 => events.push(&ParamValueEvent::new(time, parameter, Pckn::match_all(), value)),
            6 => events.push(&ParamModEvent::new(time, parameter, note, value)),
            7 => {
                let kind = dice.one_of(&EXPRESSIONS);
                events.push(&NoteExpressionEvent::new(time, note, kind, 100.0 * value));
            }
            _ => {
                let mut byte = || u8::try_from(dice.below(256)).unwrap_or(0);
                events.push(&MidiEvent::new(time, 0, [byte() | 0x80, byte(), byte()]));
            }
        }
    }

    /// The address of a note; now and then of all, or of none there is.
    fn note(&mut self) -> Pckn {
        let dice = &mut self.dice;
        let channel = if dice.once_in(6) { Match::All } else { Match::Specific(channel(dice)) };
        let key = if dice.once_in(6) { Match::All } else { Match::Specific(key(dice)) };
        let id = if dice.once_in(2) { Match::All } else { Match::Specific(dice.below(30)) };
        Pckn::new(0_u16, channel, key, id)
    }

    /// A transport, of numbers that may be strange, or none.
    fn transport(&mut self) -> Option<TransportEvent> {
        let dice = &mut self.dice;
        if dice.once_in(3) {
            return None;
        }
        let mut flags = TransportFlags::empty();
        for flag in [
            TransportFlags::HAS_TEMPO,
            TransportFlags::HAS_BEATS_TIMELINE,
            TransportFlags::HAS_SECONDS_TIMELINE,
            TransportFlags::HAS_TIME_SIGNATURE,
            TransportFlags::IS_PLAYING,
            TransportFlags::IS_LOOP_ACTIVE,
        ] {
            flags.set(flag, !dice.once_in(4));
        }
        let [tempo, beats, seconds, start, end] = [(); 5].map(|()| 1000.0 * dice.value());
        let time = |value: f64| if value.abs() < 1e9 { value } else { 0.0 };
        let signature = [0, 1, 4, 7, u16::MAX];
        Some(TransportEvent {
            header: EventHeader::new_core(0, EventFlags::empty()),
            flags,
            song_pos_beats: BeatTime::from_float(time(beats)),
            song_pos_seconds: SecondsTime::from_float(time(seconds)),
            tempo,
            tempo_inc: dice.value(),
            loop_start_beats: BeatTime::from_float(time(start)),
            loop_end_beats: BeatTime::from_float(time(end)),
            loop_start_seconds: SecondsTime::from_float(time(start)),
            loop_end_seconds: SecondsTime::from_float(time(end)),
            bar_start: BeatTime::from_float(time(beats)),
            bar_number: dice.one_of(&[i32::MIN, -1, 0, 17, i32::MAX]),
            time_signature_numerator: dice.one_of(&signature),
            time_signature_denominator: dice.one_of(&signature),
        })
    }
}

/// Events that take all modulation back.
fn unmodulated(parameters: &[ClapId]) -> EventBuffer {
    let mut events = EventBuffer::new();
    for &parameter in parameters {
        events.push(&ParamModEvent::new(0, parameter, Pckn::match_all(), 0.0));
    }
    events
}

/// A MIDI channel, or a number that is none.
fn channel(dice: &mut Dice) -> u16 {
    if dice.once_in(20) { 300 } else { u16::try_from(dice.below(16)).unwrap_or(0) }
}

/// A MIDI key, or a number that is none.
fn key(dice: &mut Dice) -> u16 {
    if dice.once_in(20) { 300 } else { u16::try_from(dice.below(128)).unwrap_or(0) }
}
