//! The program, interrupted in every way: what it has learned is never lost.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "interrupted/beside.rs"]
mod beside;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use distill_shared::bundle::Bundle;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use distill_trainer::run_dir::checkpoint::Checkpoint;
use distill_trainer::train::Stage;
use serde_json::Value;
use tempfile::TempDir;

/// Sizes of a model that trains in a blink, on one thread, with a checkpoint after every step.
const TINY: &str = "--width 16 --encoder-blocks 1 --decoder-blocks 1 --quantizers 2 \
    --codebook-size 16 --latent-dim 8 --hidden-size 16 --layers 1 --heads 2 --codec-batch 2 \
    --prior-batch 2 --seed 7 --checkpoint-every 0s";
/// Steps of the codec where a run is to end.
const CODEC_STEPS: u32 = 40;
/// A codec that never ends by itself.
const ENDLESS: &str = "train sounds -o x.distill --stage codec --codec-steps 1000000";

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace()).stdout(Stdio::null());
    command
}

fn distill(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn expect(folder: &Path, arguments: &str, code: i32, what: &str) -> String {
    let output = distill(folder, arguments);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "distill {arguments}\n{told}");
    assert!(told.contains(what), "expected {what:?} in: {told}");
    told
}

fn write_sound(path: &Path, hz: f32) {
    let value = |t: u16| {
        let t = f32::from(t) / 48_000.0;
        0.5 * (-6.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
    };
    let sound: Vec<f32> = (0..15_000).map(value).collect();
    let format = ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 48_000 };
    write_audio(path, &[sound], format).unwrap();
}

/// A folder with four short recordings in `sounds`.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let sounds = home.path().join("sounds");
    fs::create_dir(&sounds).unwrap();
    for i in 0..4_u8 {
        write_sound(&sounds.join(format!("{i}.wav")), 150.0 * f32::from(i + 1));
    }
    home
}

/// A place in a run: the stage, and the updates made of it.
type Place = (Stage, u32);

/// The place of the newest checkpoint of a run, which may be going on.
fn newest(run_dir: &Path) -> Option<Place> {
    let entries = fs::read_dir(run_dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension() == Some("checkpoint".as_ref()));
    paths.sort();
    // The last may be gone since it was listed.
    let read = |path: &PathBuf| Checkpoint::read(&fs::read(path).ok()?).ok();
    paths.iter().rev().find_map(read).map(|checkpoint| checkpoint.place())
}

/// Waits until a run has come past a place.
fn wait_past(run_dir: &Path, place: Option<Place>) {
    let begun = Instant::now();
    while newest(run_dir) <= place {
        assert!(begun.elapsed() < Duration::from_secs(120), "not past {place:?} in two minutes");
        sleep(Duration::from_millis(5));
    }
}

/// Whether whoever runs the tests has them outlast a closed terminal: the program inherits that, and a
/// SIGHUP tells it nothing.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

