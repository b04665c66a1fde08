//! Presets: the settings of an instrument, in a small file that musicians share.
//!
//! A preset is a JSON object in a file `NAME.distill-preset` in the [library]:
//!
//! ```json
//! {
//!   "version": 1,
//!   "name": "Soft bells",
//!   "bundle": { "digest": "0f…", "name": "Bells" },
//!   "values": { "temp": 0.8, "seed": 7, "anew": false }
//! }
//! ```
//!
//! It names the bundle that it was made for, and holds none of it. Members that are not known are
//! ignored, and so are values of parameters that an instrument does not have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bundle::{WriteError, is_digest, write_atomically};
use crate::library::{self, LibraryError};
use crate::whole_file::{ReadError, read_whole};

/// Version of presets that is written; every version up to it is read.
pub const VERSION: u32 = 1;
/// The ending of presets.
pub const ENDING: &str = "distill-preset";
/// Bytes of the longest preset that is read.
pub const MAX_BYTES: usize = 1 << 16;
/// Letters of the longest name, of a preset or a bundle.
pub const MAX_NAME: usize = 200;
/// Presets of a folder that are looked into.
const MAX_PRESETS: usize = 1000;

/// Settings of an instrument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// [`VERSION`].
    pub version: u32,
    /// What the musician calls it.
    pub name: String,
    /// What it was made for.
    pub bundle: MadeFor,
    /// Values of parameters in their own units, by the names under which projects save them.
    pub values: BTreeMap<String, Value>,
}

/// What is read first of a preset: the rest of a later version may be anything.
#[derive(Deserialize)]
struct Age {
    version: u32,
}

/// The bundle that a preset was made for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MadeFor {
    /// Its digest, 64 hexadecimal digits; empty if that was not known.
    pub digest: String,
    /// What it was called.
    pub name: String,
}

/// Why a preset cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// It cannot be read.
    #[error("{path} {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why: a clause.
        error: ReadError,
    },
    /// It holds something else, or is damaged.
    #[error("{path} is no preset, or is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It is of a later version.
    #[error("a newer Distill saved {0}: update Distill to load it")]
    Newer(PathBuf),
    /// Its name is none, or taken.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Preset {
    /// Reads the preset at `path`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is no preset.
    pub fn read(path: &Path) -> Result<Self, PresetError> {
        let failed = |error| PresetError::Read { path: path.to_owned(), error };
        Self::of_bytes(&read_whole(path, MAX_BYTES).map_err(failed)?, path)
    }

    /// The preset in the bytes of a file, which errors call `path`.
    ///
    /// # Errors
    ///
    /// Fails if they are no preset.
    pub fn of_bytes(bytes: &[u8], path: &Path) -> Result<Self, PresetError> {
        let damaged = |what: String| PresetError::Damaged { path: path.to_owned(), what };
        let Age { version } =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if version > VERSION {
            return Err(PresetError::Newer(path.to_owned()));
        }
        let preset: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        preset.check().map_err(|what| damaged(what.to_owned()))?;
        Ok(preset)
    }

    /// Whether it makes sense; says what does not.
    fn check(&self) -> Result<(), &'static str> {
        let is_text =
            |text: &str| text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control);
        let MadeFor { digest, name } = &self.bundle;
        if self.name.is_empty() || !is_text(&self.name) {
            Err("its name is none")
        } else if !is_text(name) || !(digest.is_empty() || is_digest(digest)) {
            Err("the bundle that it was made for is none")
        } else {
            Ok(())
        }
    }

    /// Writes the preset into `folder`, which is made if need be, under its name; never over another
    /// file. Returns its path.
    ///
    /// # Errors
    ///
    /// Fails if its name is none for a file or is taken, or if the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, PresetError> {
        // What is saved can be read again.
        self.check().map_err(|_| LibraryError::Name(self.name.clone()))?;
        let path = folder.join(format!("{}.{ENDING}", library::file_name(&self.name)?));
        if path.exists() {
            return Err(LibraryError::Exists(path).into());
        }
        std::fs::create_dir_all(folder)
            .map_err(|error| LibraryError::System { path: folder.to_owned(), error })?;
        self.write(&path)?;
        Ok(path)
    }

    /// Renames the preset at `path`, the file and what it says; never over another file. Returns its
    /// new path.
    ///
    /// # Errors
    ///
    /// Fails if it is no preset, if `name` is none for a file or is taken, or if the system refuses.
    pub fn rename(path: &Path, name: &str) -> Result<PathBuf, PresetError> {
        let mut preset = Self::read(path)?;
        library::file_name(name)?.clone_into(&mut preset.name);
        preset.check().map_err(|_| LibraryError::Name(preset.name.clone()))?;
        let new = library::rename(path, name)?;
        preset.write(&new)?;
        Ok(new)
    }

    fn write(&self, path: &Path) -> Result<(), PresetError> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        Ok(write_atomically(path, text.as_bytes())?)
    }
}

