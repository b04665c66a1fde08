//! Memory that runs out costs the program, never what it has learned.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use distill_shared::bundle::Bundle;
use program::{TINY, stderr, succeed, write_recordings};

/// Room for the program to be loaded, and little more, in KiB of addresses.
const LEAST: u64 = 64 << 10;
/// What is too much for it in any case.
const MOST: u64 = 16 << 20;

/// Runs the program with room for `kib` KiB.
fn with_room(folder: &Path, arguments: &str, kib: u64) -> Output {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {kib} && exec \"$0\" {arguments}");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_distill")]).current_dir(folder);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it hangs with {kib} KiB");
        sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_for_which_memory_is_too_small_goes_on_where_there_is_more() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write_recordings(&home.join("sounds"));
    let train = format!("train sounds {TINY} --seed 7 --threads 1 --checkpoint-every 0s");
    let train = format!("{train} --quiet --codec-steps 20 --prior-steps 9");
    succeed(home, &format!("{train} -o whole.distill"));
    let whole = Bundle::open(&home.join("whole.distill")).unwrap();

    let arguments = format!("{train} -o x.distill");
    let (mut room, mut failures) = (LEAST, 0);
    loop {
        let output = with_room(home, &arguments, room);
        if output.status.success() {
            break;
        }
        failures += 1;
        assert!(!stderr(&output).is_empty(), "it ends without a word with {room} KiB");
        assert!(room < MOST, "{}", stderr(&output));
        room += room / 6;
    }
    println!("{failures} runs had too little room; {room} KiB were enough");
    assert!(failures > 3);
    let bundle = Bundle::open(&home.join("x.distill")).unwrap();
    assert_eq!(bundle.digest(), whole.digest());
    assert!(!home.join("x.distill.run").exists());
    let left = fs::read_dir(home).unwrap().flatten().map(|file| file.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("tmp")).collect();
    assert!(left.is_empty(), "{left:?} was left");
}
