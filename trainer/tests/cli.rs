//! The program as it is used: from a folder of recordings to new sound, and what can go wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

use distill_shared::bundle::Bundle;
use distill_trainer::audio::decode::decode;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use program::{TINY, fail, own_toy, stderr, stdout, succeed, toy};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn check_judges_every_file() {
    let output = succeed(toy(), "check sounds --json");
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["files"].as_array().unwrap().len(), 6);
    assert_eq!(report["files"][0]["name"], "high/3.wav");
    assert_eq!(report["files"][0]["verdict"], "resampled");
    assert_eq!(report["used"]["files"], 6);
    assert_eq!(report["used"]["channels"], 2);
    let text = stdout(&succeed(toy(), "check sounds"));
    assert!(text.contains("6 of 6 files are used") && text.contains("low/0.wav"), "{text}");
}

#[test]
fn a_trained_bundle_is_complete() {
    let bundle = Bundle::open(&toy().join("toy.distill")).unwrap();
    assert!(bundle.has_prior());
    assert_eq!((bundle.config().codec.channels, bundle.config().codec.width), (2, 16));
    let preview = bundle.preview().unwrap();
    assert_eq!((preview.len(), preview[0].len()), (2, 4 * 48_000));
    let codes = bundle.corpus_codes();
    assert!(codes.iter().any(|one| one.held_out) && codes.iter().any(|one| one.class == "low"));
    let card = bundle.card();
    assert_eq!((card.name.as_str(), card.codec.training.steps), ("toy", 30));
    assert_eq!(card.corpus.classes, ["high", "low"]);
    assert!(card.codec.training.best_validation_loss.is_some());
    assert_eq!(card.codec.levels.len(), 2);
    let prior = card.prior.as_ref().unwrap();
    assert_eq!((prior.training.steps, prior.perplexity.len()), (5, 2));
    assert!(!prior.training.curve.is_empty());
}

#[test]
fn progress_tells_what_was_chosen_and_what_was_given() {
    toy();
    let told = fs::read_to_string(toy().join("stderr.txt")).unwrap();
    for expected in ["width 16 (override)", "window 256 (auto)", "codec  30 steps", "held out"] {
        assert!(told.contains(expected), "expected {expected:?} in: {told}");
    }
    let log = fs::read_to_string(toy().join("log.jsonl")).unwrap();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |event| events.iter().filter(|one| one["event"] == event).count();
    assert_eq!((count("codec_step"), count("codec_complete")), (30, 1));
    assert_eq!((count("prior_step"), count("prior_complete")), (5, 1));
}

#[test]
fn the_same_seed_trains_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = toy().join("sounds");
    let arguments = format!("train {} --json --quiet --threads 1", sounds.display());
    let lengths = "-o again.distill --codec-steps 30 --prior-steps 5 --seed 7";
    let output = succeed(folder.path(), &format!("{arguments} {lengths} {TINY}"));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let first = Bundle::open(&toy().join("toy.distill")).unwrap();
    assert_eq!(report["digest"], first.digest());
    assert_eq!(report["stopped"], false);
    assert_eq!(report["prior"]["steps"], 5);
    assert!(output.stderr.is_empty(), "--quiet tells nothing: {}", stderr(&output));
}

#[test]
fn generated_files_have_exactly_the_length_and_rate_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let toy = toy().join("toy.distill");
    for (rate, duration, samples) in [
        (48_000, "1", 48_000),
        (44_100, "1.5", 66_150),
        (22_050, "0.001", 22),
        (96_000, "0.7", 67_200),
        (44_100, "0.333333", 14_700),
    ] {
        let arguments = format!("-o x.flac --rate {rate} --duration {duration} --bit-depth 16");
        succeed(folder.path(), &format!("generate {} {arguments}", toy.display()));
        let decoded = decode(&folder.path().join("x.flac")).unwrap();
        assert_eq!((decoded.rate, decoded.audio[0].len()), (rate, samples), "{arguments}");
    }
}

#[test]
fn takes_differ_and_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let toy = toy().join("toy.distill");
    let generate = |more: &str| {
        let arguments = format!("generate {} --duration 0.5 --seed 5 {more}", toy.display());
        stdout(&succeed(folder.path(), &arguments))
    };
    assert_eq!(generate("-o a.wav --count 2"), "a-1.wav\na-2.wav\n");
    let report: Value = serde_json::from_str(&generate("-o b.wav --json")).unwrap();
    assert_eq!(report["files"][0]["samples"], 24_000);
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("a-1.wav"), bytes("b.wav"), "the first take does not depend on the count");
    assert_ne!(bytes("a-1.wav"), bytes("a-2.wav"));
    assert_eq!(generate(""), "toy.wav\n");
}

