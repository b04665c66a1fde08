//! A folder as a corpus: every file gets a verdict, the usable ones become recordings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use distill_trainer::corpus::{Before, Corpus, OpenOptions, Outcome, Verdict};

/// A sound of its own for each `seed`: a decaying sine, `seconds` long.
fn sound(seed: u16, rate: u32, seconds: f32) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let samples = (seconds * rate as f32) as u16;
    let hz = 100.0 + 7.0 * f32::from(seed);
    let value = |i: u16| {
        let t = f32::from(i) / rate as f32;
        0.4 * (-3.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
    };
    (0..samples).map(value).collect()
}

fn write(path: &Path, audio: &[Vec<f32>], rate: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let flac = path.extension().is_some_and(|ending| ending == "flac");
    let format = if flac { FileFormat::Flac } else { FileFormat::Wav };
    let bit_depth = if flac { BitDepth::Int24 } else { BitDepth::Float32 };
    write_audio(path, audio, ExportFormat { format, bit_depth, rate }).unwrap();
}

fn open(folder: &Path) -> anyhow::Result<(Corpus, Vec<Verdict>)> {
    let cancel = AtomicBool::new(false);
    Corpus::open(
        folder,
        &OpenOptions {
            seed: 3,
            threads: 2,
            cancel: &cancel,
            program: None,
            before: &Before::default(),
            on_file: &|_| {},
        },
    )
}

#[test]
fn each_file_gets_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("a.wav"), &[sound(1, 48_000, 0.5)], 48_000);
    write(&path("b.flac"), &[sound(2, 44_100, 0.5)], 44_100);
    write(&path("c.wav"), &[sound(1, 48_000, 0.5)], 48_000);
    write(&path("d.wav"), &[vec![0.0; 9600]], 48_000);
    write(&path("e.wav"), &[sound(3, 48_000, 0.04)], 48_000);
    write(&path("f.wav"), &[[0.1, f32::NAN, 0.1].repeat(2000)], 48_000);
    fs::write(path("g.wav"), "not a sound").unwrap();
    fs::write(path("readme.txt"), "hello").unwrap();

    let (corpus, verdicts) = open(folder.path()).unwrap();
    let outcome = |name: &str| {
        let verdict = verdicts.iter().find(|verdict| verdict.name == name).unwrap();
        match &verdict.outcome {
            Outcome::Used => "used".to_owned(),
            Outcome::Resampled => format!("resampled from {}", verdict.rate),
            Outcome::Duplicate { of } => format!("duplicate of {of}"),
            Outcome::Skipped { reason } => reason.clone(),
        }
    };
    assert_eq!(verdicts.len(), 8);
    assert_eq!(outcome("a.wav"), "used");
    assert_eq!(outcome("b.flac"), "resampled from 44100");
    assert_eq!(outcome("c.wav"), "duplicate of a.wav");
    assert_eq!(outcome("d.wav"), "it is silent");
    assert_eq!(outcome("e.wav"), "it is shorter than 50 ms");
    assert!(outcome("f.wav").contains("not numbers"));
    assert_eq!(outcome("g.wav"), "it is in no known format; convert it to WAV or FLAC");
    assert_eq!(outcome("readme.txt"), "it is not a sound file");
    assert!((corpus.seconds() - 1.0).abs() < 1e-3);
    assert_eq!((corpus.channels, corpus.sample_rate), (1, 48_000));
}

#[test]
fn a_copy_of_what_is_held_out_is_skipped_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let loud = sound(1, 48_000, 1.0);
    write(&folder.path().join("a.wav"), std::slice::from_ref(&loud), 48_000);
    write(&folder.path().join("b.wav"), &[loud.iter().map(|x| 0.5 * x).collect()], 48_000);
    let (corpus, verdicts) = open(folder.path()).unwrap();
    assert_eq!(corpus.train().count(), 1);
    let skipped = verdicts.iter().filter_map(|verdict| match &verdict.outcome {
        Outcome::Skipped { reason } => Some(reason.as_str()),
        _ => None,
    });
    let [reason] = skipped.collect::<Vec<_>>()[..] else { panic!("one is skipped") };
    assert!(reason.starts_with("it holds what is held out"), "{reason}");
}

#[test]
fn silence_that_is_left_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let long = [sound(1, 48_000, 0.5), vec![0.0; 96_000]].concat();
    write(&folder.path().join("a.wav"), &[long], 48_000);
    let (corpus, verdicts) = open(folder.path()).unwrap();
    assert!((corpus.seconds() - 0.5).abs() < 0.01, "{} s", corpus.seconds());
    assert_eq!(verdicts[0].notes, ["the 2.0 s of silence at its end are left out"]);
}

