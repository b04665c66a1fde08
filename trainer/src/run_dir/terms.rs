//! What a run was begun with: recordings and settings. A run only goes on as it was begun, unless it is
//! told otherwise.

use std::collections::{BTreeMap, BTreeSet};

use distill_shared::bundle::CorpusCodes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::corpus::{Before, Corpus, Recording};
use crate::train::Changed;

/// Settings that say how long to train.
const LENGTHS: [&str; 6] =
    ["--stage", "--budget", "--codec-steps", "--prior-steps", "--steps", "--epochs"];
/// Names the codec whose prior is trained: the codes of another mean something else.
pub const CODEC_OF_BUNDLE: &str = "the codec of the bundle";
/// Settings of the sizes of a codec, which nothing that is trained can change.
const CODEC_SIZES: [&str; 6] = [
    "--quantizers",
    "--codebook-size",
    "--width",
    "--latent-dim",
    "--encoder-blocks",
    "--decoder-blocks",
];
/// Settings of the sizes of a prior.
const PRIOR_SIZES: [&str; 4] = ["--hidden-size", "--layers", "--heads", "--window"];
/// Bytes of the list of recordings that a checkpoint keeps, at most: its header has to hold it.
const LONGEST_LIST: usize = 400_000;
/// Names that a sentence tells.
const TOLD: usize = 3;

/// What a run was begun with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Settings by their names on the command line, as texts.
    pub settings: BTreeMap<String, String>,
    /// The recordings.
    pub recordings: Recordings,
}

/// Which recordings they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recordings {
    /// SHA-256 over names, folders and sounds of all.
    digest: String,
    /// Digests by name; none of very many, of which nobody wants to read either.
    files: Option<BTreeMap<String, String>>,
    /// Names of those that were not trained on.
    #[serde(default)]
    held_out: Vec<String>,
}

/// What is otherwise than in the terms of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences {
    /// Each in words.
    pub told: Vec<String>,
    /// What they mean for going on.
    pub changed: Changed,
    /// Whether sizes of what is trained already are among them: then it cannot go on.
    pub sizes: bool,
}

impl Recordings {
    /// Those of a corpus.
    #[must_use]
    pub fn of_corpus(corpus: &Corpus) -> Self {
        let of_one = |recording: &Recording| {
            let mut hash = begin(&recording.class);
            hash.update(recording.sound.digest());
            (recording.name.clone(), hex(hash))
        };
        Self::new(corpus.recordings.iter().map(of_one).collect(), corpus.held_out_names())
    }

    /// Those that are known as codes.
    #[must_use]
    pub fn of_codes(codes: &[CorpusCodes]) -> Self {
        let of_one = |one: &CorpusCodes| {
            let mut hash = begin(&one.class);
            one.codes.as_slice().iter().for_each(|code| hash.update(code.to_le_bytes()));
            (one.name.clone(), hex(hash))
        };
        let held_out = codes.iter().filter(|one| one.held_out).map(|one| one.name.clone());
        Self::new(codes.iter().map(of_one).collect(), held_out.collect())
    }

    /// What is known of them, as far as that is kept.
    #[must_use]
    pub fn before(&self) -> Before {
        // Of every corpus something is held out: here it was not kept.
        if self.held_out.is_empty() {
            return Before::default();
        }
        let names = self.files.iter().flat_map(BTreeMap::keys);
        let heard = names.filter(|name| !self.held_out.contains(name)).cloned().collect();
        Before { heard, held_out: self.held_out.clone() }
    }

    fn new(files: BTreeMap<String, String>, held_out: Vec<String>) -> Self {
        let mut hash = Sha256::new();
        for (name, digest) in &files {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(digest);
        }
        let bytes: usize = files.iter().map(|(name, digest)| name.len() + digest.len() + 8).sum();
        let files = (bytes <= LONGEST_LIST).then_some(files);
        Self { digest: hex(hash), files, held_out: Vec::new() }.holding_out(held_out)
    }

    /// The same, where those of these names were not trained on: besides these recordings others may have
    /// been, of which none is left. Of very many, nothing is known.
    #[must_use]
    pub fn holding_out(self, held_out: Vec<String>) -> Self {
        let bytes: usize = held_out.iter().map(|name| name.len() + 3).sum();
        Self { held_out: if bytes <= LONGEST_LIST { held_out } else { Vec::new() }, ..self }
    }

