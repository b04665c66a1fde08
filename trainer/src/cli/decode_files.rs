//! `distill decode-files`: what `distill` starts to decode files apart from itself.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::exit::Ending;
use crate::audio::decoder_process::{PATIENCE_S, decode_for_another};

/// Decodes sound files for another process of this program
#[derive(Debug, Args)]
pub(super) struct DecodeFilesArgs {
    /// The files
    files: Vec<PathBuf>,
    /// Seconds that a file may take, and as many more as it has megabytes
    #[arg(long, value_name = "N", default_value_t = PATIENCE_S)]
    patience: u64,
}

impl DecodeFilesArgs {
    pub(super) fn run(self) -> Result<Ending> {
        decode_for_another(&self.files, self.patience).context("cannot write what was decoded")?;
        Ok(Ending::Done)
    }
}
