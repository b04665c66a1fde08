//! `cargo xtask bench`: the figures of `docs/measurements.md`.

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(_options: &Options) -> Result<()> {
    Ok(())
}
