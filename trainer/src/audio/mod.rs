//! Sound files: reading any, resampling, writing.

pub mod decode;
pub mod export;
pub mod resample;
