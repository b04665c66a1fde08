//! `cargo xtask soak`: the long forms of the checks of which `cargo xtask test` runs short ones.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::bundle::{package_debug, release};
use crate::display;
use crate::fuzz;
use crate::program::{cargo, run as run_program, target_dir};
use crate::reproducible;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Minutes for which four instances play live; the machine should have nothing else to do
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// How often a run of training is killed and goes on
    #[arg(long, default_value_t = 1000)]
    kills: u32,
    /// Only the checks whose names contain this
    #[arg(default_value = "")]
    filter: String,
}

/// What has long forms: the names of test programs.
const CHECKS: [&str; 6] =
    ["live", "schedules", "rough_host", "vst3_host", "states", "system_calls"];

/// Seconds of fuzzing, all parsers together.
const FUZZING: u64 = 30 * 60;

/// What has long forms besides.
const OTHERS: [&str; 6] =
    ["interrupted", "realtime_sanitizer", "thread_sanitizer", "fuzz", "reproducible", "window"];

/// What runs under ThreadSanitizer: tests of the instrument in which threads meet.
const THREADED: [&str; 9] = [
    "thread_sanitizer",
    "stalls",
    "selection",
    "threads",
    "clips",
    "heads",
    "endless",
    "pads",
    "busy",
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = |check: &&str| check.contains(&options.filter);
    if !CHECKS.iter().chain(&OTHERS).any(wanted) {
        let names = CHECKS.iter().chain(&OTHERS).copied().collect::<Vec<_>>().join(", ");
        bail!("no check is called {:?}; there are {names}", options.filter);
    }
    package_debug()?;
    // What is measured against the clock is what musicians play.
    let released = if wanted(&"live") { Some(release()?.clap) } else { None };
    let start = Instant::now();
    for check in CHECKS.into_iter().filter(wanted) {
        println!("\n== {check} ({} s)", start.elapsed().as_secs());
        let mut command = cargo("test");
        // With the features of all crates, as everywhere, so that nothing is built twice.
        command.args(["--workspace", "--test", check, "--", "--ignored", "--nocapture"]);
        if let Some(clap) = released.as_ref().filter(|_| check == "live") {
            command.env("DISTILL_PACKAGE", clap);
        }
        run_program(command.env("DISTILL_SOAK_MINUTES", options.minutes.to_string()))?;
    }
    if wanted(&"interrupted") {
        println!("\n== interrupted ({} s)", start.elapsed().as_secs());
        let mut command = cargo("test --workspace --test interrupted");
        command.args(["an_interrupted_run", "--", "--nocapture"]);
        run_program(command.env("DISTILL_KILLS", options.kills.to_string()))?;
    }
    if cfg!(target_os = "linux") && wanted(&"realtime_sanitizer") {
        println!("\n== realtime_sanitizer ({} s)", start.elapsed().as_secs());
        run_program(&mut under_sanitizer("realtime", &["realtime_sanitizer"]))?;
    }
    if cfg!(target_os = "linux") && wanted(&"thread_sanitizer") {
        println!("\n== thread_sanitizer ({} s)", start.elapsed().as_secs());
        // What the standard library does with threads has to be seen, too.
        run_program(Command::new("rustup").args(["component", "add", "rust-src"]))?;
        run_program(under_sanitizer("thread", &THREADED).arg("-Zbuild-std"))?;
    }
    if wanted(&"fuzz") {
        println!("\n== fuzz ({} s)", start.elapsed().as_secs());
        fuzz::run(&fuzz::Options::of_seconds(FUZZING))?;
    }
    if wanted(&"reproducible") {
        println!("\n== reproducible ({} s)", start.elapsed().as_secs());
        reproducible::check()?;
    }
    if wanted(&"window") {
        display::test_window(500)?;
    }
    println!("\nAll checks passed in {} s.", start.elapsed().as_secs());
    Ok(())
}

/// Tests of the instrument under one of Clang's sanitizers.
fn under_sanitizer(name: &str, tests: &[&str]) -> Command {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = cargo("test -p distill-plugin --target");
    command.arg(target).args(tests.iter().flat_map(|test| ["--test", test]));
    command.env("CARGO_TARGET_DIR", target_dir().join(format!("{name}-sanitizer")));
    // The flag is one of compilers to come, which this one obeys when it is told to.
    command.env("RUSTC_BOOTSTRAP", "1");
    command.env("RUSTFLAGS", format!("-Zsanitizer={name} --cfg {name}_sanitizer"));
    command
}
