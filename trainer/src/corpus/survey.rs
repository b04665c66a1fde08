//! Reading the files of a folder.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use super::files::{self, SoundFile};
use super::sound::{Fingerprint, Sound, fingerprint};
use super::{
    LOUDEST, Measured, OpenOptions, Outcome, Recording, SAMPLE_RATE, SHORTEST_S, SILENCE, Verdict,
    class_of, prepared,
};
use crate::audio::decode::Decoded;
use crate::audio::decoder_process::Decoding;
use crate::audio::resample::resample;
use crate::stop::Cancelled;

/// Files that a process decodes before another takes over, at most.
pub(super) const BATCH: usize = 16;
/// Memory for the samples of a folder, in bytes: three hours of stereo.
const MOST_BYTES: u64 = 3 * 3600 * 48_000 * 2 * 4;

/// What was found in a folder.
#[derive(Debug)]
pub struct Survey {
    /// The usable recordings, sorted by name: `[1 or 2][S]` at [`SAMPLE_RATE`], none held out.
    pub recordings: Vec<Recording>,
    /// A verdict on every file, sorted by name.
    pub verdicts: Vec<Verdict>,
    /// What is known of the recordings together, where that was measured before.
    pub measured: Option<Measured>,
}

/// Reads every file of `folder` and gives it a verdict, or opens what was prepared there. Recordings that sound the same are used
/// once, under the first of their names.
///
/// # Errors
///
/// Fails if the folder cannot be read, and with [`Cancelled`] once cancelled.
pub fn survey(folder: &Path, options: &OpenOptions) -> Result<Survey> {
    survey_within(folder, options, MOST_BYTES)
}

/// The same, if the samples take no more than `most_bytes` of memory.
fn survey_within(folder: &Path, options: &OpenOptions, most_bytes: u64) -> Result<Survey> {
    if prepared::is_prepared(folder) {
        return prepared::open(folder);
    }
    ensure!(
        !prepared::is_unfinished(folder),
        "{} is not prepared to the end; call `distill prepare` once more, as before",
        folder.display()
    );
    let files = files::list(folder)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .context("cannot start threads to decode with")?;
    let batch = files.len().div_ceil(4 * options.threads.max(1)).clamp(1, BATCH);
    let on_file = || (options.on_file)(files.len());
    let room = Room { most_bytes, taken: AtomicU64::new(0) };
    let some = |files: &[SoundFile]| read_files(files, options, &room, &on_file);
    let read: Option<Vec<_>> = pool.install(|| files.par_chunks(batch).map(some).collect());
    ensure!(!room.is_taken(), {
        let folder = folder.display();
        format!(
            "{folder} has more than {:.1} GB of sound, which is not kept in memory: \
             `distill prepare {folder}` decodes it to disk, and what it writes is taken in its place",
            most_bytes as f64 / 1e9
        )
    });
    // Files left out mean that the run was cancelled.
    let read = read.ok_or(Cancelled)?;
    ensure!(!options.cancel.load(Ordering::Relaxed), Cancelled);
    Ok(without_duplicates(read.into_iter().flatten().collect()))
}

/// What is left of the memory for samples.
struct Room {
    most_bytes: u64,
    taken: AtomicU64,
}

impl Room {
    fn take(&self, recording: &Recording) {
        let samples = recording.samples() * recording.sound.channels();
        self.taken.fetch_add(4 * samples as u64, Ordering::Relaxed);
    }

    fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.most_bytes
    }
}

/// Reads some of the files; none once cancelled, or if there is no room for them.
fn read_files(
    files: &[SoundFile],
    options: &OpenOptions,
    room: &Room,
    on_file: &dyn Fn(),
) -> Option<Vec<Read>> {
    let promising = files.iter().filter(|file| file.problem.is_none());
    let paths: Vec<PathBuf> = promising.map(|file| file.path.clone()).collect();
    let mut decoding = Decoding::new(options.program, &paths);
    let mut read = Vec::with_capacity(files.len());
    for file in files {
        if options.cancel.load(Ordering::Relaxed) || room.is_taken() {
            return None;
        }
        let decoded = match &file.problem {
            Some(problem) => Err(problem.clone()),
            None => decoding.next()?,
        };
        let one = read_file(file, decoded);
        one.sound.iter().for_each(|(_, recording)| room.take(recording));
        read.push(one);
        on_file();
    }
    Some(read)
}

/// A file with its verdict, and its sound if that can be used.
struct Read {
    verdict: Verdict,
    sound: Option<(Fingerprint, Recording)>,
}

/// Judges what was decoded of a file, and brings it to the rate of the corpus.
fn read_file(file: &SoundFile, decoded: Result<Decoded, String>) -> Read {
    let (mut verdict, usable) = judge(file, decoded);
    let sound = usable.and_then(|(fingerprint, decoded)| {
        match resample(decoded.audio, decoded.rate, SAMPLE_RATE) {
            Ok(audio) => Some((fingerprint, Sound::of_file(audio, fingerprint))),
            Err(error) => {
                verdict.outcome = Outcome::Skipped { reason: format!("{error:#}") };
                None
            }
        }
    });
    let name = &file.name;
    let recording =
        |sound| Recording { name: name.clone(), class: class_of(name), sound, held_out: false };
    let sound = sound.map(|(fingerprint, sound)| (fingerprint, recording(sound)));
    Read { verdict, sound }
}

