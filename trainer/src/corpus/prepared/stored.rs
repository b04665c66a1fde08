//! One recording of a prepared corpus, read piece by piece.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::LOCK;
use super::encoding::Encoding;
use crate::audio::decode::{MOST_SAMPLES, RATES};
use crate::audio::resample::{Resampling, resampled_len};
use crate::corpus::SAMPLE_RATE;
use crate::corpus::sound::Fingerprint;

/// Where a sound lies, and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Number of the shard.
    pub(super) shard: u32,
    /// Where it begins in the file of samples, in bytes.
    pub(super) offset: u64,
    /// Channels, 1 or 2.
    pub(super) channels: usize,
    /// Samples of each channel.
    pub(super) samples: usize,
    /// Rate in Hz.
    pub(super) rate: u32,
    pub(super) encoding: Encoding,
    /// SHA-256 over rate and samples.
    pub(super) fingerprint: Fingerprint,
    /// The largest sample of mid and of side, once it is at the rate of the corpus.
    pub(super) peaks: [f32; 2],
}

impl Place {
    /// Where it ends in the file of samples, in bytes.
    pub(super) fn end(&self) -> u64 {
        let samples = (self.channels * self.samples) as u64;
        self.offset.saturating_add(samples * self.encoding.width() as u64)
    }

    /// Whether it can be what it says.
    ///
    /// # Errors
    ///
    /// Fails if it cannot.
    pub(super) fn check(&self) -> Result<()> {
        ensure!((1..=2).contains(&self.channels), "it has {} channels", self.channels);
        ensure!((1..=MOST_SAMPLES).contains(&self.samples), "it has {} samples", self.samples);
        ensure!(RATES.contains(&self.rate), "its rate is {} Hz", self.rate);
        ensure!(self.peaks.iter().all(|peak| peak.is_finite()), "its peaks are no numbers");
        Ok(())
    }
}

/// The folder that a corpus is read from, and what changes its rates.
#[derive(Default)]
pub(super) struct Store {
    folder: PathBuf,
    /// While there is one, nobody prepares the folder.
    _lock: Option<File>,
    /// By channels and rate: those that nobody uses at the moment.
    resamplings: Mutex<HashMap<(usize, u32), Vec<Resampling>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// That of a corpus that is only read: it cannot be prepared again until this is dropped.
    pub(super) fn locked(folder: PathBuf) -> Result<Self> {
        // A copy may lack it, and some systems lock no files.
        let lock = File::open(folder.join(LOCK)).ok();
        if let Some(Err(TryLockError::WouldBlock)) = lock.as_ref().map(File::try_lock_shared) {
            bail!("{} is being prepared; wait until that is done", folder.display());
        }
        Ok(Self { folder, _lock: lock, ..Self::default() })
    }

    /// The file of samples of a shard.
    pub(super) fn samples_of(&self, shard: u32) -> PathBuf {
        self.folder.join(format!("{shard:05}.pcm"))
    }

    /// Lets `use_it` have what brings so many channels of a rate to that of the corpus.
    fn with_resampling<T>(
        &self,
        channels: usize,
        rate: u32,
        use_it: impl FnOnce(&mut Resampling) -> Result<T>,
    ) -> Result<T> {
        let idle = || self.resamplings.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().get_mut(&(channels, rate)).and_then(Vec::pop);
        let mut resampling = match waiting {
            Some(resampling) => resampling,
            None => Resampling::new(channels, rate, SAMPLE_RATE)?,
        };
        let result = use_it(&mut resampling);
        idle().entry((channels, rate)).or_default().push(resampling);
        result
    }
}

/// A recording in the folder of a prepared corpus.
#[derive(Debug)]
pub(in crate::corpus) struct Stored {
    store: Arc<Store>,
    place: Place,
}

impl Stored {
    pub(super) fn new(store: Arc<Store>, place: Place) -> Self {
        Self { store, place }
    }

    pub(in crate::corpus) fn channels(&self) -> usize {
        self.place.channels
    }

    /// Samples of each channel at the rate of the corpus.
    pub(in crate::corpus) fn samples(&self) -> usize {
        resampled_len(self.place.samples, self.place.rate, SAMPLE_RATE)
    }

    pub(in crate::corpus) fn fingerprint(&self) -> Fingerprint {
        self.place.fingerprint
    }

    /// The largest sample of mid and of side.
    pub(in crate::corpus) fn peaks(&self) -> [f32; 2] {
        self.place.peaks
    }

    /// Samples of `range`, which lies in it, at the rate of the corpus: `[C][S]`.
    pub(in crate::corpus) fn read(&self, range: Range<usize>) -> Result<Vec<Vec<f32>>> {
        let Place { channels, samples, rate, .. } = self.place;
        if rate == SAMPLE_RATE {
            return self.read_as_it_is(range);
        }
        self.store.with_resampling(channels, rate, |resampling| {
            resampling.part(samples, range, |range| self.read_as_it_is(range))
        })
    }

    /// Samples of `range` at their own rate.
    pub(super) fn read_as_it_is(&self, range: Range<usize>) -> Result<Vec<Vec<f32>>> {
        let path = self.store.samples_of(self.place.shard);
        let lost = || {
            format!("cannot read {}, a part of a prepared corpus; prepare it again", path.display())
        };
        let Place { offset, channels, samples, encoding, .. } = self.place;
        let mut file = File::open(&path).with_context(lost)?;
        let mut bytes = vec![0; range.len() * encoding.width()];
        let mut channel = |c: usize| {
            let at = offset + ((c * samples + range.start) * encoding.width()) as u64;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            Ok(encoding.decode(&bytes))
        };
        (0..channels).map(&mut channel).collect::<std::io::Result<_>>().with_context(lost)
    }
}
