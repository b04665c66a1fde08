//! AUDIO THREAD: one sounding note.

use distill_shared::model::conditioning::speed_of;

use crate::envelope::{Envelope, FADE_SECONDS, Rates};
use crate::expression::{Expressed, Expression};
use crate::filters::Filters;
use crate::heads::Start;
use crate::interpolator::{Interpolator, Motion};
use crate::stream::{ControlFrame, Stream};
use crate::zones::Played;

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

/// The farthest that a take is raised or lowered, in semitones.
const FARTHEST: f32 = 24.0;

/// Samples of a take, beyond all errors of rounding after days and less than a sample at any speed.
const ROUNDED: f64 = 1e-3;
/// The longest loop in seconds of its take: a dozen megabytes.
const LONGEST_LOOP_S: f64 = 32.0;

/// What all voices share while a stretch of samples is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// Controls of the frames that begin in the stretch.
    pub control: ControlFrame,
    /// How envelopes move.
    pub rates: Rates,
    /// The host's sample rate in Hz.
    pub rate: f32,
    /// Seconds of a loop; 0 where none can be asked for.
    pub loop_s: f64,
    /// By how many semitones all notes are raised, -12 to 12.
    pub tune: f32,
    /// The filters for all speeds.
    pub filters: &'static Filters,
}

/// A note that plays its take.
///
/// Time never waits: what is heard depends on when the note began, never on when its take was made.
/// Where the worker is late the voice is silent, and drops what comes too late.
#[derive(Debug)]
pub struct Voice {
    note: Note,
    generation: u64,
    take: u64,
    stream: Option<Stream>,
    envelope: Envelope,
    /// How it plays its take.
    played: Played,
    /// What the host says of it.
    expressed: Expressed,
    /// By how many semitones the wheel of its channel raises it.
    bend: f32,
    /// By how many another key does, to which it was led.
    led: f32,
    /// What called it last.
    called: Note,
    /// Whether its key has come up, and the pedal holds it.
    pedalled: bool,
    /// The gains of both sides that volume and pan have come to.
    sides: [f32; 2],
    player: Interpolator,
    /// Samples since the note began.
    position: u64,
    /// Frames whose controls have been sent.
    controlled: u64,
    /// Gain that hides where sound is missing: 0 where it is, 1 away from it.
    presence: f32,
}

