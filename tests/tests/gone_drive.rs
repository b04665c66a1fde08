//! A drive that does not answer keeps nobody waiting but its own bundle, and ends no host. Alone in its
//! program, since it looks at the threads of the whole process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "a lease of a file is asked for by system calls")]

mod built;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use built::{PHRASE, host};
use distill_tests::host::{Host, Instrument, Playback, state};
use serde_json::Value;

/// A file that nobody can open while this lives: whoever tries waits in the system. It is a lease
/// (`fcntl(2)`) which is not given back, and which the system takes back by itself after 45 seconds.
struct Gone(File);

impl Gone {
    fn new(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        // SAFETY: the call changes nothing but that the signal which asks for the lease is ignored.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        // SAFETY: the file is open.
        let leased = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
        assert_eq!(leased, 0, "{}", std::io::Error::last_os_error());
        Self(file)
    }

    fn come_back(self) {
        drop(self.0);
    }
}

/// Threads of this process that are the instrument's, by their names.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.trim() == name).count()
}

/// An instance that has been told to play a bundle.
fn playing(host: &Host, bundle: &Path) -> Instrument {
    let mut instrument = host.instrument().unwrap();
    let empty = instrument.save().unwrap();
    instrument.load(&state::with_bundle(&empty, bundle).unwrap()).unwrap();
    instrument
}

/// Whether its bundle is loaded: then the project knows its content.
fn is_loaded(instrument: &mut Instrument) -> bool {
    let saved = state::open(&instrument.save().unwrap()).unwrap();
    let reference: Value =
        serde_json::from_str(saved["fields"]["bundle"].as_str().unwrap()).unwrap();
    reference["digest"] != ""
}

/// Waits for what happens soon; says whether it did.
fn soon(mut happens: impl FnMut() -> bool) -> bool {
    (0..2000).any(|_| {
        sleep(Duration::from_millis(10));
        happens()
    })
}

#[test]
fn a_drive_that_does_not_answer_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/factory.distill");
    let [lost, found] = ["lost.distill", "found.distill"].map(|name| {
        let copy = folder.path().join(name);
        fs::copy(&bundle, &copy).unwrap();
        copy
    });
    let gone = Gone::new(&lost);
    let host = host();
    let mut waiting = playing(&host, &lost);
    let mut other = playing(&host, &found);
    assert!(soon(|| is_loaded(&mut other)), "the drive of another bundle holds it up");
    let heard = other.play(&PHRASE, &Playback::default()).unwrap();
    assert!(heard.channels[0].iter().any(|sample| sample.abs() > 0.01));
    assert!(!is_loaded(&mut waiting));
    gone.come_back();
    assert!(soon(|| is_loaded(&mut waiting)), "it plays once its drive is there again");

    let gone = Gone::new(&lost);
    let last = playing(&host, &lost);
    assert!(soon(|| threads("distill reader") == 1));
    drop((waiting, other, last, host));
    assert_eq!(threads("distill reader"), 1, "nobody waits for the one that waits");
    assert_eq!(threads("distill loader") + threads("distill worker"), 0, "all others have ended");
    gone.come_back();
    assert!(soon(|| threads("distill reader") == 0), "it goes on, where it was, and ends");

    let mut again = playing(&built::host(), &lost);
    assert_eq!(again.play(&PHRASE, &Playback::default()).unwrap().channels, heard.channels);
}
