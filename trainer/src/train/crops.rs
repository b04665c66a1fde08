//! Crops of the corpus: what one update trains on.

use distill_shared::model::config::CodecConfig;
use distill_shared::stft::Analysis;

use super::draw::Draw;
use crate::corpus::{Corpus, Recording};

/// A piece of a recording as the codec hears it: features `[T, X]`.
pub(super) type Crop = Vec<f32>;

/// The recordings of one side of the hold-out, at the level of training.
pub(super) struct Material {
    config: CodecConfig,
    analysis: Analysis,
    /// Per recording, samples `[C][S]` times the gain.
    sounds: Vec<Vec<Vec<f32>>>,
    /// Running sum of the share of crops that begin in each recording.
    shares: Vec<f64>,
}

impl Material {
    pub(super) fn new<'a>(
        corpus: &Corpus,
        recordings: impl Iterator<Item = &'a Recording>,
        config: &CodecConfig,
        crop_frames: usize,
    ) -> Self {
        let scaled = |recording: &Recording| -> Vec<Vec<f32>> {
            let channels = recording.audio.iter().take(config.channels);
            channels.map(|c| c.iter().map(|s| s * corpus.gain).collect()).collect()
        };
        let sounds: Vec<_> = recordings.map(scaled).collect();
        let mut sum = 0.0;
        let weigh = |sound: &Vec<Vec<f32>>| {
            // A short file still fills part of a crop.
            sum += (config.frames_for(sound[0].len()) + crop_frames / 4) as f64;
            sum
        };
        let shares = sounds.iter().map(weigh).collect();
        Self { config: config.clone(), analysis: Analysis::new(config), sounds, shares }
    }

    /// Number of recordings.
    pub(super) fn len(&self) -> usize {
        self.sounds.len()
    }

    /// Codec frames of a recording.
    pub(super) fn frames(&self, recording: usize) -> usize {
        self.config.frames_for(self.sounds[recording][0].len())
    }

    /// A random crop of `frames` codec frames. Beginnings are drawn more often than their share:
    /// they are what a note is recognized by.
    pub(super) fn random(&self, frames: usize, draw: &mut Draw) -> Crop {
        let total = self.shares.last().copied().unwrap_or(0.0);
        let at = draw.uniform() * total;
        let recording = self.shares.partition_point(|&share| share <= at).min(self.len() - 1);
        // A quarter of a crop may lie past the end.
        let last = self.frames(recording).saturating_sub(frames * 3 / 4);
        let start = draw.below(last + frames / 4).saturating_sub(frames / 4);
        self.crop(recording, start, frames)
    }

    /// The crop of `frames` codec frames from frame `start` of a recording on.
    pub(super) fn crop(&self, recording: usize, start: usize, frames: usize) -> Crop {
        let sound: Vec<&[f32]> = self.sounds[recording].iter().map(Vec::as_slice).collect();
        let (stride, mut features) = (self.config.stride, Vec::new());
        features.resize(frames * self.config.frame_features(), 0.0);
        self.analysis.features(&sound, start * stride, frames * stride, &mut features);
        features
    }
}
