//! WORKER: makes the frames of one take, or of a clip, and feeds them to the audio thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use distill_shared::player::{Model, ModelError, NextStep, Playback, Sampling, Take};

use crate::auditions::{Audition, Request};
use crate::history::{History, Origin};
use crate::looper::Looper;
use crate::preview::PreviewPlayback;
use crate::stream::{self, AUDITION, ControlFrame, Feed, Hold, LOOKAHEAD, Patch, Stream, Ticket};
use crate::thrift::Thrift;
use crate::zones::Zone;

/// A take, or a clip, being rendered.
///
/// It holds the take only while it makes frames: a take costs a megabyte, its head some eighty
/// kilobytes, and most heads lie in wait. Once its head is made it forgets how, and remembers when
/// its note begins.
pub struct Source {
    ticket: Ticket,
    /// When it was opened.
    opened: Instant,
    model: Arc<Model>,
    /// What is played instead of a take, if anything is.
    clip: Option<Request>,
    /// The take, unless it has not begun, or is to be remembered.
    making: Option<Making>,
    feed: Feed,
    /// Frames made.
    frames: usize,
    looper: Looper,
    thrift: Thrift,
    /// Whether the last frame has fewer levels than were asked for.
    spared: bool,
    /// Codes of the frames that were made and are not in the history yet, `[T, N]`.
    unheard: VecDeque<u32>,
    /// Frames of silence that were made after a clip was over.
    after: usize,
    /// Its number in the history, once it is there.
    number: Option<u64>,
}

/// A take, and room for its frames.
struct Making {
    voice: Maker,
    /// One frame as the take makes it: planar `[C, hop]`.
    frame: Vec<f32>,
    /// The same, interleaved.
    sound: Vec<[f32; 2]>,
}

/// What makes the frames.
enum Maker {
    Take(Box<Take>),
    Clip(Box<Playback>),
    Preview(PreviewPlayback),
}

/// How much a source needs the worker; the smaller, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What is being played comes before what may be, and that before spares.
    urgency: u8,
    /// Of what is being played, samples that are ready. What is ready of a head does not matter, so
    /// that one that was begun is made before another is begun.
    ready: usize,
    /// The next notes of all zones come before those after them, whatever their numbers are: of many
    /// instances none is served last because its notes are counted from far or for long.
    ahead: u64,
    /// Then what has waited longest.
    opened: Instant,
    take: u64,
}

impl Source {
    /// The take of `ticket` with `model`, or `clip` in place of it, not begun.
    #[must_use]
    pub fn open(model: &Arc<Model>, ticket: &Ticket, clip: Option<Request>) -> (Stream, Self) {
        let codec = &model.config().codec;
        let rate = match &clip {
            Some(Request::Preview(preview)) => preview.rate,
            Some(Request::Codes(_)) | None => codec.sample_rate,
        };
        let (stream, feed) = stream::open(ticket, codec.hop(), rate);
        let model = Arc::clone(model);
        (
            stream,
            Self {
                ticket: *ticket,
                opened: Instant::now(),
                model,
                clip,
                making: None,
                feed,
                frames: 0,
                looper: Looper::default(),
                thrift: Thrift::default(),
                spared: false,
                unheard: VecDeque::new(),
                after: 0,
                number: None,
            },
        )
    }

    /// What the editor wants to hear on one side of the nth audition; its zone has the number of the
    /// side.
    #[must_use]
    pub fn audition(
        model: &Arc<Model>,
        number: u64,
        side: usize,
        request: Request,
    ) -> (Stream, Self) {
        let sampling = Sampling::default();
        let patch = Patch { edition: 0, zones: None, seed: 0, variations: 0, clips: 0, sampling };
        let (zone, spare) = (Zone::numbered(side), false);
        let (generation, oldest, ahead, take) = (AUDITION, 0, 0, number);
        let ticket = Ticket { generation, oldest, take, zone, ahead, spare, patch };
        Self::open(model, &ticket, Some(request))
    }

