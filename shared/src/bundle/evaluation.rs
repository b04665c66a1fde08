//! What was measured of a codec on recordings it was not trained on: a part of the card.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::card::{LevelHealth, null_as_zero};

/// What `distill evaluate` found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluationSummary {
    /// When it was measured, as an RFC 3339 date and time.
    pub date: String,
    /// Name of the folder of recordings, without the folders it lies in.
    pub folder: String,
    /// Recordings that were measured.
    pub files: usize,
    /// Length of what was measured of them, in seconds.
    #[serde(deserialize_with = "null_as_zero")]
    pub seconds: f64,
    /// Of each recording only this many seconds were measured, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
    /// The codec.
    pub codec: Averages,
    /// Griffin-Lim from 128 mel bands, if that was measured beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub griffin_lim: Option<Averages>,
    /// Rate of the codes, in kbit/s.
    pub bitrate: Bitrate,
    /// Use of the codebooks, coarse to fine.
    pub levels: Vec<LevelHealth>,
    /// Time that encoding took, divided by the length of the sound, on one thread.
    pub encode_factor: Option<f64>,
    /// Time that decoding took, divided by the length of the sound, on one thread.
    pub decode_factor: Option<f64>,
}

/// What `distill evaluate` found of a prior. Rates are in bits per second of sound.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PriorEvaluationSummary {
    /// When it was measured, as an RFC 3339 date and time.
    pub date: String,
    /// The prior on held-out recordings.
    pub held_out: Option<f64>,
    /// The prior on recordings that it was trained on.
    pub trained: Option<f64>,
    /// Tables of codes on held-out recordings.
    pub unigram: Option<f64>,
    /// Tables of pairs of codes on held-out recordings.
    pub bigram: Option<f64>,
    /// For each rank it can be asked for, the correlation of what was asked with what was heard.
    pub follows: BTreeMap<String, f64>,
    /// Share of notes in tune, if it can be asked for pitch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes_in_tune: Option<f64>,
    /// Share of what it plays that is copied from the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied: Option<f64>,
    /// The longest run that is copied, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_copy_s: Option<f64>,
    /// The same share of recordings that were held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_copied: Option<f64>,
    /// Share of planted copies that were recognized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planted_found: Option<f64>,
    /// Whether what it plays is like recordings that it never heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<GenerationSummary>,
}

/// How what a prior plays compares with recordings that it was not trained on, all as the codec plays
/// them. The trainer's `evaluate` defines each figure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationSummary {
    /// When it was measured, as an RFC 3339 date and time.
    pub date: String,
    /// Name of the folder of the recordings; empty if they are those that training held out.
    pub folder: String,
    /// Windows of sound that are compared.
    pub windows: usize,
    /// Squared Fréchet distance of levels in mel bands, in dB².
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mel: Option<Distances>,
    /// Squared Fréchet distance of the codec's latents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent: Option<Distances>,
    /// Self-similarity of a long take; 1 is a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_repeats: Option<f64>,
    /// Self-similarity of as much of what the prior was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus_repeats: Option<f64>,
}

/// Distances from the same recordings.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Distances {
    /// Of recordings that the prior was trained on.
    pub floor: Option<f64>,
    /// Of what the prior plays.
    pub generated: Option<f64>,
    /// Of white noise.
    pub ceiling: Option<f64>,
}

/// Rate of the codes, in kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bitrate {
    /// As they are stored: `N log2 K` bits a frame.
    #[serde(deserialize_with = "null_as_zero")]
    pub nominal: f64,
    /// What an ideal coder needs that knows how often each code of each level is used, and nothing
    /// else: the sum of the entropies of the levels.
    #[serde(deserialize_with = "null_as_zero")]
    pub entropy: f64,
}

/// Mean and median over recordings.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Averages {
    /// The mean.
    pub mean: Figures,
    /// The median.
    pub median: Figures,
}

/// How far sound is from a reference; `None` where it could not be measured. The trainer's
/// `evaluate` defines each.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Multi-resolution STFT distance.
    pub mrstft: Option<f64>,
    /// Log-spectral distance, in dB.
    pub lsd_db: Option<f64>,
    /// The same at equal energy, where there is sound.
    pub lsd_tf_db: Option<f64>,
    /// Difference of log-mel spectra, in dB.
    pub logmel_l1_db: Option<f64>,
    /// The same at equal energy, where there is sound.
    pub logmel_tf_db: Option<f64>,
    /// Spectral convergence; 1 is what silence has.
    pub sc: Option<f64>,
    /// Scale-invariant ratio of signal to distortion, in dB; larger is nearer.
    pub si_sdr_db: Option<f64>,
    /// Magnitude of the error of loudness, in dB.
    pub loudness_error_db: Option<f64>,
    /// Magnitude of the error of stereo width, in dB.
    pub width_error_db: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_from_before_a_figure_was_known_is_still_read() {
        let text = r#"{"date": "then", "held_out": 900.5, "generation": {"mel": {"floor": 2.5}}}"#;
        let read: PriorEvaluationSummary = serde_json::from_str(text).unwrap();
        let generation = read.generation.clone().unwrap();
        assert_eq!((read.held_out, generation.windows), (Some(900.5), 0));
        let mel = Distances { floor: Some(2.5), ..Distances::default() };
        assert_eq!((generation.mel, generation.latent), (Some(mel), None));
        let older: PriorEvaluationSummary = serde_json::from_str(r#"{"held_out": 1.0}"#).unwrap();
        assert_eq!(older.generation, None);
        assert!(!serde_json::to_string(&older).unwrap().contains("generation"));
    }

    #[test]
    fn what_could_not_be_measured_leaves_the_rest_readable() {
        let mean = Figures { sc: Some(f64::NAN), mrstft: Some(1.5), ..Figures::default() };
        let summary = EvaluationSummary {
            codec: Averages { mean, ..Averages::default() },
            bitrate: Bitrate { nominal: f64::INFINITY, entropy: 3.0 },
            ..EvaluationSummary::default()
        };
        let text = serde_json::to_string(&summary).unwrap();
        let read: EvaluationSummary = serde_json::from_str(&text).unwrap();
        assert_eq!((read.codec.mean.sc, read.codec.mean.mrstft), (None, Some(1.5)));
        assert_eq!(read.bitrate, Bitrate { nominal: 0.0, entropy: 3.0 });
    }
}
