//! The level of what a codec plays.
//!
//! A codec that is trained on log-magnitudes learns the middle of what it cannot foretell, and the
//! middle of the logarithms of a noise lies below its power; phases that do not fit exactly take a
//! little more. Both are even enough to be measured once, in the end, and given back, band by band:
//! what is noise lacks more than what is tone.

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::{CorpusCodes, Tensor, Tensors};
use distill_shared::model::config::{CodecConfig, ModelConfig};
use distill_shared::player::{Model, decode};
use distill_shared::stft::{Analysis, mel_bands};

use super::Run;
use super::reading::extract_code_sequences;
use crate::corpus::{Corpus, Recording};

/// Name of the corrections among the tensors of a codec.
const LEVEL: &str = "codec.level";
/// Excerpts that the level is measured on.
const EXCERPTS: usize = 32;
/// Length of an excerpt in seconds.
const EXCERPT_S: f64 = 2.0;
/// What is heard before an excerpt from inside a recording, in seconds.
const LEAD_S: f64 = 0.7;
/// Times that the level is measured and corrected: not all of a band is reached by it, and a limit may
/// stand in the way.
const ROUNDS: usize = 3;
/// Bands of a channel that are corrected on their own.
const BANDS: usize = 24;
/// The largest correction of a round, in nepers.
const LARGEST: f64 = 0.7;
/// Mean power of a bin, 78 dB under full scale, below which a band is silent and stays as it is.
const SILENT: f64 = 1.5e-8;

/// Measures what the player makes of excerpts of the corpus, and writes for each bin the level that
/// brings its band to the power of the recordings: in mono, or in mid and in side.
///
/// # Errors
///
/// Fails if `tensors` are not those of a codec of `config`.
pub(super) fn match_level(
    corpus: &Corpus,
    config: &CodecConfig,
    tensors: &mut Tensors,
    run: &Run,
) -> Result<()> {
    let (excerpts, leads) = excerpts(corpus);
    let codes = extract_code_sequences(&excerpts, config, tensors, run)?;
    for _ in 0..ROUNDS {
        correct((&excerpts, &leads, &codes), config, tensors)?;
    }
    Ok(())
}

/// Measures once, and adds to the level what is missing. `heard` are excerpts, how many samples at the
/// start of each are not listened to, and the codes of each.
fn correct(
    heard: (&Corpus, &[usize], &[CorpusCodes]),
    config: &CodecConfig,
    tensors: &mut Tensors,
) -> Result<()> {
    let (excerpts, leads, codes) = heard;
    let whole = ModelConfig { codec: config.clone(), prior: None };
    let model = Arc::new(Model::new(&whole, tensors, "").context("cannot play the codec")?);
    let (mut meant, mut played) = (Powers::new(config), Powers::new(config));
    for ((recording, codes), &lead) in excerpts.recordings.iter().zip(codes).zip(leads) {
        let samples = recording.samples();
        let sound = decode(&model, &codes.codes, samples);
        let heard = |channel: &[f32]| channel[lead..].iter().map(|s| s * config.gain).collect();
        let audio = recording.sound.whole()?;
        meant.add(&audio.iter().map(|c| heard(c)).collect::<Vec<Vec<f32>>>());
        played.add(&sound.chunks(samples.max(1)).map(heard).collect::<Vec<Vec<f32>>>());
    }
    let level = tensors.get(LEVEL).context("the codec has no level")?;
    let corrections = corrections(config, &meant.mean(), &played.mean());
    let values = level.to_f32().iter().zip(corrections).map(|(level, more)| level + more).collect();
    let values = Tensor::f32(level.shape(), values).context("the level keeps its shape")?;
    tensors.insert(LEVEL.to_owned(), values);
    Ok(())
}

/// The powers of every bin of a sound, summed over its frames.
struct Powers {
    analysis: Analysis,
    config: CodecConfig,
    /// `[C * F]`.
    sums: Vec<f64>,
    frames: usize,
}

impl Powers {
    fn new(config: &CodecConfig) -> Self {
        let sums = vec![0.0; config.channels * config.bins()];
        Self { analysis: Analysis::new(config), config: config.clone(), sums, frames: 0 }
    }

    /// Adds those of an excerpt: samples `[C][S]`, multiplied by the gain.
    fn add(&mut self, sound: &[Vec<f32>]) {
        let channels: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
        // Frames that begin with the excerpt or later and end in it.
        let first = self.config.delay() / self.config.stft_hop;
        let frames = (channels[0].len() / self.config.stft_hop).saturating_sub(first);
        let mut features = vec![0.0; frames * self.config.features()];
        self.analysis.features(&channels, first, frames, &mut features);
        for frame in features.chunks_exact(self.config.features()) {
            let powers = frame.iter().map(|log| f64::from(2.0 * log).exp());
            self.sums.iter_mut().zip(powers).for_each(|(sum, power)| *sum += power);
        }
        self.frames += frames;
    }

    fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.frames.max(1) as f64).collect()
    }
}

/// What to add to the log-magnitude of each bin, `[C * F]`, so that the powers `played` become those
/// that are `meant`: per band, and even in between.
fn corrections(config: &CodecConfig, meant: &[f64], played: &[f64]) -> Vec<f32> {
    let bins = config.bins();
    let bands = mel_bands(config, BANDS.min(bins / 4));
    let channels = meant.chunks_exact(bins).zip(played.chunks_exact(bins));
    let of_channel = |(meant, played): (&[f64], &[f64])| {
        let of_band = |band: &std::ops::Range<usize>| {
            let mean =
                |powers: &[f64]| powers[band.clone()].iter().sum::<f64>() / band.len() as f64;
            let centre = 0.5 * (band.start + band.end - 1) as f64;
            (centre, correction(mean(meant), mean(played)))
        };
        let points: Vec<(f64, f64)> = bands.iter().map(of_band).collect();
        (0..bins).map(move |k| between(&points, k as f64)).collect::<Vec<f32>>()
    };
    channels.flat_map(of_channel).collect()
}

