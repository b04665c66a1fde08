//! What trainer and plugin agree on: the model, how it plays, and the `.distill` file.
//!
//! Data flows one way: files → corpus → batches → model → bundle → player → stream → engine → host.
//! This crate holds the three in the middle, without threads, clock or interface:
//!
//! * [`model`]: the sizes of codec and prior, and (feature `candle`) the trainable networks.
//! * [`bundle`]: the file that carries them.
//! * [`player`]: the same networks one frame at a time, for one thread beside a DAW.
//!
//! [`codes`] is the language in which codec and prior speak to each other.

pub mod bundle;
pub mod codes;
pub mod codes_file;
pub mod companding;
pub mod fingerprint;
#[cfg(feature = "flac")]
pub mod flac;
pub mod library;
pub mod math;
pub mod model;
pub mod phases;
pub mod plain;
pub mod player;
pub mod preset;
pub mod quantizer;
pub mod room;
pub mod stft;
pub mod tags;
pub mod whole_file;
