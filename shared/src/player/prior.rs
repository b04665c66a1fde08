//! The prior, one frame at a time: the codes so far to the codes of the next frame.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::avoided::Avoided;
use super::copying::KeptCorpus;
use super::ends::Ends;
use super::guide::Guide;
use super::kernel::Linear;
use super::random::{TakeKey, uniform};
use super::sampling::{Group, Sampler, Sampling};
use super::target::{Target, TargetRoom};
use super::transformer::{Positions, Sizes, Transformer, TransformerRoom, TransformerState};
use super::weights::Weights;
use super::{CopyCheck, Model, ModelError, VOICES};
use crate::codes::{ABSENT, Codes};
use crate::model::config::{CodecConfig, PriorConfig};

/// The highest `top_p` of the first frame of a take. Few recordings tell how sounds begin, so codes
/// with which none does keep some probability; a take that drew one would begin with next to nothing.
const FIRST_TOP_P: f32 = 0.9;
/// Level of the random number that says whether a frame is the last of what began: no code has it.
const END: u32 = u32::MAX;

/// The packed layers of the prior.
#[derive(Debug)]
pub(crate) struct PriorWeights {
    /// `[H]`.
    start: Vec<f32>,
    /// `[N * K, H]`.
    codes: Vec<f32>,
    /// What it can be asked for.
    guide: Guide,
    /// What it keeps of its corpus.
    kept: Option<Arc<KeptCorpus>>,
    /// From `[D]` to `[H]`.
    latent: Linear,
    temporal: Transformer,
    ends: Ends,
    target: Target,
    project: Linear,
    /// `[N, E]`.
    levels: Vec<f32>,
    /// `[(N - 1) * K, E]`.
    depth_codes: Vec<f32>,
    depth: Transformer,
    /// One per level.
    heads: Vec<Linear>,
}

impl PriorWeights {
    /// Packs the prior.
    pub(crate) fn new(weights: &Weights, config: &PriorConfig, codec: &CodecConfig) -> Self {
        let temporal = Sizes {
            width: config.hidden_size,
            layers: config.layers,
            heads: config.heads,
            window: config.window,
            positions: Positions::Rotary,
        };
        let depth = Sizes {
            width: config.depth_size,
            layers: config.depth_layers,
            heads: config.depth_heads,
            window: codec.quantizers,
            positions: Positions::Unknown,
        };
        let head = weights.values("prior.depth.head.weight");
        let bias = weights.values("prior.depth.head.bias");
        let heads = head
            .chunks_exact(codec.codebook_size * config.depth_size)
            .zip(bias.chunks_exact(codec.codebook_size))
            .map(|(head, bias)| weights.pack(config.depth_size, head, bias))
            .collect();
        Self {
            start: weights.values("prior.start"),
            codes: weights.values("prior.codes"),
            guide: Guide::new(weights, config, codec),
            kept: config.kept.map(|kept| Arc::new(KeptCorpus::from_weights(weights, kept))),
            latent: weights.pack(codec.latent_dim, &weights.values("prior.latent"), &[]),
            temporal: Transformer::new(weights, "prior", temporal),
            ends: Ends::new(weights, config),
            target: Target::new(weights, config, codec),
            project: weights.linear("prior.depth.project", config.hidden_size),
            levels: weights.values("prior.depth.levels"),
            depth_codes: weights.values("prior.depth.codes"),
            depth: Transformer::new(weights, "prior.depth", depth),
            heads,
        }
    }
}

impl PriorWeights {
    /// What it keeps of its corpus.
    pub(super) fn kept(&self) -> Option<&Arc<KeptCorpus>> {
        self.kept.as_ref()
    }
}

/// Continues a sequence of codes. Its memory is bounded by the window of the prior.
pub struct PriorPlayer {
    model: Arc<Model>,
    sequence: Sequence,
    room: Room,
}

/// The next frame of one of several sequences of a model, for [`PriorPlayer::step_together`].
pub struct NextCodes<'a> {
    /// The sequence.
    pub player: &'a mut PriorPlayer,
    /// Which take it is.
    pub key: TakeKey,
    /// How to draw.
    pub sampling: Sampling,
    /// What it is to keep away from, as far as [`Sampling::novelty`] says.
    pub check: Option<&'a CopyCheck>,
    /// Codes that the frame is to have, coarse to fine, and which it draws: `[N]`, or nothing if it
    /// draws all.
    pub given: &'a [Option<u32>],
    /// The frame before, which the next takes the place of: `[N]`.
    pub codes: &'a mut [u32],
}

/// What is carried from frame to frame of one sequence.
struct Sequence {
    temporal: TransformerState,
    depth: TransformerState,
    /// The latent of the last frame: `[D]`.
    latent: Vec<f32>,
    /// Whether the next frame begins: the take, or anew in it.
    begins: bool,
    /// The frame that began last, or the first after those that it was given to go on from.
    begun: u64,
    /// How likely the last frame is the last of what began: log-odds.
    end: f32,
}

