//! The guide: how much likelier everything that can be asked for is after a coarse code than it is
//! anywhere, counted over the corpus.
//!
//! A prior that is told what is to come, while it trains, learns next to nothing of it in minutes:
//! most frames follow from those before, and the few that do not are drowned by the rest. Counts
//! know at once which codes begin something loud.

use distill_shared::bundle::Tensor;
use distill_shared::model::conditioning::{BEGINNING, Conditioning, Controls, KNOTS, Tuned};
use distill_shared::model::config::{CodecConfig, PriorConfig};

use super::draw::{Draw, Purpose};
use super::pieces::{Piece, Recorded, frames, random_piece};
use crate::descriptors::{Moment, describe};

/// Pieces of stream that are counted.
const PIECES: u32 = 1024;
/// Deviation of the settings that count as one.
const BLUR: f32 = 0.12;
/// Deviation of the pitches that count as one, in semitones.
const PITCH_BLUR: f32 = 0.3;
/// Frames with which every code is taken to have been heard anywhere.
const DOUBT: f32 = 8.0;

/// The guide of a prior, `[rows, levels, K]`, in nats; none if nothing can be asked for.
pub(super) fn guide(
    recordings: &[Recorded],
    codec: &CodecConfig,
    config: &PriorConfig,
    seed: u64,
) -> Option<Tensor> {
    let shape = config.guide_shape(codec)?;
    let [_, levels, size] = shape;
    let offered = &config.conditioning;
    let mut counts = vec![0.0_f32; shape.iter().product()];
    for step in 0..PIECES {
        let piece = random_piece(recordings, 0, &mut Draw::new(seed, Purpose::Guide, step));
        for (t, codes) in frames(&piece.codes).enumerate() {
            for (row, share) in heard(&piece, t, offered) {
                for (level, &code) in codes.iter().take(levels).enumerate() {
                    counts[(row * levels + level) * size + code as usize] += share;
                }
            }
        }
    }
    let mut first = 0;
    let row = levels * size;
    for rows in offered.kinds() {
        likelier(&mut counts[first * row..(first + rows) * row], row, size);
        first += rows;
    }
    Tensor::f16(&shape, &counts)
}

/// The `guide` of a prior that offers `all`, for one that offers only `rest` of it: the rows of what
/// is left, or none if that is nothing.
#[must_use]
pub fn guide_of_rest(guide: &Tensor, all: &Conditioning, rest: &Conditioning) -> Option<Tensor> {
    let &[_, levels, size] = guide.shape() else { return None };
    let ranks = all.ranks().into_iter().zip(rest.ranks()).flat_map(|((_, all), (_, rest))| {
        std::iter::repeat_n(rest.is_some(), if all.is_some() { KNOTS } else { 0 })
    });
    let pitches = all.pitch.keys().map(|key| rest.pitch.contains(key));
    let classes = all.classes.iter().map(|class| rest.classes.contains(class));
    let values = guide.to_f32();
    let rows = values.chunks_exact(levels * size).zip(ranks.chain(pitches).chain(classes));
    let left: Vec<&[f32]> = rows.filter_map(|(row, stays)| stays.then_some(row)).collect();
    Tensor::f16(&[left.len(), levels, size], &left.concat()).filter(|_| !left.is_empty())
}

/// What is heard from frame `t` of a piece on, as shares of rows: 1 in all for each kind.
fn heard(piece: &Piece, t: usize, offered: &Conditioning) -> Vec<(usize, f32)> {
    let found = describe(&piece.moments[t..]);
    let Conditioning { loudness, brightness, density, velocity, .. } = offered;
    let nothing = Controls::default();
    let mut rows = Vec::new();
    let mut blurred = |middle: Option<f32>, deviation: f32, ask: &dyn Fn(f32) -> Controls| {
        let Some(middle) = middle else { return };
        let spread = [-1.5_f32, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5];
        let weights = spread.map(|x| (-0.5 * x * x).exp());
        let total: f32 = weights.iter().sum();
        for (x, weight) in spread.into_iter().zip(weights) {
            let asked = offered.weigh(&ask(middle + deviation * x));
            rows.extend(asked.into_iter().map(|(row, share)| (row, share * weight / total)));
        }
    };
    let loud = loudness.map(|range| range.rank(found.loudness));
    blurred(loud, BLUR, &|x| Controls { loudness: Some(x), ..nothing });
    let bright = brightness.and_then(|range| Some(range.rank(found.brightness?)));
    blurred(bright, BLUR, &|x| Controls { brightness: Some(x), ..nothing });
    let dense = density.map(|range| range.rank(found.density));
    blurred(dense, BLUR, &|x| Controls { density: Some(x), ..nothing });
    let hard = velocity.and_then(|range| Some(range.rank(attack_before(&piece.moments, t)?)));
    blurred(hard, BLUR, &|x| Controls { velocity: Some(x), ..nothing });
    rows.extend(found.pitch.and_then(|heard| row_of_pitch(offered, heard)));
    let class = piece.classes.get(t).copied().flatten();
    rows.extend(offered.weigh(&Controls { class, ..nothing }));
    rows
}

/// The level with which the sound begins to whose beginning frame `t` belongs, if it does to any.
fn attack_before(moments: &[Moment], t: usize) -> Option<f32> {
    let mut near = (0..=t).rev().take(BEGINNING);
    let begun = near.find(|&t| moments.get(t).is_some_and(|moment| moment.onsets > 0.0))?;
    Some(describe(&moments[begun..]).attack)
}

