//! The residual quantizer: latents to codes and back.
//!
//! A latent is in part what the one before it was. What is coded is therefore the difference from a
//! share of the last latent as it was decoded, `r[t] = z[t] - memory * q[t-1]`, so that errors do
//! not add up (differential coding; Jayant and Noll 1984, "Digital Coding of Waveforms", chapter 6).
//! Channels differ in how long they stay as they are, so each has a share of its own. A tone that
//! lasts is told more exactly with every frame.
//!
//! Level n of the residual takes an entry of its codebook and passes on the rest (Zeghidour et al.
//! 2021, "SoundStream", section III.C, <https://arxiv.org/abs/2107.03312>). The entries are found
//! by a search that keeps the best few beginnings, since the nearest entry of one level need not
//! leave the best rest for the next. Training and playing quantize with this very code.

mod memory;
mod search;

use crate::codes::ABSENT;
use crate::model::config::CodecConfig;
pub use memory::Memory;
use search::Search;

/// Entries searched side by side; a codebook is padded to a multiple of it.
const LANES: usize = LANE_COUNT as usize;
/// [`LANES`], as codes count.
const LANE_COUNT: u32 = 32;

/// Codebooks, and how much of the past they build upon.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantizer {
    books: Codebooks,
    memory: Memory,
}

impl Quantizer {
    /// A quantizer with these codebooks and a memory of as many channels.
    ///
    /// # Panics
    ///
    /// Panics if they differ in channels.
    #[must_use]
    pub fn new(books: Codebooks, memory: Memory) -> Self {
        assert_eq!(books.dim(), memory.shares().len(), "a share for each channel");
        Self { books, memory }
    }

    /// What it builds upon of the past.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Its codebooks.
    #[must_use]
    pub fn books(&self) -> &Codebooks {
        &self.books
    }

    /// What of `latent` is new, given the last quantized latent `state`: what the levels tell.
    /// `[D]` each.
    #[must_use]
    pub fn news(&self, latent: &[f32], state: &[f32]) -> Vec<f32> {
        self.memory.news(latent, state)
    }

    /// Finds the codes of `latent`, `[D]`, with as many levels as `codes` has places. `state`, `[D]`,
    /// is the last quantized latent, zero at the start of a stream, and becomes this one.
    ///
    /// # Panics
    ///
    /// Panics if `latent` or `state` is not `[D]` or `codes` asks for more levels than there are.
    pub fn encode(&self, latent: &[f32], state: &mut [f32], codes: &mut [u32]) {
        self.books.encode(&self.news(latent, state), codes);
        self.decode(codes, state);
    }

    /// The latent that `codes` stand for, from level 0 on, given the one before it in `state`, `[D]`,
    /// which it takes the place of. Codes may be [`ABSENT`]. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if there are more codes than levels, another code is not below `K`, or `state` is not
    /// `[D]`.
    pub fn decode(&self, codes: &[u32], state: &mut [f32]) {
        assert_eq!(state.len(), self.books.dim(), "a latent is [D]");
        self.memory.fade(state);
        for (level, &code) in codes.iter().enumerate().filter(|(_, code)| **code != ABSENT) {
            let entry = self.books.entry(level, code);
            state.iter_mut().zip(entry).for_each(|(sum, entry)| *sum += entry);
        }
    }

