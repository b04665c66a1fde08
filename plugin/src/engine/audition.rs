//! What the editor lets hear, beside all that notes play.

use super::Engine;
use crate::auditions::SIDES;
use crate::envelope::{Rates, Shape};
use crate::expression::Expression;
use crate::heads::Start;
use crate::instance::Instance;
use crate::stream::{AUDITION, AudioEnd, ControlFrame, Hold, LOOKAHEAD, Stream};
use crate::voice::{Note, Scene, Voice};
use crate::zones::Played;

/// Sound as it is, whatever the envelope of notes.
const PLAIN: Shape = Shape { attack: 0.0, decay: 0.0, sustain: 1.0, release: 0.0, one_shot: false };
/// No key plays it.
const NOTE: Note = Note { id: None, channel: u8::MAX, key: u8::MAX, velocity: 1.0 };

/// The audio thread's part in auditions.
#[derive(Debug)]
pub(super) struct Listening {
    /// Streams of the newest audition that have too little sound yet, by their sides.
    waiting: [Option<Stream>; SIDES],
    /// Those of the one that is heard, and of one that fades, by their sides.
    voices: [[Option<Voice>; SIDES]; 2],
    /// Whether the one that is heard has two sides, though one may be over.
    compares: bool,
    rates: Rates,
}

impl Listening {
    pub(super) fn new(rate: f32) -> Self {
        let (waiting, voices) = ([None, None], [[None, None], [None, None]]);
        Self { waiting, voices, compares: false, rates: Rates::new(&PLAIN, rate) }
    }

    pub(super) fn set_rate(&mut self, rate: f32) {
        self.rates = Rates::new(&PLAIN, rate);
    }

    /// Whether anything is heard.
    pub(super) fn hears(&self) -> bool {
        self.voices.as_flattened().iter().any(Option::is_some)
    }

    /// Takes in a stream of the newest audition.
    pub(super) fn accept(&mut self, stream: Stream, end: &mut AudioEnd) {
        let (number, side) = (stream.take, stream.zone.index.min(SIDES - 1));
        let others = self.waiting.iter_mut().filter_map(|p| p.take_if(|s| s.take != number));
        others.for_each(|stream| end.retire(stream));
        if let Some(older) = self.waiting[side].replace(stream) {
            end.retire(older);
        }
    }

    /// Number of the audition that waits, if one does.
    fn waits_for(&self) -> Option<u64> {
        self.waiting.iter().flatten().map(|stream| stream.take).next()
    }

    /// Whether all `sides` that wait have sound.
    fn are_there(&self, sides: usize) -> bool {
        let is_there = |stream: &&Stream| {
            stream.sound.slots() >= LOOKAHEAD * stream.hop || stream.sound.is_abandoned()
        };
        self.waiting.iter().flatten().filter(is_there).count() == sides
    }

    /// Gives up what waits.
    fn give_up(&mut self, end: &mut AudioEnd) {
        self.waiting.iter_mut().filter_map(Option::take).for_each(|stream| end.retire(stream));
    }

    /// Falls silent at once.
    pub(super) fn end(&mut self, instance: &Instance, end: &mut AudioEnd) {
        let voices = self.voices.as_flattened().iter().flatten().map(Voice::take);
        let all = voices.chain(self.waits_for());
        all.for_each(|number| instance.auditions().finish(number));
        let voices = self.voices.as_flattened_mut().iter_mut().filter_map(Option::take);
        voices.filter_map(Voice::into_stream).for_each(|stream| end.retire(stream));
        self.give_up(end);
    }

    /// Begins what waits, with `side` heard; its sides begin at the same sample, and stay together since
    /// time waits for neither.
    fn begin(&mut self, side: usize, end: &mut AudioEnd) {
        self.voices.as_flattened_mut().iter_mut().flatten().for_each(Voice::fade);
        self.voices.swap(0, 1);
        self.compares = self.waiting.iter().all(Option::is_some);
        for (waiting, place) in self.waiting.iter_mut().zip(&mut self.voices[0]) {
            let older = std::mem::replace(place, waiting.take().map(voice));
            if let Some(stream) = older.and_then(Voice::into_stream) {
                end.retire(stream);
            }
        }
        self.turn_to(side);
    }

    /// Lets `side` be heard of what has two, within a few milliseconds: one fades as the other comes.
    fn turn_to(&mut self, side: usize) {
        let heard = if self.compares { side } else { 0 };
        for (side, voice) in self.voices[0].iter_mut().enumerate() {
            let volume = if side == heard { 1.0 } else { 0.0 };
            voice.iter_mut().for_each(|voice| voice.express(Expression::Volume(volume)));
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
        for place in self.voices.as_flattened_mut() {
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

/// A voice that plays a stream as it is.
fn voice(stream: Stream) -> Voice {
    let played = Played { zone: stream.zone, shift: 0.0, level: 1.0 };
    let (generation, take, stream) = (AUDITION, stream.take, Some(stream));
    Voice::new(NOTE, Start { generation, take, played, stream })
}

impl Engine {
    /// Begins and ends auditions as the editor asks, but never in what is rendered to a file.
    /// Real-time safe.
    pub(super) fn tend_audition(&mut self) {
        let is_file = self.offline || self.settings.always_wait;
        let auditions = self.instance.auditions();
        let wanted = auditions.wanted().filter(|_| !is_file);
        let listening = &mut self.listening;
        if let Some(number) = listening.waits_for() {
            if Some(number) != wanted {
                auditions.finish(number);
                listening.give_up(&mut self.end);
            } else if listening.are_there(auditions.sides(number)) {
                listening.begin(auditions.side(), &mut self.end);
            }
        }
        if !listening.hears() {
            return;
        }
        listening.turn_to(auditions.side());
        let scene = self.scene();
        let scene = self.listening.plain(&scene);
        let auditions = self.instance.auditions();
        for sides in &mut self.listening.voices {
            let Some(first) = sides.iter().flatten().next() else { continue };
            let number = first.take();
            if sides.iter().flatten().all(|voice| voice.is_spent(&scene)) {
                auditions.finish(number);
            } else {
                auditions.report(number, first.frame());
            }
            for voice in sides.iter_mut().flatten() {
                if Some(number) != wanted || voice.is_spent(&scene) {
                    voice.fade();
                }
            }
        }
    }
}
