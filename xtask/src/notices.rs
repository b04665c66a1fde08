//! What the licences of others ask for: one file that names all that the programs are made of, with its
//! licences. It goes with the packages, and `distill` comes from the same workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::program::{cargo, read, root};

/// What is shipped.
const PROGRAMS: [&str; 2] = ["distill-plugin", "distill-trainer"];
/// How names of files with licences begin.
const LICENCES: [&str; 6] = ["licen", "copying", "copyright", "notice", "unlicense", "ofl"];
/// Folders of a crate that have licences of what is not code.
const FOLDERS: [&str; 3] = ["", "fonts", "LICENSES"];
/// The ISC licence, for crates that name it and forgot to add it.
const ISC: &str = "\
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is \
hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE \
INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE \
FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS \
OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING \
OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
";

/// A crate that somebody else wrote.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    source: String,
    authors: String,
    folder: PathBuf,
}

/// Writes the notices to `path`.
///
/// # Errors
///
/// Fails if a crate names no licence, or has none that is known here.
pub(crate) fn write(path: &Path) -> Result<()> {
    let text = notices()?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// All notices.
pub(crate) fn notices() -> Result<String> {
    let packages = packages()?;
    ensure!(packages.len() > 100, "cargo names {} crates only", packages.len());
    let mut text = format!(
        "Distill is made of its own code (MIT or Apache-2.0), of the {} crates that are listed here, and of \
         sounds, which are listed in assets of its source. The licences of all crates follow the \
         list.\n\n",
        packages.len()
    );
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in &packages {
        let Package { name, version, licence, source, .. } = package;
        ensure!(!licence.is_empty(), "{name} {version} names no licence");
        writeln!(text, "{name} {version}: {licence}{source}")?;
        for licence in licences(package)? {
            users.entry(licence).or_default().push(format!("{name} {version}"));
        }
    }
    for (licence, users) in users {
        let rule = "-".repeat(80);
        writeln!(text, "\n{rule}\n{}\n{rule}\n{}", users.join(", "), licence.trim())?;
    }
    Ok(text)
}

/// Every crate of others that goes into the programs on this system.
fn packages() -> Result<BTreeSet<Package>> {
    let version = read(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not tell for which system it builds")?;
    let mut metadata = cargo("metadata --format-version 1 --locked --filter-platform");
    let metadata = read(metadata.arg(host))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|n| (text(&n["id"]), n)).collect();
    let of_id: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|p| (text(&p["id"]), p)).collect();
    let is_program = |package: &Value| PROGRAMS.contains(&text(&package["name"]).as_str());
    let mut due: Vec<String> =
        of_id.iter().filter(|(_, p)| is_program(p)).map(|(id, _)| id.clone()).collect();
    let mut seen: BTreeSet<String> = due.iter().cloned().collect();
    while let Some(id) = due.pop() {
        for dependency in nodes.get(&id).map(|node| list(&node["deps"])).unwrap_or_default() {
            // A kind that is null is neither for building nor for testing.
            let is_inside =
                list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let id = text(&dependency["pkg"]);
            if is_inside && seen.insert(id.clone()) {
                due.push(id);
            }
        }
    }
    let others = seen.iter().filter_map(|id| of_id.get(id)).filter(|p| !p["source"].is_null());
    let package = |package: &Value| {
        let authors: Vec<String> = list(&package["authors"]).iter().map(text).collect();
        let repository = text(&package["repository"]);
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            source: if repository.is_empty() { repository } else { format!(", {repository}") },
            authors: authors.join(", "),
            folder: manifest.parent().unwrap_or(Path::new("")).to_owned(),
        }
    };
    Ok(others.map(package).collect())
}

/// The texts of the licences of `package`: its own, or the usual one with its authors.
fn licences(package: &Package) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut has_own = false;
    for folder in FOLDERS {
        let Ok(files) = fs::read_dir(package.folder.join(folder)) else { continue };
        let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let is_of_fonts = folder == "fonts" && name.ends_with(".txt");
            if is_of_fonts || LICENCES.iter().any(|beginning| name.starts_with(beginning)) {
                let text =
                    fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                texts.push(String::from_utf8_lossy(&text).replace("\r\n", "\n"));
                has_own |= folder.is_empty();
            }
        }
    }
    if !has_own {
        let authors = &package.authors;
        let usual = match package.licence.as_str() {
            licence if licence.contains("MIT") => mit()?,
            "ISC" => ISC.to_owned(),
            // Its text need not go with programs.
            "BSL-1.0" => return Ok(texts),
            other => bail!(
                "{} comes without its licence ({other}): add its text to xtask/src/notices.rs",
                package.name
            ),
        };
        texts.push(format!("Copyright (c) {authors}\n\n{usual}"));
    }
    Ok(texts)
}

/// The MIT licence without who grants it.
fn mit() -> Result<String> {
    let ours = root().join("LICENSE-MIT");
    let text =
        fs::read_to_string(&ours).with_context(|| format!("cannot read {}", ours.display()))?;
    let begin = text.find("Permission is hereby granted").context("LICENSE-MIT is another text")?;
    Ok(text[begin..].to_owned())
}
