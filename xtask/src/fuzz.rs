//! `cargo xtask fuzz`: libFuzzer around every parser. `docs/fuzzing.md` tells how to go on from what it
//! finds.
//!
//! Everything is kept in `target/fuzz`: the inputs that reach something new, the inputs that did harm, and
//! how many were tried so far, so that runs add up.

use std::collections::BTreeMap;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::program::{cargo, read, root, run as run_program, target_dir};

/// The crate of the programs, which is outside the workspace.
pub(crate) const MANIFEST: &str = "tests/fuzz/engine/Cargo.toml";
/// What makes the compiler count which code an input reaches, and what it compares with what.
const COVERAGE: [&str; 7] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// The parsers of the shared crate. The others are built with the instrument, whose framework brings an
/// allocator of its own.
const SHARED: [&str; 3] = ["bundle", "model", "sealed_bundle"];
/// Bytes of the longest input: every seed fits.
const LONGEST: usize = 16_384;
/// What a program ends with that found an input which hangs, takes too much room, or does other harm.
const HARM: [i32; 3] = [70, 71, 77];
/// How the names of inputs begin that took over a second, perhaps only since the machine was busy.
const SLOW: &str = "slow-unit-";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds in all, in equal parts for each parser, on all cores
    #[arg(long, value_name = "N", default_value_t = 600)]
    seconds: u64,
    /// Inputs for each parser, instead of a time
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    runs: Option<u64>,
    /// Only the parsers whose names contain this
    #[arg(default_value = "")]
    filter: String,
}

/// What came of one run, or of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Figures {
    runs: u64,
    seconds: f64,
    crashes: u64,
    /// Of the slowest input, in seconds.
    slowest: u64,
    /// The most bytes that were held for an input; 0 where an allocator does not count.
    peak: u64,
}

