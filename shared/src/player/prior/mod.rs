//! The prior, one frame at a time: the codes so far to the codes of the next frame.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::avoided::Avoided;
use super::copying::KeptCorpus;
use super::ends::Ends;
use super::guide::Guide;
use super::kernel::Linear;
use super::random::{TakeKey, uniform};
use super::recall::Recall;
use super::sampling::{Group, Sampler, Sampling};
use super::target::{Target, TargetRoom};
use super::transformer::{Positions, Sizes, Transformer};
use super::weights::Weights;
use super::{CopyCheck, Model, ModelError, VOICES};
use crate::codes::Codes;
use crate::model::config::{CodecConfig, PriorConfig};

mod room;

use room::{Room, Sequence, Turn};

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
    /// Where in the recordings it is, as far as [`Sampling::recall`] says.
    pub(super) recall: Option<&'a mut Recall>,
    /// Codes that the frame is to have, coarse to fine, and which it draws: `[N]`, or nothing if it
    /// draws all.
    pub given: &'a [Option<u32>],
    /// Whether something may begin anew after this frame: not within a clip that is gone through.
    pub free: bool,
    /// The frame before, which the next takes the place of: `[N]`.
    pub codes: &'a mut [u32],
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
            given: 0,
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
        self.sequence.given = 0;
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

    /// As [`Self::made`], without those of a clip that was gone through.
    fn drawn(&self) -> u64 {
        self.made().min(self.frames() - self.sequence.given)
    }

    /// Draws the next frame into `codes`, `[N]`, which hold the frame before it; what they hold
    /// before the first frame does not matter. The first frame keeps at most 0.9 of the
    /// probability. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if `codes` is not `[N]`, or after the first frame one is neither below `K` nor
    /// [`ABSENT`](crate::codes::ABSENT).
    pub fn step(&mut self, key: TakeKey, sampling: &Sampling, codes: &mut [u32]) {
        Self::step_together(&mut [NextCodes {
            player: self,
            key,
            sampling: *sampling,
            check: None,
            recall: None,
            given: &[],
            free: true,
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
        let free: ArrayVec<_, VOICES> = next.iter().map(|next| next.free).collect();
        let made: ArrayVec<_, VOICES> = next.iter().map(|next| next.player.made()).collect();
        let drawn: ArrayVec<_, VOICES> = next.iter().map(|next| next.player.drawn()).collect();
        let avoided = next.iter().map(|next| Avoided::new(next.check, &next.sampling));
        let avoided: ArrayVec<_, VOICES> = avoided.collect();
        let recalls = next.iter_mut().map(|next| next.recall.take());
        let mut recalls: ArrayVec<_, VOICES> = recalls.collect();
        for (recall, next) in recalls.iter_mut().zip(next.iter()) {
            let begins = next.player.sequence.begins;
            recall.iter_mut().for_each(|recall| recall.begin(&next.sampling, begins));
        }
        let turns = next.iter_mut().map(|NextCodes { player, sampling, given, codes, .. }| {
            assert!(Arc::ptr_eq(&player.model, &model), "the sequences are of one model");
            let last_open = given.iter().rposition(Option::is_none);
            let open = if given.is_empty() { codes.len() } else { last_open.map_or(0, |i| i + 1) };
            let most = if sampling.levels == 0 { open } else { sampling.levels as usize };
            Turn { sequence: &mut player.sequence, codes, levels: open.min(most), given }
        });
        let mut turns = turns.collect::<ArrayVec<_, VOICES>>();
        room.step(&model, &mut turns, |turn, before, logits| {
            let ((key, frame, sampling), level) = (draws[turn], before.len());
            if let Some(prior) = &model.prior {
                prior.guide.add(&sampling.controls, made[turn], level, logits);
            }
            avoided[turn].apply(level, logits);
            recalls[turn].iter_mut().for_each(|recall| recall.apply(before, logits));
            let group = Group::of(level, model.config().codec.quantizers);
            let level = u32::try_from(level).unwrap_or(u32::MAX);
            sampler.draw(model.arch, logits, (&sampling, group), uniform(key, frame, level))
        });
        for (i, turn) in turns.iter_mut().enumerate() {
            recalls[i].iter_mut().for_each(|recall| recall.end(turn.codes));
            if !free[i] {
                // What is made within a clip does not begin anew.
                turn.sequence.given = turn.sequence.temporal.position();
                continue;
            }
            let (key, frame, Sampling { once, .. }) = draws[i];
            let Some(prior) = &model.prior else { break };
            let chance = uniform(key, frame, END);
            let is_last = prior.ends.is_last(turn.sequence.end, drawn[i] + 1, chance);
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
        self.room.step(&self.model, &mut [turn], |_, before, logits| choose(before.len(), logits));
    }
}

impl NextCodes<'_> {
    /// How to draw the next frame: whose it is, its number, and the sampling.
    fn draw(&self) -> (TakeKey, u32, Sampling) {
        let top_p = self.sampling.top_p;
        let top_p = if self.player.sequence.begins { top_p.min(FIRST_TOP_P) } else { top_p };
        #[expect(clippy::cast_possible_truncation, reason = "wraps after years of sound")]
        let frame = self.player.frames() as u32;
        (self.key, frame, Sampling { top_p, ..self.sampling })
    }
}
