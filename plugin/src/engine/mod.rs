//! AUDIO THREAD: notes in, sound out.
//!
//! The engine plays streams that the worker fills ahead of time; see [`crate::stream`]. It shares
//! nothing with the worker but rings and a few atomic numbers, and it never frees anything:
//! streams go back to the worker.
//!
//! What is heard is a function of the bundle, the settings and the notes, each at its sample.
//! Settings reach the heads of notes to come [`SETTLE_SECONDS`] after they changed, at an exact
//! sample, so that how fast the worker makes new heads cannot be heard either. The cut into blocks
//! cannot be heard at all.

mod audition;
mod endless;
mod notes;
mod settings;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use distill_shared::math::soft_clip;

use crate::channels::Channels;
use crate::envelope::Rates;
use crate::filters::Filters;
use crate::heads::Start;
use crate::instance::{Instance, Stop};
use crate::keyboard::Keyboard;
use crate::meter::Place;
use crate::pads::Mark;
use crate::patience::Patience;
use crate::sets::{HeadSets, Plan, Turn};
use crate::stream::{AUDITION, AudioEnd, ControlFrame, Patch};
use crate::voice::{Note, Scene, Voice};
use crate::voices::Voices;
use crate::zones::{Keys, Zones};
use audition::Listening;

pub use settings::{Block, Playing, Settings, Trigger, Voicing};

/// Time after which changed settings reach the heads of the notes to come, in seconds: enough to
/// make new ones, if they are few.
pub const SETTLE_SECONDS: f64 = 0.25;
/// The same for each head that there is.
const SETTLE_SECONDS_PER_HEAD: f64 = 0.02;
/// Time in which volume and width follow their parameters by one, in seconds.
const FOLLOW_SECONDS: f32 = 0.05;
/// Sample rate until the host says another, in Hz.
const DEFAULT_RATE: f32 = 48_000.0;
/// Least sample rate in Hz; a host that asks for less is played at this one.
const MIN_RATE: f32 = 8_000.0;
/// Largest sample rate in Hz.
const MAX_RATE: f32 = 768_000.0;
/// Samples rendered at a time: at the least rate and two octaves up, less than a head.
const STRETCH: usize = 64;

/// The audio thread's half of the instrument.
#[derive(Debug)]
pub struct Engine {
    end: AudioEnd,
    instance: Arc<Instance>,
    settings: Settings,
    rates: Rates,
    rate: f32,
    /// Whether the host said that it renders to a file.
    offline: bool,
    playing: bool,
    /// Whether the next block is the first since the engine was reset.
    first_block: bool,
    /// Samples since playback began.
    position: u64,
    place: Place,
    sets: HeadSets,
    voices: Voices,
    /// What the editor lets hear.
    listening: Listening,
    channels: Channels,
    keyboard: Keyboard,
    /// Whether the endless take was silenced, until playback starts again: a loop that goes back is none.
    hushed: bool,
    /// The note that began last.
    begun: Option<Note>,
    /// The note that an endless take plays, or is to begin again, though no key of it may be down.
    latched: Option<Note>,
    /// The choice of a bundle that was in force when the newest voice began.
    edition: u64,
    /// The volume of the last sample.
    gain: f32,
    /// The width of the last sample.
    width: f32,
    patience: Patience,
    missed: u64,
    peaks: [f32; 2],
}

impl Engine {
    /// An engine for the audio thread's end of `instance`.
    #[must_use]
    pub fn new(end: AudioEnd, instance: Arc<Instance>, settings: Settings) -> Self {
        let rate = DEFAULT_RATE;
        let Settings { seed, variations, sampling, .. } = settings;
        let patch = Patch { edition: 0, zones: None, seed, variations, clips: 0, sampling };
        Self {
            end,
            instance,
            settings,
            rates: Rates::new(&settings.shape, rate),
            rate,
            offline: false,
            playing: false,
            first_block: true,
            position: 0,
            place: Place::default(),
            sets: HeadSets::new(patch),
            voices: Voices::default(),
            listening: Listening::new(rate),
            channels: Channels::default(),
            keyboard: Keyboard::default(),
            hushed: false,
            begun: None,
            latched: None,
            edition: 0,
            gain: settings.gain,
            width: settings.width,
            patience: Patience::default(),
            missed: 0,
            peaks: [0.0; 2],
        }
    }

    /// Prepares to play at `rate` samples per second. `offline` says that the host renders to a
    /// file. Follow with [`Self::reset`].
    pub fn activate(&mut self, rate: f32, offline: bool) {
        self.rate = if rate.is_nan() { DEFAULT_RATE } else { rate.clamp(MIN_RATE, MAX_RATE) };
        self.offline = offline;
        self.listening.set_rate(self.rate);
        self.instance.report_rate(self.rate);
        let _ = Filters::of_process(); // made by the first call, which may take its time here
        self.patience.forgive();
        self.instance.resume(Stop::Hopeless);
    }

