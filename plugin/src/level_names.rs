//! Names that a musician gave to levels of codes, as a project keeps them.
//!
//! They belong to a codec: the third level of another one decides something else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distill_shared::bundle::is_digest;
use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};

use crate::clips::MAX_LEVELS;
use crate::instance::Instance;

/// Version of [`SavedNames`] that is written; every version up to it is read.
pub const VERSION: u32 = 1;
/// Letters of the longest name.
pub const MAX_NAME: usize = 24;
/// Names of a project, at most: all levels of sixteen large codecs.
pub const MAX_NAMES: usize = 1024;

/// Names of levels, by the digest of their codec and their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelNames(BTreeMap<(String, usize), String>);

/// Names as a project saves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedNames {
    /// [`VERSION`].
    pub version: u32,
    /// By codecs and levels.
    pub names: Vec<SavedName>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedName {
    /// Digest of the codec.
    pub codec: String,
    /// The level, 0 being the coarsest.
    pub level: usize,
    /// What the musician calls it.
    pub name: String,
}

impl Default for SavedNames {
    fn default() -> Self {
        Self { version: VERSION, names: Vec::new() }
    }
}

impl LevelNames {
    /// The name that a level of the codec with that digest was given, if it was.
    #[must_use]
    pub fn get(&self, codec: &str, level: usize) -> Option<&str> {
        self.0.get(&(codec.to_owned(), level)).map(String::as_str)
    }

    /// Gives a level a name, or takes it back. Returns whether it has it now: not if it is no name, or
    /// there are too many.
    pub fn set(&mut self, codec: &str, level: usize, name: Option<&str>) -> bool {
        let key = (codec.to_owned(), level);
        let Some(name) = name else {
            self.0.remove(&key);
            return true;
        };
        let there_is_room = self.0.len() < MAX_NAMES || self.0.contains_key(&key);
        let fits = is_name(name) && is_digest(codec) && level < MAX_LEVELS && there_is_room;
        if fits {
            self.0.insert(key, name.to_owned());
        }
        fits
    }

    /// As a project saves them.
    #[must_use]
    pub fn saved(&self) -> SavedNames {
        let saved = |((codec, level), name): (&(String, usize), &String)| SavedName {
            codec: codec.clone(),
            level: *level,
            name: name.clone(),
        };
        SavedNames { version: VERSION, names: self.0.iter().map(saved).collect() }
    }

    /// Reads names from a state.
    ///
    /// # Errors
    ///
    /// Fails with a sentence for the editor if the text is not what [`Self::saved`] gives.
    pub fn read(text: &str) -> Result<Self, String> {
        let damaged =
            || "The saved names of levels cannot be read: the project is damaged.".to_owned();
        let saved: SavedNames = serde_json::from_str(text).map_err(|_| damaged())?;
        if saved.version > VERSION {
            return Err("A newer Distill saved this project. Update Distill to open it.".to_owned());
        }
        Self::of(saved).ok_or_else(damaged)
    }

    /// The names of a project; none if they make no sense.
    #[must_use]
    pub fn of(saved: SavedNames) -> Option<Self> {
        let mut names = Self::default();
        for SavedName { codec, level, name } in saved.names {
            let is_new = names.get(&codec, level).is_none();
            (is_new && names.set(&codec, level, Some(&name))).then_some(())?;
        }
        Some(names)
    }
}

/// Whether a level can be called that.
fn is_name(name: &str) -> bool {
    name == plain(name) && !name.is_empty()
}

/// What of a text that was typed is a name: without control characters and outer spaces, and not too
/// long. May be empty.
#[must_use]
pub fn plain(typed: &str) -> String {
    let visible: String = typed.chars().filter(|c| !c.is_control()).collect();
    let short: String = visible.trim().chars().take(MAX_NAME).collect();
    short.trim_end().to_owned()
}

/// The names of an instance. Not for the audio thread.
#[derive(Debug, Default)]
pub struct Naming(Mutex<LevelNames>);

