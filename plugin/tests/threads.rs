//! Instances share threads and models, and leave nothing behind. One test, so that no other starts
//! threads in this program.

mod toy;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use distill_plugin::engine::{Block, Engine};
use distill_plugin::instance::{Instance, Phase};
use distill_plugin::patience::wait_at_most;
use distill_plugin::selection::Selection;
use distill_plugin::state::BundleRef;
use toy::{HOP, RATE, note};

/// Of the flags of a task, that it ends: Linux lists a thread for a moment after it was joined.
const PF_EXITING: u64 = 4;

/// What stays as long as there is an instance.
const STAYING: &[&str] = &["distill worker", "distill loader"];
/// All that an instance may have.
const ALL: &[&str] = &["distill worker", "distill loader", "distill reader", "distill studio"];

/// Threads of this program with one of `names`, where the system tells.
fn our_threads(names: &[&str]) -> usize {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    // Number, (name), state, parent, group, session, terminal, its group, flags: proc(5).
    let is_ours = |stat: &String| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let flags: u64 = rest.split(' ').nth(6)?.parse().ok()?;
        Some(names.contains(&name) && flags & PF_EXITING == 0)
    };
    stats.filter(|stat| is_ours(stat) == Some(true)).count()
}

fn settle(instance: &Instance) {
    wait_at_most(Duration::from_secs(20), || instance.phase() != Phase::Loading);
}

fn instance(path: &Path) -> (Engine, Selection) {
    let (selection, end) = Selection::new();
    let mut engine = Engine::new(end, Arc::clone(selection.instance()), toy::settings());
    selection.choose(BundleRef::file(path.to_string_lossy().into_owned()));
    settle(selection.instance());
    engine.activate(RATE, true);
    engine.reset(&toy::settings());
    (engine, selection)
}

fn play(engine: &mut Engine) -> Vec<f32> {
    let (mut left, mut right) = (vec![0.0; 20 * HOP], vec![0.0; 20 * HOP]);
    let (settings, len, now) = (toy::settings(), left.len(), Instant::now());
    engine.reset(&settings);
    engine.begin(&Block { settings, len, now, playing: false, meter: None });
    engine.note_on(note(60));
    engine.render(&mut left, &mut right);
    left
}

#[test]
fn instances_share_threads_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();

    let looked_at = Selection::new();
    assert_eq!(our_threads(ALL), 0, "an instance that is only looked at starts no threads");
    drop(looked_at);

    let (mut first, first_selection) = instance(&path);
    let threads = our_threads(STAYING);
    assert!(threads > 0 || !cfg!(target_os = "linux"));
    let (mut second, second_selection) = instance(&path);
    assert_eq!(our_threads(STAYING), threads, "a second instance starts no threads");
    let heard = play(&mut first);
    assert!(heard.iter().any(|&sample| sample.abs() > 1e-3));
    assert_eq!(play(&mut second), heard, "two instances play the same");

    drop((first, first_selection));
    assert_eq!(play(&mut second), heard, "the instance that is left goes on");

    // The parts of an instance may go in any order, and while it loads.
    second_selection.choose(BundleRef::file(path.to_string_lossy().into_owned()));
    drop(second_selection);
    assert_eq!(our_threads(STAYING), 0, "the last instance joins all threads");
    // One that a slow drive held is not waited for, and ends by itself.
    wait_at_most(Duration::from_secs(20), || our_threads(ALL) == 0);
    assert_eq!(our_threads(ALL), 0, "none is left");
    drop(second);

    let (mut third, _selection) = instance(&path);
    assert_eq!(play(&mut third), heard, "threads can be started anew");
}
