//! The sound of a recording, wherever it lies.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::SAMPLE_RATE;
use super::prepared::Stored;

/// SHA-256 over rate and samples as they are in a file.
pub(super) type Fingerprint = [u8; 32];

/// Samples that are read at a time where a whole recording is gone through.
const PIECE: usize = 1 << 18;

/// The sound of a recording at [`SAMPLE_RATE`], at the level of its file: in memory, or on disk in a
/// prepared corpus. It can be a part of what lies there, and its copies share it.
#[derive(Debug, Clone)]
pub struct Sound {
    source: Source,
    /// Which samples of the source are its own.
    range: Range<usize>,
    /// Channels that are heard, 1 or 2, whatever the source has.
    channels: usize,
}

#[derive(Debug, Clone)]
enum Source {
    Memory(Arc<InMemory>),
    Stored(Arc<Stored>),
}

#[derive(Debug)]
struct InMemory {
    /// `[C][S]`.
    audio: Vec<Vec<f32>>,
    fingerprint: Fingerprint,
}

impl Sound {
    /// A sound of samples `[C][S]` at [`SAMPLE_RATE`], of one or two channels.
    #[must_use]
    pub fn new(audio: Vec<Vec<f32>>) -> Self {
        let fingerprint = fingerprint(SAMPLE_RATE, &audio);
        Self::of_file(audio, fingerprint)
    }

    /// The same, of a file with this fingerprint.
    pub(super) fn of_file(audio: Vec<Vec<f32>>, fingerprint: Fingerprint) -> Self {
        let (channels, samples) = (audio.len(), audio.first().map_or(0, Vec::len));
        let source = Source::Memory(Arc::new(InMemory { audio, fingerprint }));
        Self { source, range: 0..samples, channels }
    }

    /// A sound of a prepared corpus.
    pub(super) fn stored(stored: Stored) -> Self {
        let (channels, range) = (stored.channels(), 0..stored.samples());
        Self { source: Source::Stored(Arc::new(stored)), range, channels }
    }

    /// Its length in samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.range.len()
    }

    /// Channels that are heard of it, 1 or 2.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Has it heard with `channels` channels: twice the same of mono, the mean of stereo.
    pub fn hear(&mut self, channels: usize) {
        self.channels = channels;
    }

    /// Keeps `samples` samples, or all if it has no more.
    pub fn truncate(&mut self, samples: usize) {
        self.range.end = self.range.end.min(self.range.start + samples);
    }

    /// Cuts off what follows sample `at`, or nothing if it is shorter.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let tail = self.part(at..self.samples());
        self.truncate(at);
        tail
    }

    /// The samples of `range`, as far as there are any.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let at = |sample: usize| self.range.end.min(self.range.start + sample);
        Self { range: at(range.start)..at(range.end), ..self.clone() }
    }

    /// All of its samples, `[C][S]`.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::read`] does.
    pub fn whole(&self) -> Result<Vec<Vec<f32>>> {
        self.read(0..self.samples())
    }

    /// Its samples of `range`, as far as there are any: `[C][S]`.
    ///
    /// # Errors
    ///
    /// Fails if they lie on disk and cannot be read.
    pub fn read(&self, range: Range<usize>) -> Result<Vec<Vec<f32>>> {
        let Range { start, end } = self.part(range).range;
        let mut audio: Vec<Vec<f32>> = match &self.source {
            Source::Memory(memory) => {
                memory.audio.iter().map(|channel| channel[start..end].to_vec()).collect()
            }
            Source::Stored(stored) => stored.read(start..end)?,
        };
        match (&mut audio[..], self.channels) {
            ([one], 2) => {
                let same = one.clone();
                audio.push(same);
            }
            ([left, right], 1) => {
                left.iter_mut().zip(right).for_each(|(left, right)| *left = 0.5 * (*left + *right));
                audio.truncate(1);
            }
            _ => {}
        }
        Ok(audio)
    }

    /// Gives all of its samples to `hear`, piece by piece.
    pub(super) fn pieces(&self, mut hear: impl FnMut(&[Vec<f32>])) -> Result<()> {
        for start in (0..self.samples()).step_by(PIECE) {
            hear(&self.read(start..start + PIECE)?);
        }
        Ok(())
    }

    /// The largest sample of each channel as it is coded: of mono, or of mid and side.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::read`] does.
    pub fn peaks(&self) -> Result<Vec<f32>> {
        let known = match &self.source {
            Source::Stored(stored) if self.range == (0..stored.samples()) => Some(stored.peaks()),
            _ => None,
        };
        // Of a mean of two channels and of twice the same one the middle is what it is of both.
        let [mid, side] = match known {
            Some(peaks) => peaks,
            None => {
                let mut peaks = Peaks::default();
                self.pieces(|audio| peaks.hear(audio))?;
                peaks.0
            }
        };
        Ok([mid, side][..self.channels].to_vec())
    }

    /// What tells it from other sounds: that of its file, and which part of it this is.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let (fingerprint, samples) = match &self.source {
            Source::Memory(memory) => {
                (memory.fingerprint, memory.audio.first().map_or(0, Vec::len))
            }
            Source::Stored(stored) => (stored.fingerprint(), stored.samples()),
        };
        if self.range == (0..samples) {
            return fingerprint;
        }
        let mut hash = Sha256::new_with_prefix(fingerprint);
        hash.update((self.range.start as u64).to_le_bytes());
        hash.update((self.range.end as u64).to_le_bytes());
        hash.finalize().into()
    }
}

