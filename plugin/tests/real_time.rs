//! The audio thread allocates and frees nothing, and how the host cuts its blocks cannot be heard.
//!
//! The framework installs an allocator that aborts the program inside `assert_no_alloc`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use distill_plugin::engine::{Block, Engine, Settings};
use distill_plugin::instance::{ModelRef, Phase};
use distill_plugin::patience::wait_at_most;
use distill_plugin::selection::Selection;
use distill_plugin::state::BundleRef;
use distill_plugin::zones::Zones;
use distill_shared::player::Sampling;
use nice_assert_no_alloc::assert_no_alloc;
use toy::rough::endure;
use toy::{HOP, Stage, key, note};

/// A block of `len` samples into buffers that exist already.
fn block(stage: &mut Stage, output: &mut [Vec<f32>; 2], act: impl FnOnce(&mut Engine)) {
    let [left, right] = output;
    let block = Block {
        settings: stage.settings,
        len: left.len(),
        now: Instant::now(),
        playing: stage.playing,
        meter: stage.meter,
    };
    let engine = &mut stage.engine;
    assert_no_alloc(|| {
        engine.begin(&block);
        act(engine);
        engine.render(left, right);
        engine.finish();
    });
}

#[test]
fn the_audio_thread_allocates_and_frees_nothing() {
    let mut stage = Stage::new(7);
    let mut output = [vec![0.0; 480], vec![0.0; 480]];
    for round in 0..40_u8 {
        block(&mut stage, &mut output, |engine| {
            (0..5).for_each(|n| engine.note_on(note(n)));
            engine.note_off(&key(round % 5));
        });
        match round % 8 {
            // Sound is missing.
            0 => {}
            1 => stage.settings.sampling.temperature = f32::from(round) / 40.0,
            2 => {
                let edition = stage.instance.choose(BundleRef::default());
                stage.desk.set_model(edition, toy::model(round.into()));
                stage.instance.succeed(
                    edition,
                    BundleRef::default(),
                    String::new(),
                    Zones::default(),
                    ModelRef::default(),
                );
            }
            3 => stage.playing = !stage.playing,
            4 => {
                let (engine, settings) = (&mut stage.engine, stage.settings);
                assert_no_alloc(|| engine.reset(&settings));
            }
            5 => stage.settings.voices = 1 + usize::from(round) % 8,
            _ => stage.work(),
        }
    }
    assert!(stage.instance.missed() > 0 && output[0].iter().any(|&sample| sample != 0.0));
}

#[test]
fn whatever_comes_the_audio_thread_allocates_and_frees_nothing() {
    endure(50_000, |mut callback| {
        assert_no_alloc(|| callback.run());
        callback
    });
}

/// An engine with the worker threads of the process, and what keeps them.
fn with_threads(rate: f32, path: &std::path::Path) -> (Engine, Selection) {
    let (selection, end) = Selection::new();
    selection.choose(BundleRef::file(path.to_string_lossy().into_owned()));
    let instance = Arc::clone(selection.instance());
    let mut engine = Engine::new(end, Arc::clone(&instance), toy::settings());
    wait_at_most(Duration::from_secs(20), || instance.phase() != Phase::Loading);
    assert_eq!(instance.phase(), Phase::Ready, "{}", instance.texts().error);
    engine.activate(rate, true);
    engine.reset(&toy::settings());
    (engine, selection)
}

/// What a host hears that renders `len` samples of a phrase to a file, with blocks as long as
/// `cut` says. Notes and knobs are at their exact sample.
fn bounce(rate: f32, len: usize, mut cut: impl FnMut() -> usize) -> Vec<[f32; 2]> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();
    let (mut engine, selection) = with_threads(rate, &path);

    let note_every = 2_345;
    let knob_every = 1_001;
    let (mut left, mut right) = (vec![0.0; len], vec![0.0; len]);
    let mut settings = toy::settings();
    let mut start = 0;
    while start < len {
        let knob = start / knob_every;
        let whole = (start + cut()).min((knob + 1) * knob_every).min(len);
        settings = Settings {
            sampling: Sampling { temperature: [1.0, 0.5, 2.0][knob % 3], ..Sampling::default() },
            ..settings
        };
        let now = Instant::now();
        let block = Block { settings, len: whole - start, now, playing: false, meter: None };
        assert_no_alloc(|| engine.begin(&block));
        while start < whole {
            let next = start.next_multiple_of(note_every);
            if next == start {
                let n = u8::try_from(start / note_every).unwrap();
                engine.note_on(note(n));
                engine.note_off(&key(n.wrapping_sub(2)));
            }
            let end = whole.min((start / note_every + 1) * note_every);
            let (left, right) = (&mut left[start..end], &mut right[start..end]);
            assert_no_alloc(|| engine.render(left, right));
            start = end;
        }
        assert_no_alloc(|| engine.finish());
    }
    assert_eq!(selection.instance().missed(), 0);
    left.into_iter().zip(right).map(|(left, right)| [left, right]).collect()
}

