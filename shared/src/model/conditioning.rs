//! Conditioning: what the prior can be asked for.
//!
//! The corpus tells how much likelier a loudness, a pitch or a class is once a code is heard than it
//! is anywhere. By the rule of Bayes, a code is as much likelier when that is asked for: the *guide*
//! of a prior holds, for each thing that can be asked for, what it adds to the logits of the coarse
//! levels. What is left open adds nothing. Between values that have a row of the guide, rows are
//! mixed in proportion.
//!
//! Loudness and brightness are asked for as ranks: 0.7 is more than 70 % of what was heard in
//! training, whatever the material. Velocity is the rank of the level with which a take begins, among
//! the sounds that begin in the recordings; after its beginning it is free. Density, which is none at
//! all most of the time, is asked for as a share of the greatest.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::config::ConfigError;
pub use super::pitches::{MAX_PITCH, MAX_PITCHES, Pitches, Tuned, speed_of, within_octave};

/// Values at which a [`Distribution`] is known, at evenly spaced settings.
pub const KNOTS: usize = 17;
/// Levels of codes, the coarse ones, that are chosen by what is asked for beside what was learned.
pub const GUIDED_LEVELS: usize = 4;
/// Frames with which a take, or a sound of a recording, begins: what an attack takes.
pub const BEGINNING: usize = 8;
/// The most classes a prior can tell apart.
pub const MAX_CLASSES: usize = 64;
/// The most characters of the name of a class.
pub const MAX_CLASS_NAME: usize = 256;

/// What a prior offers to be asked for; what the corpus could not teach is not there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditioning {
    /// Level of the sound that begins with a frame, in dB re full scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Distribution>,
    /// Where its energy lies, in octaves above 1 Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brightness: Option<Distribution>,
    /// How many sounds begin, per frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<Distribution>,
    /// Level of the sounds that begin, in their first [`BEGINNING`] frames, in dB re full scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub velocity: Option<Distribution>,
    /// Its pitch.
    #[serde(skip_serializing_if = "is_unpitched")]
    pub pitch: Pitches,
    /// Names of the classes of recordings: the folders they were in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

/// The range of a descriptor over the corpus: its values at evenly spaced settings from 0 to 1, the
/// least first. They are quantiles, or evenly spaced themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distribution(pub [f32; KNOTS]);

/// What is asked of a frame. What is not offered, or is not a number, is left open.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Controls {
    /// Rank of the loudness, 0 to 1.
    pub loudness: Option<f32>,
    /// Rank of the brightness, 0 to 1.
    pub brightness: Option<f32>,
    /// Density of onsets as a share of the greatest, 0 to 1.
    pub density: Option<f32>,
    /// Rank of the level with which the take begins, 0 to 1, among the sounds that begin.
    pub velocity: Option<f32>,
    /// Pitch as the number of a MIDI key; 60.5 is a quarter tone above 60. The nearest that is offered
    /// is what counts; see [`Pitches::tune`] for the rest.
    pub pitch: Option<f32>,
    /// Index into [`Conditioning::classes`].
    pub class: Option<u32>,
}

/// Rows of the guide and how much each counts: two for each descriptor, at most.
pub type Rows = ArrayVec<(usize, f32), 10>;

impl Distribution {
    /// The quantiles of `values`, in any order; none if there are none.
    #[must_use]
    pub fn of(values: Vec<f32>) -> Option<Self> {
        let values = sorted(values);
        let last = values.len().checked_sub(1)?;
        Some(Self(std::array::from_fn(|knot| values[(knot * last + KNOTS / 2) / (KNOTS - 1)])))
    }

    /// Evenly spaced values from the least to the one that 98 % of `values` do not exceed; none if
    /// there are none.
    #[must_use]
    pub fn even(values: Vec<f32>) -> Option<Self> {
        let values = sorted(values);
        let last = values.len().checked_sub(1)?;
        let (low, high) = (values[0], values[last * 98 / 100]);
        Some(Self(std::array::from_fn(|knot| {
            low + (high - low) * knot as f32 / (KNOTS - 1) as f32
        })))
    }

    /// The share of the corpus that has less than `value`, 0 to 1; of values that many share, the
    /// middle.
    #[must_use]
    pub fn rank(&self, value: f32) -> f32 {
        let below = self.0.partition_point(|&knot| knot < value);
        let upto = self.0.partition_point(|&knot| knot <= value);
        let knots = (KNOTS - 1) as f32;
        if below < upto {
            return (below + upto - 1) as f32 / 2.0 / knots;
        }
        match below {
            0 => 0.0,
            KNOTS => 1.0,
            _ => {
                let (low, high) = (self.0[below - 1], self.0[below]);
                ((below - 1) as f32 + (value - low) / (high - low)) / knots
            }
        }
    }

