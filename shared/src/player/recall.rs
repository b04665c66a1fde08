//! Recall: frames of the recordings instead of frames that never were.
//!
//! A prior draws the codes of a frame level by level, each knowing those before. Here it draws among the
//! codes with which, after those drawn already, some frame of the recordings goes on: what comes of it is
//! a frame of a recording, the one that the prior finds likely next. As in language models whose output
//! is held to what a list of texts allows (De Cao et al. 2021, *Autoregressive entity retrieval*), the
//! list is a tree of prefixes, here frames in the order of their codes.

use std::ops::Range;
use std::sync::Arc;

use super::sampling::Sampling;
use crate::codes::ABSENT;

/// What the code of the frame with which a recording goes on gains at most, in nats.
const PULL: f32 = 16.0;
/// Frames of recordings, twelve minutes of usual codes, among which a pull is what it says.
const MANY: f32 = 32768.0;
/// Nats that are lost, the less is recalled, for each time that there are fewer by the factor e: the frame that
/// goes on has fewer rivals then, and takes copy sooner.
const LOST: f32 = 2.5;

/// Every frame of the recordings that a prior was trained on.
#[derive(Debug)]
pub(crate) struct Recordings {
    levels: usize,
    /// `[T, N]`.
    codes: Vec<u16>,
    /// Frames in the order of their codes.
    order: Vec<u32>,
    /// Where in that order the frames with each code of the first level begin: `[K + 1]`.
    first: Vec<u32>,
    /// Whether a recording ends with a frame.
    last: Vec<bool>,
}

impl Recordings {
    /// Bytes that it takes at most to arrange so many frames of so many levels.
    pub(super) fn room(frames: usize, levels: usize) -> usize {
        frames * (levels * size_of::<u16>() + 2 * size_of::<u32>() + size_of::<bool>())
    }

    /// Arranges recordings, each `[T, levels]` of codes below `size`; none if they have no frame.
    pub(super) fn new<'a>(
        recordings: impl Iterator<Item = &'a [u16]>,
        levels: usize,
        size: usize,
    ) -> Option<Self> {
        let (mut codes, mut last) = (Vec::new(), Vec::new());
        for recording in recordings {
            assert_eq!(recording.len() % levels, 0, "codes are [T, N]");
            let frames = recording.len() / levels;
            codes.extend_from_slice(recording);
            last.extend((1..=frames).map(|t| t == frames));
        }
        assert!(codes.iter().all(|&code| usize::from(code) < size), "codes are below K");
        let frame = |t: u32| &codes[t as usize * levels..][..levels];
        let mut order: Vec<u32> = (0..u32::try_from(last.len()).ok()?).collect();
        order.sort_unstable_by(|&a, &b| frame(a).cmp(frame(b)).then(a.cmp(&b)));
        let before = |code: usize| order.partition_point(|&t| usize::from(frame(t)[0]) < code);
        let first = (0..=size).map(|code| u32::try_from(before(code)).unwrap_or(u32::MAX));
        let first = first.collect();
        (!last.is_empty()).then_some(Self { levels, codes, order, first, last })
    }

    /// What the code of the frame with which a recording goes on gains, in nats, if so much is recalled, 0 to 1:
    /// [`PULL`] for all, and for less the less, the fewer frames there are. Where nothing is left of it,
    /// nothing is recalled: a minute of sound is from 0.28 on.
    fn pull(&self, recall: f32) -> Option<f32> {
        let lost = LOST * (MANY / self.last.len() as f32).ln().max(0.0);
        Some(PULL * recall - lost * (1.0 - recall)).filter(|pull| *pull > 0.0)
    }

    /// The code that frame `t` has in `level`.
    fn code(&self, t: u32, level: usize) -> u32 {
        self.codes[t as usize * self.levels + level].into()
    }

    /// Visits the codes that frames of `range`, alike in all levels before, have in `level`.
    fn visit(&self, range: &Range<usize>, level: usize, mut visit: impl FnMut(u32)) {
        if level == 0 {
            let is_there = |code: &u32| {
                let [from, to] = [0, 1].map(|next| self.first[*code as usize + next]);
                from < to
            };
            return (0..).take(self.first.len() - 1).filter(is_there).for_each(visit);
        }
        let mut rest = &self.order[range.clone()];
        while let Some(&t) = rest.first() {
            let code = self.code(t, level);
            visit(code);
            rest = &rest[rest.partition_point(|&t| self.code(t, level) <= code)..];
        }
    }

    /// Those of `range`, alike in all levels before, that have `code` in `level`.
    fn narrow(&self, range: &Range<usize>, level: usize, code: u32) -> Range<usize> {
        let frames = &self.order[range.clone()];
        let from = frames.partition_point(|&t| self.code(t, level) < code);
        let to = frames.partition_point(|&t| self.code(t, level) <= code);
        range.start + from..range.start + to
    }
}