/// Room for the next frame of some sequences, `[rows]` of each.
#[derive(Default)]
struct Room {
    temporal: TransformerRoom,
    depth: TransformerRoom,
    sampler: Sampler,
    /// `[D]`.
    latents: Vec<f32>,
    /// Temporal input and output: `[H]`.
    x: Vec<f32>,
    heard: Vec<f32>,
    /// Depth: `[E]` each.
    projected: Vec<f32>,
    targets: TargetRoom,
    depth_x: Vec<f32>,
    depth_heard: Vec<f32>,
    /// `[K]`.
    logits: Vec<f32>,
}

/// A sequence, the codes of its last frame, which those of the next take the place of, the levels
/// up to the last one that is drawn, and the codes that are given: `[N]`, or nothing.
struct Turn<'a> {
    sequence: &'a mut Sequence,
    codes: &'a mut [u32],
    levels: usize,
    given: &'a [Option<u32>],
}

impl Turn<'_> {
    /// The code that is given for a level.
    fn given(&self, level: usize) -> Option<u32> {
        self.given.get(level).copied().flatten()
    }
}

impl PriorPlayer {
    /// Stands before the first frame.
    ///
    /// # Errors
    ///
    /// Fails if the model has no prior.
    pub fn new(model: Arc<Model>) -> Result<Self, ModelError> {
        let prior = model.prior.as_ref().ok_or(ModelError::NoPrior)?;
        let (hidden, depth) = (prior.start.len(), prior.project.outputs());
        let codec = &model.config().codec;
        let sequence = Sequence {
            temporal: prior.temporal.start(),
            depth: prior.depth.start(),
            latent: vec![0.0; codec.latent_dim],
            begins: true,
            begun: 0,
            end: f32::NEG_INFINITY,
        };
        let room = Room {
            temporal: prior.temporal.room(VOICES),
            depth: prior.depth.room(VOICES),
            sampler: Sampler::new(codec.codebook_size),
            latents: vec![0.0; VOICES * codec.latent_dim],
            x: vec![0.0; VOICES * hidden],
            heard: vec![0.0; VOICES * hidden],
            projected: vec![0.0; VOICES * depth],
            targets: TargetRoom::new(codec),
            depth_x: vec![0.0; VOICES * depth],
            depth_heard: vec![0.0; VOICES * depth],
            logits: vec![0.0; VOICES * codec.codebook_size],
        };
        Ok(Self { model, sequence, room })
    }

    /// Forgets all it has heard: back before the first frame. Real-time safe.
    pub fn reset(&mut self) {
        self.sequence.temporal.reset();
        self.sequence.latent.fill(0.0);
        self.sequence.begins = true;
        self.sequence.begun = 0;
        self.sequence.end = f32::NEG_INFINITY;
    }

    /// Begins again, and hears `codes` as the beginning of its sequence: the next step, given the
    /// last of them, goes on from there. They need not be codes that this prior would draw.
    ///
    /// # Panics
    ///
    /// Panics if `codes` has another number of levels than the codec, or one is not below `K`.
    pub fn prime(&mut self, codes: &Codes) {
        self.reset();
        let Some(prior) = &self.model.prior else { return }; // there is one: `new` saw it
        let mut frame = vec![0; codes.quantizers()];
        for t in 0..codes.frames() {
            if t > 0 {
                frame.copy_from_slice(codes.frame(t - 1));
            }
            let (sequence, levels) = (&mut self.sequence, frame.len());
            let turn = Turn { sequence, codes: &mut frame, levels, given: &[] };
            self.room.hear(&self.model, prior, &mut [turn]);
        }
        self.sequence.begun = self.frames();
    }

