//! AUDIO THREAD: whether, and how long, `process` may wait for the worker.
//!
//! In real time it may not wait at all, but for blocks so long that no worker could be ahead by one: a
//! quarter of their length. A host that renders to a file has all the time there is, but not every host
//! says so. What tells them apart is *slack*: how far the sound delivered is
//! ahead of the clock. A host in real time never has more slack than its buffers hold; a host that
//! renders to a file soon has seconds.
//!
//! This is the only place where the audio thread sleeps, and it is only entered with slack to
//! spare, or in a long block.

use std::thread;
use std::time::{Duration, Instant};

/// Slack beyond any buffer of a host in real time.
const SLACK: Duration = Duration::from_millis(250);
/// Blocks of this length are long: a note an octave above its take takes as many frames as the worker
/// may be ahead by, at 48 kHz.
const LONG: Duration = Duration::from_millis(85);
/// Longest wait for one block: a worker that takes longer has died.
const WATCHDOG: Duration = Duration::from_secs(10);
/// Longest wait for the first heads, before anything is heard. They are usually there sooner, and a
/// host that renders to a file without saying so then has no hole at the beginning.
pub const PREPARATION: Duration = Duration::from_millis(40);
/// Of so much sound one part of slack is lost. The clock of an audio device and that of the system differ by
/// less, and a host that renders gains more.
const DRIFT: u32 = 200;
/// Pause between two looks.
const NAP: Duration = Duration::from_micros(200);

/// Keeps account of slack.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// When the last block was asked for.
    last: Option<Instant>,
    /// How far delivered sound is ahead of the clock.
    slack: Duration,
    /// Sound of the block that was asked for last.
    block: Duration,
    /// Since when the clock has hardly moved on.
    still: Option<Instant>,
    /// Sound that was asked for since: a block may come in parts, one for each change of a parameter.
    at_once: Duration,
    /// Until when this block may wait.
    deadline: Option<Instant>,
    /// A wait ended without sound: waiting is no use any more.
    gave_up: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// What was waited for is there.
    Ready,
    /// It is not, and there is no time left.
    Late,
    /// It is not, after so long that it never will be.
    Hopeless,
}

impl Patience {
    /// Starts a new account: playback begins.
    pub fn restart(&mut self) {
        *self = Self { gave_up: self.gave_up, ..Self::default() };
    }

    /// Trusts the worker again after a hopeless wait.
    pub fn forgive(&mut self) {
        self.gave_up = false;
    }

    /// Begins a block of `block` length at time `now`. `unlimited` says that the host renders to a
    /// file. Real-time safe.
    pub fn begin(&mut self, now: Instant, block: Duration, unlimited: bool) {
        let elapsed = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        // Never below zero: a host that paused has not spent slack that it will get later.
        self.slack = (self.slack + self.block).saturating_sub(elapsed + self.block / DRIFT);
        self.last = Some(now);
        self.block = block;
        let begun = self.ask_at_once(now, block);
        let deadline = if unlimited {
            Some(now + WATCHDOG)
        } else if self.slack > SLACK {
            Some(now + (self.slack / 2).min(WATCHDOG))
        } else {
            (self.at_once >= LONG).then(|| begun + (self.at_once / 4).min(WATCHDOG))
        };
        self.deadline = deadline.filter(|_| !self.gave_up);
    }

    /// Adds `block` to what is asked for at once: the clock stands still while a quarter of that has not
    /// passed. Returns since when it does.
    fn ask_at_once(&mut self, now: Instant, block: Duration) -> Instant {
        let goes_on = |begun: &Instant| now.saturating_duration_since(*begun) <= self.at_once / 4;
        let still = self.still.filter(goes_on);
        let before = still.map_or(Duration::ZERO, |_| self.at_once);
        self.at_once = before.saturating_add(block);
        *self.still.insert(still.unwrap_or(now))
    }

    /// Whether this block may not wait: the host plays in real time, as far as can be told.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.deadline.is_none()
    }

    /// Lets the block that was begun wait as long as [`PREPARATION`], if it may not wait at all: it is
    /// the first, and nothing was heard yet.
    pub fn lend(&mut self) {
        let lent = self.last.map(|now| now + PREPARATION);
        self.deadline = self.deadline.or(lent.filter(|_| !self.gave_up));
    }

    /// Waits until `ready`, as long as this block may.
    pub fn wait(&mut self, mut ready: impl FnMut() -> bool) -> Wait {
        loop {
            if ready() {
                return Wait::Ready;
            }
            let (Some(begun), Some(deadline)) = (self.last, self.deadline) else {
                return Wait::Late;
            };
            let now = Instant::now();
            if now >= deadline {
                self.deadline = None;
                self.gave_up = now.saturating_duration_since(begun) >= WATCHDOG;
                return if self.gave_up { Wait::Hopeless } else { Wait::Late };
            }
            thread::sleep(NAP);
        }
    }
}