impl Naming {
    /// As [`LevelNames::get`].
    #[must_use]
    pub fn get(&self, codec: &str, level: usize) -> Option<String> {
        self.lock().get(codec, level).map(str::to_owned)
    }

    /// As [`LevelNames::set`].
    pub fn set(&self, codec: &str, level: usize, name: Option<&str>) -> bool {
        self.lock().set(codec, level, name)
    }

    fn lock(&self) -> MutexGuard<'_, LevelNames> {
        // A name is put in whole, so they are sound even after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of an instance: a part of its state that is no parameter.
#[derive(Debug)]
pub struct NameState(pub Arc<Instance>);

impl PersistentField<'_, SavedNames> for NameState {
    fn set(&self, saved: SavedNames) {
        // What cannot be read has been refused before; see `state::filter`.
        if let Some(names) = LevelNames::of(saved) {
            *self.0.naming().lock() = names;
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&SavedNames) -> R,
    {
        f(&self.0.naming().lock().saved())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec() -> String {
        "0f".repeat(32)
    }

    #[test]
    fn names_survive_saving_and_loading_and_belong_to_their_codec() {
        let mut names = LevelNames::default();
        assert!(names.set(&codec(), 0, Some("Stroke \u{1f941}")));
        assert!(names.set(&codec(), MAX_LEVELS - 1, Some("Hiss")));
        let text = serde_json::to_string(&names.saved()).expect("texts and numbers are JSON");
        assert_eq!(LevelNames::read(&text), Ok(names.clone()));
        assert_eq!(names.get(&codec(), 0), Some("Stroke \u{1f941}"));
        assert_eq!(names.get(&"ab".repeat(32), 0), None);
        assert!(names.set(&codec(), 0, None) && names.get(&codec(), 0).is_none());
    }

    #[test]
    fn names_that_make_no_sense_are_refused() {
        let mut good = LevelNames::default();
        good.set(&codec(), 3, Some("Hiss"));
        let good = serde_json::to_value(good.saved()).expect("JSON");
        for (key, value) in [
            ("codec", serde_json::json!("../etc")),
            ("codec", serde_json::json!("")),
            ("level", serde_json::json!(MAX_LEVELS)),
            ("level", serde_json::json!(-1)),
            ("name", serde_json::json!("")),
            ("name", serde_json::json!(" Hiss")),
            ("name", serde_json::json!("a\u{7}b")),
            ("name", serde_json::json!("a\nb")),
            ("name", serde_json::json!("x".repeat(MAX_NAME + 1))),
        ] {
            let mut bad = good.clone();
            bad["names"][0][key] = value.clone();
            assert!(LevelNames::read(&bad.to_string()).is_err(), "{key} {value}");
        }
        let twice = serde_json::json!([good["names"][0], good["names"][0]]);
        let twice = serde_json::json!({ "version": 1, "names": twice });
        assert!(LevelNames::read(&twice.to_string()).is_err());
        let newer = LevelNames::read(r#"{"version":2,"names":[]}"#);
        assert!(newer.is_err_and(|e| e.contains("newer")));
        assert!(LevelNames::read(&good.to_string()).is_ok());
    }

    #[test]
    fn there_are_never_too_many_names() {
        let mut names = LevelNames::default();
        let codec = |n: usize| format!("{n:064x}");
        assert!((0..MAX_NAMES).all(|n| names.set(&codec(n), 0, Some("a"))));
        assert!(!names.set(&codec(MAX_NAMES), 0, Some("a")));
        assert!(names.set(&codec(5), 0, Some("b")), "there is one already");
    }

    #[test]
    fn what_is_typed_becomes_a_name() {
        assert_eq!(plain(" Low\tend \n"), "Lowend");
        assert_eq!(plain(&format!("{} x", "y".repeat(MAX_NAME - 1))), "y".repeat(MAX_NAME - 1));
        assert_eq!(plain("  \u{7} "), "");
    }
}
