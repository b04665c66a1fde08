//! Whether what is played is copied from the corpus, while it is played.
//!
//! Every other frame is compared with every frame of the corpus that the model keeps. Along each
//! diagonal, a place in the corpus that moves on with the take, products and energies of the
//! fingerprints are added up and fade; together they give the cosine of the last frames. They begin
//! where take and recording do. So no copy is missed, wherever it begins, and there is no index that
//! could be out of step.

use std::sync::Arc;

use pulp::{Arch, NullaryFnOnce};

use super::Model;
use super::weights::Weights;
use crate::fingerprint::{BANDS, Fingerprint, Fingerprints};
use crate::model::config::CodecConfig;
use crate::model::copying::{COARSE_CODES, FINGERPRINTS, Kept, STARTS};

/// One in so many frames is compared.
const STRIDE: usize = 2;
/// What is left of a product at the next comparison: sound is compared over some sixteen frames, a
/// third of a second.
const FADE: f32 = 0.75;
/// Comparisons before which nothing is said: a frame or two are like many others.
const FEWEST: u32 = 3;
/// Frames of the corpus whose sums stay in the fastest memory while the bands are gone through.
const BLOCK: usize = 256;
/// Energy below which a take is silent: that of a sine some 80 dB below full scale.
const SILENT: f32 = 1e-9;

/// The corpus as the player compares with it.
#[derive(Debug)]
pub struct KeptCorpus {
    kept: Kept,
    /// `[blocks, BANDS, BLOCK]`, zeros beyond the last frame.
    bands: Vec<f32>,
    /// Of each frame, `[blocks * BLOCK]`.
    energies: Vec<f32>,
    /// What is left of the sums of the comparison before: nothing where a recording begins.
    fades: Vec<f32>,
    /// 1 where there are enough frames of a recording to compare with, else 0.
    ripe: Vec<f32>,
    /// `[frames, levels]`.
    codes: Vec<u32>,
    levels: usize,
}

impl KeptCorpus {
    /// Arranges `kept.frames` frames: fingerprints, `[frames, BANDS]`, coarse codes, `[frames,
    /// levels]`, and whether a recording begins.
    ///
    /// # Panics
    ///
    /// Panics if the lengths do not agree.
    #[must_use]
    pub fn new(kept: Kept, fingerprints: &[f32], codes: Vec<u32>, starts: &[bool]) -> Self {
        assert_eq!(fingerprints.len(), kept.frames * BANDS, "fingerprints are [frames, BANDS]");
        assert_eq!(starts.len(), kept.frames, "starts are [frames]");
        let levels = codes.len() / kept.frames;
        assert_eq!(codes.len(), kept.frames * levels, "codes are [frames, levels]");
        let padded = kept.frames.next_multiple_of(BLOCK);
        let mut bands = vec![0.0; padded * BANDS];
        let [mut energies, mut fades, mut ripe] = [(); 3].map(|()| vec![0.0_f32; padded]);
        let mut age = 0;
        for (t, print) in fingerprints.chunks_exact(BANDS).enumerate() {
            let block = &mut bands[t / BLOCK * BLOCK * BANDS..][..BLOCK * BANDS];
            for (band, magnitude) in block.chunks_exact_mut(BLOCK).zip(print) {
                band[t % BLOCK] = *magnitude;
                energies[t] += magnitude * magnitude;
            }
            age = if starts[t] || t == 0 { 0 } else { age + 1 };
            fades[t] = if age < STRIDE { 0.0 } else { FADE };
            ripe[t] = if age < (FEWEST as usize - 1) * STRIDE { 0.0 } else { 1.0 };
        }
        Self { kept, bands, energies, fades, ripe, codes, levels }
    }

