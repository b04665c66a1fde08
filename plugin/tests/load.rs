//! Many instances at every sample rate, in blocks of every length: each plays what it plays alone, and
//! nothing is missed. The model is tiny, so that what is tried is the instrument.
//!
//! `cargo xtask soak` plays ten seconds of every combination, and prints what the audio threads took.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use distill_shared::player::{Model, TakeKey, uniform};
use nice_assert_no_alloc::assert_no_alloc;
use toy::{Keys, Stage, note};

const INSTANCES: [usize; 5] = [1, 4, 16, 32, 64];
const RATES: [f32; 5] = [44_100.0, 48_000.0, 88_200.0, 96_000.0, 192_000.0];
/// Samples in a block; none stands for random lengths.
const BLOCKS: [Option<usize>; 13] = [
    Some(1),
    Some(16),
    Some(32),
    Some(64),
    Some(128),
    Some(256),
    Some(441),
    Some(512),
    Some(1024),
    Some(2048),
    Some(4096),
    Some(8192),
    None,
];
/// The longest of random lengths.
const LONGEST: usize = 4096;
/// The worker looks after an instance before it has played so many samples more, in the middle of a
/// longer block, as it would on a thread of its own: fewer than it may be ahead by, at any pitch.
const TURN: usize = 512;

/// So many instances, at a rate, in blocks of a length.
#[derive(Debug, Clone, Copy)]
struct Cell {
    instances: usize,
    rate: f32,
    block: Option<usize>,
}

/// An instance, and what was heard of it.
struct Player {
    stage: Stage,
    heard: DefaultHasher,
    /// Samples since the worker looked after it.
    unattended: usize,
}

impl Player {
    /// An instance that holds a note, at a pitch that depends on its number.
    fn new(model: &Arc<Model>, number: usize, rate: f32) -> Self {
        let mut stage = Stage::with_model(Arc::clone(model));
        stage.engine.activate(rate, false);
        (stage.settings.seed, stage.settings.keys) = (number as u64, Keys::Pitches);
        let settings = stage.settings;
        stage.engine.reset(&settings);
        stage.work();
        stage.begin(0);
        stage.engine.note_on(note(48 + u8::try_from(number % 24).unwrap()));
        Self { stage, heard: DefaultHasher::new(), unattended: 0 }
    }

    /// Plays a block, and tells how long the audio thread took.
    fn play(&mut self, left: &mut [f32], right: &mut [f32]) -> Duration {
        let begun = Instant::now();
        assert_no_alloc(|| self.stage.begin(left.len()));
        let mut took = begun.elapsed();
        let mut start = 0;
        while start < left.len() {
            if self.unattended == TURN {
                self.stage.work();
                self.unattended = 0;
            }
            let end = left.len().min(start + TURN - self.unattended);
            let (left, right) = (&mut left[start..end], &mut right[start..end]);
            let begun = Instant::now();
            assert_no_alloc(|| self.stage.engine.render(left, right));
            took += begun.elapsed();
            for (left, right) in left.iter().zip(&*right) {
                assert!(left.is_finite() && right.is_finite());
                self.heard.write_u32(left.to_bits());
                self.heard.write_u32(right.to_bits());
            }
            self.unattended += end - start;
            start = end;
        }
        let begun = Instant::now();
        assert_no_alloc(|| self.stage.engine.finish());
        took + begun.elapsed()
    }
}

/// What every cell plays, and what each instance of it has to sound like.
struct Load {
    model: Arc<Model>,
    seconds: f32,
    /// What was heard of an instance that played alone, by its number and rate.
    alone: HashMap<(usize, u32), u64>,
}

impl Load {
    fn new(seconds: f32) -> Self {
        Self { model: toy::model(7), seconds, alone: HashMap::new() }
    }

    fn samples(&self, rate: f32) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds")]
        let samples = (self.seconds * rate) as usize;
        samples
    }

    /// What is heard of all instances of a cell, and how much of a core the audio threads took.
    fn play(&self, cell: Cell) -> (Vec<u64>, f64) {
        let Cell { instances, rate, block } = cell;
        let players = (0..instances).map(|number| Player::new(&self.model, number, rate));
        let mut players: Vec<_> = players.collect();
        let longest = block.unwrap_or(LONGEST);
        let (mut left, mut right) = (vec![f32::NAN; longest], vec![f32::NAN; longest]);
        let (mut start, mut took) = (0, Duration::ZERO);
        let len = self.samples(rate);
        for number in 0.. {
            if start == len {
                break;
            }
            let random = || uniform(TakeKey { seed: 3, take: 0 }, number, 0) * LONGEST as f32;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let block = block.unwrap_or_else(|| random() as usize).clamp(1, len - start);
            for player in &mut players {
                took += player.play(&mut left[..block], &mut right[..block]);
            }
            start += block;
        }
        let heard = players.iter().map(|player| {
            assert_eq!(player.stage.instance.missed(), 0, "{cell:?}");
            player.heard.finish()
        });
        (heard.collect(), took.as_secs_f64() / f64::from(self.seconds))
    }

    /// Each instance of a cell plays what it plays alone. Tells how much of a core the cell took.
    fn check(&mut self, cell: Cell) -> f64 {
        let (heard, took) = self.play(cell);
        for (number, heard) in heard.into_iter().enumerate() {
            let key = (number, cell.rate.to_bits());
            let alone =
                self.alone.get(&key).copied().unwrap_or_else(|| self.alone(number, cell.rate));
            self.alone.insert(key, alone);
            assert_eq!(heard, alone, "instance {number} of {cell:?}");
        }
        took
    }

    fn alone(&self, number: usize, rate: f32) -> u64 {
        let mut player = Player::new(&self.model, number, rate);
        let len = self.samples(rate);
        let (mut left, mut right) = (vec![f32::NAN; len], vec![f32::NAN; len]);
        player.play(&mut left, &mut right);
        assert!(left.iter().any(|sample| sample.abs() > 1e-3), "instance {number} is silent");
        player.heard.finish()
    }
}

/// Blocks of every length, each at three of the rates.
#[test]
fn every_instance_of_many_plays_what_it_plays_alone() {
    let mut load = Load::new(0.2);
    for (b, block) in BLOCKS.into_iter().enumerate() {
        for (i, &instances) in INSTANCES[..3].iter().enumerate() {
            load.check(Cell { instances, rate: RATES[(b + i) % RATES.len()], block });
        }
    }
}

#[test]
#[ignore = "takes an hour: cargo xtask soak"]
fn every_instance_of_many_plays_what_it_plays_alone_whatever_the_rate_and_the_blocks() {
    let mut load = Load::new(10.0);
    println!("share of a core; instances, samples a second, samples in a block");
    for rate in RATES {
        for block in BLOCKS {
            let name = block.map_or("random".to_owned(), |block| block.to_string());
            let shares = INSTANCES.map(|instances| {
                let share = load.check(Cell { instances, rate, block });
                format!("{share:.4}")
            });
            println!("{rate} {name}: {}", shares.join(" "));
        }
    }
}
