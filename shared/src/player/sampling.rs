//! From logits to a code: temperature, top-k, top-p, and one random number.

use pulp::{Arch, NullaryFnOnce};

use crate::math;
use crate::model::conditioning::Controls;

/// How codes are chosen: how boldly, and what is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 always takes the likeliest code; 1 follows what was learned; more is bolder. Up to
    /// [`Sampling::MAX_TEMPERATURE`].
    pub temperature: f32,
    /// By how much the temperature of each group of levels is multiplied: structure, timbre and
    /// detail, see [`Group`]. 0 to [`Sampling::MAX_FACTOR`].
    pub factors: [f32; GROUPS],
    /// Codes that stay in the draw, the likeliest first; 0 keeps all.
    pub top_k: u32,
    /// Share of the probability that stays in the draw, the likeliest codes first; 1 keeps all.
    pub top_p: f32,
    /// Levels that are drawn, the coarse ones first; 0 draws all. Fewer levels cost less and tell
    /// less: what is left out is [`ABSENT`](crate::codes::ABSENT).
    pub levels: u32,
    /// How much going on with a copy of the corpus is avoided, 0 to 1.
    pub novelty: f32,
    /// How much frames of the recordings are recalled, 0 to 1: at 0 every frame is drawn freely; above, each
    /// is a frame of a recording, and the more, the longer it goes on as that recording did. Without
    /// effect if the model has none.
    pub recall: f32,
    /// Whether what began only fades where a recording would end, and nothing begins anew.
    pub once: bool,
    /// Whether the newest sound goes on as it is, and nothing is drawn.
    pub frozen: bool,
    /// What the prior is asked for.
    pub controls: Controls,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            factors: [1.0; GROUPS],
            top_k: 0,
            top_p: 1.0,
            levels: 0,
            novelty: 0.0,
            recall: 0.25,
            once: false,
            frozen: false,
            controls: Controls::default(),
        }
    }
}

impl Sampling {
    /// The highest temperature; there, nearly every code is as likely as the next.
    pub const MAX_TEMPERATURE: f32 = 10.0;
    /// The highest factor of the temperature of a group of levels.
    pub const MAX_FACTOR: f32 = 4.0;

    /// The nearest setting that makes sense; what is not a number becomes the default.
    /// Real-time safe.
    #[must_use]
    pub fn clamped(self) -> Self {
        let or = |value: f32, default: f32| if value.is_nan() { default } else { value };
        let Self { temperature, top_p, novelty, recall, .. } = Self::default();
        Self {
            temperature: or(self.temperature, temperature).clamp(0.0, Self::MAX_TEMPERATURE),
            factors: self.factors.map(|factor| or(factor, 1.0).clamp(0.0, Self::MAX_FACTOR)),
            top_k: self.top_k,
            levels: self.levels,
            novelty: or(self.novelty, novelty).clamp(0.0, 1.0),
            recall: or(self.recall, recall).clamp(0.0, 1.0),
            once: self.once,
            frozen: self.frozen,
            controls: self.controls,
            top_p: or(self.top_p, top_p).clamp(0.0, 1.0),
        }
    }
}

/// What the codes of a level decide, from what is heard first to what is heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The first eighth of the levels: what happens when, and how loud.
    Structure,
    /// The rest of the first half: what it sounds like.
    Timbre,
    /// The other half: grain and noise.
    Detail,
}

/// The number of [`Group`]s.
pub const GROUPS: usize = 3;

impl Group {
    /// The group of `level`, from 0, of `levels`. Real-time safe.
    #[must_use]
    pub const fn of(level: usize, levels: usize) -> Self {
        match level {
            level if level < levels.div_ceil(8) => Self::Structure,
            level if level < levels.div_ceil(2) => Self::Timbre,
            _ => Self::Detail,
        }
    }
}

/// Below this, a temperature counts as 0: dividing by it would only overflow.
const COLDEST: f32 = 1e-3;

/// Draws codes; holds the room it needs, so that drawing allocates nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sampler {
    /// Logits, then weights of the draw: `[K]`.
    weights: Vec<f32>,
    /// Codes in the order of their weight: `[K]`.
    order: Vec<u32>,
}

impl Sampler {
    /// Makes room for logits of `size` codes.
    #[must_use]
    pub(crate) fn new(size: usize) -> Self {
        Self { weights: Vec::with_capacity(size), order: Vec::with_capacity(size) }
    }

