//! Codes: what the codec writes and the prior reads, `[T, N]` in time-major order.
//!
//! Level 0 is the coarsest quantizer. Frame after frame, and inside a frame coarse to fine: the
//! order in which the prior speaks, so that a prefix of the sequence is a prefix in time.

use std::ops::Range;

/// In the place of a code: this level tells nothing about the frame. A player that was asked for
/// fewer levels writes it; no recording and no bundle holds it.
pub const ABSENT: u32 = u32::MAX;

/// The codes of one recording, `[T, N]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Codes {
    quantizers: usize,
    data: Vec<u32>,
}

impl Codes {
    /// Creates an empty sequence for `quantizers` levels.
    ///
    /// # Panics
    ///
    /// Panics if `quantizers` is zero.
    #[must_use]
    pub fn new(quantizers: usize) -> Self {
        assert!(quantizers > 0, "a codec has at least one quantizer");
        Self { quantizers, data: Vec::new() }
    }

    /// Number of levels, `N`.
    #[must_use]
    pub fn quantizers(&self) -> usize {
        self.quantizers
    }

    /// Number of frames, `T`.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.data.len() / self.quantizers.max(1)
    }

    /// Codes of frame `t`, coarse to fine: `[N]`.
    ///
    /// # Panics
    ///
    /// Panics if `t` is not below [`Self::frames`].
    #[must_use]
    pub fn frame(&self, t: usize) -> &[u32] {
        &self.data[t * self.quantizers..(t + 1) * self.quantizers]
    }

    /// Codes of frame `t`, or none at all if every level of it is [`ABSENT`]: then what sounded goes on
    /// as it is. Real-time safe.
    ///
    /// # Panics
    ///
    /// As [`Self::frame`].
    #[must_use]
    pub fn told(&self, t: usize) -> &[u32] {
        let frame = self.frame(t);
        if frame.iter().all(|code| *code == ABSENT) { &[] } else { frame }
    }

    /// Appends a frame.
    ///
    /// # Panics
    ///
    /// Panics if `frame` does not hold one code per quantizer.
    pub fn push(&mut self, frame: &[u32]) {
        assert_eq!(frame.len(), self.quantizers, "one code per quantizer");
        self.data.extend_from_slice(frame);
    }

    /// The first `frames` frames, or all if there are no more.
    #[must_use]
    pub fn first(&self, frames: usize) -> Self {
        let end = self.frames().min(frames) * self.quantizers;
        Self { quantizers: self.quantizers, data: self.data[..end].to_vec() }
    }

    /// The last `frames` frames, or all if there are no more.
    #[must_use]
    pub fn last(&self, frames: usize) -> Self {
        let from = self.frames().saturating_sub(frames) * self.quantizers;
        Self { quantizers: self.quantizers, data: self.data[from..].to_vec() }
    }

    /// The frames of `frames`, as far as there are any.
    #[must_use]
    pub fn slice(&self, frames: Range<usize>) -> Self {
        let all = self.frames();
        let [start, end] = [frames.start, frames.end].map(|at| at.min(all) * self.quantizers);
        Self { quantizers: self.quantizers, data: self.data[start..end.max(start)].to_vec() }
    }

    /// The code of `level` in frame `t`, if there is one.
    #[must_use]
    pub fn get(&self, t: usize, level: usize) -> Option<u32> {
        (t < self.frames() && level < self.quantizers).then(|| self.frame(t)[level])
    }

    /// Puts `code` in the place of the one of `level` in frame `t`; outside, it changes nothing.
    pub fn set(&mut self, t: usize, level: usize, code: u32) {
        if t < self.frames() && level < self.quantizers {
            self.data[t * self.quantizers + level] = code;
        }
    }

    /// Whether a codec of `quantizers` levels of `size` entries knows all of these codes.
    #[must_use]
    pub fn fit(&self, quantizers: usize, size: usize) -> bool {
        let known = |code: &u32| *code == ABSENT || (*code as usize) < size;
        self.quantizers == quantizers && self.data.iter().all(known)
    }

    /// All codes, time-major: frame 0 coarse to fine, then frame 1.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.data
    }
}

/// Lays codes out as one time-major sequence, `[T * N]`.
#[must_use]
pub fn flatten_codes(codes: &Codes) -> Vec<u32> {
    codes.data.clone()
}

/// Reads a time-major sequence back into codes; the inverse of [`flatten_codes`].
///
/// Returns `None` if the length of `flat` is not a multiple of `quantizers`, or `quantizers` is 0.
#[must_use]
pub fn unflatten_codes(flat: &[u32], quantizers: usize) -> Option<Codes> {
    (quantizers > 0 && flat.len().is_multiple_of(quantizers))
        .then(|| Codes { quantizers, data: flat.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattened_codes_run_through_time_first() {
        let mut codes = Codes::new(2);
        codes.push(&[1, 2]);
        codes.push(&[3, 4]);
        assert_eq!(flatten_codes(&codes), [1, 2, 3, 4]);
        assert_eq!(unflatten_codes(&[1, 2, 3, 4], 2), Some(codes));
    }

    #[test]
    fn what_lies_outside_is_neither_read_nor_written() {
        let mut codes = unflatten_codes(&[1, 2, 3, 4, 5, 6], 2).expect("three frames");
        codes.set(3, 0, 9);
        codes.set(0, 2, 9);
        codes.set(1, 1, 9);
        assert_eq!(codes.as_slice(), [1, 2, 3, 9, 5, 6]);
        assert_eq!([codes.get(1, 1), codes.get(3, 0), codes.get(0, 2)], [Some(9), None, None]);
        assert_eq!(codes.slice(1..9).as_slice(), [3, 9, 5, 6]);
        assert_eq!(codes.slice(5..9).frames(), 0);
    }

    #[test]
    fn a_frame_of_which_every_level_is_absent_tells_nothing() {
        let codes = unflatten_codes(&[1, ABSENT, ABSENT, ABSENT], 2).expect("two frames");
        assert_eq!([codes.told(0), codes.told(1)], [&[1, ABSENT][..], &[]]);
    }

    #[test]
    fn a_codec_knows_codes_below_its_size_and_absent_ones() {
        let codes = unflatten_codes(&[1, ABSENT, 3, 0], 2).expect("two frames");
        assert!(codes.fit(2, 4));
        assert!(!codes.fit(2, 3) && !codes.fit(4, 4));
    }

    #[test]
    fn a_ragged_sequence_is_not_codes() {
        assert_eq!(unflatten_codes(&[1, 2, 3], 2), None);
        assert_eq!(unflatten_codes(&[], 0), None);
    }
}
