//! Pieces of stream: what a prior reads.
//!
//! A stream is a recording from its start token or from somewhere inside, then another recording,
//! and so on.

use distill_shared::codes::Codes;
use distill_shared::quantizer::Quantizer;

use super::draw::Draw;
use crate::descriptors::{HORIZON, Moment};

/// Frames of a piece of stream.
pub(super) const PIECE_FRAMES: usize = 128;
/// Share of pieces that begin where a recording begins.
const START_SHARE: f64 = 0.3;
/// Pieces of held-out recordings to measure on, at most.
const HELD_PIECES: usize = 24;

/// A recording as a prior reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded<'a> {
    pub(super) codes: &'a Codes,
    /// What is heard in each of its frames.
    pub(super) moments: &'a [Moment],
    /// Which class it is of, if that can be asked for.
    pub(super) class: Option<u32>,
}

/// A piece of stream.
pub(super) struct Piece {
    /// The frames before it, as far back as the quantizer remembers; none at the start of a take.
    pub(super) before: Codes,
    /// The frames to predict, `[T, N]`.
    pub(super) codes: Codes,
    /// What is heard in these frames and as far beyond as descriptors look; nothing if the piece is
    /// not described.
    pub(super) moments: Vec<Moment>,
    /// The class of each frame.
    pub(super) classes: Vec<Option<u32>>,
    /// Whether each frame begins a recording, and whether the one after the last would: `[T + 1]`.
    pub(super) begins: Vec<bool>,
}

/// What a prior reads of a piece, and what it is to say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// The codes that are read, `[M, N]`.
    pub(super) codes: Vec<u32>,
    /// The latents that the quantizer has after them, `[M, D]`.
    pub(super) latents: Vec<f32>,
    /// The codes to predict, `[T, N]`.
    pub(super) answers: Codes,
}

impl Piece {
    /// What is read to predict the frames of the piece. One that starts a take reads one frame less
    /// than it has: the start token comes first.
    pub(super) fn read(&self, quantizer: &Quantizer) -> Reading {
        let Reading { mut codes, mut latents, .. } = self.read_before(quantizer);
        let mut state = latents.clone();
        state.resize(quantizer.books().dim(), 0.0);
        for frame in frames(&self.codes).take(self.codes.frames() - 1) {
            quantizer.decode(frame, &mut state);
            codes.extend_from_slice(frame);
            latents.extend_from_slice(&state);
        }
        Reading { codes, latents, answers: self.codes.clone() }
    }

    /// What is read before the first frame of the piece, if there is something, and nothing said yet.
    pub(super) fn read_before(&self, quantizer: &Quantizer) -> Reading {
        let (mut codes, mut latents) = (Vec::new(), Vec::new());
        for frame in frames(&self.before) {
            latents.resize(quantizer.books().dim(), 0.0);
            quantizer.decode(frame, &mut latents);
            codes = frame.to_vec();
        }
        Reading { codes, latents, answers: Codes::new(self.codes.quantizers()) }
    }
}

/// A random piece of stream from `recordings`, with up to `recall` frames before it.
pub(super) fn random_piece(recordings: &[Recorded], recall: usize, draw: &mut Draw) -> Piece {
    let total: usize = recordings.iter().map(|one| one.codes.frames()).sum();
    let pick = |draw: &mut Draw| {
        // Half by length, half by number, so that neither long nor many files drown the rest.
        if draw.uniform() < 0.5 {
            return draw.below(recordings.len());
        }
        let mut at = draw.below(total);
        let found = recordings.iter().position(|one| {
            let inside = at < one.codes.frames();
            at = at.wrapping_sub(one.codes.frames());
            inside
        });
        found.unwrap_or(0)
    };
    let mut recording = recordings[pick(draw)];
    let start = draw.uniform() < START_SHARE;
    let mut at = if start { 0 } else { draw.below(recording.codes.frames()) };
    let before = before(recording.codes, at, recall);
    let mut codes = Codes::new(recording.codes.quantizers());
    let (mut moments, mut classes, mut begins) = (Vec::new(), Vec::new(), Vec::new());
    for frame in 0..PIECE_FRAMES + HORIZON {
        if at == recording.codes.frames() {
            recording = recordings[pick(draw)];
            at = 0;
        }
        if frame <= PIECE_FRAMES {
            begins.push(at == 0);
        }
        if frame < PIECE_FRAMES {
            codes.push(recording.codes.frame(at));
            classes.push(recording.class);
        }
        moments.push(recording.moments.get(at).copied().unwrap_or_default());
        at += 1;
    }
    Piece { before, codes, moments, classes, begins }
}

/// Held-out recordings from their beginnings, cut into pieces, spread evenly if there are many.
pub(super) fn held_pieces<'a>(held: impl Iterator<Item = &'a Codes>, recall: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for recording in held {
        for start in (0..recording.frames()).step_by(PIECE_FRAMES) {
            let end = recording.frames().min(start + PIECE_FRAMES);
            let mut codes = Codes::new(recording.quantizers());
            (start..end).for_each(|t| codes.push(recording.frame(t)));
            let before = before(recording, start, recall);
            let frames = start..=end;
            let begins = frames.map(|t| t == 0 || t == recording.frames()).collect();
            let (moments, classes) = Default::default();
            pieces.push(Piece { before, codes, moments, classes, begins });
        }
    }
    let stride = pieces.len().div_ceil(HELD_PIECES).max(1);
    pieces.into_iter().step_by(stride).collect()
}

