//! The corpus: the recordings of a folder, decoded, at one rate and one number of channels.
//!
//! Opening a corpus gives every file a [`Verdict`]: it is used, or skipped for a reason. Levels are
//! left as they are; one [`Corpus::gain`] for all brings the corpus as a whole to the level that
//! training expects, so that loud and quiet recordings keep their distance.

mod alike;
mod files;
mod hold_out;
mod level;
mod survey;
mod verdict;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use distill_shared::model::config::CodecConfig;

pub use survey::{Survey, survey};
pub use verdict::{Outcome, Verdict};

/// Rate of every corpus, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;
/// Shorter files are skipped, in seconds.
pub const SHORTEST_S: f64 = 0.05;
/// Files whose largest sample stays below are skipped as silent: -80 dBFS, what the dither of a
/// 16-bit file reaches.
pub const SILENCE: f32 = 1e-4;

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Its path inside the folder, with `/` between folders.
    pub name: String,
    /// The first folder of its name, or nothing.
    pub class: String,
    /// Samples `[C][S]` at the rate of the corpus, at the level of the file.
    pub audio: Vec<Vec<f32>>,
    /// Whether training leaves it out, to measure with.
    pub held_out: bool,
}

impl Recording {
    /// Its length in samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.audio.first().map_or(0, Vec::len)
    }
}

/// The recordings of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// Sorted by name. At least one is held out and at least one is not.
    pub recordings: Vec<Recording>,
    /// `C`: 1 if in every file all channels are equal, else 2.
    pub channels: usize,
    /// Always [`SAMPLE_RATE`], in Hz.
    pub sample_rate: u32,
    /// Factor that brings the corpus as a whole to the level of training, 0.01 to 100.
    pub gain: f32,
}

/// How a corpus is opened.
pub struct OpenOptions<'a> {
    /// Decides which recordings are held out.
    pub seed: u64,
    /// Files that are decoded at a time.
    pub threads: usize,
    /// Once set, opening fails soon.
    pub cancel: &'a AtomicBool,
    /// The program `distill`, which decodes them in processes of their own; without one they are
    /// decoded in this process.
    pub program: Option<&'a Path>,
    /// Names of recordings that were trained on before: they are not held out.
    pub heard: &'a [String],
    /// Called from any thread after each file, with the number of all files.
    pub on_file: &'a (dyn Fn(usize) + Sync),
}

impl Corpus {
    /// Opens the sound files of `folder` and of the folders in it; see the module's page.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read, if nothing in it can be used, or once cancelled.
    pub fn open(folder: &Path, options: &OpenOptions) -> Result<(Self, Vec<Verdict>)> {
        let Survey { recordings, verdicts } = survey(folder, options)?;
        if recordings.is_empty() {
            bail!(nothing_usable(folder, &verdicts));
        }
        Ok((Self::with_heard(recordings, options.seed, options.heard), verdicts))
    }

    /// Makes a corpus of recordings at [`SAMPLE_RATE`], of one or two channels each: makes their
    /// channels alike, measures the level and holds some out.
    ///
    /// # Panics
    ///
    /// Panics if there is no recording, or one without a channel.
    #[must_use]
    pub fn new(recordings: Vec<Recording>, seed: u64) -> Self {
        Self::with_heard(recordings, seed, &[])
    }

    /// The same, but that none of the recordings called `heard` is held out.
    ///
    /// # Panics
    ///
    /// Panics as [`Self::new`] does.
    #[must_use]
    pub fn with_heard(mut recordings: Vec<Recording>, seed: u64, heard: &[String]) -> Self {
        let channels = recordings.iter().map(|recording| recording.audio.len()).max();
        let channels = channels.expect("a corpus has a recording");
        for Recording { audio, .. } in &mut recordings {
            if audio.len() < channels {
                audio.push(audio[0].clone());
            }
        }
        let gain = level::gain(&recordings);
        let alike = alike::alike(&recordings);
        hold_out::hold_out(&mut recordings, seed, heard, &alike);
        Self { recordings, channels, sample_rate: SAMPLE_RATE, gain }
    }

    /// Those of `recordings` that a training held out, by the names that a bundle remembers of them.
    #[must_use]
    pub fn held_out_as(recordings: Vec<Recording>, names: &[String]) -> Vec<Recording> {
        hold_out::named(recordings, names)
    }

    /// The corpus as a codec hears it that was trained on another: with its channels, at its gain.
    /// Stereo is mixed down for a mono codec.
    #[must_use]
    pub fn as_heard_by(mut self, codec: &CodecConfig) -> Self {
        for recording in &mut self.recordings {
            let audio = &mut recording.audio;
            if codec.channels < audio.len() {
                let mean = |(left, right): (&f32, &f32)| 0.5 * (left + right);
                *audio = vec![audio[0].iter().zip(&audio[1]).map(mean).collect()];
            }
            if audio.len() < codec.channels {
                audio.push(audio[0].clone());
            }
        }
        self.channels = codec.channels;
        self.gain = codec.gain;
        self
    }

