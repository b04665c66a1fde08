//! Which frames train the depth transformer.

use anyhow::Result;
use distill_shared::model::conditioning::BEGINNING;

use super::draw::Draw;
use super::pieces::{PIECE_FRAMES, Piece};

/// One in so many frames trains the depth transformer, which costs several times as much as the
/// temporal one: it learns as much of a few frames as of all, and more steps are made in a minute.
const DEPTH_STRIDE: usize = 4;
/// Times that each of the first frames of a take counts: together about as much as all others of the
/// pieces around them, since they decide what every note begins with, and there are few of them. Others
/// that begin a recording count once: of a corpus of short sounds they would drown the rest.
const BEGINNING_WEIGHT: f32 = 24.0;

/// The frames of `pieces` on which to train the depth transformer: rows of `[B * T]`, none twice, and
/// how much each counts.
pub(super) fn depth_rows(pieces: &[Piece], draw: &mut Draw) -> Result<(Vec<u32>, Vec<f32>)> {
    let (mut rows, mut weights) = (Vec::new(), Vec::new());
    for (i, piece) in pieces.iter().enumerate() {
        let beginning = if piece.before.frames() == 0 { BEGINNING } else { 0 };
        let others = (beginning..PIECE_FRAMES).step_by(DEPTH_STRIDE);
        let others = others.map(|frame| (frame + draw.below(DEPTH_STRIDE), 1.0));
        for (frame, weight) in (0..beginning).map(|t| (t, BEGINNING_WEIGHT)).chain(others) {
            rows.push(u32::try_from(i * PIECE_FRAMES + frame)?);
            weights.push(weight);
        }
    }
    Ok((rows, weights))
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;

    use super::super::draw::Purpose;
    use super::*;

    #[test]
    fn the_beginning_of_a_take_counts_many_times_and_nothing_else_does() {
        let stream = |frames| {
            let mut codes = Codes::new(1);
            (0..frames).for_each(|_| codes.push(&[0]));
            codes
        };
        let piece = |before| Piece {
            before: stream(before),
            codes: stream(PIECE_FRAMES),
            moments: Vec::new(),
            classes: Vec::new(),
            begins: Vec::new(),
        };
        let (inside, start) = (piece(1), piece(0));
        let pieces = [inside, start];
        for key in 0..20 {
            let mut draw = Draw::new(1, Purpose::Frames, key);
            let (rows, weights) = depth_rows(&pieces, &mut draw).expect("few rows");
            let others = (2 * PIECE_FRAMES - BEGINNING) / DEPTH_STRIDE;
            assert_eq!(rows.len(), others + BEGINNING);
            assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
            let counts_more =
                |(&row, &weight): (&u32, &f32)| (weight > 1.0).then_some(row as usize);
            let starts: Vec<_> = rows.iter().zip(&weights).filter_map(counts_more).collect();
            assert_eq!(starts, Vec::from_iter(PIECE_FRAMES..PIECE_FRAMES + BEGINNING));
        }
    }
}
