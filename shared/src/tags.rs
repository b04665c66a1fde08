//! Tags: words that a musician gives bundles, to find them by.
//!
//! Those of a folder are in `tags.json` beside its bundles, by the names of their files. They are not in
//! the bundles: projects know these by their content, which therefore never changes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use crate::bundle::write_atomically;
use crate::library::LibraryError;
use crate::whole_file::{ReadError, read_whole};

/// The name of the file.
pub const FILE: &str = "tags.json";
/// Most tags of a bundle.
pub const MAX_TAGS: usize = 16;
/// Most letters of a tag.
pub const MAX_LETTERS: usize = 40;
/// Most bytes of a file of tags: a thousand bundles with as many as they may have, of the longest letters.
const MAX_BYTES: usize = 4 << 20;

/// The tags of all bundles in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(BTreeMap<String, Vec<String>>);

impl Tags {
    /// Reads those of `folder`; none if nobody gave any.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or holds something else.
    pub fn read(folder: &Path) -> Result<Self, LibraryError> {
        let path = folder.join(FILE);
        let bytes = match read_whole(&path, MAX_BYTES) {
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            read => read.ok(),
        };
        bytes.and_then(|bytes| Self::of_bytes(&bytes)).ok_or(LibraryError::Tags(path))
    }

    /// The tags in a file of them; nothing if it holds something else. What is no tag is left out.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut tags: BTreeMap<String, Vec<String>> = serde_json::from_slice(bytes).ok()?;
        for tags in tags.values_mut() {
            tags.retain(|tag| is_tag(tag));
            tags.truncate(MAX_TAGS);
        }
        Some(Self(tags))
    }

    /// The file that holds them: JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(&self.0).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Those of the bundle at `path`, in the order that they were given.
    #[must_use]
    pub fn of(&self, path: &Path) -> &[String] {
        path.file_name()
            .and_then(OsStr::to_str)
            .and_then(|name| self.0.get(name))
            .map_or(&[], |v| v)
    }

    fn write(&self, folder: &Path) -> Result<(), LibraryError> {
        let (path, bytes) = (folder.join(FILE), self.to_bytes());
        if bytes.len() > MAX_BYTES {
            let error = io::Error::other("it holds as many tags as it can");
            return Err(LibraryError::System { path, error });
        }
        write_atomically(&path, &bytes)
            .map_err(|error| LibraryError::System { path, error: io::Error::other(error) })
    }
}

/// The tags in `text`, between blanks or commas, with `#` before them or without; each once.
///
/// # Errors
///
/// Fails if one is longer than [`MAX_LETTERS`] or has other signs than letters, digits and `-_+&'`, or if
/// there are more than [`MAX_TAGS`].
pub fn parse(text: &str) -> Result<Vec<String>, LibraryError> {
    let mut tags: Vec<String> = Vec::new();
    for word in text.split(|c: char| c == ',' || c.is_whitespace()) {
        let word = word.trim_start_matches('#');
        if word.is_empty() || tags.iter().any(|tag| tag.to_lowercase() == word.to_lowercase()) {
            continue;
        }
        if !is_tag(word) || tags.len() == MAX_TAGS {
            return Err(LibraryError::Tag(word.to_owned()));
        }
        tags.push(word.to_owned());
    }
    Ok(tags)
}

/// Tags as they are shown, typed and searched: `#soft #felt`.
#[must_use]
pub fn shown(tags: &[String]) -> String {
    tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(" ")
}

/// Gives the bundle at `path` these tags in place of those that it has; `parse` makes them.
///
/// # Errors
///
/// Fails if the file of tags holds something else, or the system refuses.
pub fn set(path: &Path, tags: Vec<String>) -> Result<(), LibraryError> {
    change(path, |all, name| {
        let before = all.remove(&name);
        let has_changed = before.unwrap_or_default() != tags;
        if !tags.is_empty() {
            all.insert(name, tags);
        }
        has_changed
    })
}

/// The file of a bundle has another name now, or, with none, is gone.
pub(crate) fn follow(path: &Path, new: Option<&Path>) -> Result<(), LibraryError> {
    let new = new.and_then(|new| new.file_name()).and_then(OsStr::to_str);
    change(path, |all, name| {
        let Some(tags) = all.remove(&name) else { return false };
        new.map(|new| all.insert(new.to_owned(), tags));
        true
    })
}

/// Changes the tags of a folder, and writes them if `edit` says that it did.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut BTreeMap<String, Vec<String>>, String) -> bool,
) -> Result<(), LibraryError> {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return Ok(()) };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut tags = Tags::read(folder)?;
    if edit(&mut tags.0, name.to_owned()) { tags.write(folder) } else { Ok(()) }
}

/// Whether `word` is a tag: nothing in it could upset a terminal or a list.
fn is_tag(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_+&'".contains(c);
    !word.is_empty() && word.chars().count() <= MAX_LETTERS && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::library;

    fn words(text: &str) -> Vec<String> {
        parse(text).expect("tags")
    }

    #[test]
    fn tags_are_words() {
        assert_eq!(words(" #soft, Felt  soft,,drum&bass\t"), ["soft", "Felt", "drum&bass"]);
        assert!(words("# ,").is_empty());
        for wrong in ["a/b", "a\u{202e}b", &"x".repeat(MAX_LETTERS + 1)] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let many: Vec<String> = (0..=MAX_TAGS).map(|n| n.to_string()).collect();
        assert!(parse(&many.join(" ")).is_err());
        assert_eq!(words(&many[1..].join(" ")).len(), MAX_TAGS);
    }

    #[test]
    fn tags_stay_with_their_bundle() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, other] = ["a", "b"].map(|name| folder.path().join(format!("{name}.distill")));
        fs::write(&path, "").expect("a file");
        let read = || Tags::read(folder.path()).expect("tags");
        set(&path, words("soft felt")).expect("they are kept");
        assert_eq!(read().of(&path), ["soft", "felt"]);
        assert!(read().of(&other).is_empty());
        let new = library::rename(&path, "c").expect("it is renamed");
        assert_eq!((read().of(&path).len(), read().of(&new).len()), (0, 2));
        library::remove(&new).expect("it is removed");
        assert_eq!(read(), Tags::default());
    }

    #[test]
    fn what_is_no_file_of_tags_is_told_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        for wrong in ["", "[]", "{\"a.distill\": 3}"] {
            fs::write(&file, wrong).expect("a file");
            let error =
                set(&folder.path().join("a.distill"), words("soft")).expect_err("it is none");
            assert!(error.to_string().contains(FILE), "{error}");
            assert_eq!(fs::read_to_string(&file).expect("the file"), wrong);
        }
        fs::write(&file, r#"{"a.distill": ["\u001b[2J", "soft"]}"#).expect("a file");
        let tags = Tags::read(folder.path()).expect("tags");
        assert_eq!(tags.of(Path::new("a.distill")), ["soft"], "nothing else is a tag");
    }

    #[test]
    fn tags_that_could_not_be_read_again_are_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let many = |bundles: usize| {
            let tags = (0..MAX_TAGS).map(|_| "雨".repeat(MAX_LETTERS)).collect::<Vec<_>>();
            Tags((0..bundles).map(|n| (format!("{n}.distill"), tags.clone())).collect())
        };
        many(1000).write(folder.path()).expect("as many as there may be");
        assert_eq!(Tags::read(folder.path()).expect("tags"), many(1000));
        let error = many(10_000).write(folder.path()).expect_err("too many").to_string();
        assert!(error.contains("as many tags as it can"), "{error}");
        assert_eq!(Tags::read(folder.path()).expect("tags"), many(1000));
    }
}
