//! What crosses crates: a host that plays the built CLAP, and what it takes to judge the result.
//!
//! * [`host`]: loads the instrument as a DAW would, plays a [`phrase`] on it, saves its state.
//! * `vst3`: the same for the VST3, in a host of our own, on Linux.
//! * [`sound`]: what was heard, its level, as a WAV file.
//! * `screen`: an X display, on which the instrument's window opens, on Linux.
//! * `memory`: how much of it a process has, on Linux.
//! * `keys`: what libraries leave behind in a process, on Linux.
//! * [`copying`]: whether its takes repeat a recording of the corpus.
//! * [`takes`]: the codes that were played.
//! * [`picture`]: a spectrogram above, the codes below.
//!
//! The program `distill-play` puts them together for `cargo xtask demo`; the tests beside this
//! crate use them on the factory bundle.

pub mod copying;
mod dice;
mod endured;
pub mod host;
#[cfg(target_os = "linux")]
pub mod keys;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod phrase;
pub mod picture;
#[cfg(target_os = "linux")]
pub mod screen;
pub mod sound;
pub mod takes;
#[cfg(target_os = "linux")]
pub mod vst3;

pub use endured::Endured;