    /// Arranges what a prior of `weights` keeps.
    pub(super) fn from_weights(weights: &Weights, kept: Kept) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a code")]
        let codes = weights.values(COARSE_CODES).iter().map(|code| *code as u32).collect();
        let starts: Vec<bool> = weights.values(STARTS).iter().map(|start| *start > 0.5).collect();
        Self::new(kept, &weights.values(FINGERPRINTS), codes, &starts)
    }
}

/// How near the newest sound of a take is to its corpus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Copying {
    /// 1 less the cosine of the most similar third of a second of the corpus: 0 is a copy, in
    /// whatever level; 1 has nothing in common.
    pub distance: f32,
    /// Up to this distance, it counts as copied.
    pub near: f32,
    /// For how many frames it has been copied from one place, without a break.
    pub run: u32,
}

impl Copying {
    /// Whether it counts as copied.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.distance <= self.near
    }
}

/// Listens to a stream of frames and compares it with the corpus. Allocates nothing once it is made.
pub struct CopyCheck {
    arch: Arch,
    corpus: Arc<KeptCorpus>,
    fingerprints: Fingerprints,
    sums: Sums,
    comparisons: u32,
    frames: usize,
    /// The frame of the corpus that the newest frame is nearest to.
    at: usize,
    newest: Copying,
}

impl CopyCheck {
    /// The start of a stream of features of `codec`.
    #[must_use]
    pub fn new(codec: &CodecConfig, corpus: &Arc<KeptCorpus>) -> Self {
        Self::for_instructions(Arch::new(), codec, corpus)
    }

    /// The start of a stream of `model`; none if that keeps nothing of its corpus.
    pub(super) fn of_model(model: &Model) -> Option<Self> {
        let corpus = model.prior.as_ref()?.kept()?;
        Some(Self::for_instructions(model.arch, &model.config().codec, corpus))
    }

    fn for_instructions(arch: Arch, codec: &CodecConfig, corpus: &Arc<KeptCorpus>) -> Self {
        Self {
            arch,
            corpus: Arc::clone(corpus),
            fingerprints: Fingerprints::new(codec),
            sums: Sums::new(corpus.energies.len()),
            comparisons: 0,
            frames: 0,
            at: 0,
            newest: Copying { distance: 1.0, near: corpus.kept.near, run: 0 },
        }
    }

    /// Back to the start of a stream. Real-time safe.
    pub fn reset(&mut self) {
        self.sums.reset();
        (self.comparisons, self.frames, self.at) = (0, 0, 0);
        (self.newest.distance, self.newest.run) = (1.0, 0);
    }

    /// Hears the next frame, by its features, `[stride, X]`, as
    /// [`decode_features`](super::Decoder::decode_features) gives them. Real-time safe.
    pub fn hear(&mut self, features: &[f32]) {
        self.frames += 1;
        if !self.frames.is_multiple_of(STRIDE) {
            self.at += 1;
            self.newest.run += u32::from(self.newest.run > 0);
            return;
        }
        let print = self.fingerprints.of_frame(self.arch, features);
        self.compare(&print);
    }

    /// How near the newest frames are to the corpus.
    #[must_use]
    pub fn newest(&self) -> Copying {
        self.newest
    }

    /// The coarse codes with which the corpus goes on where it is nearest; none at its end.
    pub(super) fn continuation(&self) -> Option<&[u32]> {
        let KeptCorpus { codes, levels, .. } = &*self.corpus;
        (self.comparisons >= FEWEST).then_some(())?;
        codes.chunks_exact((*levels).max(1)).nth(self.at + 1)
    }

    fn compare(&mut self, print: &Fingerprint) {
        let corpus = &*self.corpus;
        self.comparisons = self.comparisons.saturating_add(1);
        self.sums.shift();
        let best = self.arch.dispatch(Compare { corpus, print, sums: &mut self.sums });
        let early = self.comparisons < FEWEST;
        let distance = |t: usize| {
            let cosine = self.sums.square(corpus, t).sqrt();
            if early { 1.0 } else { (1.0 - cosine).clamp(0.0, 1.0) }
        };
        let followed = self.at + 1;
        let still = self.newest.run > 0
            && followed < corpus.kept.frames
            && distance(followed) <= corpus.kept.near;
        self.newest.distance = distance(best);
        self.at = if still { followed } else { best };
        self.newest.run = match (still, self.newest.is_copied()) {
            (true, _) => self.newest.run.saturating_add(1),
            (false, true) => 1,
            (false, false) => 0,
        };
    }
}

