//! The worker threads: they make all sound of all instances in the process.
//!
//! The first instance that needs sound starts the threads, the last one that leaves joins them.
//! Each instance has a *desk*, where its tickets and its half-made takes lie. A worker picks the
//! take that needs it most, whosever it is, and its share of others that are as urgent and play the
//! same model, makes one frame of each, and puts them back. The audio thread never wakes a worker: while
//! there is nothing to do it looks around every few milliseconds, less often the longer that lasts, and
//! the takes are rendered far enough ahead for that. In the end one worker looks for all of them, and
//! wakes the others when there is something to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use distill_shared::player::{Model, ModelError, VOICES};

use crate::allocator;
use crate::denormals;
use crate::desk::Desk;
use crate::instance::{Instance, Stop};
use crate::loader::{Job, Loader};
use crate::source::Source;
use crate::state::BundleRef;
use crate::stream::WorkerEnd;
use crate::studio::{Studio, Task};

/// Pause between two looks while something plays.
const SHORT_PAUSE: Duration = Duration::from_millis(2);
/// Pause between two looks while nothing plays.
const LONG_PAUSE: Duration = Duration::from_millis(10);
/// Pause between two looks of the first worker after there was nothing to do for [`AWAKE`]: the host does
/// not play, or what it plays is complete. Six tenths of what lies ready at 48 kHz, so that a note finds
/// the worker in time, unless it is raised by most of an octave; a look that wakes a core costs about 70 us,
/// so it is less than a thousandth of one.
const REST: Duration = Duration::from_millis(100);
/// Pause of the others then: the first one wakes them.
const SLEEP: Duration = Duration::from_secs(2);
/// For how long a worker without work looks around often.
const AWAKE: Duration = Duration::from_secs(10);
/// Most worker threads: one for each core of a small machine, so that takes are in time while other
/// programs want it too; hosts play their audio at a higher priority. The rest of a large machine is the
/// host's.
const MAX_THREADS: usize = 4;

/// The threads that this process has at the moment, if any.
static POOL: Mutex<Weak<Pool>> = Mutex::new(Weak::new());

/// All worker threads, the loader and the studio.
#[derive(Debug)]
struct Pool {
    office: Arc<Office>,
    workers: Vec<JoinHandle<()>>,
    loader: Loader,
    studio: Studio,
}

/// What the workers share.
#[derive(Debug)]
pub struct Office {
    /// How many workers there are to be.
    workers: usize,
    /// Those who work, once all were hired.
    threads: OnceLock<Vec<Thread>>,
    closing: AtomicBool,
    next_desk: AtomicU64,
    desks: Mutex<Vec<Desk>>,
}

/// The place of one instance among the workers. Leaving it frees everything that was made for the
/// instance; the last to leave joins the threads.
#[derive(Debug)]
pub struct Membership {
    pool: Arc<Pool>,
    desk: u64,
    instance: Arc<Instance>,
}

impl Membership {
    /// Gives an instance a desk, and starts the threads if it is the first.
    #[must_use]
    pub fn join(end: WorkerEnd, instance: Arc<Instance>) -> Self {
        let pool = Pool::current();
        let desk = pool.office.next_desk.fetch_add(1, Ordering::Relaxed);
        pool.office.desks().push(Desk::new(desk, end, Arc::clone(&instance)));
        Self { pool, desk, instance }
    }

    /// Makes the workers look around now.
    pub fn wake(&self) {
        self.pool.office.wake();
    }

    /// Loads the bundle of `reference` for choice `edition`, on a thread of its own.
    pub fn load(&self, edition: u64, reference: BundleRef) {
        let instance = Arc::clone(&self.instance);
        self.pool.loader.load(Job { desk: self.desk, instance, edition, reference });
    }

    /// Does what takes time, on a thread of its own.
    pub fn work(&self, task: Task) {
        self.pool.studio.work(task);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut desks = self.pool.office.desks();
        if let Some(i) = desks.iter().position(|desk| desk.id() == self.desk) {
            let desk = desks.swap_remove(i);
            let is_last = desks.is_empty();
            // Freeing takes its time, in which the workers should not have to wait.
            drop(desks);
            drop(desk);
            // After the last one the pool does.
            if !is_last {
                allocator::give_back();
            }
        }
    }
}

impl Pool {
    /// The threads of this process, started if there are none.
    fn current() -> Arc<Self> {
        let mut current = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        current.upgrade().unwrap_or_else(|| {
            let pool = Arc::new(Self::start());
            *current = Arc::downgrade(&pool);
            pool
        })
    }

    fn start() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let office = Arc::new(Office::new(cores.clamp(1, MAX_THREADS)));
        let workers: Vec<_> = (0..office.workers)
            .filter_map(|number| {
                let office = Arc::clone(&office);
                let name = "distill worker".to_owned();
                thread::Builder::new().name(name).spawn(move || office.work(number == 0)).ok()
            })
            .collect();
        let _ = office.threads.set(workers.iter().map(|worker| worker.thread().clone()).collect());
        let loader = Loader::start(Arc::clone(&office));
        Self { office, workers, loader, studio: Studio::default() }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.office.closing.store(true, Ordering::Release);
        self.studio.join();
        self.loader.join();
        self.office.wake();
        for worker in self.workers.drain(..) {
            // A panic of a worker has been caught and reported where it happened.
            let _ = worker.join();
        }
        allocator::give_back();
    }
}

/// How frames are made.
type Step = fn(&mut [Source]) -> Result<(), ModelError>;

/// A source off its desk.
struct Picked {
    desk: u64,
    instance: Arc<Instance>,
    source: Source,
}

