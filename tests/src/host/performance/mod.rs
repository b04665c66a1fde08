//! A performance: an instance plays in real time on a thread of its own, and the main thread does with
//! it meanwhile what musicians and hosts do.

mod stage;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clack_extensions::render::RenderMode;
use clack_host::prelude::*;
use clack_host::process::StoppedPluginAudioProcessor;

use super::{Handlers, Instrument};
use crate::endured::Endured;
use crate::phrase::Note;
use crate::sound::Sound;
use stage::{Stage, Task};

/// An instance that plays.
pub struct Performance {
    instrument: Instrument,
    playing: Option<Playing>,
}

/// What is there between activation and its end.
struct Playing {
    audio: JoinHandle<Result<(StoppedPluginAudioProcessor<Handlers>, Endured)>>,
    tasks: Sender<Task>,
    heard: Receiver<Sound>,
}

impl Performance {
    /// An instance that does not play yet.
    #[must_use]
    pub fn new(instrument: Instrument) -> Self {
        Self { instrument, playing: None }
    }

    /// The instance, for the main thread.
    pub fn instrument(&mut self) -> &mut Instrument {
        &mut self.instrument
    }

    /// Plays from now on, in blocks of `block` samples, `rate` of them a second: keys, parameters,
    /// expressions and a transport that are those of `seed`. Not yet, or no longer, playing before.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses to be activated.
    pub fn start(&mut self, seed: u64, rate: u32, block: u32) -> Result<()> {
        self.instrument.set_render_mode(RenderMode::Realtime)?;
        let mut parameters = self.instrument.parameters();
        // A host that plays in real time does not wait.
        parameters.retain(|parameter| parameter.name != "Always wait");
        let configuration = PluginAudioConfiguration {
            sample_rate: f64::from(rate),
            min_frames_count: 1,
            max_frames_count: block,
        };
        let stopped = self.instrument.plugin.activate(|_, _| (), configuration)?;
        self.serve();
        let ((tasks, asked), (sound, heard)) = (mpsc::channel(), mpsc::channel());
        let stage = Stage::new(seed, parameters, (rate, block), (asked, sound));
        let audio = thread::spawn(move || stage.run(stopped));
        self.playing = Some(Playing { audio, tasks, heard });
        Ok(())
    }

    /// Plays no longer, and tells what came of it.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refused to process, or its thread panicked.
    pub fn stop(&mut self) -> Result<Endured> {
        let Some(Playing { audio, tasks, .. }) = self.playing.take() else {
            return Ok(Endured::default());
        };
        drop(tasks);
        while !audio.is_finished() {
            self.serve();
            thread::sleep(Duration::from_millis(1));
        }
        let ended = audio.join().map_err(|_| anyhow!("the audio thread panicked"))?;
        let (stopped, endured) = ended?;
        self.instrument.plugin.deactivate(stopped);
        Ok(endured)
    }

    /// Does what the plugin has asked of the main thread. To be called often.
    pub fn serve(&mut self) {
        self.instrument.answer_calls();
    }

    /// Sends no further events, however long this takes to arrive.
    ///
    /// # Errors
    ///
    /// Fails if nothing plays.
    pub fn rest(&mut self) -> Result<()> {
        self.ask(Task::Rest)?;
        self.wait().map(|_| ())
    }

    /// Asks for a note by itself, after some seconds of silence, which [`Self::wait`] waits for: what is
    /// heard from the sample at which the key goes down, `note.start`, to that at which it comes up.
    ///
    /// # Errors
    ///
    /// Fails if nothing plays.
    pub fn ask_for(&mut self, note: Note) -> Result<()> {
        self.ask(Task::Play(note))
    }

    /// What was asked for last, once it has been heard.
    ///
    /// # Errors
    ///
    /// Fails if nothing plays.
    pub fn wait(&mut self) -> Result<Sound> {
        loop {
            self.serve();
            let heard = &self.playing.as_ref().context("nothing plays")?.heard;
            match heard.recv_timeout(Duration::from_millis(5)) {
                Ok(sound) => return Ok(sound),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.stop()?;
                    return Err(anyhow!("the audio thread ended"));
                }
            }
        }
    }

    fn ask(&mut self, task: Task) -> Result<()> {
        let playing = self.playing.as_ref().context("nothing plays")?;
        playing.tasks.send(task).map_err(|_| anyhow!("the audio thread ended"))
    }
}

impl Drop for Performance {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}
