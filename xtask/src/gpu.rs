//! `cargo xtask gpu-test`: what a GPU does beside the processor, on a machine that has one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::program::{built_in, cargo, read, run as run_program, target_dir};

/// Steps of codec and prior that are compared: rounding has not yet grown to something else.
const STEPS: &str = "20";
/// How far losses may be from those of the processor, relative to these. Sums are taken in another order.
const TOLERANCE: f64 = 1e-3;

/// Time to train with rounded products, to see whether they are faster.
const TF32_BUDGET: &str = "1m";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The device: cuda or metal. With cpu, the processor is compared with itself
    #[arg(long, default_value = "cuda")]
    device: String,

    /// Time to train on it for
    #[arg(long, default_value = "10m")]
    budget: String,
}

/// A run of training: seconds, steps and losses of codec and prior.
pub(crate) struct Trained {
    pub(crate) seconds: [f64; 2],
    pub(crate) steps: [f64; 2],
    losses: Vec<f64>,
    /// Of the sizes and all weights of the bundle.
    pub(crate) digest: String,
}

impl Trained {
    /// How far any loss is from that of `other`, relative to it.
    ///
    /// # Errors
    ///
    /// Fails if other steps were measured.
    pub(crate) fn distance(&self, other: &Self) -> Result<f64> {
        ensure!(self.losses.len() == other.losses.len(), "the curves have other lengths");
        let pairs = self.losses.iter().zip(&other.losses);
        Ok(pairs.map(|(one, other)| (one / other - 1.0).abs()).fold(0.0, f64::max))
    }
}

/// Trains the same on processor and device, compares the losses, trains on the device for a while, and
/// writes what came of it to `target/gpu/results.md`.
///
/// # Errors
///
/// Fails if the device cannot be used, or computes something else.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let step = |what: &str| println!("\n== {what} ({} s)", start.elapsed().as_secs());
    fs::create_dir_all(folder()).with_context(|| format!("no {}", folder().display()))?;
    step("building the trainer");
    let mut build = cargo("build --release -p distill-trainer");
    if options.device != "cpu" {
        build.args(["--features", &options.device]);
    }
    run_program(build.env("CARGO_TARGET_DIR", folder()))?;
    step("the same steps on both");
    let few = ["--codec-steps", STEPS, "--prior-steps", STEPS];
    let program = built_in(&folder(), "distill");
    let train = |device: &str, name: &str, length: &[&str]| {
        let more = [&["--device", device], length].concat();
        train(Command::new(&program), &program, &folder().join(name), &more)
    };
    let cpu = train("cpu", "steps-cpu", &few)?;
    let gpu = train(&options.device, "steps-device", &few)?;
    let farthest = gpu.distance(&cpu)?;
    step("training");
    let long = train(&options.device, "long", &["--budget", &options.budget])?;
    let per_second = |run: &Trained, stage: usize| run.steps[stage] / run.seconds[stage];
    let mut rows = vec![
        ("farthest loss from the processor's, relative", farthest),
        ("steps of the codec in a second, processor", per_second(&cpu, 0)),
        ("steps of the codec in a second", per_second(&long, 0)),
        ("steps of the prior in a second, processor", per_second(&cpu, 1)),
        ("steps of the prior in a second", per_second(&long, 1)),
        ("seconds of training", long.seconds.iter().sum()),
    ];
    if options.device == "cuda" {
        step("the same with TF32");
        let rounded = train("cuda", "tf32", &["--tf32", "--budget", TF32_BUDGET])?;
        rows.push(("the same of the codec with --tf32", per_second(&rounded, 0)));
        rows.push(("the same of the prior with --tf32", per_second(&rounded, 1)));
    }
    let mut table = format!("| {} | |\n|---|---|\n", options.device);
    for (what, value) in rows {
        table.push_str(&format!("| {what} | {value:.4} |\n"));
    }
    let memory = memory().unwrap_or_else(|| "unknown".to_owned());
    table.push_str(&format!("| memory in use at the end, all programs | {memory} |\n"));
    let results = folder().join("results.md");
    fs::write(&results, &table).with_context(|| format!("cannot write {}", results.display()))?;
    println!("\n{table}\nin {}", results.display());
    ensure!(farthest < TOLERANCE, "losses differ by {farthest:.1e}, {TOLERANCE:.0e} is the bar");
    Ok(())
}

fn folder() -> PathBuf {
    target_dir().join("gpu")
}

/// Trains on the demo's sounds with `launcher`, which starts `program` as often as it likes, into a bundle
/// called `name`.
///
/// # Errors
///
/// Fails if training does, or if the bundle cannot be read.
pub(crate) fn train(
    mut launcher: Command,
    program: &Path,
    name: &Path,
    more: &[&str],
) -> Result<Trained> {
    let bundle = name.with_extension("distill");
    launcher.args(["train", "assets/demo", "--fresh", "--no-report", "--seed", "1"]);
    run_program(launcher.arg("--output").arg(&bundle).args(more))?;
    let told = read(Command::new(program).args(["inspect", "--json"]).arg(&bundle))?;
    let card: Value = serde_json::from_str(&told).context("inspect does not tell JSON")?;
    let of = |stage: &str, key: &str| card["card"][stage]["training"][key].clone();
    let number = |stage: &str, key: &str| of(stage, key).as_f64().unwrap_or_default();
    let both = ["codec", "prior"];
    let curves = both.map(|stage| of(stage, "curve").as_array().cloned().unwrap_or_default());
    let loss = |point: &Value| {
        ["train_loss", "validation_loss"].map(|key| point[key].as_f64().unwrap_or(f64::NAN))
    };
    let digest = card["digest"].as_str().context("inspect tells no digest")?.to_owned();
    Ok(Trained {
        seconds: both.map(|stage| number(stage, "seconds")),
        steps: both.map(|stage| number(stage, "steps")),
        losses: curves.iter().flatten().flat_map(loss).collect(),
        digest,
    })
}

/// The memory of an NVIDIA GPU that is in use, in words.
fn memory() -> Option<String> {
    let query = ["--query-gpu=memory.used", "--format=csv,noheader"];
    let output = Command::new("nvidia-smi").args(query).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