    /// Frames after which less than a thousandth of a latent is left.
    #[must_use]
    pub fn recall(&self) -> usize {
        self.memory.recall()
    }
}

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
    /// Codebooks of the sizes of `config`; see [`Self::new`].
    ///
    /// # Panics
    ///
    /// As [`Self::new`].
    #[must_use]
    pub fn of(config: &CodecConfig, entries: Vec<f32>) -> Self {
        Self::new(config.quantizers, config.codebook_size, config.latent_dim, entries)
    }

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

    /// Finds the codes of one `latent`, `[D]`, from level 0 on: one for each place in `codes`. Of
    /// equals the one found first wins: at one level, the lower code. A latent that is not finite
    /// gets some valid codes.
    ///
    /// # Panics
    ///
    /// Panics if `latent` is not `[D]` or `codes` asks for more levels than there are.
    pub fn encode(&self, latent: &[f32], codes: &mut [u32]) {
        assert!(codes.len() <= self.quantizers, "{} levels of {}", codes.len(), self.quantizers);
        assert_eq!(latent.len(), self.dim, "a latent is [D]");
        pulp::Arch::new().dispatch(Search { books: self, latent, codes });
    }

    /// Writes `|e|² - 2 e·x` of every entry e of a level, the squared distance from each target x less
    /// the `|x|²` that all entries share. `targets` are `[B, D]`, and `out` gets `[B, K]`, K rounded up to
    /// whole lanes. All targets at once, so that an entry is fetched once for them.
    #[inline(always)]
    fn scores<const B: usize>(&self, level: usize, targets: &[f32], out: &mut [f32]) {
        let blocks = self.size.div_ceil(LANES);
        let (dim, padded) = (self.dim, blocks * LANES);
        let targets: [&[f32]; B] = std::array::from_fn(|b| &targets[b * dim..][..dim]);
        let norms = self.norms[level * blocks * LANES..].chunks_exact(LANES);
        let panels =
            self.panels[level * blocks * LANES * self.dim..].chunks_exact(LANES * self.dim);
        for (block, (norms, panel)) in norms.zip(panels).take(blocks).enumerate() {
            let mut scores = [[0.0; LANES]; B];
            scores.iter_mut().for_each(|score| score.copy_from_slice(norms));
            for (d, row) in panel.as_chunks::<LANES>().0.iter().enumerate() {
                for (score, target) in scores.iter_mut().zip(targets) {
                    let twice = 2.0 * target[d];
                    for (score, entry) in score.iter_mut().zip(row) {
                        *score -= twice * entry;
                    }
                }
            }
            for (b, score) in scores.iter().enumerate() {
                out[b * padded + block * LANES..][..LANES].copy_from_slice(score);
            }
        }
    }
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

    /// Squared length of what is left of `latent` after its codes.
    fn left(books: &Codebooks, latent: &[f32], codes: &[u32]) -> f64 {
        let mut sum = vec![0.0; latent.len()];
        for (level, &code) in codes.iter().enumerate() {
            sum.iter_mut().zip(books.entry(level, code)).for_each(|(s, e)| *s += e);
        }
        squared_distance(latent, &sum)
    }

    /// What taking the nearest entry at each level would leave.
    fn left_by_the_nearest(books: &Codebooks, latent: &[f32]) -> f64 {
        let mut rest = latent.to_vec();
        for level in 0..books.quantizers() {
            let far = |code: u32| squared_distance(&rest, books.entry(level, code));
            let codes = 0..u32::try_from(books.size()).unwrap();
            let nearest = codes.min_by(|a, b| far(*a).total_cmp(&far(*b))).unwrap();
            rest.iter_mut().zip(books.entry(level, nearest)).for_each(|(r, e)| *r -= e);
        }
        squared_distance(&rest, &vec![0.0; rest.len()])
    }

    #[test]
    fn one_level_takes_the_nearest_entry() {
        let (k, d) = (70, 5); // K is no multiple of the lanes
        let books = Codebooks::new(1, k, d, noise(k * d, 1));
        for latent in noise(40 * d, 2).chunks(d) {
            let mut codes = [0];
            books.encode(latent, &mut codes);
            let nearest = left_by_the_nearest(&books, latent);
            assert!((left(&books, latent, &codes) - nearest).abs() < 1e-5);
        }
    }

    #[test]
    fn many_levels_leave_less_than_the_nearest_entry_of_each_would() {
        let (n, k, d) = (3, 70, 5);
        let books = Codebooks::new(n, k, d, noise(n * k * d, 1));
        let (mut kept, mut nearest) = (0.0, 0.0);
        for latent in noise(40 * d, 2).chunks(d) {
            let mut codes = [0; 3];
            books.encode(latent, &mut codes);
            kept += left(&books, latent, &codes);
            nearest += left_by_the_nearest(&books, latent);
        }
        assert!(kept < 0.9 * nearest, "{kept} is left, {nearest} by the nearest");
    }

    #[test]
    fn decoding_adds_the_entries_to_what_is_remembered() {
        let entries = vec![1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
        let quantizer = Quantizer::new(Codebooks::new(2, 2, 2, entries), Memory::new(vec![0.5; 2]));
        let mut state = [0.0; 2];
        quantizer.decode(&[1, 0], &mut state);
        assert_eq!(state, [13.0, 24.0]);
        quantizer.decode(&[0], &mut state); // fewer levels
        assert_eq!(state, [7.5, 14.0]);
        quantizer.decode(&[ABSENT, 1], &mut state);
        assert_eq!(state, [33.75, 47.0]);
        assert_eq!(quantizer.recall(), 10, "half to the tenth is less than a thousandth");
    }

    #[test]
    fn a_latent_that_stays_is_told_ever_more_exactly() {
        let (n, k, d) = (2, 60, 8);
        let latent = noise(d, 8);
        let error = |memory: f32| {
            // Entries of all sizes, as a quantizer that has learned would have them.
            let mut entries = noise(n * k * d, 7);
            for (i, entry) in entries.chunks_exact_mut(d).enumerate() {
                let size = 0.8_f32.powi(i32::try_from(i % 20).unwrap());
                entry.iter_mut().for_each(|e| *e *= size);
            }
            let quantizer =
                Quantizer::new(Codebooks::new(n, k, d, entries), Memory::new(vec![memory; d]));
            let (mut state, mut codes) = (vec![0.0; d], vec![0; n]);
            let mut errors = (0..50).map(|_| {
                quantizer.encode(&latent, &mut state, &mut codes);
                squared_distance(&latent, &state)
            });
            (errors.next().unwrap(), errors.skip(20).fold(0.0, f64::max))
        };
        let ((first, later), (_, unremembered)) = (error(0.8), error(0.0));
        assert!(later < 0.5 * first, "{first} at first, then up to {later}");
        assert!(later < 0.5 * unremembered, "{later}, without memory {unremembered}");
    }

    #[test]
    fn the_lower_code_wins_a_tie() {
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
