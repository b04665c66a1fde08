//! `distill evaluate`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use distill_shared::bundle::{Bundle, Card};
use serde_json::{Value, json};

use super::duration;
use super::exit::Ending;
use super::interrupt::stop_flag;
use super::output::{print, print_json};
use crate::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use crate::corpus::{
    Before, Corpus, OpenOptions, Outcome, Recording, SAMPLE_RATE, SHORTEST_S, SILENCE,
    nothing_usable, survey,
};
use crate::device::{DeviceChoice, cores};
use crate::evaluate::prior::distribution::Generation;
use crate::evaluate::prior::{self, PriorOptions, measure_generation, measure_prior};
use crate::evaluate::reconstruction::{Reconstruction, reconstruct};
use crate::evaluate::{Baseline, Evaluation, MeasureOptions, measure, table};
use crate::listeners::Listeners;
use crate::pipeline::{Session, held_out_of};
use crate::progress::Display;
use crate::ranks::Alone;
use crate::stop::{Cancelled, Usage};

/// Measures what the codec of a bundle keeps of recordings, and how its prior's sound compares with
/// them, or, without a folder, what its prior is worth
#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The bundle
    bundle: PathBuf,
    /// Folder of recordings to measure with, which the bundle was not trained on; the folders in it
    /// are searched too. Without it the prior is measured, with what the bundle remembers of its
    /// training
    folder: Option<PathBuf>,
    /// If FOLDER is the one that the bundle was trained on: only what training held out of it, as
    /// the bundle remembers, or as the seed on the card and the names of the files decide
    #[arg(long)]
    held_out: bool,
    /// Only the beginning of each recording: seconds, or a time such as 1m30s
    #[arg(long, value_name = "TIME", value_parser = duration::seconds)]
    max_seconds: Option<Duration>,
    /// Leave out the baseline, the same recordings retold from 128 mel bands by Griffin-Lim;
    /// it takes most of the time
    #[arg(long)]
    no_baseline: bool,
    /// Write what the codec makes of each recording to this folder, as 32-bit float WAV; without
    /// FOLDER, what of the prior's sound is compared with what
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Seed of the takes that the prior is measured by
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write the figures on the card of the bundle; everything else in it stays as it is
    #[arg(long)]
    save: bool,
    /// Recordings to read and to measure at a time; all cores if not given. The codec itself is
    /// timed on one thread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Tell nothing on the way but warnings
    #[arg(long)]
    quiet: bool,
}

impl EvaluateArgs {
    pub(super) fn run(self) -> Result<Ending> {
        match &self.folder {
            Some(folder) => self.measure_codec(folder),
            None => self.measure_prior(),
        }
    }

    /// Measures the prior.
    fn measure_prior(&self) -> Result<Ending> {
        if self.held_out || self.max_seconds.is_some() || self.no_baseline {
            let message = "--held-out, --max-seconds and --no-baseline need the folder of recordings \
                           to measure the codec with";
            return Err(Usage(message.to_owned()).into());
        }
        let bundle = Bundle::open(&self.bundle)?;
        let display = if self.quiet { Display::quiet() } else { Display::new() };
        display.say("measuring the prior");
        let rate = bundle.config().codec.sample_rate;
        let keep = |of: &str, number: usize, sound: &[Vec<f32>]| match &self.output {
            Some(folder) => keep_passage(&folder.join(of), number, sound, rate),
            None => Ok(()),
        };
        let options = PriorOptions { threads: self.threads(), seed: self.seed, keep: &keep };
        let evaluation = measure_prior(&bundle, &options)
            .with_context(|| format!("cannot evaluate the prior of {}", self.bundle.display()))?;
        if self.json {
            let figures = json!({
                "bundle": self.bundle.display().to_string(),
                "digest": bundle.digest(),
                "seed": self.seed,
                "prior": evaluation,
            });
            print_json(&figures)?;
        } else {
            print(&prior::table::text(&evaluation))?;
        }
        if self.save {
            self.write_card(&bundle, |card| card.prior_evaluation = Some(evaluation.for_card()))?;
        }
        Ok(Ending::Done)
    }

