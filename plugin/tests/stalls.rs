//! A worker that stalls: silence with soft edges, everything else in its place, every sample counted.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use distill_plugin::stream::LOOKAHEAD;
use distill_shared::player::Sampling;
use toy::{HOP, RATE, Stage, note};

/// Samples of a fade.
const FADE: usize = 192;
/// Where the worker stalls, in samples.
const AT: usize = 5000;

/// What is heard on the left of a note when the worker stalls from [`AT`] on for `stall` samples,
/// and how many samples were counted as missed. The last second and a half are after the stall.
fn heard(block: usize, stall: usize) -> (Vec<f32>, u64) {
    let mut stage = Stage::new(7);
    stage.engine.note_on(note(60));
    let len = AT + stall + 72_000;
    let mut heard = Vec::with_capacity(len);
    while heard.len() < len {
        if !(AT..AT + stall).contains(&heard.len()) {
            stage.work();
        }
        let (mut left, mut right) = (vec![f32::NAN; block], vec![f32::NAN; block]);
        stage.begin(block);
        stage.engine.render(&mut left, &mut right);
        stage.engine.finish();
        heard.extend(left);
    }
    (heard, stage.instance.missed())
}

#[test]
fn a_stall_is_silence_with_soft_edges_and_every_missing_sample_is_counted() {
    let frames = (AT + 48_000 * 4) / HOP;
    let take = toy::take(&toy::model(7), 0, frames, |_| Sampling::default());
    let take: Vec<f32> = take.iter().map(|sample| sample[0]).collect();
    for block in [17, 64, 441, 1024] {
        for stall in [48, 480, 2_400, 4_800, 24_000, 48_000] {
            let (heard, missed) = heard(block, stall);
            let what = format!("blocks of {block}, a stall of {stall}");
            // The gain is one, or falls and rises by no more than a fade does.
            let (mut gain, mut seen) = (1.0_f32, 0);
            let mut silent = 0_u64;
            for (i, (&heard, &take)) in heard.iter().zip(&take).enumerate() {
                silent += u64::from(heard == 0.0 && take != 0.0);
                // Of hardly any sound no gain can be told.
                if take.abs() > 1e-3 {
                    let now = heard / take;
                    assert!((-1e-6..=1.000_001).contains(&now), "{what}: {now} at {i}");
                    let most = 1.01 * (i - seen) as f32 / FADE as f32 + 1e-4;
                    assert!((now - gain).abs() < most || i == 0, "{what}: {gain} to {now} at {i}");
                    (gain, seen) = (now, i);
                }
            }
            let last = heard.len() - 24_000;
            assert!(heard[last..] == take[last..heard.len()], "{what}: back in its place");
            if stall + 2 * block + FADE < LOOKAHEAD * HOP {
                assert_eq!((missed, silent), (0, 0), "{what}: the lookahead covers it");
                assert!(heard[..] == take[..heard.len()], "{what}");
            } else if stall > LOOKAHEAD * HOP {
                assert!(missed > 0, "{what}");
                assert!(silent.abs_diff(missed) <= 4, "{what}: {silent} silent, {missed} counted");
            }
        }
    }
}

/// What is heard on the left, at `rate` samples per second, of a note that is raised by `tune` semitones
/// and whose worker begins `late` samples after it, in blocks of `block`: a quarter of a second.
fn heard_late(rate: f32, tune: f32, late: usize, block: usize) -> Vec<f32> {
    let mut stage = Stage::loading();
    stage.settings.tune = tune;
    stage.engine.activate(rate, false);
    stage.engine.reset(&stage.settings.clone());
    stage.deliver(&toy::model(7));
    stage.begin(0);
    stage.engine.note_on(note(60));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let len = (rate / 4.0) as usize;
    let mut heard = Vec::with_capacity(len + block);
    while heard.len() < len {
        if heard.len() >= late {
            stage.work();
        }
        let len = if heard.len() < late { block.min(late - heard.len()) } else { block };
        let (mut left, mut right) = (vec![f32::NAN; len], vec![f32::NAN; len]);
        stage.begin(len);
        stage.engine.render(&mut left, &mut right);
        stage.engine.finish();
        heard.extend(left);
    }
    heard.truncate(len);
    heard
}

#[test]
fn what_comes_late_is_in_its_place_at_every_sample_rate() {
    for (rate, tune) in
        [(RATE, 0.0), (RATE, 3.0), (96_000.0, 0.0), (96_000.0, 3.0), (44_100.0, 0.0)]
    {
        let expected = heard_late(rate, tune, 0, 128);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let late = (rate / 10.0) as usize;
        // Once it has faded in.
        let from = late + late / 5;
        for block in [128, 77] {
            let heard = heard_late(rate, tune, late, block);
            assert!(heard[..late].iter().all(|sample| *sample == 0.0));
            let off = heard[from..].iter().zip(&expected[from..]).map(|(a, b)| (a - b).abs());
            let off = off.fold(0.0, f32::max);
            let most = if rate == RATE { 0.0 } else { 1e-6 };
            assert!(off <= most, "{off} at {rate}, raised by {tune}, in blocks of {block}");
        }
    }
}
