//! The index of a prepared corpus.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::INDEX;
use super::stored::{Place, Store, Stored};
use crate::corpus::{Measured, Recording, Sound, Survey, Verdict, class_of};

/// The version of what is described in the module's page.
const FORMAT: u32 = 2;

/// All that is to be known to open a corpus.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    format: u32,
    gain: f32,
    /// Sorted by name.
    recordings: Vec<Entry>,
    /// Of every file, sorted by name.
    verdicts: Vec<Verdict>,
}

/// One recording.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    /// Index of the first recording that it is like.
    alike: usize,
    place: Place,
}

impl Index {
    /// The index of recordings with these names, in these places.
    pub(super) fn new(
        recordings: Vec<(String, Place)>,
        measured: Measured,
        verdicts: Vec<Verdict>,
    ) -> Self {
        let entry = |((name, place), alike)| Entry { name, alike, place };
        let recordings = recordings.into_iter().zip(measured.alike).map(entry).collect();
        Self { format: FORMAT, gain: measured.gain, recordings, verdicts }
    }

    pub(super) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Whether it can be, and is all there in `store`.
    fn check(&self, store: &Store) -> Result<()> {
        let Self { format, gain, recordings, .. } = self;
        ensure!(*format == FORMAT, "it is of version {format}, and this program reads {FORMAT}");
        ensure!((0.01..=100.0).contains(gain), "its gain is {gain}");
        let mut ends = BTreeMap::<u32, u64>::new();
        for (i, Entry { name, alike, place }) in recordings.iter().enumerate() {
            place.check().with_context(|| format!("{name} cannot be"))?;
            ensure!(*alike <= i, "{name} is like a recording that follows");
            let end = ends.entry(place.shard).or_default();
            *end = place.end().max(*end);
        }
        for (shard, end) in ends {
            let path = store.samples_of(shard);
            let length =
                fs::metadata(&path).with_context(|| format!("{} is lost", path.display()))?;
            ensure!(length.len() >= end, "{} is cut short", path.display());
        }
        Ok(())
    }
}

/// The index in the folder of `store`.
///
/// # Errors
///
/// Fails if it is damaged, or something that it tells of is not there.
pub(super) fn read(folder: &Path, store: &Store) -> Result<Index> {
    let path = folder.join(INDEX);
    let cannot = || format!("cannot use {}; prepare the folder again", path.display());
    let text = fs::read_to_string(&path).with_context(cannot)?;
    let index: Index = serde_json::from_str(&text).with_context(cannot)?;
    index.check(store).with_context(cannot)?;
    Ok(index)
}

/// Opens the prepared corpus in `folder`, which stays as it is for as long as there are sounds of it.
///
/// # Errors
///
/// Fails if it is damaged, or being prepared.
pub(in crate::corpus) fn open(folder: &Path) -> Result<Survey> {
    let store = Arc::new(Store::locked(folder.to_owned())?);
    let Index { gain, recordings, verdicts, .. } = read(folder, &store)?;
    let alike = recordings.iter().map(|one| one.alike).collect();
    let recordings = recordings
        .into_iter()
        .map(|Entry { name, place, .. }| recording(&store, name, place))
        .collect();
    Ok(Survey { recordings, verdicts, measured: Some(Measured { gain, alike }) })
}

/// A recording that lies in `store`.
pub(super) fn recording(store: &Arc<Store>, name: String, place: Place) -> Recording {
    let sound = Sound::stored(Stored::new(Arc::clone(store), place));
    Recording { class: class_of(&name), name, sound, held_out: false }
}