/// The row of the pitch that was `heard`, if it is one that is offered, and how much it counts.
fn row_of_pitch(offered: &Conditioning, heard: f32) -> Option<(usize, f32)> {
    let Tuned { key, shift } = offered.pitch.tune(heard)?;
    let near = shift / PITCH_BLUR;
    let row = offered.rows_of_pitches().start + offered.pitch.place(key);
    Some((row, (-0.5 * near * near).exp())).filter(|_| shift.abs() <= 0.5)
}

/// Turns counts of the rows of one kind, `[rows, levels, K]` of `row` values each, into how much
/// likelier each row is after a code than anywhere, as logarithms.
fn likelier(counts: &mut [f32], row: usize, size: usize) {
    for level in 0..row / size {
        let of_level = |r: usize, code: usize| r * row + level * size + code;
        let rows = counts.len() / row;
        let anywhere: Vec<f32> =
            (0..rows).map(|r| counts[of_level(r, 0)..][..size].iter().sum()).collect();
        let total: f32 = anywhere.iter().sum();
        for code in 0..size {
            let heard: f32 = (0..rows).map(|r| counts[of_level(r, code)]).sum();
            for (r, anywhere) in anywhere.iter().enumerate() {
                let share = anywhere / total;
                let count = &mut counts[of_level(r, code)];
                // Of what was never heard nothing is known.
                *count = match share {
                    share if share > 0.0 => (*count / share + DOUBT) / (heard + DOUBT),
                    _ => 1.0,
                }
                .ln();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;
    use distill_shared::model::conditioning::{Distribution, Pitches};

    use super::super::pieces::PIECE_FRAMES;
    use super::super::toy_codec;
    use super::*;
    use crate::sizes::adaptive_prior_config;

    #[test]
    fn a_guide_of_the_rest_has_the_rows_of_the_rest() {
        let codec = toy_codec();
        let mut config = adaptive_prior_config(&codec, &[]);
        let even = Some(Distribution(std::array::from_fn(|knot| knot as f32)));
        config.conditioning = Conditioning {
            loudness: even,
            density: even,
            pitch: Pitches::new([60, 63]),
            classes: vec!["a".to_owned(), "b".to_owned()],
            ..Conditioning::default()
        };
        let shape = config.guide_shape(&codec).unwrap();
        let row = shape[1] * shape[2];
        let values: Vec<f32> = (0..shape[0] * row).map(|i| (i / row) as f32).collect();
        let guide = Tensor::f16(&shape, &values).unwrap();
        let all = &config.conditioning;
        let rows = |rest: &Conditioning| {
            let left = guide_of_rest(&guide, all, rest)?;
            assert_eq!(left.shape()[0], rest.rows());
            Some(left.to_f32().chunks(row).map(|row| row[0]).collect::<Vec<_>>())
        };
        let quiet = Conditioning { loudness: None, ..all.clone() };
        let from = KNOTS as f32;
        assert_eq!(rows(&quiet).unwrap()[..2], [from, from + 1.0], "those of density come first");
        let notes = Conditioning { pitch: Pitches::new([63]), ..Conditioning::default() };
        assert_eq!(rows(&notes).unwrap(), [2.0 * from + 1.0]);
        assert_eq!(rows(all).unwrap().len(), 2 * KNOTS + 2 + 2);
        assert_eq!(rows(&Conditioning::default()), None);
    }

    /// A recording of one code that is always the same, heard as `moment`.
    fn steady(code: u32) -> Codes {
        let mut codes = Codes::new(2);
        (0..4 * PIECE_FRAMES).for_each(|_| codes.push(&[code, 3 - code]));
        codes
    }

    #[test]
    fn a_code_is_likelier_when_what_it_was_heard_with_is_asked_for() {
        let (quiet, loud) = (steady(0), steady(1));
        let moment = |power, pitch| Moment { power, pitch: Some(pitch), ..Moment::default() };
        let soft = vec![moment(1e-6, 50.0); quiet.frames()];
        let hard = vec![moment(1e-2, 60.0); loud.frames()];
        let recordings = [
            Recorded { codes: &quiet, moments: &soft, class: Some(0) },
            Recorded { codes: &loud, moments: &hard, class: Some(1) },
        ];
        let codec = toy_codec();
        let mut config = adaptive_prior_config(&codec, &[]);
        config.conditioning = Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32 * 5.0 - 80.0))),
            pitch: Pitches::new([50, 55, 60]),
            classes: vec!["quiet".to_owned(), "loud".to_owned()],
            ..Conditioning::default()
        };
        let guide = guide(&recordings, &codec, &config, 1).unwrap().to_f32();
        let told = |controls: Controls, level: usize, code: usize| -> f32 {
            let rows = config.conditioning.weigh(&controls);
            let row = |(row, share): (usize, f32)| share * guide[(row * 2 + level) * 4 + code];
            rows.into_iter().map(row).sum()
        };
        let nothing = Controls::default();
        let loud = [
            Controls { loudness: Some(0.75), ..nothing },
            Controls { pitch: Some(60.0), ..nothing },
            Controls { class: Some(1), ..nothing },
        ];
        for controls in loud {
            for (level, codes) in [(0, [1, 0]), (1, [2, 3])] {
                let [right, wrong] = codes.map(|code| told(controls, level, code));
                assert!(right > 0.3 && wrong < -2.0, "{controls:?}: {right} and {wrong}");
            }
            assert!(told(controls, 0, 2).abs() < 1e-3, "a code that was never heard tells nothing");
            let unheard = Controls { pitch: Some(55.0), ..nothing };
            assert_eq!([0, 1].map(|code| told(unheard, 0, code)), [0.0; 2], "nor does a key");
        }
    }
}
