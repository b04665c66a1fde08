//! What the commands that train have in common.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::interrupt::stop_flag;
use crate::device::{DeviceChoice, cores};
use crate::listeners::Listeners;
use crate::log::Log;
use crate::pipeline::Session;
use crate::progress::Display;

/// Arguments of every command that trains.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Seed: the same seed and numbers of steps train the same model
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads to compute with; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// What to compute on
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Write every event of training to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print one JSON object when done
    #[arg(long)]
    pub(super) json: bool,
    /// Tell nothing on the way but warnings
    #[arg(long)]
    quiet: bool,
}

impl RunArgs {
    /// Prepares a run.
    pub(super) fn session(&self) -> Result<Session<'static>> {
        let device = self.device.open()?;
        let log = self.log.as_deref().map(Log::create).transpose()?;
        let display = if self.quiet { Display::quiet() } else { Display::new() };
        Ok(Session {
            device,
            threads: self.threads.map_or_else(cores, usize::from),
            seed: self.seed,
            cancel: stop_flag("what has been learnt is saved")?,
            listeners: Listeners { display, log, ..Listeners::default() },
        })
    }
}
