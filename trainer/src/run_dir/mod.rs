//! The run directory: what an interrupted run goes on from.
//!
//! It lies beside the bundle that is to be written, `X.distill.run` for `X.distill`, and holds
//! checkpoints: everything that training has come to, so that a run that goes on from one ends in the
//! same bits as one that was never interrupted. It is gone once the bundle is complete. Where a stopped run
//! left its bundle beside a finished one, a note tells which.
//!
//! * [`storage`]: the few things that are done to the disk;
//! * [`store`]: in which order, so that whatever happens there is a whole checkpoint;
//! * [`checkpoint`]: one of them, as a file;
//! * [`terms`]: what the run was begun with, and how that differs from what is asked for now;
//! * [`RunDir`]: all of it, for one run.

pub mod checkpoint;
mod left;
pub mod storage;
pub mod store;
pub mod terms;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use distill_shared::bundle::WriteError;
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};

use crate::corpus::Before;
use crate::stop::Usage;
use crate::train::{self, Changed, Keeper, Stage, State, Unkept};
use checkpoint::{Checkpoint, FinishedCodec};
use storage::{Folder, Nowhere, Storage, is_full};
use store::{Room, Store};
use terms::{Differences, Terms};

/// What the lock is on. The system lets go of it when the process ends, however it does.
const LOCK: &str = "lock";
/// A checkpoint may cost one in so many seconds.
const COST: u32 = 50;

/// How a run begins.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// What becomes of what an interrupted run has left.
    pub found: FoundRun,
    /// Time between checkpoints; none makes one after every step.
    pub every: Duration,
}

/// What becomes of what an interrupted run has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundRun {
    /// It goes on, if nothing has changed.
    Resume,
    /// It goes on, whatever has changed.
    Accept,
    /// It is dropped.
    Drop,
}

/// The directory of one run, which no other run can use at the same time.
pub struct RunDir {
    path: PathBuf,
    /// None in tests that keep checkpoints elsewhere.
    lock: Option<File>,
    store: Store,
    start: Start,
    terms: Terms,
    changed: Changed,
    /// The codec, once it is trained.
    codec: Option<FinishedCodec>,
    /// What an earlier run left of the stage it was in, until that goes on.
    found: Option<Checkpoint>,
    /// Names of checkpoints that cannot be read.
    damaged: Vec<String>,
    clock: Clock,
    /// The state that was kept last.
    last: Option<(Stage, u32)>,
    /// Whether there is something to go on from.
    holds: bool,
    full: bool,
    /// Whether another rank keeps everything.
    follows: bool,
}

/// When checkpoints are due, and how long the run has taken.
struct Clock {
    began: Instant,
    /// Seconds that the run took before, when it was interrupted.
    before_s: f64,
    kept: Instant,
    /// What the last checkpoint took.
    cost: Duration,
}

impl RunDir {
    /// Opens the directory at `path`, or makes it, and takes its lock.
    ///
    /// # Errors
    ///
    /// Fails if another run has it, if it cannot be written to, or if what is in it cannot be read.
    pub fn open(path: PathBuf, start: Start) -> Result<Self> {
        match fs::create_dir(&path) {
            // It has to outlast a loss of power as what will be in it does.
            Ok(()) => Folder(folder_of(&path)).sync().map_err(|error| failed(&path, error))?,
            Err(error) if !path.is_dir() => return Err(failed(&path, error).into()),
            Err(_) => {}
        }
        let lock = path.join(LOCK);
        let foreign = |file: fs::Metadata| !file.is_file() || file.len() > 0;
        if fs::symlink_metadata(&lock).is_ok_and(foreign) {
            return Err(anyhow!(
                "{} is no run of distill, for it holds a file called {LOCK} that is none of ours; \
                 move it away, or write to another bundle with -o",
                path.display()
            ));
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
        let lock = lock.map_err(|error| failed(&path, error))?;
        // Where files cannot be locked, it is left to the musician.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(taken(&path));
        }
        let folder = Box::new(Folder(path.clone()));
        let mut run = Self::with_storage(folder, path, start)?;
        run.lock = Some(lock);
        Ok(run)
    }

