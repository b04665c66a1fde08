//! The tags of the bundles in a folder.

use std::path::Path;

use distill_shared::tags::{MAX_LETTERS, MAX_TAGS, Tags};
use serde_json::json;

/// What is accepted can be written, and is the same when it is read again; a bundle has no more tags than
/// it may, and none that could upset a terminal.
pub fn check(bytes: &[u8]) -> bool {
    let Some(tags) = Tags::of_bytes(bytes) else { return false };
    assert_eq!(Tags::of_bytes(&tags.to_bytes()).as_ref(), Some(&tags));
    let some = tags.of(Path::new("some.distill"));
    assert!(some.len() <= MAX_TAGS);
    assert!(some.iter().all(|tag| tag.chars().count() <= MAX_LETTERS));
    assert!(!some.iter().any(|tag| tag.contains(char::is_control)));
    true
}

/// Tags of two bundles, and of none.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let some = json!({ "some.distill": ["soft", "Felt"], "other.distill": [] });
    [some, json!({})].iter().map(|one| one.to_string().into_bytes()).collect()
}
