//! The player: the trained networks one frame at a time, on one thread, beside a DAW that wants
//! the processor.
//!
//! A [`Model`] is packed once and shared. A [`Take`] plays new sound from it: [`PriorPlayer`]
//! continues the codes, [`Decoder`] turns them into samples. After their creation they allocate
//! nothing, and however the work is cut into calls, and however many takes are made together, it
//! gives the same bits.
//!
//! `docs/architecture.md` has the mathematics; the trainable networks are the reference.

mod avoided;
mod blend;
mod blocks;
mod bounds;
mod copying;
mod decoder;
mod elements;
mod encoder;
mod ends;
mod guide;
mod infill;
mod kernel;
mod model;
mod playback;
mod powers;
mod prior;
mod random;
mod random_weights;
mod recall;
mod sampling;
mod take;
mod target;
mod transformer;
mod voicing;
mod weights;

pub use blend::Blended;
pub use copying::{CopyCheck, Copying, KeptCorpus};
pub use decoder::{Decoder, NextSound, decode};
pub use encoder::{Encoder, encode, latents};
pub use infill::{GivenCodes, infill, infill_while};
pub use model::{Model, ModelError, instruction_sets};
pub use playback::Playback;
pub use prior::{NextCodes, PriorPlayer};
pub use random::{TakeKey, philox, uniform};
pub use random_weights::random_weights;
pub use sampling::{GROUPS, Group, Sampling};
pub use take::{NextStep, Take};

/// Most takes that can be made together.
pub const VOICES: usize = 8;
