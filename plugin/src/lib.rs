//! The Distill instrument: VST3 and CLAP.
//!
//! MIDI notes start *takes*, new sound that a trained bundle makes. The parts, and the threads they
//! run on:
//!
//! | module | thread | job |
//! |---|---|---|
//! | [`engine`], [`voices`], [`voice`], [`channels`], [`keyboard`], [`sets`], [`heads`], [`zones`], [`meter`], [`interpolator`], [`envelope`], [`patience`] | audio | notes in, sound out |
//! | [`stream`] | both | rings between audio thread and worker |
//! | [`worker`], [`desk`], [`source`], [`looper`], [`thrift`] | worker | renders takes ahead of time |
//! | [`loader`], [`file_thread`], [`resident`] | loader | reads bundles, from drives that may not answer |
//! | [`studio`], [`export`], [`import`] | studio | clips as sound files, and sound files as clips |
//! | [`filters`] | main | makes the filters for all speeds |
//! | [`history`], [`pads`], [`clips`], [`level_names`], [`auditions`] | all but audio | what was played, what is kept of it and what it is called, what the editor lets hear |
//! | [`instance`], [`selection`], [`state`], [`params`] | all | what an instance is, and what a project saves |
//! | [`presets`] | main | settings as files, and back |
//! | [`editor`] | main | the window |
//! | [`vst3`] | all | what stands between VST3 hosts and the framework |
//!
//! This file only ties them to the framework.

pub mod allocator;
pub mod auditions;
pub mod begun;
pub mod channels;
pub mod clips;
pub mod denormals;
pub mod desk;
pub mod editor;
pub mod engine;
pub mod envelope;
pub mod export;
pub mod expression;
pub mod factory;
pub mod file_thread;
pub mod filters;
pub mod heads;
pub mod history;
pub mod import;
pub mod instance;
pub mod interpolator;
pub mod keyboard;
pub mod level_names;
pub mod loader;
pub mod locks;
pub mod looper;
pub mod meter;
pub mod pads;
pub mod params;
pub mod patience;
pub mod presets;
#[cfg(test)]
mod pretend_host;
pub mod preview;
pub mod resident;
pub mod selection;
pub mod sets;
pub mod source;
pub mod state;
pub mod stream;
pub mod studio;
pub mod thrift;
pub mod voice;
pub mod voices;
pub mod vst3;
pub mod worker;
pub mod zones;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::*;

use crate::editor::DistillEditor;
use crate::engine::{Block, Engine};
use crate::expression::Expression;
use crate::instance::Stop;
use crate::meter::{Meter, Song};
use crate::params::DistillParams;
use crate::selection::Selection;
use crate::voice::Note;
use crate::voices::Which;

/// By how many semitones a wheel at its end bends notes: what MIDI begins with (General MIDI 1).
const BEND: f32 = 2.0;
/// The numbers of MIDI controllers that are heard (MIDI 1.0 Detailed Specification, table 3).
mod controller {
    pub(super) const PEDAL: u8 = 64;
    pub(super) const ALL_SOUND_OFF: u8 = 120;
    pub(super) const RESET: u8 = 121;
    pub(super) const ALL_NOTES_OFF: u8 = 123;
}

/// The instrument, as hosts see it.
pub struct Instrument {
    params: Arc<DistillParams>,
    engine: Engine,
}

impl Default for Instrument {
    fn default() -> Self {
        let (selection, end) = Selection::new();
        let instance = Arc::clone(selection.instance());
        let params = Arc::new(DistillParams::new(selection));
        let engine = Engine::new(end, instance, params.settings());
        Self { params, engine }
    }
}

impl Instrument {
    /// Does `act` unless an internal error has stopped the instrument; an internal error in it
    /// stops the instrument instead of the host. Returns whether it was done.
    fn contained(&mut self, act: impl FnOnce(&mut Self)) -> bool {
        let instance = Arc::clone(self.params.selection.instance());
        if instance.stopped() == Some(Stop::Audio) {
            return false;
        }
        let result = catch_unwind(AssertUnwindSafe(|| act(self)));
        if let Err(panic) = result {
            instance.stop(Stop::Audio);
            // Freeing it may be as forbidden here as the panic was.
            std::mem::forget(panic);
            return false;
        }
        true
    }

