//! SHA-256 over what a bundle holds. `docs/bundle.md` gives the order of the bytes.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Tensor;

/// Whether `text` is written as digests are: 64 hexadecimal digits.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Which model this is: over config and tensors.
pub(super) fn of_model(config_text: &str, tensors: &BTreeMap<&str, &Tensor>) -> String {
    let mut hash = Sha256::new();
    update_counted(&mut hash, config_text.as_bytes());
    for (name, tensor) in tensors {
        update_counted(&mut hash, name.as_bytes());
        update_counted(&mut hash, tensor.data().dtype().name().as_bytes());
        hash.update((tensor.shape().len() as u64).to_le_bytes());
        tensor.shape().iter().for_each(|&dim| hash.update((dim as u64).to_le_bytes()));
        update_counted(&mut hash, tensor.data().bytes());
    }
    hex(hash)
}

/// Whether the metadata are what was written: over every key but `checksum` itself.
pub(super) fn of_metadata<K: AsRef<str>>(metadata: &BTreeMap<K, String>) -> String {
    let mut hash = Sha256::new();
    for (key, text) in metadata.iter().filter(|(key, _)| key.as_ref() != "checksum") {
        update_counted(&mut hash, key.as_ref().as_bytes());
        update_counted(&mut hash, text.as_bytes());
    }
    hex(hash)
}

/// Adds bytes after their number, so that no two lists of parts hash alike.
fn update_counted(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
