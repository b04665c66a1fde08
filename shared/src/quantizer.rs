//! The residual quantizer: latents to codes and back.
//!
//! Level n takes the entry of its codebook nearest to what the levels before it left over, and
//! passes on the rest (Zeghidour et al. 2021, "SoundStream", section III.C,
//! <https://arxiv.org/abs/2107.03312>). Training and playing look up codes with this very code.

/// Entries searched side by side; a codebook is padded to a multiple of it.
const LANES: usize = LANE_COUNT as usize;
/// [`LANES`], as codes count.
const LANE_COUNT: u32 = 32;

/// The codebooks of all levels, ready to be searched.
///
/// `N` quantizers, `K` entries each, `D` channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebooks {
    quantizers: usize,
    size: usize,
    dim: usize,
    /// `[N, K, D]`.
    entries: Vec<f32>,
    /// The entries once more, as the search reads them: `[N, K / LANES, D, LANES]`.
    panels: Vec<f32>,
    /// Squared length of each entry, `[N, K / LANES, LANES]`; infinite where there is no entry.
    norms: Vec<f32>,
}

impl Codebooks {
    /// Takes codebooks as a bundle stores them: `entries` is `[N, K, D]`.
    ///
    /// # Panics
    ///
    /// Panics if a size is zero or `entries` does not hold exactly `N * K * D` values.
    #[must_use]
    pub fn new(quantizers: usize, size: usize, dim: usize, entries: Vec<f32>) -> Self {
        assert!(quantizers > 0 && size > 0 && dim > 0, "codebooks have no empty dimension");
        assert_eq!(entries.len(), quantizers * size * dim, "codebooks are [N, K, D]");
        let padded = size.next_multiple_of(LANES);
        let mut panels = vec![0.0; quantizers * padded * dim];
        let mut norms = vec![f32::INFINITY; quantizers * padded];
        for (i, entry) in entries.chunks_exact(dim).enumerate() {
            let at = i / size * padded + i % size; // among the padded entries of all levels
            norms[at] = entry.iter().map(|v| v * v).sum();
            for (d, &value) in entry.iter().enumerate() {
                panels[(at / LANES * dim + d) * LANES + at % LANES] = value;
            }
        }
        Self { quantizers, size, dim, entries, panels, norms }
    }

    /// `N`: number of levels.
    #[must_use]
    pub fn quantizers(&self) -> usize {
        self.quantizers
    }

    /// `K`: entries per level.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// `D`: channels of a latent.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All entries, `[N, K, D]`.
    #[must_use]
    pub fn entries(&self) -> &[f32] {
        &self.entries
    }

    /// The entry that `code` names at `level`, `[D]`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such level or code.
    #[must_use]
    pub fn entry(&self, level: usize, code: u32) -> &[f32] {
        let code = code as usize;
        assert!(code < self.size, "code {code} is not below {}", self.size);
        &self.entries[(level * self.size + code) * self.dim..][..self.dim]
    }

    /// Finds the codes of one `latent`, `[D]`, from level 0 on: one for each place in `codes`.
    ///
    /// # Panics
    ///
    /// Panics if `latent` is not `[D]` or `codes` asks for more levels than there are.
    pub fn encode(&self, latent: &[f32], codes: &mut [u32]) {
        self.encode_all(latent, codes.len(), codes);
    }

    /// Finds the codes of many latents, `[T, D]`, with the first `levels` levels: `[T, levels]`.
    ///
    /// The lower index wins a tie. A latent that is not finite gets some valid codes.
    ///
    /// # Panics
    ///
    /// Panics if the lengths of `latents` and `codes` do not agree, or there are fewer levels.
    pub fn encode_all(&self, latents: &[f32], levels: usize, codes: &mut [u32]) {
        assert!(levels <= self.quantizers, "{levels} levels of {}", self.quantizers);
        assert!(latents.len().is_multiple_of(self.dim), "latents are [T, D]");
        assert_eq!(codes.len(), latents.len() / self.dim * levels, "codes are [T, levels]");
        if levels == 0 {
            return;
        }
        let rest = &mut vec![0.0; self.dim];
        pulp::Arch::new().dispatch(Search { books: self, latents, levels, rest, codes });
    }

    /// The latent that `codes` stand for, from level 0 on: the sum of their entries, into `[D]`.
    /// Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if there are more codes than levels, a code is not below `K`, or `latent` is not
    /// `[D]`.
    pub fn decode(&self, codes: &[u32], latent: &mut [f32]) {
        assert_eq!(latent.len(), self.dim, "a latent is [D]");
        latent.fill(0.0);
        for (level, &code) in codes.iter().enumerate() {
            let entry = self.entry(level, code);
            latent.iter_mut().zip(entry).for_each(|(sum, entry)| *sum += entry);
        }
    }