    /// Measures the codec with the recordings in `folder`.
    fn measure_codec(&self, folder: &Path) -> Result<Ending> {
        self.check(folder)?;
        let bundle = Bundle::open(&self.bundle)?;
        let display = if self.quiet { Display::quiet() } else { Display::new() };
        let mut session = Session {
            device: DeviceChoice::Cpu.open()?,
            ranks: &Alone,
            threads: 1, // speeds are those of one thread
            seed: bundle.card().codec.training.seed,
            cancel: stop_flag("there is no result")?,
            listeners: Listeners { display, ..Listeners::default() },
            run_dir: None,
            complete: false,
            diverged: None,
        };
        let recordings = self.recordings(folder, held_out_of(&bundle), &mut session)?;
        let files = self.output.as_deref().map(|folder| paths(folder, &recordings)).transpose()?;
        let made = reconstruct(&mut session, &bundle, recordings)
            .with_context(|| format!("cannot evaluate {}", self.bundle.display()))?;
        for (path, sound) in files.iter().flatten().zip(&made.sounds) {
            let (format, bit_depth) = (FileFormat::Wav, BitDepth::Float32);
            write_audio(path, sound, ExportFormat { format, bit_depth, rate: SAMPLE_RATE })?;
        }
        let evaluation = self.measure(&mut session, &bundle, &made)?;
        let generation = self.measure_generation(&session, &bundle, &made)?;
        if self.json {
            print_json(&self.object(folder, &bundle, &evaluation, generation.as_ref())?)?;
        } else {
            print(&table::text(&evaluation))?;
            generation.iter().try_for_each(|of| print(&prior::table::generation_text(of)))?;
        }
        if self.save {
            let name = name_of(folder);
            self.write_card(&bundle, |card| {
                if let Some(generation) = &generation {
                    let of_prior = card.prior_evaluation.get_or_insert_default();
                    of_prior.generation = Some(generation.for_card(&name));
                }
                card.evaluation = Some(evaluation.for_card(name, self.limit()));
            })?;
        }
        Ok(Ending::Done)
    }

    /// Measures what the prior makes against the recordings, as the codec tells them; nothing if
    /// there is no prior, or no corpus to tell how far recordings are from one another.
    fn measure_generation(
        &self,
        session: &Session,
        bundle: &Bundle,
        made: &Reconstruction,
    ) -> Result<Option<Generation>> {
        let corpus = bundle.corpus_codes();
        if !bundle.has_prior() || corpus.iter().all(|one| one.held_out) {
            return Ok(None);
        }
        session.listeners.display.say("measuring the prior");
        // Asked where one sound is done and the next is not begun.
        let go_on = |_: &str, _: usize, _: &[Vec<f32>]| {
            ensure!(!session.cancel.load(Ordering::Relaxed), Cancelled);
            Ok(())
        };
        let options = PriorOptions { threads: self.threads(), seed: self.seed, keep: &go_on };
        measure_generation(bundle, &made.codes, &options)
            .with_context(|| format!("cannot evaluate the prior of {}", self.bundle.display()))
            .map(Some)
    }

    /// Refuses what cannot be done before any work.
    fn check(&self, folder: &Path) -> Result<()> {
        if self.max_seconds.is_some_and(|time| time.as_secs_f64() < SHORTEST_S) {
            let message = format!("--max-seconds must be at least {SHORTEST_S}");
            return Err(Usage(message).into());
        }
        let Some(output) = &self.output else { return Ok(()) };
        let inside = |output: &Path| {
            let (output, folder) = (output.canonicalize().ok()?, folder.canonicalize().ok()?);
            Some(output.starts_with(folder))
        };
        // A folder that is not there yet has no canonical path, but some parent of it has.
        let whole = std::path::absolute(output)
            .with_context(|| format!("cannot use {}", output.display()))?;
        if whole.ancestors().find_map(inside) == Some(true) {
            let message = "--output lies in the folder of recordings; choose one outside of it";
            return Err(Usage(message.to_owned()).into());
        }
        Ok(())
    }

    /// The recordings to measure with, of which the bundle may remember what was held out, by name.
    fn recordings(
        &self,
        folder: &Path,
        remembered: Option<Vec<String>>,
        session: &mut Session,
    ) -> Result<Vec<Recording>> {
        let bar = session.listeners.display.count("reading");
        let on_file = |files: usize| {
            bar.set_length(files as u64);
            bar.inc(1);
        };
        let program = std::env::current_exe().ok();
        let options = OpenOptions {
            seed: session.seed,
            threads: self.threads(),
            cancel: session.cancel,
            program: program.as_deref(),
            before: &Before::default(),
            on_file: &on_file,
        };
        let found = survey(folder, &options)?;
        let display = &mut session.listeners.display;
        display.finish();
        for verdict in &found.verdicts {
            match &verdict.outcome {
                Outcome::Skipped { reason } => {
                    display.say(&format!("skipped {}: {reason}", verdict.name));
                }
                Outcome::Duplicate { of } => {
                    display.say(&format!("skipped {}: it sounds the same as {of}", verdict.name));
                }
                Outcome::Used | Outcome::Resampled => {}
            }
        }
        if found.recordings.is_empty() {
            bail!(nothing_usable(folder, &found.verdicts));
        }
        let mut recordings = match (self.held_out, remembered) {
            (false, _) => found.recordings,
            (true, Some(names)) => Corpus::held_out_as(found.recordings, &names),
            (true, None) => {
                let all =
                    Corpus::of(found, session.seed, &Before::default(), self.threads())?.recordings;
                all.into_iter().filter(|recording| recording.held_out).collect()
            }
        };
        ensure!(
            !recordings.is_empty(),
            "none of the recordings that training held out lies in {}; name the folder that it was trained \
             on, or leave out --held-out",
            folder.display()
        );
        self.keep_beginnings(&mut recordings, display)?;
        ensure!(
            !recordings.is_empty(),
            "every recording in {} begins with silence",
            folder.display()
        );
        Ok(recordings)
    }

