//! Locks: cells of a clip that no edit changes.

use std::collections::HashSet;
use std::sync::Arc;

/// Cells to a hexadecimal digit.
const CELLS: usize = 4;

/// Cells of a clip, by frame and level, that no edit changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locks(Arc<HashSet<(usize, usize)>>);

impl Locks {
    /// Whether the cell of `level` in frame `t` is locked.
    #[must_use]
    pub fn hold(&self, t: usize, level: usize) -> bool {
        self.0.contains(&(t, level))
    }

    /// Whether none is.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Locks `cells`, or frees them if all of them are locked.
    pub fn toggle(&mut self, cells: &[(usize, usize)]) {
        let locked = Arc::make_mut(&mut self.0);
        if cells.iter().all(|cell| locked.contains(cell)) {
            for cell in cells {
                locked.remove(cell);
            }
        } else {
            locked.extend(cells);
        }
    }

    /// The same, of a clip that has only so many `frames` now.
    #[must_use]
    pub fn within(self, frames: usize) -> Self {
        if self.0.iter().all(|&(t, _)| t < frames) {
            return self;
        }
        Self(Arc::new(self.0.iter().filter(|&&(t, _)| t < frames).copied().collect()))
    }

    /// As a project saves those of a clip of `levels` levels: a bit for each cell, frame by frame and coarse
    /// to fine, the first the highest of its hexadecimal digit; nothing after the last that is locked.
    #[must_use]
    pub fn digits(&self, levels: usize) -> String {
        let at = |&(t, level): &(usize, usize)| t * levels + level;
        let count = self.0.iter().map(|cell| at(cell) / CELLS + 1).max().unwrap_or(0);
        let mut digits = vec![0_u8; count];
        for cell in self.0.iter().map(at) {
            digits[cell / CELLS] |= 8 >> (cell % CELLS);
        }
        digits.iter().map(|&digit| char::from_digit(digit.into(), 16).unwrap_or('0')).collect()
    }

    /// What [`Self::digits`] gave for a clip of `frames` frames; none if it is of no such clip.
    #[must_use]
    pub fn of_digits(text: &str, frames: usize, levels: usize) -> Option<Self> {
        if text.len() > (frames * levels).div_ceil(CELLS) {
            return None;
        }
        let mut locked = HashSet::new();
        for (place, digit) in text.chars().enumerate() {
            let digit = digit.to_digit(16)?;
            for cell in (0..CELLS).filter(|cell| digit & (8 >> cell) != 0) {
                let at = place * CELLS + cell;
                (at < frames * levels).then(|| locked.insert((at / levels, at % levels)))?;
            }
        }
        Some(Self(Arc::new(locked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_survive_saving_and_loading() {
        let mut locks = Locks::default();
        assert_eq!(locks.digits(3), "");
        locks.toggle(&[(0, 0), (1, 2), (3, 1)]);
        assert_eq!(locks.digits(3), "842", "cells 0, 5 and 10");
        assert_eq!(Locks::of_digits("842", 4, 3), Some(locks));
        assert_eq!(Locks::of_digits("", 4, 3), Some(Locks::default()));
    }

    #[test]
    fn locks_of_no_cell_are_refused() {
        for (text, frames, levels) in [("81", 2, 3), ("842", 2, 3), ("8g", 9, 9), ("8", 0, 3)] {
            assert_eq!(Locks::of_digits(text, frames, levels), None, "{text}");
        }
    }
}
