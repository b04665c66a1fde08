//! STUDIO: the thread that makes what an editor asks for: parts of clips anew, files, lists.
//!
//! It is one for the process, started once there is something to do, so that a host that only plays has
//! none. Bundles are loaded beside it: whoever waits for one does not wait for the editor's wishes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam::channel::{Sender, unbounded};

use crate::file_thread::{Drive, FileThread};

/// For how long a task that was told to end may take for it: enough to leave no file half written, unless
/// its drive does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that takes its time, and answers in its own way. It is told when the thread is to end: then
/// it should end soon, and what only its answer is wanted of should not begin.
pub type Task = Box<dyn FnOnce(&AtomicBool) + Send>;

/// The thread, and the way to it.
#[derive(Debug, Default)]
pub struct Studio {
    closing: Arc<AtomicBool>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    tasks: Sender<Task>,
    thread: FileThread,
}

impl Studio {
    /// Does `task` as soon as those before it are done; never if there can be no thread.
    pub fn work(&self, task: Task) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            *running = self.start();
        }
        let _ = running.as_ref().map(|running| running.tasks.send(task));
    }

    fn start(&self) -> Option<Running> {
        let (tasks, inbox) = unbounded::<Task>();
        let closing = Arc::clone(&self.closing);
        let serve = move |drive: &Drive| {
            for task in inbox {
                // Whoever waits for its answer sees that none comes.
                let _ = catch_unwind(AssertUnwindSafe(|| drive.touch(|| task(&closing))));
            }
        };
        let thread = FileThread::start("distill studio", serve).ok()?;
        Some(Running { tasks, thread })
    }

    /// Ends the thread, once all tasks are done: what was to be saved is. Leaves it behind if a drive does
    /// not answer it.
    pub fn join(&self) {
        self.closing.store(true, Ordering::Release);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { tasks, thread }) = running {
            drop(tasks);
            thread.leave(PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;

    use super::*;

    #[test]
    fn tasks_are_done_one_after_the_other_and_one_that_fails_harms_none() {
        let studio = Studio::default();
        let (answer, inbox) = bounded(2);
        studio.work(Box::new(|_| panic!("as a test")));
        let first = answer.clone();
        studio.work(Box::new(move |_| first.send(1).expect("there is room")));
        studio.work(Box::new(move |_| answer.send(2).expect("there is room")));
        assert_eq!([inbox.recv(), inbox.recv()], [Ok(1), Ok(2)]);
        studio.join();
    }

    #[test]
    fn a_task_is_told_that_it_is_to_end() {
        let studio = Studio::default();
        let (begins, begun) = bounded(1);
        let (answer, inbox) = bounded(1);
        studio.work(Box::new(move |closing| {
            begins.send(()).expect("there is room");
            while !closing.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            answer.send("told").expect("there is room");
        }));
        begun.recv().expect("it begins");
        let (sender, last) = bounded(1);
        studio.work(Box::new(move |closing| {
            sender.send(closing.load(Ordering::Acquire)).expect("there is room");
        }));
        studio.join();
        assert_eq!(inbox.recv(), Ok("told"));
        assert_eq!(last.recv(), Ok(true), "what waits is done, and is told too");
    }
}
