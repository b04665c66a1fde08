//! A take: one endless piece of new sound.

use std::sync::Arc;

use super::random::TakeKey;
use super::sampling::Sampling;
use super::{Decoder, Model, ModelError, PriorPlayer};

/// One endless piece of new sound: what the prior invents, decoded.
///
/// It is a function of the model, its key and the sampling of each step, and of nothing else.
pub struct Take {
    prior: PriorPlayer,
    decoder: Decoder,
    key: TakeKey,
    /// The newest model frame: `[N]`.
    codes: Vec<u32>,
    channels: usize,
    hop: usize,
    delay: usize,
    /// The newest sound, planar `[C, hop]`; the end of it is still to be played.
    sound: Vec<f32>,
}

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
            sound: vec![0.0; channels * hop],
            prior: PriorPlayer::new(Arc::clone(&model))?,
            decoder: Decoder::new(model),
            key,
            channels,
            hop,
            delay,
        })
    }

    /// Starts another take in the same place. Real-time safe.
    pub fn restart(&mut self, key: TakeKey) {
        self.prior.reset();
        self.decoder.reset();
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
        assert_eq!(out.len(), self.channels * self.hop, "a step plays [C, hop]");
        // Sound comes `lead` frames late, less the `early` samples at the end of them.
        let lead = self.delay.div_ceil(self.hop);
        let early = lead * self.hop - self.delay;
        if self.prior.frames() == 0 {
            (0..lead).for_each(|_| self.advance(sampling));
        }
        for (out, sound) in out.chunks_exact_mut(self.hop).zip(self.sound.chunks(self.hop)) {
            out[..early].copy_from_slice(&sound[self.hop - early..]);
        }
        self.advance(sampling);
        for (out, sound) in out.chunks_exact_mut(self.hop).zip(self.sound.chunks(self.hop)) {
            out[early..].copy_from_slice(&sound[..self.hop - early]);
        }
    }

    /// Codes of the newest frame, coarse to fine: `[N]`. It is ahead of the newest sound by the
    /// delay of the codec.
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Makes the next frame.
    fn advance(&mut self, sampling: &Sampling) {
        self.prior.step(self.key, sampling, &mut self.codes);
        self.decoder.decode_frame(&self.codes, &mut self.sound);
    }
}
