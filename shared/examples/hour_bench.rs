//! Prints what a take costs after an hour of playing, beside one in its first minute: a line per
//! figure. `hour_bench BUNDLE`.
//!
//! The two are stepped in turn, so that whatever else the machine does meets both, and medians
//! are compared, so that a frame that was interrupted does not count.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use distill_shared::bundle::Bundle;
use distill_shared::player::{Model, Sampling, Take, TakeKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: hour_bench BUNDLE")?;
    let model = Arc::new(Model::from_bundle(&Bundle::open(Path::new(&path))?)?);
    let codec = &model.config().codec;
    let mut out = vec![0.0; codec.channels * codec.hop()];
    let frames_in = |seconds: usize| (seconds * codec.sample_rate as usize).div_ceil(codec.hop());
    let mut step = |take: &mut Take| {
        let start = Instant::now();
        take.step(&Sampling::default(), &mut out);
        start.elapsed()
    };
    let new = |take| Take::new(Arc::clone(&model), TakeKey { seed: 1, take });

    let mut old = new(0)?;
    for _ in 0..frames_in(60) {
        step(&mut old);
    }
    let memory = resident_mb();
    for _ in frames_in(60)..frames_in(3600) {
        step(&mut old);
    }
    let memory_later = resident_mb();

    let mut fresh = new(1)?;
    let pairs = (0..frames_in(60)).map(|_| (step(&mut fresh), step(&mut old)));
    let (first, later): (Vec<_>, Vec<_>) = pairs.unzip();
    let share = |times| median(times).as_secs_f64() * codec.frame_rate();
    let (first, later) = (share(first), share(later));
    println!("first_minute {first:.4}");
    println!("after_an_hour {later:.4}");
    println!("after_an_hour_ratio {:.4}", later / first);
    if let (Some(memory), Some(memory_later)) = (memory, memory_later) {
        println!("memory_first_minute_mb {memory:.2}");
        println!("memory_after_an_hour_mb {memory_later:.2}");
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Memory of this process in megabytes, where the system tells it (proc(5), "status").
fn resident_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
