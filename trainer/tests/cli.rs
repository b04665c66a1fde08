//! The program as it is used: from a folder of recordings to new sound, and what can go wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use distill_shared::bundle::Bundle;
use distill_trainer::audio::decode::decode;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use serde_json::Value;
use tempfile::TempDir;

/// Sizes of a model that trains in a blink.
const TINY: &str = "--width 16 --encoder-blocks 1 --decoder-blocks 1 --quantizers 2 \
    --codebook-size 16 --latent-dim 8 --hidden-size 16 --layers 1 --heads 2 \
    --codec-batch 2 --prior-batch 2";

/// Runs the program in `folder` with arguments that hold no spaces.
fn distill(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run that must succeed.
fn succeed(folder: &Path, arguments: &str) -> Output {
    let output = distill(folder, arguments);
    assert_eq!(code(&output), 0, "distill {arguments}\n{}", stderr(&output));
    output
}

/// A run that must fail with `exit` and say `what`.
fn fail(folder: &Path, arguments: &str, exit: i32, what: &str) {
    let output = distill(folder, arguments);
    let message = stderr(&output);
    assert_eq!(code(&output), exit, "distill {arguments}\n{message}");
    assert!(message.contains(what), "expected {what:?} in: {message}");
    assert!(stdout(&output).is_empty(), "a failure prints no result");
}

/// Six short stereo sounds in two folders.
fn write_recordings(folder: &Path) {
    for i in 0..6_u8 {
        let hz = 110.0 * f32::from(i + 2);
        let value = |t: u16, hz: f32| {
            let t = f32::from(t) / 44_100.0;
            0.5 * (-6.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
        };
        let left: Vec<f32> = (0..20_000).map(|t| value(t, hz)).collect();
        let right: Vec<f32> = (0..20_000).map(|t| value(t, 1.5 * hz)).collect();
        let class = folder.join(if i < 3 { "low" } else { "high" });
        fs::create_dir_all(&class).unwrap();
        let path = class.join(format!("{i}.wav"));
        let format =
            ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 44_100 };
        write_audio(&path, &[left, right], format).unwrap();
    }
}

/// A folder with recordings in `sounds` and a bundle, `toy.distill`, that was trained on them.
fn toy() -> &'static Path {
    static TOY: OnceLock<TempDir> = OnceLock::new();
    let toy = TOY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write_recordings(&folder.path().join("sounds"));
        let arguments = "train sounds -o toy.distill --codec-steps 30 --prior-steps 5 --seed 7";
        let output = succeed(folder.path(), &format!("{arguments} {TINY} --log log.jsonl"));
        assert_eq!(stdout(&output), "toy.distill\n");
        fs::write(folder.path().join("stderr.txt"), output.stderr).unwrap();
        folder
    });
    toy.path()
}

/// A copy of the toy bundle that a test may change.
fn own_toy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.distill");
    fs::copy(toy().join("toy.distill"), &path).unwrap();
    (folder, path)
}

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
    succeed(folder.path(), &arguments);
    let names = |bundle: Bundle| -> Vec<String> {
        bundle.corpus_codes().into_iter().map(|one| one.name).collect()
    };
    let toy = Bundle::open(&toy().join("toy.distill")).unwrap();
    assert_eq!(names(Bundle::open(&path).unwrap()), names(toy));
}

