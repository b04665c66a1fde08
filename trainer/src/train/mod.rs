//! Training: from a corpus to the weights of codec and prior.
//!
//! Each update is a function of (config, corpus, seed, step) alone. A batch is cut into parts of a
//! fixed size, whatever the number of threads, and what the parts find is added up in their order:
//! one thread or eight, the weights end the same. [Ranks] that train together have some of the parts
//! each; their sums are rounded otherwise.

mod astray;
mod bounds;
pub mod codebooks;
pub mod codec;
mod crops;
mod depth;
mod draw;
mod guide;
mod init;
mod keep;
mod keeper;
mod learner;
mod level;
pub mod loss;
mod optimizer;
mod pieces;
mod principal;
pub mod prior;
mod quantize;
mod reading;
mod schedule;
mod state;
mod target;
mod vary;
mod watch;
mod workers;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use candle_core::Device;

pub use codec::{Base, Beginning, CodecPlan, TrainedCodec, train_codec};
pub use guide::guide_of_rest;
pub use keep::{KeptParts, keep_corpus};
pub use keeper::{Begun, Changed, Keeper, Unkept};
pub(crate) use prior::{END_BIAS, GUIDE};
pub use prior::{KnownCodec, PriorPlan, TrainedPrior, train_prior};
pub use reading::{
    corpus_counts, corpus_use, extract_code_sequences, listen_to_codes, quantizer, reading_pace,
};
pub use schedule::Length;
pub use state::{Stage, State};

use crate::events::TrainingEvent;
use crate::ranks::Ranks;

/// What a stage of training runs on and reports to.
pub struct Run<'a> {
    /// Where tensors live.
    pub device: &'a Device,
    /// Threads to compute with; does not change results.
    pub threads: usize,
    /// The processes that train together.
    pub ranks: &'a dyn Ranks,
    /// Once set, training ends after the current update and keeps what it has.
    pub cancel: &'a AtomicBool,
    /// Keeps what a stage has come to, so that it can go on from there, if that is wanted.
    pub keeper: Option<&'a mut dyn Keeper>,
    /// Hears what happens.
    pub events: &'a mut dyn FnMut(TrainingEvent),
}

impl Run<'_> {
    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Whether training ends, since its course is over or it was cancelled, here or on any other rank.
    fn ends(&self, over: bool) -> Result<bool> {
        let [over, cancelled] = self.ranks.any([over, self.cancelled()])?;
        if cancelled {
            self.cancel.store(true, Ordering::Relaxed);
        }
        Ok(over || cancelled)
    }
}

/// The loss stopped being finite, or exploded, and going back did not mend it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the loss became {loss} at step {step}; try a lower --codec-lr or --prior-lr")]
pub struct Diverged {
    /// The loss.
    pub loss: f64,
    /// The update at which it happened.
    pub step: u32,
}

/// A codec small enough to see through: what tests begin from.
#[cfg(test)]
pub(crate) fn toy_codec() -> distill_shared::model::config::CodecConfig {
    distill_shared::model::config::CodecConfig {
        sample_rate: 48_000,
        channels: 1,
        fft_size: 16,
        stft_hop: 4,
        stride: 2,
        width: 8,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 7,
        expansion: 2,
        latent_dim: 2,
        quantizers: 2,
        codebook_size: 4,
        memory: None,
        coherence: 0.5,
        power_bands: 2,
        power: 1.0,
        gain: 1.0,
    }
}