    /// The directory of a run whose files are in `storage`, wherever that is, and is called `path`.
    ///
    /// # Errors
    ///
    /// Fails if what is in it cannot be read.
    pub fn with_storage(storage: Box<dyn Storage>, path: PathBuf, start: Start) -> Result<Self> {
        let read = |bytes: &[u8]| Checkpoint::read(bytes).map_err(|error| format!("{error:#}"));
        let (store, mut found) =
            Store::open(storage, read).map_err(|error| failed(&path, error))?;
        let holds = found.newest.is_some() || !found.damaged.is_empty();
        if start.found == FoundRun::Drop {
            // It is removed once another run begins: until then that can fail.
            (found.newest, found.damaged) = (None, Vec::new());
        }
        if let (None, Some((name, why))) = (&found.newest, found.damaged.first()) {
            return Err(anyhow!(
                "no checkpoint in {} can be read ({name}: {why}); --fresh drops them and begins anew",
                path.display()
            ));
        }
        let before_s = found.newest.as_ref().map_or(0.0, |found| found.spent_s);
        let began = Instant::now();
        Ok(Self {
            path,
            lock: None,
            store,
            start,
            terms: Terms::default(),
            changed: Changed::default(),
            codec: None,
            found: found.newest,
            damaged: found.damaged.into_iter().map(|(name, _)| name).collect(),
            clock: Clock { began, before_s, kept: began, cost: Duration::ZERO },
            last: None,
            holds,
            full: false,
            follows: false,
        })
    }

    /// The checkpoint that the run goes on from, as a file; nothing if there is none.
    ///
    /// # Errors
    ///
    /// Fails as [`Checkpoint::into_bytes`] does.
    pub fn found(&self) -> Result<Vec<u8>> {
        self.found.clone().map_or(Ok(Vec::new()), Checkpoint::into_bytes)
    }

    /// The directory at `path` as a rank knows it that does not have it: it goes on from `found`, which
    /// [`Self::found`] has given on the rank that does, and keeps nothing.
    ///
    /// # Errors
    ///
    /// Fails if that is no checkpoint.
    pub fn following(path: PathBuf, found: &[u8], start: Start) -> Result<Self> {
        let mut run = Self::with_storage(Box::new(Nowhere), path, start)?;
        run.follows = true;
        if !found.is_empty() {
            let found = Checkpoint::read(found)?;
            run.clock.before_s = found.spent_s;
            run.found = Some(found);
        }
        Ok(run)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What there is to do to go on with it later.
    #[must_use]
    pub fn repeat(&self) -> &'static str {
        // Repeated as it is, that would drop this run, too.
        if self.start.found == FoundRun::Drop {
            "repeat the command without --fresh to go on"
        } else {
            "repeat the command to go on"
        }
    }

