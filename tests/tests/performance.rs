//! Playing in real time, for as long as one likes, while projects, bundles, windows, sample rates and
//! transports change: nothing but sound comes, in its place, and nothing is left behind. Alone in its
//! program, since it looks at the memory of the whole process.
//!
//! `cargo xtask soak` runs it for as many minutes as `DISTILL_SOAK_MINUTES` says, on a display.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "performance/band.rs"]
mod band;
mod built;

use std::time::Duration;

use band::{Band, Kept};
use distill_tests::screen::Screen;

/// The most that the memory of the process may grow in an hour, in MiB.
const GROWTH: f64 = 1.0;
/// It takes so many hours to tell how it grows, the first half of which is left out: what the allocator
/// and Mesa keep for themselves grows until everything that needs much has happened at the same time.
const ENOUGH: f64 = 0.9;

#[test]
fn what_is_played_while_everything_changes_is_in_its_place() {
    let mut band = Band::new(2, None);
    for _ in 0..2 {
        band.improvise(Duration::from_secs(5));
        band.rehearse();
    }
    band.part();
}

#[test]
#[ignore = "takes hours of real time: cargo xtask soak"]
fn hours_of_playing_while_everything_changes_leave_nothing_behind() {
    let minutes = std::env::var("DISTILL_SOAK_MINUTES").ok();
    let minutes: f64 = minutes.and_then(|minutes| minutes.parse().ok()).unwrap_or(1.0);
    let mut band = Band::new(3, Some(Screen::connect().unwrap()));
    let mut kept: Vec<Kept> = Vec::new();
    band.tutti();
    while band.hours() < minutes / 60.0 {
        band.improvise(Duration::from_secs(100));
        let now = band.rehearse();
        println!("{now}");
        kept.push(now);
    }
    let heard = band.part();
    println!("{heard:?}");
    assert_kept(&kept, minutes / 60.0);
}

/// The process keeps no more and more.
fn assert_kept(kept: &[Kept], hours: f64) {
    let (early, late) = kept.split_at(kept.len() / 2);
    if early.is_empty() {
        return;
    }
    for what in [|kept: &Kept| kept.threads, |kept: &Kept| kept.files] {
        assert!(late.iter().map(what).max() <= early.iter().map(what).max());
    }
    let growth = |of: fn(&Kept) -> f64| {
        slope(&late.iter().map(|kept| (kept.hours, of(kept))).collect::<Vec<_>>())
    };
    let needed = growth(|kept| kept.needed);
    let (resident, allocated) = (growth(|kept| kept.resident), growth(|kept| kept.allocated));
    println!(
        "in an hour {resident:.2} MiB more are resident, {needed:.2} needed, {allocated:.2} allocated"
    );
    assert!(hours < ENOUGH || needed <= GROWTH, "{needed:.2} MiB more are needed an hour");
    assert!(hours < ENOUGH || resident <= GROWTH, "{resident:.2} MiB more are resident an hour");
}

/// By how much the second number grows with the first, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    covariance / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}
