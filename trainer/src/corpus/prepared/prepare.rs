//! Making a prepared corpus, in as many processes as there are, and again where that was interrupted.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, OpenOptions as FileOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail, ensure};
use distill_shared::bundle::write_atomically;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::index::{self, Index, recording};
use super::shard::{Entry, Known, Shard, Version, number_of};
use super::stored::{Place, Store};
use super::{INDEX, LOCK, is_prepared};
use crate::corpus::alike::alike;
use crate::corpus::files::{self, SoundFile};
use crate::corpus::level::Levels;
use crate::corpus::survey::{Duplicates, judge};
use crate::corpus::{Measured, OpenOptions, Recording, Verdict, nothing_usable};
use crate::ranks::Ranks;
use crate::stop::Cancelled;

/// Files of a shard, at most.
const MOST_FILES: usize = 256;
/// Bytes of the files of a shard, but for the last of them.
const MOST_BYTES: u64 = 64 << 20;

/// What was prepared.
#[derive(Debug)]
pub struct Prepared {
    /// A verdict on every file, sorted by name.
    pub verdicts: Vec<Verdict>,
    /// Length of all that is used, in seconds.
    pub seconds: f64,
    /// 1 if in every file all channels are equal, else 2.
    pub channels: usize,
    /// Room that the samples take, in bytes.
    pub bytes: u64,
}

/// A file, and which version of it.
type Versioned = (Version, SoundFile);

/// Decodes the sound files of `folder` into the folder `output`, which is made if it is not there. What was
/// decoded before and has not changed since stays as it is; what could not be used is tried again. With
/// several ranks each decodes its share, and the first tells what came of it.
///
/// # Errors
///
/// Fails if `folder` cannot be read or holds nothing that can be used, if `output` cannot be written to
/// or lies in `folder`, and with [`Cancelled`] once cancelled; what was decoded until then is kept.
pub fn prepare(
    folder: &Path,
    output: &Path,
    options: &OpenOptions,
    ranks: &dyn Ranks,
) -> Result<Option<Prepared>> {
    ensure!(
        !is_prepared(folder),
        "{} is prepared already; `distill train` takes it as it is",
        folder.display()
    );
    let listed = files::list(folder)?;
    let _lock = ranks.is_first().then(|| begin(folder, output)).transpose()?;
    // The folder is there, and nobody has begun to fill it.
    ranks.gather(&[])?;
    let files: Vec<Versioned> = listed.into_iter().map(|file| (Version::of(&file), file)).collect();
    let shards = Shard::list(output)?;
    let plan = plan(&files, &done(output, &shards)?, options.threads * ranks.count());
    ensure!(
        all_alike(&plan, &shards, ranks)?,
        "the ranks see different files in {} or {}; give all of them the same folders",
        folder.display(),
        output.display()
    );
    let on_file = || (options.on_file)(files.len());
    let new: usize = plan.iter().map(Vec::len).sum();
    (new..files.len()).for_each(|_| on_file());
    let store = Arc::new(Store::new(output.to_owned()));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .context("cannot start threads to decode with")?;
    let first = shards.last().map_or(0, |last| last + 1);
    let own = (first..).zip(plan).enumerate().filter(|(i, _)| i % ranks.count() == ranks.rank());
    let own: Vec<(u32, Vec<Versioned>)> = own.map(|(_, shard)| shard).collect();
    let write = |(number, files): &(u32, Vec<Versioned>)| {
        Shard::write(&store, output, *number, files, options, &on_file)
    };
    let written: Result<()> = pool.install(|| own.par_iter().map(write).collect());
    let [stopped, failed] =
        ranks.any([options.cancel.load(Ordering::Relaxed), written.is_err()])?;
    ensure!(!stopped, Cancelled);
    written?;
    ensure!(!failed, "another rank could not write its share");
    let all = || pool.install(|| finish(folder, output, &store, &files));
    let prepared = ranks.is_first().then(all).transpose()?;
    // Nobody reads the index before it is there.
    ranks.gather(&[])?;
    Ok(prepared)
}

/// Whether what lies in `output` is known to be prepared of another folder than `folder`.
#[must_use]
pub fn is_of_another(output: &Path, folder: &Path) -> bool {
    let source = fs::read_to_string(output.join(LOCK)).unwrap_or_default();
    !source.is_empty() && source != source_of(folder)
}

