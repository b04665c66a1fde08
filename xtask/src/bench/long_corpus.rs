//! A corpus of many hours: how long it takes to prepare, how much memory that and training on it take, and
//! whether a step takes longer than on an hour of the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde_json::Value;

use super::{Figure, figure, steps_per_second};
use crate::program::{built, target_dir};

/// Rate of the recordings in Hz: a low one, so that a hundred hours fit on a small disk.
const RATE: u32 = 8000;
/// Recordings of an hour.
const EACH_HOUR: u32 = 6;
/// Steps of the codec and of the prior: the first half is not counted.
const STEPS: &str = "60";
/// How often memory is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Measures with a corpus of so many hours, and with the first of them.
pub(super) fn measure(hours: u32) -> Result<Vec<Figure>> {
    let home = target_dir().join("bench").join("long");
    let mut figures = Vec::new();
    let mut rates = Vec::new();
    for hours in [hours, 1] {
        let sounds = home.join(format!("{hours}-hours"));
        make(&sounds, hours)?;
        let out = sounds.with_added_extension("prepared");
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        let mut prepare = built("distill");
        prepare.arg("prepare").arg(&sounds).arg("--output").arg(&out);
        let begun = Instant::now();
        let peak = watched(&mut prepare)?;
        figures.push(figure(&format!("prepare_{hours}_h"), begun.elapsed().as_secs_f64(), "s"));
        figures.push(figure(&format!("prepare_{hours}_h_memory"), peak, "MB"));
        let (log, bundle) = (home.join("log.jsonl"), home.join("long.distill"));
        let mut train = built("distill");
        train.arg("train").arg(&out).args(["--codec-steps", STEPS, "--prior-steps", STEPS]);
        train.args(["--fresh", "--no-report", "--quiet", "--output"]).arg(&bundle);
        let begun = Instant::now();
        let peak = watched(train.arg("--log").arg(&log))?;
        figures.push(figure(&format!("train_{hours}_h"), begun.elapsed().as_secs_f64(), "s"));
        figures.push(figure(&format!("train_{hours}_h_memory"), peak, "MB"));
        let log = fs::read_to_string(&log).context("training has left no log")?;
        let events = log.lines().map(serde_json::from_str);
        let events: Vec<Value> = events.collect::<Result<_, _>>().context("a broken log")?;
        let rate = steps_per_second(&events, "codec_step")?;
        figures.push(figure(&format!("codec_training_{hours}_h"), rate, "steps per s"));
        rates.push(rate);
    }
    figures.push(figure("step_time_of_the_long_one", rates[1] / rates[0], "times"));
    Ok(figures)
}

/// Makes the recordings in `folder`, unless they are there.
fn make(folder: &Path, hours: u32) -> Result<()> {
    let cannot = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    for number in 0..hours * EACH_HOUR {
        let path = folder.join(format!("{number:05}.wav"));
        if !path.exists() {
            write(&path, &phrases(u64::from(number))).with_context(cannot)?;
        }
    }
    Ok(())
}

/// Ten minutes of decaying tones.
fn phrases(seed: u64) -> Vec<f32> {
    let mut rng = Rng::with_seed(seed);
    let samples = 3600 / EACH_HOUR as usize * RATE as usize;
    let mut sound = vec![0.0; samples];
    let mut at = 0;
    while at < samples {
        let hz = 55.0 * (f64::from(rng.u8(0..36)) / 12.0).exp2();
        let (level, decay) = (0.05 + 0.2 * rng.f32(), 0.9995 + 0.0004 * rng.f64());
        for partial in 1..=1 + rng.u8(0..4) {
            // A turning phasor that shrinks: its real part is the tone.
            let turn = std::f64::consts::TAU * hz * f64::from(partial) / f64::from(RATE);
            let (cos, sin) = (decay * turn.cos(), decay * turn.sin());
            let (mut x, mut y) = (0.0, f64::from(level) / f64::from(partial));
            for sample in sound[at..].iter_mut().take(3 * RATE as usize) {
                #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
                let value = x as f32;
                *sample += value;
                (x, y) = (x * cos + y * sin, y * cos - x * sin);
            }
        }
        at += rng.usize(RATE as usize / 8..RATE as usize);
    }
    sound
}

/// Writes 16-bit samples under another name first: what is there is whole.
fn write(path: &PathBuf, sound: &[f32]) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let partial = path.with_extension("partial");
    let mut writer = hound::WavWriter::create(&partial, spec)?;
    for sample in sound {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 16 bits")]
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
    }
    writer.finalize()?;
    Ok(fs::rename(partial, path)?)
}

/// Runs a command; the most memory that it and the processes it started had at a time, in MB.
fn watched(command: &mut Command) -> Result<f64> {
    let mut child = command.stdout(Stdio::null()).spawn().context("cannot start distill")?;
    let mut peak = 0.0_f64;
    loop {
        peak = peak.max(memory_of(&child));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "distill failed ({status}); its own words are above");
            return Ok(peak);
        }
        thread::sleep(TICK);
    }
}

/// Memory of a process and of those it started, in MB, where the system tells of it as Linux does.
fn memory_of(child: &Child) -> f64 {
    let of = |process: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let own = child.id().to_string();
    // Every thread has children of its own.
    let threads = fs::read_dir(format!("/proc/{own}/task")).into_iter().flatten().flatten();
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children = children.collect::<Vec<_>>().join(" ");
    let all = children.split_whitespace().chain([own.as_str()]);
    let kilobytes: u64 = all.filter_map(of).sum();
    kilobytes as f64 / 1000.0
}
