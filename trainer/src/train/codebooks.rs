//! Codebooks that follow the latents without gradients.
//!
//! Entries are running means of the latents they were chosen for (van den Oord et al. 2017,
//! appendix A.1, <https://arxiv.org/abs/1711.00937>), begin at the centres that k-means finds, and
//! start afresh at a current latent when nothing chooses them any more (Dhariwal et al. 2020,
//! "Jukebox", section 3, <https://arxiv.org/abs/2005.00341>).

use anyhow::{Context, Result};
use distill_shared::bundle::Tensor;
use distill_shared::model::config::CodecConfig;
use distill_shared::quantizer::{Codebooks, Memory, Quantizer};

use super::draw::Draw;
use super::state::{State, counts, flat, halves};
use super::workers::Workers;
use crate::events::LevelUse;
use crate::ranks::Ranks;

/// Share of the running means that one update keeps.
const DECAY: f32 = 0.99;
/// An entry used less than this share of an even one starts afresh.
const DEAD_SHARE: f32 = 0.03;
/// The share that it starts with: little, so that it moves fast to what chooses it, and starts
/// afresh again soon if nothing does.
const FRESH_SHARE: f32 = 0.06;
/// Rounds of k-means at the start.
const ROUNDS: usize = 8;
/// Points that a thread looks for the nearest entries of at a time.
const ROWS_AT_ONCE: usize = 512;

/// What a state calls the entries, how often and for what each was chosen in the mean, and how often
/// since the last report.
const ENTRIES: &str = "codebooks.entries";
const COUNTS: &str = "codebooks.counts";
const SUMS: &str = "codebooks.sums";
const CHOSEN: &str = "codebooks.chosen";

/// The codebooks while they learn.
pub struct LearningCodebooks {
    config: CodecConfig,
    quantizer: Quantizer,
    /// Running mean of how often each entry is chosen per update, `[N * K]`.
    counts: Vec<f32>,
    /// Running sum of what it was chosen for, `[N * K * D]`.
    sums: Vec<f32>,
    /// How often each entry was chosen since the last report, `[N * K]`.
    chosen: Vec<u32>,
}

/// What one part of a batch tells the codebooks.
pub struct Quantized {
    /// What is new in each latent, `[T, D]`.
    pub news: Vec<f32>,
    /// Codes of the first `levels` levels, `[T, levels]`.
    pub codes: Vec<u32>,
    /// Levels in use.
    pub levels: usize,
}

impl Quantized {
    /// Those of all ranks, in their order.
    pub(super) fn of_all_ranks(own: Vec<Self>, ranks: &dyn Ranks) -> Result<Vec<Self>> {
        if ranks.count() == 1 {
            return Ok(own);
        }
        let own: Vec<u8> = own.iter().flat_map(Self::to_bytes).collect();
        let all = ranks.gather(&own)?.concat();
        let (mut rest, mut parts) = (all.as_slice(), Vec::new());
        while !rest.is_empty() {
            parts.push(Self::take(&mut rest).context("a rank sent half a part")?);
        }
        Ok(parts)
    }

    /// Levels, lengths and values, 32 bits each.
    fn to_bytes(&self) -> Vec<u8> {
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let head = [self.levels, self.codes.len(), self.news.len()].map(length);
        let news = self.news.iter().map(|value| value.to_bits());
        let words = head.into_iter().chain(self.codes.iter().copied()).chain(news);
        words.flat_map(u32::to_le_bytes).collect()
    }

    /// The first one in `bytes`, which are then those behind it.
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut words = |count: usize| -> Option<Vec<u32>> {
            let (own, rest) = bytes.split_at_checked(count.checked_mul(4)?)?;
            *bytes = rest;
            Some(own.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
        };
        let head = words(3)?;
        let codes = words(head[1] as usize)?;
        let news = words(head[2] as usize)?.into_iter().map(f32::from_bits).collect();
        Some(Self { news, codes, levels: head[0] as usize })
    }
}

impl LearningCodebooks {
    /// Places the entries by k-means among `news`, `[T, D]`, level after level.
    pub(super) fn among(
        config: &CodecConfig,
        memory: Memory,
        news: &[f32],
        draw: &mut Draw,
        workers: &Workers,
    ) -> Result<Self> {
        let (n, k, d) = (config.quantizers, config.codebook_size, config.latent_dim);
        let mut rest = news.to_vec();
        let mut entries = Vec::with_capacity(n * k * d);
        for _ in 0..n {
            let centres = k_means(&rest, k, d, draw, workers)?;
            let book = Codebooks::new(1, k, d, centres.clone());
            let codes = nearest(&rest, &book, workers)?;
            for (row, &code) in rest.chunks_exact_mut(d).zip(&codes) {
                row.iter_mut().zip(book.entry(0, code)).for_each(|(r, e)| *r -= e);
            }
            entries.extend(centres);
        }
        Ok(Self::of(config, memory, entries))
    }

