//! `distill-play`: plays a MIDI file on the built instrument and judges what comes out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use distill_shared::bundle::Bundle;
use distill_shared::player::Model;
use distill_tests::copying::{self, COPY, Recording, STRETCH_SECONDS};
use distill_tests::host::{Host, Playback, state};
use distill_tests::phrase::{self, Note};
use distill_tests::sound::Sound;
use distill_tests::{picture, takes};
use distill_trainer::corpus::{OpenOptions, SAMPLE_RATE, survey};

/// Below this, nobody would call it a sound, in dBFS.
const AUDIBLE_DB: f64 = -40.0;

/// Plays a MIDI file on the built CLAP, as a DAW that bounces a track, and judges the sound.
#[derive(Debug, Parser)]
#[command(name = "distill-play", version)]
struct Arguments {
    /// The built instrument
    plugin: PathBuf,
    /// The bundle to play; without it, the factory bundle
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// What to play
    #[arg(long)]
    midi: PathBuf,
    /// The instrument's seed
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// The instrument's volume in dB
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    volume: f64,
    /// Folder of recordings that the sound must not repeat
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Where to draw spectrogram and codes; needs --bundle
    #[arg(long, requires = "bundle")]
    picture: Option<PathBuf>,
    /// The WAV file to write
    #[arg(short, long)]
    output: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let notes = phrase::read(&arguments.midi)?;
    let sound = play(&arguments, &notes)?;
    sound.write_wav(&arguments.output)?;
    println!(
        "{:.1} s, RMS {:.1} dBFS, peak {:.1} dBFS",
        sound.seconds(),
        sound.rms_db(),
        sound.peak_db()
    );
    judge(&sound)?;
    if let Some(corpus) = &arguments.corpus {
        compare(&sound, corpus)?;
    }
    if let (Some(picture), Some(bundle)) = (&arguments.picture, &arguments.bundle) {
        let model = Arc::new(Model::from_bundle(&Bundle::open(bundle)?)?);
        let codes = takes::codes_of(&notes, &model, u64::from(arguments.seed))?;
        picture::write(picture, &sound, &codes)?;
    }
    Ok(())
}

fn play(arguments: &Arguments, notes: &[Note]) -> Result<Sound> {
    let mut instrument = Host::open(&arguments.plugin)?.instrument()?;
    if let Some(bundle) = &arguments.bundle {
        let bundle =
            bundle.canonicalize().with_context(|| format!("cannot find {}", bundle.display()))?;
        let state = state::with_bundle(&instrument.save()?, &bundle)?;
        instrument.load(&state)?;
    }
    let volume = format!("{} dB", arguments.volume);
    for (name, text) in [("Seed", arguments.seed.to_string()), ("Volume", volume)] {
        let parameter = instrument.parameter(name)?;
        let value = instrument.read(&parameter, &text)?;
        instrument.set(&parameter, value)?;
    }
    let end = notes.iter().map(|note| note.end).fold(0.0, f64::max);
    instrument
        .play(notes, &Playback { seconds: end + 1.0, rate: SAMPLE_RATE, ..Playback::default() })
}

/// What any sound must be.
fn judge(sound: &Sound) -> Result<()> {
    ensure!(sound.is_finite(), "the sound is not finite");
    ensure!(
        sound.rms_db() > AUDIBLE_DB,
        "the sound is too quiet ({:.1} dBFS); does the instrument play the bundle?",
        sound.rms_db()
    );
    ensure!(sound.peak_db() < 0.0, "the sound clips at {:+.1} dBFS", sound.peak_db());
    Ok(())
}

/// Whether a recording of the corpus can be heard in the sound.
fn compare(sound: &Sound, corpus: &Path) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = OpenOptions {
        seed: 0,
        threads,
        cancel: &AtomicBool::new(false),
        program: None,
        heard: &[],
        on_file: &|_| {},
    };
    let whole = |recording: distill_trainer::corpus::Recording| -> Result<Recording> {
        let channels = recording.sound.whole()?;
        let samples = Sound { rate: SAMPLE_RATE, channels }.mono();
        Ok(Recording { name: recording.name, samples })
    };
    let recordings = survey(corpus, &options)?.recordings.into_iter().map(whole);
    let recordings: Vec<Recording> = recordings.collect::<Result<_>>()?;
    let closest = copying::closest(&sound.mono(), sound.rate, &recordings);
    let closest = closest.context("there is nothing to compare with the corpus")?;
    println!(
        "most like {} at {:.1} s: correlation {:.2} over {STRETCH_SECONDS} s (a copy is above {COPY})",
        closest.name, closest.at_seconds, closest.correlation
    );
    ensure!(closest.correlation <= COPY, "the sound repeats {} of the corpus", closest.name);
    Ok(())
}
