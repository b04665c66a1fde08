//! Pieces that go astray now and then, and what leads back.
//!
//! A prior that only ever reads recordings does not learn to mend what it draws itself: codes tell
//! what is new since the last latent as it was decoded, so an odd draw stays in what is heard, and the
//! next comes on top of it. So some of what it reads has codes of other frames, and what it is to say
//! from then on is told anew, from what is heard to what was recorded (imitation of an expert where
//! one's own mistakes lead: Ross et al. 2011, "DAgger", <https://arxiv.org/abs/1011.0686>).

use distill_shared::codes::Codes;
use distill_shared::quantizer::Quantizer;

use super::draw::Draw;
use super::pieces::{Piece, Reading, frames};

/// Share of pieces that go astray.
const SHARE: f64 = 0.8;
/// Frames to either side, of one of which those that go astray have codes. Any codes would be louder
/// than quiet sounds around them, and what leads back from them would teach to fade.
const NEAR: usize = 16;

/// How often the frames of a piece go astray, 0 to 1.
pub(super) fn how_often(draw: &mut Draw) -> f64 {
    if draw.uniform() < SHARE { draw.uniform() } else { 0.0 }
}

impl Piece {
    /// As [`Self::read`], but frames go astray, this `often`: from some level on, they have the codes
    /// of another one nearby. What is to be said of every frame leads from what is heard before it to
    /// what was recorded.
    pub(super) fn read_astray(
        &self,
        quantizer: &Quantizer,
        often: f64,
        draw: &mut Draw,
    ) -> Reading {
        let Reading { mut codes, mut latents, .. } = self.read_before(quantizer);
        let (d, levels) = (quantizer.books().dim(), self.codes.quantizers());
        // What was recorded, what is heard instead of it, and that with what fades of the one before.
        let mut meant = latents.clone();
        meant.resize(d, 0.0);
        let (mut heard, mut state) = (meant.clone(), meant.clone());
        let mut answers = Codes::new(levels);
        for (t, (frame, &begins)) in frames(&self.codes).zip(&self.begins).enumerate() {
            if begins {
                meant.fill(0.0);
                heard.fill(0.0);
            }
            let is_astray = meant != heard;
            quantizer.decode(frame, &mut meant);
            let mut said = frame.to_vec();
            if is_astray {
                quantizer.books().encode(&quantizer.news(&meant, &heard), &mut said);
            }
            answers.push(&said);
            if draw.uniform() < often {
                let from = draw.below(levels);
                let other = (t + draw.below(2 * NEAR + 1)).saturating_sub(NEAR);
                let other = self.codes.frame(other.min(self.codes.frames() - 1));
                said[from..].copy_from_slice(&other[from..]);
            }
            quantizer.decode(&said, &mut heard);
            quantizer.decode(&said, &mut state);
            codes.extend_from_slice(&said);
            latents.extend_from_slice(&state);
        }
        // Nobody reads the last frame.
        codes.truncate(codes.len().saturating_sub(levels));
        latents.truncate(latents.len().saturating_sub(d));
        Reading { codes, latents, answers }
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Purpose;
    use super::super::pieces::toy::{piece, quantizer, recording};
    use super::*;

    fn draw() -> Draw {
        Draw::new(1, Purpose::Corruption, 0)
    }

    #[test]
    fn a_piece_that_does_not_go_astray_is_read_as_it_is() {
        let mut inside = piece(recording(4..6), recording(6..8));
        assert_eq!(inside.read_astray(&quantizer(), 0.0, &mut draw()), inside.read(&quantizer()));
        inside.begins[1] = true;
        assert_eq!(inside.read_astray(&quantizer(), 0.0, &mut draw()), inside.read(&quantizer()));
        let start = piece(Codes::new(1), recording(1..4));
        assert_eq!(start.read_astray(&quantizer(), 0.0, &mut draw()), start.read(&quantizer()));
    }

    #[test]
    fn what_is_to_be_said_leads_back_to_what_was_recorded() {
        let (quantizer, mut changing) = (quantizer(), Codes::new(1));
        (0..100).for_each(|t| changing.push(&[80 + t * 7 % 41]));
        let piece = piece(recording(79..80), changing);
        let meant = piece.read(&quantizer).latents;
        let reading = piece.read_astray(&quantizer, 0.5, &mut draw());
        let (read, said) = (&reading.codes[1..], reading.answers.as_slice());
        assert!(read.iter().zip(said).filter(|(read, said)| read != said).count() > 20);
        assert_ne!(reading.answers, piece.codes);
        for ((said, heard), meant) in said.iter().zip(&reading.latents).zip(&meant[1..]) {
            let mut latent = [*heard];
            quantizer.decode(&[*said], &mut latent);
            assert!((latent[0] - meant).abs() < 1.0, "{latent:?} from {heard}, not {meant}");
        }
    }

    #[test]
    fn a_recording_begins_as_it_does_however_far_astray_the_one_before_it_was() {
        let mut piece = piece(recording(4..6), recording(100..140));
        piece.begins[20] = true;
        let reading = piece.read_astray(&quantizer(), 0.9, &mut draw());
        assert_ne!(reading.answers.frame(19), piece.codes.frame(19));
        assert_eq!(reading.answers.frame(20), piece.codes.frame(20));
        assert_ne!(reading.latents, piece.read(&quantizer()).latents);
    }
}
