//! An instance that is not played costs nothing, and goes on where it was. Alone in its program, since
//! it counts what the whole process does.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use distill_tests::vst3::{Block, Module};

/// A thread of this process: its name, the nanoseconds that it has had of a core, and how often.
struct Thread {
    name: String,
    nanoseconds: u64,
    turns: u64,
}

fn threads() -> impl Iterator<Item = Thread> {
    let folders = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    // One that ends meanwhile has no files any more.
    folders.filter_map(|folder| {
        let times = fs::read_to_string(folder.join("schedstat")).ok()?;
        let mut times = times.split_whitespace().map(|time| time.parse().unwrap());
        Some(Thread {
            name: fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned(),
            nanoseconds: times.next().unwrap(),
            turns: times.nth(1).unwrap(),
        })
    })
}

/// Processor time that those threads of this process have had whose names are `counted`.
fn spent(counted: impl Fn(&str) -> bool) -> Duration {
    let counted = threads().filter(|thread| counted(&thread.name));
    Duration::from_nanos(counted.map(|thread| thread.nanoseconds).sum())
}

/// How often each worker has been given a core.
fn turns_of_workers() -> Vec<u64> {
    let workers = threads().filter(|thread| thread.name == "distill worker");
    workers.map(|worker| worker.turns).collect()
}

/// Looks of the worker that watches, in a second.
const LOOKS: f64 = 10.0;
/// A thread that wakes up as often, and does nothing.
const BARE: &str = "bare";
/// The most that an instance at rest may take of a core.
const BAR: f64 = 0.001;
/// The most of a core that such a thread takes where processor time tells what a program does: in some
/// virtual machines a waking costs ten times as much, now and then.
const TRUSTED: f64 = 0.0007;

/// The least share of a core that this process takes in ten stretches of which three can be trusted, if
/// none before was within the bar; nothing if fewer can be. A look costs more where other programs have
/// emptied the caches.
fn least_share() -> Option<f64> {
    let (ends, ended) = mpsc::channel::<()>();
    let pause = Duration::from_secs_f64(1.0 / LOOKS);
    let wake = move || while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {};
    let bare = thread::Builder::new().name(BARE.to_owned()).spawn(wake).unwrap();
    let own = fs::read_to_string("/proc/thread-self/comm").unwrap().trim().to_owned();
    let now = || [spent(|name| name != BARE && name != own), spent(|name| name == BARE)];
    let mut trusted = Vec::new();
    for _ in 0..10 {
        let before = now();
        sleep(Duration::from_secs(3));
        let after = now();
        let [taken, bare] = [0, 1].map(|of| (after[of] - before[of]).as_secs_f64() / 3.0);
        println!("{:.3} % of a core, a bare thread {:.3} %", 100.0 * taken, 100.0 * bare);
        if bare <= TRUSTED {
            trusted.push(taken);
        }
        if trusted.last().is_some_and(|taken| *taken <= BAR) {
            break;
        }
    }
    drop(ends);
    bare.join().unwrap();
    let least = trusted.iter().copied().min_by(f64::total_cmp);
    least.filter(|least| trusted.len() >= 3 || *least <= BAR)
}

#[test]
fn what_is_not_played_is_idle_and_goes_on_where_it_was() {
    let heard = |pause: bool| {
        let module = Module::open(&built::package().with_extension("vst3")).unwrap();
        let mut instrument = module.instrument().unwrap();
        // To a file, so that nothing is missed.
        assert_eq!(instrument.set_up(48_000.0, 512, 2, 0), 0);
        assert_eq!(instrument.set_active(true), 0);
        instrument.set_processing(true);
        let mut sound = Vec::new();
        let mut turns_at_rest = Vec::new();
        for number in 0..100 {
            let mut block = Block { mode: 2, ..Block::new(512) };
            if number % 50 == 0 {
                let pitches = (0..4).map(|voice| 60 + number / 10 + voice);
                pitches.for_each(|pitch| block.press(0, i32::from(pitch), pitch, 0.9));
            }
            if pause && number == 50 {
                // The worker makes what it may make ahead, and looks around for ten seconds.
                sleep(Duration::from_secs(12));
                let turns = || turns_of_workers().iter().sum::<u64>();
                let (before, since) = (turns(), Instant::now());
                let share = least_share();
                assert!(share.is_none_or(|share| share <= BAR), "{share:?} of a core");
                // One worker watches, the others look around every two seconds.
                let looks = (turns() - before) as f64 / since.elapsed().as_secs_f64();
                assert!(looks <= 1.5 * LOOKS, "{looks} looks a second");
                turns_at_rest = turns_of_workers();
            }
            assert_eq!(instrument.process(&mut block), 0);
            sound.extend(block.channels.into_iter().flatten().flatten());
        }
        // All that slept were woken: each looks around for a while, more often than it would by itself.
        sleep(Duration::from_millis(500));
        let turns = turns_of_workers();
        assert!(turns.iter().zip(&turns_at_rest).all(|(now, then)| *now >= then + 5), "{turns:?}");
        assert!(sound.iter().any(|sample| sample.abs() > 0.01));
        sound
    };
    assert_eq!(heard(true), heard(false));
}
