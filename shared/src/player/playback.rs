//! Playback: codes as they are, without a prior.

use std::ops::Range;
use std::sync::Arc;

use super::{Decoder, Model};
use crate::codes::Codes;

/// Frames before the first one that are decoded to nobody, so that it sounds as it does in the whole.
const BEFORE: usize = 64;

/// Codes being played, one frame at a time: what a [`Take`](super::Take) through all of them plays, at
/// the cost of the decoder alone.
///
/// A frame with no code at all goes on as it is, as a take does that is frozen. After its last frame
/// it is silent, or begins again without a seam.
pub struct Playback {
    decoder: Decoder,
    codes: Arc<Codes>,
    /// The frames that are played.
    frames: Range<usize>,
    looped: bool,
    /// The next frame to decode; ahead of what is heard by the delay of the codec.
    next: usize,
    /// The next frame to be heard.
    heard: usize,
    /// The frame that was heard last, unless all is over.
    newest: Option<usize>,
    begins: bool,
    channels: usize,
    hop: usize,
    delay: usize,
    /// The newest sound, planar `[C, hop]`; the end of it is still to be played.
    sound: Vec<f32>,
}

impl Playback {
    /// Prepares to play `frames` of `codes`, as far as there are any: once, or again and again.
    /// None if there is nothing to play, or `codes` are not those of a codec like the one of `model`.
    #[must_use]
    pub fn new(
        model: &Arc<Model>,
        codes: &Arc<Codes>,
        frames: Range<usize>,
        looped: bool,
    ) -> Option<Self> {
        let codec = &model.config().codec;
        let (channels, hop, delay) = (codec.channels, codec.hop(), codec.delay());
        let frames = frames.start..frames.end.min(codes.frames());
        let plays = !frames.is_empty() && codes.fit(codec.quantizers, codec.codebook_size);
        plays.then(|| Self {
            decoder: Decoder::new(Arc::clone(model)),
            codes: Arc::clone(codes),
            next: frames.start.saturating_sub(BEFORE),
            heard: frames.start,
            newest: None,
            frames,
            looped,
            begins: true,
            channels,
            hop,
            delay,
            sound: vec![0.0; channels * hop],
        })
    }

    /// Whether all has been played.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.heard >= self.frames.end
    }

    /// Codes of the frame that the last step played: `[N]`; nothing after the last, or before the
    /// first.
    #[must_use]
    pub fn heard_codes(&self) -> &[u32] {
        self.newest.map_or(&[], |t| self.codes.frame(t))
    }

    /// Plays the next `hop` samples into `out`, planar `[C, hop]`. The last ones fade.
    ///
    /// # Panics
    ///
    /// Panics if `out` is not `[C, hop]`.
    pub fn step(&mut self, out: &mut [f32]) {
        assert_eq!(out.len(), self.channels * self.hop, "a step plays [C, hop]");
        self.newest = (!self.is_over()).then_some(self.heard);
        if self.is_over() {
            out.fill(0.0);
            return;
        }
        let lead = self.delay.div_ceil(self.hop);
        if std::mem::take(&mut self.begins) {
            while self.next < self.frames.start + lead {
                self.decode();
            }
        }
        let (hop, early) = (self.hop, lead * self.hop - self.delay);
        for (out, sound) in out.chunks_exact_mut(hop).zip(self.sound.chunks(hop)) {
            out[..early].copy_from_slice(&sound[hop - early..]);
        }
        self.decode();
        for (out, sound) in out.chunks_exact_mut(hop).zip(self.sound.chunks(hop)) {
            out[early..].copy_from_slice(&sound[..hop - early]);
        }
        self.heard += 1;
        if self.heard == self.frames.end {
            if self.looped {
                self.heard = self.frames.start;
            } else {
                fade(out, hop);
            }
        }
    }

    /// Decodes the next frame; behind the last one the first comes again, or the last goes on.
    fn decode(&mut self) {
        let (first, end) = (self.frames.start, self.frames.end);
        let there = self.next < end || self.looped;
        let at =
            if self.next < end { self.next } else { first + (self.next - first) % (end - first) };
        self.next += 1;
        let codes = if there { self.codes.told(at) } else { &[] };
        self.decoder.decode_or_go_on(codes, &mut self.sound);
    }
}

/// Fades the end of a frame to silence, along a quarter of it: some milliseconds.
fn fade(out: &mut [f32], hop: usize) {
    let len = hop.div_ceil(4);
    for channel in out.chunks_exact_mut(hop) {
        for (n, sample) in channel[hop - len..].iter_mut().enumerate() {
            *sample *= 1.0 - (n + 1) as f32 / len as f32;
        }
    }
}
