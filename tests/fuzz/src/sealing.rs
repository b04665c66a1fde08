//! Files like bundles, opened for mutation: a header as JSON, a line break, and the bytes of the tensors.
//!
//! What a mutation does to a bundle hardly ever gets past its sums. Here it is done before they are made.
//! Texts of the metadata that are JSON themselves may stand in the header as they are, without quotes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The sums of a kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sums {
    /// Of a bundle: `docs/bundle.md`.
    Bundle,
    /// Of a checkpoint: one over everything.
    Archive,
}

/// The file that `bytes` stand for, with the sums that it should have; none if they stand for none.
#[must_use]
pub fn seal(bytes: &[u8], sums: Sums) -> Option<Vec<u8>> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (header, data) = (&bytes[..end], &bytes[end + 1..]);
    let mut header: Map<String, Value> = serde_json::from_slice(header).ok()?;
    let mut texts = texts(header.remove(METADATA)?)?;
    texts.remove("digest");
    texts.remove("checksum");
    let tensors: BTreeMap<&str, &Value> =
        header.iter().map(|(name, entry)| (name.as_str(), entry)).collect();
    let first = match sums {
        Sums::Bundle => texts.get("config").cloned().unwrap_or_default(),
        Sums::Archive => of_texts(&texts),
    };
    let digest = of_model(&first, &tensors, data);
    texts.insert("digest".to_owned(), digest);
    if sums == Sums::Bundle {
        let checksum = of_texts(&texts);
        texts.insert("checksum".to_owned(), checksum);
    }
    let texts = texts.into_iter().map(|(key, text)| (key, text.into()));
    header.insert(METADATA.to_owned(), Value::Object(texts.collect()));
    let header = Value::Object(header).to_string();
    Some([&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
}

/// What stands for `file` before its sums are made; none if it is no such file.
#[must_use]
pub fn open(file: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = file.split_first_chunk()?;
    let (header, data) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut header: Map<String, Value> = serde_json::from_slice(header).ok()?;
    let texts = header.get_mut(METADATA)?.as_object_mut()?;
    texts.remove("digest");
    texts.remove("checksum");
    for text in texts.values_mut() {
        let json = text.as_str().and_then(|text| serde_json::from_str(text).ok());
        if let Some(json @ (Value::Object(_) | Value::Array(_))) = json {
            *text = json;
        }
    }
    Some([Value::Object(header).to_string().as_bytes(), b"\n", data].concat())
}

/// The metadata as texts.
fn texts(metadata: Value) -> Option<BTreeMap<String, String>> {
    let Value::Object(metadata) = metadata else { return None };
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some(metadata.into_iter().map(|(key, value)| (key, text(value))).collect())
}

fn of_texts(texts: &BTreeMap<String, String>) -> String {
    let mut sum = Sha256::new();
    for (key, text) in texts {
        counted(&mut sum, key.as_bytes());
        counted(&mut sum, text.as_bytes());
    }
    hex(sum)
}

fn of_model(first: &str, tensors: &BTreeMap<&str, &Value>, data: &[u8]) -> String {
    let mut sum = Sha256::new();
    counted(&mut sum, first.as_bytes());
    for (name, entry) in tensors {
        let shape = entry["shape"].as_array().map(Vec::as_slice).unwrap_or_default();
        counted(&mut sum, name.as_bytes());
        counted(&mut sum, entry["dtype"].as_str().unwrap_or_default().as_bytes());
        sum.update((shape.len() as u64).to_le_bytes());
        shape.iter().for_each(|dim| sum.update(dim.as_u64().unwrap_or_default().to_le_bytes()));
        let offset = |n: usize| entry["data_offsets"][n].as_u64().and_then(|n| n.try_into().ok());
        let own =
            offset(0).zip(offset(1)).and_then(|(start, end): (usize, usize)| data.get(start..end));
        counted(&mut sum, own.unwrap_or_default());
    }
    hex(sum)
}

fn counted(sum: &mut Sha256, bytes: &[u8]) {
    sum.update((bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
}

fn hex(sum: Sha256) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bundle, checkpoint};

    #[test]
    fn a_file_that_was_opened_is_sealed_as_it_was() {
        for (files, sums) in [(bundle::seeds(), Sums::Bundle), (checkpoint::seeds(), Sums::Archive)]
        {
            for file in files {
                let sealed = seal(&open(&file).expect("it is a file"), sums).expect("it was one");
                let metadata = |file: &[u8]| {
                    let (_, header) = safetensors::SafeTensors::read_metadata(file).expect("whole");
                    header.metadata().clone().expect("there are texts")
                };
                let (was, is) = (metadata(&file), metadata(&sealed));
                assert_eq!(was.len(), is.len());
                assert_eq!(was.contains_key("checksum"), sums == Sums::Bundle);
                assert_eq!(is.get("digest").map(String::len), Some(64));
            }
        }
    }
}
