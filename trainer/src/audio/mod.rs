//! Sound files: reading any, resampling, writing.

pub mod decode;
pub mod decoder_process;
pub mod export;
pub mod resample;