    /// Whether it is a clip that is over: nothing follows what it has made, and all of that is in the
    /// history.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_over = self.making.as_ref().is_some_and(Making::is_over);
        let told = self.is_audition() || self.after > LOOKAHEAD && self.unheard.is_empty();
        is_over && told && self.frames >= LOOKAHEAD
    }

    /// The number of the audition that it is, if it is one.
    #[must_use]
    pub fn audition_number(&self) -> Option<u64> {
        Some(self.ticket.take).filter(|_| self.is_audition())
    }

    fn is_audition(&self) -> bool {
        self.ticket.generation == AUDITION
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.feed.sound.is_abandoned()
    }

    /// How much this source needs the worker, or nothing if it cannot go on for now.
    #[must_use]
    pub fn need(&self) -> Option<Need> {
        let free = self.feed.sound.slots();
        let playing = self.is_playing();
        let controlled = self.frames < LOOKAHEAD || !self.feed.controls.is_empty();
        let playing = playing || self.is_audition();
        let urgency = if playing { 0 } else { 1 + u8::from(self.ticket.spare) };
        let ready = if playing { self.feed.sound.buffer().capacity() - free } else { 0 };
        let (opened, Ticket { ahead, take, .. }) = (self.opened, self.ticket);
        let need = Need { urgency, ready, ahead, opened, take };
        (controlled && free >= self.model.config().codec.hop()).then_some(need)
    }

    /// Whether the take has begun to play.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.frames > LOOKAHEAD || !self.feed.controls.is_empty()
    }

    /// Whether its newest frame has fewer levels than were asked for, to be in time.
    #[must_use]
    pub fn has_spared(&self) -> bool {
        self.spared
    }

    /// For how many seconds, up to its newest frame, the take has copied its corpus.
    #[must_use]
    pub fn copied_s(&self) -> f32 {
        let copying = self.making.as_ref().and_then(|making| match &making.voice {
            Maker::Take(take) => take.copying(),
            Maker::Clip(_) | Maker::Preview(_) => None,
        });
        let frames = copying.map_or(0, |copying| copying.run);
        let rate = self.model.config().codec.frame_rate();
        #[expect(clippy::cast_possible_truncation, reason = "a time to be shown")]
        let seconds = (f64::from(frames) / rate) as f32;
        seconds
    }

    /// Whether this source can be stepped together with `other`, and is as urgent.
    #[must_use]
    pub fn goes_with(&self, other: &Self) -> bool {
        let urgency = |source: &Self| source.need().map(|need| need.urgency);
        Arc::ptr_eq(&self.model, &other.model) && urgency(self) == urgency(other)
    }

    /// Makes the next frame of each of up to [`VOICES`](distill_shared::player::VOICES) sources of
    /// one model, if it may be made and there is room for it.
    ///
    /// # Errors
    ///
    /// Fails if the model cannot make new sound, because it holds no prior.
    pub fn step_together(sources: &mut [Self]) -> Result<(), ModelError> {
        begin(sources)?;
        let due = sources.iter_mut().filter_map(|source| Some((source.controls()?, source)));
        let mut due: Vec<_> = due.collect();
        let made = due.iter_mut().filter(|(control, source)| source.looper.needs_frame(control));
        step(made.map(|(control, source)| (&mut **source, control.sampling)));
        for (control, source) in &mut due {
            source.note_codes(control);
        }
        due.into_iter().for_each(|(control, source)| source.feed_frame(&control));
        Ok(())
    }

    /// Notes the codes of the frame that was made for `control`, if one was.
    fn note_codes(&mut self, control: &ControlFrame) {
        let made = self.looper.needs_frame(control) && !self.is_audition();
        if let Some(making) = self.making.as_ref().filter(|_| made) {
            let codes = match &making.voice {
                Maker::Take(take) => take.heard_codes(),
                Maker::Clip(clip) => clip.heard_codes(),
                Maker::Preview(_) => &[],
            };
            self.after += usize::from(codes.is_empty());
            self.unheard.extend(codes);
        }
    }

    /// Tells the history what has been heard by `now`: frame n, once frame n + [`LOOKAHEAD`] is made.
    pub fn tell(&mut self, history: &History, now: Instant) {
        let levels = self.model.config().codec.quantizers;
        let unheard = self.unheard.len() / levels;
        let heard = (unheard + self.after).saturating_sub(LOOKAHEAD).min(unheard) * levels;
        if heard == 0 {
            return;
        }
        let Ticket { zone, patch: Patch { edition, .. }, .. } = self.ticket;
        let origin = Origin { edition, levels, pitch: zone.pitch, pad: zone.pad() };
        let frames: Vec<u32> = self.unheard.iter().take(heard).copied().collect();
        // If the editor is reading, another time.
        if let Some(number) = history.add(self.number, &origin, &frames, now) {
            self.unheard.drain(..heard);
            self.number = Some(number);
        }
    }

    /// Feeds the frame that was made, or the loop instead, to the audio thread. A sample that is not
    /// finite is silence.
    fn feed_frame(&mut self, control: &ControlFrame) {
        let Some(making) = &mut self.making else { return };
        self.frames += 1;
        let hop = self.model.config().codec.hop();
        if making.is_over() {
            self.feed.end.come_after(self.frames as u64 * hop as u64);
        }
        let Making { frame, sound, .. } = making;
        sound.clear();
        let (left, right) = (&frame[..hop], &frame[frame.len() - hop..]);
        sound.extend(left.iter().zip(right).map(|(&l, &r)| [finite(l), finite(r)]));
        self.looper.pass(control, sound);
        let fed = self.feed.sound.push_entire_slice(sound);
        debug_assert!(fed.is_ok(), "there is room for a frame");
        if self.frames == LOOKAHEAD && self.feed.controls.is_empty() && !self.is_audition() {
            self.making = None;
        }
    }

    /// What is to be stepped together with other takes; a clip is stepped at once.
    fn next_step(&mut self, sampling: Sampling) -> Option<NextStep<'_>> {
        let Making { voice, frame, .. } = self.making.as_mut()?;
        match voice {
            Maker::Take(take) => Some(NextStep { take, sampling, out: frame }),
            Maker::Clip(clip) => {
                clip.step(frame);
                None
            }
            Maker::Preview(preview) => {
                preview.step(frame, self.model.config().codec.channels);
                None
            }
        }
    }

    /// How the frames of the head are drawn.
    fn of_head(&self) -> Sampling {
        self.asking(self.ticket.patch.sampling)
    }

    /// `sampling`, asking for what the zone of the ticket asks for.
    fn asking(&self, mut sampling: Sampling) -> Sampling {
        let Zone { pitch, velocity, .. } = self.ticket.zone;
        sampling.controls.pitch = pitch.map(f32::from);
        sampling.controls.velocity = velocity;
        sampling
    }

    /// The controls of the next frame.
    fn controls(&mut self) -> Option<ControlFrame> {
        self.need()?;
        if self.frames < LOOKAHEAD {
            let sampling = self.of_head();
            Some(ControlFrame { sampling, live: false, hold: Hold::Off, loop_len: 0 })
        } else {
            let waiting = self.feed.controls.slots();
            let mut control = self.feed.controls.pop().ok()?;
            let ControlFrame { sampling, live, hold, .. } = &mut control;
            let all = self.model.config().codec.quantizers;
            let asked = if sampling.levels == 0 { all } else { all.min(sampling.levels as usize) };
            let levels = self.thrift.levels(waiting, *live, asked);
            // Clips, loops and what is frozen draw nothing that could be spared.
            let draws = self.clip.is_none() && *hold != Hold::Freeze;
            if let Some(levels) = u32::try_from(levels).ok().filter(|_| levels < asked) {
                sampling.levels = levels;
            }
            sampling.frozen = *hold == Hold::Freeze;
            *sampling = self.asking(*sampling);
            self.spared = levels < asked && draws && self.looper.needs_frame(&control);
            Some(control)
        }
    }
}