    /// Draws a code of a level of `group` from `logits`, `[K]`, with `uniform` from 0 up to 1.
    /// Real-time safe.
    ///
    /// Whatever the logits are, the code is below `K`; one that is not a number is never drawn
    /// while there is another.
    pub(crate) fn draw(
        &mut self,
        arch: Arch,
        logits: &[f32],
        (sampling, group): (&Sampling, Group),
        uniform: f32,
    ) -> u32 {
        let sampling = sampling.clamped();
        let (likeliest, max) = likeliest(logits);
        let temperature = sampling.temperature * sampling.factors[group as usize];
        if temperature < COLDEST {
            return likeliest;
        }
        self.weights.clear();
        self.weights.extend(logits.iter().map(|&logit| finite(logit) - max));
        self.keep_top_k(sampling.top_k as usize);
        arch.dispatch(Weigh { weights: &mut self.weights, temperature });
        self.keep_top_p(sampling.top_p);
        self.invert(uniform).unwrap_or(likeliest)
    }

    /// Drops all logits below the k-th largest.
    fn keep_top_k(&mut self, k: usize) {
        if k == 0 || k >= self.weights.len() {
            return;
        }
        self.sorted_by_weight(k);
        let kth = self.weights[self.order[k - 1] as usize];
        for logit in self.weights.iter_mut().filter(|logit| **logit < kth) {
            *logit = f32::NEG_INFINITY;
        }
    }

    /// Drops all weights but the largest ones that together reach the share `p`.
    fn keep_top_p(&mut self, p: f32) {
        if p >= 1.0 {
            return;
        }
        self.sorted_by_weight(self.weights.len());
        let enough = p * self.weights.iter().sum::<f32>();
        let mut reached = 0.0;
        for (rank, &code) in self.order.iter().enumerate() {
            let weight = &mut self.weights[code as usize];
            if rank > 0 && reached >= enough {
                *weight = 0.0;
            } else {
                reached += *weight;
            }
        }
    }

    /// Puts the `count` codes of the largest weights at the front of `order`, sorted; the lower
    /// code first where weights are equal.
    fn sorted_by_weight(&mut self, count: usize) {
        let Self { weights, order } = self;
        order.clear();
        order.extend((0_u32..).take(weights.len()));
        let larger =
            |a: &u32, b: &u32| weights[*b as usize].total_cmp(&weights[*a as usize]).then(a.cmp(b));
        if count < order.len() {
            order.select_nth_unstable_by(count - 1, larger);
        }
        order[..count].sort_unstable_by(larger);
    }

    /// The code at which the weights, summed in index order, pass the share `uniform`.
    fn invert(&self, uniform: f32) -> Option<u32> {
        let target = uniform * self.weights.iter().sum::<f32>();
        let mut reached = 0.0;
        let mut last = None;
        for (code, &weight) in (0_u32..).zip(&self.weights) {
            if weight > 0.0 {
                reached += weight;
                last = Some(code);
                if reached > target {
                    break;
                }
            }
        }
        last
    }
}

/// Turns logits, the largest of them 0, into weights of the draw; dropped ones into 0.
struct Weigh<'a> {
    weights: &'a mut [f32],
    temperature: f32,
}

impl NullaryFnOnce for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for weight in self.weights {
            let kept = if *weight == f32::NEG_INFINITY { 0.0 } else { 1.0 };
            *weight = kept * math::exp(*weight / self.temperature);
        }
    }
}

/// The code of the largest logit, the lower where there are two, and that logit.
fn likeliest(logits: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::MIN);
    for (code, &logit) in (0_u32..).zip(logits) {
        if finite(logit) > best.1 {
            best = (code, finite(logit));
        }
    }
    best
}