    /// The value that has `rank`, 0 to 1.
    #[must_use]
    pub fn value(&self, rank: f32) -> f32 {
        let at = position(rank, KNOTS);
        let low = place(at, KNOTS - 1);
        self.0[low] + (self.0[low + 1] - self.0[low]) * (at - low as f32)
    }

    fn check(&self, name: &'static str) -> Result<(), ConfigError> {
        let sound = self.0.iter().all(|value| value.is_finite()) && self.0.is_sorted();
        if sound { Ok(()) } else { Err(ConfigError::Distribution(name)) }
    }
}

/// Those of `values` that are numbers, the least first.
fn sorted(mut values: Vec<f32>) -> Vec<f32> {
    values.retain(|value| value.is_finite());
    values.sort_by(f32::total_cmp);
    values
}

/// Where a rank lies among `knots`, 0 to `knots - 1`.
fn position(rank: f32, knots: usize) -> f32 {
    rank.clamp(0.0, 1.0) * (knots - 1) as f32
}

/// The place below position `at`, which is not negative, among `count`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "among few")]
fn place(at: f32, count: usize) -> usize {
    (at as usize).min(count - 1)
}

impl Conditioning {
    /// The ranks that are offered, by the name under which they are asked for.
    #[must_use]
    pub fn ranks(&self) -> [(&'static str, Option<&Distribution>); 4] {
        let Self { loudness, brightness, density, velocity, .. } = self;
        [
            ("loudness", loudness.as_ref()),
            ("brightness", brightness.as_ref()),
            ("density", density.as_ref()),
            ("velocity", velocity.as_ref()),
        ]
    }

    /// Rows of the guide.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.kinds().iter().sum()
    }

    /// Rows of the guide for each descriptor, in their order; none for what is not offered.
    #[must_use]
    pub fn kinds(&self) -> [usize; 6] {
        let [loudness, brightness, density, velocity] =
            self.ranks().map(|(_, offered)| if offered.is_some() { KNOTS } else { 0 });
        [loudness, brightness, density, velocity, self.pitch.len(), self.classes.len()]
    }

    /// Which of the rows of the guide are those of pitches.
    #[must_use]
    pub fn rows_of_pitches(&self) -> std::ops::Range<usize> {
        let [loudness, brightness, density, velocity, pitches, _] = self.kinds();
        let first = loudness + brightness + density + velocity;
        first..first + pitches
    }

    /// Which of the rows of the guide are those of velocity.
    #[must_use]
    pub fn rows_of_velocity(&self) -> std::ops::Range<usize> {
        let [loudness, brightness, density, velocity, ..] = self.kinds();
        let first = loudness + brightness + density;
        first..first + velocity
    }

    /// The rows of the guide that `controls` add up. Real-time safe.
    #[must_use]
    pub fn weigh(&self, controls: &Controls) -> Rows {
        let mut rows = Rows::new();
        let mut first = 0;
        let Controls { loudness, brightness, density, velocity, .. } = *controls;
        let asked = [loudness, brightness, density, velocity];
        for ((_, offered), rank) in self.ranks().into_iter().zip(asked) {
            if offered.is_some() {
                let at = rank.filter(|rank| !rank.is_nan()).map(|rank| position(rank, KNOTS));
                mix(first, at, KNOTS, &mut rows);
                first += KNOTS;
            }
        }
        let tuned = controls.pitch.and_then(|pitch| self.pitch.tune(pitch));
        rows.extend(tuned.map(|Tuned { key, .. }| (first + self.pitch.place(key), 1.0)));
        first += self.pitch.len();
        let class = controls.class.map(|class| class as usize);
        rows.extend(
            class.filter(|&class| class < self.classes.len()).map(|row| (first + row, 1.0)),
        );
        rows
    }

    /// Checks that everything is in its range.
    ///
    /// # Errors
    ///
    /// Names what is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, offered) in self.ranks() {
            offered.map_or(Ok(()), |distribution| distribution.check(name))?;
        }
        if self.pitch.len() > MAX_PITCHES {
            return Err(ConfigError::Distribution("pitch"));
        }
        let named = self.classes.iter().all(|name| name.chars().count() <= MAX_CLASS_NAME);
        if !named || self.classes.len() > MAX_CLASSES {
            return Err(ConfigError::Classes);
        }
        Ok(())
    }
}

/// Whether no pitch can be asked for; by reference, as serde asks.
fn is_unpitched(pitches: &Pitches) -> bool {
    pitches.is_empty()
}

