//! Variations of the material: more sounds than a small corpus has.
//!
//! A codec that has only heard certain pitches cannot speak those between them. Each excerpt is
//! therefore played a little faster or slower, which moves pitch and time together, a little louder
//! or softer, and with its channels swapped at random.

use std::ops::Range;

use super::draw::Draw;

/// The furthest that pitch is moved, in semitones: instruments are often recorded in minor thirds,
/// and what lies in the middle should be met as well.
pub(super) const SEMITONES: f64 = 3.2;
/// Share of excerpts whose pitch stays.
const AS_IS: f64 = 0.25;
/// The furthest that the level is moved, in dB.
const GAIN_DB: f64 = 4.0;
/// Samples on each side that interpolation looks at.
const REACH: usize = 8;
/// Samples before a position, of those that interpolation looks at.
const BEFORE: i64 = 7;
/// Positions between two samples that have filters of their own.
const PHASES: usize = 2048;

/// How one excerpt is varied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variation {
    /// Samples of the recording per sample of the excerpt.
    pub(super) speed: f64,
    /// Factor of its level.
    pub(super) gain: f32,
    /// Whether left and right change places.
    pub(super) swap: bool,
}

impl Variation {
    /// The excerpt as it is.
    pub(super) const NONE: Self = Self { speed: 1.0, gain: 1.0, swap: false };

    /// A random variation.
    pub(super) fn random(draw: &mut Draw) -> Self {
        let as_is = draw.uniform() < AS_IS;
        let semitones = SEMITONES * (2.0 * draw.uniform() - 1.0);
        let db = GAIN_DB * (2.0 * draw.uniform() - 1.0);
        #[expect(clippy::cast_possible_truncation, reason = "a factor near 1")]
        let gain = 10_f64.powf(db / 20.0) as f32;
        let speed = if as_is { 1.0 } else { (semitones / 12.0).exp2() };
        Self { speed, gain, swap: draw.uniform() < 0.5 }
    }
}

/// Reads sound between its samples, by windowed sinc filters (Smith, "Digital audio resampling",
/// <https://ccrma.stanford.edu/~jos/resample/>). Content in the uppermost part of the band folds
/// over when played faster; at a few semitones there is next to none.
pub(super) struct Varispeed {
    /// `[PHASES + 1, 2 * REACH]`.
    filters: Vec<f32>,
}

impl Varispeed {
    pub(super) fn new() -> Self {
        let taps = 2 * REACH;
        let filter = |i: usize| {
            let fraction = (i / taps) as f64 / PHASES as f64;
            let x = (i % taps) as f64 - (REACH as f64 - 1.0) - fraction;
            let window = (std::f64::consts::FRAC_PI_2 * x / REACH as f64).cos().max(0.0).powi(2);
            let angle = std::f64::consts::PI * x;
            #[expect(clippy::cast_possible_truncation, reason = "filters are f32")]
            let value = (window * if x.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }) as f32;
            value
        };
        Self { filters: (0..(PHASES + 1) * taps).map(filter).collect() }
    }

    /// Which samples of a recording [`Self::read`] looks at, of those that a recording can have.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a recording begins at 0"
    )]
    pub(super) fn needs(start: f64, speed: f64, count: usize) -> Range<usize> {
        let reach = (2 * REACH) as f64;
        (start - reach) as usize..(start + speed * count as f64 + reach) as usize
    }

    /// `count` samples of a channel, `speed` apart, from `start` on, all in samples; silence outside.
    /// Of the channel there is what [`Self::needs`] tells, from its sample `offset` on.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "positions are far inside the range"
    )]
    pub(super) fn read(
        &self,
        (channel, offset): (&[f32], usize),
        start: f64,
        speed: f64,
        count: usize,
    ) -> Vec<f32> {
        let at =
            |i: i64| usize::try_from(i - offset as i64).ok().and_then(|i| channel.get(i)).copied();
        let whole = start as i64;
        if speed == 1.0 && start == whole as f64 {
            return (whole..).take(count).map(|i| at(i).unwrap_or(0.0)).collect();
        }
        let sample = |i: usize| {
            let position = start + speed * i as f64;
            let floor = position.floor();
            #[expect(clippy::cast_sign_loss, reason = "a fraction")]
            let phase = ((position - floor) * PHASES as f64).round() as usize;
            let filter = &self.filters[phase * 2 * REACH..][..2 * REACH];
            let first = floor as i64 - BEFORE;
            match usize::try_from(first - offset as i64) {
                Ok(first) if first + 2 * REACH <= channel.len() => {
                    let heard = &channel[first..first + 2 * REACH];
                    heard.iter().zip(filter).map(|(s, f)| s * f).sum()
                }
                _ => (first..).zip(filter).map(|(i, f)| at(i).unwrap_or(0.0) * f).sum(),
            }
        };
        (0..count).map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Purpose;
    use super::*;

    fn wave(step: f64, count: usize) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
        (0..count).map(|i| (step * i as f64).sin() as f32).collect()
    }

    #[test]
    fn a_tone_read_faster_is_a_higher_tone() {
        let (speed, step) = (1.1, 0.3);
        let read = Varispeed::new().read((&wave(step, 3000), 0), 0.0, speed, 2000);
        let higher = wave(step * speed, 2000);
        let error = |i: usize| (read[i] - higher[i]).abs();
        assert!(
            (20..2000).all(|i| error(i) < 2e-3),
            "{}",
            (20..2000).map(error).fold(0.0, f32::max)
        );
    }

    #[test]
    fn read_at_its_own_speed_a_sound_is_itself_and_outside_it_silence() {
        let sound = wave(0.3, 100);
        let read = Varispeed::new().read((&sound, 0), -10.0, 1.0, 130);
        assert_eq!(read[10..110], sound);
        assert!(read[..10].iter().chain(&read[110..]).all(|s| *s == 0.0));
        let between = Varispeed::new().read((&sound, 0), -30.5, 1.0, 20);
        assert!(between.iter().all(|s| *s == 0.0));
    }

    #[test]
    fn what_is_needed_of_a_sound_is_enough() {
        let (sound, reader) = (wave(0.3, 5000), Varispeed::new());
        for (start, speed) in
            [(-20.3, 0.9), (0.0, 1.2), (1000.0, 1.0), (2000.7, 1.1), (4500.1, 1.2)]
        {
            let whole = reader.read((&sound, 0), start, speed, 700);
            let needed = Varispeed::needs(start, speed, 700);
            let offset = needed.start;
            let excerpt = &sound[offset..needed.end.min(sound.len())];
            assert_eq!(reader.read((excerpt, offset), start, speed, 700), whole, "from {start} on");
        }
    }

    #[test]
    fn variations_stay_within_their_bounds_and_differ() {
        let variation = |step| Variation::random(&mut Draw::new(1, Purpose::Crops, step));
        let all: Vec<_> = (0..200).map(variation).collect();
        assert!(
            all.iter().all(|v| (0.83..1.21).contains(&v.speed) && (0.63..1.59).contains(&v.gain))
        );
        assert!(all.iter().any(|v| v.speed == 1.0) && all.iter().any(|v| v.speed < 0.95));
        assert!(all.iter().any(|v| v.swap) && all.iter().any(|v| !v.swap));
    }
}
