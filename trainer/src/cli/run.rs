//! What the commands that train have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::duration;
use super::interrupt::stop_flag;
use crate::device::{DeviceChoice, cores};
use crate::listeners::Listeners;
use crate::log::Log;
use crate::pipeline::Session;
use crate::progress::Display;
use crate::run_dir::{FoundRun, RunDir, Start};

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
    /// Drop what an interrupted run has left, and begin anew
    #[arg(long, conflicts_with = "accept_changes")]
    fresh: bool,
    /// Go on with an interrupted run although recordings or settings have changed since it began
    #[arg(long)]
    accept_changes: bool,
    /// Time between the checkpoints that an interrupted run goes on from; with 0s there is one after
    /// every step
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::interval)]
    checkpoint_every: Duration,
    /// Print one JSON object when done
    #[arg(long)]
    pub(super) json: bool,
    /// Tell nothing on the way but warnings
    #[arg(long)]
    quiet: bool,
}

impl RunArgs {
    /// Prepares a run whose directory is `run_dir`.
    pub(super) fn session(&self, run_dir: PathBuf) -> Result<Session<'static>> {
        let device = self.device.open()?;
        let found = match (self.fresh, self.accept_changes) {
            (true, _) => FoundRun::Drop,
            (_, true) => FoundRun::Accept,
            _ => FoundRun::Resume,
        };
        let run_dir = RunDir::open(run_dir, Start { found, every: self.checkpoint_every })?;
        let log = if run_dir.resumes() { Log::go_on } else { Log::create };
        let log = self.log.as_deref().map(log).transpose()?;
        let display = if self.quiet { Display::quiet() } else { Display::new() };
        Ok(Session {
            device,
            threads: self.threads.map_or_else(cores, usize::from),
            seed: self.seed,
            cancel: stop_flag("what has been learnt is saved")?,
            program: std::env::current_exe().ok(),
            listeners: Listeners { display, log },
            run_dir: Some(run_dir),
            diverged: None,
        })
    }

    /// What decides the outcome of any run in `session`, by names of options.
    pub(super) fn settings(&self, session: &Session) -> BTreeMap<String, String> {
        let texts = [
            ("distill", env!("CARGO_PKG_VERSION").to_owned()),
            ("--seed", self.seed.to_string()),
            ("--device", session.device.name.to_owned()),
        ];
        texts.map(|(name, text)| (name.to_owned(), text)).into()
    }
}

/// The options that were given of those that were not left to the program, by name.
pub(super) fn given(overrides: &impl Serialize) -> Result<BTreeMap<String, String>> {
    let Value::Object(fields) = serde_json::to_value(overrides)? else {
        return Ok(BTreeMap::new());
    };
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    let option = |field: String| format!("--{}", field.replace('_', "-"));
    Ok(given.map(|(field, value)| (option(field), value.to_string())).collect())
}
