//! WORKER: makes the frames of one take and feeds them to the audio thread.

use std::sync::Arc;

use distill_shared::player::{Model, ModelError, NextStep, Sampling, Take, TakeKey};

use crate::resample::Resampler;
use crate::stream::{self, Feed, LOOKAHEAD, Stream, Ticket};

/// A take being rendered.
pub struct Source {
    ticket: Ticket,
    take: Take,
    resampler: Resampler,
    feed: Feed,
    /// Frames made.
    frames: usize,
    /// Most samples at the host's rate that a frame gives.
    longest: usize,
    /// One frame as the take makes it: planar `[C, hop]`.
    frame: Vec<f32>,
    /// The same at the host's rate.
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
        let key = TakeKey { seed: ticket.patch.seed, take: ticket.take };
        let take = Take::new(Arc::clone(model), key)?;
        let codec = &model.config().codec;
        let (hop, model_rate) = (codec.hop(), f64::from(codec.sample_rate));
        let host_rate = f64::from(ticket.patch.rate);
        let resampler = Resampler::new(codec.channels, hop, model_rate, host_rate);
        let longest = resampler.longest(hop);
        let (stream, feed) = stream::open(ticket, hop as f64 * host_rate / model_rate, longest);
        let source = Self {
            ticket: *ticket,
            take,
            resampler,
            feed,
            frames: 0,
            longest,
            frame: vec![0.0; codec.channels * hop],
            sound: Vec::with_capacity(longest),
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
        (controlled && free >= self.longest).then_some(Need {
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
        let frames = self.take.copying().map_or(0, |copying| copying.run);
        let rate = self.take.model().config().codec.frame_rate();
        #[expect(clippy::cast_possible_truncation, reason = "a time to be shown")]
        let seconds = (f64::from(frames) / rate) as f32;
        seconds
    }

    /// Whether this source can be stepped together with `other`, and is as urgent.
    #[must_use]
    pub fn goes_with(&self, other: &Self) -> bool {
        let urgency = |source: &Self| source.need().map(|need| need.urgency);
        Arc::ptr_eq(self.take.model(), other.take.model()) && urgency(self) == urgency(other)
    }

    /// Makes the next frame of each of up to [`VOICES`](distill_shared::player::VOICES) sources of
    /// one model, if it may be made and there is room for it.
    pub fn step_together(sources: &mut [Self]) {
        let sampled = sources.iter_mut().filter_map(|source| Some((source.controls()?, source)));
        let mut sampled: Vec<_> = sampled.collect();
        let next = sampled.iter_mut().map(|(sampling, source)| NextStep {
            take: &mut source.take,
            sampling: *sampling,
            out: &mut source.frame,
        });
        Take::step_together(&mut next.collect::<Vec<_>>());
        sampled.into_iter().for_each(|(_, source)| source.feed_frame());
    }

    /// Feeds the frame that was made to the audio thread.
    fn feed_frame(&mut self) {
        self.frames += 1;
        self.sound.clear();
        self.resampler.push(&self.frame, &mut self.sound);
        let fed = self.feed.sound.push_entire_slice(&self.sound);
        debug_assert!(fed.is_ok(), "there is room for a frame");
    }

    /// The controls of the next frame.
    fn controls(&mut self) -> Option<Sampling> {
        self.need()?;
        if self.frames < LOOKAHEAD {
            Some(self.ticket.patch.sampling)
        } else {
            self.feed.controls.pop().ok()
        }
    }
}
