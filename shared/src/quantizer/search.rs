//! The search for the codes of a latent.

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
        let mut scores = vec![0.0; books.size.next_multiple_of(LANES)];
        // What each beginning leaves over, `[KEPT, D]`, and its codes, `[KEPT, levels]`.
        let (mut rests, mut next_rests) = (latent.repeat(KEPT), vec![0.0; KEPT * dim]);
        let (mut paths, mut next_paths) = (vec![0; KEPT * levels], vec![0; KEPT * levels]);
        let mut kept = vec![Step { from: 0, code: 0, score: 0.0 }];
        for level in 0..levels {
            let mut found = Vec::with_capacity(KEPT + 1);
            for (from, beginning) in kept.iter().enumerate() {
                books.scores(level, &rests[from * dim..][..dim], &mut scores);
                for (code, score) in (0_u32..).zip(&scores[..books.size]) {
                    insert(&mut found, Step { from, code, score: beginning.score + score });
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
