//! Prints how much of one thread the audio thread's own work needs, as a share of real time: a line
//! per figure. The worker's work is done in between and not counted.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up has failed")]

#[path = "../tests/toy/mod.rs"]
mod toy;

use std::time::{Duration, Instant};

use toy::{Stage, note};

/// Each figure is the best of so many rounds: what else the machine does only ever adds time.
const ROUNDS: usize = 12;
/// Samples of sound in a round, at any rate about a second.
const ROUND: usize = 48_000;
/// Samples per block.
const BLOCK: usize = 64;
/// Keys of eight notes; with keys followed, no two are as fast.
const KEYS: [u8; 8] = [48, 52, 55, 60, 64, 67, 72, 76];

fn main() {
    let idle = best_share(&mut [stage(48_000.0, 0, false)]);
    println!("engine_idle {idle:.5}");
    let states = [
        ("48000", 48_000.0, false),
        ("48000_keys", 48_000.0, true),
        ("44100", 44_100.0, false),
        ("44100_keys", 44_100.0, true),
        ("96000_keys", 96_000.0, true),
    ];
    // Of a sample, not of a second: at 96 kHz there are twice as many.
    let mut costs = Vec::new();
    for (name, rate, keys) in states {
        let share = best_share(&mut [stage(rate, KEYS.len(), keys)]);
        println!("engine_8_voices_{name} {share:.5}");
        costs.push(share / f64::from(rate));
    }
    costs.sort_by(f64::total_cmp);
    println!("engine_worst_to_median_ratio {:.2}", costs[costs.len() - 1] / costs[costs.len() / 2]);
    let mut many: Vec<_> = (0..64).map(|_| stage(48_000.0, 1, true)).collect();
    println!("engine_64_instances {:.4}", best_share(&mut many));
}

/// A stage on which `voices` notes sound, and its rate.
fn stage(rate: f32, voices: usize, keys: bool) -> (Stage, f32) {
    let mut stage = Stage::new(7);
    stage.engine.activate(rate, false);
    stage.settings.keys = if keys { toy::Keys::Pitches } else { toy::Keys::Ignored };
    let settings = stage.settings;
    stage.engine.reset(&settings);
    stage.work();
    stage.begin(0);
    KEYS[..voices].iter().for_each(|key| stage.engine.note_on(note(*key)));
    (stage, rate)
}

/// What all `stages` together need of one thread.
fn best_share(stages: &mut [(Stage, f32)]) -> f64 {
    let rounds = (0..ROUNDS).map(|_| stages.iter_mut().map(round).sum::<f64>());
    rounds.fold(f64::MAX, f64::min)
}

/// What a round of a stage needs, as a share of its time.
fn round((stage, rate): &mut (Stage, f32)) -> f64 {
    let (mut left, mut right) = ([0.0; BLOCK], [0.0; BLOCK]);
    let (mut spent, mut blocks) = (Duration::ZERO, 0);
    while blocks * BLOCK < ROUND {
        stage.work();
        let start = Instant::now();
        stage.begin(BLOCK);
        stage.engine.render(&mut left, &mut right);
        stage.engine.finish();
        spent += start.elapsed();
        blocks += 1;
    }
    assert_eq!(stage.instance.missed(), 0, "it missed sound, and so had less to do");
    spent.as_secs_f64() / ((blocks * BLOCK) as f64 / f64::from(*rate))
}
