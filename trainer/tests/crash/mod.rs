//! What a disk may hold after the power was lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::disks::Operation;

/// What a file system promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Names change in order, and the bytes of a file are there before its new name is.
    Ordered,
    /// Before the folder is synced, any of the changes of names may be there, and not others; before
    /// a file is synced, any part of its bytes.
    Reordering,
    /// Names change in order, and syncing the folder does nothing.
    NoFolderSync,
}

type Files = BTreeMap<String, Vec<u8>>;

/// A change of a name; files are told apart by numbers, those of the beginning by their names.
#[derive(Clone)]
enum Change {
    Link { name: String, file: usize },
    Move { from: String, to: String, file: usize },
    Unlink { name: String },
}

/// Everything that may be there when the power is lost after `operations`, done to a disk with `begun`.
pub(crate) fn states(begun: &Files, operations: &[Operation], model: Model) -> BTreeSet<Files> {
    let mut durable: Vec<Change> = Vec::new();
    let mut pending: Vec<Change> = Vec::new();
    let mut bytes: BTreeMap<usize, (Vec<u8>, bool)> = BTreeMap::new();
    for operation in operations {
        match operation.clone() {
            Operation::Create { name, file } => {
                bytes.insert(file, (Vec::new(), false));
                pending.push(Change::Link { name, file });
            }
            Operation::Write { file, bytes: more } => {
                let (all, synced) = bytes.get_mut(&file).unwrap();
                all.extend(more);
                *synced = false;
            }
            Operation::SyncFile { file } => bytes.get_mut(&file).unwrap().1 = true,
            Operation::Rename { from, to, file } => pending.push(Change::Move { from, to, file }),
            Operation::Remove { name } => pending.push(Change::Unlink { name }),
            Operation::SyncFolder if model == Model::NoFolderSync => {}
            Operation::SyncFolder => durable.append(&mut pending),
        }
    }
    let mut states = BTreeSet::new();
    for chosen in choices(&pending, model) {
        let changes: Vec<&Change> = durable.iter().chain(chosen).collect();
        for kept in 0..=2 {
            states.insert(state(begun, &changes, |file| {
                let (all, synced) = &bytes[&file];
                let torn = !synced && model != Model::Ordered;
                all[..if torn { all.len() * kept / 2 } else { all.len() }].to_vec()
            }));
        }
    }
    states
}

/// Which of the pending changes may have come to pass.
fn choices(pending: &[Change], model: Model) -> Vec<Vec<&Change>> {
    if model != Model::Reordering {
        return (0..=pending.len()).map(|count| pending[..count].iter().collect()).collect();
    }
    let subset = |mask: usize| {
        let chosen = pending.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1);
        chosen.map(|(_, change)| change).collect()
    };
    (0..1 << pending.len()).map(subset).collect()
}

/// The files after `changes`, `content` being what is there of each.
fn state(begun: &Files, changes: &[&Change], content: impl Fn(usize) -> Vec<u8>) -> Files {
    let mut files = begun.clone();
    for change in changes {
        match change {
            Change::Link { name, file } => {
                files.insert(name.clone(), content(*file));
            }
            Change::Move { from, to, file } => {
                files.remove(from);
                files.insert(to.clone(), content(*file));
            }
            Change::Unlink { name } => {
                files.remove(name);
            }
        }
    }
    files
}