#[test]
fn the_cut_into_blocks_cannot_be_heard() {
    let len = 40_000;
    let whole = bounce(48_000.0, len, || len);
    assert!(whole.iter().any(|sample| sample[0].abs() > 1e-3));
    for size in [7, 64, 511, 4096] {
        assert!(bounce(48_000.0, len, || size) == whole, "blocks of {size}");
    }
    let mut random = 12_345_u32;
    let cut = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + random as usize % 700
    };
    assert!(bounce(48_000.0, len, cut) == whole, "blocks of random size");
    let short: Vec<_> = bounce(48_000.0, 5000, || 1);
    assert!(short == whole[..5000], "blocks of one sample");
}

#[test]
fn the_cut_into_blocks_cannot_be_heard_at_other_rates() {
    for rate in [22_050.0, 44_100.0, 96_000.0] {
        let whole = bounce(rate, 20_000, || 20_000);
        assert!(whole.iter().any(|sample| sample[0].abs() > 1e-3));
        assert!(bounce(rate, 20_000, || 333) == whole, "at {rate} Hz");
    }
}

#[test]
fn a_host_that_renders_to_a_file_misses_nothing_even_while_the_bundle_is_loading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();
    let (mut engine, selection) = with_threads(48_000.0, &path);
    selection.choose(BundleRef::file(path.to_string_lossy().into_owned()));
    let block = Block {
        settings: toy::settings(),
        len: 4 * HOP,
        now: Instant::now(),
        playing: false,
        meter: None,
    };
    engine.begin(&block);
    engine.note_on(note(60));
    let (mut left, mut right) = (vec![0.0; 4 * HOP], vec![0.0; 4 * HOP]);
    engine.render(&mut left, &mut right);
    let take = toy::take(&toy::model(7), 0, 4, |_| Sampling::default());
    assert_eq!(left, take.iter().map(|sample| sample[0]).collect::<Vec<_>>());
}

/// Plays in real time, as a host with long blocks does: the worker cannot be ahead by one.
#[test]
fn a_block_longer_than_the_worker_may_be_ahead_is_whole_in_real_time() {
    /// Two seconds: a busy machine has half a second for what it takes a millisecond to make.
    const BLOCK: usize = 96_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();
    let (mut engine, selection) = with_threads(48_000.0, &path);
    engine.activate(48_000.0, false);
    engine.reset(&toy::settings());
    wait_at_most(Duration::from_secs(20), || engine.is_prepared());
    let take = toy::take(&toy::model(7), 0, 2 * BLOCK / HOP, |_| Sampling::default());
    let began = Instant::now();
    for (number, take) in (0..).zip(take.chunks(BLOCK)) {
        let due = Duration::from_secs_f64(number as f64 * BLOCK as f64 / 48_000.0);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let (settings, now) = (toy::settings(), Instant::now());
        engine.begin(&Block { settings, len: BLOCK, now, playing: false, meter: None });
        if number == 0 {
            engine.note_on(note(60));
        }
        let (mut left, mut right) = (vec![0.0; BLOCK], vec![0.0; BLOCK]);
        engine.render(&mut left, &mut right);
        engine.finish();
        assert!(left.iter().zip(take).all(|(heard, take)| *heard == take[0]), "block {number}");
    }
    assert_eq!(selection.instance().missed(), 0);
}

#[test]
fn the_audio_thread_imports_no_locks_no_files_and_no_training() {
    let forbidden = [
        "Mutex",
        "RwLock",
        "Condvar",
        "mpsc",
        "channel::",
        "fs::",
        "candle",
        "println",
        "Vec<",
        "vec!",
        "String",
        "Box<",
        "format!",
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = [&folder, &folder.join("engine")].map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.into_iter().flatten().map(|entry| entry.unwrap().path());
    let of_engine = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("engine"));
    let mut modules = 0;
    for path in files.filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).unwrap();
        if !(text.starts_with("//! AUDIO THREAD") || of_engine(&path)) {
            continue;
        }
        modules += 1;
        let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let code = code.replace("ArrayVec<", "Array<");
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in forbidden {
                assert!(!line.contains(word), "{}: {line}", path.display());
            }
        }
    }
    assert!(modules >= 15, "{modules}");
}
