//! What a codec keeps of recordings, in figures.
//!
//! Recordings go through the codec and back ([`reconstruction`]). What comes out is compared with
//! what went in: its spectra once it is aligned and at the best gain ([`metrics`]), its
//! [`loudness`] and its [`width`] as they are. Two more sounds are compared in the same way, to
//! judge the figures by: the recordings as [`griffin_lim`] retells them from mel bands, which
//! anything that spends codes on phase and detail should beat, and silence.

pub mod align;
pub mod frechet;
pub mod griffin_lim;
pub mod loudness;
pub mod mel;
pub mod metrics;
pub mod prior;
pub mod reconstruction;
pub mod spectra;
pub mod summary;
pub mod symmetric;
pub mod table;
pub mod wasserstein;
pub mod width;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Averages, Bitrate, LevelHealth};
use distill_shared::model::config::CodecConfig;
use rayon::prelude::*;
use serde::Serialize;

use crate::corpus::{Recording, SAMPLE_RATE};
use crate::pipeline::corpus_health;
use crate::stop::Cancelled;
use griffin_lim::GriffinLim;
use loudness::loudness_error_db;
use metrics::{Comparison, Meter};
use prior::copying::Shared;
use reconstruction::Reconstruction;
use width::width_error_db;

/// How recordings are measured.
pub struct MeasureOptions<'a> {
    /// Recordings that are measured at a time.
    pub threads: usize,
    /// What is measured beside the codec.
    pub baseline: Baseline,
    /// Once set, measuring fails soon.
    pub cancel: &'a AtomicBool,
    /// Called from any thread after each recording.
    pub on_file: &'a (dyn Fn() + Sync),
}

/// What the codec is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Nothing but silence.
    None,
    /// [`GriffinLim`], which takes most of the time.
    GriffinLim,
}

/// One recording, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileFigures {
    /// Its path inside the folder.
    pub name: String,
    /// Its length in seconds.
    pub seconds: f64,
    /// The codec's sound.
    #[serde(flatten)]
    pub codec: Comparison,
    /// How much louder than the recording the codec's sound is, in dB.
    pub loudness_error_db: f64,
    /// How much wider, in dB; none where the recording or the codec is mono.
    pub width_error_db: Option<f64>,
    /// The recording as [`GriffinLim`] retells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub griffin_lim: Option<Comparison>,
    /// Silence.
    #[serde(skip)]
    pub silence: Comparison,
}

/// What was measured of a codec.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Each recording, sorted by name.
    pub files: Vec<FileFigures>,
    /// Length of all, in seconds.
    pub seconds: f64,
    /// The codec.
    pub codec: Averages,
    /// The baseline.
    pub griffin_lim: Option<Averages>,
    /// Silence.
    pub silence: Averages,
    /// Rate of the codes, in kbit/s.
    pub bitrate: Bitrate,
    /// Use of the codebooks over the recordings, coarse to fine.
    pub levels: Vec<LevelHealth>,
    /// What they share with the recordings that the prior was trained on, if the bundle keeps them.
    pub shared: Option<Shared>,
    /// Time that encoding took, divided by the length of the sound.
    pub encode_factor: f64,
    /// Time that decoding took, divided by the length of the sound.
    pub decode_factor: f64,
}

/// Measures what a codec made of recordings.
///
/// # Errors
///
/// Fails if there is no recording, if threads cannot be started, and with [`Cancelled`] once
/// cancelled.
pub fn measure(
    made: &Reconstruction,
    codec: &CodecConfig,
    options: &MeasureOptions,
) -> Result<Evaluation> {
    ensure!(!made.heard.is_empty(), "there is no recording to measure");
    let gauges = Gauges::new(options.baseline);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .context("cannot start threads to measure with")?;
    let one = |(recording, sound): (&Recording, &Vec<Vec<f32>>)| {
        ensure!(!options.cancel.load(Ordering::Relaxed), Cancelled);
        let figures = gauges.measure(recording, sound)?;
        (options.on_file)();
        Ok(figures)
    };
    let pairs = made.heard.par_iter().zip(&made.sounds);
    let files: Vec<FileFigures> = pool.install(|| pairs.map(one).collect::<Result<_>>())?;

    let seconds = files.iter().map(|file| file.seconds).sum::<f64>();
    let levels = corpus_health(&made.codes, codec);
    Ok(Evaluation {
        codec: summary::of_codec(&files),
        griffin_lim: summary::of_griffin_lim(&files),
        silence: summary::of_silence(&files),
        bitrate: bitrate(codec, &levels),
        levels,
        shared: made.shared,
        encode_factor: made.encode_s / seconds,
        decode_factor: made.decode_s / seconds,
        seconds,
        files,
    })
}

/// Rate of codes whose use is `levels`.
fn bitrate(codec: &CodecConfig, levels: &[LevelHealth]) -> Bitrate {
    let per_frame = |bits: f64| bits * codec.frame_rate() / 1000.0;
    Bitrate {
        nominal: per_frame(codec.quantizers as f64 * (codec.codebook_size as f64).log2()),
        // A perplexity is the exponential of an entropy.
        entropy: per_frame(levels.iter().map(|level| level.perplexity.log2()).sum()),
    }
}

