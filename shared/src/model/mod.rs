//! The model: a codec that turns sound into codes and back, and a prior that continues codes.

pub mod config;