/// Adds the one or two of `count` rows from `first` on between which position `at` lies.
fn mix(first: usize, at: Option<f32>, count: usize, rows: &mut Rows) {
    let Some(at) = at else { return };
    let low = place(at, count);
    let share = at - low as f32;
    rows.push((first + low, 1.0 - share));
    if share > 0.0 && low + 1 < count {
        rows.push((first + low + 1, share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Distribution {
        Distribution(std::array::from_fn(|knot| knot as f32 * 2.0))
    }

    fn offered() -> Conditioning {
        Conditioning {
            loudness: Some(ladder()),
            density: Some(ladder()),
            pitch: Pitches::new([40, 43, 46]),
            classes: vec!["kick".to_owned(), "snare".to_owned()],
            ..Conditioning::default()
        }
    }

    #[test]
    fn quantiles_turn_values_into_ranks_and_back() {
        let values = (0..=160_u8).rev().map(f32::from).collect();
        let found = Distribution::of(values).unwrap();
        assert_eq!(found.0, std::array::from_fn(|knot| knot as f32 * 10.0));
        for rank in [0.0, 0.03, 0.5, 0.77, 1.0] {
            assert!((found.rank(found.value(rank)) - rank).abs() < 1e-6);
        }
        assert_eq!((found.rank(-5.0), found.rank(500.0)), (0.0, 1.0));
        assert_eq!(Distribution::of(vec![f32::NAN]), None);
    }

    #[test]
    fn even_values_reach_from_the_least_to_nearly_the_greatest() {
        let mut values = vec![0.0; 90];
        values.extend([32.0; 9]);
        values.push(1000.0);
        let found = Distribution::even(values).unwrap();
        assert_eq!(found.0, std::array::from_fn(|knot| knot as f32 * 2.0));
        assert_eq!(Distribution::even(Vec::new()), None);
    }

    #[test]
    fn a_value_that_many_share_has_the_rank_in_their_middle() {
        let mut knots = [0.0; KNOTS];
        knots[12..].fill(3.0);
        let found = Distribution(knots);
        assert_eq!(found.rank(0.0), 5.5 / 16.0);
        assert_eq!(found.rank(3.0), 14.0 / 16.0);
    }

    #[test]
    fn what_is_asked_for_becomes_rows_of_the_guide() {
        let offered = offered();
        assert_eq!(offered.rows(), 2 * KNOTS + 3 + 2);
        let rows = |controls| offered.weigh(&controls).to_vec();
        assert_eq!(rows(Controls::default()), []);
        let loud = Controls { loudness: Some(0.5), class: Some(1), ..Controls::default() };
        assert_eq!(rows(loud), [(8, 1.0), (2 * KNOTS + 4, 1.0)]);
        let dense = Controls { density: Some(1.0 / 64.0), ..Controls::default() };
        assert_eq!(rows(dense), [(KNOTS, 0.75), (KNOTS + 1, 0.25)]);
        let between = Controls { pitch: Some(42.25), ..Controls::default() };
        assert_eq!(rows(between), [(2 * KNOTS + 1, 1.0)]);
    }

    #[test]
    fn what_is_not_offered_or_out_of_range_does_no_harm() {
        let offered = offered();
        let nothing = Controls {
            brightness: Some(0.5),
            loudness: Some(f32::NAN),
            class: Some(9),
            ..Controls::default()
        };
        assert_eq!(offered.weigh(&nothing).to_vec(), []);
        let wild = Controls { loudness: Some(7.0), pitch: Some(1e9), ..Controls::default() };
        let [loud, (pitch, weight)] = offered.weigh(&wild).to_vec()[..] else {
            unreachable!("two are asked for")
        };
        assert_eq!((loud, weight), ((16, 1.0), 1.0));
        assert!((2 * KNOTS..2 * KNOTS + 3).contains(&pitch), "one of the pitches: {pitch}");
    }

    #[test]
    fn conditioning_out_of_range_is_refused() {
        assert_eq!(offered().check(), Ok(()));
        let refused = |change: fn(&mut Conditioning)| {
            let mut wrong = offered();
            change(&mut wrong);
            assert!(wrong.check().is_err(), "{wrong:?}");
        };
        refused(|c| c.loudness = Some(Distribution([f32::INFINITY; KNOTS])));
        refused(|c| c.density = Some(Distribution(std::array::from_fn(|k| -(k as f32)))));
        refused(|c| c.pitch = Pitches::new(0..=32));
        refused(|c| c.classes = vec!["x".repeat(300)]);
        refused(|c| c.classes = vec![String::new(); 65]);
    }
}
