//! Infill: a take that goes through given codes, and draws only what is left open.

use std::ops::Range;
use std::sync::Arc;

use super::{Model, ModelError, Sampling, Take, TakeKey};
use crate::codes::{ABSENT, Codes};

/// Codes that a take goes through: in each frame, from the first of the take, some levels have a
/// code, and the others are left open. After the last frame everything is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenCodes {
    quantizers: usize,
    /// `[T, N]`.
    codes: Vec<Option<u32>>,
    /// How many of them are given.
    given: usize,
    /// Frames that are those of a clip, whatever is left open in them.
    clip: usize,
}

impl GivenCodes {
    /// All of `codes`.
    #[must_use]
    pub fn new(codes: &Codes) -> Self {
        let (given, clip) = (codes.as_slice().len(), codes.frames());
        let all = codes.as_slice().iter().copied().map(Some).collect();
        Self { quantizers: codes.quantizers(), codes: all, given, clip }
    }

    /// Leaves `levels`, 0 being the coarsest, of `frames` open. What lies outside is passed over. If that
    /// is everything, the take is one through nothing.
    pub fn open(&mut self, frames: Range<usize>, levels: Range<usize>) {
        for t in frames.start..frames.end.min(self.frames()) {
            let frame = &mut self.codes[t * self.quantizers..][..self.quantizers];
            let levels = levels.start.min(frame.len())..levels.end.min(frame.len());
            let opened = frame.get_mut(levels).unwrap_or_default();
            self.given -= opened.iter().flatten().count();
            opened.fill(None);
        }
        if self.given == 0 {
            self.clip = 0;
        }
    }

    /// Adds `frames` frames after the last, all of them open.
    pub fn go_on(&mut self, frames: usize) {
        self.codes.resize(self.codes.len() + frames * self.quantizers, None);
    }

    /// Number of levels, `N`.
    #[must_use]
    pub fn quantizers(&self) -> usize {
        self.quantizers
    }

    /// Number of frames, `T`.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.codes.len() / self.quantizers.max(1)
    }

    /// Whether frame `t` is after the clip, so that a take may begin anew there. Real-time safe.
    #[must_use]
    pub fn is_free(&self, t: u64) -> bool {
        t >= self.clip as u64
    }

    /// Whether frame `t` is given, and tells nothing: what sounded before it goes on as it is, and the
    /// prior hears nothing of it, as in a take that is frozen. Real-time safe.
    #[must_use]
    pub fn is_frozen(&self, t: u64) -> bool {
        let frame = self.frame(t);
        !frame.is_empty() && frame.iter().all(|code| *code == Some(ABSENT))
    }

    /// Codes of frame `t`, coarse to fine: `[N]`, or nothing after the last. Real-time safe.
    #[must_use]
    pub fn frame(&self, t: u64) -> &[Option<u32>] {
        let start = usize::try_from(t).ok().and_then(|t| t.checked_mul(self.quantizers));
        let rest = start.and_then(|start| self.codes.get(start..)).unwrap_or_default();
        &rest[..rest.len().min(self.quantizers)]
    }
}

/// Draws what `given` leaves open: the codes of a take through it, as many frames as it has.
///
/// [`decode`](super::decode) of them is what the take plays.
///
/// # Errors
///
/// Fails if the model has no prior.
///
/// # Panics
///
/// As [`Take::through`].
pub fn infill(
    model: Arc<Model>,
    key: TakeKey,
    sampling: &Sampling,
    given: GivenCodes,
) -> Result<Codes, ModelError> {
    infill_while(model, key, sampling, given, || true)
}

/// As [`infill`], as long as `goes_on` says so before a frame is drawn; what has been drawn by then is
/// returned.
///
/// # Errors
///
/// As [`infill`].
///
/// # Panics
///
/// As [`infill`].
pub fn infill_while(
    model: Arc<Model>,
    key: TakeKey,
    sampling: &Sampling,
    given: GivenCodes,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Codes, ModelError> {
    let (quantizers, frames) = (given.quantizers(), given.frames());
    let mut take = Take::through(model, key, Arc::new(given))?;
    let mut codes = Codes::new(quantizers.max(1));
    for _ in (0..frames).take_while(|_| goes_on()) {
        take.advance_one(sampling);
        codes.push(take.newest_codes());
    }
    Ok(codes)
}
