//! A take: one endless piece of new sound.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::random::TakeKey;
use super::recall::Recall;
use super::sampling::Sampling;
use super::{
    CopyCheck, Copying, Decoder, GivenCodes, Model, ModelError, NextCodes, NextSound, PriorPlayer,
    VOICES,
};
use crate::codes::{ABSENT, Codes};

/// The next step of one of several takes, for [`Take::step_together`].
pub struct NextStep<'a> {
    /// The take.
    pub take: &'a mut Take,
    /// How to draw.
    pub sampling: Sampling,
    /// Where its sound goes, planar `[C, hop]`.
    pub out: &'a mut [f32],
}

/// One endless piece of new sound: what the prior invents, decoded.
///
/// It is a function of the model, its key and the sampling of each step, and of nothing else.
pub struct Take {
    prior: PriorPlayer,
    decoder: Decoder,
    check: Option<CopyCheck>,
    recall: Option<Recall>,
    key: TakeKey,
    /// What it goes through.
    given: Arc<GivenCodes>,
    /// Frames of it so far.
    passed: u64,
    /// The newest model frame: `[N]`.
    codes: Vec<u32>,
    /// The newest frames, as many as sound comes late by and one, the oldest first: `[lead + 1, N]`.
    recent: Vec<u32>,
    channels: usize,
    hop: usize,
    delay: usize,
    /// The newest sound, planar `[C, hop]`; the end of it is still to be played.
    sound: Vec<f32>,
    /// Whether the frames by which sound comes late are still to be computed.
    begins: bool,
}

/// Frames of a clip, the last ones, that the prior of a primed take hears: some twenty seconds.
const HEARD: usize = 1024;
/// Frames of a clip, the last ones, that its decoder plays to nobody, so that it goes on from there.
const PLAYED: usize = 64;

impl Take {
    /// Prepares a take; nothing is computed yet.
    ///
    /// # Errors
    ///
    /// Fails if the model has no prior.
    pub fn new(model: Arc<Model>, key: TakeKey) -> Result<Self, ModelError> {
        let codec = &model.config().codec;
        let (channels, hop, delay) = (codec.channels, codec.hop(), codec.delay());
        Ok(Self {
            codes: vec![0; codec.quantizers],
            recent: vec![ABSENT; (delay.div_ceil(hop) + 1) * codec.quantizers],
            sound: vec![0.0; channels * hop],
            prior: PriorPlayer::new(Arc::clone(&model))?,
            check: CopyCheck::of_model(&model),
            recall: model.recordings().map(Recall::new),
            decoder: Decoder::new(model),
            key,
            given: Arc::default(),
            passed: 0,
            channels,
            hop,
            delay,
            begins: true,
        })
    }

    /// Prepares a take that goes on from where a clip ends, `codes` being the first `samples / hop`
    /// frames, rounded down, of [`encode`](super::encode): those that lie within it. What it plays
    /// first is what follows the last sample of the last frame. In frames that tell nothing what sounded
    /// goes on, and the prior hears nothing, as in a take that is frozen.
    ///
    /// # Errors
    ///
    /// Fails if the model has no prior.
    ///
    /// # Panics
    ///
    /// Panics if `codes` has another number of levels than the codec, or one is not below `K`.
    pub fn primed(model: Arc<Model>, key: TakeKey, codes: &Codes) -> Result<Self, ModelError> {
        let mut take = Self::new(model, key)?;
        let telling: Vec<usize> =
            (0..codes.frames()).filter(|&t| !codes.told(t).is_empty()).collect();
        let last = |frames: usize| &telling[telling.len().saturating_sub(frames)..];
        let mut heard = Codes::new(codes.quantizers());
        last(HEARD).iter().for_each(|&t| heard.push(codes.frame(t)));
        take.prior.prime(&heard);
        for t in last(PLAYED).first().copied().unwrap_or_default()..codes.frames() {
            let (decoder, out, codes) = (&mut take.decoder, &mut take.sound[..], codes.told(t));
            // A clip of the corpus is what it goes on from as a copy.
            let check = take.check.as_mut().filter(|_| !codes.is_empty());
            Decoder::decode_together(&mut [NextSound { decoder, codes, out, check }]);
        }
        if let Some(&newest) = telling.last() {
            take.codes.copy_from_slice(codes.frame(newest));
        }
        Ok(take)
    }

    /// Prepares a take that goes through `given`: it has the codes that are given, and draws the
    /// others, knowing all that comes before them. With all codes given, it plays what
    /// [`Playback`](super::Playback) makes of them: where they tell nothing, it is frozen.
    ///
    /// # Errors
    ///
    /// Fails if the model has no prior.
    ///
    /// # Panics
    ///
    /// Panics if `given` has another number of levels than the codec. A step panics that comes to
    /// a code that is not below `K`.
    pub fn through(
        model: Arc<Model>,
        key: TakeKey,
        given: Arc<GivenCodes>,
    ) -> Result<Self, ModelError> {
        let levels = model.config().codec.quantizers;
        assert_eq!(given.quantizers(), levels, "codes of this codec");
        Ok(Self { given, ..Self::new(model, key)? })
    }

    /// Starts another take in the same place, through the same codes if some are given. Real-time
    /// safe.
    pub fn restart(&mut self, key: TakeKey) {
        self.prior.reset();
        self.decoder.reset();
        self.check.iter_mut().for_each(CopyCheck::reset);
        self.recall.iter_mut().for_each(Recall::reset);
        self.begins = true;
        self.passed = 0;
        self.key = key;
    }

