//! Crops of the corpus: what one update trains on.

use std::ops::Range;

use anyhow::Result;
use distill_shared::model::config::CodecConfig;
use distill_shared::stft::Analysis;

use super::draw::Draw;
use super::vary::{Variation, Varispeed};
use crate::corpus::{Corpus, Recording, Sound};

/// Share of crops for which the louder of two places is taken: what is loud is what is heard.
const LOUDER_SHARE: f64 = 0.7;

/// A piece of a recording as the codec hears it.
pub(super) struct Crop {
    /// `[T, X]`.
    pub(super) features: Vec<f32>,
    /// Whether the recording begins with it.
    pub(super) begins: bool,
}

/// The recordings of one side of the hold-out, at the level of training. Only what is asked for is read.
pub(super) struct Material {
    config: CodecConfig,
    gain: f32,
    analysis: Analysis,
    varispeed: Varispeed,
    /// Per recording, with the channels of the codec.
    sounds: Vec<Sound>,
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
        let heard = |recording: &Recording| {
            let mut sound = recording.sound.clone();
            sound.hear(config.channels);
            sound
        };
        let sounds: Vec<_> = recordings.map(heard).collect();
        let mut sum = 0.0;
        let weigh = |sound: &Sound| {
            // A short file still fills part of a crop, and a long one is not worth as many sounds
            // as fit into it.
            sum += ((config.frames_for(sound.samples()) + crop_frames / 4) as f64).sqrt();
            sum
        };
        let shares = sounds.iter().map(weigh).collect();
        Self {
            config: config.clone(),
            gain: corpus.gain,
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

    /// The largest sample of each channel as it is coded: of mono, or of mid and side.
    pub(super) fn peaks(&self) -> Result<Vec<f32>> {
        let mut peaks = vec![0.0_f32; self.config.channels];
        for sound in &self.sounds {
            let of_sound = sound.peaks()?;
            peaks.iter_mut().zip(of_sound).for_each(|(peak, of)| *peak = peak.max(self.gain * of));
        }
        Ok(peaks)
    }

    /// Codec frames of a recording.
    pub(super) fn frames(&self, recording: usize) -> usize {
        self.config.frames_for(self.sounds[recording].samples())
    }

    /// A random crop of `frames` codec frames. Beginnings and loud places are drawn more often than
    /// their share: they are what a sound is recognized by.
    pub(super) fn random(&self, frames: usize, draw: &mut Draw) -> Result<Crop> {
        let total = self.shares.last().copied().unwrap_or(0.0);
        let at = draw.uniform() * total;
        let recording = self.shares.partition_point(|&share| share <= at).min(self.len() - 1);
        // A quarter of a crop may lie past the end.
        let last = self.frames(recording).saturating_sub(frames * 3 / 4);
        let [one, other] =
            [(); 2].map(|()| draw.below(last + frames / 4).saturating_sub(frames / 4));
        let louder = draw.uniform() < LOUDER_SHARE
            && self.energy(recording, other, frames)? > self.energy(recording, one, frames)?;
        let start = if louder { other } else { one };
        self.varied(recording, start, frames, Variation::random(draw))
    }

    /// Energy of the first quarter of a crop, which decides how much of it is heard: sounds decay.
    fn energy(&self, recording: usize, start: usize, frames: usize) -> Result<f32> {
        let hop = self.config.hop();
        let heard = self.read(recording, start * hop..(start + frames / 4) * hop)?;
        let of_channel = |channel: &Vec<f32>| channel.iter().map(|s| s * s).sum::<f32>();
        Ok(heard.iter().map(of_channel).sum())
    }

    /// Samples of a recording, `[C][S]` times the gain, as far as there are any.
    fn read(&self, recording: usize, range: Range<usize>) -> Result<Vec<Vec<f32>>> {
        let mut audio = self.sounds[recording].read(range)?;
        audio.iter_mut().flatten().for_each(|sample| *sample *= self.gain);
        Ok(audio)
    }

    /// The crop of `frames` codec frames from frame `start` of a recording on.
    pub(super) fn crop(&self, recording: usize, start: usize, frames: usize) -> Result<Crop> {
        self.varied(recording, start, frames, Variation::NONE)
    }

    fn varied(
        &self,
        recording: usize,
        start: usize,
        frames: usize,
        how: Variation,
    ) -> Result<Crop> {
        let config = &self.config;
        // The first frame looks back on `delay` samples: that many frames into the excerpt.
        let (lead, samples) = (config.delay(), frames * config.hop() + config.delay());
        let from = (start * config.hop()) as f64 - how.speed * lead as f64;
        let needed = Varispeed::needs(from, how.speed, samples);
        let first_needed = needed.start;
        let read = |channel: &Vec<f32>| {
            let mut samples =
                self.varispeed.read((channel, first_needed), from, how.speed, samples);
            samples.iter_mut().for_each(|sample| *sample *= how.gain);
            samples
        };
        let heard = self.read(recording, needed)?;
        let mut sound: Vec<Vec<f32>> = heard.iter().map(read).collect();
        if how.swap {
            sound.reverse();
        }
        let sound: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
        let mut features = vec![0.0; frames * config.frame_features()];
        let first = lead / config.stft_hop;
        self.analysis.features(&sound, first, frames * config.stride, &mut features);
        Ok(Crop { features, begins: start == 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Purpose;
    use super::super::toy_codec;
    use super::*;

    #[test]
    fn loud_places_and_short_recordings_are_drawn_more_often_than_by_their_length() {
        let config = CodecConfig {
            channels: 2,
            fft_size: 64,
            stft_hop: 16,
            kernel: 3,
            latent_dim: 4,
            codebook_size: 16,
            ..toy_codec()
        };
        let recording = |right: Vec<f32>| Recording {
            name: String::new(),
            class: String::new(),
            sound: Sound::new(vec![vec![0.0; right.len()], right]),
            held_out: false,
        };
        // A third of the long one is loud, on the right; the short one is all quiet.
        let mut right = vec![0.001; 96_000];
        right[32_000..64_000].fill(0.5);
        let recordings = vec![recording(right), recording(vec![0.001; 6000])];
        let mut corpus = Corpus::new(recordings, 0).unwrap();
        corpus.gain = 1.0;
        let material = Material::new(&corpus, corpus.recordings.iter(), &config, 16);
        let (mut loud, mut short) = (0, 0);
        for step in 0..400 {
            let draw = || Draw::new(1, Purpose::Crops, step);
            let crop = material.random(16, &mut draw()).unwrap();
            let frames = crop.features.chunks_exact(config.features());
            let logs = frames.flat_map(|frame| &frame[..2 * config.bins()]);
            let top = logs.copied().fold(f32::MIN, f32::max);
            loud += u32::from(top > -3.0);
            short += u32::from(draw().uniform() * material.shares[1] > material.shares[0]);
        }
        assert!((150..300).contains(&loud), "{loud} of 400 are loud; evenly drawn, 130 would be");
        assert!((60..120).contains(&short), "{short} of 400 are of the short recording, not 24");
    }
}