    /// The model that it plays.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Frames heard or made so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.sequence.temporal.position()
    }

    /// How likely the last frame is the last of what began, by what went before it: log-odds, -∞ if
    /// the prior tells no ends.
    #[must_use]
    pub fn end(&self) -> f32 {
        self.sequence.end
    }

    /// Frames made since something began. Those that it was given to go on from do not count.
    fn made(&self) -> u64 {
        if self.sequence.begins { 0 } else { self.frames() - self.sequence.begun }
    }

    /// Draws the next frame into `codes`, `[N]`, which hold the frame before it; what they hold
    /// before the first frame does not matter. The first frame keeps at most 0.9 of the
    /// probability. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if `codes` is not `[N]`, or after the first frame one is neither below `K` nor
    /// [`ABSENT`].
    pub fn step(&mut self, key: TakeKey, sampling: &Sampling, codes: &mut [u32]) {
        Self::step_together(&mut [NextCodes {
            player: self,
            key,
            sampling: *sampling,
            check: None,
            given: &[],
            codes,
        }]);
    }

    /// As [`Self::step`], for up to [`VOICES`] sequences. The weights are fetched once for all of
    /// them; each gives the codes that it would give alone. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if there are more sequences, they are not all of one model, or as [`Self::step`].
    pub fn step_together(next: &mut [NextCodes]) {
        let Some(first) = next.first_mut() else { return };
        let model = Arc::clone(&first.player.model);
        let mut room = std::mem::take(&mut first.player.room);
        let mut sampler = std::mem::take(&mut room.sampler);
        let draws: ArrayVec<_, VOICES> = next.iter().map(NextCodes::draw).collect();
        let free: ArrayVec<_, VOICES> = next.iter().map(NextCodes::is_free).collect();
        let made: ArrayVec<_, VOICES> = next.iter().map(|next| next.player.made()).collect();
        let avoided = next.iter().map(|next| Avoided::new(next.check, &next.sampling));
        let avoided: ArrayVec<_, VOICES> = avoided.collect();
        let turns = next.iter_mut().map(|NextCodes { player, sampling, given, codes, .. }| {
            assert!(Arc::ptr_eq(&player.model, &model), "the sequences are of one model");
            let last_open = given.iter().rposition(Option::is_none);
            let open = if given.is_empty() { codes.len() } else { last_open.map_or(0, |i| i + 1) };
            let most = if sampling.levels == 0 { open } else { sampling.levels as usize };
            Turn { sequence: &mut player.sequence, codes, levels: open.min(most), given }
        });
        let mut turns = turns.collect::<ArrayVec<_, VOICES>>();
        room.step(&model, &mut turns, |turn, level, logits| {
            let (key, frame, sampling) = draws[turn];
            if let Some(prior) = &model.prior {
                prior.guide.add(&sampling.controls, made[turn], level, logits);
            }
            avoided[turn].apply(level, logits);
            let group = Group::of(level, model.config().codec.quantizers);
            let level = u32::try_from(level).unwrap_or(u32::MAX);
            sampler.draw(model.arch, logits, (&sampling, group), uniform(key, frame, level))
        });
        // What is made between given codes does not begin anew.
        for (i, turn) in turns.iter_mut().enumerate().filter(|(i, _)| free[*i]) {
            let (key, frame, Sampling { once, .. }) = draws[i];
            let Some(prior) = &model.prior else { break };
            let drawn = uniform(key, frame, END);
            let is_last = prior.ends.is_last(turn.sequence.end, made[i] + 1, drawn);
            turn.sequence.begins = !once && is_last;
        }
        drop(turns);
        room.sampler = sampler;
        if let Some(first) = next.first_mut() {
            first.player.room = room;
        }
    }

    /// As [`Self::step`], asked for nothing, but `choose` takes the code of each level, coarse to
    /// fine, from its logits, `[K]`.
    ///
    /// # Panics
    ///
    /// As [`Self::step`], and if `choose` takes a code that is not below `K`.
    pub fn step_with(&mut self, codes: &mut [u32], mut choose: impl FnMut(usize, &[f32]) -> u32) {
        let levels = codes.len();
        let turn = Turn { sequence: &mut self.sequence, codes, levels, given: &[] };
        self.room.step(&self.model, &mut [turn], |_, level, logits| choose(level, logits));
    }
}

impl NextCodes<'_> {
    /// Whether all of the frame is drawn.
    fn is_free(&self) -> bool {
        self.given.iter().all(Option::is_none)
    }

    /// How to draw the next frame: whose it is, its number, and the sampling.
    fn draw(&self) -> (TakeKey, u32, Sampling) {
        let top_p = self.sampling.top_p;
        let top_p = if self.player.sequence.begins { top_p.min(FIRST_TOP_P) } else { top_p };
        #[expect(clippy::cast_possible_truncation, reason = "wraps after years of sound")]
        let frame = self.player.frames() as u32;
        (self.key, frame, Sampling { top_p, ..self.sampling })
    }
}

impl Room {
    /// Makes the next frame of each sequence. `choose` takes the code of a turn and a level from
    /// its logits, `[K]`.
    fn step(
        &mut self,
        model: &Model,
        turns: &mut [Turn],
        choose: impl FnMut(usize, usize, &mut [f32]) -> u32,
    ) {
        let Some(prior) = &model.prior else { return }; // there is one: the player's `new` saw it
        self.hear(model, prior, turns);
        self.speak(model, prior, turns, choose);
    }

    /// Runs the temporal transformer on the frames before these.
    fn hear(&mut self, model: &Model, prior: &PriorWeights, turns: &mut [Turn]) {
        let codec = &model.config().codec;
        let (hidden, rows) = (prior.start.len(), turns.len());
        let latents = self.latents.chunks_exact_mut(codec.latent_dim);
        for (Turn { sequence, codes, .. }, latent) in turns.iter_mut().zip(latents) {
            assert_eq!(codes.len(), codec.quantizers, "codes are [N]");
            if sequence.temporal.position() > 0 {
                model.quantizer.decode(codes, &mut sequence.latent);
            }
            if sequence.begins {
                // What went before fades, and tells nothing of it.
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
        mut choose: impl FnMut(usize, usize, &mut [f32]) -> u32,
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
                if level > 0 {
                    add_row(&prior.depth_codes, row(level - 1, turn.codes[level - 1], size), x);
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
                let code = turn.given(level).unwrap_or_else(|| choose(i, level, logits));
                assert!((code as usize) < size, "a code is below {size}");
                turn.codes[level] = code;
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
