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

mod totals;

use totals::Totals;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Minutes for which instances play live, and as many in a performance; the machine should have
    /// nothing else to do
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// How often a run of training is killed and goes on
    #[arg(long, default_value_t = 1000)]
    kills: u32,
    /// Also checks that have passed since the sources last changed
    #[arg(long)]
    again: bool,
    /// Only the checks whose names contain this
    #[arg(default_value = "")]
    filter: String,
}

/// A check that takes long.
struct Check {
    name: &'static str,
    run: fn(&Options) -> Result<()>,
}

impl Check {
    /// What of it has passed if it has: so many minutes or kills of it are not more of them.
    fn passes(&self, options: &Options) -> String {
        match self.name {
            name @ ("live" | "performance") => format!("{name}, {} minutes", options.minutes),
            "interrupted" => format!("interrupted, {} kills", options.kills),
            name => name.to_owned(),
        }
    }

    /// Sanitizers, and displays that are made for a test, are there on Linux alone.
    fn can_run(&self) -> bool {
        cfg!(target_os = "linux")
            || !(self.name.ends_with("_sanitizer") || self.name == "performance")
    }
}

/// All of them.
const CHECKS: [Check; 14] = [
    Check { name: "live", run: live },
    Check { name: "performance", run: performance },
    Check { name: "schedules", run: |_| run_program(&mut long_form("schedules")) },
    Check { name: "rough_host", run: |_| run_program(&mut long_form("rough_host")) },
    Check { name: "vst3_host", run: |_| run_program(&mut long_form("vst3_host")) },
    Check { name: "load", run: |_| run_program(&mut long_form("load")) },
    Check { name: "states", run: |_| run_program(&mut long_form("states")) },
    Check { name: "system_calls", run: |_| run_program(&mut long_form("system_calls")) },
    Check { name: "interrupted", run: interrupted },
    Check { name: "realtime_sanitizer", run: |_| realtime_sanitizer() },
    Check { name: "thread_sanitizer", run: |_| thread_sanitizer() },
    Check { name: "fuzz", run: |_| fuzz::run(&fuzz::Options::of_seconds(FUZZING)) },
    Check { name: "reproducible", run: |_| reproducible::check() },
    Check { name: "window", run: |_| display::test_window(500) },
];

/// Seconds of fuzzing, all parsers together.
const FUZZING: u64 = 30 * 60;

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
    let wanted: Vec<&Check> = CHECKS
        .iter()
        .filter(|check| check.name.contains(&options.filter) && check.can_run())
        .collect();
    if wanted.is_empty() {
        let names = CHECKS.iter().map(|check| check.name).collect::<Vec<_>>().join(", ");
        bail!("no check is called {:?}; there are {names}", options.filter);
    }
    let mut totals = Totals::read()?;
    // What the checks load is packaged once all is built.
    run_program(&mut cargo("build --workspace --all-targets"))?;
    package_debug()?;
    let start = Instant::now();
    for check in wanted {
        let (Check { name, run }, passes) = (check, check.passes(options));
        if totals.has(&passes) && !options.again {
            println!("\n== {name}: has passed with these sources; --again repeats it");
            continue;
        }
        println!("\n== {name} ({} s)", start.elapsed().as_secs());
        let began = Instant::now();
        run(options)?;
        totals.add(&passes, began.elapsed())?;
    }
    println!("\nSo far, all runs together:\n{}", totals.lines());
    println!("All checks passed in {} s.", start.elapsed().as_secs());
    Ok(())
}

/// The long form of a program of tests.
fn long_form(test: &str) -> Command {
    let mut command = cargo("test");
    // With the features of all crates, as everywhere, so that nothing is built twice.
    command.args(["--workspace", "--test", test, "--", "--ignored", "--nocapture"]);
    command
}

/// What is measured against the clock is what musicians play.
fn live(options: &Options) -> Result<()> {
    let released = release()?.clap;
    let mut command = long_form("live");
    command.env("DISTILL_PACKAGE", released);
    run_program(command.env("DISTILL_SOAK_MINUTES", options.minutes.to_string()))
}

fn performance(options: &Options) -> Result<()> {
    display::perform(&release()?.clap, options.minutes)
}

fn interrupted(options: &Options) -> Result<()> {
    let mut command = cargo("test --workspace --test interrupted");
    command.args(["an_interrupted_run", "--", "--nocapture"]);
    run_program(command.env("DISTILL_KILLS", options.kills.to_string()))
}

fn realtime_sanitizer() -> Result<()> {
    run_program(&mut under_sanitizer("realtime", &["realtime_sanitizer"]))
}

fn thread_sanitizer() -> Result<()> {
    // What the standard library does with threads has to be seen, too.
    run_program(Command::new("rustup").args(["component", "add", "rust-src"]))?;
    run_program(under_sanitizer("thread", &THREADED).arg("-Zbuild-std"))
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
