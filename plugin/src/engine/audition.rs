//! What the editor lets hear, beside all that notes play.

use super::Engine;
use crate::envelope::{Rates, Shape};
use crate::instance::Instance;
use crate::stream::{AUDITION, AudioEnd, ControlFrame, Hold, LOOKAHEAD, Stream};
use crate::voice::{Note, Scene, Voice};
use crate::zones::{Played, Zone};

/// Sound as it is, whatever the envelope of notes.
const PLAIN: Shape = Shape { attack: 0.0, decay: 0.0, sustain: 1.0, release: 0.0, one_shot: false };
/// No key plays it.
const NOTE: Note = Note { id: None, channel: u8::MAX, key: u8::MAX, velocity: 1.0 };

/// The audio thread's part in auditions.
#[derive(Debug)]
pub(super) struct Listening {
    /// A stream that has too little sound yet.
    waiting: Option<Stream>,
    /// The newest one, and one that fades.
    voices: [Option<Voice>; 2],
    rates: Rates,
}

impl Listening {
    pub(super) fn new(rate: f32) -> Self {
        Self { waiting: None, voices: [None, None], rates: Rates::new(&PLAIN, rate) }
    }

    pub(super) fn set_rate(&mut self, rate: f32) {
        self.rates = Rates::new(&PLAIN, rate);
    }

    /// Whether anything is heard.
    pub(super) fn hears(&self) -> bool {
        self.voices.iter().any(Option::is_some)
    }

    /// Takes in the stream of the newest audition.
    pub(super) fn accept(&mut self, stream: Stream, end: &mut AudioEnd) {
        if let Some(older) = self.waiting.replace(stream) {
            end.retire(older);
        }
    }

    /// Falls silent at once.
    pub(super) fn end(&mut self, instance: &Instance, end: &mut AudioEnd) {
        let voices = self.voices.iter().flatten().map(Voice::take);
        let all = voices.chain(self.waiting.as_ref().map(|stream| stream.take));
        all.for_each(|number| instance.auditions().finish(number));
        let voices = self.voices.iter_mut().filter_map(Option::take);
        let streams = voices.filter_map(Voice::into_stream).chain(self.waiting.take());
        streams.for_each(|stream| end.retire(stream));
    }

    /// Begins what waits.
    fn begin(&mut self, stream: Stream, end: &mut AudioEnd) {
        self.voices.iter_mut().flatten().for_each(Voice::fade);
        self.voices.swap(0, 1);
        let played = Played { zone: Zone::default(), shift: 0.0, level: 1.0 };
        let take = stream.take;
        let stream = Some(stream);
        let start = crate::heads::Start { generation: AUDITION, take, played, stream };
        let older = self.voices[0].replace(Voice::new(NOTE, start));
        if let Some(stream) = older.and_then(Voice::into_stream) {
            end.retire(stream);
        }
    }

    /// Adds what is heard to `left` and `right`, in the `scene` of notes.
    pub(super) fn mix(
        &mut self,
        left: &mut [f32],
        right: &mut [f32],
        scene: &Scene,
        end: &mut AudioEnd,
    ) {
        let scene = self.plain(scene);
        for place in &mut self.voices {
            if let Some(voice) = place {
                voice.render(left, right, &scene);
            }
            if let Some(over) = place.take_if(|voice| voice.envelope().is_done()) {
                over.into_stream().into_iter().for_each(|stream| end.retire(stream));
            }
        }
    }

    /// `scene` without what is done to notes.
    fn plain(&self, scene: &Scene) -> Scene {
        let control = ControlFrame { hold: Hold::Off, loop_len: 0, ..scene.control };
        Scene { control, rates: self.rates, loop_s: 0.0, tune: 0.0, ..*scene }
    }
}

impl Engine {
    /// Begins and ends auditions as the editor asks, but never in what is rendered to a file.
    /// Real-time safe.
    pub(super) fn tend_audition(&mut self) {
        let is_file = self.offline || self.settings.always_wait;
        let auditions = self.instance.auditions();
        let wanted = auditions.wanted().filter(|_| !is_file);
        let is_wanted = |stream: &Stream| Some(stream.take) == wanted;
        let is_there = |stream: &Stream| {
            stream.sound.slots() >= LOOKAHEAD * stream.hop || stream.sound.is_abandoned()
        };
        let listening = &mut self.listening;
        if let Some(stream) = listening.waiting.take_if(|s| !is_wanted(s) || is_there(s)) {
            if is_wanted(&stream) {
                listening.begin(stream, &mut self.end);
            } else {
                self.instance.auditions().finish(stream.take);
                self.end.retire(stream);
            }
        }
        if !listening.hears() {
            return;
        }
        let scene = self.scene();
        let scene = self.listening.plain(&scene);
        for voice in self.listening.voices.iter_mut().flatten() {
            if voice.is_spent(&scene) {
                self.instance.auditions().finish(voice.take());
            } else {
                self.instance.auditions().report(voice.take(), voice.frame());
            }
            if Some(voice.take()) != wanted || voice.is_spent(&scene) {
                voice.fade();
            }
        }
    }
}