impl Voice {
    /// Begins a note with the take of a head.
    #[must_use]
    pub fn new(note: Note, start: Start) -> Self {
        let Start { generation, take, played, stream } = start;
        Self {
            note,
            generation,
            take,
            stream,
            envelope: Envelope::new(),
            played,
            expressed: Expressed::default(),
            bend: 0.0,
            led: 0.0,
            called: note,
            pedalled: false,
            sides: [1.0; 2],
            player: Interpolator::default(),
            position: 0,
            controlled: 0,
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

    /// Which take it plays.
    #[must_use]
    pub fn take(&self) -> u64 {
        self.take
    }

    /// The frame of its take that playing has come to.
    #[must_use]
    pub fn frame(&self) -> u64 {
        let hop = self.stream.as_ref().map_or(1, |stream| stream.hop.max(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let sample = self.player.position() as u64;
        sample / hop as u64
    }

    /// Whether all of its take has been played, and nothing follows.
    #[must_use]
    pub fn is_spent(&self, scene: &Scene) -> bool {
        let spent = |stream: &Stream| {
            stream.sound.is_abandoned()
                && self.player.playable(stream.sound.slots(), &self.motion(scene)) == 0
        };
        self.stream.as_ref().is_some_and(spent) || self.until_end(scene) == Some(0)
    }

    /// How many samples can be heard, in the motion of `scene`, until its take has come to its end, or
    /// somewhat fewer; nothing if no end is known.
    #[must_use]
    pub fn until_end(&self, scene: &Scene) -> Option<usize> {
        let end = self.stream.as_ref()?.end.samples()?;
        let left = end as f64 - self.player.position();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let whole = (left / self.speed(scene)) as usize;
        Some(if left > 0.0 { whole.max(1) } else { 0 })
    }

    /// Whether its take has a stream.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The set of heads of which it waits for a stream, if it does.
    #[must_use]
    pub fn awaits(&self) -> Option<u64> {
        self.stream.is_none().then_some(self.generation)
    }

    /// Its life so far.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Lets go of it.
    pub fn release(&mut self) {
        self.envelope.release();
    }

    /// Its key has come up; a pedal that is down holds it.
    pub fn key_up(&mut self, pedal: bool) {
        self.pedalled = pedal;
        if !pedal {
            self.release();
        }
    }

    /// The pedal has come up.
    pub fn pedal_up(&mut self) {
        if self.pedalled {
            self.release();
        }
    }

    /// The wheel of its channel raises it by `semitones`.
    pub fn bend(&mut self, semitones: f32) {
        self.bend = semitones;
    }

    /// Another note calls it, and leads it to the pitch of its key if it `leads`.
    pub fn call(&mut self, note: &Note, leads: bool) {
        self.called = *note;
        if leads {
            self.led = f32::from(note.key) - f32::from(self.note.key);
        }
    }

    /// What called it last: what started it, if nothing did since.
    #[must_use]
    pub fn called(&self) -> &Note {
        &self.called
    }

    /// Changes what the host may change while it sounds. What is no number changes nothing.
    pub fn express(&mut self, expression: Expression) {
        self.expressed.take(expression);
        self.begin_at_sides();
    }

    /// Sounds as was said of the key that plays it now.
    pub fn bear(&mut self, expressed: Expressed) {
        self.expressed = expressed;
        self.begin_at_sides();
    }

    /// What has not been heard yet does not move from anywhere.
    fn begin_at_sides(&mut self) {
        if self.position == 0 {
            self.sides = self.expressed.sides();
        }
    }

    /// Has to make room.
    pub fn fade(&mut self) {
        self.envelope.fade();
    }

    /// Takes in its own stream, which came after the note; gives back any other. The host plays at `rate`.
    pub fn accept(&mut self, stream: Stream, rate: f32) -> Option<Stream> {
        let ours = (stream.generation, stream.take) == (self.generation, self.take);
        if !ours || self.stream.is_some() {
            return Some(stream);
        }
        self.take_up(stream, rate);
        None
    }

    /// Plays another take, in place of one that never came: from where it would be by now.
    pub fn replace_take(&mut self, start: Start, scene: &Scene) {
        let Start { generation, take, played, stream } = start;
        let before = self.speed(scene);
        (self.generation, self.take, self.played) = (generation, take, played);
        self.player.stretch(self.speed(scene) / before);
        stream.into_iter().for_each(|stream| self.take_up(stream, scene.rate));
    }

    /// Plays `stream` from where it would be by now, at its own rate.
    fn take_up(&mut self, stream: Stream, rate: f32) {
        self.player.stretch(f64::from(stream.rate) / f64::from(rate));
        self.stream = Some(stream);
    }

    /// Ends the voice; its stream has to be retired.
    #[must_use]
    pub fn into_stream(self) -> Option<Stream> {
        self.stream
    }

    /// Sends the controls of every frame that begins in the next `len` samples. One that begins with the
    /// sample after them is not among these, however blocks are cut: where their last one lies is rounded.
    pub fn send_controls(&mut self, len: usize, scene: &Scene) {
        let speed = self.speed(scene);
        let Some(stream) = &mut self.stream else { return };
        let loop_len = loop_len(scene.loop_s * f64::from(scene.rate) * speed, stream.rate);
        let control = ControlFrame { loop_len, ..scene.control };
        let end = self.player.position() + len as f64 * speed;
        while (self.controlled * stream.hop as u64) as f64 + ROUNDED < end {
            // A worker that is more than a second late gets these controls when it has room again.
            if stream.controls.push(control).is_err() {
                break;
            }
            self.controlled += 1;
        }
    }

    /// Whether the next `len` samples can be played without missing any, or will never come.
    #[must_use]
    pub fn is_ready(&mut self, len: usize, scene: &Scene) -> bool {
        let motion = self.motion(scene);
        let Some(stream) = &mut self.stream else { return false };
        self.player.drop_late(&mut stream.sound);
        let playable = self.player.playable(stream.sound.slots(), &motion);
        playable >= len + fade_len(scene.rate) || stream.sound.is_abandoned()
    }

    /// Adds the next samples to `left` and `right`, which are equally long. Returns how many were
    /// missing. Real-time safe.
    pub fn render(&mut self, left: &mut [f32], right: &mut [f32], scene: &Scene) -> u64 {
        let len = left.len();
        self.send_controls(len, scene);
        let motion = self.motion(scene);
        let fade_len = fade_len(scene.rate);
        let slope = 1.0 / fade_len as f32;
        let wanted = self.expressed.sides();
        let waiting = self.stream.as_mut().map_or(0, |stream| {
            self.player.drop_late(&mut stream.sound);
            stream.sound.slots()
        });
        let there = match &self.stream {
            Some(_) => self.player.playable(waiting, &motion),
            None => 0,
        };
        if self.position == 0 && there <= fade_len {
            self.presence = 0.0;
        }
        let Self {
            envelope, played: Played { level, .. }, presence, player, stream, sides, ..
        } = self;
        let mut gain = |n: usize| {
            // A fade has to be over where the sound ends, so this is where it begins.
            let step = if there.saturating_sub(n) > fade_len { slope } else { -slope };
            *presence = (*presence + step).clamp(0.0, 1.0);
            envelope.advance(&scene.rates) * *level * *presence
        };
        let playable = there.min(len);
        match stream {
            Some(stream) => {
                player.play(&mut stream.sound, &motion, (playable, len), |n, [l, r]| {
                    let gain = gain(n);
                    for (side, wanted) in sides.iter_mut().zip(wanted) {
                        *side += (wanted - *side).clamp(-slope, slope);
                    }
                    left[n] += gain * l * sides[0];
                    right[n] += gain * r * sides[1];
                })
            }
            None => player.advance(len, motion.speed),
        }
        (playable..len).for_each(|n| {
            gain(n);
        });
        self.position += len as u64;
        (len - playable) as u64
    }

    /// Samples of the take for one that is heard. Until the take has come, as if it were made at the
    /// host's rate; what has passed by then is stretched.
    fn speed(&self, scene: &Scene) -> f64 {
        let ratio = self
            .stream
            .as_ref()
            .map_or(1.0, |stream| f64::from(stream.rate) / f64::from(scene.rate));
        let raised = nearest(self.played.shift + scene.tune + self.led);
        let raised = raised + self.expressed.tuning + self.bend;
        ratio * speed_of(raised.clamp(-FARTHEST, FARTHEST))
    }

    fn motion(&self, scene: &Scene) -> Motion<'static> {
        let speed = self.speed(scene);
        Motion { speed, filter: scene.filters.at(speed) }
    }
}

/// The nearest pitch of that name, in semitones, that a take can be raised to.
fn nearest(raised: f32) -> f32 {
    let octaves = ((raised.abs() - FARTHEST) / 12.0).ceil().max(0.0);
    raised - (12.0 * octaves).copysign(raised)
}

/// Samples of a take in a loop that is to have `samples`, of `rate` in a second: of too long a one a
/// half, or a quarter, so that it keeps to the beat.
fn loop_len(samples: f64, rate: u32) -> usize {
    let most = LONGEST_LOOP_S * f64::from(rate);
    let halves = (samples / most).log2().ceil().max(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let len = (samples / halves.exp2()).round() as usize;
    len
}

/// Samples of a fade where sound is missing.
fn fade_len(rate: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let len = (FADE_SECONDS * rate) as usize;
    len.max(1)
}