    /// Cuts the recordings to `--max-seconds`, and leaves out those of which only silence is left.
    fn keep_beginnings(&self, recordings: &mut Vec<Recording>, display: &Display) -> Result<()> {
        let Some(seconds) = self.limit() else { return Ok(()) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let samples = (seconds * f64::from(SAMPLE_RATE)).round() as usize;
        for mut recording in std::mem::take(recordings) {
            recording.sound.truncate(samples);
            let audio = recording.sound.whole()?;
            if audio.iter().flatten().any(|sample| sample.abs() >= SILENCE) {
                recordings.push(recording);
            } else {
                display.say(&format!("skipped {}: it begins with silence", recording.name));
            }
        }
        Ok(())
    }

    /// Measures what the codec made.
    fn measure(
        &self,
        session: &mut Session,
        bundle: &Bundle,
        made: &Reconstruction,
    ) -> Result<Evaluation> {
        let bar = session.listeners.display.count("measuring");
        bar.set_length(made.heard.len() as u64);
        let options = MeasureOptions {
            threads: self.threads(),
            baseline: if self.no_baseline { Baseline::None } else { Baseline::GriffinLim },
            cancel: session.cancel,
            on_file: &|| bar.inc(1),
        };
        let evaluation = measure(made, &bundle.config().codec, &options);
        session.listeners.display.finish();
        evaluation
    }

    /// The evaluation as JSON.
    fn object(
        &self,
        folder: &Path,
        bundle: &Bundle,
        evaluation: &Evaluation,
        generation: Option<&Generation>,
    ) -> Result<Value> {
        let mut object = json!({
            "bundle": self.bundle.display().to_string(),
            "digest": bundle.digest(),
            "folder": folder.display().to_string(),
            "held_out": self.held_out,
            "max_seconds": self.limit(),
            "generation": generation,
        });
        let figures = serde_json::to_value(evaluation)?;
        if let (Value::Object(object), Value::Object(figures)) = (&mut object, figures) {
            object.extend(figures);
        }
        Ok(object)
    }

    /// Writes the figures on the card of the bundle, unless it has become another model since it
    /// was measured.
    fn write_card(&self, measured: &Bundle, write: impl FnOnce(&mut Card)) -> Result<()> {
        let path = self.bundle.display();
        let bundle = Bundle::open(&self.bundle)?;
        ensure!(
            bundle.digest() == measured.digest(),
            "{path} was changed while it was measured; evaluate it again"
        );
        let mut card = bundle.card().clone();
        write(&mut card);
        let bundle = bundle
            .with_card(card)
            .with_context(|| format!("cannot write the figures on the card of {path}"))?;
        Ok(bundle.write(&self.bundle)?)
    }

    fn threads(&self) -> usize {
        self.threads.map_or_else(cores, usize::from)
    }

    /// Seconds that are measured of each recording, if not all.
    fn limit(&self) -> Option<f64> {
        self.max_seconds.map(|time| time.as_secs_f64())
    }
}

/// Writes a passage that is compared, at `rate` Hz, to the folder of its kind.
fn keep_passage(folder: &Path, number: usize, sound: &[Vec<f32>], rate: u32) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (format, bit_depth) = (FileFormat::Wav, BitDepth::Float32);
    let path = folder.join(format!("{:03}.wav", number + 1));
    write_audio(&path, sound, ExportFormat { format, bit_depth, rate })
}

/// Name of the folder of recordings: a card does not tell where on a disk it lies.
fn name_of(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where each recording is written in `folder`, which is made if it is not there: under its own
/// name, with `_` between folders, as a WAV file.
fn paths(folder: &Path, recordings: &[Recording]) -> Result<Vec<PathBuf>> {
    let mut taken = HashSet::new();
    let mut path = |recording: &Recording| {
        let name = recording.name.replace('/', "_");
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let name = format!("{stem}.wav");
        ensure!(
            taken.insert(name.clone()),
            "two recordings would both be written as {name}; rename one of them"
        );
        Ok(folder.join(name))
    };
    let paths = recordings.iter().map(&mut path).collect::<Result<_>>()?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Sound;

    fn recording(name: &str) -> Recording {
        let (name, class) = (name.to_owned(), String::new());
        Recording { name, class, sound: Sound::new(Vec::new()), held_out: false }
    }

    #[test]
    fn files_are_named_as_their_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let names = |of: &[&str]| -> Result<Vec<String>> {
            let recordings: Vec<Recording> = of.iter().map(|name| recording(name)).collect();
            let paths = paths(folder.path(), &recordings)?;
            Ok(paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect())
        };
        assert_eq!(names(&["a.flac", "b/c.d.wav"]).unwrap(), ["a.wav", "b_c.d.wav"]);
        assert!(names(&["a.flac", "a.wav"]).unwrap_err().to_string().contains("a.wav"));
    }
}