    /// Whether an interrupted run is to go on.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.found.is_some()
    }

    /// What the run that is to go on knows of its recordings: whatever changes, what it was trained on is
    /// not to be held out.
    #[must_use]
    pub fn before(&self) -> Before {
        self.found.as_ref().map_or(Before::default(), |found| found.terms.recordings.before())
    }

    /// Begins a run of these terms, or goes on with the one that was interrupted. Gives what the
    /// musician should be told.
    ///
    /// # Errors
    ///
    /// Fails with [`Usage`] if that one was begun with other terms, and it was not said that they are
    /// accepted, or if they cannot be.
    pub fn begin(&mut self, terms: Terms) -> Result<Vec<String>> {
        let mut told: Vec<String> =
            self.damaged.iter().map(|name| format!("skipped {name}, which is damaged")).collect();
        if let Some(found) = &self.found {
            let (stage, step) = found.place();
            let prior = self.found_state(Stage::Prior).is_some();
            let begun = if prior { terms::Begun::Prior } else { terms::Begun::Codec };
            let differences = found.terms.differences(&terms, begun);
            self.agree(&differences)?;
            self.changed = differences.changed;
            self.codec.clone_from(&found.codec);
            let (path, stage) = (self.path.display(), stage.name());
            told.push(format!("going on with {path}, at step {step} of the {stage}"));
        }
        if self.start.found == FoundRun::Drop {
            self.store.clear().map_err(|error| failed(&self.path, error))?;
            self.forget_left();
            self.holds = false;
        }
        self.terms = terms;
        Ok(told)
    }

    /// Whether a run goes on although there are differences.
    fn agree(&self, Differences { told, sizes, .. }: &Differences) -> Result<(), Usage> {
        let what = match (told.is_empty(), *sizes, self.start.found) {
            (true, ..) | (_, false, FoundRun::Accept) => return Ok(()),
            (_, true, _) => {
                "sizes stay what they are while a run lasts: repeat it as it was begun, or"
            }
            _ => "repeat it as it was begun, or go on all the same with --accept-changes, or",
        };
        Err(Usage(format!(
            "{} holds a run that was interrupted, and since then {}; {what} drop it and begin anew \
             with --fresh",
            self.path.display(),
            told.join("; ")
        )))
    }

    /// Time that the run had taken when it was interrupted.
    #[must_use]
    pub fn spent_before(&self) -> Duration {
        Duration::try_from_secs_f64(self.clock.before_s).unwrap_or_default()
    }

    /// The codec, if an earlier run has finished it.
    #[must_use]
    pub fn finished_codec(&self) -> Option<FinishedCodec> {
        self.codec.clone()
    }

    /// Sizes of the codec that is being trained, or is trained already.
    ///
    /// # Errors
    ///
    /// Fails if the checkpoint is of another program.
    pub fn codec_config(&self) -> Result<Option<CodecConfig>> {
        match (&self.codec, self.found_state(Stage::Codec)) {
            (Some(codec), _) => Ok(Some(codec.config.clone())),
            (None, state) => {
                let Some(state) = state else { return Ok(None) };
                let codec: CodecConfig = state.config()?;
                // It comes from outside.
                let model = ModelConfig { codec, prior: None };
                model.check().context("the checkpoint holds no codec that there could be")?;
                Ok(Some(model.codec))
            }
        }
    }

    /// Sizes of the prior that is being trained.
    ///
    /// # Errors
    ///
    /// Fails if the checkpoint is of another program.
    pub fn prior_config(&self) -> Result<Option<PriorConfig>> {
        self.found_state(Stage::Prior).map(State::config).transpose()
    }

    fn found_state(&self, stage: Stage) -> Option<&State> {
        self.found.as_ref()?.state.as_ref().filter(|state| state.stage == stage)
    }

    /// Keeps a codec that is trained: from now on the prior is at hand.
    ///
    /// # Errors
    ///
    /// Fails as [`Keeper::keep`] does.
    pub fn finish_codec(&mut self, codec: FinishedCodec) -> Result<(), Unkept> {
        self.codec = Some(codec);
        self.save(None)
    }

    /// Whether the disk has filled up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The error of a disk that is full.
    #[must_use]
    pub fn full_error(&self) -> WriteError {
        failed(&self.path, io::ErrorKind::StorageFull.into())
    }

    /// Gives up room for something that matters more than the next checkpoint. Whether there was any.
    pub fn make_room(&mut self) -> bool {
        self.store.make_room()
    }

    /// Removes it: the run is complete.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be removed.
    pub fn remove(mut self) -> Result<(), WriteError> {
        self.store.clear().map_err(|error| failed(&self.path, error))?;
        self.holds = false;
        Ok(())
    }

    /// Saves a checkpoint with this state.
    fn save(&mut self, state: Option<State>) -> Result<(), Unkept> {
        if self.follows {
            return Ok(());
        }
        let began = Instant::now();
        let spent_s = self.clock.before_s + self.clock.began.elapsed().as_secs_f64();
        let (terms, codec) = (self.terms.clone(), self.codec.clone());
        let checkpoint = Checkpoint { terms, spent_s, codec, state };
        let place = checkpoint.place();
        let bytes = checkpoint.into_bytes();
        let saved = bytes.as_ref().ok().map(|bytes| self.store.save(bytes));
        (self.clock.kept, self.clock.cost) = (Instant::now(), began.elapsed());
        let (Ok(_), Some(saved)) = (&bytes, saved) else {
            let why = bytes.err().map_or_else(String::new, |error| format!("{error:#}"));
            let message = format!("a checkpoint cannot be made: {why}; training goes on");
            return Err(Unkept { message, full: false });
        };
        let path = self.path.display();
        match saved {
            Ok(room) => {
                (self.holds, self.last) = (true, Some(place));
                if room == Room::Enough {
                    return Ok(());
                }
                self.full = true;
                let message =
                    format!("the disk is full: the run is kept in {path}, and stops here");
                Err(Unkept { message, full: true })
            }
            Err(error) if is_full(&error) => {
                self.full = true;
                let message = format!(
                    "the disk is full, and {path} has no room for another checkpoint: the run stops here"
                );
                Err(Unkept { message, full: true })
            }
            Err(error) => {
                let message = format!(
                    "cannot save a checkpoint in {path}: {error}; training goes on, and tries again later"
                );
                Err(Unkept { message, full: false })
            }
        }
    }
}

