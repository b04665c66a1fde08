//! WORKER: makes the frames of one take and feeds them to the audio thread.

use std::sync::Arc;

use distill_shared::player::{Model, ModelError, NextStep, Sampling, Take, TakeKey};

use crate::stream::{self, Feed, LOOKAHEAD, Stream, Ticket};
use crate::zones::Zone;

/// A take being rendered.
///
/// Once its head is made it forgets how, and remembers when its note begins: a take costs hundreds
/// of kilobytes, its head some eighty, and most heads lie in wait.
pub struct Source {
    ticket: Ticket,
    model: Arc<Model>,
    /// The take, unless it is to be remembered.
    take: Option<Take>,
    feed: Feed,
    /// Frames made.
    frames: usize,
    /// One frame as the take makes it: planar `[C, hop]`.
    frame: Vec<f32>,
    /// The same, interleaved.
    sound: Vec<[f32; 2]>,
}

/// How much a source needs the worker; the smaller, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What is being played comes before what may be, and that before spares.
    urgency: u8,
    /// Samples that are ready.
    ready: usize,
    take: u64,
}

impl Source {
    /// Begins the take of `ticket` with `model`.
    ///
    /// # Errors
    ///
    /// Fails if the model cannot make new sound, because it holds no prior.
    pub fn open(model: &Arc<Model>, ticket: &Ticket) -> Result<(Stream, Self), ModelError> {
        let take = Some(begin(model, ticket)?);
        let codec = &model.config().codec;
        let hop = codec.hop();
        let (stream, feed) = stream::open(ticket, hop, codec.sample_rate);
        let source = Self {
            ticket: *ticket,
            model: Arc::clone(model),
            take,
            feed,
            frames: 0,
            frame: vec![0.0; codec.channels * hop],
            sound: Vec::with_capacity(hop),
        };
        Ok((stream, source))
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
        let urgency = if playing { 0 } else { 1 + u8::from(self.ticket.spare) };
        let ready = self.feed.sound.buffer().capacity() - free;
        (controlled && free >= self.model.config().codec.hop()).then_some(Need {
            urgency,
            ready,
            take: self.ticket.take,
        })
    }

    /// Whether the take has begun to play.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.frames > LOOKAHEAD || !self.feed.controls.is_empty()
    }

    /// For how many seconds, up to its newest frame, the take has copied its corpus.
    #[must_use]
    pub fn copied_s(&self) -> f32 {
        let copying = self.take.as_ref().and_then(Take::copying);
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
        remember(sources)?;
        let sampled = sources.iter_mut().filter_map(|source| Some((source.controls()?, source)));
        let mut sampled: Vec<_> = sampled.collect();
        let next = sampled.iter_mut().filter_map(|(sampling, source)| source.next_step(*sampling));
        Take::step_together(&mut next.collect::<Vec<_>>());
        sampled.into_iter().for_each(|(_, source)| source.feed_frame());
        Ok(())
    }

    /// Feeds the frame that was made to the audio thread. A sample that is not finite is silence.
    fn feed_frame(&mut self) {
        self.frames += 1;
        self.sound.clear();
        let hop = self.model.config().codec.hop();
        let (left, right) = (&self.frame[..hop], &self.frame[self.frame.len() - hop..]);
        self.sound.extend(left.iter().zip(right).map(|(&l, &r)| [finite(l), finite(r)]));
        let fed = self.feed.sound.push_entire_slice(&self.sound);
        debug_assert!(fed.is_ok(), "there is room for a frame");
        if self.frames == LOOKAHEAD && self.feed.controls.is_empty() {
            self.take = None;
        }
    }

    fn next_step(&mut self, sampling: Sampling) -> Option<NextStep<'_>> {
        let Self { take, frame, .. } = self;
        Some(NextStep { take: take.as_mut()?, sampling, out: frame })
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
    fn controls(&mut self) -> Option<Sampling> {
        self.need()?;
        if self.frames < LOOKAHEAD {
            Some(self.of_head())
        } else {
            let sampling = self.feed.controls.pop().ok()?;
            Some(self.asking(sampling))
        }
    }
}

/// Makes the heads again, to nobody's ears, of those `sources` that have forgotten their takes and
/// go on.
fn remember(sources: &mut [Source]) -> Result<(), ModelError> {
    let goes_on = |source: &&mut Source| source.take.is_none() && source.need().is_some();
    let mut asleep: Vec<_> = sources.iter_mut().filter(goes_on).collect();
    for source in &mut asleep {
        source.take = Some(begin(&source.model, &source.ticket)?);
    }
    for _ in 0..LOOKAHEAD {
        let next = asleep.iter_mut().filter_map(|source| source.next_step(source.of_head()));
        Take::step_together(&mut next.collect::<Vec<_>>());
    }
    Ok(())
}

/// The take of `ticket`, from its beginning.
fn begin(model: &Arc<Model>, ticket: &Ticket) -> Result<Take, ModelError> {
    let key = TakeKey { seed: ticket.patch.seed, take: ticket.take };
    Take::new(Arc::clone(model), key)
}

/// Silence in place of what is no number.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}
