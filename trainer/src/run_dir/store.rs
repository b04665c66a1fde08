//! The files of a run: numbered checkpoints, the newest two of which are kept, and ballast.
//!
//! A checkpoint is written under another name, synced, renamed, and the folder is synced; only then
//! older ones are removed. So whatever happens when, the newest whole checkpoint is the one that was
//! last called saved, or a newer one.
//!
//! What lies beside the newest is also what makes room on a full disk: ballast, which holds nothing, as
//! long as there is only one checkpoint, and then the older of two.

use std::io::{self, Write};

use super::storage::{Storage, is_full};

/// Ending of the names of checkpoints.
const ENDING: &str = ".checkpoint";
/// What a checkpoint is called while it is written.
const TEMPORARY: &str = "unfinished.tmp";
/// What holds the room for a checkpoint.
const BALLAST: &str = "ballast";

/// The checkpoints of a run.
pub struct Store {
    storage: Box<dyn Storage>,
    /// The newest two that are known to be saved, older first.
    kept: Vec<Saved>,
    /// Number of the next one.
    next: u64,
    /// Bytes of the ballast.
    ballast: usize,
}

/// A checkpoint that was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Saved {
    number: u64,
    bytes: usize,
}

/// What was found in a folder.
pub struct Found<T> {
    /// The newest checkpoint that can be read.
    pub newest: Option<T>,
    /// The names of newer ones that cannot, and why.
    pub damaged: Vec<(String, String)>,
}

/// How a checkpoint was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There was room for it.
    Enough,
    /// The disk is full: it took what makes room.
    LastUsed,
}

impl Store {
    /// Opens what is in a folder. `read` makes a checkpoint of bytes, or says why they are none.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be listed, or a checkpoint that may be the newest cannot be read.
    pub fn open<T>(
        storage: Box<dyn Storage>,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> io::Result<(Self, Found<T>)> {
        let mut numbers: Vec<u64> =
            storage.list()?.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        for leftover in [TEMPORARY, BALLAST] {
            // It is not there, or does no harm.
            let _ = storage.remove(leftover);
        }
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        let mut found = Found { newest: None, damaged: Vec::new() };
        let mut kept = Vec::new();
        while let Some(number) = numbers.pop() {
            let name = name_of(number);
            let bytes = match storage.read(&name) {
                // What cannot be read now may be sound: it must not be taken for damaged.
                Err(error)
                    if error.kind() != io::ErrorKind::InvalidData && found.newest.is_none() =>
                {
                    return Err(error);
                }
                bytes => bytes.map_err(|error| error.to_string()),
            };
            let saved = |bytes: &[u8]| Saved { number, bytes: bytes.len() };
            if found.newest.is_some() {
                // Whether the one before could be read does not matter: it holds room.
                kept.extend(bytes.iter().map(|bytes| saved(bytes)));
                break;
            }
            match bytes.and_then(|bytes| Ok((read(&bytes)?, saved(&bytes)))) {
                Ok((checkpoint, saved)) => {
                    found.newest = Some(checkpoint);
                    kept.push(saved);
                }
                Err(why) => found.damaged.push((name, why)),
            }
        }
        kept.reverse();
        Ok((Self { storage, kept, next, ballast: 0 }, found))
    }

    /// Saves a checkpoint. Without an error, it survives a loss of power from now on. On a full disk it
    /// uses what [`Self::reserve`] or an older checkpoint has held.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be saved; those that were saved before are still there.
    pub fn save(&mut self, bytes: &[u8]) -> io::Result<Room> {
        let mut room = Room::Enough;
        loop {
            let number = self.next;
            // A number is used once, whatever becomes of it.
            self.next = self.next.saturating_add(1);
            match self.write(&name_of(number), bytes) {
                Err(error) if is_full(&error) && self.make_room() => room = Room::LastUsed,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.kept.push(Saved { number, bytes: bytes.len() });
                    break;
                }
            }
        }
        self.prune();
        Ok(room)
    }

    /// Holds room for a checkpoint of `bytes`, if none of what is there does.
    ///
    /// # Errors
    ///
    /// Fails if there is no room.
    pub fn reserve(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.ballast >= bytes.len() || self.spare().is_some_and(|spare| spare >= bytes.len()) {
            return Ok(());
        }
        // Of zeros some file systems would keep only the number. These bytes hold nothing that is read.
        let written = self.storage.create(BALLAST).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync()
        });
        match written {
            Ok(()) => self.ballast = bytes.len(),
            Err(_) => drop(self.storage.remove(BALLAST)),
        }
        written
    }

    /// Gives up what holds room, ballast first, then the older of two checkpoints. Whether there was
    /// something to give up.
    pub fn make_room(&mut self) -> bool {
        if std::mem::take(&mut self.ballast) > 0 {
            return self.storage.remove(BALLAST).is_ok();
        }
        // A run that was killed may have left the newest under a name that is not synced.
        if self.kept.len() < 2 || self.storage.sync().is_err() {
            return false;
        }
        let older = self.kept.remove(0);
        self.storage.remove(&name_of(older.number)).is_ok()
    }

    /// Removes everything.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be removed.
    pub fn clear(&mut self) -> io::Result<()> {
        self.kept.clear();
        self.ballast = 0;
        let ours = |name: &String| {
            number_of(name).is_some() || [TEMPORARY, BALLAST].contains(&name.as_str())
        };
        // The oldest first: if this is interrupted, it is the newest that is left.
        let mut names: Vec<String> = self.storage.list()?.into_iter().filter(ours).collect();
        names.sort_by_key(|name| number_of(name));
        names.iter().try_for_each(|name| self.storage.remove(name))
    }

    /// Writes a checkpoint, and leaves nothing of it if that fails.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let storage = &self.storage;
        let written = storage.create(TEMPORARY).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync()
        });
        let written =
            written.and_then(|()| storage.rename(TEMPORARY, name)).and_then(|()| storage.sync());
        if written.is_err() {
            // What may be there was never called saved; the error before this is the one to tell.
            let _ = storage.remove(TEMPORARY);
            let _ = storage.remove(name);
        }
        written
    }

    /// Removes all checkpoints but the newest two that were saved, and ballast once it is not needed. An
    /// older one that cannot be removed is tried again next time.
    fn prune(&mut self) {
        while self.kept.len() > 2 {
            self.kept.remove(0);
        }
        let keep = |name: &String| {
            number_of(name).is_none_or(|number| self.kept.iter().any(|kept| kept.number == number))
        };
        for name in self.storage.list().unwrap_or_default() {
            if !keep(&name) {
                let _ = self.storage.remove(&name);
            }
        }
        if self.ballast > 0 && self.spare().is_some_and(|spare| spare >= self.ballast) {
            self.ballast = 0;
            let _ = self.storage.remove(BALLAST);
        }
    }

    /// Bytes of the older of two checkpoints.
    fn spare(&self) -> Option<usize> {
        (self.kept.len() == 2).then(|| self.kept[0].bytes)
    }
}

/// The name of a checkpoint.
fn name_of(number: u64) -> String {
    format!("{number:06}{ENDING}")
}

/// The number of the checkpoint of this name, if it is one.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(ENDING)?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_checkpoints_are_numbers() {
        for number in [0, 1, 999_999, 1_000_000, u64::MAX - 1] {
            assert_eq!(number_of(&name_of(number)), Some(number));
        }
        for other in ["1.checkpoint", "+00001.checkpoint", "000001", "000001.checkpoint.tmp", ""] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
