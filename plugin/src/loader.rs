//! LOADER: the threads that read bundles.
//!
//! There is one queue for the process, so that the same bundle in many instances is in memory once. The
//! loader has each read by a thread of its own, so that one on a drive that does not answer keeps only
//! itself waiting.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use distill_shared::bundle::Bundle;
use distill_shared::library::{self, bundles_in};
use distill_shared::player::Model;

use crate::allocator;
use crate::factory;
use crate::file_thread::{Drive, FileThread};
use crate::instance::{Instance, ModelRef};
use crate::state::BundleRef;
use crate::stream::LOOKAHEAD;
use crate::worker::Office;
use crate::zones::Zones;

/// Bundles of a folder that are looked into when one is searched for.
const MAX_SEARCH: usize = 256;
/// For how long the others wait for a bundle.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long they do while another one is waited for already.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// For how long a drive is waited for once nobody wants what is read any more.
const LAST_PATIENCE: Duration = Duration::from_millis(50);
/// The shortest time in seconds that frames which are made ahead must last: blocks, filters and fades at
/// twice the speed have to find room in it.
const SHORTEST: f64 = 0.02;
/// For how long nothing is loaded before memory is given back.
const REST: Duration = Duration::from_secs(2);

/// A bundle to be loaded.
#[derive(Debug)]
pub struct Job {
    /// Desk that the model goes to.
    pub desk: u64,
    /// For whom.
    pub instance: Arc<Instance>,
    /// For which of its choices.
    pub edition: u64,
    /// Which bundle.
    pub reference: BundleRef,
}

/// The thread, and the way to it.
#[derive(Debug)]
pub struct Loader {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts the thread.
    #[must_use]
    pub fn start(office: Arc<Office>) -> Self {
        let (jobs, inbox) = unbounded();
        let spawned = thread::Builder::new()
            .name("distill loader".to_owned())
            .spawn(move || serve(&inbox, &office));
        Self { jobs: Some(jobs), thread: spawned.ok() }
    }

    /// Loads a bundle as soon as those before it are done.
    pub fn load(&self, job: Job) {
        let rejected = self.jobs.as_ref().and_then(|jobs| jobs.send(job).err());
        if let Some(rejected) = rejected {
            let job = rejected.into_inner();
            job.instance.fail(job.edition, "The loader has stopped: restart the host.".to_owned());
        }
    }