#[test]
fn the_first_folder_is_the_class_and_levels_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..12 {
        let class = if i % 2 == 0 { "drums/loud" } else { "keys" };
        let audio = sound(i, 48_000, 0.2).iter().map(|x| x * f32::from(i + 1)).collect();
        write(&folder.path().join(format!("{class}/{i:02}.wav")), &[audio], 48_000);
    }
    let (corpus, _) = open(folder.path()).unwrap();
    let names: Vec<&str> = corpus.recordings.iter().map(|r| r.name.as_str()).collect();
    assert!(names.is_sorted() && names[0] == "drums/loud/00.wav", "{names:?}");
    for recording in &corpus.recordings {
        let class = if recording.name.starts_with("drums") { "drums" } else { "keys" };
        assert_eq!(recording.class, class);
    }
    let peak = |name: &str| {
        let recording = corpus.recordings.iter().find(|r| r.name == name).unwrap();
        recording.sound.whole().unwrap()[0]
            .iter()
            .fold(0.0_f32, |peak, sample| peak.max(sample.abs()))
    };
    assert!(peak("drums/loud/10.wav") > 8.0 * peak("drums/loud/00.wav"));
    assert_eq!((corpus.train().count(), corpus.held_out().count()), (10, 2));
}

#[test]
fn threads_do_not_change_the_corpus() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..9 {
        write(&folder.path().join(format!("{i}.wav")), &[sound(i % 5, 44_100, 0.1)], 44_100);
    }
    let cancel = AtomicBool::new(false);
    let seen = AtomicUsize::new(0);
    let on_file = |files| {
        assert_eq!(files, 9);
        seen.fetch_add(1, Ordering::Relaxed);
    };
    let open = |threads| {
        let options = OpenOptions {
            seed: 1,
            threads,
            cancel: &cancel,
            program: None,
            before: &Before::default(),
            on_file: &on_file,
        };
        Corpus::open(folder.path(), &options).unwrap()
    };
    assert_eq!(open(1), open(3));
    assert_eq!(seen.load(Ordering::Relaxed), 18);
}

#[test]
fn a_folder_without_sound_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let message = || format!("{:#}", open(folder.path()).unwrap_err());
    assert!(message().contains("there is no sound file in"), "{}", message());
    fs::write(folder.path().join("cv.pdf"), "").unwrap();
    assert!(message().contains("cv.pdf: it is not a sound file"), "{}", message());
}

#[test]
fn a_stopped_reading_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.wav"), &[sound(1, 48_000, 0.2)], 48_000);
    let cancel = AtomicBool::new(true);
    let options = OpenOptions {
        seed: 0,
        threads: 1,
        cancel: &cancel,
        program: None,
        before: &Before::default(),
        on_file: &|_| {},
    };
    let error = Corpus::open(folder.path(), &options).unwrap_err();
    assert!(error.is::<distill_trainer::stop::Cancelled>(), "{error:#}");
}

/// A program that decodes files as `distill` does, but dies of some.
#[cfg(unix)]
fn fragile_decoder(folder: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("decoder");
    let program = env!("CARGO_BIN_EXE_distill");
    let script = format!(
        "#!/bin/sh\nshift 2\nfor file; do\n  case $file in\n    *poison*) kill -9 $$;;\n  esac\n  \
         {program} decode-files -- \"$file\"\ndone\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_file_that_kills_its_decoder_costs_only_itself() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sounds");
    let names = ["a", "b poison", "c", "d", "e poison", "f poison", "g", "ü z"];
    for (i, name) in (0..).zip(names) {
        write(&folder.join(format!("{name}.wav")), &[sound(i, 48_000, 0.2)], 48_000);
    }
    let program = fragile_decoder(home.path());
    let cancel = AtomicBool::new(false);
    let read = |program: Option<&Path>| {
        let options = OpenOptions {
            seed: 3,
            threads: 1,
            cancel: &cancel,
            program,
            before: &Before::default(),
            on_file: &|_| {},
        };
        distill_trainer::corpus::survey(&folder, &options).unwrap()
    };
    let apart = read(Some(&program));
    for verdict in &apart.verdicts {
        let died =
            matches!(&verdict.outcome, Outcome::Skipped { reason } if reason.contains("died"));
        assert_eq!(died, verdict.name.contains("poison"), "{verdict:?}");
    }
    let mut whole = read(None).recordings;
    whole.retain(|recording| !recording.name.contains("poison"));
    assert_eq!(apart.recordings, whole, "the others are heard as ever, to the bit");
    assert_eq!(read(Some(Path::new("/nowhere"))).recordings.len(), 8, "without a program, too");
}

#[cfg(unix)]
#[test]
fn a_file_that_takes_too_long_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    // What is not written yet never ends.
    let path = folder.path().join("endless.wav");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_distill"));
    command.args(["decode-files", "--patience", "1", "--"]).arg(&path);
    assert_eq!(command.output().unwrap().status.code(), Some(9));
}
