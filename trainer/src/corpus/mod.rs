//! The corpus: the recordings of a folder, decoded, at one rate and one number of channels.
//!
//! Opening a corpus gives every file a [`Verdict`]: it is used, or skipped for a reason. Levels are
//! left as they are; one [`Corpus::gain`] for all brings the corpus as a whole to the level that
//! training expects, so that loud and quiet recordings keep their distance.

mod alike;
mod files;
mod hold_out;
mod level;
pub mod prepared;
mod sound;
mod survey;
mod verdict;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use distill_shared::model::config::CodecConfig;

pub use hold_out::Before;
pub use sound::Sound;
pub use survey::{Survey, no_sound, survey};
pub use verdict::{Outcome, Verdict};

/// Rate of every corpus, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;
/// Shorter files are skipped, in seconds.
pub const SHORTEST_S: f64 = 0.05;
/// Files whose largest sample stays below are skipped as silent: -80 dBFS, what the dither of a
/// 16-bit file reaches.
pub const SILENCE: f32 = 1e-4;
/// The largest sample of a recording that is meant as it is: forty decibels beyond full scale.
const LOUDEST: f32 = 100.0;

/// Seconds of silence at the end of a recording that are told of where they are left out.
const SILENCE_S: f64 = 0.1;
/// Seconds from which on a recording is cut, where there are too many to read them all. What is cut ends
/// where the recording does not, which should be rare.
const LONG_S: f64 = 300.0;

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Its path inside the folder, with `/` between folders.
    pub name: String,
    /// The first folder of its name, or nothing.
    pub class: String,
    /// What is heard of it.
    pub sound: Sound,
    /// Whether training leaves it out, to measure with.
    pub held_out: bool,
}

impl Recording {
    /// Whether it is the end of one that was split, to be held out.
    #[must_use]
    pub fn is_tail(&self) -> bool {
        hold_out::is_tail(&self.name)
    }

    /// Its length in samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.sound.samples()
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

/// What is to be known of all recordings together before some are held out.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The gain of the corpus.
    pub gain: f32,
    /// For each recording the index of the first one that it is like.
    pub alike: Vec<usize>,
}

impl Measured {
    fn of(recordings: &[Recording], threads: usize) -> Result<Self> {
        let mut levels = level::Levels::default();
        for recording in recordings {
            levels.add(&level::Levels::of(&recording.sound)?, 1);
        }
        // Outside of a pool of its own it would be one thread: see `environment`.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.context("cannot start threads to compare recordings with")?;
        let alike = pool.install(|| alike::alike(recordings))?;
        Ok(Self { gain: levels.gain(), alike })
    }
}