    /// Falls silent and begins anew, as if nothing had been played. Real-time safe.
    pub fn reset(&mut self, settings: &Settings) {
        self.apply(settings);
        self.end_voices(|_| true);
        self.listening.end(&self.instance, &mut self.end);
        self.channels = Channels::default();
        self.keyboard = Keyboard::default();
        (self.begun, self.latched) = (None, None);
        self.gain = settings.gain;
        self.width = settings.width;
        self.first_block = true;
        self.hushed = false;
        self.begin_playback();
        self.exchange();
    }

    /// Whether the first notes can begin, or never will.
    pub fn is_prepared(&mut self) -> bool {
        self.exchange();
        self.sets.are_ready() || !self.instance.is_hopeful()
    }

    /// Begins a block: settings change at its first sample. Real-time safe.
    pub fn begin(&mut self, block: &Block) {
        self.apply(&block.settings);
        let starts = block.playing && !self.playing;
        let goes_back = self.place.enter(block.meter, block.playing);
        if starts {
            self.hushed = false;
            self.hope_again();
        }
        if self.settings.locked && goes_back || starts && self.position > 0 {
            self.begin_playback();
        }
        self.playing = block.playing;
        let seconds = block.len as f64 / f64::from(self.rate);
        let unlimited = self.offline || self.settings.always_wait;
        self.patience.begin(block.now, Duration::from_secs_f64(seconds), unlimited);
        // Which bar comes first is known only now.
        if self.first_block && self.settings.locked && block.playing {
            self.patience.lend();
        }
        self.first_block = false;
        self.exchange();
    }

    /// Replaces `left` and `right`, which are equally long, with the next samples.
    ///
    /// Real-time safe; only a host that renders to a file is made to wait for the worker.
    pub fn render(&mut self, left: &mut [f32], right: &mut [f32]) {
        let (mut left, mut right) = (left, right);
        while !left.is_empty() {
            self.turn_heads();
            self.tend_endless();
            let until_turn = self.sets.turns_at().map(|at| at - self.position);
            let turn = until_turn.and_then(|samples| usize::try_from(samples).ok());
            let line = self.place.until_line(self.settings.restart_bars, 1);
            let most =
                [turn, line, self.until_end()].into_iter().flatten().fold(STRETCH, usize::min);
            let len = left.len().min(most).max(1);
            let ((now_left, later_left), (now_right, later_right)) =
                (left.split_at_mut(len), right.split_at_mut(len));
            self.await_sound(len);
            self.tend_audition();
            self.mix(now_left, now_right);
            self.position += len as u64;
            self.place.offset += len;
            (left, right) = (later_left, later_right);
        }
    }

    /// Ends a block: tells the editor what happened. Real-time safe.
    pub fn finish(&mut self) {
        let voices = u32::try_from(self.voices.iter().count()).unwrap_or(0);
        self.instance.report(voices, self.missed, self.peaks);
        let keys = self.voices.iter().map(|voice| 1_u128 << (voice.note().key & 127));
        self.instance.report_keys(keys.fold(0, |all, key| all | key));
        self.missed = 0;
        self.peaks = [0.0; 2];
    }

    /// Whether any voice sounds.
    #[must_use]
    pub fn is_sounding(&self) -> bool {
        self.voices.iter().next().is_some() || self.listening.hears()
    }