/// A logit that can be computed with: infinities become large, what is not a number the least.
fn finite(logit: f32) -> f32 {
    if logit.is_nan() { f32::MIN } else { logit.clamp(f32::MIN, f32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::random::{TakeKey, uniform};

    /// Probabilities 0.1, 0.4, 0.2, 0.3 at temperature 1.
    fn logits() -> Vec<f32> {
        [0.1_f32, 0.4, 0.2, 0.3].iter().map(|p| p.ln() + 5.0).collect()
    }

    /// How often each code comes up, as a share.
    fn shares(sampling: Sampling) -> [f32; 4] {
        const DRAWS: u16 = 20_000;
        let mut sampler = Sampler::new(4);
        let mut counts = [0.0; 4];
        for frame in 0..DRAWS {
            let u = uniform(TakeKey { seed: 1, take: 1 }, frame.into(), 0);
            let code = sampler.draw(Arch::new(), &logits(), (&sampling, Group::Timbre), u);
            counts[code as usize] += 1.0 / f32::from(DRAWS);
        }
        counts
    }

    fn assert_shares(sampling: Sampling, expected: [f32; 4]) {
        let found = shares(sampling);
        let close = found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 0.015);
        assert!(close, "{sampling:?} gave {found:?}, not {expected:?}");
    }

    #[test]
    fn draws_follow_the_probabilities() {
        assert_shares(Sampling::default(), [0.1, 0.4, 0.2, 0.3]);
    }

    #[test]
    fn temperature_sharpens_and_flattens() {
        let squared = Sampling { temperature: 0.5, ..Sampling::default() };
        assert_shares(squared, [1.0 / 30.0, 16.0 / 30.0, 4.0 / 30.0, 9.0 / 30.0]);
        let cold = Sampling { temperature: 0.0, ..Sampling::default() };
        assert_shares(cold, [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_group_of_levels_has_a_temperature_of_its_own() {
        let squared = Sampling { factors: [1.0, 0.5, 1.0], ..Sampling::default() };
        assert_shares(squared, [1.0 / 30.0, 16.0 / 30.0, 4.0 / 30.0, 9.0 / 30.0]);
        let others = Sampling { factors: [0.0, 1.0, 0.0], ..Sampling::default() };
        assert_shares(others, [0.1, 0.4, 0.2, 0.3]);
        let wild = Sampling { factors: [f32::NAN, -1.0, f32::INFINITY], ..Sampling::default() };
        assert_eq!(wild.clamped().factors, [1.0, 0.0, Sampling::MAX_FACTOR]);
    }

    #[test]
    fn coarse_levels_are_structure_then_comes_timbre_and_half_are_detail() {
        let groups = |levels: usize| -> Vec<u8> {
            (0..levels).map(|level| Group::of(level, levels) as u8).collect()
        };
        assert_eq!(groups(16), [0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(groups(8), [0, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!((groups(2), groups(1)), (vec![0, 2], vec![0]));
    }

    #[test]
    fn top_k_keeps_the_likeliest_codes() {
        assert_shares(Sampling { top_k: 1, ..Sampling::default() }, [0.0, 1.0, 0.0, 0.0]);
        let two = Sampling { top_k: 2, ..Sampling::default() };
        assert_shares(two, [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
        assert_shares(Sampling { top_k: 99, ..Sampling::default() }, [0.1, 0.4, 0.2, 0.3]);
    }

    #[test]
    fn codes_as_likely_as_the_last_kept_stay() {
        let mut sampler = Sampler::new(3);
        let sampling = Sampling { top_k: 1, ..Sampling::default() };
        let how = (&sampling, Group::Structure);
        let drawn: Vec<u32> =
            [0.1, 0.9].map(|u| sampler.draw(Arch::new(), &[2.0, 1.0, 2.0], how, u)).to_vec();
        assert_eq!(drawn, [0, 2]);
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it() {
        assert_shares(Sampling { top_p: 0.0, ..Sampling::default() }, [0.0, 1.0, 0.0, 0.0]);
        let most = Sampling { top_p: 0.65, ..Sampling::default() };
        assert_shares(most, [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
        let more = Sampling { top_p: 0.75, ..Sampling::default() };
        assert_shares(more, [0.0, 4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0]);
    }

    #[test]
    fn settings_that_are_no_numbers_become_sensible() {
        let wild = Sampling {
            temperature: f32::NAN,
            top_k: 3,
            top_p: f32::NAN,
            levels: 2,
            ..Sampling::default()
        };
        assert_eq!(wild.clamped(), Sampling { top_k: 3, levels: 2, ..Sampling::default() });
        let wild = Sampling { temperature: f32::INFINITY, top_p: -1.0, ..Sampling::default() };
        assert_eq!(
            wild.clamped(),
            Sampling { temperature: 10.0, top_p: 0.0, ..Sampling::default() }
        );
    }

    #[test]
    fn logits_that_are_not_finite_still_give_a_code() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let cases = [[nan; 3], [inf; 3], [-inf; 3], [nan, inf, -inf], [f32::MAX, f32::MIN, nan]];
        for logits in cases {
            for (temperature, top_k, top_p) in
                [(1.0, 0, 1.0), (0.0, 0, 1.0), (1e-9, 0, 1.0), (10.0, 2, 0.5)]
            {
                let sampling = Sampling { temperature, top_k, top_p, ..Sampling::default() };
                for u in [0.0, 0.5, 0.999_999_94] {
                    let how = (&sampling, Group::Detail);
                    let code = Sampler::new(3).draw(Arch::new(), &logits, how, u);
                    assert!(code < 3, "{logits:?} with {sampling:?} gave {code}");
                }
            }
        }
        let how = (&Sampling::default(), Group::Detail);
        let code = Sampler::new(3).draw(Arch::new(), &[nan, 1.0, nan], how, 0.9);
        assert_eq!(code, 1);
    }
}