/// The largest sample of mid and of side of what was heard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peaks(pub(super) [f32; 2]);

impl Peaks {
    /// Hears a piece, `[C][S]`.
    pub(super) fn hear(&mut self, audio: &[Vec<f32>]) {
        let [mid, side] = &mut self.0;
        match audio {
            [left, right] => {
                for (left, right) in left.iter().zip(right) {
                    *mid = mid.max((0.5 * (left + right)).abs());
                    *side = side.max((0.5 * (left - right)).abs());
                }
            }
            _ => *mid = audio[0].iter().fold(*mid, |peak, sample| peak.max(sample.abs())),
        }
        // A sum of what is absurdly loud is a number, too.
        self.0 = self.0.map(|peak| peak.min(f32::MAX));
    }
}

/// Sounds are the same if they come from files that sound the same, are the same part of them, and are
/// heard alike.
impl PartialEq for Sound {
    fn eq(&self, other: &Self) -> bool {
        self.channels == other.channels && self.digest() == other.digest()
    }
}

/// The fingerprint of samples `[C][S]` at a rate in Hz.
pub(super) fn fingerprint(rate: u32, audio: &[Vec<f32>]) -> Fingerprint {
    let mut hash = Sha256::new_with_prefix(rate.to_le_bytes());
    for channel in audio {
        for part in channel.chunks(4096) {
            let bytes: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            hash.update(&bytes);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stereo() -> Sound {
        let left: Vec<f32> = (0..100_u8).map(f32::from).collect();
        Sound::new(vec![left.clone(), left.iter().map(|sample| 3.0 * sample).collect()])
    }

    #[test]
    fn parts_are_read_as_if_they_were_sounds_of_their_own() {
        let mut sound = stereo();
        let tail = sound.split_off(90);
        assert_eq!((sound.samples(), tail.samples()), (90, 10));
        assert_eq!(tail.read(2..4).unwrap(), [[92.0, 93.0], [276.0, 279.0]]);
        assert_eq!(sound.read(88..1000).unwrap()[0], [88.0, 89.0], "no more than there is");
        assert_eq!(tail.part(3..5).whole().unwrap()[0], [93.0, 94.0]);
        assert_eq!(tail.peaks().unwrap(), [198.0, 99.0]);
    }

    #[test]
    fn it_is_heard_with_as_many_channels_as_asked_for() {
        let mut sound = stereo();
        sound.hear(1);
        assert_eq!(sound.read(1..3).unwrap(), [[2.0, 4.0]]);
        assert_eq!(sound.peaks().unwrap(), [198.0]);
        let mut mono = Sound::new(vec![vec![1.0, -2.0]]);
        mono.hear(2);
        assert_eq!(mono.whole().unwrap(), [[1.0, -2.0]; 2]);
        assert_eq!(mono.peaks().unwrap(), [2.0, 0.0]);
    }

    #[test]
    fn what_sounds_otherwise_is_another() {
        let mut other = stereo();
        assert_eq!(other, stereo());
        other.truncate(99);
        assert_ne!(other, stereo());
        assert_ne!(stereo().part(0..10), stereo().part(10..20));
    }
}