    /// Begins with `entries`, `[N * K * D]`, as if each had been chosen once.
    pub(super) fn of(config: &CodecConfig, memory: Memory, entries: Vec<f32>) -> Self {
        let places = config.quantizers * config.codebook_size;
        let sums = entries.clone();
        let quantizer = Quantizer::new(Codebooks::of(config, entries), memory);
        let (counts, chosen) = (vec![1.0; places], vec![0; places]);
        Self { config: config.clone(), quantizer, counts, sums, chosen }
    }

    /// Goes on as a run was that kept `state`.
    pub(super) fn resumed(config: &CodecConfig, memory: Memory, state: &State) -> Result<Self> {
        let places = config.quantizers * config.codebook_size;
        let values = places * config.latent_dim;
        let chosen = counts(state.tensor(CHOSEN)?).filter(|chosen| chosen.len() == places);
        Ok(Self {
            counts: state.floats(COUNTS, places)?,
            sums: state.floats(SUMS, values)?,
            chosen: chosen.context("the checkpoint has codebooks of another size")?,
            ..Self::of(config, memory, state.floats(ENTRIES, values)?)
        })
    }

    /// What a state keeps of them.
    pub(super) fn tensors(&self) -> [(String, Tensor); 4] {
        [
            (ENTRIES.to_owned(), flat(self.books().entries().to_vec())),
            (COUNTS.to_owned(), flat(self.counts.clone())),
            (SUMS.to_owned(), flat(self.sums.clone())),
            (CHOSEN.to_owned(), halves(&self.chosen)),
        ]
    }

    /// The quantizer as it is.
    #[must_use]
    pub fn quantizer(&self) -> &Quantizer {
        &self.quantizer
    }

    fn books(&self) -> &Codebooks {
        self.quantizer.books()
    }

    /// Moves the entries towards what they were chosen for in a batch. With `restart`, unused
    /// entries start afresh.
    pub(super) fn update(&mut self, batch: &[Quantized], restart: Option<&mut Draw>) {
        let (n, k, d) = (self.books().quantizers(), self.books().size(), self.books().dim());
        let (mut counts, mut sums) = (vec![0.0; n * k], vec![0.0; n * k * d]);
        let mut leftovers: Vec<Vec<f32>> = vec![Vec::new(); n];
        for part in batch {
            let frames = part.news.chunks_exact(d).zip(part.codes.chunks_exact(part.levels.max(1)));
            for (news, codes) in frames {
                let mut rest = news.to_vec();
                for (level, &code) in codes.iter().enumerate() {
                    let at = level * k + code as usize;
                    counts[at] += 1.0;
                    self.chosen[at] += 1;
                    sums[at * d..][..d].iter_mut().zip(&rest).for_each(|(s, r)| *s += r);
                    leftovers[level].extend_from_slice(&rest);
                    let entry = self.books().entry(level, code);
                    rest.iter_mut().zip(entry).for_each(|(r, e)| *r -= e);
                }
            }
        }
        for (level, leftover) in leftovers.iter().enumerate() {
            // A level that dropout left unused keeps what it knows.
            if !leftover.is_empty() {
                let range = level * k..(level + 1) * k;
                mix(&mut self.counts[range.clone()], &counts[range.clone()]);
                mix(
                    &mut self.sums[range.start * d..range.end * d],
                    &sums[range.start * d..range.end * d],
                );
            }
        }
        if let Some(draw) = restart {
            self.restart_unused(&leftovers, draw);
        }
        self.rebuild();
    }

    /// Moves unused entries towards something that is left of the batch, as far as the other entries
    /// of the level lie from zero. What is left of two latents has little in common, so an entry as
    /// long as one of them would be the nearest to no other.
    fn restart_unused(&mut self, leftovers: &[Vec<f32>], draw: &mut Draw) {
        let (k, d) = (self.books().size(), self.books().dim());
        for (level, rest) in leftovers.iter().enumerate().filter(|(_, rest)| !rest.is_empty()) {
            let even = self.counts[level * k..(level + 1) * k].iter().sum::<f32>() / k as f32;
            let usual = self.usual_length(level);
            for at in level * k..(level + 1) * k {
                if self.counts[at] < DEAD_SHARE * even {
                    let row = &rest[draw.below(rest.len() / d) * d..][..d];
                    self.counts[at] = even * FRESH_SHARE;
                    let scale = (usual / length(row).max(1e-6)).min(1.0) * self.counts[at];
                    let sum = &mut self.sums[at * d..(at + 1) * d];
                    sum.iter_mut().zip(row).for_each(|(s, r)| *s = r * scale);
                }
            }
        }
    }

