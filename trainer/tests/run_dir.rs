//! Whatever a disk does, and whenever the power goes: the run directory holds a whole checkpoint.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod disks;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use distill_shared::bundle::Tensor;
use distill_trainer::run_dir::store::{Found, Room, Store};
use distill_trainer::run_dir::terms::Terms;
use distill_trainer::run_dir::{FoundRun, RunDir, Start};
use distill_trainer::train::{Keeper, Stage, State};

use crash::{Model, states};
use disks::{Disk, Fault, Plan};

/// Bytes of a checkpoint of these tests.
const SIZE: usize = 64;

/// A checkpoint that says which one it is, and how it should end.
fn checkpoint(value: u8) -> Vec<u8> {
    let mut bytes = vec![value; SIZE];
    bytes[SIZE - 1] = !value;
    bytes
}

fn read(bytes: &[u8]) -> Result<u8, String> {
    let value = *bytes.first().ok_or("empty")?;
    if bytes == checkpoint(value) { Ok(value) } else { Err("damaged".to_owned()) }
}

/// A disk on which checkpoint 1 was saved long ago.
fn used_disk() -> Disk {
    Disk::with([("000001.checkpoint".to_owned(), checkpoint(1))].into())
}

/// The newest checkpoint of a disk that works again.
fn newest(disk: &Disk) -> Option<u8> {
    disk.fail(None);
    let (_, Found { newest, .. }) = Store::open(Box::new(disk.clone()), read).unwrap();
    newest
}

/// A run that reserves room and saves checkpoints 2 to 6, whatever comes: the last that is called saved.
fn run(disk: &Disk) -> u8 {
    let Ok((mut store, found)) = Store::open(Box::new(disk.clone()), read) else { return 1 };
    if found.newest.is_none() || store.reserve(&checkpoint(0)).is_err() {
        return 1;
    }
    let mut saved = 1;
    for value in 2..=6 {
        if store.save(&checkpoint(value)).is_ok() {
            saved = value;
        }
    }
    saved
}

#[test]
fn whichever_call_fails_nothing_that_was_saved_is_lost_and_nothing_else_is_called_saved() {
    let kinds = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::Other,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::PermissionDenied,
        ErrorKind::Interrupted,
    ];
    let faults = kinds.into_iter().map(Fault::Error).chain([Fault::ShortWrite]);
    for fault in faults {
        for for_good in [false, true] {
            // Interrupted for good, a write would be tried again for good.
            if for_good && fault == Fault::Error(ErrorKind::Interrupted) {
                continue;
            }
            let mut at = 1;
            loop {
                let disk = used_disk();
                disk.fail(Some(Plan { at, fault, for_good }));
                let saved = run(&disk);
                let failed = disk.calls() >= at;
                let found = newest(&disk).unwrap_or(0);
                assert!(found >= saved, "{fault:?} at call {at}: {found} is left of {saved}");
                assert!(
                    disk.files().len() <= 4,
                    "{fault:?} at call {at} leaves {:?}",
                    disk.files()
                );
                if !failed {
                    break;
                }
                at += 1;
            }
            assert!(at > 20, "there are more calls than {at}");
        }
    }
}

#[test]
fn a_single_failure_costs_one_checkpoint_at_most() {
    for at in 4.. {
        let disk = used_disk();
        disk.fail(Some(Plan { at, fault: Fault::Error(ErrorKind::Other), for_good: false }));
        let saved = run(&disk);
        if disk.calls() < at {
            break;
        }
        // The first calls are those of opening and of reserving room.
        assert!(saved >= 5 || saved == 1 && at < 12, "call {at}: {saved}");
    }
}

#[test]
fn wherever_the_power_goes_a_whole_checkpoint_is_left() {
    let full = used_disk();
    full.set_room(2 * SIZE + SIZE / 2);
    for disk in [used_disk(), full] {
        let begun: BTreeMap<_, _> = disk.files();
        let (mut store, _) = Store::open(Box::new(disk.clone()), read).unwrap();
        let mut saved = vec![(disk.operations().len(), 1)];
        store.reserve(&checkpoint(0)).unwrap();
        for value in 2..=5 {
            store.save(&checkpoint(value)).unwrap();
            saved.push((disk.operations().len(), value));
        }
        let operations = disk.operations();
        let mut count = 0;
        for model in [Model::Ordered, Model::Reordering, Model::NoFolderSync] {
            for end in 0..=operations.len() {
                let last = saved.iter().rfind(|(at, _)| *at <= end).map_or(1, |(_, value)| *value);
                // Where syncing a folder does nothing, what is newest may be lost, but not all.
                let least = if model == Model::NoFolderSync { 1 } else { last };
                for files in states(&begun, &operations[..end], model) {
                    count += 1;
                    let found = newest(&Disk::with(files.clone()));
                    assert!(
                        found.is_some_and(|found| found >= least),
                        "{model:?}, after {end} operations: {found:?} of {last} in {files:?}"
                    );
                }
            }
        }
        assert!(count > 300, "{count} states");
    }
}