impl Keeper for RunDir {
    fn begun(&mut self, stage: Stage) -> Option<train::Begun> {
        self.found_state(stage)?;
        let state = self.found.take()?.state?;
        Some(train::Begun { state, changed: self.changed })
    }

    fn reserve(&mut self, state: &State) -> Result<()> {
        if self.follows {
            return Ok(());
        }
        let (terms, codec) = (self.terms.clone(), self.codec.clone());
        let checkpoint = Checkpoint { terms, spent_s: 0.0, codec, state: Some(state.clone()) };
        let bytes = checkpoint.into_bytes()?;
        let reserved = self.store.reserve(&bytes);
        if self.codec.is_some() {
            // There is a codec to be saved: training goes on, and the first checkpoint that finds no room
            // ends it.
            return Ok(());
        }
        reserved.map_err(|error| failed(&self.path, error)).with_context(|| {
            let megabytes = bytes.len().div_ceil(1_000_000);
            format!("a run needs room for checkpoints of {megabytes} MB each, three at a time")
        })
    }

    fn is_due(&self) -> bool {
        let Self { start: Start { every, .. }, clock, follows, .. } = self;
        if *follows {
            return false;
        }
        let wait = if every.is_zero() { *every } else { (*every).max(clock.cost * COST) };
        clock.kept.elapsed() >= wait
    }

    fn keep(&mut self, state: State) -> Result<(), Unkept> {
        if self.last == Some((state.stage, state.step)) {
            return Ok(());
        }
        self.save(Some(state))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What holds nothing is not left for the musician to clean up. While this is done, the lock is.
        if self.lock.is_some() && !self.holds {
            let _ = self.store.clear();
            if cfg!(windows) {
                // It removes no file that is open.
                self.lock = None;
            }
            self.forget_left();
            let _ = fs::remove_file(self.path.join(LOCK));
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn failed(path: &Path, error: io::Error) -> WriteError {
    WriteError { path: path.to_owned(), error }
}

fn taken(path: &Path) -> anyhow::Error {
    anyhow!(
        "{} is in use: another distill is training this bundle; wait for it, or write to another one \
         with -o",
        path.display()
    )
}