#[test]
fn another_prior_leaves_the_codec_as_it_is() {
    let (folder, path) = own_toy();
    let before = Bundle::open(&path).unwrap();
    let sizes = "--hidden-size 24 --layers 2 --heads 2 --lr 0.002 --prior-batch 2";
    let output =
        succeed(folder.path(), &format!("train-prior own.distill --steps 4 --json {sizes}"));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["prior"]["config"]["hidden_size"], 24);
    let after = Bundle::open(&path).unwrap();
    assert_eq!(report["digest"], after.digest());
    assert_eq!(after.prior_metadata().unwrap().training.learning_rate, 0.002);
    let codec = |bundle: &Bundle| -> Vec<(String, Vec<u8>)> {
        let tensors = bundle.tensors().iter().filter(|(name, _)| name.starts_with("codec."));
        tensors.map(|(name, tensor)| (name.clone(), tensor.data().bytes().to_vec())).collect()
    };
    assert_eq!(codec(&before), codec(&after));
    assert_eq!(before.corpus_codes(), after.corpus_codes());
    assert_ne!(before.preview(), after.preview(), "the preview is the new prior's");
}

#[test]
fn a_prior_is_trained_on_a_folder_if_the_bundle_remembers_nothing() {
    let (folder, path) = own_toy();
    let forgetful = Bundle::open(&path).unwrap().with_corpus_codes(&[]).unwrap();
    forgetful.write(&path).unwrap();
    fail(folder.path(), "train-prior own.distill --steps 2", 1, "give their folder");
    let sounds = toy().join("sounds");
    let arguments = format!("train-prior own.distill {} --epochs 1", sounds.display());
    succeed(folder.path(), &format!("{arguments} --no-corpus-codes"));
    assert!(Bundle::open(&path).unwrap().corpus_codes().is_empty());
    let recall = "generate own.distill --duration 0.5 --recall 1 -o recalled.wav";
    fail(folder.path(), recall, 2, "keeps no recordings");
    // Nothing is recalled then unless it is asked for.
    succeed(folder.path(), "generate own.distill --duration 0.5 -o free.wav");
    succeed(folder.path(), "generate --again free.json -o again.wav");
    succeed(folder.path(), &arguments);
    let names = |bundle: Bundle| -> Vec<String> {
        bundle.corpus_codes().into_iter().map(|one| one.name).collect()
    };
    let toy = Bundle::open(&toy().join("toy.distill")).unwrap();
    assert_eq!(names(Bundle::open(&path).unwrap()), names(toy));
    // Those can be recalled.
    succeed(folder.path(), recall);
    succeed(folder.path(), "generate own.distill --duration 0.5 --recall 0 -o free.wav");
    succeed(folder.path(), "generate --again recalled.json -o again.wav");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(read("recalled.wav") == read("again.wav") && read("recalled.wav") != read("free.wav"));
}

#[test]
fn a_codec_can_be_trained_alone_and_be_given_a_prior_later() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = toy().join("sounds");
    let train = format!("train {} -o x.distill {TINY}", sounds.display());
    fail(folder.path(), &format!("{train} --stage prior"), 2, "train the codec first");
    succeed(folder.path(), &format!("{train} --stage codec --codec-steps 25 --name Toy"));
    fail(folder.path(), "generate x.distill", 1, "prior");
    for option in ["--name Felt", "--width 512", "--codec-steps 3"] {
        let train = format!("train {} -o x.distill --stage prior {option}", sounds.display());
        fail(folder.path(), &train, 2, &format!("leave {} out", option.split(' ').next().unwrap()));
    }
    let prior =
        "--stage prior --prior-steps 3 --hidden-size 16 --layers 1 --heads 2 --prior-batch 2";
    succeed(folder.path(), &format!("train {} -o x.distill {prior}", sounds.display()));
    let bundle = Bundle::open(&folder.path().join("x.distill")).unwrap();
    assert!(bundle.has_prior());
    assert_eq!(bundle.card().name, "Toy");
}

