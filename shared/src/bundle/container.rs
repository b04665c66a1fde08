//! The safetensors container: a header in JSON, then the bytes of the tensors.
//!
//! The header is read here and not by the `safetensors` crate, because every limit has to hold
//! *while* the JSON is read and every complaint has to name its tensor. Tests hold the two readers
//! against each other.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::read::ROOM_BESIDE;
use super::{
    BundleError, Dtype, MAX_HEADER, MAX_KEYS, MAX_NAME, MAX_RANK, MAX_TENSORS, Tensor, TensorData,
    Tensors,
};
use crate::plain::plain;
use crate::room;

/// The key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// What a header says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Header {
    /// Texts by key.
    pub(super) metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub(super) tensors: BTreeMap<String, Entry>,
}

/// What a header says about one tensor.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Type of its values.
    pub(super) dtype: String,
    /// Its dimensions.
    #[serde(deserialize_with = "bounded_shape")]
    pub(super) shape: Vec<usize>,
    /// Where its bytes begin and end, counted from the end of the header.
    pub(super) data_offsets: (usize, usize),
}

/// Splits `bytes` into the header and the bytes of the tensors.
pub(super) fn parse(bytes: &[u8]) -> Result<(Header, &[u8]), BundleError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(BundleError::CutOff)?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER as u64 {
        return Err(BundleError::HeaderTooLarge(length));
    }
    let length = usize::try_from(length).map_err(|_| BundleError::HeaderTooLarge(length))?;
    let (header, data) = rest.split_at_checked(length).ok_or(BundleError::CutOff)?;
    // Its texts are kept as they are, beside what the JSON parser has of them.
    room::ask(2 * length + ROOM_BESIDE)?;
    let damaged = |what: &dyn fmt::Display| BundleError::Header(plain(what));
    let header = std::str::from_utf8(header).map_err(|error| damaged(&error))?;
    if !header.starts_with('{') {
        return Err(damaged(&"it does not begin with a brace"));
    }
    let header = serde_json::from_str(header).map_err(|error| damaged(&error))?;
    Ok((header, data))
}

/// Reads the tensors of a header out of `data`, of which they must take every byte. `dtypes` has the
/// type of each.
pub(super) fn tensors(
    header: &Header,
    data: &[u8],
    dtypes: &BTreeMap<&str, Dtype>,
) -> Result<Tensors, BundleError> {
    let mut in_order: Vec<_> = header.tensors.iter().collect();
    in_order.sort_by_key(|(_, entry)| entry.data_offsets);

    let mut tensors = Tensors::new();
    let mut rest = data;
    for (name, Entry { shape, data_offsets: (start, end), .. }) in in_order {
        let misplaced = || BundleError::Layout(name.clone());
        if *start != data.len() - rest.len() {
            return Err(misplaced());
        }
        let len = end.checked_sub(*start).ok_or_else(misplaced)?;
        let (own, others) = rest.split_at_checked(len).ok_or_else(misplaced)?;
        rest = others;
        let dtype = dtypes[name.as_str()];
        let size = shape.iter().try_fold(dtype.size(), |size, &dim| size.checked_mul(dim));
        if size != Some(len) {
            return Err(misplaced());
        }
        let tensor = Tensor::new(shape, TensorData::from_bytes(dtype, own));
        tensors.insert(name.clone(), tensor.ok_or_else(misplaced)?);
    }
    if rest.is_empty() { Ok(tensors) } else { Err(BundleError::Layout("the end".to_owned())) }
}

/// The header of `tensors`, without metadata.
///
/// Wider types come first, so that every value lies at a multiple of its size.
pub(super) fn describe(tensors: &BTreeMap<&str, &Tensor>) -> Header {
    let mut header = Header::default();
    let mut end = 0;
    for (name, tensor) in in_order(tensors) {
        let start = end;
        end += tensor.data().bytes().len();
        let dtype = tensor.data().dtype().name().to_owned();
        let shape = tensor.shape().to_vec();
        header.tensors.insert(name.to_owned(), Entry { dtype, shape, data_offsets: (start, end) });
    }
    header
}

