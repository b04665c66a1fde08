//! Bundles whose sums are right, whatever else is wrong with them; see [`sealing`].

use crate::bundle;
use crate::sealing::{self, Sums};

/// Seals what `bytes` stand for, and treats it as any [`bundle`].
pub fn check(bytes: &[u8]) -> bool {
    sealing::seal(bytes, Sums::Bundle).is_some_and(|file| bundle::check(&file))
}

/// The seeds of [`bundle`], opened.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    bundle::seeds().iter().filter_map(|file| sealing::open(file)).collect()
}
