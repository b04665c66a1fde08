//! `cargo xtask demo`: from a folder of recordings to the instrument playing in a host.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::bundle::{self, Packages};
use crate::program::{built, cargo, run as run_program, target_dir};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Steps of the codec
    #[arg(long, value_name = "N", default_value_t = 400)]
    codec_steps: u32,

    /// Steps of the prior
    #[arg(long, value_name = "N", default_value_t = 400)]
    prior_steps: u32,

    /// Seed of the training and of the takes that are played
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let step = |what: &str| println!("\n== {what} ({} s)", start.elapsed().as_secs());
    let home = target_dir().join("demo");
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let bundle = home.join("demo.distill");

    step("building the trainer and the test host");
    run_program(&mut cargo("build --release -p distill-trainer -p distill-tests"))?;
    step("building and packaging the instrument");
    let packages = bundle::release()?;
    step("training on assets/demo");
    let seed = options.seed.to_string();
    let mut train = built("distill");
    // Steps, not time: so that a second run trains the same model and plays the same samples.
    let (codec_steps, prior_steps) =
        (options.codec_steps.to_string(), options.prior_steps.to_string());
    train.args(["train", "assets/demo", "--fresh", "--seed", &seed]);
    train.args(["--codec-steps", &codec_steps, "--prior-steps", &prior_steps]);
    run_program(train.arg("--output").arg(&bundle))?;
    step("playing assets/demo/phrase.mid through the CLAP in a host");
    let mut play = built("distill-play");
    play.arg(&packages.clap).arg("--bundle").arg(&bundle).args(["--seed", &seed]);
    // Room for notes that sound together, below the level where the instrument bends peaks.
    play.args(["--volume", "-6"]);
    play.args(["--midi", "assets/demo/phrase.mid"]);
    play.arg("--picture").arg(home.join("demo.png"));
    run_program(play.arg("--output").arg(home.join("demo.wav")))?;

    println!("\nDone in {} s.", start.elapsed().as_secs());
    report(&home, &packages);
    Ok(())
}

fn report(home: &Path, packages: &Packages) {
    println!(
        "
  the sound    {home}/demo.wav
  its picture  {home}/demo.png (spectrogram above, codes below)
  the bundle   {home}/demo.distill
  the CLAP     {clap}
  the VST3     {vst3}

What next:
  copy Distill.clap to ~/.clap, or Distill.vst3 to ~/.vst3, and open it in your DAW
  train on your own sounds: target/release/distill train FOLDER -o my-sounds.distill
  hear them without a DAW:  target/release/distill generate my-sounds.distill -o new.wav",
        home = home.display(),
        clap = packages.clap.display(),
        vst3 = packages.vst3.display(),
    );
}