/// How a folder of recordings is written down.
fn source_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.display().to_string()
}

/// Makes the folder, or goes on in it, and takes its lock, which tells what it is made of.
fn begin(folder: &Path, output: &Path) -> Result<File> {
    let cannot = || format!("cannot write to {}", output.display());
    let (is_new, is_ours) = (!output.exists(), output.join(LOCK).is_file());
    fs::create_dir_all(output).with_context(cannot)?;
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if whole(output).starts_with(whole(folder)) {
        if is_new {
            let _ = fs::remove_dir(output);
        }
        bail!(
            "{} lies in the folder of recordings; name a folder outside of it with -o",
            output.display()
        );
    }
    let ours = |name: &str| {
        let is_shard = number_of(name, "json").or(number_of(name, "pcm")).is_some();
        is_ours && (name == LOCK || name == INDEX || is_shard)
    };
    for entry in fs::read_dir(output).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        let name = name.to_string_lossy();
        ensure!(
            ours(&name) || name.starts_with('.'),
            "{} holds {name}, which is no part of a prepared corpus; name an empty folder with -o",
            output.display()
        );
    }
    let lock = FileOptions::new().write(true).create(true).truncate(false).open(output.join(LOCK));
    let mut lock = lock.with_context(cannot)?;
    // Where files cannot be locked, it is left to the musician.
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        bail!(
            "another program is preparing {} or trains on it; wait until it is done",
            output.display()
        );
    }
    let told = lock.set_len(0).and_then(|()| lock.write_all(source_of(folder).as_bytes()));
    told.with_context(cannot)?;
    remove_leftovers(output).with_context(cannot)?;
    Ok(lock)
}

/// Removes what is not whole: samples that no shard tells of, as a run that was killed leaves them, shards
/// whose samples are not there, and an index of such.
fn remove_leftovers(output: &Path) -> Result<()> {
    let store = Store::new(output.to_owned());
    let mut told = HashSet::new();
    for number in Shard::list(output)? {
        if Shard::is_whole(&store, output, number) {
            told.insert(number);
        } else {
            fs::remove_file(output.join(format!("{number:05}.json")))?;
        }
    }
    for entry in fs::read_dir(output)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| number_of(name, "pcm"));
        if number.is_some_and(|number| !told.contains(&number)) {
            fs::remove_file(entry.path())?;
        }
    }
    if is_prepared(output) && index::read(output, &store).is_err() {
        fs::remove_file(output.join(INDEX))?;
    }
    Ok(())
}

/// The versions of files whose sound is in shards.
fn done(output: &Path, shards: &[u32]) -> Result<HashSet<Version>> {
    let mut done = HashSet::new();
    for &number in shards {
        let files = Shard::read(output, number)?.files.into_iter();
        done.extend(files.filter(|one| one.sound.is_some()).map(|one| one.version));
    }
    Ok(done)
}

/// The files of each shard that is to be written: those that are in none yet, in order of name.
fn plan(files: &[Versioned], done: &HashSet<Version>, threads: usize) -> Vec<Vec<Versioned>> {
    let new = |(version, file): &&Versioned| file.problem.is_none() && !done.contains(version);
    let files: Vec<&Versioned> = files.iter().filter(new).collect();
    let most_files = files.len().div_ceil(4 * threads.max(1)).clamp(1, MOST_FILES);
    let mut plan: Vec<Vec<Versioned>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let full = plan.last().is_none_or(|last| last.len() >= most_files) || bytes >= MOST_BYTES;
        if full {
            plan.push(Vec::new());
            bytes = 0;
        }
        bytes += file.0.bytes();
        plan.last_mut().into_iter().for_each(|last| last.push(file.clone()));
    }
    plan
}

/// Whether all ranks have the same plan. None goes on before all have one.
fn all_alike(plan: &[Vec<Versioned>], shards: &[u32], ranks: &dyn Ranks) -> Result<bool> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(shards)?);
    for files in plan {
        hash.update((files.len() as u64).to_le_bytes());
        for (version, _) in files {
            hash.update(serde_json::to_vec(version)?);
        }
    }
    let all = ranks.gather(&hash.finalize())?;
    Ok(all.iter().all(|one| *one == all[0]))
}