/// Judges whether what was decoded of a file can be used, and gives it back if so.
pub(super) fn judge(
    file: &SoundFile,
    decoded: Result<Decoded, String>,
) -> (Verdict, Option<(Fingerprint, Decoded)>) {
    let mut verdict = Verdict {
        name: file.name.clone(),
        outcome: Outcome::Used,
        seconds: 0.0,
        rate: 0,
        channels: 0,
        notes: Vec::new(),
    };
    if let Ok(decoded) = &decoded {
        verdict.seconds = decoded.seconds();
        verdict.rate = decoded.rate;
        verdict.channels = decoded.channels;
        verdict.notes.clone_from(&decoded.notes);
    }
    match decoded.and_then(|decoded| unusable(&decoded).map_or(Ok(decoded), Err)) {
        Ok(decoded) => {
            if decoded.rate != SAMPLE_RATE {
                verdict.outcome = Outcome::Resampled;
            }
            (verdict, Some((fingerprint(decoded.rate, &decoded.audio), decoded)))
        }
        Err(reason) => {
            verdict.outcome = Outcome::Skipped { reason };
            (verdict, None)
        }
    }
}

/// Why a recording that was decoded cannot be used.
fn unusable(decoded: &Decoded) -> Option<String> {
    let is_silent = || decoded.audio.iter().flatten().all(|sample| sample.abs() < SILENCE);
    if let Some(reason) = no_sound(&decoded.audio) {
        Some(reason)
    } else if decoded.seconds() < SHORTEST_S {
        Some(format!("it is shorter than {:.0} ms", SHORTEST_S * 1000.0))
    } else {
        is_silent().then(|| "it is silent".to_owned())
    }
}

/// Why samples `[C][S]` are no sound, as a clause, if they are none.
#[must_use]
pub fn no_sound(audio: &[Vec<f32>]) -> Option<String> {
    let samples = || audio.iter().flatten();
    if !samples().all(|sample| sample.is_finite()) {
        return Some("it holds samples that are not numbers; export it again".to_owned());
    }
    // Numbers of another scale, that of integers for one.
    let peak = samples().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    (peak > LOUDEST).then(|| {
        format!("its samples go to {peak:.0}, where 1 is full scale; export it again, normalised")
    })
}

/// Tells recordings that sound like one before.
#[derive(Default)]
pub(super) struct Duplicates {
    first_names: HashMap<Fingerprint, String>,
}

impl Duplicates {
    /// Whether no recording before had this fingerprint; if one had, the verdict says which.
    pub(super) fn is_new(&mut self, fingerprint: Fingerprint, verdict: &mut Verdict) -> bool {
        match self.first_names.entry(fingerprint) {
            Entry::Occupied(first) => {
                verdict.outcome = Outcome::Duplicate { of: first.get().clone() };
                false
            }
            Entry::Vacant(vacant) => {
                vacant.insert(verdict.name.clone());
                true
            }
        }
    }
}

/// Leaves out recordings that sound like one before.
fn without_duplicates(read: Vec<Read>) -> Survey {
    let mut duplicates = Duplicates::default();
    let mut survey = Survey { recordings: Vec::new(), verdicts: Vec::new(), measured: None };
    for Read { mut verdict, sound } in read {
        if let Some((fingerprint, recording)) = sound
            && duplicates.is_new(fingerprint, &mut verdict)
        {
            survey.recordings.push(recording);
        }
        survey.verdicts.push(verdict);
    }
    survey
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};

    #[test]
    fn floats_of_the_scale_of_integers_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (name, peak) in [("hot.wav", 90.0), ("integers.wav", 32_767.0)] {
            let (format, bit_depth) = (FileFormat::Wav, BitDepth::Float32);
            let format = ExportFormat { format, bit_depth, rate: 48_000 };
            let sound: Vec<f32> = (0..9600).map(|n| peak * (n as f32 * 0.1).sin()).collect();
            write_audio(&folder.path().join(name), &[sound], format).unwrap();
        }
        let cancel = &AtomicBool::new(false);
        let (before, on_file) = (&super::super::Before::default(), &|_| {});
        let options = OpenOptions { seed: 0, threads: 1, cancel, program: None, before, on_file };
        let found = survey_within(folder.path(), &options, 1 << 20).unwrap();
        assert_eq!(found.recordings.len(), 1);
        let Outcome::Skipped { reason } = &found.verdicts[1].outcome else { panic!("it is used") };
        assert!(reason.contains("go to 32767"), "{reason}");
    }

    #[test]
    fn what_memory_does_not_hold_is_to_be_prepared() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.wav", "b.wav"] {
            let (format, bit_depth) = (FileFormat::Wav, BitDepth::Float32);
            let format = ExportFormat { format, bit_depth, rate: 24_000 };
            write_audio(&folder.path().join(name), &[vec![0.5; 6000]], format).unwrap();
        }
        let cancel = &AtomicBool::new(false);
        let (before, on_file) = (&super::super::Before::default(), &|_| {});
        let options = OpenOptions { seed: 0, threads: 1, cancel, program: None, before, on_file };
        let found = survey_within(folder.path(), &options, 96_000).unwrap();
        assert_eq!(found.verdicts.len(), 2, "12000 samples of four bytes, each at twice its rate");
        let error = survey_within(folder.path(), &options, 95_999).unwrap_err().to_string();
        assert!(error.contains("distill prepare"), "{error}");
    }
}