    /// Plays one block.
    fn play(&mut self, output: &mut [&mut [f32]], context: &mut impl ProcessContext<Self>) {
        let [left, right] = output else { return };
        let len = left.len().min(right.len());
        let (settings, now) = (self.params.settings(), Instant::now());
        let transport = context.transport();
        let playing = transport.playing;
        let meter = song(transport).and_then(|song| Meter::new(&song, transport.sample_rate));
        self.engine.begin(&Block { settings, len, now, playing, meter });

        // Events are sample-accurate: render up to each one, apply it, go on.
        let mut event = context.next_event();
        let mut start = 0;
        while start < len {
            while let Some(due) = event.take_if(|event| event.timing() as usize <= start) {
                self.handle(&due);
                event = context.next_event();
            }
            let end = event.as_ref().map_or(len, |event| len.min(event.timing() as usize));
            self.engine.render(&mut left[start..end], &mut right[start..end]);
            start = end;
        }
        while let Some(late) = event {
            self.handle(&late);
            event = context.next_event();
        }
        self.engine.finish();
    }

    /// Applies one event.
    fn handle(&mut self, event: &NoteEvent<()>) {
        match *event {
            NoteEvent::NoteOn { voice_id, channel, key, velocity, .. } if velocity > 0.0 => {
                self.engine.note_on(Note {
                    id: voice_id.id(),
                    channel: channel.number().unwrap_or(0),
                    key: key.number_or_middle_c(),
                    velocity: velocity.min(1.0),
                });
            }
            NoteEvent::NoteOn { voice_id, channel, key, .. }
            | NoteEvent::NoteOff { voice_id, channel, key, .. } => {
                self.engine.note_off(&which(voice_id, channel, key));
            }
            NoteEvent::Choke { voice_id, channel, key, .. } => {
                self.engine.choke(&which(voice_id, channel, key));
            }
            NoteEvent::PolyTuning { voice_id, channel, key, tuning, .. } => {
                self.engine.express(&which(voice_id, channel, key), Expression::Tuning(tuning));
            }
            NoteEvent::PolyVolume { voice_id, channel, key, gain, .. } => {
                self.engine.express(&which(voice_id, channel, key), Expression::Volume(gain));
            }
            NoteEvent::PolyPan { voice_id, channel, key, pan, .. } => {
                self.engine.express(&which(voice_id, channel, key), Expression::Pan(pan));
            }
            NoteEvent::MidiPitchBend { channel, value, .. } => {
                // Its middle is 8192 of 16383.
                let wheel = (value * 16_383.0).round() - 8192.0;
                self.engine.bend(channel, BEND * wheel / 8192.0);
            }
            NoteEvent::MidiCC { channel, cc, value, .. } => self.control(channel, cc, value),
            _ => {}
        }
    }

    /// Applies what a MIDI controller, `value` of which is 0 to 1, says.
    fn control(&mut self, channel: u8, number: u8, value: f32) {
        let all = Which::of_channel(channel);
        match number {
            controller::PEDAL => self.engine.pedal(channel, value >= 0.5),
            controller::ALL_SOUND_OFF => self.engine.choke(&all),
            controller::RESET => {
                self.engine.bend(channel, 0.0);
                self.engine.pedal(channel, false);
            }
            // Those after it change modes too, and let go of all notes.
            controller::ALL_NOTES_OFF.. => self.engine.note_off(&all),
            _ => {}
        }
    }
}

/// What the host says about its song, if it says enough.
fn song(transport: &Transport) -> Option<Song> {
    let signature = transport.time_sig_numerator.zip(transport.time_sig_denominator);
    let (beats, unit) = signature.unwrap_or((4, 4));
    Some(Song {
        beat: transport.pos_beats?,
        tempo: transport.tempo?,
        bar_beats: 4.0 * f64::from(beats) / f64::from(unit.max(1)),
        bar: transport.bar_start_pos_beats.map(|start| (start, transport.bar_number)),
        loop_beat: transport.loop_range_beats.map(|(start, _)| start),
    })
}