#[test]
fn inspect_tells_what_is_in_a_bundle() {
    let text = stdout(&succeed(toy(), "inspect toy.distill"));
    for part in ["name        toy", "6 files", "high, low", "2 levels of 16", "nats per code"] {
        assert!(text.contains(part), "expected {part:?} in: {text}");
    }
    let report = stdout(&succeed(toy(), "inspect toy.distill --json"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let bundle = Bundle::open(&toy().join("toy.distill")).unwrap();
    assert_eq!(report["digest"], bundle.digest());
    assert_eq!(report["has_prior"], true);
    assert_eq!(report["preview_seconds"], 4.0);
    assert_eq!(report["recordings"].as_array().map(Vec::len), Some(bundle.corpus_codes().len()));
    assert_eq!(report["tensors"].as_array().map(Vec::len), Some(bundle.tensors().len()));
}

#[test]
fn what_is_typed_wrong_ends_with_code_2_before_any_work() {
    let bundle = toy().join("toy.distill");
    let folder = tempfile::tempdir().unwrap();
    let refuse = |arguments: &str, what: &str| fail(folder.path(), arguments, 2, what);
    refuse("trane x", "trane");
    refuse("train", "FOLDER");
    refuse("train x --budget 10", "90s, 10m");
    refuse("train x -o no/such/x.distill", "create it first");
    refuse("train x -o x.wav", "a .distill file");
    refuse("train x --codec-steps 0", "codec-steps");
    refuse("train x --device metal", "metal");
    refuse("train x --device cpu --tf32", "trains on cpu");
    let sounds = toy().join("sounds");
    let train = format!("train {} -o x.distill", sounds.display());
    refuse(&format!("{train} --heads 3"), "3 attention heads");
    refuse(&format!("train-prior {} --no-corpus-codes", bundle.display()), "FOLDER");
    let generate = format!("generate {}", bundle.display());
    refuse(&format!("{generate} -o x.mp3"), ".wav or .flac");
    refuse(&format!("{generate} -o x.flac --bit-depth 32f"), "16 or 24");
    refuse(&format!("{generate} --duration 0"), "above 0");
    refuse(&format!("{generate} --temperature NaN"), "--temperature");
    refuse(&format!("{generate} --detail 4.1"), "--detail is 4.1, outside 0 to 4");
    refuse(&format!("{generate} --top-p 1.5"), "--top-p");
    refuse(&format!("{generate} --novelty nan"), "--novelty");
    refuse(&format!("{generate} --recall 1.1"), "--recall");
    let place = "take the place of";
    let shown = bundle.display();
    refuse(&format!("encode {shown} {}/low/0.wav -o {shown}", sounds.display()), place);
    refuse(&format!("encode {shown} {}/low/0.wav -o x.wav", sounds.display()), ".json");
    refuse(&format!("decode {shown} {shown} -o {shown}.wav/x.wav"), "create it first");
    let evaluate = format!("evaluate {} {}", bundle.display(), sounds.display());
    refuse(&format!("{evaluate} --max-seconds 0.01"), "--max-seconds");
    refuse(&format!("{evaluate} -o {}/low/new", sounds.display()), "outside of it");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    #[cfg(unix)]
    for (command, name) in [("train x", "x.distill"), (generate.as_str(), "x.wav")] {
        std::os::unix::fs::symlink("drive/x", folder.path().join(name)).unwrap();
        refuse(&format!("{command} -o {name}"), "a link to nothing");
    }
}

#[test]
fn what_cannot_be_done_ends_with_code_1_and_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("x.distill"), "PK\x03\x04").unwrap();
    fail(folder.path(), "train empty", 1, "there is no sound file in empty");
    fail(folder.path(), "check missing", 1, "missing");
    fail(folder.path(), "generate missing.distill", 1, "missing.distill");
    fail(folder.path(), "generate x.distill", 1, "x.distill");
    fail(folder.path(), "evaluate x.distill empty", 1, "x.distill");
    let (own, _) = own_toy();
    fail(own.path(), "evaluate own.distill missing", 1, "missing");
    fs::create_dir(own.path().join("empty")).unwrap();
    fail(own.path(), "evaluate own.distill empty", 1, "there is no sound file in empty");
    fail(own.path(), "generate own.distill -o no/such.wav --duration 0.1", 2, "no/such.wav");
    let log = format!("train {} -o x.distill --log own.distill", toy().join("sounds").display());
    let before = fs::read(own.path().join("own.distill")).unwrap();
    fail(own.path(), &log, 1, "is no log");
    assert_eq!(fs::read(own.path().join("own.distill")).unwrap(), before);
}

