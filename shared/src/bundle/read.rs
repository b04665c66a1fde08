//! Reading a bundle, and the checks that reading and making one share.

use std::collections::BTreeMap;

use half::f16;

use super::container::{self, Entry, Header};
use super::corpus::Corpus;
use super::{
    Bundle, BundleError, CORPUS_CODES, Dtype, FORMAT, MAX_BYTES, MAX_HEADER, MAX_ROWS, MAX_WEIGHT,
    PREVIEW, TensorData, VERSION, digest, foreign, packing,
};
use crate::model::config::ModelConfig;
use crate::plain::plain;
use crate::room;

/// Types that weights can have.
const WEIGHTS: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::I8];
/// Types that codes can have.
const CODES: &[Dtype] = &[Dtype::U16, Dtype::U8];

/// Bytes that are asked for beside those of tensors and texts.
pub(super) const ROOM_BESIDE: usize = 64 << 10;

/// A tensor that belongs to a bundle.
struct Expected {
    shape: Vec<usize>,
    dtypes: &'static [Dtype],
}

impl Bundle {
    /// Reads and validates a bundle. Never panics, whatever `bytes` hold, and allocates in
    /// proportion to their number.
    ///
    /// # Errors
    ///
    /// One [`BundleError`] per kind of damage.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BYTES {
            return Err(BundleError::TooLarge(bytes.len()));
        }
        let (header, data) = container::parse(bytes)
            .map_err(|error| foreign::recognize(bytes).map_or(error, BundleError::Foreign))?;
        check_identity(&header.metadata)?;
        // Beside the tensors, what is read out of the texts takes about as much as these.
        let header_len = bytes.len() - data.len();
        room::ask(data.len() + 2 * short_len(&header, data) + 2 * header_len + ROOM_BESIDE)?;
        let text = |key| header.metadata.get(key).ok_or(BundleError::MissingKey(key));

        let config_text = text("config")?.clone();
        let config: ModelConfig = serde_json::from_str(&config_text)
            .map_err(|error| BundleError::ConfigSyntax(plain(&error)))?;
        config.check()?;
        let card = serde_json::from_str(text("card")?)
            .map_err(|error| BundleError::Card(plain(&error)))?;
        let index =
            header.metadata.get("corpus").map(|text| Corpus::read_index(text)).transpose()?;

        let rows = index.as_ref().map(|index| index.rows);
        let expected = expected(&config, rows, &header);
        let mut weights = container::tensors(&header, data, &check_set(&header, &expected)?)?;
        let in_file = weights.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let digest = digest::of_model(&config_text, &in_file);
        if *text("digest")? != digest {
            return Err(BundleError::Digest);
        }
        packing::unpack(&mut weights)?;
        let corpus = index.zip(weights.remove(CORPUS_CODES));
        let corpus = corpus.map(|(index, codes)| index.with_codes(codes));
        let preview = weights.remove(PREVIEW);

        let bundle = Self { config, config_text, card, weights, corpus, preview, digest };
        bundle.check_values()?;
        Ok(bundle)
    }

    /// Checks a bundle that was just put together, and computes its digest.
    pub(super) fn sealed(mut self) -> Result<Self, BundleError> {
        let rows = self.corpus.as_ref().map(|corpus| corpus.codes().shape()[0]);
        let tensors = self.all_tensors();
        let header = container::describe(&tensors);
        check_set(&header, &expected(&self.config, rows, &header))?;
        self.check_values()?;
        let packed = packing::packed(&tensors);
        let in_file = packing::by_name(&packed);
        let digest = digest::of_model(&self.config_text, &in_file);
        let (header_bytes, bytes) = container::sizes(&self.metadata(&digest), &in_file);
        self.digest = digest;
        if header_bytes > MAX_HEADER {
            return Err(BundleError::HeaderTooLarge(header_bytes as u64));
        }
        if bytes > MAX_BYTES {
            return Err(BundleError::TooLarge(bytes));
        }
        Ok(self)
    }

    /// Checks every number of every tensor.
    fn check_values(&self) -> Result<(), BundleError> {
        let wild = self.all_tensors().into_iter().find(|(_, tensor)| !is_tame(tensor.data()));
        if let Some((name, _)) = wild {
            return Err(BundleError::Weight(name.to_owned()));
        }
        self.corpus.iter().try_for_each(|corpus| corpus.check(&self.config.codec))
    }
}

