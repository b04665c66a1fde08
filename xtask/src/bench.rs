//! `cargo xtask bench`: the figures of `docs/measurements.md`.
//!
//! Speeds are those of the machine it runs on, and of nothing else running on it.

mod long_corpus;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::bundle;
use crate::program::{built, cargo, read, run as run_program, target_dir};

const FACTORY: &str = "assets/factory.distill";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only compare a take that has played for an hour with one in its first minute: some minutes
    #[arg(long)]
    hour: bool,
    /// Only prepare a corpus of so many hours, which is made for it, and train on it and on one hour: with
    /// 100 half an hour and 13 GB of disk
    #[arg(long, value_name = "N", conflicts_with = "hour")]
    hours: Option<u32>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// One measured number.
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

fn figure(name: &str, value: f64, unit: &'static str) -> Figure {
    Figure { name: name.to_owned(), value, unit }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.hour {
        return print(&measured("distill-shared", "hour_bench", &[FACTORY])?, options.json);
    }
    run_program(&mut cargo("build --release -p distill-trainer"))?;
    if let Some(hours) = options.hours {
        return print(&long_corpus::measure(hours)?, options.json);
    }
    let packages = bundle::release()?;
    let mut figures = training()?;
    figures.extend(measured("distill-shared", "player_bench", &[])?);
    figures.push(opening()?);
    let clap = packages.clap.to_str().context("the path of the instrument is no text")?;
    figures.extend(measured("distill-plugin", "engine_bench", &[])?);
    figures.extend(measured("distill-plugin", "edit_bench", &[])?);
    figures.extend(measured("distill-tests", "instances_bench", &[clap])?);
    figures.push(figure("factory_bundle", megabytes(Path::new(FACTORY))?, "MB"));
    figures.push(figure("instrument", megabytes(&packages.clap)?, "MB"));
    print(&figures, options.json)
}

/// How fast a short run on the demo sounds goes, its first half left out: threads warm up, and
/// codebooks are placed.
fn training() -> Result<Vec<Figure>> {
    let home = target_dir().join("bench");
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let log = home.join("log.jsonl");
    let mut train = built("distill");
    train.args(["train", "assets/demo", "--codec-steps", "60", "--prior-steps", "60"]);
    train.args(["--fresh", "--seed", "1", "--quiet", "--output"]).arg(home.join("bench.distill"));
    read(train.arg("--log").arg(&log))?;

    let log = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let events: Vec<Value> =
        log.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("a broken log")?;
    Ok(vec![
        figure("codec_training", median(&events, "codec_step", "audio_rate")?, "s of sound per s"),
        figure("prior_training", steps_per_second(&events, "prior_step")?, "steps per s"),
    ])
}

/// The steps of one kind in a log, without the first half.
fn late_steps<'a>(events: &'a [Value], kind: &str) -> Result<Vec<&'a Value>> {
    let steps: Vec<&Value> = events.iter().filter(|event| event["event"] == kind).collect();
    let late = steps[steps.len() / 2..].to_vec();
    anyhow::ensure!(late.len() > 1, "the log holds no {kind}");
    Ok(late)
}

fn median(events: &[Value], kind: &str, field: &str) -> Result<f64> {
    let steps = late_steps(events, kind)?;
    let mut values: Vec<f64> = steps.iter().filter_map(|step| step[field].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().with_context(|| format!("{kind} has no {field}"))
}

fn steps_per_second(events: &[Value], kind: &str) -> Result<f64> {
    let steps = late_steps(events, kind)?;
    let time = |step: &Value| step["progress"]["elapsed_s"].as_f64().context("a step has no time");
    let seconds = time(steps[steps.len() - 1])? - time(steps[0])?;
    Ok((steps.len() - 1) as f64 / seconds)
}

/// What a program of the crate `of` measures: mostly its share of one thread.
fn measured(of: &str, program: &str, arguments: &[&str]) -> Result<Vec<Figure>> {
    let run = format!("run --quiet --release -p {of} --example {program} --");
    let told = read(cargo(&run).args(arguments))?;
    let parse = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        let unit = match name.rsplit_once('_') {
            Some((_, "ms")) => "ms",
            Some((_, "mb")) => "MB",
            Some((_, "ratio")) => "times",
            Some((_, "threads")) => "threads",
            _ => "of real time",
        };
        Some(figure(name, value.parse().ok()?, unit))
    };
    Ok(told.lines().filter_map(parse).collect())
}

/// Opening and checking a bundle, the start of the program included.
fn opening() -> Result<Figure> {
    let start = Instant::now();
    read(built("distill").args(["inspect", FACTORY]))?;
    Ok(figure("open_factory_bundle", start.elapsed().as_secs_f64() * 1000.0, "ms"))
}

fn megabytes(path: &Path) -> Result<f64> {
    let size = fs::metadata(path).with_context(|| format!("cannot find {}", path.display()))?;
    Ok(size.len() as f64 / 1e6)
}

fn print(figures: &[Figure], as_json: bool) -> Result<()> {
    if as_json {
        let entry = |f: &Figure| (f.name.clone(), json!({ "value": f.value, "unit": f.unit }));
        let object: Map<String, Value> = figures.iter().map(entry).collect();
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        for Figure { name, value, unit } in figures {
            println!("{name:<28} {value:>10.4} {unit}");
        }
    }
    Ok(())
}
