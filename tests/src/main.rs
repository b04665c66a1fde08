//! `distill-play`: plays a MIDI file on the built instrument and judges what comes out.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use distill_shared::bundle::Bundle;
use distill_shared::player::Model;
use distill_tests::copying::{self, COPY_SECONDS, Copied};
use distill_tests::host::{Host, Playback, state};
use distill_tests::phrase::{self, Note};
use distill_tests::sound::Sound;
use distill_tests::{picture, takes};
use distill_trainer::corpus::SAMPLE_RATE;

/// Below this, nobody would call it a sound, in dBFS.
const AUDIBLE_DB: f64 = -40.0;

/// Plays a MIDI file on the built CLAP, as a DAW that bounces a track, and judges the sound.
#[derive(Debug, Parser)]
#[command(name = "distill-play", version)]
struct Arguments {
    /// The built instrument
    plugin: PathBuf,
    /// The bundle to play, of which no recording may be repeated; without it, the factory bundle
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
    let Some(bundle) = &arguments.bundle else { return Ok(()) };
    let model = Arc::new(Model::from_bundle(&Bundle::open(bundle)?)?);
    let seed = u64::from(arguments.seed);
    compare(&notes, &model, seed)?;
    if let Some(picture) = &arguments.picture {
        picture::write(picture, &sound, &takes::codes_of(&notes, &model, seed)?)?;
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

/// Whether a recording of the corpus can be heard in the takes of the notes.
fn compare(notes: &[Note], model: &Arc<Model>, seed: u64) -> Result<()> {
    let Copied { at_seconds, seconds } = copying::longest_copy(notes, model, seed)?;
    println!(
        "the longest that a take goes on as a recording does: {seconds:.2} s (a copy is longer than {COPY_SECONDS} s)"
    );
    ensure!(
        seconds <= COPY_SECONDS,
        "the note at {at_seconds:.1} s repeats a recording of the corpus"
    );
    Ok(())
}
