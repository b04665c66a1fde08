//! The search for the codes of a latent.

use std::ops::Range;

use pulp::NullaryFnOnce;

use super::{Codebooks, LANES};

/// Beginnings that are kept from level to level.
const KEPT: usize = 4;

/// The search for the codes of one latent.
pub(super) struct Search<'a> {
    pub(super) books: &'a Codebooks,
    /// `[D]`.
    pub(super) latent: &'a [f32],
    /// One place per level to use.
    pub(super) codes: &'a mut [u32],
}

/// A way to go on: the beginning it goes on from, the code it takes, and the squared distance that
/// is left, less that of the latent from zero.
#[derive(Clone, Copy)]
struct Step {
    from: usize,
    code: u32,
    score: f32,
}

impl NullaryFnOnce for Search<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { books, latent, codes } = self;
        let (dim, levels) = (books.dim, codes.len());
        let padded = books.size.next_multiple_of(LANES);
        let mut scores = vec![0.0; KEPT * padded];
        // What each beginning leaves over, `[KEPT, D]`, and its codes, `[KEPT, levels]`.
        let (mut rests, mut next_rests) = (latent.repeat(KEPT), vec![0.0; KEPT * dim]);
        let (mut paths, mut next_paths) = (vec![0; KEPT * levels], vec![0; KEPT * levels]);
        #[expect(clippy::cast_possible_truncation, reason = "codes are 32-bit")]
        let size = books.size as u32;
        let firsts = (0..size).step_by(LANES);
        let mut kept = vec![Step { from: 0, code: 0, score: 0.0 }];
        for level in 0..levels {
            // There is one beginning at first, and then there are mostly as many as are kept.
            match kept.len() {
                1 => books.scores::<1>(level, &rests, &mut scores),
                _ => books.scores::<KEPT>(level, &rests, &mut scores),
            }
            let mut found = Vec::with_capacity(KEPT + 1);
            for (from, beginning) in kept.iter().enumerate() {
                let scores = &scores[from * padded..][..padded];
                for (block, first) in scores.as_chunks::<LANES>().0.iter().zip(firsts.clone()) {
                    look_through(&mut found, block, first..size, (from, beginning.score));
                }
            }
            for (to, step) in found.iter().enumerate() {
                let rest = &rests[step.from * dim..][..dim];
                let entry = books.entry(level, step.code);
                let next = next_rests[to * dim..][..dim].iter_mut();
                next.zip(rest.iter().zip(entry)).for_each(|(next, (rest, e))| *next = rest - e);
                let path = &mut next_paths[to * levels..][..levels];
                path.copy_from_slice(&paths[step.from * levels..][..levels]);
                path[level] = step.code;
            }
            std::mem::swap(&mut rests, &mut next_rests);
            std::mem::swap(&mut paths, &mut next_paths);
            kept = found;
        }
        codes.copy_from_slice(&paths[..levels]);
    }
}

/// Looks through the scores of a block of entries with these codes, or fewer; they go on from a beginning
/// with a score of its own.
#[inline(always)]
fn look_through(
    found: &mut Vec<Step>,
    block: &[f32; LANES],
    codes: Range<u32>,
    (from, before): (usize, f32),
) {
    if found.len() == KEPT {
        // Most blocks hold nothing that is good enough.
        let worst = found.last().map_or(f32::INFINITY, |worst| worst.score);
        if !block.iter().fold(false, |any, score| any | (before + score < worst)) {
            return;
        }
    }
    for (code, score) in codes.zip(block) {
        insert(found, Step { from, code, score: before + score });
    }
}

/// Keeps the best of what was found so far, best first; the first found of equals.
#[inline(always)]
fn insert(found: &mut Vec<Step>, step: Step) {
    if found.len() == KEPT && found.last().is_some_and(|worst| worst.score <= step.score) {
        return;
    }
    let at = found.iter().position(|other| step.score < other.score).unwrap_or(found.len());
    found.insert(at, step);
    found.truncate(KEPT);
}