fn signal(child: &Child, name: &str) {
    let name = if name == "-HUP" && hangups_are_ignored() { "-TERM" } else { name };
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Asserts that the run that wrote `log`, if it came to a step, went on right after `before`. Counts one
/// if that was in the middle of a stage.
fn goes_on(log: &Path, before: Option<Place>) -> u32 {
    let log = fs::read_to_string(log).unwrap_or_default();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let first = events.into_iter().find_map(|event| {
        let stage = match event["event"].as_str()? {
            "codec_step" => Stage::Codec,
            "prior_step" => Stage::Prior,
            _ => return None,
        };
        Some((stage, u32::try_from(event["progress"]["step"].as_u64()?).ok()?))
    });
    let expected = match before {
        None => (Stage::Codec, 1),
        Some((Stage::Codec, CODEC_STEPS)) => (Stage::Prior, 1),
        Some((stage, step)) => (stage, step + 1),
    };
    assert!(first.is_none_or(|first| first == expected), "{first:?} follows on {before:?}");
    u32::from(first.is_some_and(|(_, step)| step > 1))
}

/// Waits until a run has saved something, and then for a random moment, so that most runs are killed while
/// they save; or for any part of a second.
fn wait_at_random(child: &mut Child, run_dir: &Path, before: Option<Place>, random: u64) {
    // Long enough for a machine that has other things to do: a program that never comes to its first step
    // is never interrupted in one.
    let most = Duration::from_secs(20);
    let begun = Instant::now();
    let mut nothing_yet = || newest(run_dir) <= before && child.try_wait().unwrap().is_none();
    while !random.is_multiple_of(4) && nothing_yet() && begun.elapsed() < most {
        sleep(Duration::from_millis(3));
    }
    let longest = if random.is_multiple_of(4) { 1000 } else { 60 };
    sleep(Duration::from_millis((random >> 8) % longest));
}

#[test]
fn an_interrupted_run_ends_in_the_bundle_of_one_that_was_not() {
    let lengths = format!("--codec-steps {CODEC_STEPS} --prior-steps 9");
    let train = format!("train sounds {TINY} --quiet --threads 1 {lengths}");
    let home = home();
    let home = home.path();
    expect(home, &format!("{train} -o whole.distill"), 0, "");
    let whole = Bundle::open(&home.join("whole.distill")).unwrap();
    let kills: u32 =
        std::env::var("DISTILL_KILLS").map_or(25, |kills| kills.parse().expect("a number"));
    let (bundle, run_dir) = (home.join("x.distill"), home.join("x.distill.run"));
    let (mut gone_on, mut finished, mut random) = (0, 0, u64::from(std::process::id()));
    for kill in 1..=kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        let before = newest(&run_dir);
        let log = home.join(format!("{kill}.jsonl"));
        let arguments = format!("{train} -o x.distill --log {kill}.jsonl");
        let mut child = command(home, &arguments).stderr(Stdio::piped()).spawn().unwrap();
        wait_at_random(&mut child, &run_dir, before, random >> 20);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        gone_on += goes_on(&log, before);
        if output.status.success() {
            assert_eq!(Bundle::open(&bundle).unwrap().digest(), whole.digest());
            assert!(!run_dir.exists(), "what is complete leaves nothing behind");
            fs::remove_file(&bundle).unwrap();
            finished += 1;
            continue;
        }
        assert_eq!(output.status.code(), None, "it was killed: {}", stderr(&output));
        if Bundle::open(&bundle).is_ok_and(|bundle| bundle.digest() == whole.digest()) {
            // Killed while it cleared up: what it had learned is in the bundle.
            fs::remove_file(&bundle).unwrap();
            finished += 1;
            continue;
        }
        let after = newest(&run_dir);
        assert!(after >= before, "{after:?} is left of {before:?}");
    }
    expect(home, &format!("{train} -o x.distill"), 0, "");
    let last = Bundle::open(&bundle).unwrap();
    assert_eq!(last.digest(), whole.digest(), "after {kills} kills");
    assert_eq!(last.card().codec.training.curve, whole.card().codec.training.curve);
    assert!(!run_dir.exists() && last.has_prior());
    assert!(gone_on > 0, "no kill met a stage in its middle");
    println!("{kills} kills: {gone_on} went on in the middle of a stage, {finished} came too late");
}

/// Stops a run once it goes on, and gives what it told.
fn stop(home: &Path, arguments: &str, run_dir: &str, name: &str) -> Output {
    let run_dir = home.join(run_dir);
    let before = newest(&run_dir);
    let child = command(home, arguments).stderr(Stdio::piped()).spawn().unwrap();
    wait_past(&run_dir, before);
    signal(&child, name);
    child.wait_with_output().unwrap()
}