/// The notes that an event means.
fn which(id: VoiceID, channel: Channel, key: Key) -> Which {
    Which { id: id.id(), channel: channel.number(), key: key.number() }
}

impl Plugin for Instrument {
    const NAME: &'static str = "Distill";
    const VENDOR: &'static str = "Distill";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[AudioIOLayout {
        main_input_channels: None,
        main_output_channels: NonZeroU32::new(2),
        ..AudioIOLayout::const_default()
    }];
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = DistillEditor;
    type SysExMessage = ();
    // The framework's own tasks are not used: all instances share one thread for them, which does
    // not outlive the first instance that is removed.
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        Arc::clone(&self.params) as Arc<dyn Params>
    }

    fn editor(&mut self, _: AsyncExecutor<Self>) -> Option<Self::Editor> {
        Some(editor::create(Arc::clone(&self.params)))
    }

    fn filter_state(state: &mut nice_plug::plugin::PluginState) {
        state::filter(state);
    }

    fn activate(
        &mut self,
        _: &AudioIOLayout,
        config: &BufferConfig,
        _: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.contained(|this| {
            this.params.selection.attach();
            this.engine.activate(config.sample_rate, config.process_mode == ProcessMode::Offline);
            this.engine.reset(&this.params.settings());
            patience::wait_at_most(patience::PREPARATION, || this.engine.is_prepared());
        });
        // An instrument that has stopped still says why in its window.
        true
    }

    fn reset(&mut self) {
        self.contained(|this| this.engine.reset(&this.params.settings()));
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let played = self.contained(|this| this.play(buffer.as_slice(), context));
        if !played {
            buffer.as_slice().iter_mut().for_each(|channel| channel.fill(0.0));
        }
        if self.engine.is_awake() { ProcessStatus::KeepAlive } else { ProcessStatus::Normal }
    }

    // The host's error stream is the host's.
    fn setup_logger() -> Option<bool> {
        Some(true)
    }
}

impl ClapPlugin for Instrument {
    const CLAP_ID: &'static str = "audio.distill.instrument";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("Plays new sound in the voice of your own recordings");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] =
        &[ClapFeature::Instrument, ClapFeature::Synthesizer, ClapFeature::Stereo];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        let DistillParams { prior, stream, notes, envelope, output, .. } = &*self.params;
        context.add_section("Distill", |section| {
            section.add_page("Prior", |page| {
                page.add_param(&prior.temperature);
                page.add_param(&prior.structure);
                page.add_param(&prior.timbre);
                page.add_param(&prior.detail);
                page.add_param(&prior.novelty);
                page.add_param(&prior.recall);
            });
            section.add_page("Ask for", |page| {
                page.add_param(&prior.loudness);
                page.add_param(&prior.brightness);
                page.add_param(&prior.density);
            });
            section.add_page("Notes", |page| {
                page.add_param(&notes.tune);
                page.add_param(&envelope.attack);
                page.add_param(&envelope.decay);
                page.add_param(&envelope.sustain);
                page.add_param(&envelope.release);
                page.add_param(&output.gain);
                page.add_param(&output.width);
                page.add_param(&notes.voices);
            });
            section.add_page("Stream", |page| {
                page.add_param(&stream.hold);
                page.add_param(&stream.loop_bars);
            });
        });
    }
}

impl Vst3Plugin for Instrument {
    const VST3_CLASS_ID: [u8; 16] = *b"DistillInstrumen";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Synth, Vst3SubCategory::Stereo];
}

nice_export_clap!(Instrument);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_silences_the_instrument_and_not_the_host() {
        let mut plugin = Instrument::default();
        assert!(plugin.contained(|_| {}));
        assert!(!plugin.contained(|_| panic!("as a test")));
        assert!(!plugin.contained(|_| unreachable!("it stays silent")));
        assert_eq!(plugin.params.selection.instance().stopped(), Some(Stop::Audio));
    }
}
