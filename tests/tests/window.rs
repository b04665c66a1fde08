//! The window of the built CLAP on a real display. Alone in its program, since it counts threads and
//! files.
//!
//! Needs an X display of at least 2000 times 1400 pixels; `cargo xtask test` has one made.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;
#[path = "window/opened.rs"]
mod opened;
#[path = "window/person.rs"]
mod person;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use built::{PHRASE, difference, host, instrument};
use distill_tests::host::{Instrument, Playback, state};
use distill_tests::memory::allocated;
use distill_tests::phrase::Note;
use distill_tests::screen::{Screen, write_png};
use opened::{CODES, cycles, drawn, kept, leave_nothing_behind, open, open_at, running, wait};

/// How long is drawn while something is played.
const SECONDS: f64 = 5.0;

/// The most that may stay allocated of all windows together, and of one, in MiB.
const MEMORY: (f64, f64) = (2.0, 0.02);

/// What the names of the threads begin with in which Mesa draws.
const MESA: [&str; 2] = ["llvmpipe", "gdrv"];

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn the_window_opens_closes_and_leaves_nothing_behind() {
    // One after the other: they look at the same display.
    let screen = Screen::connect().unwrap();
    it_shows_what_it_is(&screen);
    it_is_as_large_as_it_is_made(&screen);
    it_costs_little_while_it_follows_what_is_played(&screen);
    person::makes_a_part_anew_keeps_it_and_finds_it_again(&screen);
    person::drops_files(&screen);
    it_keeps_the_host_calling(&screen);
    it_opens_as_often_as_one_likes(&screen);
}

/// Leaves pictures of every page in `pictures`, as large as usual and twice as large: before anything
/// is played, after it, and where the bundle is missing.
fn it_shows_what_it_is(screen: &Screen) {
    let played = || {
        let mut instrument = instrument();
        // A bundle is loaded once it is needed.
        instrument.play(&PHRASE, &Playback::default()).unwrap();
        instrument
    };
    let missing = || {
        let mut instrument = played();
        let gone = Path::new("/gone/Bells.distill");
        let project = state::with_bundle(&instrument.save().unwrap(), gone).unwrap();
        instrument.load(&project).unwrap();
        instrument
    };
    person::saves_a_preset(screen, "soft bells");
    let all = [
        pictures(screen, instrument, "empty"),
        pictures(screen, played, "played"),
        pictures(screen, missing, "missing"),
    ];
    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        assert!(all[one].iter().zip(&all[other]).all(|(one, other)| one != other));
    }
}

/// Where pictures are left.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Pictures of all pages, in both sizes.
fn pictures(screen: &Screen, of: impl Fn() -> Instrument, name: &str) -> Vec<Vec<[u8; 3]>> {
    let folder = folder();
    let mut all = Vec::new();
    let heard = of().play(&PHRASE, &Playback::default()).unwrap();
    for (scale, suffix) in [(1, ""), (2, "-2x")] {
        // Another one for each: a window begins where the one before was left.
        let mut instrument = of();
        let (parent, size) = open_at(screen, &mut instrument, scale.into());
        let scaled = |length: i16| u32::try_from(length * scale).unwrap();
        assert_eq!(size, (scaled(980), scaled(640)));
        let mut picture = |page: &str| {
            drawn(screen, size);
            // It draws thirty times in a second.
            sleep(Duration::from_millis(300));
            let (width, pixels) = drawn(screen, size);
            let file = folder.join(format!("{page}-{name}{suffix}.png"));
            write_png(&file, width, &pixels).unwrap();
            all.push(pixels);
        };
        let click = |(x, y): (i16, i16)| screen.click((x * scale, y * scale)).unwrap();
        picture("play");
        click(CODES);
        click(person::NEWEST_TAKE);
        picture("codes");
        click(person::LIBRARY);
        sleep(Duration::from_millis(300));
        if name == "played" {
            picture("library");
            click(person::PRESETS);
            // The list is read on a thread of its own.
            sleep(Duration::from_millis(300));
            picture("presets");
        }
        if name == "played" {
            let beside = instrument.play(&PHRASE, &Playback::default()).unwrap();
            assert_eq!(difference(&beside, &heard), None, "a window cannot be heard");
        }
        instrument.close_window();
        screen.destroy(parent).unwrap();
    }
    all
}