/// Waits until `ready`, at most `longest`. Not for the audio thread.
pub fn wait_at_most(longest: Duration, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + longest;
    while !ready() && Instant::now() < end {
        thread::sleep(NAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_millis(10);

    /// Whether a block may wait after 100 blocks that came `pause` apart.
    fn may_wait_after(pause: Duration) -> bool {
        let mut patience = Patience::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            patience.begin(now, BLOCK, false);
            now += pause;
        }
        patience.deadline.is_some()
    }

    #[test]
    fn a_host_in_real_time_never_waits() {
        assert!(!may_wait_after(BLOCK));
        assert!(!may_wait_after(BLOCK * 2));
    }

    #[test]
    fn hours_on_a_clock_that_is_a_little_slow_are_no_rendering() {
        let mut patience = Patience::default();
        let mut now = Instant::now();
        for _ in 0..1_000_000 {
            patience.begin(now, BLOCK, false);
            now += BLOCK - BLOCK / 500;
        }
        assert!(patience.is_live());
    }

    #[test]
    fn a_long_block_waits_for_a_quarter_of_its_length_in_real_time() {
        let mut patience = Patience::default();
        let now = Instant::now();
        patience.begin(now, LONG, false);
        assert_eq!(patience.deadline, Some(now + LONG / 4));
        patience.begin(now + LONG, LONG - NAP, false);
        assert_eq!(patience.deadline, None);
    }

    #[test]
    fn a_long_block_that_comes_in_parts_waits_for_a_quarter_of_it_in_all() {
        let mut patience = Patience::default();
        let now = Instant::now();
        for begun in [now, now + LONG] {
            // Each part takes a moment.
            let mut parts = (0..5).map(|part| {
                patience.begin(begun + part * NAP, LONG / 5, false);
                patience.deadline
            });
            assert!(parts.by_ref().take(4).all(|deadline| deadline.is_none()));
            assert_eq!(parts.next(), Some(Some(begun + LONG / 4)));
        }
        patience.begin(now + LONG + LONG / 3, LONG / 5, false);
        assert_eq!(patience.deadline, None, "that was too much of a wait to be one block");
    }

    #[test]
    fn a_host_that_renders_to_a_file_waits_once_it_is_ahead() {
        assert!(may_wait_after(BLOCK / 2));
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut patience = Patience::default();
        let mut now = Instant::now();
        patience.begin(now, BLOCK, false);
        now += Duration::from_secs(60);
        for _ in 0..30 {
            patience.begin(now, BLOCK, false);
        }
        assert!(patience.deadline.is_some(), "30 blocks at once are ahead, whatever came before");
    }

    #[test]
    fn waiting_takes_no_more_than_half_the_slack() {
        let mut patience = Patience::default();
        let now = Instant::now();
        for _ in 0..41 {
            patience.begin(now, BLOCK, false);
        }
        let slack = 40 * (BLOCK - BLOCK / DRIFT);
        assert_eq!(patience.deadline, Some(now + slack / 2));
    }

    #[test]
    fn the_first_block_may_be_lent_a_short_wait() {
        let mut patience = Patience::default();
        let now = Instant::now();
        patience.begin(now, BLOCK, false);
        patience.lend();
        assert_eq!(patience.deadline, Some(now + PREPARATION));
        patience.begin(now, BLOCK, true);
        patience.lend();
        assert_eq!(patience.deadline, Some(now + WATCHDOG));
        patience.begin(now + BLOCK, BLOCK, false);
        assert_eq!(patience.deadline, None, "it is lent once");
    }

    #[test]
    fn a_hopeless_wait_is_the_last() {
        let mut patience = Patience::default();
        let long_ago = Instant::now().checked_sub(WATCHDOG).unwrap();
        patience.begin(long_ago, BLOCK, true);
        assert_eq!(patience.wait(|| false), Wait::Hopeless);
        patience.begin(Instant::now(), BLOCK, true);
        assert_eq!(patience.wait(|| false), Wait::Late);
        patience.forgive();
        patience.begin(Instant::now(), BLOCK, true);
        assert_eq!(patience.wait(|| true), Wait::Ready);
        assert!(patience.deadline.is_some());
    }
}