/// Everything that measures; shared by all threads.
struct Gauges {
    meter: Meter,
    griffin_lim: Option<GriffinLim>,
}

impl Gauges {
    fn new(baseline: Baseline) -> Self {
        let griffin_lim = (baseline == Baseline::GriffinLim).then(GriffinLim::default);
        Self { meter: Meter::default(), griffin_lim }
    }

    /// Measures `sound` against the recording it was made from.
    fn measure(&self, recording: &Recording, sound: &[Vec<f32>]) -> Result<FileFigures> {
        let audio = recording.sound.whole()?;
        let (reference, output) = (mono(&audio), mono(sound));
        let retold = self.griffin_lim.as_ref().map(|baseline| baseline.retell(&reference));
        // A mono recording is heard by a stereo codec as two equal channels.
        let is_mono = audio.len() == 2 && audio[0] == audio[1];
        let width_error_db = width_error_db(&audio, sound).filter(|_| !is_mono);
        Ok(FileFigures {
            name: recording.name.clone(),
            seconds: recording.samples() as f64 / f64::from(SAMPLE_RATE),
            codec: self.meter.compare(&reference, &output),
            loudness_error_db: loudness_error_db(&audio, sound),
            width_error_db,
            griffin_lim: retold.map(|retold| self.meter.compare(&reference, &retold)),
            silence: self.meter.compare(&reference, &vec![0.0; reference.len()]),
        })
    }
}

/// The mean of all channels.
fn mono(channels: &[Vec<f32>]) -> Vec<f64> {
    let share = 1.0 / channels.len().max(1) as f64;
    let samples = channels.first().map_or(0, Vec::len);
    let mean = |i: usize| channels.iter().map(|channel| share * f64::from(channel[i])).sum();
    (0..samples).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Sound;

    fn codec() -> CodecConfig {
        CodecConfig {
            sample_rate: SAMPLE_RATE,
            channels: 2,
            fft_size: 2048,
            stft_hop: 512,
            stride: 2,
            width: 8,
            encoder_blocks: 1,
            decoder_blocks: 1,
            kernel: 3,
            expansion: 2,
            latent_dim: 4,
            quantizers: 8,
            codebook_size: 512,
            memory: Some(0.8),
            coherence: 0.5,
            power_bands: 64,
            power: 1.0,
            gain: 1.0,
        }
    }

    fn recording(left: &[f32], right: &[f32]) -> Recording {
        let sound = Sound::new(vec![left.to_vec(), right.to_vec()]);
        Recording { name: "a.wav".to_owned(), class: String::new(), sound, held_out: false }
    }

    /// A second of two tones.
    fn tone() -> (Vec<f32>, Vec<f32>) {
        let at = |hz: f32| (0_u16..24_000).map(move |i| 0.3 * (f32::from(i) * hz).sin());
        (at(0.05).collect(), at(0.11).collect())
    }

    #[test]
    fn codes_of_which_all_are_used_alike_have_the_nominal_rate() {
        let level = |perplexity| LevelHealth { used: 1.0, perplexity };
        let full = bitrate(&codec(), &[level(512.0); 8]);
        assert!((full.nominal - 3.375).abs() < 1e-12 && (full.entropy - 3.375).abs() < 1e-12);
        let half = bitrate(&codec(), &[[level(512.0); 4], [level(1.0); 4]].concat());
        assert!((half.entropy - 1.6875).abs() < 1e-12);
    }

    #[test]
    fn the_same_sound_at_half_the_level_differs_in_loudness_alone() {
        let (left, right) = tone();
        let half = [&left, &right].map(|c| c.iter().map(|s| 0.5 * s).collect::<Vec<f32>>());
        let figures =
            Gauges::new(Baseline::None).measure(&recording(&left, &right), &half).unwrap();
        assert!(figures.codec.sc < 1e-9 && figures.codec.lsd_tf_db < 1e-6, "{figures:?}");
        assert!((figures.loudness_error_db + 6.0206).abs() < 1e-3);
        assert_eq!((figures.width_error_db, figures.griffin_lim), (Some(0.0), None));
    }

    #[test]
    fn a_mono_recording_has_no_error_of_width() {
        let (left, right) = tone();
        let figures = Gauges::new(Baseline::None)
            .measure(&recording(&left, &left), &[left.clone(), right])
            .unwrap();
        assert_eq!(figures.width_error_db, None);
    }

    #[test]
    fn the_baseline_is_measured_if_asked_for_and_lies_between_the_sound_and_silence() {
        let (left, right) = tone();
        let sound = [left.clone(), right.clone()];
        let figures =
            Gauges::new(Baseline::GriffinLim).measure(&recording(&left, &right), &sound).unwrap();
        let baseline = figures.griffin_lim.unwrap();
        assert!(figures.codec.sc < baseline.sc && baseline.sc < figures.silence.sc, "{figures:?}");
    }
}
