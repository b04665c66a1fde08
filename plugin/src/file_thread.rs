//! Threads that touch files.
//!
//! A file on a network drive that is gone can hold whoever touches it for ever, and no system lets such a
//! thread be ended. So nobody waits long for one: it is left behind, and the library with it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};

use crate::resident;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Whether its thread touches a file at the moment.
#[derive(Debug, Clone, Default)]
pub struct Drive(Arc<AtomicBool>);

impl Drive {
    /// Touches files, as `touch` does.
    pub fn touch<T>(&self, touch: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Release);
        let touched = touch();
        self.0.store(false, Ordering::Release);
        touched
    }
}

/// A thread that touches files.
#[derive(Debug)]
pub struct FileThread {
    thread: JoinHandle<()>,
    /// Closed by the thread as it ends.
    ended: Receiver<Infallible>,
    drive: Drive,
}

impl FileThread {
    /// Starts a thread of that name, which touches files by its [`Drive`] alone.
    ///
    /// # Errors
    ///
    /// Fails if the system has no thread left.
    pub fn start(name: &str, work: impl FnOnce(&Drive) + Send + 'static) -> io::Result<Self> {
        let (ends, ended) = bounded(0);
        let drive = Drive::default();
        let touched = drive.clone();
        let work = move || {
            let _ends = ends;
            work(&touched);
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { thread, ended, drive })
    }

    /// Waits for its end, at most `patience`; says whether it has ended.
    #[must_use]
    pub fn ends_within(&self, patience: Duration) -> bool {
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits for its end while that is `wanted`, as long as its drive does not keep it from answering for
    /// `patience`; says whether it has ended.
    #[must_use]
    pub fn is_in_time(&self, patience: Duration, wanted: impl Fn() -> bool) -> bool {
        let mut unanswered = Duration::ZERO;
        while !self.ends_within(LOOK) {
            unanswered = if self.touches() { unanswered + LOOK } else { Duration::ZERO };
            if unanswered >= patience || !wanted() {
                return false;
            }
        }
        true
    }

    /// Waits for its end, unless a drive does not answer for as long as `patience`: then it is left behind.
    pub fn leave(self, patience: Duration) {
        let mut unanswered = Duration::ZERO;
        loop {
            if self.touches() && unanswered >= patience && resident::stay() {
                return;
            }
            if self.ends_within(LOOK) {
                break;
            }
            unanswered = if self.touches() { unanswered + LOOK } else { Duration::ZERO };
        }
        // A panic of it has been caught and reported where it happened.
        let _ = self.thread.join();
    }

    fn touches(&self) -> bool {
        self.drive.0.load(Ordering::Acquire)
    }
}
