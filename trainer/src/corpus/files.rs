//! The files of a folder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A file that may be a recording.
#[derive(Debug, Clone)]
pub(super) struct SoundFile {
    pub(super) path: PathBuf,
    /// Its path inside the folder, with `/` between folders.
    pub(super) name: String,
    /// Why it cannot be one, if that is clear without opening it.
    pub(super) problem: Option<String>,
    /// Whether it, or the folder that it is, cannot be read now, and perhaps can be later.
    pub(super) is_unread: bool,
}

/// Endings of the formats that are decoded.
const ENDINGS: [&str; 12] =
    ["wav", "wave", "aif", "aiff", "aifc", "flac", "mp3", "ogg", "oga", "m4a", "mp4", "caf"];

/// Lists the files in `folder` and in the folders inside it, sorted by name. Links are followed,
/// into each folder once; what begins with a dot is left out.
pub(super) fn list(folder: &Path) -> Result<Vec<SoundFile>> {
    let metadata = fs::metadata(folder)
        .with_context(|| format!("cannot read the folder of recordings {}", folder.display()))?;
    ensure!(metadata.is_dir(), "{} is not a folder; give the folder that holds the recordings", {
        folder.display()
    });
    let mut files = Vec::new();
    let mut seen = HashSet::from_iter(folder.canonicalize());
    walk(folder, "", &mut seen, &mut files)
        .with_context(|| format!("cannot read the folder of recordings {}", folder.display()))?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Adds the files of `folder`, whose name inside the corpus is `prefix`.
fn walk(
    folder: &Path,
    prefix: &str,
    seen: &mut HashSet<PathBuf>,
    files: &mut Vec<SoundFile>,
) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    // In order of name: of two links to one folder the same one is followed every time.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let own_name = entry.file_name().to_string_lossy().into_owned();
        if own_name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{own_name}");
        let mut is_unread = false;
        let mut unreadable = |error| {
            is_unread = true;
            Some(format!("it cannot be read: {error}"))
        };
        let problem = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                let new = path.canonicalize().is_ok_and(|folder| seen.insert(folder));
                let prefix = format!("{name}/");
                match if new { walk(&path, &prefix, seen, files) } else { Ok(()) } {
                    Ok(()) => continue,
                    Err(error) => unreadable(error),
                }
            }
            Ok(metadata) if metadata.is_file() => unknown_format(&path),
            Ok(_) => Some("it is not a file".to_owned()),
            Err(error) => unreadable(error),
        };
        files.push(SoundFile { path, name, problem, is_unread });
    }
    Ok(())
}

/// Why a file is not opened, going by its ending.
fn unknown_format(path: &Path) -> Option<String> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    (!ENDINGS.contains(&ending.as_str())).then(|| match ending.as_str() {
        "opus" | "wma" | "ac3" | "ape" | "wv" => {
            format!("{ending} files are not supported; convert it to FLAC or WAV")
        }
        _ => "it is not a sound file".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        list(folder).unwrap().into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn folders_are_searched_in_order_of_name_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        for name in ["z.wav", "a.flac", "b/c/m.wav", "b/._m.wav", ".hidden.wav", ".git/x.wav"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(names(folder.path()), ["a.flac", "b/c/m.wav", "z.wav"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_run_in_a_circle_are_followed_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/x.wav"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/up")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("b"), folder.path().join("c")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("d.wav")).unwrap();
        assert_eq!(names(folder.path()), ["b/x.wav", "d.wav"]);
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("take.wav");
        fs::write(&file, "").unwrap();
        let message = |path: &Path| format!("{:#}", list(path).err().unwrap());
        assert!(message(&file).contains("take.wav is not a folder"));
        assert!(message(&folder.path().join("missing")).contains("missing"));
    }

    #[test]
    fn what_is_no_sound_file_is_told_by_its_ending() {
        let problem = |name| unknown_format(Path::new(name));
        assert_eq!(problem("x.WAV"), None);
        assert!(problem("LICENCE").unwrap().contains("not a sound file"));
        assert!(problem("notes.txt").unwrap().contains("not a sound file"));
        assert!(problem("voice.opus").unwrap().contains("convert"));
    }
}