    /// Ends the thread after what it is doing, unless a drive does not answer.
    pub fn join(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A bundle that can be played.
#[derive(Clone)]
struct Loaded {
    model: Arc<Model>,
    /// Digest of its codec.
    codec: String,
    reference: BundleRef,
    details: String,
}

/// What is known of a bundle besides its model.
#[derive(Clone)]
struct Shown {
    codec: String,
    reference: BundleRef,
    details: String,
}

impl Shown {
    fn of(self, model: Arc<Model>) -> Loaded {
        let Self { codec, reference, details } = self;
        Loaded { model, codec, reference, details }
    }
}

/// Does what comes, one after the other; only what a drive keeps waiting is overtaken.
fn serve(inbox: &Receiver<Job>, office: &Arc<Office>) {
    let shelf = Arc::new(Shelf::default());
    let mut waiting: Vec<FileThread> = Vec::new();
    while let Some(job) = next(inbox) {
        // Only the newest choice of an instance matters.
        if office.is_closing() || job.instance.edition() != job.edition {
            continue;
        }
        for reader in waiting.extract_if(.., |reader| reader.ends_within(Duration::ZERO)) {
            reader.leave(LAST_PATIENCE);
        }
        let patience = if waiting.is_empty() { PATIENCE } else { SHORT_PATIENCE };
        let (instance, edition) = (Arc::clone(&job.instance), job.edition);
        let late = format!(
            "{} is still waited for: {} does not answer. It plays as soon as its drive is there again.",
            title(&job.reference),
            job.reference.path,
        );
        let (shelf, desks) = (Arc::clone(&shelf), Arc::clone(office));
        let read = move |drive: &Drive| shelf.serve(&job, &desks, drive);
        match FileThread::start("distill reader", read) {
            Err(error) => instance.fail(edition, format!("The bundle cannot be read: {error}.")),
            Ok(reader) => {
                let wanted = || !office.is_closing() && instance.edition() == edition;
                if reader.is_in_time(patience, wanted) {
                    reader.leave(LAST_PATIENCE);
                } else {
                    instance.wait(edition, late);
                    waiting.push(reader);
                }
            }
        }
    }
    let since = Instant::now();
    for reader in waiting {
        reader.leave(LAST_PATIENCE.saturating_sub(since.elapsed()));
    }
}

/// What comes next, until nobody sends any more. Once nothing has come for a while, what was freed goes
/// back to the system: bundles of before, unless takes of them sound on.
fn next(inbox: &Receiver<Job>) -> Option<Job> {
    match inbox.recv_timeout(REST) {
        Err(RecvTimeoutError::Timeout) => {
            allocator::give_back();
            inbox.recv().ok()
        }
        job => job.ok(),
    }
}

/// What is in memory already.
#[derive(Default)]
struct Shelf {
    /// Models by their digest. Held while one is made, so that none is made twice.
    models: Mutex<HashMap<String, Weak<Model>>>,
    /// The factory bundle, so that it is not read for every instance; its model may be gone.
    factory: Mutex<Option<(Weak<Model>, Shown)>>,
}

impl Shelf {
    fn serve(&self, job: &Job, office: &Office, drive: &Drive) {
        let loaded = catch_unwind(AssertUnwindSafe(|| self.load(&job.reference, drive)))
            .unwrap_or_else(|_| Err("Internal error while loading the bundle.".to_owned()));
        match loaded {
            Ok(Loaded { model, codec, reference, details }) => {
                // The model first: who sees that it is ready may ask for sound.
                let zones = Zones::of(&model);
                let playing = ModelRef { model: Arc::downgrade(&model), codec };
                office.deliver(job.desk, job.edition, model);
                job.instance.succeed(job.edition, reference, details, zones, playing);
            }
            Err(error) => job.instance.fail(job.edition, error),
        }
    }

    /// Loads the bundle that `reference` names, wherever it is now.
    fn load(&self, reference: &BundleRef, drive: &Drive) -> Result<Loaded, String> {
        let wanted = |digest: &str| reference.digest.is_empty() || reference.digest == digest;
        let (found, path) = if reference.path.is_empty() {
            (self.factory(), None)
        } else {
            let path = PathBuf::from(&reference.path);
            (self.open(&path, drive), Some(path))
        };
        match found {
            Ok(loaded) if wanted(&loaded.reference.digest) => Ok(loaded),
            other => {
                let problem = match other {
                    Ok(loaded) if loaded.reference.path.is_empty() => {
                        "this version of Distill has other factory sounds".to_owned()
                    }
                    Ok(loaded) => format!(
                        "{} holds other sounds than when the project was saved",
                        loaded.reference.path
                    ),
                    Err(problem) => problem,
                };
                let missing = || format!("{} does not play: {problem}.", title(reference));
                drive.touch(|| self.search(reference, path.as_deref())).ok_or_else(missing)
            }
        }
    }

    /// The factory bundle.
    fn factory(&self) -> Result<Loaded, String> {
        let mut factory = lock(&self.factory);
        if let Some((model, shown)) = &*factory
            && let Some(model) = model.upgrade()
        {
            return Ok(shown.clone().of(model));
        }
        if factory::BYTES.is_empty() {
            return Err("this build has no factory sounds; choose a .distill file".to_owned());
        }
        let bundle = Bundle::read(factory::BYTES).map_err(|error| error.to_string())?;
        let loaded = self.pack(&bundle, "Factory sounds", String::new())?;
        let Loaded { model, codec, reference, details } = loaded.clone();
        let shown = Shown { codec, reference, details };
        *factory = Some((Arc::downgrade(&model), shown));
        Ok(loaded)
    }

    /// The bundle in a file.
    fn open(&self, path: &Path, drive: &Drive) -> Result<Loaded, String> {
        let bundle = drive.touch(|| Bundle::open(path)).map_err(|error| error.to_string())?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        self.pack(&bundle, &stem, path.to_string_lossy().into_owned())
    }

    /// Makes a bundle playable, or finds that it is already.
    fn pack(&self, bundle: &Bundle, name: &str, path: String) -> Result<Loaded, String> {
        if !bundle.has_prior() {
            return Err("the file holds no prior, so it cannot make new sound; run \
                        `distill train-prior` on it"
                .to_owned());
        }
        let codec = &bundle.config().codec;
        if ((LOOKAHEAD * codec.hop()) as f64) < SHORTEST * f64::from(codec.sample_rate) {
            return Err(format!(
                "its frames are of {} samples, too short to be made in time",
                codec.hop()
            ));
        }
        let digest = bundle.digest().to_owned();
        let mut models = lock(&self.models);
        let model = match models.get(&digest).and_then(Weak::upgrade) {
            Some(model) => model,
            None => Arc::new(Model::from_bundle(bundle).map_err(|error| error.to_string())?),
        };
        models.retain(|_, model| model.strong_count() > 0);
        models.insert(digest.clone(), Arc::downgrade(&model));
        drop(models);
        let card = bundle.card();
        let name = BundleRef::short_name(if card.name.is_empty() { name } else { &card.name });
        let details = format!(
            "{} recordings, {:.0} s, {}, {} Hz",
            card.corpus.files,
            card.corpus.seconds,
            if codec.channels == 2 { "stereo" } else { "mono" },
            codec.sample_rate,
        );
        let reference = BundleRef { digest, path, name, ..BundleRef::default() };
        Ok(Loaded { model, codec: bundle.codec_digest(), reference, details })
    }

    /// Looks for a bundle by its content where bundles are: beside the file it was last seen in,
    /// and in the library folder.
    fn search(&self, reference: &BundleRef, tried: Option<&Path>) -> Option<Loaded> {
        if reference.digest.is_empty() {
            return None;
        }
        let beside = tried.and_then(Path::parent).map(Path::to_owned);
        let folders = beside.into_iter().chain(library::folder());
        let files = folders.flat_map(|folder| bundles_in(&folder));
        files.filter(|file| Some(file.as_path()) != tried).take(MAX_SEARCH).find_map(|file| {
            let bundle = Bundle::open(&file).ok()?;
            let same = bundle.digest() == reference.digest;
            let path = file.to_string_lossy().into_owned();
            same.then(|| self.pack(&bundle, &reference.name, path).ok()).flatten()
        })
    }
}

/// What to call the bundle of a reference.
fn title(reference: &BundleRef) -> &str {
    if reference.name.is_empty() { "The chosen bundle" } else { &reference.name }
}

/// What is behind a lock: it is replaced whole, so it is sound even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
