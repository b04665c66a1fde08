//! The model: a codec that turns sound into codes and back, and a prior that continues codes.
//!
//! [`config`] holds the sizes. The rest, behind the feature `candle`, is the trainable model and
//! the reference for [`crate::player`]. All tensors are channels-last. Layers with a fast CPU form
//! are custom operations with a hand-written gradient; each has a plain form beside it that other
//! devices run and that the tests compare with.

pub mod conditioning;
pub mod config;
pub mod copying;
pub mod pitches;

#[cfg(feature = "candle")]
pub mod attention;
#[cfg(feature = "candle")]
pub mod codec;
#[cfg(feature = "candle")]
pub mod conv;
#[cfg(feature = "candle")]
mod cross_entropy;
#[cfg(feature = "candle")]
pub mod layers;
#[cfg(feature = "candle")]
pub mod ops;
#[cfg(feature = "candle")]
pub mod prior;
#[cfg(feature = "candle")]
mod target;
#[cfg(feature = "candle")]
pub mod weights;

#[cfg(all(test, feature = "candle"))]
mod gradient_check;