/// The value at `x` of the line through `points`, level beyond its ends.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn between(points: &[(f64, f64)], x: f64) -> f32 {
    let after = points.partition_point(|point| point.0 <= x);
    let value = match (after.checked_sub(1).map(|i| points[i]), points.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0),
        (Some(only), None) => only.1,
        (None, only) => only.map_or(0.0, |only| only.1),
    };
    value as f32
}

/// What to add to log-magnitudes so that the power `played` becomes `meant`.
fn correction(meant: f64, played: f64) -> f64 {
    if meant < SILENT || played < SILENT {
        return 0.0;
    }
    (0.5 * (meant / played).ln()).clamp(-LARGEST, LARGEST)
}

/// Excerpts spread evenly over the recordings to train on, and how many samples at the start of each
/// are only there to lead into it: inside a sound, no recording begins.
fn excerpts(corpus: &Corpus) -> (Corpus, Vec<usize>) {
    let train: Vec<&Recording> = corpus.train().collect();
    let total: usize = train.iter().map(|recording| recording.samples()).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let [length, lead] =
        [EXCERPT_S, LEAD_S].map(|seconds| (seconds * f64::from(corpus.sample_rate)) as usize);
    let excerpt = |i: usize| {
        let mut at = total * i / EXCERPTS;
        let recording = train.iter().find(|recording| {
            let inside = at < recording.samples();
            at -= if inside { 0 } else { recording.samples() };
            inside
        })?;
        // The last excerpt of a recording ends where it ends.
        let start = at.min(recording.samples().saturating_sub(length));
        let (from, end) = (start.saturating_sub(lead), recording.samples().min(start + length));
        let sound = recording.sound.part(from..end);
        let name = format!("{} from {start}", recording.name);
        let class = String::new();
        Some((Recording { name, class, sound, held_out: false }, start - from))
    };
    let (recordings, leads) = (0..EXCERPTS).filter_map(excerpt).unzip();
    let &Corpus { channels, sample_rate, gain, .. } = corpus;
    (Corpus { recordings, channels, sample_rate, gain }, leads)
}

#[cfg(test)]
mod tests {
    use super::super::toy_codec;
    use super::*;
    use crate::corpus::Sound;

    #[test]
    fn what_is_too_quiet_is_corrected_by_as_much_in_its_band() {
        let config = toy_codec();
        let (bins, bands) =
            (config.bins(), mel_bands(&toy_codec(), BANDS.min(toy_codec().bins() / 4)));
        let meant = vec![0.01; config.channels * bins];
        let mut played = meant.clone();
        let last = bands.last().unwrap().clone();
        played[last.clone()].iter_mut().for_each(|power| *power *= 0.25);
        let corrections = corrections(&config, &meant, &played);
        let at_its_centre = corrections[(last.start + last.end) / 2];
        assert!((at_its_centre - 2.0_f32.ln()).abs() < 0.05, "{at_its_centre}");
        assert_eq!(corrections[0], 0.0, "the lowest band was right");
        assert_eq!(corrections.len(), config.channels * bins);
        assert_eq!(correction(0.0, 0.1), 0.0, "silence stays as it is");
        assert_eq!(correction(1.0, 1e-7), 0.7, "what is far off is not trusted");
    }

    #[test]
    fn between_two_bands_the_correction_goes_from_one_to_the_other() {
        let points = [(2.0, 1.0), (4.0, 3.0)];
        for (x, value) in [(0.0, 1.0), (2.0, 1.0), (3.0, 2.0), (4.0, 3.0), (9.0, 3.0)] {
            assert_eq!(between(&points, x), value, "at {x}");
        }
    }

    #[test]
    fn the_powers_of_a_sound_are_those_of_its_bins() {
        let config = toy_codec();
        let mut powers = Powers::new(&config);
        let wave = |size: f32| -> Vec<f32> {
            let turn = std::f32::consts::TAU * 2.0 / config.fft_size as f32;
            (0..20 * config.fft_size).map(|i| size * (turn * i as f32).sin()).collect()
        };
        powers.add(&vec![wave(0.5); config.channels]);
        powers.add(&vec![wave(0.5); config.channels]);
        assert!((powers.mean()[2] - 0.25).abs() < 1e-2, "{:?}", powers.mean());
    }

    #[test]
    fn excerpts_come_from_all_over_the_training_part() {
        let recording = |name: &str, seconds: usize, held_out| Recording {
            name: name.to_owned(),
            class: String::new(),
            sound: Sound::new(vec![vec![0.1; 48_000 * seconds]; 2]),
            held_out,
        };
        let mut corpus =
            Corpus::new(vec![recording("a", 60, false), recording("b", 1, false)], 0).unwrap();
        corpus.recordings[0].held_out = false;
        corpus.recordings[1].held_out = false;
        let (excerpts, leads) = excerpts(&corpus);
        assert_eq!((excerpts.recordings.len(), leads.len()), (EXCERPTS, EXCERPTS));
        let starts: std::collections::BTreeSet<_> =
            excerpts.recordings.iter().map(|excerpt| &excerpt.name).collect();
        assert!(starts.len() > EXCERPTS / 2, "{starts:?}");
        for (excerpt, lead) in excerpts.recordings.iter().zip(leads) {
            let heard = excerpt.samples() - lead;
            assert!(heard <= 96_000 && heard > 0);
            assert_eq!(lead > 0, !excerpt.name.ends_with(" from 0"), "{}", excerpt.name);
        }
    }
}