#[test]
fn a_full_disk_takes_what_holds_room_and_says_so() {
    let disk = Disk::default();
    let (mut store, _) = Store::open(Box::new(disk.clone()), read).unwrap();
    store.reserve(&checkpoint(0)).unwrap();
    disk.set_room(SIZE);
    assert_eq!(store.save(&checkpoint(2)).unwrap(), Room::LastUsed, "in place of ballast");
    assert_eq!(newest(&disk), Some(2));
    assert!(store.save(&checkpoint(3)).is_err(), "there is nothing to give up");
    assert_eq!(newest(&disk), Some(2));
    disk.set_room(3 * SIZE);
    assert_eq!(store.save(&checkpoint(4)).unwrap(), Room::Enough);
    disk.set_room(2 * SIZE);
    assert_eq!(store.save(&checkpoint(5)).unwrap(), Room::LastUsed, "in place of an older one");
    assert!(store.make_room(), "the older of two makes room for a bundle");
    assert!(!store.make_room(), "the newest never does");
    assert_eq!((newest(&disk), disk.used()), (Some(5), SIZE));
    assert!(store.reserve(&[0; 2 * SIZE]).is_err(), "no run begins without room");
    assert_eq!(disk.used(), SIZE);
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_gone_once_there_is_a_newer_one() {
    let disk = Disk::with(
        [("000007.checkpoint", 7), ("000008.checkpoint", 8), ("notes.txt", 9)]
            .map(|(name, value)| (name.to_owned(), checkpoint(value)))
            .into(),
    );
    let mut files = disk.files();
    files.insert("000009.checkpoint".to_owned(), checkpoint(9)[1..].to_vec());
    files.insert("000010.checkpoint".to_owned(), Vec::new());
    let disk = Disk::with(files);
    let (mut store, found) = Store::open(Box::new(disk.clone()), read).unwrap();
    assert_eq!(found.newest, Some(8));
    let damaged: Vec<&str> = found.damaged.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(damaged, ["000010.checkpoint", "000009.checkpoint"]);
    assert_eq!(disk.files().len(), 5, "nothing is removed before something newer is saved");
    store.save(&checkpoint(11)).unwrap();
    let names: Vec<String> = disk.files().into_keys().collect();
    assert_eq!(names, ["000008.checkpoint", "000011.checkpoint", "notes.txt"]);
    store.clear().unwrap();
    assert_eq!(disk.files().into_keys().collect::<Vec<_>>(), ["notes.txt"]);
}

/// What training has come to after so many steps.
fn state(step: u32) -> State {
    let tensors = [("weights.w".to_owned(), Tensor::f32(&[2], vec![0.5, 1.5]).unwrap())].into();
    State { stage: Stage::Codec, step, text: "{}".to_owned(), tensors }
}

fn open(disk: &Disk, found: FoundRun) -> anyhow::Result<RunDir> {
    let start = Start { found, every: Duration::ZERO };
    RunDir::with_storage(Box::new(disk.clone()), PathBuf::from("x.run"), start)
}

#[test]
fn a_run_on_a_full_disk_is_told_to_stop_and_goes_on_from_there() {
    let disk = Disk::default();
    let mut run = open(&disk, FoundRun::Resume).unwrap();
    run.begin(Terms::default()).unwrap();
    assert!(run.begun(Stage::Codec).is_none());
    run.reserve(&state(0)).unwrap();
    run.keep(state(1)).unwrap();
    run.keep(state(2)).unwrap();
    disk.set_room(disk.used());
    let unkept = run.keep(state(3)).unwrap_err();
    assert!(unkept.full && unkept.message.contains("the run is kept in x.run"), "{unkept}");
    assert!(run.is_full() && run.full_error().to_string().contains("x.run"));
    assert!(run.make_room(), "there is room for a bundle");
    drop(run);
    let mut run = open(&disk, FoundRun::Resume).unwrap();
    let told = run.begin(Terms::default()).unwrap();
    assert_eq!(told, ["going on with x.run, at step 3 of the codec"]);
    assert_eq!(run.begun(Stage::Codec).map(|begun| begun.state), Some(state(3)));
    assert!(run.begun(Stage::Codec).is_none(), "a state is given once");
}

#[test]
fn a_disk_that_fails_otherwise_does_not_stop_a_run() {
    let disk = Disk::default();
    let mut run = open(&disk, FoundRun::Resume).unwrap();
    run.begin(Terms::default()).unwrap();
    run.keep(state(1)).unwrap();
    let fault = Fault::Error(ErrorKind::ReadOnlyFilesystem);
    disk.fail(Some(Plan { at: 1, fault, for_good: true }));
    let unkept = run.keep(state(2)).unwrap_err();
    assert!(!unkept.full && unkept.message.contains("training goes on"), "{unkept}");
    disk.fail(None);
    run.keep(state(2)).unwrap();
    drop(run);
    let told = open(&disk, FoundRun::Resume).unwrap().begin(Terms::default()).unwrap();
    assert_eq!(told, ["going on with x.run, at step 2 of the codec"]);
}

#[test]
fn what_cannot_be_read_is_only_dropped_when_that_is_asked_for() {
    let damaged = [("000003.checkpoint".to_owned(), vec![1, 2, 3])];
    let disk = Disk::with(damaged.clone().into());
    let error = open(&disk, FoundRun::Resume).err().unwrap().to_string();
    assert!(error.contains("no checkpoint in x.run can be read") && error.contains("--fresh"));
    assert_eq!(disk.files(), damaged.into());
    let mut run = open(&disk, FoundRun::Drop).unwrap();
    assert!(!run.resumes());
    assert_eq!(disk.files().len(), 1, "what comes before another run begins can fail");
    run.begin(Terms::default()).unwrap();
    assert!(disk.files().is_empty());
}
