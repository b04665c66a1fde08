//! The trainer: a folder of recordings in, a bundle out.
//!
//! Data flows one way: files → [`corpus`] → training → bundle → player → [`audio`] files.
//! The program `distill` ([`cli`]) is a thin shell around these modules.

pub mod audio;
pub mod budget;
pub mod cli;
pub mod clip;
pub mod codes_file;
pub mod corpus;
pub mod date;
pub mod descriptors;
pub mod device;
pub mod environment;
pub mod evaluate;
pub mod events;
pub mod health;
pub mod listeners;
pub mod log;
mod numbered;
pub mod pipeline;
pub mod progress;
pub mod ranks;
pub mod render;
pub mod report;
pub mod run_dir;
pub mod settings;
pub mod sizes;
pub mod stop;
pub mod train;
