//! Prepared corpora: recordings decoded once, to be read from disk piece by piece, whatever their length.
//!
//! A prepared corpus is a folder of *shards*. Shard `N` is two files: `N.pcm`, the samples of some
//! recordings as they are in their files (rate and resolution, so that nothing is lost and nothing takes
//! more room than it must), and `N.json`, which tells of the files that it was made of, and is written
//! last: what is not told of is not there. `prepared.json`, the *index*, is written once all files are in
//! shards. It tells where the sound of each recording lies, and what is to be known of all of them together,
//! so that opening a corpus reads no sound at all.
//!
//! Samples are little-endian, one channel after the other. They are brought to the rate of the corpus when
//! they are read; what is read is to the bit what a corpus in memory has.

mod encoding;
mod index;
mod prepare;
mod shard;
mod stored;

pub use prepare::{Prepared, is_of_another, prepare};

pub(super) use index::open;
pub(super) use stored::Stored;

use std::path::Path;

/// The file that tells of all recordings.
const INDEX: &str = "prepared.json";

/// Keeps two programs from preparing one corpus, and says of which folder it is made.
const LOCK: &str = "lock";

/// Whether a folder is a prepared corpus.
#[must_use]
pub fn is_prepared(folder: &Path) -> bool {
    folder.join(INDEX).is_file()
}

/// Whether a folder is to become a prepared corpus, and is none yet.
pub(super) fn is_unfinished(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
    folder.join(LOCK).is_file()
        && !is_prepared(folder)
        && names.any(|name| shard::number_of(&name, "pcm").is_some())
}
