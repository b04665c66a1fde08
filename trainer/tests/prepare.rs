//! A prepared corpus is the folder that it was made of, to the bit, and is read from disk piece by piece.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "program/mod.rs"]
mod program;
mod threads;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use distill_shared::bundle::Bundle;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use distill_trainer::corpus::prepared::{Prepared, prepare};
use distill_trainer::corpus::{Before, Corpus, OpenOptions, Verdict};
use distill_trainer::ranks::{Alone, Ranks};
use distill_trainer::stop::Cancelled;
use program::{TINY, fail, succeed, write_recordings};
use threads::{Table, Thread};

/// Noise of its own for each `seed`, `samples` long, below `level`.
fn noise(seed: u32, samples: u32, level: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let value = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        level * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
    };
    (0..samples).map(value).collect()
}

fn write(path: &Path, audio: &[Vec<f32>], rate: u32, bit_depth: BitDepth) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_audio(path, audio, ExportFormat { format: FileFormat::Wav, bit_depth, rate }).unwrap();
}

/// A folder of many rates, lengths and resolutions, of copies, and of files that cannot be used.
fn write_all_kinds(folder: &Path) {
    let path = |name: &str| folder.join(name);
    for i in 0..12_u32 {
        let rate = [8_000, 44_100, 48_000, 96_000][i as usize % 4];
        let depth = [BitDepth::Int16, BitDepth::Int24, BitDepth::Float32][i as usize % 3];
        let channels = 1 + i % 2;
        let samples = rate / 5 * (1 + i % 3) + 7 * i;
        let audio: Vec<_> =
            (0..channels).map(|c| noise(10 * i + c, samples, 0.05 * (i + 1) as f32)).collect();
        write(
            &path(&format!("{}/{i:02}.wav", ["low", "high"][i as usize % 2])),
            &audio,
            rate,
            depth,
        );
    }
    fs::copy(path("low/02.wav"), path("low/copy.wav")).unwrap();
    // The same, but softer: held out together or not at all.
    let softer: Vec<f32> = noise(60, 28_800, 0.35).iter().map(|sample| 0.5 * sample).collect();
    write(&path("softer.wav"), &[softer], 48_000, BitDepth::Float32);
    // Its length in seconds is a number that decimal digits can miss.
    write(&path("odd.wav"), &[noise(99, 4489, 0.2)], 44_100, BitDepth::Int16);
    fs::write(path("notes.txt"), "hello").unwrap();
    fs::write(path("broken.wav"), "RIFF").unwrap();
    write(&path("silent.wav"), &[vec![0.0; 9000]], 48_000, BitDepth::Int16);
}

fn with_options<T>(
    cancel: &AtomicBool,
    on_file: &(dyn Fn(usize) + Sync),
    what: impl FnOnce(&OpenOptions) -> T,
) -> T {
    what(&OpenOptions {
        seed: 3,
        threads: 2,
        cancel,
        program: None,
        before: &Before::default(),
        on_file,
    })
}

fn open(folder: &Path) -> (Corpus, Vec<Verdict>) {
    with_options(&AtomicBool::new(false), &|_| {}, |options| Corpus::open(folder, options)).unwrap()
}

fn prepared(folder: &Path, output: &Path, ranks: &dyn Ranks) -> anyhow::Result<Option<Prepared>> {
    with_options(&AtomicBool::new(false), &|_| {}, |options| {
        prepare(folder, output, options, ranks)
    })
}

fn bits(audio: &[Vec<f32>]) -> Vec<Vec<u32>> {
    audio.iter().map(|channel| channel.iter().map(|sample| sample.to_bits()).collect()).collect()
}

fn assert_same(folder: &Path, output: &Path) {
    let ((corpus, verdicts), (from_disk, of_disk)) = (open(folder), open(output));
    assert_eq!(of_disk, verdicts);
    assert_eq!(from_disk, corpus);
    for (one, other) in corpus.recordings.iter().zip(&from_disk.recordings) {
        let (whole, other_whole) = (one.sound.whole().unwrap(), other.sound.whole().unwrap());
        assert_eq!(bits(&whole), bits(&other_whole), "{}", one.name);
        let range = one.samples() / 3..one.samples() / 2;
        assert_eq!(one.sound.read(range.clone()).unwrap(), other.sound.read(range).unwrap());
        assert_eq!(one.sound.peaks().unwrap(), other.sound.peaks().unwrap(), "{}", one.name);
    }
}

