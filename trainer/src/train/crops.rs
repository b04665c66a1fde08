//! Crops of the corpus: what one update trains on.

use distill_shared::model::config::CodecConfig;
use distill_shared::stft::Analysis;

use super::draw::Draw;
use super::vary::{Variation, Varispeed};
use crate::corpus::{Corpus, Recording};

/// A piece of a recording as the codec hears it: features `[T, X]`.
pub(super) type Crop = Vec<f32>;

/// The recordings of one side of the hold-out, at the level of training.
pub(super) struct Material {
    config: CodecConfig,
    analysis: Analysis,
    varispeed: Varispeed,
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
        Self {
            config: config.clone(),
            analysis: Analysis::new(config),
            varispeed: Varispeed::new(),
            sounds,
            shares,
        }
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
        self.varied(recording, start, frames, Variation::random(draw))
    }

    /// The crop of `frames` codec frames from frame `start` of a recording on.
    pub(super) fn crop(&self, recording: usize, start: usize, frames: usize) -> Crop {
        self.varied(recording, start, frames, Variation::NONE)
    }

    fn varied(&self, recording: usize, start: usize, frames: usize, how: Variation) -> Crop {
        let config = &self.config;
        // The first frame looks back on `delay` samples: that many frames into the excerpt.
        let (lead, samples) = (config.delay(), frames * config.hop() + config.delay());
        let from = (start * config.hop()) as f64 - how.speed * lead as f64;
        let read = |channel: &Vec<f32>| {
            let mut samples = self.varispeed.read(channel, from, how.speed, samples);
            samples.iter_mut().for_each(|sample| *sample *= how.gain);
            samples
        };
        let mut sound: Vec<Vec<f32>> = self.sounds[recording].iter().map(read).collect();
        if how.swap {
            sound.reverse();
        }
        let sound: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
        let mut features = vec![0.0; frames * config.frame_features()];
        let first = lead / config.stft_hop;
        self.analysis.features(&sound, first, frames * config.stride, &mut features);
        features
    }
}
