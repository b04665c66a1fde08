//! The corpus of the base: recordings that anyone can make again, from a seed.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::score::{self, Score};
use super::synthesis::VOICES;
use super::{RATE, SAMPLE_RATE};
use crate::debian::or_with_packages;
use crate::program::run;

/// Where Debian puts the soundfont: Fluid (R3) Mono, released under the MIT licence.
const SOUNDFONT: &str = "/usr/share/sounds/sf3/FluidR3Mono_GM.sf3";
/// The synthesizer of the soundfont, and the soundfont.
const PACKAGES: &str = "fluidsynth fluidr3mono-gm-soundfont";
/// Changes with the recipe, so that sounds of an older one are made anew.
const RECIPE: u32 = 1;
/// Drum kits of the soundfont, as programs.
const KITS: [u8; 8] = [0, 8, 16, 24, 25, 32, 40, 48];
/// Instruments of General MIDI.
const INSTRUMENTS: u8 = 128;
/// Computed sounds of each kind.
const EACH: u8 = 25;
/// Samples over which a cut fades.
const FADE: usize = 480;
/// Peak below which a stretch is no recording.
const SILENT: f64 = 1e-3;

/// The corpus in `folder`, made unless it is there.
pub(super) fn prepare(folder: &Path, seed: u64) -> Result<()> {
    let mark = folder.join("recipe");
    let recipe = format!("{RECIPE}, seed {seed}");
    if fs::read_to_string(&mark).is_ok_and(|made| made == recipe) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    or_with_packages(PACKAGES, || {
        if !Path::new(SOUNDFONT).exists() {
            bail!("there is no {SOUNDFONT}");
        }
        run(Command::new("fluidsynth").arg("--version").stdout(Stdio::null()))
    })?;
    in_parallel(INSTRUMENTS, |program| {
        let score = score::instrument(program, rng(seed, "instrument", program))?;
        play(folder, &format!("instrument-{program:03}"), &score, seed)
    })?;
    in_parallel(u8::try_from(KITS.len())?, |i| {
        let score = score::percussion(KITS[usize::from(i)], rng(seed, "percussion", i))?;
        play(folder, &format!("percussion-{i}"), &score, seed)
    })?;
    for (name, voice) in VOICES {
        in_parallel(EACH, |number| {
            let mut rng = rng(seed, name, number);
            let samples = rng.usize(SAMPLE_RATE as usize..5 * SAMPLE_RATE as usize);
            let sound = voice(&mut rng, samples);
            keep(&folder.join(format!("{name}-{number:02}.wav")), sound, rng)
        })?;
    }
    fs::write(&mark, recipe).with_context(|| format!("cannot write {}", mark.display()))
}

/// Chance, by the name of what it is for (FNV-1a of Fowler, Noll and Vo).
fn rng(seed: u64, name: &str, number: u8) -> Rng {
    let bytes = name.bytes().chain([number]).chain(seed.to_le_bytes());
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Rng::with_seed(bytes.fold(0xcbf2_9ce4_8422_2325, hash))
}

/// Does `work` for each number below `count`, on all cores.
fn in_parallel(count: u8, work: impl Fn(u8) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicU8::new(0);
    let until_done = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number)?;
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from).min(8);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(until_done)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a thread that makes sounds has panicked"),
        })
    })
}

/// Plays `score` with the soundfont, and keeps what it is cut into.
fn play(folder: &Path, name: &str, score: &Score, seed: u64) -> Result<()> {
    let of = |ending: &str| folder.join(format!("{name}.{ending}"));
    let (midi, whole) = (of("mid"), of("whole"));
    fs::write(&midi, &score.midi).with_context(|| format!("cannot write {}", midi.display()))?;
    let mut fluidsynth = Command::new("fluidsynth");
    fluidsynth.args(["--quiet", "--no-shell", "--no-midi-in", "--gain", "0.5"]);
    fluidsynth.args(["--sample-rate", &SAMPLE_RATE.to_string()]);
    fluidsynth.args(["--audio-file-type", "wav", "--audio-file-format", "float"]);
    // Unpacking what other instruments play takes most of the time.
    fluidsynth.args(["--option", "synth.dynamic-sample-loading=1"]);
    fluidsynth.arg("--fast-render").arg(&whole).arg(SOUNDFONT).arg(&midi);
    run(fluidsynth.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let sound = mono(&whole)?;
    for (number, cut) in score.cuts.iter().enumerate() {
        let mut piece: Vec<f64> = sound.get(samples_of(cut, sound.len())).unwrap_or(&[]).to_vec();
        let fading = piece.len().saturating_sub(FADE);
        for (i, sample) in piece[fading..].iter_mut().rev().enumerate() {
            *sample *= i as f64 / FADE as f64;
        }
        let rng = rng(seed, name, u8::try_from(number)?);
        keep(&folder.join(format!("{name}-{number:02}.wav")), piece, rng)?;
    }
    [midi, whole].iter().try_for_each(|file| {
        fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of sound")]
fn samples_of(cut: &Range<f64>, len: usize) -> Range<usize> {
    let sample = |seconds: f64| ((seconds * RATE) as usize).min(len);
    sample(cut.start)..sample(cut.end)
}

/// The mean of the channels of a file.
fn mono(path: &PathBuf) -> Result<Vec<f64>> {
    let mut reader = WavReader::open(path)
        .with_context(|| format!("cannot read what fluidsynth wrote to {}", path.display()))?;
    let channels = usize::from(reader.spec().channels);
    let samples = reader.samples::<f32>().collect::<Result<Vec<_>, _>>()?;
    let mean = |frame: &[f32]| frame.iter().map(|v| f64::from(*v)).sum::<f64>() / channels as f64;
    Ok(samples.chunks_exact(channels).map(mean).collect())
}

/// Writes `sound`, darker or brighter than it came, at some level below full scale.
fn keep(path: &Path, sound: Vec<f64>, mut rng: Rng) -> Result<()> {
    let sound = coloured(sound, &mut rng);
    let peak = sound.iter().fold(0.0, |peak: f64, sample| peak.max(sample.abs()));
    if peak < SILENT {
        return Ok(());
    }
    let level = 10_f64.powf(-(1.0 + 15.0 * rng.f64()) / 20.0);
    let scale = level / peak * f64::from(i16::MAX);
    let spec = WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(path, spec)
        .with_context(|| format!("cannot write {}", path.display()))?;
    for sample in sound {
        #[expect(clippy::cast_possible_truncation, reason = "below full scale")]
        writer.write_sample((scale * sample).round() as i16)?;
    }
    Ok(writer.finalize()?)
}

/// What lies above some frequency becomes up to 12 dB louder or fainter.
fn coloured(mut sound: Vec<f64>, rng: &mut Rng) -> Vec<f64> {
    let corner = 300.0 * 20_f64.powf(rng.f64());
    let above = 4_f64.powf(2.0 * rng.f64() - 1.0);
    let share = 1.0 - (-std::f64::consts::TAU * corner / RATE).exp();
    let mut below = 0.0;
    for sample in &mut sound {
        below += share * (*sample - below);
        *sample = below + above * (*sample - below);
    }
    sound
}
