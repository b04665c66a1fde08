//! `distill library`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use distill_shared::library::{self, Content, Entry, Order};
use distill_shared::preset::{self, PresetEntry};
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
        /// The file
        bundle: PathBuf,
        /// Its new name
        name: String,
    },
    /// Gives a bundle words to be found by, in place of those that it has; none takes them away
    Tag {
        /// The file
        bundle: PathBuf,
        /// Letters and digits, with # before them or without
        #[arg(value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Deletes a bundle for good
    Remove {
        /// The file
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
                    print(&library::add(file, &folder)?.display().to_string())?;
                }
            }
            Some(LibraryCommand::Rename { bundle, name }) => {
                print(&library::rename(bundle, name)?.display().to_string())?;
            }
            Some(LibraryCommand::Tag { bundle, tags }) => {
                ensure!(bundle.is_file(), "{} is not a file", bundle.display());
                let tags = tags::parse(&tags.join(" "))?;
                let shown = tags::shown(&tags);
                tags::set(bundle, tags)?;
                print(&shown)?;
            }
            Some(LibraryCommand::Remove { bundle, yes }) => {
                let shown = bundle.display();
                let sure = format!("{shown} is deleted for good with --yes, and was not without");
                ensure!(*yes, Usage(sure));
                library::remove(bundle)?;
            }
            None => self.list()?,
        }
        Ok(Ending::Done)
    }

    fn folder(&self) -> Result<PathBuf> {
        let folder = self.folder.clone().or_else(library::folder);
        folder.ok_or_else(|| Usage("there is no home folder: say --folder".to_owned()).into())
    }

    fn list(&self) -> Result<()> {
        let folder = self.folder()?;
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
            eprintln!("no bundle is in {}", folder.display());
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
                "title": title, "created": created, "files": files, "seconds": seconds, "channels": channels,
                "sample_rate": sample_rate, "classes": classes, "has_prior": has_prior,
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
