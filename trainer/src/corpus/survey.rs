//! Reading the files of a folder.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::files::{self, SoundFile};
use super::{OpenOptions, Outcome, Recording, SAMPLE_RATE, SHORTEST_S, SILENCE, Verdict};
use crate::audio::decode::Decoded;
use crate::audio::decoder_process::Decoding;
use crate::audio::resample::resample;
use crate::stop::Cancelled;

/// Files that a process decodes before another takes over, at most.
const BATCH: usize = 16;

/// What was found in a folder.
#[derive(Debug)]
pub struct Survey {
    /// The usable recordings, sorted by name: `[1 or 2][S]` at [`SAMPLE_RATE`], none held out.
    pub recordings: Vec<Recording>,
    /// A verdict on every file, sorted by name.
    pub verdicts: Vec<Verdict>,
}

/// Reads every file of `folder` and gives it a verdict. Recordings that sound the same are used
/// once, under the first of their names.
///
/// # Errors
///
/// Fails if the folder cannot be read, and with [`Cancelled`] once cancelled.
pub fn survey(folder: &Path, options: &OpenOptions) -> Result<Survey> {
    let files = files::list(folder)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .context("cannot start threads to decode with")?;
    let batch = files.len().div_ceil(4 * options.threads.max(1)).clamp(1, BATCH);
    let on_file = || (options.on_file)(files.len());
    let some = |files: &[SoundFile]| read_files(files, options, &on_file);
    let read: Option<Vec<_>> = pool.install(|| files.par_chunks(batch).map(some).collect());
    // Files left out mean that the run was cancelled.
    let read = read.ok_or(Cancelled)?;
    ensure!(!options.cancel.load(Ordering::Relaxed), Cancelled);
    Ok(without_duplicates(read.into_iter().flatten().collect()))
}

/// Reads some of the files; none once cancelled.
fn read_files(files: &[SoundFile], options: &OpenOptions, on_file: &dyn Fn()) -> Option<Vec<Read>> {
    let promising = files.iter().filter(|file| file.problem.is_none());
    let paths: Vec<PathBuf> = promising.map(|file| file.path.clone()).collect();
    let mut decoding = Decoding::new(options.program, &paths);
    let mut read = Vec::with_capacity(files.len());
    for file in files {
        if options.cancel.load(Ordering::Relaxed) {
            return None;
        }
        let decoded = match &file.problem {
            Some(problem) => Err(problem.clone()),
            None => decoding.next()?,
        };
        read.push(judge(file, decoded));
        on_file();
    }
    Some(read)
}

/// A file with its verdict, and its sound if that can be used.
struct Read {
    verdict: Verdict,
    sound: Option<(Fingerprint, Recording)>,
}

/// SHA-256 over rate and samples as they are in the file.
type Fingerprint = [u8; 32];

/// Judges whether what was decoded of a file can be used, and brings it to the rate of the corpus.
fn judge(file: &SoundFile, decoded: Result<Decoded, String>) -> Read {
    let mut verdict = Verdict {
        name: file.name.clone(),
        outcome: Outcome::Used,
        seconds: 0.0,
        rate: 0,
        channels: 0,
        notes: Vec::new(),
    };
    match decoded.and_then(|decoded| usable_sound(file, decoded, &mut verdict)) {
        Ok(sound) => Read { verdict, sound: Some(sound) },
        Err(reason) => {
            verdict.outcome = Outcome::Skipped { reason };
            Read { verdict, sound: None }
        }
    }
}

/// The sound of a file, or why it cannot be used. Fills in what becomes known of the file.
fn usable_sound(
    file: &SoundFile,
    decoded: Decoded,
    verdict: &mut Verdict,
) -> Result<(Fingerprint, Recording), String> {
    verdict.seconds = decoded.seconds();
    verdict.rate = decoded.rate;
    verdict.channels = decoded.channels;
    verdict.notes.clone_from(&decoded.notes);
    if let Some(reason) = unusable(&decoded) {
        return Err(reason);
    }
    if decoded.rate != SAMPLE_RATE {
        verdict.outcome = Outcome::Resampled;
    }
    let fingerprint = fingerprint(&decoded);
    let audio =
        resample(decoded.audio, decoded.rate, SAMPLE_RATE).map_err(|error| format!("{error:#}"))?;
    let class = file.name.split_once('/').map_or("", |(folder, _)| folder);
    let (name, class) = (file.name.clone(), class.to_owned());
    Ok((fingerprint, Recording { name, class, audio, held_out: false }))
}

/// Why a recording that was decoded cannot be used.
fn unusable(decoded: &Decoded) -> Option<String> {
    let samples = || decoded.audio.iter().flatten();
    if !samples().all(|sample| sample.is_finite()) {
        Some("it holds samples that are not numbers; export it again".to_owned())
    } else if decoded.seconds() < SHORTEST_S {
        Some(format!("it is shorter than {:.0} ms", SHORTEST_S * 1000.0))
    } else if samples().all(|sample| sample.abs() < SILENCE) {
        Some("it is silent".to_owned())
    } else {
        None
    }
}

fn fingerprint(decoded: &Decoded) -> Fingerprint {
    let mut hash = Sha256::new_with_prefix(decoded.rate.to_le_bytes());
    for channel in &decoded.audio {
        for part in channel.chunks(4096) {
            let bytes: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            hash.update(&bytes);
        }
    }
    hash.finalize().into()
}

/// Leaves out recordings that sound like one before.
fn without_duplicates(read: Vec<Read>) -> Survey {
    let mut first_names = HashMap::<Fingerprint, String>::new();
    let mut survey = Survey { recordings: Vec::new(), verdicts: Vec::new() };
    for Read { mut verdict, sound } in read {
        if let Some((fingerprint, recording)) = sound {
            match first_names.entry(fingerprint) {
                Entry::Occupied(first) => {
                    verdict.outcome = Outcome::Duplicate { of: first.get().clone() };
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(verdict.name.clone());
                    survey.recordings.push(recording);
                }
            }
        }
        survey.verdicts.push(verdict);
    }
    survey
}
