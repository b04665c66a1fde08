//! Looks for clicks: `clicks FOLDER FILE…` compares each file's largest step between two samples
//! with the steps of the recordings in a folder.
//!
//! A join that clicks is a step larger than the material's own. The bar is 1.5 times the 99.99th
//! percentile of the recordings' steps; a file above it is told and ends the program with code 1.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};
use distill_trainer::audio::decode::decode;
use distill_trainer::corpus::{Corpus, OpenOptions};

/// Share of the corpus's steps that lie below the reference.
const PERCENTILE: f64 = 0.9999;
/// How far above the reference a step may be.
const FACTOR: f32 = 1.5;

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = args.next().context("usage: clicks FOLDER FILE…")?;
    let reference = reference(&folder)?;
    println!(
        "corpus  99.99 % of steps are below {reference:.4}, the bar is {:.4}",
        FACTOR * reference
    );
    let mut clicks = false;
    for file in args {
        let sound = decode(&file).with_context(|| file.display().to_string())?;
        let steps = sound.audio.iter().map(|channel| largest_step(channel));
        let (step, at) = steps.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
        let rms = rms(&sound.audio);
        println!(
            "{}  {:.3} s, {:.1} dBFS RMS, largest step {step:.4} at {:.3} s: {:.2} of the reference",
            file.display(),
            sound.seconds(),
            20.0 * rms.max(1e-9).log10(),
            at as f64 / f64::from(sound.rate),
            step / reference,
        );
        clicks |= step > FACTOR * reference;
    }
    Ok(if clicks { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The 99.99th percentile of the steps between neighbouring samples of all recordings.
fn reference(folder: &Path) -> Result<f32> {
    let cancel = AtomicBool::new(false);
    let options = OpenOptions { seed: 0, threads: 2, cancel: &cancel, on_file: &|_| () };
    let (corpus, _) = Corpus::open(folder, &options)?;
    let channels = corpus.recordings.iter().flat_map(|recording| &recording.audio);
    let mut steps: Vec<f32> = channels.flat_map(|channel| steps(channel)).collect();
    ensure!(!steps.is_empty(), "there is no sound in {}", folder.display());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let rank = (PERCENTILE * (steps.len() - 1) as f64).round() as usize;
    Ok(*steps.select_nth_unstable_by(rank, f32::total_cmp).1)
}

/// Steps between neighbouring samples.
fn steps(channel: &[f32]) -> impl Iterator<Item = f32> {
    channel.windows(2).map(|pair| (pair[1] - pair[0]).abs())
}

/// The largest step and the sample that it leads to.
fn largest_step(channel: &[f32]) -> (f32, usize) {
    let numbered = steps(channel).zip(1..);
    numbered.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default()
}

fn rms(audio: &[Vec<f32>]) -> f64 {
    let power = audio.iter().flatten().map(|sample| f64::from(*sample).powi(2));
    (power.sum::<f64>() / audio.iter().map(Vec::len).sum::<usize>().max(1) as f64).sqrt()
}