/// A preset in the library.
#[derive(Debug, Clone, PartialEq)]
pub struct PresetEntry {
    /// Its file.
    pub path: PathBuf,
    /// What it holds, or why it cannot be read: a sentence.
    pub content: Result<Preset, String>,
}

impl PresetEntry {
    /// What it is called: as its file is, without the ending.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The presets in `folder`, sorted by their names, whatever their case; none if it cannot be read.
#[must_use]
pub fn list(folder: &Path) -> Vec<PresetEntry> {
    let mut entries: Vec<PresetEntry> = library::files_in(folder, ENDING, MAX_PRESETS)
        .into_iter()
        .map(|path| {
            let content = Preset::read(&path).map_err(|error| error.to_string());
            PresetEntry { path, content }
        })
        .collect();
    entries.sort_by_key(|entry| (entry.name().to_lowercase(), entry.path.clone()));
    entries
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn preset() -> Preset {
        let bundle = MadeFor { digest: "0f".repeat(32), name: "Bells".to_owned() };
        let values = [("temp", Value::from(0.8)), ("anew", Value::from(true))];
        let values = values.map(|(id, value)| (id.to_owned(), value)).into();
        Preset { version: VERSION, name: "Soft \u{1f514}".to_owned(), bundle, values }
    }

    #[test]
    fn presets_are_saved_listed_renamed_and_never_replaced() {
        let home = tempfile::tempdir().expect("a folder can be made");
        let folder = home.path().join("new");
        let path = preset().save(&folder).expect("it can be written");
        assert!(matches!(
            preset().save(&folder),
            Err(PresetError::Library(LibraryError::Exists(_)))
        ));
        assert_eq!(Preset::read(&path).expect("it was written"), preset());
        let other = Preset { name: "air".to_owned(), ..preset() };
        other.save(&folder).expect("it can be written");
        assert!(Preset::rename(&path, "air").is_err(), "that is taken");
        assert!(Preset::rename(&path, "a/b").is_err(), "that is no name");
        assert_eq!(Preset::read(&path).expect("it is as it was"), preset());
        // Presets have no tags, so those of bundles do not matter.
        std::fs::write(path.with_file_name(crate::tags::FILE), "damaged").expect("a file");
        let path = Preset::rename(&path, "Zinc").expect("that is free");
        assert_eq!(Preset::read(&path).expect("it was renamed").name, "Zinc");
        let names = |folder: &Path| list(folder).iter().map(PresetEntry::name).collect::<Vec<_>>();
        assert_eq!(names(&folder), ["air", "Zinc"]);
        library::remove(&path).expect("it is there");
        assert_eq!(names(&folder), ["air"]);
        assert!(list(&home.path().join("none")).is_empty());
    }

    #[test]
    fn what_is_no_preset_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("a.distill-preset");
        let refused = |text: &str| {
            fs::write(&path, text).expect("it can be written");
            Preset::read(&path).expect_err("it is none").to_string()
        };
        let good = serde_json::to_value(preset()).expect("JSON");
        let with = |key: &str, value: Value| {
            let mut bad = good.clone();
            bad[key] = value;
            bad.to_string()
        };
        assert!(refused("").contains("is no preset, or is damaged"));
        assert!(refused(&"[".repeat(60_000)).contains("damaged"));
        assert!(refused(&" ".repeat(1 << 17)).contains("too large for such a file"));
        assert!(refused(&with("version", 2.into())).contains("newer Distill"));
        assert!(refused(&with("name", "".into())).contains("its name"));
        assert!(refused(&with("name", "a\u{7}".into())).contains("its name"));
        assert!(refused(&with("name", "x".repeat(MAX_NAME + 1).into())).contains("its name"));
        let foreign = serde_json::json!({ "digest": "../etc", "name": "" });
        assert!(refused(&with("bundle", foreign)).contains("the bundle"));
        let infinite = good.to_string().replace("0.8", "1e999");
        assert!(refused(&infinite).contains("damaged"));
        assert!(refused(&good.to_string().replace("0.8", "NaN")).contains("damaged"));
        fs::write(&path, with("colour", "red".into())).expect("it can be written");
        assert_eq!(Preset::read(&path).expect("more is ignored"), preset());
    }

    #[test]
    fn every_prefix_and_every_turned_bit_is_a_preset_or_refused() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("a.distill-preset");
        let good = serde_json::to_vec_pretty(&preset()).expect("JSON");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("it can be written");
            Preset::read(&path)
        };
        assert!((0..good.len()).all(|end| read(&good[..end]).is_err()), "a part is none");
        for bit in 0..8 * good.len() {
            let mut turned = good.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            if let Ok(preset) = read(&turned) {
                assert!(preset.check().is_ok() && preset.version <= VERSION);
            }
        }
    }
}
