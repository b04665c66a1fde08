//! Listening to bundles that are not loaded: their previews, beside the one that plays.

use std::path::PathBuf;

use crossbeam::channel::{Receiver, TryRecvError};
use distill_shared::bundle::Bundle;

use crate::instance::Instance;
use crate::params::DistillParams;
use crate::preview::Preview;

/// The preview that is heard, or on its way.
#[derive(Debug, Default)]
pub(super) enum Listening {
    #[default]
    Nothing,
    /// To the bundle at that path, once it is read.
    Soon(PathBuf, Receiver<Option<Preview>>),
    /// To it, as the audition of that number.
    Now(PathBuf, u64),
}

impl Listening {
    /// The bundle that is listened to.
    pub(super) fn heard(&self, instance: &Instance) -> Option<PathBuf> {
        match self {
            Self::Soon(path, _) => Some(path.clone()),
            Self::Now(path, number) => {
                Some(path.clone()).filter(|_| instance.auditions().wanted() == Some(*number))
            }
            Self::Nothing => None,
        }
    }

    /// Begins what was read. What is wrong, if anything is.
    pub(super) fn take_in(&mut self, params: &DistillParams) -> Option<String> {
        let Self::Soon(path, inbox) = self else { return None };
        let read = match inbox.try_recv() {
            Ok(read) => read,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
        };
        let Some(preview) = read else {
            let message = format!("{} has no preview: load it to hear it.", path.display());
            *self = Self::Nothing;
            return Some(message);
        };
        *self = Self::Now(std::mem::take(path), params.selection.audition(preview));
        None
    }

    /// Begins to listen to the bundle at `path`, or ends that.
    pub(super) fn turn(&mut self, params: &DistillParams, path: PathBuf) {
        let was_heard = self.heard(params.selection.instance());
        self.end(params);
        if was_heard.as_ref() == Some(&path) {
            return;
        }
        let file = path.clone();
        let preview = move || Bundle::open(&file).ok().as_ref().and_then(Preview::of);
        let inbox = params.selection.ask(preview);
        *self = Self::Soon(path, inbox);
    }

    pub(super) fn end(&mut self, params: &DistillParams) {
        let instance = params.selection.instance();
        if self.heard(instance).is_some() {
            instance.auditions().end();
        }
        *self = Self::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::factory;
    use crate::instance::Phase;
    use crate::patience::wait_at_most;
    use crate::selection::Selection;

    /// Waits until what is wanted was read, and gives what is wrong, if anything is.
    fn wait(listening: &mut Listening, params: &DistillParams) -> Option<String> {
        let begun = Instant::now();
        while matches!(listening, Listening::Soon(..)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was read");
            std::thread::sleep(Duration::from_millis(2));
            if let Some(problem) = listening.take_in(params) {
                return Some(problem);
            }
        }
        None
    }

    #[test]
    fn one_preview_is_heard_at_a_time_until_it_is_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        paths.iter().for_each(|path| fs::write(path, factory::BYTES).expect("there is room"));
        let (selection, _audio) = Selection::new();
        let params = DistillParams::new(selection);
        let instance = params.selection.instance();
        params.selection.attach();
        wait_at_most(Duration::from_secs(20), || instance.phase() == Phase::Ready);
        let mut listening = Listening::default();
        for path in &paths {
            listening.turn(&params, path.clone());
            assert_eq!(wait(&mut listening, &params), None);
            assert_eq!(listening.heard(instance).as_ref(), Some(path));
        }
        listening.turn(&params, paths[1].clone());
        assert_eq!(listening.heard(instance), None);
        assert_eq!(instance.auditions().wanted(), None);

        fs::write(&paths[0], "no bundle").expect("there is room");
        listening.turn(&params, paths[0].clone());
        let problem = wait(&mut listening, &params).expect("it is no bundle");
        assert!(problem.contains("has no preview"), "{problem}");
        assert_eq!(listening.heard(instance), None);
    }
}
