//! `distill library`.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use clap::{Args, Subcommand, ValueEnum};
use distill_shared::bundle::Bundle;
use distill_shared::library::{self, Content, Entry, Order};
use distill_shared::preset::{self, Preset, PresetEntry};
use distill_shared::tags;
use serde_json::{Value, json};

use super::exit::Ending;
use super::output::{print, print_json};
use crate::stop::Usage;

/// Lists, adds, tags, renames and removes bundles, and lists presets
#[derive(Debug, Args)]
pub(super) struct LibraryArgs {
    #[command(subcommand)]
    command: Option<LibraryCommand>,
    /// The folder; without, the one that DISTILL_FOLDER names, or Distill in the home folder
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    /// Only those with all of these words in name, path, tags or kinds of sound
    #[arg(long, value_name = "WORDS", default_value = "")]
    search: String,
    /// Which come first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum LibraryCommand {
    /// Copies bundles and presets into the library
    Add {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Renames a bundle; the name is without .distill
    Rename {
        /// Its name in the library, or its file with a folder before it
        bundle: PathBuf,
        /// Its new name
        name: String,
    },
    /// Gives a bundle words to be found by, in place of those that it has; none takes them away
    Tag {
        /// Its name in the library, or its file with a folder before it
        bundle: PathBuf,
        /// Letters and digits, with # before them or without
        #[arg(value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Deletes a bundle for good
    Remove {
        /// Its name in the library, or its file with a folder before it
        bundle: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Sort {
    #[default]
    Name,
    Newest,
    Longest,
    Largest,
}

impl LibraryArgs {
    pub(super) fn run(self) -> Result<Ending> {
        match &self.command {
            Some(LibraryCommand::Add { files }) => {
                let folder = self.folder()?;
                for file in files {
                    // What is damaged should be found out now, and not on a stage.
                    match library::ending_of(file) {
                        Some(library::ENDING) => drop(Bundle::open(file)?),
                        Some(_) => drop(Preset::read(file)?),
                        None => {}
                    }
                    print(&library::add(file, &folder)?.display().to_string())?;
                }
            }
            Some(LibraryCommand::Rename { bundle, name }) => {
                let bundle = self.find(bundle)?;
                print(&library::rename(&bundle, name)?.display().to_string())?;
            }
            Some(LibraryCommand::Tag { bundle, tags }) => {
                let bundle = &self.find(bundle)?;
                ensure!(bundle.is_file(), "{} is not a file", bundle.display());
                let tags = tags::parse(&tags.join(" "))?;
                let shown = tags::shown(&tags);
                tags::set(bundle, tags)?;
                print(&shown)?;
            }
            Some(LibraryCommand::Remove { bundle, yes }) => {
                let bundle = &self.find(bundle)?;
                let shown = bundle.display();
                let sure = format!("{shown} is deleted for good with --yes, and was not without");
                ensure!(*yes, Usage(sure));
                library::remove(bundle)?;
            }
            None => self.list()?,
        }
        Ok(Ending::Done)
    }

    /// The file of a bundle or a preset that is named: by a name alone, one in the library.
    fn find(&self, named: &Path) -> Result<PathBuf> {
        let is_name = named.parent().is_some_and(|folder| folder.as_os_str().is_empty());
        if !is_name {
            return Ok(named.to_owned());
        }
        let folder = self.folder()?;
        let with_ending = |ending| named.with_added_extension(ending);
        let names = [named.to_owned(), with_ending(library::ENDING), with_ending(preset::ENDING)];
        let mut files = names.iter().map(|name| folder.join(name));
        let found = files.find(|file| file.is_file() && library::ending_of(file).is_some());
        let (shown, folder) = (named.display(), folder.display());
        found.ok_or_else(|| {
            let problem = format!("{shown} is not in the library {folder}");
            anyhow!("{problem}; a file elsewhere is named with its folder, as ./{shown}")
        })
    }

    fn folder(&self) -> Result<PathBuf> {
        let folder = self.folder.clone().or_else(library::folder);
        folder.ok_or_else(|| Usage("there is no home folder: say --folder".to_owned()).into())
    }

    fn list(&self) -> Result<()> {
        let folder = self.folder()?;
        // The usual one need not have been made yet.
        let is_missing = self.folder.is_some() && !folder.is_dir();
        ensure!(!is_missing, "{} is not a folder", folder.display());
        let mut entries = library::list(std::slice::from_ref(&folder));
        entries.retain(|entry| entry.has(&self.search));
        library::sort(&mut entries, self.sort.into());
        let mut presets = preset::list(&folder);
        presets.retain(|preset| has(preset, &self.search));
        if self.json {
            let bundles: Vec<Value> = entries.iter().map(object).collect();
            let presets: Vec<Value> = presets.iter().map(preset_object).collect();
            let folder = folder.to_string_lossy();
            return print_json(
                &json!({ "folder": folder, "bundles": bundles, "presets": presets }),
            );
        }
        if entries.is_empty() {
            let is_any = self.search.trim().is_empty();
            let what = if is_any { "no bundle" } else { "no bundle of these words" };
            eprintln!("{what} is in {}", folder.display());
        }
        entries.iter().try_for_each(|entry| print(&line(entry)))?;
        presets.iter().try_for_each(|preset| print(&preset_line(preset)))
    }
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Name => Self::Name,
            Sort::Newest => Self::Newest,
            Sort::Longest => Self::Longest,
            Sort::Largest => Self::Largest,
        }
    }
}

/// An entry in a line.
fn line(entry: &Entry) -> String {
    let (name, path) = (&entry.name, entry.path.display());
    match &entry.content {
        Ok(Content { created, files, seconds, .. }) => {
            // It comes from the file: anything but a date could upset a terminal.
            let is_date = |day: &&str| day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            let day = created.get(..10).filter(is_date).unwrap_or_default();
            let megabytes = entry.bytes as f64 / 1e6;
            let tags = tags::shown(&entry.tags);
            let tags = if tags.is_empty() { tags } else { format!("  {tags}") };
            format!(
                "{name:<24} {files:>5} files {seconds:>7.0} s {megabytes:>6.1} MB  {day}  {path}{tags}"
            )
        }
        Err(problem) => format!("{name:<24} cannot be read: {problem}  {path}"),
    }
}

/// An entry as JSON.
fn object(entry: &Entry) -> Value {
    let Entry { path, name, bytes, tags, content } = entry;
    let content = match content {
        Err(problem) => json!({ "problem": problem }),
        Ok(content) => {
            let Content {
                digest,
                title,
                created,
                files,
                seconds,
                channels,
                sample_rate,
                classes,
                has_prior,
            } = content;
            json!({
                "digest": digest, "title": title, "created": created, "files": files, "seconds": seconds,
                "channels": channels, "sample_rate": sample_rate, "classes": classes, "has_prior": has_prior,
            })
        }
    };
    json!({
        "name": name, "path": path.to_string_lossy(), "bytes": bytes, "tags": tags, "content": content,
    })
}

/// Whether every word of `words` is in the path of a preset or the name of its bundle.
fn has(entry: &PresetEntry, words: &str) -> bool {
    let bundle = entry.content.as_ref().map_or("", |preset| &preset.bundle.name);
    let text = format!("{} {bundle}", entry.path.display()).to_lowercase();
    words.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// A preset in a line.
fn preset_line(entry: &PresetEntry) -> String {
    let (name, path) = (entry.name(), entry.path.display());
    match &entry.content {
        Ok(preset) => format!("{name:<24} preset for {}  {path}", preset.bundle.name),
        Err(problem) => format!("{name:<24} cannot be read: {problem}"),
    }
}

/// A preset as JSON.
fn preset_object(entry: &PresetEntry) -> Value {
    let content = match &entry.content {
        Ok(preset) => json!({ "bundle": preset.bundle.name, "digest": preset.bundle.digest }),
        Err(problem) => json!({ "problem": problem }),
    };
    json!({ "name": entry.name(), "path": entry.path.to_string_lossy(), "content": content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_is_none_is_left_out() {
        let listed = |created: &str| {
            let content = Content {
                digest: "0f".to_owned(),
                title: String::new(),
                created: created.to_owned(),
                files: 1,
                seconds: 1.0,
                channels: 1,
                sample_rate: 48_000,
                classes: Vec::new(),
                has_prior: true,
            };
            let entry = Entry {
                path: "a".into(),
                name: "a".into(),
                bytes: 1,
                tags: Vec::new(),
                content: Ok(content),
            };
            line(&entry)
        };
        assert!(listed("2026-11-28T12:00:00Z").contains("  2026-11-28  "));
        assert!(!listed("\u{1b}[2J\u{1b}[31mred").contains('\u{1b}'));
    }
}