    /// Plays the next `hop` samples into `out`, planar `[C, hop]`.
    ///
    /// The first sample of the first step is the first of the take: the delay of the codec is
    /// swallowed, for which the first step computes some more frames. Allocates nothing.
    ///
    /// # Panics
    ///
    /// Panics if `out` is not `[C, hop]`.
    pub fn step(&mut self, sampling: &Sampling, out: &mut [f32]) {
        Self::step_together(&mut [NextStep { take: self, sampling: *sampling, out }]);
    }

    /// As [`Self::step`], for up to [`VOICES`] takes of one model, which costs less than one after
    /// the other. Each plays what it would play alone. Allocates nothing.
    ///
    /// # Panics
    ///
    /// Panics if there are more takes, they are not all of one model, or an `out` is not `[C, hop]`.
    pub fn step_together(next: &mut [NextStep]) {
        let lead = next.first().map_or(0, |first| first.take.lead());
        let begin = next.iter_mut().filter_map(|NextStep { take, sampling, .. }| {
            std::mem::take(&mut take.begins).then_some((&mut **take, *sampling))
        });
        let mut begin: ArrayVec<_, VOICES> = begin.collect();
        (0..lead).for_each(|_| Self::advance(&mut begin));
        drop(begin);
        for NextStep { take, out, .. } in &mut *next {
            assert_eq!(out.len(), take.channels * take.hop, "a step plays [C, hop]");
            let early = take.early();
            for (out, sound) in out.chunks_exact_mut(take.hop).zip(take.sound.chunks(take.hop)) {
                out[..early].copy_from_slice(&sound[take.hop - early..]);
            }
        }
        let takes = next.iter_mut().map(|next| (&mut *next.take, next.sampling));
        Self::advance(&mut takes.collect::<ArrayVec<_, VOICES>>());
        for NextStep { take, out, .. } in next {
            let early = take.early();
            for (out, sound) in out.chunks_exact_mut(take.hop).zip(take.sound.chunks(take.hop)) {
                out[early..].copy_from_slice(&sound[..take.hop - early]);
            }
        }
    }

    /// The model that plays it.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        self.prior.model()
    }

    /// Codes of the newest frame, coarse to fine: `[N]`, [`ABSENT`](crate::codes::ABSENT) where a
    /// level was not drawn. It is ahead of the newest sound by the
    /// delay of the codec.
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Codes of the frame that the last step played: `[N]`, as [`Self::codes`] has them. All are
    /// absent if it was frozen.
    #[must_use]
    pub fn heard_codes(&self) -> &[u32] {
        &self.recent[..self.codes.len()]
    }

    /// How near its newest frame is to the corpus; none if the model keeps nothing of it. Like
    /// [`Self::codes`], it is ahead of the newest sound.
    #[must_use]
    pub fn copying(&self) -> Option<Copying> {
        self.check.as_ref().map(CopyCheck::newest)
    }

    /// Codes of the newest frame: `[N]`, as [`Self::heard_codes`] has them.
    pub(super) fn newest_codes(&self) -> &[u32] {
        &self.recent[self.recent.len() - self.codes.len()..]
    }

    /// Frames by which sound comes late, rounded up.
    fn lead(&self) -> usize {
        self.delay.div_ceil(self.hop)
    }

    /// Samples at the end of a frame that belong to the next step.
    fn early(&self) -> usize {
        self.lead() * self.hop - self.delay
    }

    /// Makes the next frame, whose sound nobody hears.
    pub(super) fn advance_one(&mut self, sampling: &Sampling) {
        Self::advance(&mut [(self, *sampling)]);
    }

    /// Makes the next frame of each take.
    fn advance(takes: &mut [(&mut Self, Sampling)]) {
        let frozen = takes.iter_mut().map(|(take, sampling)| take.pass(sampling));
        let frozen: ArrayVec<bool, VOICES> = frozen.collect();
        let drawn = takes.iter_mut().zip(&frozen).filter(|(_, frozen)| !**frozen);
        let next = drawn.map(|((take, sampling), _)| NextCodes {
            given: take.given.frame(take.passed - 1),
            free: take.given.is_free(take.passed - 1),
            player: &mut take.prior,
            key: take.key,
            sampling: *sampling,
            check: take.check.as_ref(),
            recall: take.recall.as_mut(),
            codes: &mut take.codes,
        });
        PriorPlayer::step_together(&mut next.collect::<ArrayVec<_, VOICES>>());
        for ((take, _), frozen) in takes.iter_mut().zip(&frozen) {
            let Take { recent, codes, .. } = &mut **take;
            recent.rotate_left(codes.len());
            let newest = recent.len() - codes.len();
            recent[newest..].copy_from_slice(codes);
            if *frozen {
                recent[newest..].fill(ABSENT);
            }
        }
        let next = takes.iter_mut().zip(&frozen).map(|((take, _), frozen)| NextSound {
            decoder: &mut take.decoder,
            codes: if *frozen { &[] } else { &take.codes },
            out: &mut take.sound,
            check: take.check.as_mut().filter(|_| !*frozen),
        });
        Decoder::decode_together(&mut next.collect::<ArrayVec<_, VOICES>>());
    }

    /// Comes to the next frame of what it goes through; whether nothing is drawn for it. A take that is
    /// frozen stays where it is.
    fn pass(&mut self, sampling: &Sampling) -> bool {
        if sampling.frozen {
            return true;
        }
        self.passed += 1;
        self.given.is_frozen(self.passed - 1)
    }
}