/// Waits until the log of a run tells of a step.
fn wait_for_step(log: &Path) {
    let begun = Instant::now();
    while !fs::read_to_string(log).unwrap_or_default().contains("codec_step") {
        assert!(begun.elapsed() < Duration::from_secs(120), "no step in two minutes");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_polite_signal_leaves_a_checkpoint_and_a_bundle() {
    let home = home();
    let home = home.path();
    let run_dir = home.join("x.distill.run");
    let mut before = None;
    for name in ["-INT", "-TERM", "-HUP"] {
        let tiny = TINY.replace(" 0s", " 1h");
        let arguments = format!("{ENDLESS} {tiny} --log {name}.jsonl").replace("log -", "log ./-");
        let child = command(home, &arguments).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_step(&home.join(format!("{name}.jsonl")));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{name}: {told}");
        assert!(told.contains("repeat the command to go on"), "{told}");
        let bundle = Bundle::open(&home.join("x.distill")).unwrap();
        let place = newest(&run_dir);
        assert!(place > before, "{name}: {place:?} comes after {before:?}");
        let steps = bundle.card().codec.training.steps;
        assert_eq!(place, Some((Stage::Codec, steps)), "the last step is kept");
        before = place;
    }
    let output = stop(home, &format!("{ENDLESS} {TINY}"), "x.distill.run", "-KILL");
    assert_eq!(output.status.code(), None);
    assert!(newest(&run_dir) > before);
}

#[test]
fn a_prior_that_is_stopped_goes_on_and_so_does_one_that_is_trained_alone() {
    let home = home();
    let home = home.path();
    let train = format!("train sounds -o x.distill {TINY} --codec-steps 12 --prior-steps");
    let child = command(home, &format!("{train} 1000000")).stderr(Stdio::piped()).spawn().unwrap();
    wait_past(&home.join("x.distill.run"), Some((Stage::Prior, 0)));
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let bundle = Bundle::open(&home.join("x.distill")).unwrap();
    assert!(bundle.prior_metadata().unwrap().training.stopped_early);
    let (stage, step) = newest(&home.join("x.distill.run")).unwrap();
    let told = expect(home, &format!("{train} {}", step + 2), 2, "--prior-steps was 1000000");
    assert!(told.contains("--accept-changes") && told.contains("--fresh"), "{told}");
    let more = format!("{train} {} --accept-changes", step + 2);
    let place = format!("at step {step} of the {}", stage.name());
    let told = expect(home, &more, 0, &place);
    assert!(!told.contains("codec  "), "the codec is not trained again: {told}");
    let bundle = Bundle::open(&home.join("x.distill")).unwrap();
    assert_eq!(bundle.prior_metadata().unwrap().training.steps, step + 2);
    assert!(!home.join("x.distill.run").exists());

    let alone = "train-prior x.distill --steps 1000000 --prior-batch 2 --checkpoint-every 0s";
    let output = stop(home, alone, "x.distill.prior.run", "-INT");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    expect(home, &format!("{alone} --seed 3"), 2, "--seed was 0 and is 3");
    let told = stderr(&stop(home, alone, "x.distill.prior.run", "-TERM"));
    assert!(told.contains("going on with x.distill.prior.run"), "{told}");
}

#[test]
fn two_runs_never_share_a_directory() {
    let home = home();
    let home = home.path();
    let train = format!("{ENDLESS} {TINY}");
    let mut first = command(home, &train).stderr(Stdio::null()).spawn().unwrap();
    wait_past(&home.join("x.distill.run"), None);
    expect(home, &train, 1, "another distill is training this bundle");
    expect(home, &format!("{train} --fresh"), 1, "x.distill.run is in use");
    first.kill().unwrap();
    first.wait().unwrap();
    let lock = home.join("x.distill.run/lock");
    assert!(lock.exists(), "it is left behind, and holds nobody up");
    let output = stop(home, &train, "x.distill.run", "-TERM");
    assert!(stderr(&output).contains("going on with x.distill.run"));
}

#[test]
fn what_has_changed_is_named_and_only_accepted_when_that_is_said() {
    let home = home();
    let home = home.path();
    let train = format!("{ENDLESS} {TINY}");
    assert_eq!(stop(home, &train, "x.distill.run", "-TERM").status.code(), Some(3));
    write_sound(&home.join("sounds/new.wav"), 999.0);
    write_sound(&home.join("sounds/1.wav"), 1234.0);
    fs::remove_file(home.join("sounds/2.wav")).unwrap();
    let recordings = "recordings were added (new.wav), removed (2.wav), changed (1.wav)";
    let before = newest(&home.join("x.distill.run")).unwrap();
    let told = expect(home, &train, 2, recordings);
    assert_eq!(told.lines().filter(|line| line.starts_with("error:")).count(), 1, "{told}");
    let slower = train.replace("--codec-batch 2", "--codec-batch 3");
    expect(home, &slower, 2, "--codec-batch was 2 and is 3");
    let wider = train.replace("--width 16", "--width 24");
    expect(home, &format!("{wider} --accept-changes"), 2, "sizes stay what they are");
    expect(home, &format!("{train} --fresh --accept-changes"), 2, "cannot be used with");
    assert_eq!(newest(&home.join("x.distill.run")), Some(before), "a refusal changes nothing");
    let shorter = slower.replace("1000000", &(before.1 + 3).to_string());
    let told = expect(home, &format!("{shorter} --accept-changes"), 0, "going on with");
    assert!(told.contains(&format!("at step {} of the codec", before.1)), "{told}");
    let bundle = Bundle::open(&home.join("x.distill")).unwrap();
    assert_eq!(bundle.card().codec.training.steps, before.1 + 3);
    assert!(bundle.corpus_codes().iter().any(|one| one.name == "new.wav"));
    assert!(!home.join("x.distill.run").exists());
    assert_eq!(stop(home, &train, "x.distill.run", "-TERM").status.code(), Some(3));
    let anew = train.replace("1000000", "4");
    let told = expect(home, &format!("{anew} --fresh"), 0, "codec  ");
    assert!(!told.contains("going on"), "{told}");
}

#[test]
fn what_was_trained_on_is_never_held_out_whatever_is_accepted() {
    let home = home();
    let home = home.path();
    let train = format!("{ENDLESS} {TINY}");
    let of_bundle = |held_out: bool| {
        let codes = Bundle::open(&home.join("x.distill")).unwrap().corpus_codes();
        let names = codes.into_iter().filter(|one| one.held_out == held_out).map(|one| one.name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(stop(home, &train, "x.distill.run", "-TERM").status.code(), Some(3));
    let (heard, held_out) = (of_bundle(false), of_bundle(true));
    assert!(!heard.is_empty() && !held_out.is_empty());
    for seed in 1..4 {
        let other = train.replace("--seed 7", &format!("--seed {seed} --accept-changes"));
        assert_eq!(stop(home, &other, "x.distill.run", "-TERM").status.code(), Some(3));
        assert_eq!(of_bundle(true), held_out, "seed {seed}");
    }
    let name = held_out[0].strip_suffix(" (last tenth)").unwrap();
    fs::remove_file(home.join("sounds").join(name)).unwrap();
    write_sound(&home.join("sounds/new.wav"), 999.0);
    let other = train.replace("--seed 7", "--accept-changes");
    assert_eq!(stop(home, &other, "x.distill.run", "-TERM").status.code(), Some(3));
    assert_eq!(of_bundle(true), ["new.wav (last tenth)"]);
}

/// Trains in a small file system that something else fills up, and copies what is left to `kept`.
#[cfg(target_os = "linux")]
const ON_A_FULL_DISK: &str = r#"
mount -t tmpfs -o size=48m tmpfs disk || exit 77
"$0" "$@" 2> told & pid=$!
while [ ! -e disk/x.distill.run/000002.checkpoint ]; do
    kill -0 $pid || break
    sleep 0.05
done
sleep 0.3
cat /dev/zero > disk/filler 2> /dev/null
wait $pid
code=$?
rm disk/filler
cp -r disk/. kept
exit $code
"#;

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_leaves_a_checkpoint_and_a_bundle() {
    let home = home();
    let home = home.path();
    fs::create_dir(home.join("disk")).unwrap();
    fs::create_dir(home.join("kept")).unwrap();
    let train = format!("{ENDLESS} {TINY}").replace("-o x", "-o disk/x").replace(" 0s", " 1s");
    let mut unshare = Command::new("unshare");
    unshare.current_dir(home).args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    unshare.arg(ON_A_FULL_DISK).arg(env!("CARGO_BIN_EXE_distill")).args(train.split_whitespace());
    let code = match unshare.stderr(Stdio::null()).status() {
        Ok(status) => status.code(),
        Err(_) => None,
    };
    let told = fs::read_to_string(home.join("told")).unwrap_or_default();
    if told.is_empty() {
        println!("skipped: this system lets nobody mount a small file system ({code:?})");
        return;
    }
    assert_eq!(code, Some(5), "{told}");
    for part in ["the disk is full", "free some space and repeat the command"] {
        assert!(told.contains(part), "expected {part:?} in: {told}");
    }
    let bundle = Bundle::open(&home.join("kept/x.distill")).unwrap();
    let place = newest(&home.join("kept/x.distill.run"));
    assert_eq!(place, Some((Stage::Codec, bundle.card().codec.training.steps)), "{told}");
    let on = train.replace("-o disk/x", "-o kept/x").replace("1000000", "1");
    expect(home, &format!("{on} --accept-changes"), 0, "going on with kept/x.distill.run");
    let mut left: Vec<PathBuf> =
        fs::read_dir(home.join("kept")).unwrap().map(|entry| entry.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [home.join("kept/x.distill"), home.join("kept/x.report.html")]);
}

#[test]
fn what_an_interrupted_run_left_stays_until_another_begins() {
    let home = home();
    let home = home.path();
    let train = format!("{ENDLESS} {TINY}");
    assert_eq!(stop(home, &train, "x.distill.run", "-TERM").status.code(), Some(3));
    let before = newest(&home.join("x.distill.run"));
    let wrong = train.replace("sounds", "suonds");
    expect(home, &format!("{wrong} --fresh"), 1, "suonds");
    assert_eq!(newest(&home.join("x.distill.run")), before);
    let foreign = home.join("y.distill.run");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("lock"), b"of a canal").unwrap();
    expect(home, &train.replace("x.distill", "y.distill"), 1, "none of ours");
    assert_eq!(fs::read(foreign.join("lock")).unwrap(), b"of a canal");
}

#[test]
fn a_terminal_that_is_closed_leaves_a_bundle() {
    let home = home();
    let home = home.path();
    let train = format!("{ENDLESS} {} --log log.jsonl", TINY.replace(" 0s", " 1h"));
    let mut child = command(home, &train).stderr(Stdio::piped()).spawn().unwrap();
    // Nobody reads any more: what is told is an error.
    drop(child.stderr.take());
    wait_for_step(&home.join("log.jsonl"));
    signal(&child, "-HUP");
    signal(&child, "-HUP");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(Bundle::open(&home.join("x.distill")).is_ok());
    assert!(newest(&home.join("x.distill.run")).is_some());
}

#[test]
fn a_run_that_is_to_outlast_its_terminal_does() {
    let home = home();
    let home = home.path();
    let train = format!("{ENDLESS} {TINY}");
    let mut nohup = Command::new("nohup");
    nohup.current_dir(home).arg(env!("CARGO_BIN_EXE_distill")).args(train.split_whitespace());
    let mut child = nohup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_past(&home.join("x.distill.run"), None);
    let before = newest(&home.join("x.distill.run"));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    wait_past(&home.join("x.distill.run"), before);
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
