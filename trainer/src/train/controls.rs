//! What a prior is asked for while it trains: what the stream that it reads really is like.

use distill_shared::model::conditioning::{Conditioning, Controls};

use super::draw::Draw;
use super::pieces::Piece;
use crate::descriptors::describe;

/// Share of the pieces of which nothing is asked.
const OPEN_SHARE: f64 = 0.2;
/// Share of the other pieces of which one descriptor is asked.
const ASKED_SHARE: f64 = 0.6;

/// What is asked of each frame of a piece: every descriptor of some pieces, so that at play time
/// any of them can be left open.
pub(super) fn asked_of(piece: &Piece, offered: &Conditioning, draw: &mut Draw) -> Vec<Controls> {
    let open = draw.uniform() < OPEN_SHARE;
    let mut asked = || draw.uniform() < ASKED_SHARE && !open;
    let [loud, bright, dense, pitched, classed] = std::array::from_fn(|_| asked());
    let mut controls = vec![Controls::default(); piece.codes.frames()];
    if piece.moments.is_empty() || offered.rows() == 0 {
        return controls;
    }
    let Conditioning { loudness, brightness, density, .. } = offered;
    for (t, controls) in controls.iter_mut().enumerate() {
        let found = describe(&piece.moments[t..]);
        *controls = Controls {
            loudness: loudness.filter(|_| loud).map(|range| range.rank(found.loudness)),
            brightness: brightness
                .filter(|_| bright)
                .and_then(|range| Some(range.rank(found.brightness?))),
            density: density.filter(|_| dense).map(|range| range.rank(found.density)),
            pitch: found.pitch.filter(|_| pitched),
            class: piece.classes[t].filter(|_| classed),
        };
    }
    controls
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;
    use distill_shared::model::conditioning::{Distribution, KNOTS};

    use super::super::draw::Purpose;
    use super::*;
    use crate::descriptors::{HORIZON, Moment};

    #[test]
    fn each_descriptor_is_asked_of_about_half_of_the_pieces_and_never_of_part_of_one() {
        let frames = 4;
        let mut codes = Codes::new(1);
        (0..frames).for_each(|_| codes.push(&[0]));
        let loud = Moment { power: 0.1, brightness: 9.0, onsets: 0.0, pitch: Some(60.0) };
        let piece = Piece {
            before: Codes::new(1),
            codes,
            moments: vec![loud; frames + HORIZON],
            classes: vec![Some(1); frames],
        };
        let range = Distribution(std::array::from_fn(|knot| knot as f32 * 4.0 - 42.0));
        let offered = Conditioning {
            loudness: Some(range),
            density: Some(Distribution([0.0; KNOTS])),
            classes: vec!["a".to_owned(), "b".to_owned()],
            ..Conditioning::default()
        };
        let (mut loud, mut open) = (0, 0);
        for step in 0..1000 {
            let asked = asked_of(&piece, &offered, &mut Draw::new(1, Purpose::Controls, step));
            assert_eq!(asked.len(), frames);
            assert!(asked.windows(2).all(|pair| pair[0] == pair[1]));
            assert_eq!(asked[0].brightness, None, "it is not offered");
            assert!(asked[0].loudness.is_none_or(|rank| (rank - 0.5).abs() < 0.01));
            assert!(asked[0].class.is_none_or(|class| class == 1));
            loud += u32::from(asked[0].loudness.is_some());
            open += u32::from(asked[0] == Controls::default());
        }
        assert!((400..560).contains(&loud), "{loud} of 1000");
        assert!((200..300).contains(&open), "{open} of 1000");
    }
}