    /// Index of the entry nearest to `target`, `[D]`.
    ///
    /// Compares `|e|² - 2 e·x`, the squared distance less the `|x|²` that all entries share.
    #[inline(always)]
    fn nearest(&self, level: usize, target: &[f32]) -> u32 {
        let blocks = self.size.div_ceil(LANES);
        let norms = self.norms[level * blocks * LANES..].chunks_exact(LANES);
        let panels =
            self.panels[level * blocks * LANES * self.dim..].chunks_exact(LANES * self.dim);
        let mut best = [f32::INFINITY; LANES];
        let mut best_code = [0_u32; LANES];
        for (block, (norms, panel)) in (0_u32..).zip(norms.zip(panels).take(blocks)) {
            let mut score = [0.0; LANES];
            score.copy_from_slice(norms);
            for (x, row) in target.iter().zip(panel.chunks_exact(LANES)) {
                for (score, entry) in score.iter_mut().zip(row) {
                    *score -= 2.0 * x * entry;
                }
            }
            for lane in 0..LANES {
                let better = score[lane] < best[lane];
                best[lane] = if better { score[lane] } else { best[lane] };
                best_code[lane] = if better { block } else { best_code[lane] };
            }
        }
        lowest(&best, &best_code)
    }
}

/// The residual search of many latents.
struct Search<'a> {
    books: &'a Codebooks,
    /// `[T, D]`.
    latents: &'a [f32],
    levels: usize,
    /// Room for what is left: `[D]`.
    rest: &'a mut [f32],
    /// `[T, levels]`.
    codes: &'a mut [u32],
}

impl pulp::NullaryFnOnce for Search<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { books, latents, levels, rest, codes } = self;
        let frames = latents.chunks_exact(books.dim).zip(codes.chunks_exact_mut(levels));
        for (latent, codes) in frames {
            rest.copy_from_slice(latent);
            for (level, code) in codes.iter_mut().enumerate() {
                *code = books.nearest(level, rest);
                for (rest, entry) in rest.iter_mut().zip(books.entry(level, *code)) {
                    *rest -= entry;
                }
            }
        }
    }
}

/// The code of the lowest score; `blocks[lane]` says in which block of entries a lane found its own.
#[inline(always)]
fn lowest(scores: &[f32; LANES], blocks: &[u32; LANES]) -> u32 {
    let mut lowest = (f32::INFINITY, 0);
    for (lane, (&score, &block)) in (0_u32..).zip(scores.iter().zip(blocks)) {
        let code = block * LANE_COUNT + lane;
        if score < lowest.0 || (score == lowest.0 && code < lowest.1) {
            lowest = (score, code);
        }
    }
    lowest.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that look random and are the same on every run.
    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 32_768.0 - 1.0
        };
        (0..len).map(|_| draw()).collect()
    }

    fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    #[test]
    fn each_level_takes_the_nearest_entry_to_what_is_left() {
        let (n, k, d) = (3, 70, 5); // K is no multiple of the lanes
        let books = Codebooks::new(n, k, d, noise(n * k * d, 1));
        let latents = noise(40 * d, 2);
        let mut codes = vec![0; 40 * n];
        books.encode_all(&latents, n, &mut codes);
        for (latent, codes) in latents.chunks(d).zip(codes.chunks(n)) {
            let mut rest = latent.to_vec();
            for (level, &code) in codes.iter().enumerate() {
                let chosen = squared_distance(&rest, books.entry(level, code));
                let nearest = (0..u32::try_from(k).unwrap())
                    .map(|code| squared_distance(&rest, books.entry(level, code)))
                    .fold(f64::INFINITY, f64::min);
                assert!(chosen <= nearest + 1e-5, "level {level}: {chosen}, not {nearest}");
                rest.iter_mut().zip(books.entry(level, code)).for_each(|(r, e)| *r -= e);
            }
        }
    }

    #[test]
    fn fewer_levels_give_the_same_first_codes() {
        let books = Codebooks::new(4, 33, 3, noise(4 * 33 * 3, 3));
        let latent = noise(3, 4);
        let (mut all, mut two) = ([0; 4], [0; 2]);
        books.encode(&latent, &mut all);
        books.encode(&latent, &mut two);
        assert_eq!(all[..2], two);
    }

    #[test]
    fn decoding_sums_the_entries() {
        let books = Codebooks::new(2, 2, 2, vec![1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]);
        let mut latent = [f32::NAN; 2];
        books.decode(&[1, 0], &mut latent);
        assert_eq!(latent, [13.0, 24.0]);
        books.decode(&[0], &mut latent);
        assert_eq!(latent, [1.0, 2.0]);
    }

    #[test]
    fn the_lower_index_wins_a_tie() {
        let mut entries = vec![9.0; 80];
        (entries[41], entries[3], entries[67]) = (1.0, 1.0, 1.0);
        let books = Codebooks::new(1, 80, 1, entries);
        let mut code = [0];
        books.encode(&[0.5], &mut code);
        assert_eq!(code, [3]);
    }

    #[test]
    fn a_latent_that_is_not_finite_still_gets_valid_codes() {
        let books = Codebooks::new(2, 40, 2, noise(160, 5));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let mut codes = [u32::MAX; 2];
            books.encode(&[bad, -bad], &mut codes);
            assert!(codes.iter().all(|&code| code < 40), "{bad} became {codes:?}");
        }
    }
}