/// Writes the index of all `files`, and removes shards that nothing of is used, unless they are of what
/// cannot be read now.
fn finish(
    folder: &Path,
    output: &Path,
    store: &Arc<Store>,
    files: &[Versioned],
) -> Result<Prepared> {
    let shards = Shard::list(output)?;
    let mut told = told(output, &shards, files)?;
    let used_shards: BTreeSet<u32> = told.values().map(|(number, _)| *number).collect();
    let (mut verdicts, mut used) = (Vec::with_capacity(files.len()), Vec::new());
    let mut duplicates = Duplicates::default();
    for (_, file) in files {
        let (mut verdict, sound) = match told.remove(&file.name) {
            Some((_, Entry { verdict, sound, .. })) => (verdict, sound),
            // It was not tried, and its problem says why.
            None => {
                let problem = file.problem.clone();
                let problem = problem.with_context(|| {
                    format!("what {} holds is in no shard; do all ranks write to one folder?", {
                        &file.name
                    })
                })?;
                (judge(file, Err(problem)).0, None)
            }
        };
        if let Some(Known { place, .. }) = sound
            && duplicates.is_new(place.fingerprint, &mut verdict)
        {
            used.push((file.name.clone(), place));
        }
        verdicts.push(verdict);
    }
    if used.is_empty() {
        bail!(nothing_usable(folder, &verdicts));
    }
    let channels = used.iter().map(|(_, place)| place.channels).max().unwrap_or(1);
    let mut recordings: Vec<Recording> =
        used.iter().map(|(name, place)| recording(store, name.clone(), place.clone())).collect();
    recordings.iter_mut().for_each(|one| one.sound.hear(channels));
    let gain = levels(output, &used_shards, &used, channels)?.gain();
    let measured = Measured { gain, alike: alike(&recordings)? };
    let seconds = recordings.iter().map(|one| one.samples() as f64).sum::<f64>()
        / f64::from(crate::corpus::SAMPLE_RATE);
    let index = Index::new(used, measured, verdicts.clone());
    write_atomically(&output.join(INDEX), index.text()?.as_bytes())?;
    for &number in shards.iter().filter(|number| !used_shards.contains(number)) {
        let kept = Shard::read(output, number)?.files;
        // What a drive held that is not there today was read from it once.
        if !kept.iter().any(|entry| is_unread(&entry.version.name, files)) {
            Shard::remove(store, output, number)?;
        }
    }
    let bytes = used_shards
        .iter()
        .map(|&shard| fs::metadata(store.samples_of(shard)).map_or(0, |metadata| metadata.len()));
    Ok(Prepared { verdicts, seconds, channels, bytes: bytes.sum() })
}

/// Whether what is called `name` cannot be read now, or lies in a folder that cannot.
fn is_unread(name: &str, files: &[Versioned]) -> bool {
    let holds = |unread: &str| {
        name.strip_prefix(unread).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    files.iter().any(|(_, file)| file.is_unread && holds(&file.name))
}

/// What shards tell of `files` as they are now, by name, and in which shard; without levels, which of all
/// recordings together would take much room.
fn told(
    output: &Path,
    shards: &[u32],
    files: &[Versioned],
) -> Result<HashMap<String, (u32, Entry)>> {
    let current: HashSet<&Version> = files.iter().map(|(version, _)| version).collect();
    let mut told = HashMap::new();
    for &number in shards {
        for mut entry in Shard::read(output, number)?.files {
            if current.contains(&entry.version) {
                entry.sound.iter_mut().for_each(|known| known.levels = Levels::default());
                // Of what was tried again, the newer shard tells.
                told.insert(entry.version.name.clone(), (number, entry));
            }
        }
    }
    Ok(told)
}

/// The levels of all that is used, heard with so many channels.
fn levels(
    output: &Path,
    shards: &BTreeSet<u32>,
    used: &[(String, Place)],
    channels: usize,
) -> Result<Levels> {
    let places: HashSet<(u32, u64)> =
        used.iter().map(|(_, place)| (place.shard, place.offset)).collect();
    let mut all = Levels::default();
    for &number in shards {
        let known = Shard::read(output, number)?.files.into_iter().filter_map(|entry| entry.sound);
        for Known { place, levels } in known {
            if places.contains(&(place.shard, place.offset)) {
                all.add(&levels, (channels / place.channels) as u64);
            }
        }
    }
    Ok(all)
}
