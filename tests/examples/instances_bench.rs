//! Prints what many instances of the built instrument cost: a line per figure.
//!
//! Arguments: the CLAP, and a bundle for the instances to play; the factory bundle without.
//! Memory is that of the whole process, so it holds what the host needs for each instance too.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use distill_tests::host::{Host, Instrument, Playback, state};
use distill_tests::phrase::Note;

/// Instances that play one bundle.
const INSTANCES: usize = 32;
/// Instances that come and go.
const LIVES: usize = 200;
/// A note, after which an instance has all its heads and has played.
const NOTE: [Note; 1] = [Note { start: 0.1, end: 0.3, key: 60, velocity: 0.8 }];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(package) = arguments.next() else { bail!("say which CLAP to measure") };
    let bundle = arguments.next();
    println!("scan_ms {:.2}", scan(&package)?);
    let host = Host::open(&package)?;
    let mut instruments = vec![playing(&host, bundle.as_deref())?];
    let one = settled()?;
    for _ in 1..INSTANCES {
        instruments.push(playing(&host, bundle.as_deref())?);
    }
    let all = settled()?;
    println!("process_of_1_mb {one:.1}");
    println!("each_of_{INSTANCES}_mb {:.2}", (all - one) / (INSTANCES - 1) as f64);
    for (name, slow) in ["create", "activate", "deactivate", "destroy"].iter().zip(lives(&host)?) {
        println!("{name}_ms {:.2}", slow.as_secs_f64() * 1000.0);
    }
    println!("process_of_{INSTANCES}_threads {}", fs::read_dir("/proc/self/task")?.count());
    Ok(())
}

/// How long creating, activating, deactivating and destroying an instance take, all but the slowest
/// hundredth, while others play: each begins to load a bundle, and is gone before it has.
fn lives(host: &Host) -> Result<[Duration; 4]> {
    let mut times = [(); 4].map(|()| Vec::new());
    for _ in 0..LIVES {
        let begun = Instant::now();
        let mut instrument = host.instrument()?;
        let created = begun.elapsed();
        let [activated, deactivated] = instrument.activate_for_a_moment()?;
        let begun = Instant::now();
        drop(instrument);
        let life = [created, activated, deactivated, begun.elapsed()];
        times.iter_mut().zip(life).for_each(|(times, time)| times.push(time));
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[LIVES * 99 / 100 - 1]
    }))
}

/// Milliseconds in which the library is opened, its plugins are listed, and it is closed: once,
/// since it stays in memory.
fn scan(package: &Path) -> Result<f64> {
    let start = Instant::now();
    drop(Host::open(package)?);
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// An instance that has played a note of `bundle`.
fn playing(host: &Host, bundle: Option<&Path>) -> Result<Instrument> {
    let mut instrument = host.instrument()?;
    if let Some(bundle) = bundle {
        let chosen = state::with_bundle(&instrument.save()?, bundle)?;
        instrument.load(&chosen)?;
    }
    let sound = instrument.play(&NOTE, &Playback { seconds: 1.0, ..Playback::default() })?;
    anyhow::ensure!(sound.rms_db() > -80.0, "an instance is silent");
    Ok(instrument)
}

/// Megabytes of the process once it asks for no more: heads are made in the background.
fn settled() -> Result<f64> {
    let mut before = resident()?;
    loop {
        thread::sleep(Duration::from_secs(3));
        let now = resident()?;
        if (now - before).abs() < 0.5 {
            return Ok(now);
        }
        before = now;
    }
}

fn resident() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("memory is read from /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kilobytes.context("no VmRSS in /proc/self/status")? * 1024.0 / 1e6)
}
