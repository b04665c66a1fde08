//! The recordings behind a bundle, as codes.

use serde::{Deserialize, Serialize};

use super::{BundleError, CORPUS_CODES, MAX_ROWS, Tensor, TensorData, json};
use crate::codes::{Codes, unflatten_codes};
use crate::model::config::CodecConfig;
use crate::plain::plain;

/// One recording of the corpus, as codes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorpusCodes {
    /// Its path inside the folder of recordings. A label: never used as a path.
    pub name: String,
    /// The folder it lies in, if folders are classes, or nothing.
    pub class: String,
    /// Whether training leaves it out, to measure with.
    pub held_out: bool,
    /// Its codes, `[T, N]`.
    pub codes: Codes,
}

/// All recordings, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Corpus {
    index: Vec<Entry>,
    /// `[T, N]` over all recordings.
    codes: Tensor,
}

/// What the index says about one recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    class: String,
    frames: usize,
    #[serde(default, skip_serializing_if = "is_false")]
    held_out: bool,
}

impl Corpus {
    /// Packs recordings; `None` if there are none.
    pub(super) fn new(
        recordings: &[CorpusCodes],
        codec: &CodecConfig,
    ) -> Result<Option<Self>, BundleError> {
        let mut index = Vec::with_capacity(recordings.len());
        let mut data = Vec::new();
        for CorpusCodes { name, class, held_out, codes } in recordings {
            let frames = codes.frames();
            if codes.quantizers() != codec.quantizers {
                let (name, found) = (CORPUS_CODES.to_owned(), vec![frames, codes.quantizers()]);
                let expected = vec![frames, codec.quantizers];
                return Err(BundleError::Shape { name, found, expected });
            }
            for &code in codes.as_slice() {
                data.push(u16::try_from(code).map_err(|_| BundleError::Code(code))?);
            }
            let (name, class) = (name.clone(), class.clone());
            index.push(Entry { name, class, frames, held_out: *held_out });
        }
        let shape = [data.len() / codec.quantizers, codec.quantizers];
        let codes = Tensor::new(&shape, TensorData::U16(data)).expect("every frame holds N codes");
        Ok((!index.is_empty()).then_some(Self { index, codes }))
    }

    /// Reads the index; the codes follow once [`rows`] has told how many there are.
    pub(super) fn read_index(text: &str) -> Result<CorpusIndex, BundleError> {
        let index: Vec<Entry> =
            serde_json::from_str(text).map_err(|error| BundleError::Corpus(plain(&error)))?;
        let rows = index
            .iter()
            .try_fold(0_usize, |rows, entry| rows.checked_add(entry.frames))
            .filter(|rows| !index.is_empty() && *rows <= MAX_ROWS)
            .ok_or_else(|| {
                BundleError::Corpus(format!("it has none, or over {MAX_ROWS} frames"))
            })?;
        Ok(CorpusIndex { index, rows })
    }

    /// The index as JSON.
    pub(super) fn index_text(&self) -> String {
        json(&self.index)
    }

    /// The codes of all recordings, `[T, N]`.
    pub(super) fn codes(&self) -> &Tensor {
        &self.codes
    }

    /// Checks that every code is in its codebook.
    pub(super) fn check(&self, codec: &CodecConfig) -> Result<(), BundleError> {
        let mut codes = self.values().iter().map(|&code| u32::from(code));
        match codes.find(|&code| code as usize >= codec.codebook_size) {
            Some(code) => Err(BundleError::Code(code)),
            None => Ok(()),
        }
    }

    /// Unpacks the recordings.
    pub(super) fn recordings(&self) -> Vec<CorpusCodes> {
        let quantizers = self.codes.shape()[1];
        let mut rest = self.values();
        let mut recordings = Vec::with_capacity(self.index.len());
        for Entry { name, class, frames, held_out } in &self.index {
            let (own, others) = rest.split_at(frames * quantizers);
            rest = others;
            let flat: Vec<u32> = own.iter().map(|&code| u32::from(code)).collect();
            let codes = unflatten_codes(&flat, quantizers).expect("whole frames were cut");
            let (name, class, held_out) = (name.clone(), class.clone(), *held_out);
            recordings.push(CorpusCodes { name, class, held_out, codes });
        }
        recordings
    }

    /// The codes, `[T, N]`, of each recording that was not held out.
    pub(super) fn trained(&self) -> impl Iterator<Item = &[u16]> + Clone {
        let (quantizers, mut rest) = (self.codes.shape()[1], self.values());
        let cut = move |Entry { frames, held_out, .. }: &Entry| {
            let (own, others) = rest.split_at(frames * quantizers);
            rest = others;
            (!held_out).then_some(own)
        };
        self.index.iter().filter_map(cut)
    }

    fn values(&self) -> &[u16] {
        match self.codes.data() {
            TensorData::U16(values) => values,
            _ => &[],
        }
    }
}

/// The index of a corpus whose codes have not been read yet.
pub(super) struct CorpusIndex {
    index: Vec<Entry>,
    /// Frames of all recordings.
    pub(super) rows: usize,
}

impl CorpusIndex {
    /// Completes the corpus with its codes: `[rows, N]` of 16-bit integers.
    pub(super) fn with_codes(self, codes: Tensor) -> Corpus {
        Corpus { index: self.index, codes }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
