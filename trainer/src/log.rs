//! The log of a run: one JSON object a line, as it happens.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::events::TrainingEvent;

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// `None` once writing has failed.
    file: Option<File>,
    /// Whether what is in it goes when the first event comes: until then the run can be refused.
    replaces: bool,
    start: Instant,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since the log was begun.
    time_s: f64,
    #[serde(flatten)]
    event: &'a TrainingEvent,
}

impl Log {
    /// Begins a log, replacing one that is at `path`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written, or holds something else than a log.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self { replaces: true, ..Self::go_on(path)? })
    }

    /// Goes on with the log at `path`, if there is one. Its time begins again at zero.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn go_on(path: &Path) -> Result<Self> {
        expect_log(path)?;
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot write the log {}", path.display()))?;
        let start = Instant::now();
        Ok(Self { path: path.to_owned(), file: Some(file), replaces: false, start })
    }

    /// Writes an event.
    ///
    /// # Errors
    ///
    /// Fails once, when writing fails; training goes on, and later events are left out.
    pub fn write(&mut self, event: &TrainingEvent) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let line = Line { time_s: self.start.elapsed().as_secs_f64(), event };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        // What is no file, as a terminal, has nothing to replace.
        let replaces = std::mem::take(&mut self.replaces)
            && file.metadata().is_ok_and(|metadata| metadata.is_file());
        // By its name: not on every system may a file that is only appended to be cut.
        let emptied = if replaces { File::create(&self.path).map(drop) } else { Ok(()) };
        let written = emptied.and_then(|()| file.write_all(text.as_bytes()));
        if written.is_err() {
            self.file = None;
        }
        written.with_context(|| {
            format!("cannot go on with the log {}; training continues", self.path.display())
        })
    }
}

/// Fails if the file at `path` is none that a log may take the place of: one with lines of JSON, or with
/// nothing.
fn expect_log(path: &Path) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let mut first = [b'{'];
    let cannot = || format!("cannot write the log {}", path.display());
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    read.with_context(cannot)?;
    ensure!(first == *b"{", "{}: it is there and is no log; name another file", cannot());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_json_object_on_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = Log::create(&path).unwrap();
        log.write(&TrainingEvent::Warning { message: "one\ntwo".to_owned() }).unwrap();
        log.write(&TrainingEvent::Warning { message: "three".to_owned() }).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event"], "warning");
        assert_eq!(lines[0]["message"], "one\ntwo");
        assert!(lines[1]["time_s"].as_f64().unwrap() >= 0.0);
    }

    #[test]
    fn a_log_stays_until_the_run_that_replaces_it_has_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let event = |message: &str| TrainingEvent::Warning { message: message.to_owned() };
        Log::create(&path).unwrap().write(&event("hours")).unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        let before = read();
        // A run that is refused.
        drop(Log::create(&path).unwrap());
        assert_eq!(read(), before);
        Log::go_on(&path).unwrap().write(&event("more")).unwrap();
        assert!(read().starts_with(&before) && read().lines().count() == 2);
        Log::create(&path).unwrap().write(&event("anew")).unwrap();
        assert!(read().lines().count() == 1 && read().contains("anew"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_log_that_cannot_be_written_complains_once() {
        let mut log = Log::create(Path::new("/dev/full")).unwrap();
        let event = TrainingEvent::Warning { message: String::new() };
        assert!(log.write(&event).is_err());
        assert!(log.write(&event).is_ok());
    }
}
