//! Writing some files into a shard, and what the shard tells of them.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::write_atomically;
use serde::{Deserialize, Serialize};

use super::encoding::Encoding;
use super::stored::{Place, Store, Stored};
use crate::audio::decoder_process::Decoding;
use crate::corpus::files::SoundFile;
use crate::corpus::level::{Counting, Levels};
use crate::corpus::sound::Peaks;
use crate::corpus::survey::{BATCH, judge};
use crate::corpus::{OpenOptions, Sound, Verdict};
use crate::stop::Cancelled;

/// Samples that are encoded at a time.
const PIECE: usize = 1 << 16;

/// Tells a file from what it may have become since.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Version {
    /// Its path inside the folder, with `/` between folders.
    pub(super) name: String,
    bytes: u64,
    /// When it was written, in nanoseconds since 1970.
    modified: u64,
}

impl Version {
    /// That of a file as it is now; nothing is known of one that cannot be read.
    pub(super) fn of(file: &SoundFile) -> Self {
        let metadata = fs::metadata(&file.path).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            name: file.name.clone(),
            bytes: metadata.map_or(0, |metadata| metadata.len()),
            modified: modified.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0)),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What a shard tells of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) version: Version,
    pub(super) verdict: Verdict,
    /// Nothing of a file that cannot be used.
    pub(super) sound: Option<Known>,
}

/// What is known of a sound.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) place: Place,
    pub(super) levels: Levels,
}

/// What a shard tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shard {
    pub(super) files: Vec<Entry>,
}

impl Shard {
    /// The shards in a folder by their numbers, which nothing has read yet.
    pub(super) fn list(folder: &Path) -> Result<Vec<u32>> {
        let cannot =
            || format!("cannot read {}; several ranks all need to see it", folder.display());
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder).with_context(cannot)? {
            let name = entry.with_context(cannot)?.file_name();
            numbers.extend(name.to_str().and_then(|name| number_of(name, "json")));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Whether shard `number` can be read, and its samples are all there.
    pub(super) fn is_whole(store: &Store, folder: &Path, number: u32) -> bool {
        let length = fs::metadata(store.samples_of(number)).map_or(0, |metadata| metadata.len());
        Self::read(folder, number).is_ok_and(|shard| {
            shard.files.iter().filter_map(|one| one.sound.as_ref()).all(
                |Known { place, .. }| {
                    place.shard == number && place.check().is_ok() && place.end() <= length
                },
            )
        })
    }

    /// What shard `number` tells.
    pub(super) fn read(folder: &Path, number: u32) -> Result<Self> {
        let path = path_of(folder, number);
        let damaged =
            || format!("{} is damaged; remove it and prepare the folder again", path.display());
        let text = fs::read_to_string(&path).with_context(damaged)?;
        serde_json::from_str(&text).with_context(damaged)
    }

    /// Writes what there is in `files` into shard `number`.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to, and with [`Cancelled`] once cancelled.
    pub(super) fn write(
        store: &Arc<Store>,
        folder: &Path,
        number: u32,
        files: &[(Version, SoundFile)],
        options: &OpenOptions,
        on_file: &dyn Fn(),
    ) -> Result<()> {
        let path = store.samples_of(number);
        let cannot = || format!("cannot write {}", path.display());
        let mut output = Samples {
            file: BufWriter::new(fs::File::create(&path).with_context(cannot)?),
            written: 0,
        };
        let mut entries = Vec::with_capacity(files.len());
        let is_cancelled = || options.cancel.load(Ordering::Relaxed);
        let batches = files.chunks(BATCH).map(|batch| {
            let paths: Vec<PathBuf> = batch.iter().map(|(_, file)| file.path.clone()).collect();
            (batch, paths)
        });
        let batches: Vec<_> = batches.collect();
        let decoded = batches
            .iter()
            .flat_map(|(batch, paths)| batch.iter().zip(Decoding::new(options.program, paths)));
        // What is decoded when the musician stops it is kept.
        for ((version, file), decoded) in decoded.take_while(|_| !is_cancelled()) {
            let (verdict, usable) = judge(file, decoded);
            let place = match usable {
                Some((fingerprint, decoded)) => {
                    let (encoding, offset) = output.append(&decoded.audio).with_context(cannot)?;
                    Some(Place {
                        shard: number,
                        offset,
                        channels: decoded.audio.len(),
                        samples: decoded.audio[0].len(),
                        rate: decoded.rate,
                        encoding,
                        fingerprint,
                        peaks: [0.0; 2],
                    })
                }
                None => None,
            };
            entries.push((version, verdict, place));
            on_file();
        }
        let file = output.file.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all()).with_context(cannot)?;
        // What is measured is what will be read.
        let measured = |(version, verdict, place): (&Version, Verdict, Option<Place>)| {
            let sound = place.map(|place| known(store, place)).transpose()?;
            Ok(Entry { version: version.clone(), verdict, sound })
        };
        let is_done = entries.len() == files.len();
        let files = entries.into_iter().map(measured).collect::<Result<_>>()?;
        let text = serde_json::to_string(&Self { files })?;
        write_atomically(&path_of(folder, number), text.as_bytes())?;
        ensure!(is_done, Cancelled);
        Ok(())
    }

    /// Removes shard `number`, first what tells of it.
    pub(super) fn remove(store: &Store, folder: &Path, number: u32) -> Result<()> {
        fs::remove_file(path_of(folder, number))?;
        Ok(fs::remove_file(store.samples_of(number))?)
    }
}

/// The number of the shard one of whose files has this name, which ends like that.
pub(super) fn number_of(name: &str, ending: &str) -> Option<u32> {
    let number = name.strip_suffix(ending)?.strip_suffix('.')?.parse::<u32>().ok()?;
    (format!("{number:05}.{ending}") == name).then_some(number)
}

fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:05}.json"))
}

/// Measures a sound that was written.
fn known(store: &Arc<Store>, place: Place) -> Result<Known> {
    let sound = Sound::stored(Stored::new(Arc::clone(store), place.clone()));
    let (mut counting, mut peaks) = (Counting::new(), Peaks::default());
    sound.pieces(|audio| {
        counting.hear(audio);
        peaks.hear(audio);
    })?;
    let place = Place { peaks: peaks.0, ..place };
    Ok(Known { place, levels: counting.levels() })
}

/// A file of samples that is being written.
struct Samples {
    file: BufWriter<fs::File>,
    /// Bytes so far.
    written: u64,
}

impl Samples {
    /// Appends samples `[C][S]`; tells how and where.
    fn append(&mut self, audio: &[Vec<f32>]) -> std::io::Result<(Encoding, u64)> {
        let (encoding, offset) = (Encoding::of(audio), self.written);
        let mut bytes = Vec::new();
        for piece in audio.iter().flat_map(|channel| channel.chunks(PIECE)) {
            bytes.clear();
            encoding.encode(piece, &mut bytes);
            self.file.write_all(&bytes)?;
            self.written += bytes.len() as u64;
        }
        Ok((encoding, offset))
    }
}
