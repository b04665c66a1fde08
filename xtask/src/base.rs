//! `cargo xtask base`: a codec of many kinds of sound, made from nothing but this recipe, whose layers
//! `distill train --base` begins with.

mod corpus;
mod score;
mod synthesis;

use std::time::Instant;

use anyhow::Result;

use crate::program::{built, cargo, run as run_program, target_dir};

/// Samples of a second.
const SAMPLE_RATE: u32 = 48_000;
/// The same, to compute with.
const RATE: f64 = SAMPLE_RATE as f64;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Time to train for, such as 15m or 1h; a run that was interrupted goes on
    #[arg(long, default_value = "15m")]
    budget: String,

    /// Seed of the sounds and of the training
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Make the sounds, and no more
    #[arg(long)]
    sounds_only: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let step = |what: &str| println!("\n== {what} ({} s)", start.elapsed().as_secs());
    let sounds = target_dir().join("base/sounds");
    step("making sounds");
    corpus::prepare(&sounds, options.seed)?;
    if options.sounds_only {
        return Ok(());
    }
    step("building the trainer");
    run_program(&mut cargo("build --release -p distill-trainer"))?;
    step("training");
    let base = target_dir().join("base/base.distill");
    let mut train = built("distill");
    train.arg("train").arg(&sounds).args(["--stage", "codec"]);
    train.args(["--no-corpus-codes", "--name", "Base", "--budget", &options.budget]);
    train.args(["--seed", &options.seed.to_string()]);
    // Layers that a few minutes can fit to a corpus; they could come with the program: 8 MB.
    train.args(["--width", "192", "--encoder-blocks", "3", "--decoder-blocks", "6"]);
    train.args(["--latent-dim", "128", "--quantizers", "16", "--codebook-size", "256"]);
    run_program(train.arg("--output").arg(&base))?;
    println!("\nDone in {} s: {}", start.elapsed().as_secs(), base.display());
    Ok(())
}
