//! The trainer: a folder of recordings in, a bundle out.
//!
//! Data flows one way: files → [`corpus`] → training → bundle → player → [`audio`] files.
//! The program `distill` ([`cli`]) is a thin shell around these modules.

pub mod audio;
pub mod corpus;
pub mod events;

/// The musician stopped the run.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Cancelled;