    /// The corpus without the ends of its recordings, about `seconds` long in all; each recording
    /// keeps at least a second.
    #[must_use]
    pub fn beginnings(mut self, seconds: f64) -> Self {
        let rate = f64::from(self.sample_rate);
        let each = (seconds / self.recordings.len() as f64).max(1.0) * rate;
        for channel in self.recordings.iter_mut().flat_map(|recording| &mut recording.audio) {
            let shorter = channel.len() as f64 > each;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            channel.truncate(if shorter { each as usize } else { channel.len() });
        }
        self
    }

    /// Length of all recordings in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let samples: usize = self.recordings.iter().map(Recording::samples).sum();
        samples as f64 / f64::from(self.sample_rate)
    }

    /// The recordings to train on.
    pub fn train(&self) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(|recording| !recording.held_out)
    }

    /// The recordings to measure with.
    pub fn held_out(&self) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(|recording| recording.held_out)
    }
}

/// Says that nothing in `folder` can be used, and why.
#[must_use]
pub fn nothing_usable(folder: &Path, verdicts: &[Verdict]) -> String {
    let folder = folder.display();
    if verdicts.is_empty() {
        return format!(
            "there is no sound file in {folder}; put recordings into it (WAV, AIFF, FLAC, MP3, OGG or M4A)"
        );
    }
    let reason = |verdict: &Verdict| match &verdict.outcome {
        Outcome::Skipped { reason } => format!("{}: {reason}", verdict.name),
        _ => verdict.name.clone(),
    };
    let reasons: Vec<String> = verdicts.iter().take(3).map(reason).collect();
    let more = if verdicts.len() > 3 { "; and so on" } else { "" };
    format!(
        "no file in {folder} can be used ({}{more}); `distill check` tells about each",
        reasons.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(name: &str, audio: &[&[f32]]) -> Recording {
        let audio = audio.iter().map(|channel| channel.to_vec()).collect();
        Recording { name: name.to_owned(), class: String::new(), audio, held_out: false }
    }

    #[test]
    fn one_stereo_recording_makes_the_corpus_stereo() {
        let mono = recording("a", &[&[0.5; 100]]);
        let stereo = recording("b", &[&[0.1; 1000], &[0.2; 1000]]);
        let corpus = Corpus::new(vec![mono.clone(), stereo], 0);
        assert_eq!(corpus.channels, 2);
        assert_eq!(corpus.recordings[0].audio, [[0.5; 100], [0.5; 100]]);
        assert_eq!(Corpus::new(vec![mono], 0).channels, 1);
    }

    #[test]
    fn beginnings_are_as_long_as_asked_for() {
        let long = (0..4).map(|i| recording(&i.to_string(), &[&[0.5; 200_000]])).collect();
        let corpus = Corpus::new(long, 0);
        let seconds = |asked: f64| corpus.clone().beginnings(asked).seconds();
        assert!((4.0..8.01).contains(&seconds(8.0)), "{} s", seconds(8.0));
        let least = corpus.recordings.len() as f64; // a second each, or less where there is less
        assert!((least / 2.0..=least).contains(&seconds(0.1)), "{} s", seconds(0.1));
        assert_eq!(corpus.clone().beginnings(1000.0), corpus);
    }

    #[test]
    fn a_codec_hears_another_corpus_with_its_own_channels_and_gain() {
        let stereo = recording("a", &[&[0.25; 500], &[0.75; 500]]);
        let mut codec = crate::sizes::adaptive_codec_config(&Corpus::new(vec![stereo.clone()], 0));
        (codec.channels, codec.gain) = (1, 3.0);
        let heard = Corpus::new(vec![stereo], 0).as_heard_by(&codec);
        assert_eq!((heard.channels, heard.gain), (1, 3.0));
        assert!(heard.recordings.iter().all(|r| r.audio.len() == 1 && r.audio[0][0] == 0.5));
        codec.channels = 2;
        let heard = heard.as_heard_by(&codec);
        assert!(heard.recordings.iter().all(|r| r.audio.len() == 2 && r.audio[1][0] == 0.5));
    }

    #[test]
    fn a_corpus_has_something_to_train_on_and_something_to_measure_with() {
        for count in 1..30_u8 {
            // Each its own noise: copies would not all be kept.
            let noise = |i: u8| -> Vec<f32> {
                let value = |t: u32| (t.wrapping_mul(t + 7 * u32::from(i)) % 97) as f32;
                (0..500).map(|t| value(t * 2_654_435) / 97.0 - 0.5).collect()
            };
            let recordings = (0..count).map(|i| recording(&i.to_string(), &[&noise(i)])).collect();
            let corpus = Corpus::new(recordings, u64::from(count));
            assert!(corpus.train().count() > 0 && corpus.held_out().count() > 0, "{count} files");
            assert!((corpus.seconds() - f64::from(count) * 500.0 / 48_000.0).abs() < 1e-9);
        }
    }
}
