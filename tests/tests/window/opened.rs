//! Windows on a real display, and what they leave behind.

use std::collections::HashSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use distill_tests::host::Instrument;
use distill_tests::keys;
use distill_tests::memory::code;
use distill_tests::screen::Screen;

/// Where the page of codes is chosen in the window, as large as usual.
pub(crate) const CODES: (i16, i16) = (145, 22);

/// Longest time for a window to be drawn.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pixels of a window that has been drawn, and its width: they are as many as it said, and of more than
/// a few colours.
pub(crate) fn drawn(screen: &Screen, size: (u32, u32)) -> (u16, Vec<[u8; 3]>) {
    let [width, height] = [size.0, size.1].map(|length| u16::try_from(length).unwrap());
    wait("more than a few colours are drawn", || {
        let pixels = screen.picture(width, height).unwrap();
        let colours: HashSet<_> = pixels.iter().collect();
        (colours.len() > 20).then_some((width, pixels))
    })
}

/// Opens the window of an instance inside one of the host's, which is returned with its size.
pub(crate) fn open(screen: &Screen, instrument: &mut Instrument) -> (u32, (u32, u32)) {
    open_at(screen, instrument, 1.0)
}

/// The same, drawn so many times as large.
pub(crate) fn open_at(
    screen: &Screen,
    instrument: &mut Instrument,
    scale: f64,
) -> (u32, (u32, u32)) {
    let parent = screen.window(1960, 1320).unwrap();
    let size = instrument.open_window(parent, scale).unwrap();
    (parent, size)
}

/// Threads, open files, keys for values of threads, and bytes of code that can be written, of this process.
pub(crate) fn kept() -> [usize; 4] {
    let count = |of| fs::read_dir(format!("/proc/self/{of}")).unwrap().count();
    [count("task"), count("fd"), keys::taken(), code().unwrap()]
}

/// Threads of this process that run, by number, but for those in which instances load and work. One that
/// was waited for can still be listed for a moment.
pub(crate) fn running() -> HashSet<u32> {
    /// `PF_EXITING` of Linux: it has begun to end.
    const ENDING: u64 = 4;
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads
        .filter_map(|thread| {
            // Number, (name), state, and five more before flags.
            let stat = fs::read_to_string(thread.ok()?.path().join("stat")).ok()?;
            let (start, rest) = stat.rsplit_once(')')?;
            let (number, name) = start.split_once(" (")?;
            let flags: u64 = rest.split_whitespace().nth(6)?.parse().ok()?;
            let counts = flags & ENDING == 0 && !name.starts_with("distill ");
            counts.then(|| number.parse().ok())?
        })
        .collect()
}

/// How many windows are opened and closed.
pub(crate) fn cycles() -> usize {
    let cycles = std::env::var("DISTILL_SOAK_WINDOWS").ok();
    cycles.and_then(|cycles| cycles.parse().ok()).unwrap_or(20)
}

/// Waits until `look` sees something.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(waited < PATIENCE, "it never comes that {what}");
        sleep(Duration::from_millis(20));
        waited += Duration::from_millis(20);
    }
}

/// Nothing is kept beyond what was once. The thread of a window may need a moment to end.
pub(crate) fn leave_nothing_behind(settled: [usize; 4]) {
    let more = || kept().iter().zip(settled).any(|(now, then)| *now > then);
    wait(&format!("threads, files, keys and code are {settled:?} again"), || {
        (!more()).then_some(())
    });
}