/// How a corpus is opened.
pub struct OpenOptions<'a> {
    /// Decides which recordings are held out.
    pub seed: u64,
    /// Files that are decoded, and recordings that are compared, at a time.
    pub threads: usize,
    /// Once set, opening fails soon.
    pub cancel: &'a AtomicBool,
    /// The program `distill`, which decodes them in processes of their own; without one they are
    /// decoded in this process.
    pub program: Option<&'a Path>,
    /// What is known of recordings from a training before, which decides about holding out.
    pub before: &'a Before,
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
        let mut found = survey(folder, options)?;
        if found.recordings.is_empty() {
            bail!(nothing_usable(folder, &found.verdicts));
        }
        let mut verdicts = std::mem::take(&mut found.verdicts);
        let corpus = Self::of(found, options.seed, options.before, options.threads)?;
        corpus.judge(&mut verdicts);
        Ok((corpus, verdicts))
    }

    /// Tells in the verdicts on its files what has become of them since: which are left out, since they hold
    /// the end of another one that is held out, and what of that one is left out as silence.
    pub fn judge(&self, verdicts: &mut [Verdict]) {
        let names: HashSet<&str> = self.recordings.iter().map(|one| one.name.as_str()).collect();
        // What was split is followed by its end.
        let split = self.recordings.windows(2).find(|pair| pair[1].is_tail());
        let Some([whole, tail]) = split else { return };
        let kept = (whole.samples() + tail.samples()) as f64 / f64::from(self.sample_rate);
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.outcome.is_used()) {
            let silent = verdict.seconds - kept;
            if verdict.name == whole.name && silent > SILENCE_S {
                verdict.notes.push(format!("the {silent:.1} s of silence at its end are left out"));
            }
            if !names.contains(verdict.name.as_str()) {
                let of = &tail.name;
                let reason = format!("it holds what is held out to measure with: {of}");
                verdict.outcome = Outcome::Skipped { reason };
            }
        }
    }

    /// Makes a corpus of recordings at [`SAMPLE_RATE`], of one or two channels each: makes their
    /// channels alike, measures the level and holds some out.
    ///
    /// # Errors
    ///
    /// Fails if recordings that lie on disk cannot be read.
    pub fn new(recordings: Vec<Recording>, seed: u64) -> Result<Self> {
        Self::of(
            Survey { recordings, verdicts: Vec::new(), measured: None },
            seed,
            &Before::default(),
            1,
        )
    }

    /// Makes a corpus of the recordings that were found in a folder, as [`Self::new`] does, but for what is
    /// known of them from before, and on so many `threads`.
    ///
    /// # Errors
    ///
    /// Fails if recordings that lie on disk cannot be read.
    pub fn of(found: Survey, seed: u64, before: &Before, threads: usize) -> Result<Self> {
        let Survey { mut recordings, measured, .. } = found;
        let channels = recordings.iter().map(|one| one.sound.channels()).max().unwrap_or(1);
        recordings.iter_mut().for_each(|one| one.sound.hear(channels));
        let Measured { gain, alike } = match measured {
            Some(measured) => measured,
            None => Measured::of(&recordings, threads)?,
        };
        hold_out::hold_out(&mut recordings, seed, before, &alike);
        Ok(Self { recordings, channels, sample_rate: SAMPLE_RATE, gain })
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
        self.recordings.iter_mut().for_each(|one| one.sound.hear(codec.channels));
        self.channels = codec.channels;
        self.gain = codec.gain;
        self
    }

    /// The corpus without the ends of its recordings, about `seconds` long in all; each recording
    /// keeps at least a second. If there are too many for that, `seed` and their names choose some.
    #[must_use]
    pub fn beginnings(mut self, seconds: f64, seed: u64) -> Self {
        let rate = f64::from(self.sample_rate);
        let each = (seconds / self.recordings.len() as f64).max(1.0) * rate;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        self.recordings.iter_mut().for_each(|recording| recording.sound.truncate(each as usize));
        self.at_most(seconds, seed)
    }

    /// The corpus, or of one that is longer than `seconds` about as much: recordings that `seed` and their
    /// names choose, and of very long ones the beginnings.
    #[must_use]
    pub fn at_most(mut self, seconds: f64, seed: u64) -> Self {
        if self.seconds() <= seconds {
            return self;
        }
        let rate = f64::from(self.sample_rate);
        let each = (seconds / self.recordings.len() as f64).max(LONG_S) * rate;
        let share = seconds / self.seconds();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let each = each as usize;
        let order = hold_out::order(&self.recordings, seed);
        let mut kept = vec![false; self.recordings.len()];
        // As much of what is held out as of what is trained on, and something of both: those that come
        // first in this order are held out.
        for held_out in [false, true] {
            let of_side = |&&index: &&usize| self.recordings[index].held_out == held_out;
            let side: Vec<usize> = order.iter().filter(of_side).copied().collect();
            let whole: usize = side.iter().map(|&index| self.recordings[index].samples()).sum();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let mut left = (share * whole as f64) as usize;
            for (i, index) in side.into_iter().enumerate() {
                let samples = self.recordings[index].samples().min(each);
                if samples <= left || i == 0 {
                    left = left.saturating_sub(samples);
                    kept[index] = true;
                }
            }
        }
        let mut kept = kept.into_iter();
        self.recordings.retain(|_| kept.next().unwrap_or(false));
        self.recordings.iter_mut().for_each(|recording| recording.sound.truncate(each));
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

    /// Names of the recordings to measure with.
    #[must_use]
    pub fn held_out_names(&self) -> Vec<String> {
        self.held_out().map(|recording| recording.name.clone()).collect()
    }

    /// The recordings to measure with.
    pub fn held_out(&self) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(|recording| recording.held_out)
    }
}

