//! What codes tell of what is to come: how much likelier each rank of a descriptor is after a coarse
//! code than it is anywhere.
//!
//! By the rule of Bayes, a code that is drawn when a rank is asked for should be drawn that much more
//! often. The prior learns from what little of a recording is surprising which codes go with which
//! ranks; counts know it at once.

use distill_shared::bundle::Tensor;
use distill_shared::model::conditioning::KNOTS;
use distill_shared::model::config::{CodecConfig, PriorConfig};

use super::draw::{Draw, Purpose};
use super::pieces::{Recorded, frames, random_piece};
use crate::descriptors::{Description, describe};

/// Pieces of stream that are counted.
const PIECES: u32 = 1024;
/// Deviation of the ranks that count as one.
const BLUR: f32 = 0.12;
/// Frames with which every code is taken to have been heard at any rank.
const DOUBT: f32 = 8.0;

/// The guide of a prior, `[ranks, levels, K, knots]`, in nats; none if no rank can be asked for.
pub(super) fn guide(
    recordings: &[Recorded],
    codec: &CodecConfig,
    config: &PriorConfig,
    seed: u64,
) -> Option<Tensor> {
    let shape = config.guide_shape(codec)?;
    let [_, levels, size, _] = shape;
    let ranges: Vec<_> = config
        .conditioning
        .ranks()
        .into_iter()
        .enumerate()
        .filter_map(|(kind, (_, range))| Some((kind, range?)))
        .collect();
    let mut counts = vec![0.0_f32; shape.iter().product()];
    for step in 0..PIECES {
        let piece = random_piece(recordings, 0, &mut Draw::new(seed, Purpose::Guide, step));
        for (t, codes) in frames(&piece.codes).enumerate() {
            let found = describe(&piece.moments[t..]);
            for (number, (kind, range)) in ranges.iter().enumerate() {
                let Some(value) = value(&found, *kind) else { continue };
                let heard = blurred(range.rank(value));
                for (level, &code) in codes.iter().take(levels).enumerate() {
                    let row = (number * levels + level) * size + code as usize;
                    let counts = &mut counts[row * KNOTS..][..KNOTS];
                    counts.iter_mut().zip(heard).for_each(|(count, heard)| *count += heard);
                }
            }
        }
    }
    counts.chunks_exact_mut(size * KNOTS).for_each(likelier);
    Tensor::f16(&shape, &counts)
}

/// The value of a kind of descriptor.
fn value(found: &Description, kind: usize) -> Option<f32> {
    match kind {
        0 => Some(found.loudness),
        1 => found.brightness,
        _ => Some(found.density),
    }
}

/// How near a rank is to each knot; 1 in all.
fn blurred(rank: f32) -> [f32; KNOTS] {
    let near = |knot: usize| {
        let distance = rank - knot as f32 / (KNOTS - 1) as f32;
        (-0.5 * (distance / BLUR).powi(2)).exp()
    };
    let all: [f32; KNOTS] = std::array::from_fn(near);
    let sum: f32 = all.iter().sum();
    all.map(|near| near / sum)
}

/// Turns counts of one level, `[K, knots]`, into how much likelier each knot is after a code than
/// anywhere, as a logarithm.
fn likelier(counts: &mut [f32]) {
    let mut anywhere = [1e-6_f32; KNOTS];
    for code in counts.chunks_exact(KNOTS) {
        anywhere.iter_mut().zip(code).for_each(|(sum, count)| *sum += count);
    }
    let total: f32 = anywhere.iter().sum();
    for code in counts.chunks_exact_mut(KNOTS) {
        let heard: f32 = code.iter().sum();
        for (count, anywhere) in code.iter_mut().zip(anywhere) {
            let share = anywhere / total;
            *count = ((*count + DOUBT * share) / (heard + DOUBT) / share).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_likelier_where_it_was_heard() {
        // Code 0 is heard at low ranks, code 1 at high ones, code 2 never.
        let mut counts =
            [blurred(0.2).map(|n| 50.0 * n), blurred(0.8).map(|n| 50.0 * n), [0.0; KNOTS]].concat();
        likelier(&mut counts);
        let told = |code: usize, knot: usize| counts[code * KNOTS + knot];
        assert!(told(0, 3) > 0.5 && told(0, 13) < -1.0, "{counts:?}");
        assert!(told(1, 13) > 0.5 && told(1, 3) < -1.0, "{counts:?}");
        assert!((0..KNOTS).all(|knot| told(2, knot).abs() < 1e-5));
    }

    #[test]
    fn a_rank_is_near_its_knot() {
        let near = blurred(0.5);
        assert!((near.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(near[8] > near[7] && near[7] > near[0] && (near[7] - near[9]).abs() < 1e-6);
    }
}