#[test]
fn what_is_prepared_is_the_folder_to_the_bit() {
    let home = tempfile::tempdir().unwrap();
    let (folder, output) = (home.path().join("sounds"), home.path().join("sounds.prepared"));
    write_all_kinds(&folder);
    let Prepared { verdicts, seconds, channels, bytes } =
        prepared(&folder, &output, &Alone).unwrap().unwrap();
    assert_same(&folder, &output);
    let corpus = open(&folder).0;
    assert_eq!((verdicts.len(), channels), (18, 2));
    assert!((seconds - corpus.seconds()).abs() < 1e-6);
    let in_memory: usize = corpus.recordings.iter().map(|one| 4 * 2 * one.samples()).sum();
    assert!(bytes > 0 && bytes < in_memory as u64, "{bytes} of {in_memory}");
    // It stands for itself.
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(open(&output).0, corpus);
}

#[test]
fn it_goes_on_where_it_was_stopped_and_knows_what_has_changed() {
    let home = tempfile::tempdir().unwrap();
    let (folder, output) = (home.path().join("sounds"), home.path().join("out"));
    write_all_kinds(&folder);
    let (cancel, read) = (AtomicBool::new(false), AtomicUsize::new(0));
    let stop_late = |_| {
        if read.fetch_add(1, Ordering::Relaxed) == 8 {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let stopped =
        with_options(&cancel, &stop_late, |options| prepare(&folder, &output, options, &Alone));
    assert!(stopped.unwrap_err().is::<Cancelled>());
    let samples = |number: u32| fs::metadata(output.join(format!("{number:05}.pcm")));
    let is_done = |number: u32| output.join(format!("{number:05}.json")).is_file();
    let done: Vec<u32> = (0..100).filter(|&number| is_done(number)).collect();
    assert!(!done.is_empty(), "something was kept");
    assert!(!output.join("prepared.json").exists());
    let error = with_options(&AtomicBool::new(false), &|_| {}, |o| Corpus::open(&output, o));
    assert!(error.unwrap_err().to_string().contains("is not prepared to the end"));
    // A run that was killed leaves samples that nothing tells of.
    fs::write(output.join("00099.pcm"), "leftover").unwrap();
    let written: Vec<_> = done.iter().map(|&n| samples(n).unwrap().modified().unwrap()).collect();

    prepared(&folder, &output, &Alone).unwrap();
    assert_same(&folder, &output);
    // But for a shard of a file that could not be used, which was tried again.
    let now: Vec<_> =
        done.iter().map(|&n| samples(n).ok().map(|one| one.modified().unwrap())).collect();
    let same =
        now.iter().zip(&written).filter(|(now, before)| now.is_none_or(|now| now == **before));
    assert_eq!(same.count(), done.len(), "what was kept was not decoded again");
    assert!(now.iter().flatten().count() >= 3, "eight files were");
    assert!(samples(99).is_err());

    let last = (0..100).filter(|&number| is_done(number)).max().unwrap();
    write(&folder.join("new.wav"), &[noise(77, 9000, 0.2)], 48_000, BitDepth::Int16);
    write(&folder.join("low/04.wav"), &[noise(78, 9000, 0.2)], 44_100, BitDepth::Int16);
    fs::remove_file(folder.join("high/01.wav")).unwrap();
    prepared(&folder, &output, &Alone).unwrap();
    assert_same(&folder, &output);
    assert!(is_done(last + 1), "what is new is in shards of its own");
    // Shards of which nothing is used are removed.
    for name in ["low", "high"] {
        fs::remove_dir_all(folder.join(name)).unwrap();
    }
    prepared(&folder, &output, &Alone).unwrap();
    assert_same(&folder, &output);
    assert!((0..=last + 1).all(|number| samples(number).is_ok() == is_done(number)));
    assert!((0..=last + 1).filter(|&number| is_done(number)).count() <= 5, "five files are left");
}

#[test]
fn ranks_prepare_what_one_process_does() {
    let home = tempfile::tempdir().unwrap();
    let (folder, output) = (home.path().join("sounds"), home.path().join("out"));
    write_all_kinds(&folder);
    let table = &Table::new(3);
    let (folder, output) = (&folder, &output);
    thread::scope(|scope| {
        for rank in 0..3 {
            scope.spawn(move || {
                prepared(folder, output, &Thread { rank, count: 3, table }).unwrap()
            });
        }
    });
    assert_same(folder, output);
}

#[test]
fn a_run_on_what_was_prepared_ends_with_the_same_model() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write_recordings(&folder.join("sounds"));
    let output = succeed(folder, "prepare sounds");
    assert_eq!(program::stdout(&output), "sounds.prepared\n");
    let train = format!("--codec-steps 6 --prior-steps 3 --seed 7 {TINY} --no-report");
    succeed(folder, &format!("train sounds -o memory.distill {train}"));
    let output = succeed(folder, &format!("train sounds.prepared {train}"));
    assert_eq!(program::stdout(&output), "sounds.distill\n");
    let digest = |name: &str| Bundle::open(&folder.join(name)).unwrap().digest().to_owned();
    assert_eq!(digest("sounds.distill"), digest("memory.distill"));
    succeed(folder, "evaluate sounds.distill sounds.prepared --no-baseline");
}

#[test]
fn what_is_damaged_is_named() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write_recordings(&folder.join("sounds"));
    succeed(folder, "prepare sounds -o out");
    let train = format!("train out -o x.distill --codec-steps 1 --prior-steps 1 {TINY}");
    let index = folder.join("out/prepared.json");
    let good = fs::read_to_string(&index).unwrap();
    for (from, to) in [
        ("\"samples\":20000", "\"samples\":0"),
        ("\"channels\":2", "\"channels\":3"),
        ("\"rate\":44100", "\"rate\":1"),
        ("\"alike\":0", "\"alike\":9"),
        ("\"offset\":0", "\"offset\":18446744073709551615"),
        ("\"format\":", "\"format\":9"),
        ("{", ""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        fs::write(&index, bad).unwrap();
        fail(folder, &train, 1, "prepared.json; prepare the folder again");
    }
    fs::write(&index, &good).unwrap();
    let samples = folder.join("out/00000.pcm");
    let bytes = fs::read(&samples).unwrap();
    fs::write(&samples, &bytes[..bytes.len() - 1]).unwrap();
    fail(folder, &train, 1, "00000.pcm is cut short");
    fs::remove_file(&samples).unwrap();
    fail(folder, &train, 1, "00000.pcm is lost");
}

#[test]
fn what_is_damaged_is_whole_again_once_it_is_prepared_again() {
    let home = tempfile::tempdir().unwrap();
    let (folder, output) = (home.path().join("sounds"), home.path().join("out"));
    write_all_kinds(&folder);
    prepared(&folder, &output, &Alone).unwrap();
    let file = |name: &str| output.join(name);
    let cut = |name: &str| {
        let bytes = fs::read(file(name)).unwrap();
        fs::write(file(name), &bytes[..bytes.len() / 2]).unwrap();
    };
    for damage in [
        &(|| fs::remove_file(file("00001.pcm")).unwrap()) as &dyn Fn(),
        &|| cut("00002.pcm"),
        &|| cut("00003.json"),
        &|| fs::remove_file(file("00004.json")).unwrap(),
        &|| cut("prepared.json"),
    ] {
        damage();
        prepared(&folder, &output, &Alone).unwrap();
        assert_same(&folder, &output);
    }
}

#[test]
fn a_corpus_that_is_read_is_not_prepared_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let (folder, output) = (home.path().join("sounds"), home.path().join("out"));
    write_all_kinds(&folder);
    prepared(&folder, &output, &Alone).unwrap();
    let corpus = open(&output).0;
    let error = prepared(&folder, &output, &Alone).unwrap_err().to_string();
    assert!(error.contains("trains on it"), "{error}");
    drop(corpus);
    prepared(&folder, &output, &Alone).unwrap();
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_today_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let (folder, output) = (home.path().join("sounds"), home.path().join("out"));
    write_recordings(&folder.join("here"));
    prepared(&folder, &output, &Alone).unwrap();
    // Of a drive that comes and goes.
    write_recordings(&home.path().join("drive"));
    std::os::unix::fs::symlink("../drive", folder.join("there")).unwrap();
    let other = folder.join("there/new.wav");
    write(&other, &[noise(5, 9000, 0.2)], 48_000, BitDepth::Int16);
    prepared(&folder, &output, &Alone).unwrap();
    let shards = || (0..100).filter(|n| output.join(format!("{n:05}.pcm")).is_file()).count();
    let before = shards();
    fs::rename(home.path().join("drive"), home.path().join("gone")).unwrap();
    let without = prepared(&folder, &output, &Alone).unwrap().unwrap();
    assert!(without.verdicts.iter().any(|verdict| verdict.name == "there"));
    assert_eq!(shards(), before);
    // What has changed beside it is.
    write(&folder.join("here/changed.wav"), &[noise(6, 9000, 0.2)], 48_000, BitDepth::Int16);
    prepared(&folder, &output, &Alone).unwrap();
    fs::remove_file(folder.join("here/changed.wav")).unwrap();
    prepared(&folder, &output, &Alone).unwrap();
    assert_eq!(shards(), before);
    fs::remove_file(folder.join("there")).unwrap();
    prepared(&folder, &output, &Alone).unwrap();
    assert!(shards() < before, "what is gone for good is not kept");
}

