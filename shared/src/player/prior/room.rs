//! One step of the prior: the temporal transformer hears the frames before, and the depth transformer
//! speaks the next, level by level.

use arrayvec::ArrayVec;

use super::PriorWeights;
use crate::codes::ABSENT;
use crate::player::sampling::Sampler;
use crate::player::target::TargetRoom;
use crate::player::transformer::{TransformerRoom, TransformerState};
use crate::player::{Model, VOICES};

/// What is carried from frame to frame of one sequence.
pub(super) struct Sequence {
    pub(super) temporal: TransformerState,
    pub(super) depth: TransformerState,
    /// The latent of the last frame: `[D]`.
    pub(super) latent: Vec<f32>,
    /// Whether the next frame begins: the take, or anew in it.
    pub(super) begins: bool,
    /// The frame that began last, or the first after those that it was given to go on from.
    pub(super) begun: u64,
    /// Frames of a clip that were gone through.
    pub(super) given: u64,
    /// How likely the last frame is the last of what began: log-odds.
    pub(super) end: f32,
}

/// Room for the next frame of some sequences, `[rows]` of each.
#[derive(Default)]
pub(super) struct Room {
    pub(super) temporal: TransformerRoom,
    pub(super) depth: TransformerRoom,
    pub(super) sampler: Sampler,
    /// `[D]`.
    pub(super) latents: Vec<f32>,
    /// Temporal input and output: `[H]`.
    pub(super) x: Vec<f32>,
    pub(super) heard: Vec<f32>,
    /// Depth: `[E]` each.
    pub(super) projected: Vec<f32>,
    pub(super) targets: TargetRoom,
    pub(super) depth_x: Vec<f32>,
    pub(super) depth_heard: Vec<f32>,
    /// `[K]`.
    pub(super) logits: Vec<f32>,
}

/// A sequence, the codes of its last frame, which those of the next take the place of, the levels
/// up to the last one that is drawn, and the codes that are given: `[N]`, or nothing.
pub(super) struct Turn<'a> {
    pub(super) sequence: &'a mut Sequence,
    pub(super) codes: &'a mut [u32],
    pub(super) levels: usize,
    pub(super) given: &'a [Option<u32>],
}

impl Turn<'_> {
    /// The code that is given for a level.
    fn given(&self, level: usize) -> Option<u32> {
        self.given.get(level).copied().flatten()
    }
}

impl Room {
    /// Makes the next frame of each sequence. `choose` takes the next code of a turn, whose frame has those
    /// of the levels before, from its logits, `[K]`.
    pub(super) fn step(
        &mut self,
        model: &Model,
        turns: &mut [Turn],
        choose: impl FnMut(usize, &[u32], &mut [f32]) -> u32,
    ) {
        let Some(prior) = &model.prior else { return }; // there is one: the player's `new` saw it
        self.hear(model, prior, turns);
        self.speak(model, prior, turns, choose);
    }

    /// Runs the temporal transformer on the frames before these.
    pub(super) fn hear(&mut self, model: &Model, prior: &PriorWeights, turns: &mut [Turn]) {
        let codec = &model.config().codec;
        let (hidden, rows) = (prior.start.len(), turns.len());
        let latents = self.latents.chunks_exact_mut(codec.latent_dim);
        for (Turn { sequence, codes, .. }, latent) in turns.iter_mut().zip(latents) {
            assert_eq!(codes.len(), codec.quantizers, "codes are [N]");
            if sequence.temporal.position() > 0 {
                model.quantizer.decode(codes, &mut sequence.latent);
            }
            if sequence.begins {
                // What went before fades, and tells nothing of it. A prior that heard it would be
                // where training hardly was, if recordings are long.
                sequence.temporal.forget();
                latent.fill(0.0);
            } else {
                latent.copy_from_slice(&sequence.latent);
            }
        }
        let latents = &self.latents[..rows * codec.latent_dim];
        prior.latent.apply(model.arch, latents, &mut self.x[..rows * hidden]);
        for (Turn { sequence, codes, .. }, x) in turns.iter().zip(self.x.chunks_mut(hidden)) {
            if sequence.begins {
                x.copy_from_slice(&prior.start);
                continue;
            }
            for (level, &code) in codes.iter().enumerate().filter(|(_, code)| **code != ABSENT) {
                add_row(&prior.codes, row(level, code, codec.codebook_size), x);
            }
        }
        let (x, heard) = (&mut self.x[..rows * hidden], &mut self.heard[..rows * hidden]);
        let sequences = turns.iter_mut().map(|turn| &mut turn.sequence.temporal);
        let mut sequences: ArrayVec<_, VOICES> = sequences.collect();
        prior.temporal.step(model.arch, &mut self.temporal, &mut sequences, x, heard);
        drop(sequences);
        for (Turn { sequence, .. }, heard) in turns.iter_mut().zip(heard.chunks(hidden)) {
            sequence.end = prior.ends.odds(heard);
        }
        for Turn { sequence, .. } in turns.iter_mut().filter(|turn| turn.sequence.begins) {
            sequence.begun = sequence.temporal.position() - 1;
            sequence.begins = false;
        }
        let projected = &mut self.projected[..rows * prior.project.outputs()];
        prior.project.apply(model.arch, heard, projected);
        prior.target.foresee(model.arch, heard, latents, &mut self.targets);
    }