/// Where in the recordings a take is.
#[derive(Debug)]
pub(crate) struct Recall {
    recordings: Arc<Recordings>,
    /// The frame that goes on from the newest one, if that is of a recording.
    next: Option<u32>,
    /// What the code of that frame gains, in nats; nothing if nothing is recalled.
    pull: Option<f32>,
    /// Frames, in their order, that have the first `levels` codes of the coming frame.
    range: Range<usize>,
    levels: usize,
    /// Whether `next` is one of them.
    follows: bool,
    /// Codes that lead to one of them: `[K]`.
    allowed: Vec<bool>,
}

impl Recall {
    /// Nowhere in them yet.
    pub(super) fn new(recordings: &Arc<Recordings>) -> Self {
        Self {
            allowed: vec![false; recordings.first.len() - 1],
            recordings: Arc::clone(recordings),
            next: None,
            pull: None,
            range: 0..0,
            levels: 0,
            follows: false,
        }
    }

    /// Back to nowhere. Real-time safe.
    pub(super) fn reset(&mut self) {
        self.next = None;
    }

    /// Comes to the next frame, with which perhaps something begins. Real-time safe.
    pub(super) fn begin(&mut self, sampling: &Sampling, begins: bool) {
        self.next = self.next.filter(|_| !begins);
        self.pull = self.recordings.pull(sampling.clamped().recall);
        (self.range, self.levels) = (0..self.recordings.order.len(), 0);
        self.follows = self.next.is_some();
    }

    /// Leaves of the logits, `[K]`, of the level after those `before` what leads to a frame of a recording;
    /// the code of the frame that goes on from the newest gains. Real-time safe.
    pub(super) fn apply(&mut self, before: &[u32], logits: &mut [f32]) {
        let Some(pull) = self.pull else { return };
        self.narrow(before);
        if self.range.is_empty() {
            return;
        }
        let Self { recordings, range, levels, allowed, .. } = self;
        allowed.fill(false);
        recordings.visit(range, *levels, |code| allowed[code as usize] = true);
        for (logit, _) in logits.iter_mut().zip(allowed).filter(|(_, allowed)| !**allowed) {
            *logit = f32::NEG_INFINITY;
        }
        if let Some(next) = self.next.filter(|_| self.follows) {
            logits[self.recordings.code(next, self.levels) as usize] += pull;
        }
    }

    /// Ends the frame, which has `codes`. Real-time safe.
    pub(super) fn end(&mut self, codes: &[u32]) {
        if self.pull.is_none() {
            return self.reset();
        }
        self.narrow(codes.split(|code| *code == ABSENT).next().unwrap_or_default());
        let found = self.recordings.order.get(self.range.clone()).and_then(|found| found.first());
        let newest = if self.follows { self.next } else { found.copied() };
        let goes_on = |t: &u32| !self.recordings.last[*t as usize];
        self.next = newest.filter(goes_on).map(|t| t + 1);
    }

    /// Keeps the frames that have `codes` in their first levels.
    fn narrow(&mut self, codes: &[u32]) {
        let recordings = &self.recordings;
        for (level, &code) in codes.iter().enumerate().skip(self.levels) {
            self.range = recordings.narrow(&self.range, level, code);
            self.follows &= self.next.is_some_and(|next| recordings.code(next, level) == code);
        }
        self.levels = self.levels.max(codes.len());
    }
}
