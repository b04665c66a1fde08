//! The guide: what is asked for, as an addition to the logits of coarse codes.
//!
//! A pitch is asked for as on an instrument with keys: a take begins with it, and from then on has
//! no other, but may fade as the recordings do. Were the pitch demanded of every frame, none could
//! fade, since silence has no pitch. A velocity is asked for only while a take begins.

use super::weights::Weights;
use crate::model::conditioning::{BEGINNING, Conditioning, Controls, GUIDED_LEVELS};
use crate::model::config::{CodecConfig, PriorConfig};

/// How much the guide counts: at 1 as much as the rule of Bayes says, were a frame all that decides
/// what follows; more makes up for what the frames before have decided.
const GUIDANCE: f32 = 2.0;
/// The same of a velocity. A beginning has few frames to be asked, and rare codes that are sought too
/// hard do not go together, and end in silence; those that are wrong can be kept away with force.
const OF_VELOCITY: Guidance = Guidance { toward: 1.0, away: 5.0 };

/// How much the guide counts where it makes a code likelier, and where less likely.
#[derive(Debug, Clone, Copy)]
struct Guidance {
    toward: f32,
    away: f32,
}

/// What the guide of a prior tells.
#[derive(Debug)]
pub(super) struct Guide {
    conditioning: Conditioning,
    /// `[rows, levels, K]`, in nats.
    told: Vec<f32>,
    levels: usize,
}

impl Guide {
    /// Reads the guide of a prior.
    pub(super) fn new(weights: &Weights, config: &PriorConfig, codec: &CodecConfig) -> Self {
        let shape = config.guide_shape(codec);
        let told = shape.map_or_else(Vec::new, |_| weights.values("prior.guide"));
        let levels = codec.quantizers.min(GUIDED_LEVELS);
        Self { conditioning: config.conditioning.clone(), told, levels }
    }

    /// Adds to the logits, `[K]`, of a level what the guide has for what is asked of the nth `frame`
    /// that a take makes. Real-time safe.
    pub(super) fn add(&self, controls: &Controls, frame: u64, level: usize, logits: &mut [f32]) {
        if level >= self.levels {
            return;
        }
        let (pitches, velocities) =
            (self.conditioning.rows_of_pitches(), self.conditioning.rows_of_velocity());
        let always = Guidance { toward: GUIDANCE, away: GUIDANCE };
        for (row, share) in self.conditioning.weigh(controls) {
            let Guidance { toward, away } = match frame < BEGINNING as u64 {
                true if velocities.contains(&row) => OF_VELOCITY,
                false if velocities.contains(&row) => continue,
                // Codes of other pitches are kept away for good.
                false if pitches.contains(&row) => Guidance { toward: 0.0, ..always },
                _ => always,
            };
            let told = &self.told[(row * self.levels + level) * logits.len()..];
            for (logit, &told) in logits.iter_mut().zip(told) {
                *logit += share * told * if told > 0.0 { toward } else { away };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conditioning::{Distribution, KNOTS, Pitches};

    /// A guide over two codes: a pitch makes its own likelier and the other less likely, and so do
    /// the greatest loudness and the greatest velocity.
    fn guide() -> Guide {
        let conditioning = Conditioning {
            loudness: Some(Distribution([0.0; KNOTS])),
            velocity: Some(Distribution([0.0; KNOTS])),
            pitch: Pitches::new([60, 72]),
            ..Conditioning::default()
        };
        let mut told = vec![0.0; KNOTS * 2];
        told[KNOTS * 2 - 2..].copy_from_slice(&[1.0, -1.0]);
        told.extend_from_within(..);
        told.extend([1.0, -3.0, -3.0, 1.0]);
        Guide { conditioning, told, levels: 1 }
    }

    fn added(controls: &Controls, frame: u64, level: usize) -> [f32; 2] {
        let mut logits = [0.0; 2];
        guide().add(controls, frame, level, &mut logits);
        logits
    }

    #[test]
    fn a_pitch_is_demanded_where_a_take_begins_and_others_are_kept_away_after_it() {
        let high = Controls { pitch: Some(72.0), ..Controls::default() };
        for frame in 0..BEGINNING as u64 {
            assert_eq!(added(&high, frame, 0), [-6.0, 2.0], "frame {frame}");
        }
        for frame in [BEGINNING as u64, 1_000_000] {
            assert_eq!(added(&high, frame, 0), [-6.0, 0.0], "frame {frame}");
        }
    }

    #[test]
    fn a_velocity_is_asked_for_only_while_a_take_begins() {
        let hard = Controls { velocity: Some(1.0), ..Controls::default() };
        assert_eq!(added(&hard, 0, 0), [1.0, -5.0]);
        assert_eq!(added(&hard, BEGINNING as u64 - 1, 0), [1.0, -5.0]);
        assert_eq!(added(&hard, BEGINNING as u64, 0), [0.0, 0.0]);
    }

    #[test]
    fn what_is_no_pitch_is_asked_of_every_frame_and_fine_levels_are_left_alone() {
        let loud = Controls { loudness: Some(1.0), ..Controls::default() };
        assert_eq!(added(&loud, 0, 0), [2.0, -2.0]);
        assert_eq!(added(&loud, BEGINNING as u64, 0), [2.0, -2.0]);
        assert_eq!(added(&loud, 0, 1), [0.0, 0.0]);
        assert_eq!(added(&Controls::default(), 0, 0), [0.0, 0.0]);
    }
}