    /// Mean length of the entries of a level as they are chosen.
    fn usual_length(&self, level: usize) -> f32 {
        let (k, d) = (self.books().size(), self.books().dim());
        let counts = &self.counts[level * k..(level + 1) * k];
        let entries = self.books().entries()[level * k * d..].chunks_exact(d).zip(counts);
        let total = entries.map(|(entry, count)| length(entry) * count).sum::<f32>();
        total / counts.iter().sum::<f32>().max(1e-6)
    }

    fn rebuild(&mut self) {
        let d = self.books().dim();
        let mut entries = self.books().entries().to_vec();
        for (at, entry) in entries.chunks_exact_mut(d).enumerate() {
            // An entry without weight has nothing to be the mean of: it stays.
            if self.counts[at] > 1e-6 {
                let sum = &self.sums[at * d..(at + 1) * d];
                entry.iter_mut().zip(sum).for_each(|(e, s)| *e = s / self.counts[at]);
            }
        }
        let books = Codebooks::of(&self.config, entries);
        self.quantizer = Quantizer::new(books, self.quantizer.memory().clone());
    }

    /// Use of each level since the last call.
    pub fn take_use(&mut self) -> Vec<LevelUse> {
        let levels = self.chosen.chunks_exact(self.books().size()).map(level_use).collect();
        self.chosen.fill(0);
        levels
    }
}

/// Use of one codebook, from how often each entry was chosen.
#[must_use]
pub fn level_use(chosen: &[u32]) -> LevelUse {
    let total: f64 = chosen.iter().map(|&c| f64::from(c)).sum();
    let shares = chosen.iter().filter(|&&c| c > 0).map(|&c| f64::from(c) / total);
    let used = chosen.iter().filter(|&&c| c > 0).count() as f64 / chosen.len() as f64;
    LevelUse { used, perplexity: (-shares.map(|p| p * p.ln()).sum::<f64>()).exp() }
}

/// Euclidean length.
fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// Running mean of `fresh`.
fn mix(mean: &mut [f32], fresh: &[f32]) {
    mean.iter_mut().zip(fresh).for_each(|(m, f)| *m = DECAY * *m + (1.0 - DECAY) * f);
}

/// Centres of `k` groups of the rows of `points`, `[T, D]`: `[K, D]` (Lloyd 1982). Begins at random
/// rows, as dense as the points are, which in many dimensions is near the best (Gersho 1979,
/// "Asymptotically optimal block quantization"); rows that lie far apart (k-means++) would be the few
/// loudest. An empty group begins again at another row.
fn k_means(
    points: &[f32],
    k: usize,
    d: usize,
    draw: &mut Draw,
    workers: &Workers,
) -> Result<Vec<f32>> {
    let rows = points.len() / d;
    if rows == 0 {
        let centres = (0..k * d).map(|i| if i % d == 0 { 1e-3 * (i / d) as f32 } else { 0.0 });
        return Ok(centres.collect());
    }
    let row = |draw: &mut Draw| &points[draw.below(rows) * d..][..d];
    let mut centres: Vec<f32> = (0..k).flat_map(|_| row(draw)).copied().collect();
    for _ in 0..ROUNDS {
        let codes = nearest(points, &Codebooks::new(1, k, d, centres.clone()), workers)?;
        let (mut counts, mut sums) = (vec![0_u32; k], vec![0.0; k * d]);
        for (point, &code) in points.chunks_exact(d).zip(&codes) {
            counts[code as usize] += 1;
            sums[code as usize * d..][..d].iter_mut().zip(point).for_each(|(s, p)| *s += p);
        }
        for (i, centre) in centres.chunks_exact_mut(d).enumerate() {
            if counts[i] == 0 {
                centre.copy_from_slice(row(draw));
            } else {
                let sum = &sums[i * d..(i + 1) * d];
                centre.iter_mut().zip(sum).for_each(|(c, s)| *c = s / counts[i] as f32);
            }
        }
    }
    Ok(centres)
}

