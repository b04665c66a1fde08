//! The bundle that comes with the instrument.

/// The file, or nothing if this build was made without one.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/factory.distill"));