impl Office {
    fn new(workers: usize) -> Self {
        let (threads, closing, next_desk, desks) = Default::default();
        Self { workers, threads, closing, next_desk, desks }
    }

    /// Gives the desk of an instance the model of choice `edition`.
    pub fn deliver(&self, desk: u64, edition: u64, model: Arc<Model>) {
        if let Some(desk) = self.desks().iter_mut().find(|other| other.id() == desk) {
            desk.set_model(edition, model);
        }
    }

    /// Whether the threads are to end.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn desks(&self) -> MutexGuard<'_, Vec<Desk>> {
        // What lies on a desk is only moved, so it is sound even after a panic.
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all pauses.
    fn wake(&self) {
        self.threads.get().into_iter().flatten().for_each(Thread::unpark);
    }

    /// A worker's day. The one who `watches` looks around for all when there is nothing to do for long.
    fn work(&self, watches: bool) {
        denormals::flush_to_zero();
        let mut idle = Duration::ZERO;
        while !self.is_closing() {
            let (picked, playing) = self.pick();
            if !picked.is_empty() {
                if idle >= AWAKE {
                    self.wake(); // the others, from their sleep
                }
                idle = Duration::ZERO;
                self.advance(picked, Source::step_together);
                continue;
            }
            let pause = match (idle < AWAKE, playing) {
                (true, true) => SHORT_PAUSE,
                (true, false) => LONG_PAUSE,
                (false, _) if watches => REST,
                (false, _) => SLEEP,
            };
            let began = Instant::now();
            thread::park_timeout(pause);
            let was_woken = began.elapsed() < pause;
            idle = if was_woken { Duration::ZERO } else { idle + pause };
        }
    }

    /// Takes the source that needs a worker most off its desk, and this worker's share of those that
    /// go with it. Also says whether anything plays.
    fn pick(&self) -> (Vec<Picked>, bool) {
        let mut desks = self.desks();
        desks.iter_mut().for_each(Desk::tend);
        let playing = desks.iter().any(Desk::is_playing);
        let mut picked: Vec<Picked> = Vec::new();
        let mut share = 1;
        while picked.len() < share {
            let like = picked.first().map(|first| &first.source);
            let neediest = desks
                .iter_mut()
                .filter_map(|desk| Some((desk.needs(like).map(|(_, need)| need).min()?, desk)))
                .min_by_key(|(need, _)| *need);
            let Some((_, desk)) = neediest else { break };
            let Some(source) = desk.pick(like) else { break };
            let (desk, instance) = (desk.id(), Arc::clone(desk.instance()));
            if picked.is_empty() {
                let others = desks.iter().map(|desk| desk.needs(Some(&source)).count());
                share = (1 + others.sum::<usize>()).div_ceil(self.workers).min(VOICES);
            }
            picked.push(Picked { desk, instance, source });
        }
        (picked, playing)
    }

    /// Makes one frame of each source by `step`, and puts them back. A panic stops all instances whose takes were
    /// being made: which of them it came from is not known.
    fn advance(&self, picked: Vec<Picked>, step: Step) {
        let places: Vec<_> = picked.iter().map(|p| (p.desk, Arc::clone(&p.instance))).collect();
        let mut sources: Vec<_> = picked.into_iter().map(|picked| picked.source).collect();
        let stepped = catch_unwind(AssertUnwindSafe(|| step(&mut sources)));
        if !matches!(stepped, Ok(Ok(()))) {
            places.iter().for_each(|(_, instance)| instance.stop(Stop::Worker));
            return;
        }
        let mut left = Vec::new(); // by their instances: freed once the desks are free
        let mut desks = self.desks();
        for ((id, _), source) in places.iter().zip(sources) {
            match desks.iter_mut().find(|desk| desk.id() == *id) {
                Some(desk) => desk.put_back(source),
                None => left.push(source),
            }
        }
        drop(desks);
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::bundle::Bundle;
    use distill_shared::player::Sampling;

    use super::*;
    use crate::factory;
    use crate::stream::{Patch, Ticket, connect};
    use crate::zones::{Zone, Zones};

    #[test]
    fn an_internal_error_stops_those_whose_sound_was_made_and_no_others() {
        let bundle = Bundle::read(factory::BYTES).expect("the factory bundle is whole");
        let model = Arc::new(Model::from_bundle(&bundle).expect("it plays"));
        let office = Office::new(1);
        let mut instances = Vec::new();
        for desk in 0..2 {
            let (mut audio, worker) = connect();
            let instance = Arc::new(Instance::default());
            let edition = instance.choose(BundleRef::default());
            office.desks().push(Desk::new(desk, worker, Arc::clone(&instance)));
            office.deliver(desk, edition, Arc::clone(&model));
            let zones = Some(Zones::default());
            let sampling = Sampling::default();
            let patch = Patch { edition, zones, seed: 0, variations: 0, clips: 0, sampling };
            let zone = Zone::default();
            let (generation, oldest, take, ahead, spare) = (0, 0, 0, 0, false);
            let ticket = Ticket { generation, oldest, take, zone, ahead, spare, patch };
            if desk == 0 {
                audio.tickets.push(ticket).expect("there is room");
            }
            instances.push((instance, audio));
        }
        let (picked, _) = office.pick();
        assert_eq!(picked.len(), 1);
        office.advance(picked, |_| panic!("as a test"));
        let stopped = instances.iter().map(|(instance, _)| instance.stopped());
        assert_eq!(stopped.collect::<Vec<_>>(), [Some(Stop::Worker), None]);
    }
}
