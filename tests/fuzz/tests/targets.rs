//! No target is harmed by files that did harm once, nor by some thousand mutations of its seeds, which are
//! the same every time. `cargo xtask fuzz` tries millions, guided by what they reach.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use distill_fuzz::{TARGETS, Target, fixtures, run};
use distill_shared::player::philox;

/// Mutations of each target.
const MUTATIONS: u32 = 4000;
/// What files are made of: what a mutation may put in.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x10\x00\x00\x00\x00\x00",
    b"0",
    b"-1",
    b"1e39",
    b"-1e999",
    b"4294967296",
    b"18446744073709551615",
    b"9223372036854775807",
    b"null",
    b"true",
    b"\"\"",
    b"[]",
    b"{}",
    b"[[",
    b"{\"",
    b",",
    b"\"a\":",
    b"\\u0000",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"data",
];

/// Numbers that are the same every time.
struct Draws {
    mutation: u32,
    count: u32,
}

impl Draws {
    /// A number below `limit`, or 0.
    fn below(&mut self, limit: usize) -> usize {
        self.count += 1;
        let [draw, ..] = philox([self.mutation, self.count, 0, 0], [1, 0]);
        usize::try_from(draw).unwrap() % limit.max(1)
    }

    /// A piece of `bytes`, up to 40 of them.
    fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let start = self.below(bytes.len());
        let len = self.below(40);
        bytes[start..].iter().take(len).copied().collect()
    }

    /// Changes `bytes` in one place.
    fn mutate(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let len = self.below(40).min(bytes.len() - at);
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.below(256).to_le_bytes()[0],
            2 => drop(bytes.drain(at..at + len)),
            3 => bytes.truncate(at),
            4 => {
                let seed = &seeds[self.below(seeds.len())];
                let piece = self.piece(seed);
                drop(bytes.splice(at..at, piece));
            }
            5 => {
                let piece = self.piece(bytes);
                drop(bytes.splice(at..at + len.min(piece.len()), piece));
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                let len = if self.below(2) == 0 { 0 } else { word.len().min(bytes.len() - at) };
                drop(bytes.splice(at..at + len, word.iter().copied()));
            }
        }
    }
}

/// Gives a target its fixtures, its seeds, every tenth prefix of these and their mutations.
fn try_target(target: &Target) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    for entry in fs::read_dir(fixtures(target.name)).into_iter().flatten() {
        run(target.check, &fs::read(entry.unwrap().path()).unwrap());
    }
    for (number, seed) in seeds.iter().enumerate() {
        // A target that refuses everything would hold nothing to its promises.
        assert!(run(target.check, seed), "seed {number} is refused");
        for len in (0..=seed.len()).rev().step_by(10) {
            run(target.check, &seed[..len]);
        }
    }
    for number in 0..MUTATIONS {
        let mut draws = Draws { mutation: number, count: 0 };
        let mut bytes = seeds[draws.below(seeds.len())].clone();
        for _ in 0..=draws.below(4) {
            draws.mutate(&mut bytes, &seeds);
        }
        run(target.check, &bytes);
    }
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

#[test]
fn nothing_harms_bundle() {
    try_target(target("bundle"));
}

#[test]
fn nothing_harms_sealed_bundle() {
    try_target(target("sealed_bundle"));
}

#[test]
fn nothing_harms_model() {
    try_target(target("model"));
}

#[test]
fn nothing_harms_state() {
    try_target(target("state"));
}

#[test]
fn nothing_harms_codes_file() {
    try_target(target("codes_file"));
}

#[test]
fn nothing_harms_preset() {
    try_target(target("preset"));
}

#[test]
fn nothing_harms_tags() {
    try_target(target("tags"));
}

#[test]
fn nothing_harms_take_file() {
    try_target(target("take_file"));
}

#[test]
fn nothing_harms_checkpoint() {
    try_target(target("checkpoint"));
}

#[test]
fn nothing_harms_sealed_checkpoint() {
    try_target(target("sealed_checkpoint"));
}

#[test]
fn nothing_harms_recording() {
    try_target(target("recording"));
}

#[test]
fn nothing_harms_wave_file() {
    try_target(target("wave_file"));
}