/// What has been added up where the corpus is at frame `t` now: `[STRIDE + blocks * BLOCK]` each,
/// with room for the step of a comparison.
struct Sums {
    products: Vec<f32>,
    /// Energy of the take.
    own: Vec<f32>,
    /// Energy of the corpus.
    others: Vec<f32>,
}

impl Sums {
    fn new(frames: usize) -> Self {
        let [products, own, others] = [(); 3].map(|()| vec![0.0; STRIDE + frames]);
        Self { products, own, others }
    }

    fn each(&mut self) -> [&mut Vec<f32>; 3] {
        [&mut self.products, &mut self.own, &mut self.others]
    }

    fn reset(&mut self) {
        self.each().into_iter().for_each(|sums| sums.fill(0.0));
    }

    /// The corpus moves on along with the take.
    fn shift(&mut self) {
        for sums in self.each() {
            let end = sums.len() - STRIDE;
            sums.copy_within(..end, STRIDE);
        }
    }

    /// The square of the cosine at frame `t` of the corpus; 0 where there is too little to say.
    fn square(&self, corpus: &KeptCorpus, t: usize) -> f32 {
        let at = STRIDE + t;
        square(self.products[at], self.own[at], self.others[at], corpus.ripe[t])
    }
}

/// The square of a cosine.
#[inline(always)]
fn square(product: f32, own: f32, other: f32, ripe: f32) -> f32 {
    let heard = if own > SILENT { ripe } else { 0.0 };
    heard * product * product / (own * other).max(f32::MIN_POSITIVE)
}

/// Adds a fingerprint and all frames of the corpus to the sums; gives the place of the highest
/// cosine.
struct Compare<'a> {
    corpus: &'a KeptCorpus,
    print: &'a Fingerprint,
    sums: &'a mut Sums,
}

impl NullaryFnOnce for Compare<'_> {
    type Output = usize;

    #[inline(always)]
    fn call(self) -> usize {
        let Self { corpus, print, sums } = self;
        let energy: f32 = print.iter().map(|magnitude| magnitude * magnitude).sum();
        let mut best = (0.0, 0);
        for first in (0..corpus.energies.len()).step_by(BLOCK) {
            let [products, own, others] =
                sums.each().map(|sums| &mut sums[STRIDE + first..][..BLOCK]);
            let fades = &corpus.fades[first..][..BLOCK];
            products.iter_mut().zip(fades).for_each(|(product, fade)| *product *= fade);
            let bands = &corpus.bands[first * BANDS..][..BLOCK * BANDS];
            for (band, magnitude) in bands.chunks_exact(BLOCK).zip(print) {
                for (product, other) in products.iter_mut().zip(band) {
                    *product += magnitude * other;
                }
            }
            let energies = corpus.energies[first..][..BLOCK].iter().zip(fades);
            for ((own, others), (new, fade)) in own.iter_mut().zip(&mut *others).zip(energies) {
                *own = fade * *own + energy;
                *others = fade * *others + new;
            }
            let ripe = &corpus.ripe[first..][..BLOCK];
            let mut squares = [0.0; BLOCK];
            for (i, to) in squares.iter_mut().enumerate() {
                *to = square(products[i], own[i], others[i], ripe[i]);
            }
            let highest = squares.iter().fold(0.0, |a: f32, b| if *b > a { *b } else { a });
            if highest > best.0 {
                let place = squares.iter().position(|square| *square == highest).unwrap_or(0);
                best = (highest, first + place);
            }
        }
        best.1
    }
}
