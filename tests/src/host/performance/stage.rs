//! The audio thread of a performance.

use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clack_host::events::Match;
use clack_host::events::event_types::{
    MidiEvent, NoteChokeEvent, NoteExpressionEvent, NoteExpressionType, NoteOffEvent, NoteOnEvent,
    ParamValueEvent, TransportFlags,
};
use clack_host::prelude::*;
use clack_host::process::{StartedPluginAudioProcessor, StoppedPluginAudioProcessor};

use crate::dice::Dice;
use crate::endured::Endured;
use crate::host::play::transport;
use crate::host::{Handlers, Parameter};
use crate::phrase::Note;
use crate::sound::Sound;

/// Seconds without a key after which nothing sounds, and the bundle plays that was chosen before.
const SILENCE: f64 = 4.0;
/// MIDI messages that let go of everything: the sustain pedal comes up, the wheel to its middle.
const AT_REST: [[u8; 3]; 2] = [[0xb0, 64, 0], [0xe0, 0, 64]];

/// What it is asked to do.
pub(super) enum Task {
    /// No further events, until it is told otherwise. Answered with no sound.
    Rest,
    /// A note by itself, after [`SILENCE`]. Answered with its sound; then it improvises again.
    Play(Note),
}

/// What it plays.
enum Part {
    Improvisation,
    Silence,
    /// A note, the sample at which its key goes down, and what was heard of it.
    One(Note, u64, Sound),
}

pub(super) struct Stage {
    dice: Dice,
    parameters: Vec<Parameter>,
    rate: u32,
    block: u32,
    tasks: Receiver<Task>,
    answers: Sender<Sound>,
    /// Samples since it began.
    position: u64,
    /// Where the song is then, in seconds.
    song: f64,
    /// Whether the transport runs.
    runs: bool,
    /// Keys that are down, with the numbers of their notes.
    down: Vec<(u16, u32)>,
    /// Notes so far.
    notes: u32,
    part: Part,
    endured: Endured,
}

impl Stage {
    /// Samples a second and in a block; where tasks come from and answers go.
    pub(super) fn new(
        seed: u64,
        parameters: Vec<Parameter>,
        (rate, block): (u32, u32),
        (tasks, answers): (Receiver<Task>, Sender<Sound>),
    ) -> Self {
        Self {
            dice: Dice::new(seed),
            parameters,
            rate,
            block,
            tasks,
            answers,
            position: 0,
            song: 0.0,
            runs: false,
            down: Vec::new(),
            notes: 0,
            part: Part::Improvisation,
            endured: Endured::default(),
        }
    }

    /// Plays until nobody can ask for anything any more.
    pub(super) fn run(
        mut self,
        stopped: StoppedPluginAudioProcessor<Handlers>,
    ) -> Result<(StoppedPluginAudioProcessor<Handlers>, Endured)> {
        let mut plugin = stopped.start_processing().map_err(|error| anyhow!("{error:?}"))?;
        let began = Instant::now();
        loop {
            let mut events = EventBuffer::new();
            match self.tasks.try_recv() {
                Ok(task) => self.turn_to(task, &mut events),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => break,
            }
            let due = Duration::from_secs_f64(self.position as f64 / f64::from(self.rate));
            thread::sleep(due.saturating_sub(began.elapsed()));
            if matches!(self.part, Part::Improvisation) && self.happens(0.005) {
                plugin.reset();
                self.down.clear();
            }
            self.play_block(&mut plugin, events)?;
        }
        Ok((plugin.stop_processing(), self.endured))
    }

    /// Begins with a task, in the block of these events.
    fn turn_to(&mut self, task: Task, events: &mut EventBuffer) {
        self.down.clear();
        self.runs = false;
        match task {
            Task::Rest => {
                self.part = Part::Silence;
                // Nobody who has gone wants to know.
                let _ = self.answers.send(Sound { rate: self.rate, channels: Vec::new() });
            }
            Task::Play(note) => {
                AT_REST.iter().for_each(|&message| events.push(&MidiEvent::new(0, 0, message)));
                events.push(&NoteChokeEvent::new(0, Pckn::match_all()));
                let start = self.position + self.samples(SILENCE);
                let sound = Sound { rate: self.rate, channels: vec![Vec::new(); 2] };
                self.part = Part::One(note, start, sound);
            }
        }
    }

