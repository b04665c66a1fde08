//! The pitches that a prior can be asked for.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The highest pitch, as the number of a MIDI key.
pub const MAX_PITCH: u8 = 127;
/// The most pitches that a prior offers: each costs an instrument heads of its own.
pub const MAX_PITCHES: usize = 32;
/// Semitones in an octave.
const OCTAVE: f32 = 12.0;

/// A set of pitches, as MIDI keys. In a bundle it is the list of them, the lowest first.
///
/// Sound of any other pitch is sound of the nearest one, played faster or slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pitches(u128);

/// How a pitch is played: from which of the pitches that can be asked for, and how far from it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tuned {
    /// The pitch to ask for.
    pub key: u8,
    /// By how many semitones it is to be raised, -12 to 12.
    pub shift: f32,
}

impl Pitches {
    /// The set of `keys`; those above [`MAX_PITCH`] are left out.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = u8>) -> Self {
        let bits = keys.into_iter().filter(|&key| key <= MAX_PITCH).map(|key| 1 << key);
        Self(bits.fold(0, |set, bit: u128| set | bit))
    }

    /// The set whose key n is bit n of `bits`.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The set as a number: bit n says whether key n is in it.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }

    /// All of them, the lowest first.
    pub fn keys(self) -> impl Iterator<Item = u8> + Clone {
        (0..=MAX_PITCH).filter(move |&key| self.contains(key))
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none, so that pitch cannot be asked for.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(self, key: u8) -> bool {
        key <= MAX_PITCH && self.0 >> key & 1 == 1
    }

    /// The lowest and the highest.
    #[must_use]
    pub fn range(self) -> Option<(u8, u8)> {
        Some((self.keys().next()?, self.keys().last()?))
    }

    /// How many of them are below `key`.
    #[must_use]
    pub fn place(self, key: u8) -> usize {
        self.keys().take_while(|&other| other < key).count()
    }

    /// How `pitch`, in MIDI keys, is played: from the nearest of them, the lower of two; none if the
    /// set is empty or `pitch` is no number. What lies further than an octave from all of them is
    /// played in the octave that is nearest. Real-time safe.
    #[must_use]
    pub fn tune(self, pitch: f32) -> Option<Tuned> {
        let away = |key: &u8| (f32::from(*key) - pitch).abs();
        let nearest = self.keys().min_by(|one, other| away(one).total_cmp(&away(other)));
        let key = nearest.filter(|_| pitch.is_finite())?;
        Some(Tuned { key, shift: within_octave(pitch - f32::from(key)) })
    }
}

impl Tuned {
    /// How much faster it is played, ½ to 2.
    #[must_use]
    pub fn speed(self) -> f64 {
        speed_of(self.shift)
    }
}

/// `shift` semitones, brought by whole octaves into -12 to 12, as near to the original as that is.
#[must_use]
pub fn within_octave(shift: f32) -> f32 {
    let over = ((shift.abs() - OCTAVE) / OCTAVE).ceil().max(0.0);
    (shift.abs() - OCTAVE * over).copysign(shift)
}

/// How much faster sound is played that is raised by `semitones`: `2^(semitones / 12)`, the same to
/// the bit on every machine.
#[must_use]
pub fn speed_of(semitones: f32) -> f64 {
    let octaves = f64::from(semitones) / f64::from(OCTAVE);
    let whole = octaves.round().clamp(-100.0, 100.0);
    // The series of e^x up to |x| = ln 2 / 2, to the last digit.
    let x = (octaves - whole).clamp(-0.5, 0.5) * std::f64::consts::LN_2;
    let series = (1..=16).rev().fold(1.0, |sum, n| 1.0 + x / f64::from(n) * sum);
    #[expect(clippy::cast_possible_truncation, reason = "within 100")]
    let octave = 2.0_f64.powi(whole as i32);
    series * octave
}

impl Serialize for Pitches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.keys())
    }
}

impl<'de> Deserialize<'de> for Pitches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Vec::<u8>::deserialize(deserializer)?;
        let rises = keys.is_sorted_by(|one, next| one < next);
        if !rises || keys.last().is_some_and(|&key| key > MAX_PITCH) || keys.len() > MAX_PITCHES {
            return Err(serde::de::Error::custom("pitches are up to 32 rising keys from 0 to 127"));
        }
        Ok(Self::new(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pitch_is_played_from_the_nearest_one() {
        let pitches = Pitches::new([48, 60, 63]);
        let tuned = |pitch| pitches.tune(pitch).map(|Tuned { key, shift }| (key, shift));
        assert_eq!(tuned(60.0), Some((60, 0.0)));
        assert_eq!(tuned(61.75), Some((63, -1.25)));
        assert_eq!(tuned(54.0), Some((48, 6.0)), "the lower of two that are equally near");
        assert_eq!(tuned(75.0), Some((63, 12.0)));
        assert_eq!(tuned(76.0), Some((63, 1.0)), "in the octave that is nearest");
        assert_eq!(tuned(0.0), Some((48, -12.0)));
        assert_eq!(tuned(35.0), Some((48, -1.0)));
        assert_eq!(tuned(f32::NAN), None);
        assert_eq!(Pitches::default().tune(60.0), None);
    }

    #[test]
    fn an_octave_is_twice_as_fast() {
        assert_eq!(Tuned { key: 60, shift: 12.0 }.speed(), 2.0);
        assert_eq!(Tuned { key: 60, shift: -12.0 }.speed(), 0.5);
        assert_eq!(speed_of(0.0), 1.0);
        for tenths in -300_i16..=300 {
            let semitones = f32::from(tenths) / 10.0;
            let exact = (f64::from(semitones) / 12.0).exp2();
            assert!((speed_of(semitones) / exact - 1.0).abs() < 1e-15, "{semitones}");
        }
    }

    #[test]
    fn a_set_is_a_list_of_its_keys() {
        let pitches = Pitches::new([63, 0, 127, 200]);
        assert_eq!(serde_json::to_string(&pitches).unwrap(), "[0,63,127]");
        assert_eq!(serde_json::from_str::<Pitches>("[0,63,127]").unwrap(), pitches);
        assert_eq!((pitches.len(), pitches.range(), pitches.place(127)), (3, Some((0, 127)), 2));
        assert_eq!(Pitches::from_bits(pitches.bits()), pitches);
        let many = serde_json::to_string(&(0..=MAX_PITCHES).collect::<Vec<_>>()).unwrap();
        for wrong in ["[128]", "[5,5]", "[6,5]", "[-1]", "{\"low\":1,\"high\":2}", &many] {
            assert!(serde_json::from_str::<Pitches>(wrong).is_err(), "{wrong}");
        }
    }
}