#[test]
fn a_bundle_that_nobody_named_takes_the_place_of_none() {
    let (folder, path) = own_toy();
    let before = fs::read(&path).unwrap();
    fs::rename(&path, folder.path().join("sounds.distill")).unwrap();
    let sounds = toy().join("sounds");
    let train = format!("train {} {TINY} --codec-steps 3 --prior-steps 2", sounds.display());
    let output = succeed(folder.path(), &train);
    assert!(stderr(&output).contains("stays; this one is sounds-2.distill"), "{}", stderr(&output));
    assert_eq!(fs::read(folder.path().join("sounds.distill")).unwrap(), before);
    succeed(folder.path(), &format!("{train} --quiet"));
    assert!(folder.path().join("sounds-3.distill").exists());
    // Nor does a report, of a bundle that was moved.
    fs::remove_file(folder.path().join("sounds-2.distill")).unwrap();
    let report = fs::read(folder.path().join("sounds-2.report.html")).unwrap();
    succeed(folder.path(), &format!("{train} --quiet"));
    assert_eq!(fs::read(folder.path().join("sounds-2.report.html")).unwrap(), report);
    assert!(folder.path().join("sounds-4.distill").exists());
    succeed(folder.path(), &format!("{train} --quiet --no-report"));
    assert!(folder.path().join("sounds-2.distill").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_told_as_well_as_they_can_be() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"gr\xfcn.wav");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_distill"));
    command.arg("generate").arg(toy().join("toy.distill")).arg("-o").arg(folder.path().join(name));
    let output = command.args(["--duration", "0.1", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["files"][0]["path"].as_str().unwrap().ends_with("gr\u{fffd}n.wav"));
    assert!(folder.path().join(name).is_file());
}

/// Four recordings of one tone that lasts; silent if `level` is 0.
fn write_tone(folder: &Path, level: f32) {
    let tone = |t: u16| level * (std::f32::consts::TAU * f32::from(t) / 109.0).sin();
    let tone: Vec<f32> = (0..48_000).map(tone).collect();
    fs::create_dir_all(folder).unwrap();
    for i in 0..4 {
        let format =
            ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 48_000 };
        write_audio(&folder.join(format!("{i}.wav")), std::slice::from_ref(&tone), format).unwrap();
    }
}

#[test]
fn a_corpus_of_one_tone_or_of_silence_ends_with_a_sentence() {
    let home = TempDir::new().unwrap();
    write_tone(&home.path().join("tone"), 0.5);
    write_tone(&home.path().join("silence"), 0.0);
    let train = |folder: &str| format!("train {folder} {TINY} --codec-steps 6 --prior-steps 4");
    let told = stderr(&succeed(home.path(), &train("tone")));
    let sentence = ["codes  healthy: ", "codes  some codes unused: ", "the codes have collapsed: "];
    assert!(sentence.iter().any(|sentence| told.contains(sentence)), "{told}");
    succeed(home.path(), "generate tone.distill --duration 1 -o tone.wav");
    fail(home.path(), &train("silence"), 1, "it is silent");
    assert!(!home.path().join("silence.distill").exists());
}

#[test]
fn devices_always_has_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    let report: Value =
        serde_json::from_str(&stdout(&succeed(folder.path(), "devices --json"))).unwrap();
    assert_eq!(report["devices"][0]["name"], "cpu");
    assert_eq!(report["devices"][0]["available"], true);
}

/// Stops a run once it has told `cue`, and gives its exit code.
#[cfg(unix)]
fn stop_at(folder: &Path, arguments: &str, cue: &str) -> i32 {
    use std::io::{BufRead, BufReader};
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        told.push_str(&line);
        if line.starts_with(cue) {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        }
    }
    assert!(told.contains(cue), "it never told {cue:?}: {told}");
    child.wait().unwrap().code().unwrap_or(-1)
}

#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_leaves_a_bundle_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = toy().join("sounds");
    for cue in ["codec  quantizers", "prior  hidden"] {
        let lengths = "--codec-steps 40 --prior-steps 1000000 --log log.jsonl";
        let train = format!("train {} -o x.distill {lengths} {TINY}", sounds.display());
        assert_eq!(stop_at(folder.path(), &train, cue), 3, "stopped at {cue:?}");
        let bundle = Bundle::open(&folder.path().join("x.distill")).unwrap();
        assert!(bundle.prior_metadata().unwrap().training.stopped_early);
        succeed(folder.path(), "generate x.distill --duration 0.2");
        fs::remove_file(folder.path().join("x.distill")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_measurement_that_is_stopped_has_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("own.distill");
    fs::copy(toy().join("toy.distill"), &bundle).unwrap();
    let before = fs::read(&bundle).unwrap();
    let sounds = toy().join("sounds");
    let evaluate =
        format!("evaluate own.distill {} --no-baseline --threads 1 --save", sounds.display());
    assert_eq!(stop_at(folder.path(), &evaluate, "measuring the prior"), 3);
    assert_eq!(fs::read(&bundle).unwrap(), before, "nothing is saved");
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_on_a_disk_that_is_full_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = toy().join("sounds");
    let train = format!("train {} -o x.distill --codec-steps 3 --prior-steps 2", sounds.display());
    let output = succeed(folder.path(), &format!("{train} {TINY} --log /dev/full"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cannot go on with the log /dev/full; training continues"), "{told}");
    assert!(Bundle::open(&folder.path().join("x.distill")).unwrap().has_prior());
}