/// Begins the takes of those `sources` that have not, and remembers those that were forgotten and
/// go on: makes their heads again, to nobody's ears.
fn begin(sources: &mut [Source]) -> Result<(), ModelError> {
    let goes_on = |source: &&mut Source| source.making.is_none() && source.need().is_some();
    let mut asleep: Vec<_> = sources.iter_mut().filter(goes_on).collect();
    for source in &mut asleep {
        source.making = Some(Making::begin(source)?);
    }
    for n in 0..LOOKAHEAD {
        let behind = asleep.iter_mut().filter(|source| source.frames > n);
        step(behind.map(|source| {
            let sampling = source.of_head();
            (&mut **source, sampling)
        }));
    }
    Ok(())
}

/// Makes the next frame of each of `sources`.
fn step<'a>(sources: impl Iterator<Item = (&'a mut Source, Sampling)>) {
    let next = sources.filter_map(|(source, sampling)| source.next_step(sampling));
    Take::step_together(&mut next.collect::<Vec<_>>());
}

impl Making {
    /// Whether nothing follows.
    fn is_over(&self) -> bool {
        match &self.voice {
            Maker::Take(_) => false,
            Maker::Clip(clip) => clip.is_over(),
            Maker::Preview(preview) => preview.is_over(),
        }
    }

    /// The take or the clip of `source`, from its beginning.
    fn begin(source: &Source) -> Result<Self, ModelError> {
        let Source { model, ticket, clip, .. } = source;
        let clip = clip.as_ref().and_then(|request| match request {
            Request::Codes(Audition { codes, frames, looped, .. }) => {
                let playback = Playback::new(model, codes, frames.clone(), *looped)?;
                Some(Maker::Clip(Box::new(playback)))
            }
            Request::Preview(preview) => Some(Maker::Preview(PreviewPlayback::of(preview))),
        });
        let voice = match clip {
            Some(clip) => clip,
            None => Maker::Take(Box::new(Take::new(Arc::clone(model), ticket.key())?)),
        };
        let codec = &model.config().codec;
        let hop = codec.hop();
        let frame = vec![0.0; codec.channels * hop];
        Ok(Self { voice, frame, sound: Vec::with_capacity(hop) })
    }
}

/// Silence in place of what is no number.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}