    /// Whether the host has to go on calling although nothing sounds: while the song plays, takes are
    /// counted and bars go by; an endless take may begin at any moment, and so may what is clicked on in a
    /// window.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        let called = self.playing || self.settings.playing != Playing::Notes;
        self.is_sounding() || called || self.instance.is_shown()
    }

    /// Takes over changed settings.
    fn apply(&mut self, settings: &Settings) {
        // Who would let go of notes whose keys have come up meanwhile?
        let Settings { trigger, playing, voicing, .. } = self.settings;
        let before = (trigger, playing, voicing);
        if before != (settings.trigger, settings.playing, settings.voicing) {
            self.voices.iter_mut().for_each(Voice::release);
            self.keyboard = Keyboard::default();
            (self.begun, self.latched) = (None, None);
            self.hushed = false;
        }
        self.settings = *settings;
        self.rates = Rates::new(&settings.shape, self.rate);
    }

    /// What heads are to be made from now.
    fn patch(&self) -> Patch {
        let Settings { seed, variations, sampling, keys, velocity, .. } = self.settings;
        let edition = self.instance.edition();
        let zones = self.instance.zones(edition);
        // No key says which pitch an endless take has, or how hard it is struck: that is its own.
        let free = self.keys_are_deaf() && keys != Keys::Pads;
        let (keys, velocity) = if free { (Keys::Ignored, false) } else { (keys, velocity) };
        let Mark { revision, held } = self.instance.pads().mark();
        let zones = zones.map(|zones: Zones| zones.following(keys, velocity).with_clips(held));
        let clips = if keys == Keys::Pads { revision } else { 0 };
        Patch { edition, zones, seed, variations, clips, sampling }
    }

    /// What the notes to come are to play.
    fn plan(&self) -> Plan {
        let Self { position, place, settings: Settings { locked, .. }, .. } = self;
        let (first, later) = if *locked { place.takes() } else { (0, [Some(0), None]) };
        let awaited = self.voices.iter().filter_map(Voice::awaits).min();
        Plan { patch: self.patch(), first, position: *position, later, awaited }
    }

    /// Counts notes from the first again.
    fn begin_playback(&mut self) {
        self.position = 0;
        self.patience.restart();
        let plan = self.plan();
        self.sets.restart(&plan, &mut self.end);
    }

    /// Sees to it that the heads are those of the present settings, as of this very sample.
    fn turn_heads(&mut self) {
        let plan = self.plan();
        let turn = self.sets.turn(&plan, self.settle_samples(), &mut self.end);
        if turn == Turn::Same {
            return;
        }
        if plan.patch.zones.is_some() {
            self.hope_again();
        }
        // A voice that waits for its stream would wait for ever.
        let scene = self.scene();
        let Self { voices, sets, settings, end, .. } = self;
        for voice in voices.iter_mut().filter(|voice| !voice.has_stream()) {
            let start = match turn {
                Turn::Known => {
                    let Note { velocity, .. } = *voice.note();
                    sets.find_take(voice.take(), key_of(settings, voice.note()), velocity, end)
                }
                Turn::Other | Turn::Same => begin_take(sets, settings, voice.note(), end),
            };
            voice.replace_take(start, &scene);
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, small")]
    fn settle_samples(&self) -> u64 {
        let per_head = SETTLE_SECONDS_PER_HEAD * self.sets.count() as f64;
        (SETTLE_SECONDS.max(per_head) * f64::from(self.rate)) as u64
    }

    /// Brings the heads up to date, takes in what the worker sent and asks for what is missing.
    fn exchange(&mut self) {
        self.turn_heads();
        self.accept_streams();
    }

    /// Hands streams to whom they belong, and back if that is nobody any more.
    fn accept_streams(&mut self) {
        while let Ok(stream) = self.end.streams.pop() {
            if stream.generation == AUDITION {
                self.listening.accept(stream, &mut self.end);
                continue;
            }
            let mut left_over = self.sets.accept(stream);
            for voice in self.voices.iter_mut() {
                left_over = left_over.and_then(|stream| voice.accept(stream, self.rate));
            }
            if let Some(stream) = left_over {
                self.end.retire(stream);
            }
        }
    }

    /// What all voices share.
    fn scene(&self) -> Scene {
        let Settings { sampling, tune, hold, .. } = self.settings;
        // They have been made when the host activated the instrument.
        let filters = Filters::of_process();
        let control = ControlFrame { sampling, live: self.patience.is_live(), hold, loop_len: 0 };
        let loop_s = self.loop_s();
        Scene { control, rates: self.rates, rate: self.rate, loop_s, tune, filters }
    }

    /// For how many samples no clip comes to its end: an endless one begins again there, another fades.
    fn until_end(&self) -> Option<usize> {
        let scene = self.scene();
        let ends = self.voices.iter().filter_map(|voice| voice.until_end(&scene));
        ends.filter(|samples| *samples > 0).min()
    }

    /// Renders all voices into one stretch.
    fn mix(&mut self, left: &mut [f32], right: &mut [f32]) {
        left.fill(0.0);
        right.fill(0.0);
        let scene = self.scene();
        let hopeful = self.instance.is_hopeful();
        for voice in self.voices.iter_mut() {
            let missed = voice.render(left, right, &scene);
            // A clip that is over misses nothing, and its voice makes room.
            let spent = voice.is_spent(&scene);
            self.missed += if hopeful && !spent { missed } else { 0 };
            if spent {
                voice.fade();
            }
        }
        self.end_voices(|voice| voice.envelope().is_done());
        self.listening.mix(left, right, &scene, &mut self.end);
        let slope = 1.0 / (FOLLOW_SECONDS * self.rate);
        for (left, right) in left.iter_mut().zip(right) {
            self.gain += (self.settings.gain - self.gain).clamp(-slope, slope);
            self.width += (self.settings.width - self.width).clamp(-slope, slope);
            // What is added to one side and taken from the other: nothing at a width of 1.
            let side = 0.5 * (self.width - 1.0) * (*left - *right);
            *left = soft_clip((*left + side) * self.gain);
            *right = soft_clip((*right - side) * self.gain);
            self.peaks = [self.peaks[0].max(left.abs()), self.peaks[1].max(right.abs())];
        }
    }

    /// Ends the voices that are `over` and sends their streams back.
    fn end_voices(&mut self, over: impl Fn(&Voice) -> bool) {
        while let Some(voice) = self.voices.take_if(&over) {
            if let Some(stream) = voice.into_stream() {
                self.end.retire(stream);
            }
        }
    }
}

/// The take that a note plays.
fn begin_take(sets: &mut HeadSets, settings: &Settings, note: &Note, end: &mut AudioEnd) -> Start {
    sets.begin_take(key_of(settings, note), note.velocity, end)
}

/// The key of a note, if keys decide anything.
fn key_of(settings: &Settings, note: &Note) -> Option<u8> {
    (settings.keys != Keys::Ignored).then_some(note.key)
}