/// The frames of a recording.
pub(super) fn frames(codes: &Codes) -> impl Iterator<Item = &[u32]> {
    codes.as_slice().chunks_exact(codes.quantizers())
}

/// The `recall` frames of a recording before frame `at`, at least one if there is one.
fn before(recording: &Codes, at: usize, recall: usize) -> Codes {
    let mut codes = Codes::new(recording.quantizers());
    (at.saturating_sub(recall.max(1))..at).for_each(|t| codes.push(recording.frame(t)));
    codes
}

#[cfg(test)]
pub(super) mod toy {
    //! Pieces of one level that a person can follow.

    use distill_shared::model::config::CodecConfig;
    use distill_shared::quantizer::{Codebooks, Memory};

    use super::super::toy_codec;
    use super::*;

    /// One level whose entries are 0, 1, 2 …, of which half stays.
    pub(in super::super) fn quantizer() -> Quantizer {
        let config = CodecConfig {
            latent_dim: 1,
            quantizers: 1,
            codebook_size: 200,
            memory: Some(0.5),
            ..toy_codec()
        };
        Quantizer::new(
            Codebooks::of(&config, (0..200_u8).map(f32::from).collect()),
            Memory::of(&config, Vec::new),
        )
    }

    pub(in super::super) fn piece(before: Codes, codes: Codes) -> Piece {
        let begins = vec![false; codes.frames() + 1];
        Piece { before, codes, moments: Vec::new(), classes: Vec::new(), begins }
    }

    pub(in super::super) fn recording(codes: std::ops::Range<u32>) -> Codes {
        let mut recording = Codes::new(1);
        codes.for_each(|code| recording.push(&[code]));
        recording
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Purpose;
    use super::toy::{piece, quantizer, recording};
    use super::*;

    #[test]
    fn a_piece_from_a_start_reads_all_but_its_last_frame() {
        let piece = piece(Codes::new(1), recording(1..4));
        let Reading { codes, latents, answers } = piece.read(&quantizer());
        assert_eq!((codes, latents), (vec![1, 2], vec![1.0, 2.5]));
        assert_eq!(answers, piece.codes);
    }

    #[test]
    fn a_piece_from_inside_reads_the_frame_before_it_too_and_remembers_what_came_earlier() {
        let piece = piece(recording(4..6), recording(6..8));
        let Reading { codes, latents, answers } = piece.read(&quantizer());
        assert_eq!((codes, latents), (vec![5, 6], vec![7.0, 9.5]));
        assert_eq!(answers, piece.codes);
    }

    #[test]
    fn held_out_pieces_follow_each_other_and_know_what_came_before() {
        let recording = recording(0..200);
        let pieces = held_pieces(std::iter::once(&recording), 10);
        assert_eq!(pieces.len(), 2);
        assert_eq!((pieces[0].before.frames(), pieces[0].codes.frames()), (0, PIECE_FRAMES));
        assert_eq!(pieces[1].before.as_slice(), (118..128).collect::<Vec<u32>>());
        assert_eq!(pieces[1].codes.as_slice(), (128..200).collect::<Vec<u32>>());
    }

    #[test]
    fn random_pieces_are_whole_and_go_on_with_another_recording() {
        let (short, long) = (recording(0..30), recording(40..200));
        // Each frame is as loud as its code says.
        let heard = |codes: &Codes| -> Vec<Moment> {
            let power = |&code: &u32| Moment { power: code as f32, ..Moment::default() };
            codes.as_slice().iter().map(power).collect()
        };
        let (quiet, loud) = (heard(&short), heard(&long));
        let recordings = [
            Recorded { codes: &short, moments: &quiet, class: Some(0) },
            Recorded { codes: &long, moments: &loud, class: Some(1) },
        ];
        let mut starts = 0;
        for step in 0..50 {
            let mut draw = Draw::new(1, Purpose::Crops, step);
            let piece = random_piece(&recordings, 10, &mut draw);
            assert_eq!(piece.codes.frames(), PIECE_FRAMES);
            starts += u32::from(piece.before.frames() == 0);
            let codes = [piece.before.as_slice(), piece.codes.as_slice()].concat();
            let goes_on = |pair: &[u32]| pair[1] == pair[0] + 1 || [0, 40].contains(&pair[1]);
            assert!(codes.windows(2).all(goes_on), "{codes:?}");
            assert_eq!(piece.moments.len(), PIECE_FRAMES + HORIZON);
            for ((moment, class), &code) in
                piece.moments.iter().zip(&piece.classes).zip(piece.codes.as_slice())
            {
                assert_eq!((moment.power, *class), (code as f32, Some(u32::from(code >= 40))));
            }
        }
        assert!((8..40).contains(&starts), "{starts} of 50 start a take");
    }
}
