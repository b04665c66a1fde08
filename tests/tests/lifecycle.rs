//! Coming and going: what a host that looks for plugins sees, and what is left after instances and
//! the library itself have gone. Alone in its program, since it counts threads and files.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use std::fs;

use built::{PHRASE, host};
use distill_tests::host::Playback;
use distill_tests::memory;

#[test]
fn whatever_comes_and_goes_leaves_nothing_behind() {
    // One after the other: each counts what the whole process has.
    a_scan_starts_no_thread_and_leaves_no_file_open();
    hundreds_of_lives_leave_nothing_behind();
}

/// Of the flags of a task, that it ends: Linux lists a thread for a moment after it was joined.
const PF_EXITING: u64 = 4;

/// Threads of this process.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    // Number, (name), state, parent, group, session, terminal, its group, flags: proc(5).
    let flags = |stat: &str| stat.rsplit_once(") ")?.1.split(' ').nth(6)?.parse::<u64>().ok();
    stats.filter(|stat| flags(stat).unwrap() & PF_EXITING == 0).count()
}

/// Files that this process has open.
fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn a_scan_starts_no_thread_and_leaves_no_file_open() {
    drop(host());
    let before = (threads(), files());
    let host = host();
    assert!(!host.id().is_empty());
    assert_eq!((threads(), files()), before, "threads and files");
    // Some hosts make an instance to ask for its parameters; the framework has a thread for it.
    let mut instrument = host.instrument().unwrap();
    assert!(instrument.parameters().len() > 20);
    assert!(threads() <= before.0 + 1 && files() == before.1);
}

/// An instance comes, its state makes the workers load a bundle, and all goes meanwhile, in another
/// order than it came.
fn live(life: usize, play: bool) {
    let host = host();
    let mut instruments: Vec<_> = (0..3).map(|_| host.instrument().unwrap()).collect();
    if play {
        let playback = Playback { seconds: 1.2, ..Playback::default() };
        instruments[0].play(&PHRASE[..1], &playback).unwrap();
    }
    let state = instruments[1].save().unwrap();
    instruments[2].load(&state).unwrap();
    drop(instruments.swap_remove(life % 3));
}

/// Batches of 50 lives after which memory is looked at.
const BATCHES: u16 = 10;

fn hundreds_of_lives_leave_nothing_behind() {
    live(0, true);
    let before = (threads(), files());
    (0..50).for_each(|life| live(life, life % 5 == 0));
    assert_eq!((threads(), files()), before);
    // What the allocator keeps for its arenas comes and goes, 13 MiB at a time; a leak grows with every
    // batch. The first one settles what a process keeps.
    (0..50).for_each(|life| live(life, false));
    let settled = memory::resident().unwrap();
    (0..50 * usize::from(BATCHES)).for_each(|life| live(life, false));
    let grown = (memory::resident().unwrap() - settled) / f64::from(BATCHES);
    assert_eq!((threads(), files()), before);
    assert!(grown < 3.0, "{grown:.1} MiB more after every 50 lives");
}