#[test]
fn a_codec_can_be_trained_alone_and_be_given_a_prior_later() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = toy().join("sounds");
    let train = format!("train {} -o x.distill {TINY}", sounds.display());
    fail(folder.path(), &format!("{train} --stage prior"), 2, "train the codec first");
    succeed(folder.path(), &format!("{train} --stage codec --codec-steps 25 --name Toy"));
    fail(folder.path(), "generate x.distill", 1, "prior");
    succeed(folder.path(), &format!("{train} --stage prior --prior-steps 3"));
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
fn the_library_lists_renames_and_removes() {
    let (folder, toy) = own_toy();
    let shelf = folder.path().join("shelf");
    fs::create_dir(&shelf).unwrap();
    fs::copy(&toy, shelf.join("a.distill")).unwrap();
    fs::write(shelf.join("broken.distill"), b"nothing").unwrap();
    fs::write(shelf.join("b.wav"), b"no bundle").unwrap();
    let list = |more: &str| {
        let arguments = format!("library --folder shelf --json {more}");
        let listed = stdout(&succeed(folder.path(), &arguments));
        serde_json::from_str::<Value>(&listed).unwrap()["bundles"].as_array().unwrap().clone()
    };
    let all = list("--sort longest");
    assert_eq!(all.len(), 2);
    assert!(all[0]["content"]["seconds"].as_f64().unwrap() > 0.0);
    assert!(all[1]["content"]["problem"].is_string());
    assert_eq!(list("--search BROKEN").len(), 1);
    let preset = r#"{"version":1,"name":"S","bundle":{"digest":"","name":"Toy"},"values":{}}"#;
    fs::write(shelf.join("Soft.distill-preset"), preset).unwrap();
    let plain = stdout(&succeed(folder.path(), "library --folder shelf"));
    assert!(plain.contains("cannot be read") && plain.lines().count() == 3, "{plain}");
    assert!(plain.lines().any(|line| line.starts_with("Soft ") && line.contains("for Toy")));
    let listed = stdout(&succeed(folder.path(), "library --folder shelf --json --search toy"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["presets"][0]["content"]["bundle"], "Toy");
    fail(folder.path(), "library rename shelf/a.distill broken", 1, "is there already");
    succeed(folder.path(), "library rename shelf/a.distill bells");
    fail(folder.path(), "library remove shelf/bells.distill", 2, "--yes");
    assert!(shelf.join("bells.distill").exists());
    succeed(folder.path(), "library remove shelf/bells.distill --yes");
    assert_eq!(list("").len(), 1);
}

#[test]
fn evaluate_measures_every_recording_beside_the_baseline() {
    let before = fs::read(toy().join("toy.distill")).unwrap();
    let report = stdout(&succeed(toy(), "evaluate toy.distill sounds --json"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let files = report["files"].as_array().unwrap();
    assert_eq!((files.len(), &files[0]["name"]), (6, &Value::from("high/3.wav")));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    for name in ["mrstft", "lsd_db", "lsd_tf_db", "logmel_l1_db", "logmel_tf_db", "sc"] {
        let mean = files.iter().map(|file| number(&file[name])).sum::<f64>() / 6.0;
        assert!((number(&report["codec"]["mean"][name]) - mean).abs() < 1e-9, "{name}");
        let baseline = number(&report["griffin_lim"]["mean"][name]);
        assert!(baseline > 0.0 && baseline < mean, "{name} of the baseline is {baseline}");
    }
    for name in ["si_sdr_db", "lag", "gain", "loudness_error_db", "width_error_db"] {
        number(&files[5][name]);
    }
    let bundle = Bundle::open(&toy().join("toy.distill")).unwrap();
    let nominal = 2.0 * 4.0 * bundle.config().codec.frame_rate() / 1000.0; // 2 levels of 4 bits
    assert!((number(&report["bitrate"]["nominal"]) - nominal).abs() < 1e-9);
    assert!(number(&report["bitrate"]["entropy"]) <= nominal);
    assert_eq!(report["levels"].as_array().map(Vec::len), Some(2));
    assert!(number(&report["encode_factor"]) > 0.0 && number(&report["decode_factor"]) > 0.0);
    assert_eq!(fs::read(toy().join("toy.distill")).unwrap(), before, "only --save changes it");
}

#[test]
fn evaluate_writes_what_was_held_out_for_other_judges() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sounds) = (toy().join("toy.distill"), toy().join("sounds"));
    let arguments = "--held-out --max-seconds 0.2 --no-baseline -o out --threads 1";
    let arguments = format!("evaluate {} {} {arguments}", bundle.display(), sounds.display());
    let text = stdout(&succeed(folder.path(), &arguments));
    assert!(text.contains("LSD-tf") && text.contains("bitrate") && !text.contains("Griffin"));
    let recordings = Bundle::open(&bundle).unwrap().corpus_codes();
    let held_out = recordings.iter().filter(|one| one.held_out);
    let mut names: Vec<String> = held_out.map(|one| one.name.replace('/', "_")).collect();
    assert!(names.iter().all(|name| text.contains(&name.replacen('_', "/", 1))), "{text}");
    let written = fs::read_dir(folder.path().join("out")).unwrap();
    let mut written: Vec<String> =
        written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    written.sort();
    assert_eq!(written, names);
    let decoded = decode(&folder.path().join("out").join(&names[0])).unwrap();
    assert_eq!((decoded.rate, decoded.channels, decoded.audio[0].len()), (48_000, 2, 9600));
}

#[test]
fn saved_figures_are_on_the_card_and_leave_the_model_as_it_is() {
    let (folder, path) = own_toy();
    let before = Bundle::open(&path).unwrap();
    let sounds = toy().join("sounds");
    let arguments = format!("evaluate own.distill {} --no-baseline --save", sounds.display());
    succeed(folder.path(), &arguments);
    let after = Bundle::open(&path).unwrap();
    let evaluation = after.card().evaluation.clone().unwrap();
    assert_eq!((evaluation.files, evaluation.folder.as_str()), (6, "sounds"));
    assert!(evaluation.codec.mean.sc.is_some() && evaluation.griffin_lim.is_none());
    let mut card = after.card().clone();
    let of_prior = card.prior_evaluation.take().unwrap();
    assert_eq!(of_prior.generation.unwrap().folder, "sounds");
    card.evaluation = None;
    assert_eq!(after.clone().with_card(card).unwrap(), before, "nothing else has changed");
    let text = stdout(&succeed(folder.path(), "inspect own.distill"));
    assert!(text.contains("on 6 files") && text.contains("LSD-tf"), "{text}");
    assert!(text.contains("windows of sounds"), "{text}");
}

#[test]
fn a_prior_is_measured_with_what_the_bundle_remembers() {
    let (folder, _) = own_toy();
    let told = stdout(&succeed(folder.path(), "evaluate own.distill --json --save --quiet"));
    let told: Value = serde_json::from_str(&told).unwrap();
    let bits = |what: &str| told["prior"]["likelihood"][what].as_f64().unwrap();
    // Two levels of 16 entries at 46.9 frames per second: 8 bits a frame know nothing.
    let most = 8.0 * 46.875;
    for what in ["held_out", "trained", "unigram", "bigram"] {
        assert!((1.0..1.5 * most).contains(&bits(what)), "{what}: {told}");
    }
    assert!(bits("bigram") <= bits("unigram") && bits("unigram") < 1.01 * most, "{told}");
    let bundle = Bundle::open(&folder.path().join("own.distill")).unwrap();
    let card = bundle.card().prior_evaluation.as_ref().unwrap();
    assert_eq!(card.held_out, Some(bits("held_out")));
    for (name, correlation) in &card.follows {
        assert!((-1.0..=1.0).contains(correlation), "{name}: {correlation}");
    }
    let options = bundle.prior_config().unwrap().conditioning.ranks();
    assert_eq!(card.follows.len(), options.iter().filter(|(_, range)| range.is_some()).count());
    let copying = &told["prior"]["copying"];
    let takes = copying["takes"].as_array().unwrap();
    assert_eq!(takes.len(), 5, "{copying}");
    assert_eq!(card.copied, takes[0]["copied"].as_f64());
    assert!(card.planted_found.is_some_and(|found| found > 0.9), "{copying}");
    let generation = &told["prior"]["generation"];
    assert!((0.4..0.5).contains(&generation["seconds"].as_f64().unwrap()), "{generation}");
    assert!(generation["mel"].is_null(), "half a second is too little to tell: {generation}");
    assert_eq!(card.generation.as_ref().unwrap().folder, "");
    fail(folder.path(), "evaluate own.distill --held-out", 2, "need the folder");
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
    refuse("train x --codec-steps 0", "codec-steps");
    refuse("train x --device metal", "metal");
    let sounds = toy().join("sounds");
    let train = format!("train {} -o x.distill", sounds.display());
    refuse(&format!("{train} --heads 3"), "3 attention heads");
    let generate = format!("generate {}", bundle.display());
    refuse(&format!("{generate} -o x.mp3"), ".wav or .flac");
    refuse(&format!("{generate} -o x.flac --bit-depth 32f"), "16 or 24");
    refuse(&format!("{generate} --duration 0"), "above 0");
    refuse(&format!("{generate} --temperature NaN"), "--temperature");
    refuse(&format!("{generate} --detail 4.1"), "--detail is 4.1, outside 0 to 4");
    refuse(&format!("{generate} --top-p 1.5"), "--top-p");
    refuse(&format!("{generate} --novelty nan"), "--novelty");
    let evaluate = format!("evaluate {} {}", bundle.display(), sounds.display());
    refuse(&format!("{evaluate} --max-seconds 0.01"), "--max-seconds");
    refuse(&format!("{evaluate} -o {}/low/new", sounds.display()), "outside of it");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
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
    fail(own.path(), "generate own.distill -o no/such.wav --duration 0.1", 1, "no/such.wav");
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
