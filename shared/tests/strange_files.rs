//! What is no bundle by its file: it is told at once, and nothing waits for it or maps it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod toy;

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use distill_shared::bundle::{Bundle, OpenError};

#[test]
fn pipes_devices_and_links_to_themselves_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let [pipe, ring] = ["pipe.distill", "ring.distill"].map(|name| folder.path().join(name));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink(&ring, &ring).unwrap();
    let long = folder.path().join("x".repeat(5000));
    for path in [&pipe, Path::new("/dev/zero"), Path::new("/dev/full")] {
        let message = Bundle::open(path).unwrap_err().to_string();
        assert!(message.contains("it is not a file; choose a .distill file"), "{message}");
    }
    for path in [&ring, &long] {
        assert!(matches!(Bundle::open(path), Err(OpenError::Io { .. })));
    }
}

#[test]
fn a_path_that_is_no_text_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"\xff\xfe.distill"));
    toy::bundle().write(&path).unwrap();
    assert_eq!(Bundle::open(&path).unwrap(), toy::bundle());
    fs::write(&path, b"").unwrap();
    assert!(Bundle::open(&path).unwrap_err().to_string().contains("cut off"));
}

/// Writes to a file that is being read: it grows, shrinks, is deleted and comes back.
fn disturb(path: &Path, whole: &[u8], round: usize) {
    match round % 4 {
        0 => {
            let file = OpenOptions::new().append(true).open(path);
            file.and_then(|mut file| file.write_all(&[7; 5000])).unwrap();
        }
        1 => {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(whole.len() as u64 / 2).unwrap();
        }
        2 => fs::remove_file(path).unwrap(),
        _ => fs::write(path, whole).unwrap(),
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_the_bundle_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    let whole = toy::bundle().to_bytes();
    fs::write(&path, &whole).unwrap();
    let opened = Bundle::open(&path).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                disturb(&path, &whole, round);
                round += 1;
            }
        });
        for _ in 0..500 {
            let read = Bundle::open(&path);
            assert!(read.is_err() || read.is_ok_and(|read| read == toy::bundle()));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(opened, toy::bundle(), "what was read does not hang on the file");
}