    /// How `now` differs, in words.
    fn differences(&self, now: &Self) -> Option<String> {
        if self.digest == now.digest {
            return None;
        }
        let (Some(was), Some(is)) = (&self.files, &now.files) else {
            return Some("the recordings have changed".to_owned());
        };
        let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let those = |what: &str, found: &dyn Fn(&String) -> bool| {
            let names: Vec<&str> =
                names.iter().filter(|name| found(name)).map(|name| name.as_str()).collect();
            let mut told = names.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
            if names.len() > TOLD {
                told = format!("{told} and {} more", names.len() - TOLD);
            }
            (!names.is_empty()).then(|| format!("{what} ({told})"))
        };
        let changes = [
            those("added", &|name| !was.contains_key(name)),
            those("removed", &|name| !is.contains_key(name)),
            those("changed", &|name| {
                was.get(name).zip(is.get(name)).is_some_and(|(was, is)| was != is)
            }),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        Some(format!("recordings were {}", changes.join(", ")))
    }
}

impl Terms {
    /// How `now` differs. `prior` says whether the prior is being trained already.
    #[must_use]
    pub fn differences(&self, now: &Self, prior: Begun) -> Differences {
        let mut differences =
            Differences { told: Vec::new(), changed: Changed::default(), sizes: false };
        let names: BTreeSet<&String> = self.settings.keys().chain(now.settings.keys()).collect();
        for name in names {
            let value =
                |terms: &Self| terms.settings.get(name).map_or("not given", |v| v).to_owned();
            let (was, is) = (value(self), value(now));
            if was == is {
                continue;
            }
            let name = name.as_str();
            differences.told.push(format!("{name} was {was} and is {is}"));
            differences.changed.length |= LENGTHS.contains(&name);
            // Another seed holds out other recordings.
            differences.changed.recordings |= name == "--seed";
            differences.sizes |= name == CODEC_OF_BUNDLE;
            differences.sizes |=
                CODEC_SIZES.contains(&name) || prior == Begun::Prior && PRIOR_SIZES.contains(&name);
        }
        if let Some(told) = self.recordings.differences(&now.recordings) {
            differences.told.push(told);
            differences.changed.recordings = true;
        }
        differences
    }
}

/// How far an earlier run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Only the codec has begun.
    Codec,
    /// The prior has begun.
    Prior,
}

fn begin(class: &str) -> Sha256 {
    Sha256::new_with_prefix(format!("{class}\0"))
}

/// The first 16 digits of a digest: enough to tell files apart.
fn hex(hash: Sha256) -> String {
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{Sound, Survey};

    fn terms(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Terms {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
        };
        Terms { settings: map(settings), recordings: Recordings::new(map(files), Vec::new()) }
    }

    #[test]
    fn the_same_terms_do_not_differ() {
        let terms = terms(&[("--seed", "1")], &[("a.wav", "x")]);
        let none = terms.differences(&terms, Begun::Prior);
        assert!(none.told.is_empty() && none.changed == Changed::default() && !none.sizes);
    }

    #[test]
    fn every_difference_is_told_and_judged() {
        let was = terms(
            &[("--seed", "1"), ("--width", "16"), ("--heads", "2")],
            &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1"), ("f", "1")],
        );
        let is = terms(
            &[("--seed", "1"), ("--budget", "60s"), ("--width", "16"), ("--heads", "4")],
            &[("a", "2"), ("b", "1"), ("g", "1")],
        );
        let found = was.differences(&is, Begun::Codec);
        assert_eq!(
            found.told,
            [
                "--budget was not given and is 60s",
                "--heads was 2 and is 4",
                "recordings were added (g), removed (c, d, e and 1 more), changed (a)",
            ]
        );
        assert_eq!(found.changed, Changed { recordings: true, length: true });
        assert!(!found.sizes, "the prior has not begun");
        assert!(was.differences(&is, Begun::Prior).sizes);
        let wider = terms(&[("--seed", "2"), ("--width", "17"), ("--heads", "2")], &[]);
        let found = was.differences(&wider, Begun::Codec);
        assert!(found.sizes && found.changed.recordings && !found.changed.length);
    }

    #[test]
    fn sound_folder_and_name_all_count() {
        let recording = |name: &str, class: &str, sample: f32| Recording {
            name: name.to_owned(),
            class: class.to_owned(),
            sound: Sound::new(vec![vec![sample; 9000]]),
            held_out: false,
        };
        let of = |name, class, sample| {
            Recordings::of_corpus(&Corpus::new(vec![recording(name, class, sample)], 0).unwrap())
        };
        let one = of("a", "", 0.5);
        assert_eq!(one, of("a", "", 0.5));
        for other in [of("b", "", 0.5), of("a", "b", 0.5), of("a", "", 0.25)] {
            assert!(one.differences(&other).is_some());
        }
        let many = (0..20_000).map(|i| (format!("{i}.wav"), "0".repeat(16))).collect();
        let names = (0..60_000).map(|i| format!("{i}.wav")).collect();
        let many = Recordings::new(many, names);
        assert!(
            many.files.is_none() && many.held_out.is_empty(),
            "a checkpoint could not hold them"
        );
        assert_eq!(one.differences(&many).as_deref(), Some("the recordings have changed"));
    }

    #[test]
    fn what_goes_on_with_some_of_a_long_corpus_goes_on_with_the_same() {
        let recording = |n: usize| Recording {
            name: format!("{n}.wav"),
            class: String::new(),
            // Each its own noise: those that are alike are held out together.
            sound: Sound::new(vec![
                (0..2400).map(|t| ((t * (t + 7 * n)) % 97) as f32 / 97.0 - 0.5).collect(),
            ]),
            held_out: false,
        };
        let open = |before: &Before| {
            let recordings = (0..60).map(recording).collect();
            let found = Survey { recordings, verdicts: Vec::new(), measured: None };
            Corpus::of(found, 3, before, 1).unwrap()
        };
        let all = open(&Before::default());
        let held_out = all.held_out_names();
        let kept = all.at_most(1.0, 3);
        let was = Recordings::of_corpus(&kept).holding_out(held_out);
        assert!(kept.recordings.len() < 40 && kept.held_out().count() < was.held_out.len());
        let now = open(&was.before()).at_most(1.0, 3);
        assert_eq!(Recordings::of_corpus(&now).differences(&was), None);
        assert_eq!(now.held_out_names(), kept.held_out_names());
    }
}