/// The entry of a book of one level that is nearest to each row of `points`, `[T, D]`.
fn nearest(points: &[f32], book: &Codebooks, workers: &Workers) -> Result<Vec<u32>> {
    let parts: Vec<_> = points.chunks(ROWS_AT_ONCE * book.dim()).collect();
    let codes = workers.run(parts.len(), |i| {
        let rows = parts[i].chunks_exact(book.dim());
        let mut codes = vec![0; rows.len()];
        rows.zip(codes.chunks_exact_mut(1)).for_each(|(row, code)| book.encode(row, code));
        Ok(codes)
    })?;
    Ok(codes.concat())
}

#[cfg(test)]
mod tests {
    use super::super::draw::Purpose;
    use super::super::toy_codec;
    use super::*;

    /// Points in four heaps, around (±1, ±1).
    #[expect(clippy::cast_possible_truncation, reason = "test points need no precision")]
    fn heaps() -> Vec<f32> {
        let mut draw = Draw::new(1, Purpose::Weights, 0);
        let mut near = |centre: f32| centre + 0.05 * (draw.uniform() as f32 - 0.5);
        (0..64)
            .flat_map(|i| {
                [
                    near(if i % 2 == 0 { 1.0 } else { -1.0 }),
                    near(if i % 4 < 2 { 1.0 } else { -1.0 }),
                ]
            })
            .collect()
    }

    /// `points` with their codes.
    fn quantized(books: &LearningCodebooks, points: &[f32]) -> Quantized {
        let mut codes = vec![0; points.len()];
        let places = points.chunks_exact(2).zip(codes.chunks_exact_mut(2));
        places.for_each(|(point, codes)| books.books().encode(point, codes));
        Quantized { news: points.to_vec(), codes, levels: 2 }
    }

    /// Codebooks placed among `news`.
    fn placed(config: &CodecConfig, news: &[f32]) -> Result<LearningCodebooks> {
        let memory = Memory::new(vec![0.0; config.latent_dim]);
        let mut draw = Draw::new(3, Purpose::Restarts, 0);
        LearningCodebooks::among(config, memory, news, &mut draw, &Workers::new(2)?)
    }

    #[test]
    fn k_means_finds_the_heaps() -> Result<()> {
        let points = heaps();
        let books = placed(&toy_codec(), &points)?;
        let mut codes = vec![0; 2];
        for point in points.chunks_exact(2) {
            books.books().encode(point, &mut codes);
            let mut error = point.to_vec();
            for (level, &code) in codes.iter().enumerate() {
                error.iter_mut().zip(books.books().entry(level, code)).for_each(|(e, b)| *e -= b);
            }
            assert!(error.iter().all(|e| e.abs() < 0.2), "{point:?} misses by {error:?}");
        }
        Ok(())
    }

    #[test]
    fn an_unused_entry_starts_afresh() -> Result<()> {
        let points = heaps();
        let mut books = placed(&toy_codec(), &points)?;
        // Everything moves far away, so that at most a few of the old entries are chosen.
        let moved: Vec<f32> = points.iter().map(|p| p + 10.0).collect();
        for step in 0..1000 {
            let part = quantized(&books, &moved);
            books.update(&[part], Some(&mut Draw::new(4, Purpose::Restarts, step)));
        }
        books.take_use();
        let part = quantized(&books, &moved);
        books.update(&[part], None);
        assert!(books.take_use()[0].used > 0.9, "all entries of the first level are in use again");
        Ok(())
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "test points need no precision")]
    fn entries_that_start_afresh_among_many_dimensions_come_to_be_chosen() -> Result<()> {
        const D: usize = 64;
        let config = CodecConfig { latent_dim: D, quantizers: 1, codebook_size: 64, ..toy_codec() };
        let mut draw = Draw::new(5, Purpose::Weights, 0);
        let mut points = || -> Vec<f32> { (0..256 * D).map(|_| draw.normal() as f32).collect() };
        // Entries so far away that only a few are the nearest to anything.
        let far: Vec<f32> = points().iter().map(|p| 4.0 * p).collect();
        let mut books = placed(&config, &far)?;
        for step in 0..300 {
            let news = points();
            let mut codes = vec![0; 256];
            let places = news.chunks_exact(D).zip(codes.chunks_exact_mut(1));
            places.for_each(|(point, code)| books.books().encode(point, code));
            if step == 200 {
                books.take_use();
            }
            let part = Quantized { news, codes, levels: 1 };
            books.update(&[part], Some(&mut Draw::new(4, Purpose::Restarts, step)));
        }
        let used = books.take_use()[0];
        assert!(used.perplexity > 48.0, "{used:?} of 64 entries");
        Ok(())
    }
}