impl Options {
    /// All parsers, together for so many seconds.
    pub(crate) fn of_seconds(seconds: u64) -> Self {
        Self { seconds, runs: None, filter: String::new() }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let all = targets()?;
    let chosen: Vec<&String> = all.iter().filter(|name| name.contains(&options.filter)).collect();
    ensure!(!chosen.is_empty(), "no parser is called that; there are {}", all.join(", "));
    let programs = build(&chosen)?;
    let cores = available_parallelism()?.get().min(chosen.len());
    let share = (options.seconds * cores as u64 / chosen.len() as u64).max(1);
    let limit = options.runs.map_or(format!("-max_total_time={share}"), |n| format!("-runs={n}"));
    println!("{}", row(&["parser", "inputs", "a second", "crashes", "slowest, s", "peak, MB"]));
    let next = AtomicUsize::new(0);
    let on_a_core = || -> Result<Vec<&str>> {
        let mut harmed = Vec::new();
        while let Some(name) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let figures = fuzz(&programs.join(name), name, &limit)?;
            println!("{}", figures.row(name));
            add_to_totals(name, figures)?;
            if figures.crashes > 0 {
                harmed.push(name.as_str());
            }
        }
        Ok(harmed)
    };
    let harmed: Vec<Result<Vec<&str>>> = thread::scope(|scope| {
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(on_a_core)).collect();
        let ended = cores.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|end| end.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let harmed = harmed.into_iter().collect::<Result<Vec<_>>>()?.concat();
    println!("\nSo far, all runs together:");
    let mut sum = Figures::default();
    for (name, figures) in &read_totals() {
        println!("{}", figures.row(name));
        sum.add(*figures);
    }
    println!("{}", sum.row("all"));
    ensure!(
        harmed.is_empty(),
        "harmed: {}; the inputs are in {}",
        harmed.join(", "),
        folder("crashes").display()
    );
    Ok(())
}

/// The names of all parsers: those of the programs.
fn targets() -> Result<Vec<String>> {
    let programs = root().join("tests/fuzz/engine/targets");
    let entries =
        fs::read_dir(&programs).with_context(|| format!("cannot read {}", programs.display()))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| stem(entry.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// Builds the programs of these parsers; gives the folder that they are in.
fn build(names: &[&String]) -> Result<PathBuf> {
    let version = read(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not tell which machine this is")?;
    let (shared, others): (Vec<&str>, Vec<&str>) =
        names.iter().map(|name| name.as_str()).partition(|name| SHARED.contains(name));
    for (names, features) in [(shared, ""), (others, "plugin,trainer")] {
        if names.is_empty() {
            continue;
        }
        let mut command = cargo("build --locked --release --no-default-features --manifest-path");
        // Named, so that what only runs while building is built without these flags.
        command.arg(MANIFEST).args(["--features", features, "--target", host]);
        for name in names {
            command.args(["--bin", name]);
        }
        command.env("CARGO_TARGET_DIR", folder("")).env("RUSTFLAGS", COVERAGE.join(" "));
        run_program(&mut command)
            .context("it takes a C++ compiler beside what everything else needs")?;
    }
    Ok(folder("").join(host).join("release"))
}

/// Runs one program until `limit`, an argument of libFuzzer. An input that does harm ends it before.
fn fuzz(program: &Path, name: &str, limit: &str) -> Result<Figures> {
    let [corpus, crashes, log] =
        [folder("corpus").join(name), folder("crashes").join(name), folder("logs").join(name)];
    for folder in [&corpus, &crashes, &folder("logs")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log_file =
        fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    command.args([limit, "-timeout=10", "-report_slow_units=1", "-print_final_stats=1"]);
    command.arg(format!("-max_len={LONGEST}")).arg("-rss_limit_mb=320");
    command.arg(format!("-artifact_prefix={}/", crashes.display())).arg(&corpus);
    let fixtures = root().join("tests/fuzz/fixtures").join(name);
    if fixtures.is_dir() {
        command.arg(fixtures);
    }
    command.env("DISTILL_FUZZ_SEEDS", &corpus).stdout(Stdio::null()).stderr(log_file);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let mut figures = Figures::of_log(&told);
    match status.code() {
        Some(0) => {}
        code if code.is_none_or(|code| HARM.contains(&code)) => figures.crashes = 1,
        _ => bail!("{name} ended with {status}; {} tells more", log.display()),
    }
    figures.crashes += slow_again(program, &crashes)?;
    Ok(figures)
}

/// How many of the inputs that took over a second do so again by themselves; the others are forgotten.
fn slow_again(program: &Path, crashes: &Path) -> Result<u64> {
    let mut slow = 0;
    for entry in fs::read_dir(crashes)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(SLOW) {
            continue;
        }
        let mut command = Command::new(program);
        command.arg("-timeout=1").arg(entry.path()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status()?.success() {
            fs::remove_file(entry.path())?;
        } else {
            slow += 1;
        }
    }
    Ok(slow)
}

/// A folder of what is kept.
fn folder(name: &str) -> PathBuf {
    target_dir().join("fuzz").join(name)
}

impl Figures {
    /// What a program told.
    fn of_log(told: &str) -> Self {
        let after = |start: &str| {
            let line = told.lines().rev().find_map(|line| line.strip_prefix(start))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let runs = after("stat::number_of_executed_units:").unwrap_or_default();
        let rate: u64 = after("stat::average_exec_per_sec:").unwrap_or_default();
        Self {
            runs,
            seconds: runs as f64 / rate.max(1) as f64,
            crashes: 0,
            slowest: after("stat::slowest_unit_time_sec:").unwrap_or_default(),
            peak: after("PEAK").unwrap_or_default(),
        }
    }

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.seconds += other.seconds;
        self.crashes += other.crashes;
        self.slowest = self.slowest.max(other.slowest);
        self.peak = self.peak.max(other.peak);
    }

    fn row(&self, name: &str) -> String {
        let rate = self.runs as f64 / self.seconds.max(1.0);
        let peak = self.peak as f64 / 1e6;
        let cells = [
            self.runs.to_string(),
            format!("{rate:.0}"),
            self.crashes.to_string(),
            self.slowest.to_string(),
            if self.peak > 0 { format!("{peak:.1}") } else { "-".to_owned() },
        ];
        let [runs, rate, crashes, slowest, peak] = &cells;
        row(&[name, runs, rate, crashes, slowest, peak])
    }
}

fn row(cells: &[&str; 6]) -> String {
    let [name, runs, rate, crashes, slowest, peak] = cells;
    format!("{name:<18}{runs:>12}{rate:>10}{crashes:>9}{slowest:>12}{peak:>10}")
}

/// What came of all runs so far.
fn read_totals() -> BTreeMap<String, Figures> {
    let text = fs::read_to_string(folder("totals.json")).unwrap_or_default();
    let totals: Value = serde_json::from_str(&text).unwrap_or_default();
    let figures = |value: &Value| {
        let count = |key: &str| value[key].as_u64().unwrap_or_default();
        Figures {
            runs: count("runs"),
            seconds: value["seconds"].as_f64().unwrap_or_default(),
            crashes: count("crashes"),
            slowest: count("slowest"),
            peak: count("peak"),
        }
    };
    let totals = totals.as_object().into_iter().flatten();
    totals.map(|(name, value)| (name.clone(), figures(value))).collect()
}

/// Adds what came of one more run.
fn add_to_totals(name: &str, figures: Figures) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut totals = read_totals();
    totals.entry(name.to_owned()).or_default().add(figures);
    let of_one = |(name, figures): (&String, &Figures)| {
        let Figures { runs, seconds, crashes, slowest, peak } = figures;
        let value = json!({
            "runs": runs, "seconds": seconds, "crashes": crashes, "slowest": slowest, "peak": peak,
        });
        (name.clone(), value)
    };
    let totals: Value = totals.iter().map(of_one).collect::<serde_json::Map<_, _>>().into();
    fs::write(folder("totals.json"), format!("{totals:#}\n")).context("cannot keep the totals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_libfuzzer_tells() {
        let told = "PEAK 900 bytes\n#2 INITED\nPEAK 2100 bytes\n#99 pulse\nstat::number_of_executed_units: 300\n\
                    stat::average_exec_per_sec:     100\nstat::slowest_unit_time_sec:    1\n";
        let figures = Figures::of_log(told);
        let expected = Figures { runs: 300, seconds: 3.0, crashes: 0, slowest: 1, peak: 2100 };
        assert_eq!(figures, expected);
        assert_eq!(Figures::of_log("").runs, 0);
    }
}
