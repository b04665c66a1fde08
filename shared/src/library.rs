//! The library: bundles in folders, found, searched, sorted, added, renamed and removed, and the files of
//! [presets](crate::preset) and [tags] beside them.
//!
//! Editor and command line share it. It reads every bundle whole, since only then it is known to play,
//! so it takes some hundredths of a second for each: not for the audio thread or a window's.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, MAX_BYTES, Replacement};
use crate::preset;
use crate::tags::{self, MAX_LETTERS, MAX_TAGS, Tags};
use crate::whole_file::is_same_file;

/// The ending of bundles.
pub const ENDING: &str = "distill";
/// Bundles of a folder that are looked into.
const MAX_BUNDLES: usize = 1000;

/// A bundle in the library.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its file.
    pub path: PathBuf,
    /// Name of its file, without the ending: what renaming changes.
    pub name: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// The words that it was given, to be found by.
    pub tags: Vec<String>,
    /// What it holds, or why it cannot be read: a sentence.
    pub content: Result<Content, String>,
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Which model it is: see [`Bundle::digest`].
    pub digest: String,
    /// The name on its card, which it was trained under; may be empty.
    pub title: String,
    /// When it was made, as an RFC 3339 date and time.
    pub created: String,
    /// Recordings it was trained on.
    pub files: usize,
    /// Length of all recordings in seconds.
    pub seconds: f64,
    /// 1 or 2.
    pub channels: usize,
    /// Samples per second.
    pub sample_rate: u32,
    /// The folders that became classes.
    pub classes: Vec<String>,
    /// Whether it makes new sound, or only decodes.
    pub has_prior: bool,
}

/// How entries are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By name, from A to Z.
    #[default]
    Name,
    /// The newest first.
    Newest,
    /// The one of the longest recordings first.
    Longest,
    /// The largest file first.
    Largest,
}

/// Why a file of the library was not renamed or removed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The new name is no name of a file.
    #[error(
        "“{0}” is no name for a file: leave out / \\ : * ? \" < > and |, dots at both ends, and names that \
         Windows keeps for devices, as CON and COM1"
    )]
    Name(String),
    /// There is a file of that name.
    #[error("{0} is there already: choose another name")]
    Exists(PathBuf),
    /// It is neither bundle nor preset by its name, or no file, or too large for one.
    #[error("{0} is no .distill or .distill-preset file")]
    Foreign(PathBuf),
    /// A word is no tag, or one too many.
    #[error(
        "“{0}” is no tag, or one too many: there may be {MAX_TAGS}, of up to {MAX_LETTERS} letters, digits and - _ + & '"
    )]
    Tag(String),
    /// The file of tags holds something else.
    #[error("{0} does not hold tags, so none are kept: repair it, or delete it")]
    Tags(PathBuf),
    /// The system refused.
    #[error("{path} cannot be read or changed: {error}")]
    System {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Where a musician's bundles are: the folder that the environment names in `DISTILL_FOLDER`, or
/// `Distill` in the home folder.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("DISTILL_FOLDER").filter(|name| !name.is_empty());
    named.map(PathBuf::from).or_else(|| std::env::home_dir().map(|home| home.join("Distill")))
}

/// The bundles in `folders`, each file once, sorted by their paths.
#[must_use]
pub fn list(folders: &[PathBuf]) -> Vec<Entry> {
    let mut paths: Vec<PathBuf> = folders.iter().flat_map(|folder| bundles_in(folder)).collect();
    paths.sort();
    paths.dedup();
    let mut entries: Vec<Entry> = paths.into_iter().map(Entry::read).collect();
    for folder in folders {
        let tags = Tags::read(folder).unwrap_or_default();
        for entry in entries.iter_mut().filter(|entry| entry.path.parent() == Some(folder)) {
            entry.tags = tags.of(&entry.path).to_vec();
        }
    }
    entries
}

/// The files in a folder that are bundles by their names, sorted; none if it cannot be read.
#[must_use]
pub fn bundles_in(folder: &Path) -> Vec<PathBuf> {
    files_in(folder, ENDING, MAX_BUNDLES)
}