    fn play_block(
        &mut self,
        plugin: &mut StartedPluginAudioProcessor<Handlers>,
        mut events: EventBuffer,
    ) -> Result<()> {
        if matches!(self.part, Part::Improvisation) {
            self.improvise(&mut events);
        }
        let end = self.position + u64::from(self.block);
        if let Part::One(note, start, _) = self.part
            && (self.position..end).contains(&start)
        {
            let time = u32::try_from(start - self.position)?;
            self.notes += 1;
            let target = Pckn::new(0_u16, 0_u16, u16::from(note.key), self.notes);
            events.push(&NoteOnEvent::new(time, target, note.velocity));
        }
        // A plugin that writes nothing is found out.
        let mut channels = vec![vec![f32::NAN; self.block as usize]; 2];
        let mut ports = AudioPorts::with_capacity(2, 1);
        let buffers = channels.iter_mut().map(Vec::as_mut_slice);
        let mut output = ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(buffers),
        }]);
        let mut transport = transport(self.song);
        transport.flags.set(TransportFlags::IS_PLAYING, self.runs);
        plugin.process(
            &InputAudioBuffers::empty(),
            &mut output,
            &events.as_input(),
            &mut OutputEvents::void(),
            Some(self.position),
            Some(&transport),
        )?;
        self.endured.hear(&channels);
        self.take_down(&channels);
        self.position = end;
        if self.runs {
            self.song += f64::from(self.block) / f64::from(self.rate);
        }
        Ok(())
    }

    /// Keeps what is heard of a note by itself; once that is all of it, answers, and improvises again.
    fn take_down(&mut self, block: &[Vec<f32>]) {
        let (position, rate) = (self.position, self.rate);
        let Part::One(note, start, sound) = &mut self.part else { return };
        let from = usize::try_from(start.saturating_sub(position)).unwrap_or(usize::MAX);
        for (all, new) in sound.channels.iter_mut().zip(block) {
            all.extend(new.iter().skip(from));
        }
        if sound.len() >= samples(note.end - note.start, rate) {
            let answer = Sound { rate, channels: std::mem::take(&mut sound.channels) };
            let _ = self.answers.send(answer);
            self.part = Part::Improvisation;
        }
    }

    /// Whether something comes in this block that comes so many times a second.
    fn happens(&mut self, per_second: f32) -> bool {
        self.dice.share() < per_second * self.block as f32 / self.rate as f32
    }

    /// What a musician does in a block, at its beginning.
    fn improvise(&mut self, events: &mut EventBuffer) {
        if self.happens(0.1) {
            self.runs = !self.runs;
        }
        if self.happens(0.05) {
            self.song = f64::from(self.dice.below(2000)) / 10.0;
        }
        if self.happens(2.0) {
            self.notes += 1;
            let key = 24 + u16::try_from(self.dice.below(72)).unwrap_or(0);
            self.down.push((key, self.notes));
            let velocity = f64::from(self.dice.share());
            events.push(&NoteOnEvent::new(0, note(key, self.notes), velocity));
        }
        let crowded = self.down.len() > 12;
        if !self.down.is_empty() && (crowded || self.happens(2.0)) {
            let which = self.dice.below(u32::try_from(self.down.len()).unwrap_or(1));
            let (key, number) = self.down.swap_remove(which as usize);
            events.push(&NoteOffEvent::new(0, note(key, number), 0.0));
        }
        if self.happens(1.0) {
            let which = self.dice.below(u32::try_from(self.parameters.len()).unwrap_or(1));
            let Parameter { id, min, max, .. } = &self.parameters[which as usize];
            let value = min + f64::from(self.dice.share()) * (max - min);
            events.push(&ParamValueEvent::new(0, *id, Pckn::match_all(), value));
        }
        if self.happens(1.0)
            && let Some(&(key, number)) = self.down.last()
        {
            let value = f64::from(self.dice.share());
            let kind = self.dice.one_of(&[
                NoteExpressionType::Volume,
                NoteExpressionType::Pan,
                NoteExpressionType::Tuning,
            ]);
            events.push(&NoteExpressionEvent::new(0, note(key, number), kind, value));
        }
        if self.happens(0.3) {
            let [wheel, pedal] = [(); 2].map(|()| u8::try_from(self.dice.below(128)).unwrap_or(0));
            let message = self.dice.one_of(&[[0xb0, 64, pedal], [0xe0, 0, wheel]]);
            events.push(&MidiEvent::new(0, 0, message));
        }
    }

    fn samples(&self, seconds: f64) -> u64 {
        samples(seconds, self.rate) as u64
    }
}

/// The address of a note by its key and number.
fn note(key: u16, number: u32) -> Pckn {
    Pckn::new(0_u16, 0_u16, Match::Specific(key), Match::Specific(number))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time from 0")]
fn samples(seconds: f64, rate: u32) -> usize {
    (seconds.max(0.0) * f64::from(rate)).round() as usize
}