    /// Runs the depth transformer level by level, each level for the sequences that draw it.
    fn speak(
        &mut self,
        model: &Model,
        prior: &PriorWeights,
        turns: &mut [Turn],
        mut choose: impl FnMut(usize, &[u32], &mut [f32]) -> u32,
    ) {
        let (size, width) = (model.config().codec.codebook_size, prior.project.outputs());
        turns.iter_mut().for_each(|turn| turn.sequence.depth.reset());
        for (level, head) in prior.heads.iter().enumerate() {
            let mut rows = 0;
            for (turn, projected) in turns.iter_mut().zip(self.projected.chunks(width)) {
                if level >= turn.levels {
                    turn.codes[level] = turn.given(level).unwrap_or(ABSENT);
                    continue;
                }
                let x = &mut self.depth_x[rows * width..][..width];
                x.copy_from_slice(projected);
                add_row(&prior.levels, level, x);
                // A level that was given as absent tells the next one nothing.
                if let Some(code) = level.checked_sub(1).map(|before| turn.codes[before])
                    && code != ABSENT
                {
                    add_row(&prior.depth_codes, row(level - 1, code, size), x);
                }
                rows += 1;
            }
            if rows == 0 {
                continue;
            }
            let x = &mut self.depth_x[..rows * width];
            let heard = &mut self.depth_heard[..rows * width];
            let logits = &mut self.logits[..rows * size];
            let sequences = turns.iter_mut().filter(|turn| level < turn.levels);
            let sequences = sequences.map(|turn| &mut turn.sequence.depth);
            let mut sequences = sequences.collect::<ArrayVec<_, VOICES>>();
            prior.depth.step(model.arch, &mut self.depth, &mut sequences, x, heard);
            drop(sequences);
            head.apply(model.arch, heard, logits);
            let drawing = turns.iter().enumerate().filter(|(_, turn)| level < turn.levels);
            let drawing: ArrayVec<usize, VOICES> = drawing.map(|(i, _)| i).collect();
            prior.target.add_logits(model.arch, level, &drawing, &mut self.targets, logits);
            let drawing = turns.iter_mut().enumerate().filter(|(_, turn)| level < turn.levels);
            for ((i, turn), logits) in drawing.zip(logits.chunks_exact_mut(size)) {
                let choose = || choose(i, &turn.codes[..level], logits);
                let code = turn.given(level).unwrap_or_else(choose);
                turn.codes[level] = code;
                if code == ABSENT {
                    continue;
                }
                assert!((code as usize) < size, "a code is below {size}");
                self.targets.take_off(i, model.quantizer.books().entry(level, code));
            }
        }
    }
}

/// The row that a code has in a table over all levels.
fn row(level: usize, code: u32, size: usize) -> usize {
    assert!((code as usize) < size, "code {code} is not below {size}");
    level * size + code as usize
}

/// Adds row `row` of `table` to `sum`.
fn add_row(table: &[f32], row: usize, sum: &mut [f32]) {
    let width = sum.len();
    sum.iter_mut().zip(&table[row * width..][..width]).for_each(|(sum, x)| *sum += x);
}