#[test]
fn what_is_prepared_of_another_folder_of_that_name_stays() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    for pack in ["one", "two"] {
        write_recordings(&folder.join(pack).join("Loops"));
    }
    write(&folder.join("two/Loops/new.wav"), &[noise(5, 9000, 0.2)], 48_000, BitDepth::Int16);
    succeed(folder, "prepare one/Loops");
    let index = || fs::read(folder.join("Loops.prepared/prepared.json")).unwrap();
    let before = index();
    succeed(folder, "prepare two/Loops");
    assert_eq!(index(), before);
    assert_same(&folder.join("two/Loops"), &folder.join("Loops-2.prepared"));
    // Each goes on with its own.
    succeed(folder, "prepare one/Loops");
    succeed(folder, "prepare two/Loops");
    assert!(!folder.join("Loops-3.prepared").exists());
    assert_eq!(index(), before);
    // What was interrupted is known by then, too.
    fs::remove_file(folder.join("Loops.prepared/prepared.json")).unwrap();
    succeed(folder, "prepare two/Loops");
    assert!(!folder.join("Loops.prepared/prepared.json").exists());
}

#[test]
fn what_cannot_be_prepared_is_said() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write_recordings(&folder.join("sounds"));
    fail(folder, "prepare nowhere", 1, "nowhere");
    fail(folder, "prepare sounds -o sounds/inside", 1, "lies in the folder of recordings");
    assert!(!folder.join("sounds/inside").exists());
    fs::create_dir(folder.join("empty")).unwrap();
    fail(folder, "prepare empty -o out", 1, "there is no sound file in empty");
    fs::create_dir(folder.join("mine")).unwrap();
    fs::write(folder.join("mine/diary.txt"), "dear").unwrap();
    fail(folder, "prepare sounds -o mine", 1, "mine holds diary.txt");
    // It looks like ours, and is not.
    fs::rename(folder.join("mine/diary.txt"), folder.join("mine/00001.pcm")).unwrap();
    fail(folder, "prepare sounds -o mine", 1, "mine holds 00001.pcm");
    assert!(folder.join("mine/00001.pcm").exists());
    succeed(folder, "prepare sounds -o out");
    fail(folder, "prepare out", 1, "out is prepared already");
}