/// The class of a recording with this name: the first folder of it, or nothing.
fn class_of(name: &str) -> String {
    name.split_once('/').map_or("", |(folder, _)| folder).to_owned()
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
        let sound = Sound::new(audio);
        Recording { name: name.to_owned(), class: String::new(), sound, held_out: false }
    }

    #[test]
    fn one_stereo_recording_makes_the_corpus_stereo() {
        let mono = recording("a", &[&[0.5; 100]]);
        let stereo = recording("b", &[&[0.1; 1000], &[0.2; 1000]]);
        let corpus = Corpus::new(vec![mono.clone(), stereo], 0).unwrap();
        assert_eq!(corpus.channels, 2);
        assert_eq!(corpus.recordings[0].sound.whole().unwrap(), [[0.5; 100], [0.5; 100]]);
        assert_eq!(Corpus::new(vec![mono], 0).unwrap().channels, 1);
    }

    #[test]
    fn beginnings_are_as_long_as_asked_for() {
        let long = (0..4).map(|i| recording(&i.to_string(), &[&[0.5; 200_000]])).collect();
        let corpus = Corpus::new(long, 0).unwrap();
        let seconds = |asked: f64| corpus.clone().beginnings(asked, 0).seconds();
        assert!((4.0..8.01).contains(&seconds(8.0)), "{} s", seconds(8.0));
        assert_eq!(corpus.clone().beginnings(1000.0, 0), corpus);
    }

    #[test]
    fn of_too_many_recordings_some_of_both_sides_begin() {
        let name = |i: usize| recording(&i.to_string(), &[&[0.5; 24_000]]);
        let mut recordings: Vec<Recording> = (0..1000).map(name).collect();
        recordings.iter_mut().step_by(10).for_each(|one| one.held_out = true);
        let corpus = Corpus { recordings, channels: 1, sample_rate: SAMPLE_RATE, gain: 1.0 };
        let some = corpus.beginnings(20.0, 0);
        assert!((18.0..=20.0).contains(&some.seconds()), "{} s", some.seconds());
        assert_eq!((some.train().count(), some.held_out().count()), (36, 4));
    }

    #[test]
    fn of_a_long_corpus_some_of_everything_is_kept() {
        let of = |lengths: &[usize]| {
            let one =
                |(i, &s): (usize, &usize)| recording(&i.to_string(), &[&vec![0.5; 48_000 * s]]);
            let mut recordings: Vec<Recording> = lengths.iter().enumerate().map(one).collect();
            // As `hold_out` does it with seed 0.
            let order = hold_out::order(&recordings, 0);
            let held = &order[..lengths.len().div_ceil(10)];
            held.iter().for_each(|&index| recordings[index].held_out = true);
            Corpus { recordings, channels: 1, sample_rate: SAMPLE_RATE, gain: 1.0 }
        };
        let (many, few) = (of(&[2; 100]), of(&[800, 1600]));
        for seed in 0..5 {
            let kept = many.clone().at_most(40.0, seed);
            assert!((38.0..=42.0).contains(&kept.seconds()), "{} s", kept.seconds());
            assert_eq!(kept.held_out().count(), 2, "a tenth, as of all");
            let names = |corpus: &Corpus| -> Vec<String> {
                corpus.recordings.iter().map(|one| one.name.clone()).collect()
            };
            assert_ne!(names(&kept), names(&many.clone().at_most(40.0, seed + 1)));
            for corpus in [kept, few.clone().at_most(700.0, seed), few.clone().at_most(1.0, seed)] {
                assert!(corpus.train().count() > 0 && corpus.held_out().count() > 0);
                assert!(corpus.seconds() <= 1200.0, "the beginning of each");
            }
        }
        assert_eq!(many.clone().at_most(200.0, 0), many);
    }

    #[test]
    fn a_codec_hears_another_corpus_with_its_own_channels_and_gain() {
        let stereo = recording("a", &[&[0.25; 500], &[0.75; 500]]);
        let mut codec =
            crate::sizes::adaptive_codec_config(&Corpus::new(vec![stereo.clone()], 0).unwrap());
        (codec.channels, codec.gain) = (1, 3.0);
        let heard = Corpus::new(vec![stereo], 0).unwrap().as_heard_by(&codec);
        let sounds = |corpus: &Corpus| -> Vec<Vec<Vec<f32>>> {
            corpus.recordings.iter().map(|one| one.sound.whole().unwrap()).collect()
        };
        assert_eq!((heard.channels, heard.gain), (1, 3.0));
        assert!(sounds(&heard).iter().all(|sound| sound.len() == 1 && sound[0][0] == 0.5));
        codec.channels = 2;
        let mono = Corpus::new(vec![recording("a", &[&[0.5; 500]])], 0).unwrap();
        let heard = mono.as_heard_by(&codec);
        assert!(sounds(&heard).iter().all(|sound| sound.len() == 2 && sound[1][0] == 0.5));
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
            let corpus = Corpus::new(recordings, u64::from(count)).unwrap();
            assert!(corpus.train().count() > 0 && corpus.held_out().count() > 0, "{count} files");
            assert!((corpus.seconds() - f64::from(count) * 500.0 / 48_000.0).abs() < 1e-9);
        }
    }
}
