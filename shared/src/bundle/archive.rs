//! Files that are made like bundles and are none: any texts and tensors, such as the state of a run.

use std::collections::BTreeMap;

use super::{BundleError, Dtype, MAX_HEADER, Tensor, Tensors, container, digest};

/// The text that an archive adds to those it holds.
const DIGEST: &str = "digest";

/// Texts and tensors as one safetensors file, sealed by a digest: opening it can run nothing, and what
/// was damaged is not opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Archive {
    /// Texts by key, 63 at most; `digest` and `checksum` are taken. Together with the names of the tensors
    /// they fit into [`MAX_HEADER`] bytes.
    pub texts: BTreeMap<String, String>,
    /// Tensors by name, [`MAX_TENSORS`](super::MAX_TENSORS) at most.
    pub tensors: Tensors,
}

impl Archive {
    /// The file. The same archive gives the same bytes.
    ///
    /// # Errors
    ///
    /// Fails if the header would be larger than [`MAX_HEADER`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let tensors = by_name(&self.tensors);
        let mut texts: BTreeMap<&str, String> =
            self.texts.iter().map(|(key, text)| (key.as_str(), text.clone())).collect();
        texts.insert(DIGEST, digest_of(&self.texts, &tensors));
        let (header, _) = container::sizes(&texts, &tensors);
        if header > MAX_HEADER {
            return Err(BundleError::HeaderTooLarge(header as u64));
        }
        Ok(container::serialize(&texts, &tensors))
    }

    /// Reads a file. Never panics, whatever `bytes` hold, and allocates in proportion to their number.
    ///
    /// # Errors
    ///
    /// Fails if it is no safetensors file within the limits of this module, or not what was written.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let (mut header, data) = container::parse(bytes)?;
        let digest = header.metadata.remove(DIGEST).ok_or(BundleError::MissingKey(DIGEST))?;
        let mut dtypes = BTreeMap::new();
        for (name, entry) in &header.tensors {
            let dtype = Dtype::named(&entry.dtype).ok_or_else(|| {
                let (name, found) = (name.clone(), entry.dtype.clone());
                BundleError::Dtype { name, found }
            })?;
            dtypes.insert(name.as_str(), dtype);
        }
        let tensors = container::tensors(&header, data, &dtypes)?;
        if digest != digest_of(&header.metadata, &by_name(&tensors)) {
            return Err(BundleError::Digest);
        }
        Ok(Self { texts: header.metadata, tensors })
    }
}

/// SHA-256 over all texts and tensors.
fn digest_of(texts: &BTreeMap<String, String>, tensors: &BTreeMap<&str, &Tensor>) -> String {
    digest::of_model(&digest::of_metadata(texts), tensors)
}

fn by_name(tensors: &Tensors) -> BTreeMap<&str, &Tensor> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::TensorData;
    use super::*;

    fn archive() -> Archive {
        let floats = Tensor::f32(&[2, 2], vec![1.0, -0.0, 1e-40, 3.5]).unwrap();
        let counts = Tensor::new(&[3], TensorData::U16(vec![0, 1, u16::MAX])).unwrap();
        let tensors = [("a.b", floats), ("c", counts), ("empty", Tensor::f16(&[0], &[]).unwrap())];
        Archive {
            texts: [("format", "toy"), ("note", "ä\n\"")]
                .map(|(key, text)| (key.to_owned(), text.to_owned()))
                .into(),
            tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into(),
        }
    }

    #[test]
    fn an_archive_comes_back_as_it_was() {
        let bytes = archive().to_bytes().unwrap();
        let read = Archive::read(&bytes).unwrap();
        assert_eq!(read, archive());
        assert_eq!(read.to_bytes().unwrap(), bytes);
        assert_eq!(read.tensors["a.b"].data().bytes(), archive().tensors["a.b"].data().bytes());
    }

    #[test]
    fn an_archive_that_is_cut_off_or_altered_anywhere_is_refused() {
        let bytes = archive().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(Archive::read(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
        }
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Padding of the header is blank in more than one way.
            let same = Archive::read(&damaged).is_ok_and(|read| read == archive());
            assert!(same || Archive::read(&damaged).is_err(), "bit {bit} does not matter");
        }
        assert!(Archive::read(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn texts_that_no_header_holds_are_refused_before_they_are_written() {
        let mut archive = archive();
        archive.texts.insert("long".to_owned(), " ".repeat(MAX_HEADER));
        assert!(matches!(archive.to_bytes(), Err(BundleError::HeaderTooLarge(_))));
    }
}