/// Has its size at every scale, whichever it had before, takes another one from the host, and keeps it.
fn it_is_as_large_as_it_is_made(screen: &Screen) {
    let mut instrument = instrument();
    for (scale, expected) in [(2.0, (1960, 1280)), (1.0, (980, 640))] {
        let (parent, size) = open_at(screen, &mut instrument, scale);
        assert_eq!(size, expected);
        drawn(screen, size);
        instrument.close_window();
        screen.destroy(parent).unwrap();
    }
    let larger = (1300, 800);
    let (parent, size) = open(screen, &mut instrument);
    drawn(screen, size);
    assert_eq!(instrument.resize_window((700, 300)).unwrap(), size, "all has to fit");
    assert_eq!(instrument.resize_window(larger).unwrap(), larger);
    wait("its last corner is drawn", || {
        (screen.picture(1300, 800).unwrap().last() != Some(&[0; 3])).then_some(())
    });
    instrument.close_window();
    screen.destroy(parent).unwrap();
    let (parent, size) = open(screen, &mut instrument);
    assert_eq!(size, larger, "the person's choice");
    instrument.close_window();
    screen.destroy(parent).unwrap();
}

/// Draws the grid of what is being played. What a graphics card does elsewhere, threads of Mesa do here;
/// they are only told about.
fn it_costs_little_while_it_follows_what_is_played(screen: &Screen) {
    let mut instrument = instrument();
    instrument.play(&PHRASE, &Playback::default()).unwrap();
    let before = busy();
    let (parent, size) = open(screen, &mut instrument);
    screen.click(CODES).unwrap();
    drawn(screen, size);
    let start = busy();
    let note = Note { start: 0.0, end: SECONDS, key: 60, velocity: 1.0 };
    let live = Playback { seconds: SECONDS, pace: Some(1.0), ..Playback::default() };
    instrument.play(&[note], &live).unwrap();
    let shares = busy().into_iter().filter(|(thread, _)| !before.contains_key(thread)).map(
        |((thread, name), time)| {
            let earlier = start.get(&(thread, name.clone())).copied().unwrap_or_default();
            (name, (time - earlier).as_secs_f64() / SECONDS)
        },
    );
    let (mesa, own): (Vec<_>, Vec<_>) =
        shares.partition(|(name, _)| MESA.iter().any(|prefix| name.starts_with(prefix)));
    let sum = |shares: &[(String, f64)]| shares.iter().map(|(_, share)| share).sum::<f64>();
    println!("drawing takes {:.3} of a core, Mesa {:.3}", sum(&own), sum(&mesa));
    let (width, pixels) = drawn(screen, size);
    write_png(&folder().join("codes-live.png"), width, &pixels).unwrap();
    assert!(sum(&own) > 0.0 && sum(&own) < 0.1, "{own:?}");
    instrument.close_window();
    screen.destroy(parent).unwrap();
}

/// How long each thread of this process, by number and name, has had a core.
fn busy() -> HashMap<(u32, String), Duration> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads
        .filter_map(|thread| {
            let thread = thread.ok()?;
            let name = fs::read_to_string(thread.path().join("comm")).ok()?;
            let time = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let time = Duration::from_nanos(time.split(' ').next()?.parse().ok()?);
            Some(((thread.file_name().to_str()?.parse().ok()?, name.trim().to_owned()), time))
        })
        .collect()
}

/// What is clicked on in it can be heard although nothing plays: a host must not put the instance to sleep.
fn it_keeps_the_host_calling(screen: &Screen) {
    let mut instrument = instrument();
    let rest = Playback { stands: true, ..Playback::default() };
    let may_sleep = |instrument: &mut Instrument| {
        instrument.play(&[], &rest).unwrap();
        instrument.may_sleep()
    };
    assert!(may_sleep(&mut instrument));
    let (parent, _) = open(screen, &mut instrument);
    assert!(!may_sleep(&mut instrument));
    instrument.close_window();
    screen.destroy(parent).unwrap();
    assert!(may_sleep(&mut instrument));
}

/// Windows of two instances come and go, one at a time.
fn it_opens_as_often_as_one_likes(screen: &Screen) {
    let host = host();
    let mut settled = ([0; 4], 0.0);
    for cycle in 0..cycles() {
        let mut instruments = [(); 2].map(|()| host.instrument().unwrap());
        for instrument in &mut instruments {
            let before = running();
            let (parent, size) = open(screen, instrument);
            assert!(!running().is_subset(&before), "a window has a thread");
            if cycle % 2 == 0 {
                drawn(screen, size);
            }
            if cycle % 3 == 0 {
                // It loads what it was told to play while it closes: one that the state does not say it has.
                let factory = state::with_bundle(&instrument.save().unwrap(), Path::new(""));
                instrument.load(&factory.unwrap()).unwrap();
            }
            instrument.close_window();
            // A host may unload the instrument as soon as this is done.
            assert!(running().is_subset(&before), "a closed window has a thread");
            screen.destroy(parent).unwrap();
        }
        drop(instruments);
        if cycle == 3 {
            settled = (kept(), allocated());
        }
    }
    leave_nothing_behind(settled.0);
    let (more, windows) = (allocated() - settled.1, 2 * (cycles() - 4));
    println!("{windows} windows keep {more:.2} MiB");
    assert!(more <= MEMORY.0.min(MEMORY.1 * windows as f64), "{more:.2} MiB more are allocated");
}