/// The files in a folder with that ending, `most` at most, sorted; none if it cannot be read.
pub(crate) fn files_in(folder: &Path, ending: &str, most: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> =
        paths.filter(|path| ending_of(path) == Some(ending)).take(most).collect();
    files.sort();
    files
}

/// The ending of a file of the library, [`ENDING`] or [`preset::ENDING`], by its name; none of others.
#[must_use]
pub fn ending_of(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?;
    [ENDING, preset::ENDING].into_iter().find(|ending| extension.eq_ignore_ascii_case(ending))
}

/// `name` as the name of a file, without an ending.
///
/// # Errors
///
/// Fails if it is none, on any system.
pub fn file_name(name: &str) -> Result<&str, LibraryError> {
    let name = name.trim();
    let is_plain = |c: char| !(c.is_control() || r#"/\:*?"<>|"#.contains(c));
    // Windows opens devices under these names, whatever follows a dot.
    let first = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_port = |port: &str| {
        let number = first.strip_prefix(port).unwrap_or_default();
        number.chars().count() == 1
            && number.chars().all(|c| c.is_ascii_digit() || "¹²³".contains(c))
    };
    let is_device =
        ["CON", "PRN", "AUX", "NUL"].contains(&first.as_str()) || is_port("COM") || is_port("LPT");
    let dots = name.starts_with('.') || name.ends_with('.');
    let is_name = !name.is_empty() && !dots && !is_device && name.chars().all(is_plain);
    if is_name { Ok(name) } else { Err(LibraryError::Name(name.to_owned())) }
}

impl Entry {
    /// Reads the bundle at `path`, without its tags.
    #[must_use]
    pub fn read(path: PathBuf) -> Self {
        let tags = Vec::new();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        match Bundle::open(&path) {
            Err(error) => Self { path, name: stem, bytes, tags, content: Err(error.to_string()) },
            Ok(bundle) => {
                let (card, codec) = (bundle.card(), &bundle.config().codec);
                let content = Content {
                    digest: bundle.digest().to_owned(),
                    title: card.name.clone(),
                    created: card.created.clone(),
                    files: card.corpus.files,
                    seconds: card.corpus.seconds,
                    channels: codec.channels,
                    sample_rate: codec.sample_rate,
                    classes: card.corpus.classes.clone(),
                    has_prior: bundle.has_prior(),
                };
                Self { path, name: stem, bytes, tags, content: Ok(content) }
            }
        }
    }

    /// Whether every word of `words` is in its path, its title, its tags or the names of its classes,
    /// whatever their case.
    #[must_use]
    pub fn has(&self, words: &str) -> bool {
        let told = self.content.as_ref().map_or_else(
            |_| String::new(),
            |content| format!("{} {}", content.title, content.classes.join(" ")),
        );
        let tags = tags::shown(&self.tags);
        let text = format!("{} {tags} {told}", self.path.display()).to_lowercase();
        words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

/// Sorts entries; those that cannot be read come last, and of equals the name decides.
pub fn sort(entries: &mut [Entry], order: Order) {
    let by_name = |entry: &Entry| (entry.name.to_lowercase(), entry.path.clone());
    entries.sort_by(|a, b| {
        let ranked = match (&a.content, &b.content) {
            (Ok(one), Ok(other)) => match order {
                Order::Name => std::cmp::Ordering::Equal,
                Order::Newest => other.created.cmp(&one.created),
                Order::Longest => other.seconds.total_cmp(&one.seconds),
                Order::Largest => b.bytes.cmp(&a.bytes),
            },
            (one, other) => one.is_err().cmp(&other.is_err()),
        };
        ranked.then_with(|| by_name(a).cmp(&by_name(b)))
    });
}

/// Copies the file of a bundle or a preset into `folder`, which is made if there is none. Returns its new
/// path; a file that lies there already stays as it is.
///
/// # Errors
///
/// Fails if it is none by its name, another file has its name there, or the system refuses; then nothing
/// is left of it.
pub fn add(path: &Path, folder: &Path) -> Result<PathBuf, LibraryError> {
    let foreign = || LibraryError::Foreign(path.to_owned());
    let name = path.file_name().filter(|_| ending_of(path).is_some()).ok_or_else(foreign)?;
    let new = folder.join(name);
    let system = |error| LibraryError::System { path: new.clone(), error };
    fs::create_dir_all(folder).map_err(system)?;
    let same = |path: &Path| path.canonicalize().ok();
    if new.exists() {
        let there = same(&new).is_some() && same(&new) == same(path);
        return if there { Ok(new) } else { Err(LibraryError::Exists(new)) };
    }
    // Asked before it is opened: a pipe would wait for a writer.
    let there = fs::metadata(path);
    let there = there.map_err(|error| LibraryError::System { path: path.to_owned(), error })?;
    let most = if ending_of(path) == Some(ENDING) { MAX_BYTES } else { preset::MAX_BYTES };
    if !there.is_file() || there.len() > most as u64 {
        return Err(foreign());
    }
    let mut source =
        File::open(path).map_err(|error| LibraryError::System { path: path.to_owned(), error })?;
    let replacement = Replacement::of(&new).map_err(|refused| system(refused.error))?;
    let mut copy = replacement.handle().map_err(|refused| system(refused.error))?;
    io::copy(&mut source, &mut copy).map_err(system)?;
    drop(copy);
    replacement.put_in_place().map_err(|refused| system(refused.error))?;
    Ok(new)
}

/// Renames the file of a bundle or a preset within its folder; `name` is without the ending. Returns its new path.
///
/// # Errors
///
/// Fails if `name` is none, there is such a file, or the system refuses. If only its tags could not be
/// kept, it is renamed all the same.
pub fn rename(path: &Path, name: &str) -> Result<PathBuf, LibraryError> {
    let name = file_name(name)?;
    let ending = ending_of(path).ok_or_else(|| LibraryError::Foreign(path.to_owned()))?;
    let new = path.with_file_name(format!("{name}.{ending}"));
    if new == path {
        return Ok(new);
    }
    // A hard link fails if its name is taken, so that nothing is ever replaced; not every file system
    // has them.
    let renamed = match fs::hard_link(path, &new) {
        Ok(()) => fs::remove_file(path),
        // Where letters have no case, another case of the same name. A link is another file.
        Err(_) if is_same_file(path, &new) && !path.is_symlink() && !new.is_symlink() => {
            fs::rename(path, &new)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || new.exists() => {
            return Err(LibraryError::Exists(new));
        }
        Err(_) => fs::rename(path, &new),
    };
    renamed.map_err(|error| LibraryError::System { path: path.to_owned(), error })?;
    if ending == ENDING {
        tags::follow(path, Some(&new))?;
    }
    Ok(new)
}

/// Deletes the file of a bundle or a preset.
///
/// # Errors
///
/// Fails if it is none by its name, or the system refuses. If only its tags could not be removed, it is
/// gone all the same.
pub fn remove(path: &Path) -> Result<(), LibraryError> {
    let ending = ending_of(path).ok_or_else(|| LibraryError::Foreign(path.to_owned()))?;
    fs::remove_file(path).map_err(|error| LibraryError::System { path: path.to_owned(), error })?;
    // Presets have no tags.
    if ending == ENDING { tags::follow(path, None) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, seconds: f64, created: &str) -> Entry {
        let content = Content {
            digest: String::new(),
            title: String::new(),
            created: created.to_owned(),
            files: 3,
            seconds,
            channels: 2,
            sample_rate: 48_000,
            classes: vec!["Felt Piano".to_owned()],
            has_prior: true,
        };
        let path = PathBuf::from(format!("/sounds/{name}.distill"));
        let tags = vec!["soft".to_owned()];
        Entry { path, name: name.to_owned(), bytes: 9, tags, content: Ok(content) }
    }

    #[test]
    fn entries_are_found_by_words_and_sorted() {
        let mut entries = [
            entry("bells", 9.0, "2026-02"),
            entry("Attic", 5.0, "2026-03"),
            entry("cave", 7.0, "2026-01"),
        ];
        entries[2].content = Err("it is cut off".to_owned());
        let names = |entries: &[Entry]| entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        for (order, sorted) in [
            (Order::Name, ["Attic", "bells", "cave"]),
            (Order::Newest, ["Attic", "bells", "cave"]),
            (Order::Longest, ["bells", "Attic", "cave"]),
            (Order::Largest, ["Attic", "bells", "cave"]),
        ] {
            sort(&mut entries, order);
            assert_eq!(names(&entries), sorted, "{order:?}");
        }
        let found = |words: &str| entries.iter().filter(|entry| entry.has(words)).count();
        assert_eq!(
            ["", "PIANO", "piano bell", "cave", "drum", "#soft"].map(found),
            [3, 2, 1, 1, 0, 3]
        );
    }

    #[test]
    fn files_are_added_and_never_replaced() {
        let home = tempfile::tempdir().expect("a folder can be made");
        let [outside, folder] = ["outside", "library"].map(|name| home.path().join(name));
        fs::create_dir(&outside).expect("it can be made");
        let one = outside.join("one.distill");
        fs::write(&one, b"one").expect("it can be written");
        let added = add(&one, &folder).expect("it is free");
        assert_eq!(added, folder.join("one.distill"));
        assert_eq!(fs::read(&added).expect("it is there"), b"one");
        assert_eq!(add(&added, &folder).expect("it is there already"), added);
        assert!(matches!(add(&one, &folder), Err(LibraryError::Exists(_))));
        assert!(matches!(add(&outside, &folder), Err(LibraryError::Foreign(_))));
        let gone = add(&outside.join("gone.distill"), &folder);
        assert!(matches!(gone, Err(LibraryError::System { .. })));
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1, "nothing is left over");
        assert!(one.exists(), "it is a copy");
        let loud = outside.join("LOUD.DISTILL");
        fs::write(&loud, b"loud").expect("it can be written");
        let loud = add(&loud, &folder).expect("letters of any size");
        assert!(bundles_in(&folder).contains(&loud));
    }

    #[test]
    fn files_are_renamed_and_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let [one, other] = ["one.distill", "other.distill"].map(|name| folder.path().join(name));
        fs::write(&one, b"one").expect("it can be written");
        fs::write(&other, b"other").expect("it can be written");
        assert!(matches!(rename(&one, "other"), Err(LibraryError::Exists(_))));
        let devices = ["con", "Com1", "LPT9.old", "COM\u{b2}"];
        for bad in ["", "..", "a/b", ".hidden", "a\nb"].into_iter().chain(devices) {
            assert!(matches!(rename(&one, bad), Err(LibraryError::Name(_))), "{bad}");
        }
        for good in ["Comb", "Comp", "COM10", "Lptx", "Console"] {
            assert_eq!(file_name(good).ok(), Some(good));
        }
        let new = rename(&one, " third ").expect("it is free");
        assert_eq!(fs::read(&new).expect("it is there"), b"one");
        assert_eq!(bundles_in(folder.path()), [other.clone(), new.clone()]);
        remove(&new).expect("it is there");
        assert!(!new.exists() && remove(&new).is_err());
        assert!(matches!(remove(folder.path()), Err(LibraryError::Foreign(_))));
        let entries = list(&[folder.path().to_owned(), folder.path().to_owned()]);
        assert_eq!(entries.len(), 1);
        assert!(entries[0].content.is_err() && entries[0].name == "other");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_added() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let pipe = folder.path().join("pipe.distill");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("there is such a command").success());
        let added = add(&pipe, &folder.path().join("Distill"));
        assert!(matches!(added, Err(LibraryError::Foreign(_))), "{added:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_never_takes_the_place_of_what_it_points_to() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let [mine, latest] =
            ["mine.distill", "latest.distill"].map(|name| folder.path().join(name));
        fs::write(&mine, b"mine").expect("it can be written");
        std::os::unix::fs::symlink("mine.distill", &latest).expect("it can be made");
        assert!(matches!(rename(&latest, "mine"), Err(LibraryError::Exists(_))));
        assert!(matches!(rename(&mine, "latest"), Err(LibraryError::Exists(_))));
        assert_eq!(fs::read(&mine).expect("it is there"), b"mine");
        assert!(latest.is_symlink());
    }
}
