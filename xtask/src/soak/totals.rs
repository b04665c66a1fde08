//! What has passed so far: a soak that was ended goes on with what is left.
//!
//! Kept in `target/soak.json`: the checks that have passed since the sources last changed, and of each
//! check how often it has passed and how long that took, whatever the sources were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::program::{root, target_dir};

/// What the checks check, and what they are made of, from the root of the workspace.
const SOURCES: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "assets",
    "bundler.toml",
    "plugin",
    "rust-toolchain.toml",
    "shared",
    "tests",
    "trainer",
    "xtask",
];

/// What has passed so far.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// The digest of the sources.
    sources: String,
    /// The checks that have passed with these.
    passed: BTreeSet<String>,
    /// All passes of each check.
    passes: BTreeMap<String, Passes>,
}

/// How often a check has passed, and the seconds that took.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Passes {
    count: u32,
    seconds: f64,
}

impl Totals {
    /// What was kept. Nothing counts as passed if the sources have changed.
    ///
    /// # Errors
    ///
    /// Fails if the sources cannot be read.
    pub(super) fn read() -> Result<Self> {
        let kept = fs::read_to_string(file()).unwrap_or_default();
        let kept: Self = serde_json::from_str(&kept).unwrap_or_default();
        let mut sources = Sha256::new();
        SOURCES.iter().try_for_each(|name| add(&mut sources, &root().join(name)))?;
        let sources = sources.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(kept.of_sources(sources))
    }

    /// The same, for these sources.
    fn of_sources(mut self, sources: String) -> Self {
        if self.sources != sources {
            self.passed.clear();
        }
        Self { sources, ..self }
    }

    /// Whether a check has passed with the sources as they are.
    pub(super) fn has(&self, check: &str) -> bool {
        self.passed.contains(check)
    }

    /// Keeps that a check has passed.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(super) fn add(&mut self, check: &str, took: Duration) -> Result<()> {
        self.passed.insert(check.to_owned());
        let passes = self.passes.entry(check.to_owned()).or_default();
        passes.count += 1;
        passes.seconds += took.as_secs_f64();
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file(), text).with_context(|| format!("cannot write {}", file().display()))
    }

    /// All passes, as lines.
    pub(super) fn lines(&self) -> String {
        let line = |(check, Passes { count, seconds }): (&String, &Passes)| {
            format!("{check:<26}{count:>6} passes{seconds:>9.0} s\n")
        };
        self.passes.iter().map(line).collect()
    }
}

fn file() -> PathBuf {
    target_dir().join("soak.json")
}

/// Adds a file, or all files of a folder, by name.
fn add(sum: &mut Sha256, path: &Path) -> Result<()> {
    let cannot = || format!("cannot read {}", path.display());
    sum.update(path.as_os_str().as_encoded_bytes());
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(cannot)?;
        let entries: Result<BTreeSet<PathBuf>, _> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect();
        return entries.with_context(cannot)?.iter().try_for_each(|path| add(sum, path));
    }
    let bytes = fs::read(path).with_context(cannot)?;
    sum.update((bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed_counts_until_the_sources_change() {
        let mut totals = Totals::default().of_sources("a".to_owned());
        totals.passed.insert("states".to_owned());
        totals.passes.insert("states".to_owned(), Passes { count: 1, seconds: 88.0 });
        let text = serde_json::to_string(&totals).unwrap();
        let again = |sources: &str| {
            serde_json::from_str::<Totals>(&text).unwrap().of_sources(sources.to_owned())
        };
        assert!(again("a").has("states") && !again("a").has("live"));
        assert!(!again("b").has("states"));
        assert_eq!(again("b").passes, totals.passes);
    }

    #[test]
    fn a_digest_of_sources_follows_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let digest = || {
            let mut sum = Sha256::new();
            add(&mut sum, folder.path()).unwrap();
            sum.finalize()
        };
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a", "1");
        let first = digest();
        assert_eq!(digest(), first);
        write("a", "2");
        let second = digest();
        assert_ne!(second, first);
        fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert_ne!(digest(), second);
    }
}
