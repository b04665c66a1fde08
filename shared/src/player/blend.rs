//! Blend: codes between the codes of two clips.

use super::Model;
use crate::codes::ABSENT;

/// A code near a place between two entries of a codebook.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blended {
    /// The entry that is nearest.
    pub code: u32,
    /// How far it is from that place: 0 for there, 1 for as far as two entries usually are from each
    /// other.
    pub distance: f32,
}

impl Model {
    /// The entry of `level`, 0 being the coarsest, that is nearest to what lies between entries `from`
    /// and `to`: at `ratio` 0 to 1 of the way. Either may be [`ABSENT`], which stands for nothing new.
    /// `spacing` is that of the level, see [`Self::spacing`].
    ///
    /// # Panics
    ///
    /// Panics if there is no such level, or another code is not below `K`.
    #[must_use]
    pub fn blend(&self, level: usize, from: u32, to: u32, ratio: f32, spacing: f32) -> Blended {
        let books = self.quantizer.books();
        let nothing = vec![0.0; books.dim()];
        let entry = |code| if code == ABSENT { &nothing[..] } else { books.entry(level, code) };
        let between: Vec<f32> =
            entry(from).iter().zip(entry(to)).map(|(a, b)| a + ratio * (b - a)).collect();
        let mut nearest = Blended { code: from, distance: f32::INFINITY };
        for code in (0..).take(books.size()) {
            let distance =
                distance(&between, books.entry(level, code)) / spacing.max(f32::MIN_POSITIVE);
            if distance < nearest.distance {
                nearest = Blended { code, distance };
            }
        }
        nearest
    }

    /// How far entries of `level` are from each other: the mean over pairs of neighbours in number,
    /// which are in no order.
    ///
    /// # Panics
    ///
    /// Panics if there is no such level.
    #[must_use]
    pub fn spacing(&self, level: usize) -> f32 {
        let books = self.quantizer.books();
        let size = books.size();
        let entries = || (0..).take(size).map(|code| books.entry(level, code));
        let pairs = entries().zip(entries().cycle().skip(1));
        pairs.map(|(a, b)| distance(a, b)).sum::<f32>() / size as f32
    }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}
