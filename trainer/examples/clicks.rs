//! Looks for clicks: `clicks FOLDER FILE…` compares each file's largest step between two samples
//! with the steps of the recordings in a folder.
//!
//! A join that clicks is a step larger than the material's own. The bar is 1.5 times the 99.99th
//! percentile of the recordings' steps; a file above it ends the program with code 1. Attacks can be
//! above it too, so the largest step where two frames of the codec meet is told beside the largest
//! of all, and how many of the recordings themselves are above the bar.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};
use distill_trainer::audio::decode::decode;
use distill_trainer::corpus::{Before, Corpus, OpenOptions, Recording};

/// Share of the corpus's steps that lie below the reference.
const PERCENTILE: f64 = 0.9999;
/// Samples between the places where frames meet: a hop of the codecs that `distill train` makes.
const FRAME: usize = 512;
/// How far above the reference a step may be.
const FACTOR: f32 = 1.5;

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = args.next().context("usage: clicks FOLDER FILE…")?;
    let corpus = recordings(&folder)?;
    let reference = reference(&corpus)?;
    let bar = FACTOR * reference;
    let largest = |recording: &Recording| -> Result<f32> {
        let audio = recording.sound.whole()?;
        Ok(audio.iter().map(|channel| largest_step(channel).0).fold(0.0, f32::max))
    };
    let largest: Vec<f32> = corpus.recordings.iter().map(largest).collect::<Result<_>>()?;
    let (above, all) = (largest.iter().filter(|step| **step > bar).count(), largest.len());
    println!("corpus  99.99 % of steps are below {reference:.4}");
    println!("        the bar is {bar:.4}; {above} of {all} recordings are above it");
    let mut clicks = false;
    for file in args {
        let sound = decode(&file).with_context(|| file.display().to_string())?;
        let steps = sound.audio.iter().map(|channel| largest_step(channel));
        let (step, at) = steps.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
        let edges = sound.audio.iter().map(|channel| largest_at_edges(channel));
        println!(
            "{}  {:.3} s, {:.1} dBFS RMS",
            file.display(),
            sound.seconds(),
            20.0 * rms(&sound.audio).max(1e-9).log10()
        );
        println!(
            "        largest step {:.2} of the reference, at {:.3} s; where frames meet {:.2}",
            step / reference,
            at as f64 / f64::from(sound.rate),
            edges.fold(0.0, f32::max) / reference
        );
        clicks |= step > bar;
    }
    Ok(if clicks { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The recordings in a folder.
fn recordings(folder: &Path) -> Result<Corpus> {
    let cancel = AtomicBool::new(false);
    let options = OpenOptions {
        seed: 0,
        threads: 2,
        cancel: &cancel,
        program: None,
        before: &Before::default(),
        on_file: &|_| (),
    };
    Ok(Corpus::open(folder, &options)?.0)
}

/// The 99.99th percentile of the steps between neighbouring samples of all recordings.
fn reference(corpus: &Corpus) -> Result<f32> {
    let sounds: Vec<_> =
        corpus.recordings.iter().map(|one| one.sound.whole()).collect::<Result<_>>()?;
    let mut steps: Vec<f32> = sounds.iter().flatten().flat_map(|channel| steps(channel)).collect();
    ensure!(!steps.is_empty(), "there is no sound in the folder");
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

/// The largest step into the first sample of a frame.
fn largest_at_edges(channel: &[f32]) -> f32 {
    steps(channel).skip(FRAME - 1).step_by(FRAME).fold(0.0, f32::max)
}

fn rms(audio: &[Vec<f32>]) -> f64 {
    let power = audio.iter().flatten().map(|sample| f64::from(*sample).powi(2));
    (power.sum::<f64>() / audio.iter().map(Vec::len).sum::<usize>().max(1) as f64).sqrt()
}