/// Lays tensors out behind a header. The same input gives the same bytes.
pub(super) fn serialize(
    metadata: &BTreeMap<&str, String>,
    tensors: &BTreeMap<&str, &Tensor>,
) -> Vec<u8> {
    let header = header_text(metadata, tensors);
    let mut bytes = Vec::with_capacity(8 + header.len() + data_len(tensors));
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    in_order(tensors).iter().for_each(|(_, tensor)| bytes.extend(tensor.data().bytes()));
    bytes
}

/// Bytes of the header, and of the whole file.
pub(super) fn sizes(
    metadata: &BTreeMap<&str, String>,
    tensors: &BTreeMap<&str, &Tensor>,
) -> (usize, usize) {
    let header = header_text(metadata, tensors).len();
    (header, 8 + header + data_len(tensors))
}

/// The tensors in the order in which they lie in the file.
fn in_order<'a>(tensors: &BTreeMap<&'a str, &'a Tensor>) -> Vec<(&'a str, &'a Tensor)> {
    let mut list: Vec<_> = tensors.iter().map(|(&name, &tensor)| (name, tensor)).collect();
    list.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.data().dtype().size()));
    list
}

fn data_len(tensors: &BTreeMap<&str, &Tensor>) -> usize {
    tensors.values().map(|tensor| tensor.data().bytes().len()).sum()
}

/// The header as JSON, the metadata first, padded to a multiple of eight bytes.
fn header_text(metadata: &BTreeMap<&str, String>, tensors: &BTreeMap<&str, &Tensor>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a> {
        #[serde(rename = "__metadata__")]
        metadata: &'a BTreeMap<&'a str, String>,
        #[serde(flatten)]
        tensors: BTreeMap<String, Entry>,
    }
    let text = Text { metadata, tensors: describe(tensors).tensors };
    let mut text = serde_json::to_vec(&text).expect("texts and numbers are valid JSON");
    text.resize(text.len().next_multiple_of(8), b' ');
    text
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a safetensors header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut metadata = None;
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                let Texts(texts) = map.next_value()?;
                if metadata.replace(texts).is_some() {
                    return Err(de::Error::duplicate_field(METADATA));
                }
                continue;
            }
            if tensors.len() == MAX_TENSORS {
                return Err(de::Error::custom(format_args!("over {MAX_TENSORS} tensors")));
            }
            if !is_tensor_name(&name) {
                return Err(de::Error::custom("a tensor has a name that no tensor can have"));
            }
            let entry = map.next_value()?;
            if let Some(twice) = insert_new(&mut tensors, name, entry) {
                return Err(de::Error::custom(format_args!("two tensors are called {twice:?}")));
            }
        }
        Ok(Header { metadata: metadata.unwrap_or_default(), tensors })
    }
}

/// The texts of the metadata.
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("texts by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((key, text)) = map.next_entry()? {
            if texts.len() == MAX_KEYS {
                return Err(de::Error::custom(format_args!("over {MAX_KEYS} keys of metadata")));
            }
            if let Some(twice) = insert_new(&mut texts, key, text) {
                return Err(de::Error::custom(format_args!("two keys are called {twice:?}")));
            }
        }
        Ok(Texts(texts))
    }
}

/// Reads the dimensions of a tensor, as many as a tensor can have.
fn bounded_shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    struct ShapeVisitor;

    impl<'de> Visitor<'de> for ShapeVisitor {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "at most {MAX_RANK} dimensions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<usize>, A::Error> {
            let mut shape = Vec::with_capacity(MAX_RANK);
            while let Some(dim) = seq.next_element()? {
                if shape.len() == MAX_RANK {
                    return Err(de::Error::invalid_length(MAX_RANK + 1, &self));
                }
                shape.push(dim);
            }
            Ok(shape)
        }
    }

    deserializer.deserialize_seq(ShapeVisitor)
}

/// Inserts what is not there yet; gives back the key if it is.
fn insert_new<V>(map: &mut BTreeMap<String, V>, key: String, value: V) -> Option<String> {
    if map.contains_key(&key) {
        return Some(key);
    }
    map.insert(key, value);
    None
}

fn is_tensor_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}