/// Checks that the file is a bundle, of a version that is known, with its metadata as written.
fn check_identity(metadata: &BTreeMap<String, String>) -> Result<(), BundleError> {
    let text = |key| metadata.get(key).map(String::as_str).unwrap_or_default();
    // The format comes first: a foreign file must not be taken for a new version of ours.
    if text("format") != FORMAT {
        return Err(BundleError::Format(text("format").to_owned()));
    }
    if !text("version").parse().is_ok_and(|version: u32| (1..=VERSION).contains(&version)) {
        return Err(BundleError::Version(text("version").to_owned()));
    }
    if text("checksum") != digest::of_metadata(metadata) {
        return Err(BundleError::Checksum);
    }
    Ok(())
}

/// The exact set of tensors of a bundle with this config, `rows` frames of corpus, and a preview if
/// `header` lists one: its length is the one size that the file decides.
fn expected(
    config: &ModelConfig,
    rows: Option<usize>,
    header: &Header,
) -> BTreeMap<String, Expected> {
    let weights = config.tensors().into_iter();
    let mut set: BTreeMap<_, _> =
        weights.map(|(name, shape)| (name, Expected { shape, dtypes: WEIGHTS })).collect();
    let is_in_steps = |name: &String| {
        header.tensors.get(name).is_some_and(|entry| entry.dtype == Dtype::I8.name())
    };
    let steps: Vec<_> = set
        .iter()
        .filter(|(name, _)| is_in_steps(name))
        .map(|(name, weights)| {
            let shape = packing::steps_shape(&weights.shape);
            (packing::steps_of(name), Expected { shape, dtypes: &[Dtype::F16] })
        })
        .collect();
    set.extend(steps);
    if let Some(rows) = rows {
        let shape = vec![rows, config.codec.quantizers];
        set.insert(CORPUS_CODES.to_owned(), Expected { shape, dtypes: CODES });
    }
    if let Some(preview) = header.tensors.get(PREVIEW) {
        let samples = preview.shape.last().map_or(1, |&samples| samples.clamp(1, MAX_ROWS));
        let shape = vec![config.codec.channels, samples];
        set.insert(PREVIEW.to_owned(), Expected { shape, dtypes: &[Dtype::F16] });
    }
    set
}

/// Checks that the header lists exactly the expected tensors; gives the type of each.
fn check_set<'a>(
    header: &'a Header,
    expected: &'a BTreeMap<String, Expected>,
) -> Result<BTreeMap<&'a str, Dtype>, BundleError> {
    if let Some(name) = expected.keys().find(|&name| !header.tensors.contains_key(name)) {
        return Err(BundleError::MissingTensor(name.clone()));
    }
    let mut dtypes = BTreeMap::new();
    for (name, entry) in &header.tensors {
        let expected =
            expected.get(name).ok_or_else(|| BundleError::UnexpectedTensor(name.clone()))?;
        let Entry { dtype, shape, .. } = entry;
        let known = expected.dtypes.iter().find(|known| known.name() == dtype);
        let &known = known.ok_or_else(|| {
            let (name, found) = (name.clone(), dtype.clone());
            BundleError::Dtype { name, found }
        })?;
        if *shape != expected.shape {
            let (found, expected) = (shape.clone(), expected.shape.clone());
            return Err(BundleError::Shape { name: name.clone(), found, expected });
        }
        dtypes.insert(name.as_str(), known);
    }
    Ok(dtypes)
}

/// Bytes of the tensors that take twice as many in memory.
fn short_len(header: &Header, data: &[u8]) -> usize {
    let is_short = |entry: &&Entry| Dtype::named(&entry.dtype).is_some_and(|of| of.size() == 1);
    let len = |entry: &Entry| entry.data_offsets.1.saturating_sub(entry.data_offsets.0);
    let all = header.tensors.values().filter(is_short).map(len);
    all.fold(0, usize::saturating_add).min(data.len()) // what lies elsewhere is refused later
}

/// Whether every value is finite and of a magnitude that a weight can have.
fn is_tame(data: &TensorData) -> bool {
    // Without their sign, floats are ordered as their bits are, and NaN comes last.
    match data {
        TensorData::F32(values) => {
            values.iter().all(|v| v.to_bits() & 0x7fff_ffff <= MAX_WEIGHT.to_bits())
        }
        TensorData::F16(values) => {
            let limit = f16::from_f32_const(MAX_WEIGHT).to_bits();
            values.iter().all(|v| v.to_bits() & 0x7fff <= limit)
        }
        TensorData::U16(_) | TensorData::I8(_) | TensorData::U8(_) => true,
    }
}
