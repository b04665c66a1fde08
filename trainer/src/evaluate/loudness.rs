//! Loudness as it is heard: the power of sound after K-weighting, which lifts what the head lifts
//! and leaves out the lowest frequencies (ITU-R BS.1770-5, annex 1). Without the gating of the
//! standard: the two sounds that are compared are silent in the same places.

use super::metrics::decibels;

/// A second-order filter, its coefficients those of the standard for 48 kHz.
struct Biquad {
    /// Of the newest three inputs, newest first.
    b: [f64; 3],
    /// Of the newest two outputs, newest first.
    a: [f64; 2],
}

/// Table 1 of the standard: the head.
const SHELF: Biquad = Biquad {
    b: [1.535_124_859_586_97, -2.691_696_189_406_38, 1.198_392_810_852_85],
    a: [-1.690_659_293_182_41, 0.732_480_774_215_85],
};
/// Table 2 of the standard: the lowest frequencies.
const HIGH_PASS: Biquad =
    Biquad { b: [1.0, -2.0, 1.0], a: [-1.990_047_454_833_98, 0.990_072_250_366_21] };
/// Mean square that silence counts as, so that its loudness is finite: -120 dB.
const SILENCE: f64 = 1e-12;

impl Biquad {
    /// A filter at rest, as a function from one sample to the next.
    fn start(&'static self) -> impl FnMut(f64) -> f64 {
        let Self { b, a } = self;
        // Transposed direct form II.
        let (mut one, mut two) = (0.0, 0.0);
        move |x| {
            let y = b[0] * x + one;
            one = b[1] * x - a[0] * y + two;
            two = b[2] * x - a[1] * y;
            y
        }
    }
}

/// Loudness of `channels`, `[1 or 2][S]` at 48 kHz, in LUFS, and above -121.
#[must_use]
pub fn loudness(channels: &[Vec<f32>]) -> f64 {
    let mean_square = |channel: &Vec<f32>| {
        let squares = k_weighted(channel).map(|sample| sample.powi(2));
        squares.sum::<f64>() / channel.len().max(1) as f64
    };
    let sum: f64 = channels.iter().map(mean_square).sum();
    decibels(sum.max(SILENCE)) - 0.691
}

/// A channel at 48 kHz as the head hears it.
pub fn k_weighted(channel: &[f32]) -> impl Iterator<Item = f64> {
    let (mut shelf, mut high_pass) = (SHELF.start(), HIGH_PASS.start());
    channel.iter().map(move |&sample| high_pass(shelf(f64::from(sample))))
}

/// How much louder `output` is than `reference`, both `[C][S]` at 48 kHz, in dB.
#[must_use]
pub fn loudness_error_db(reference: &[Vec<f32>], output: &[Vec<f32>]) -> f64 {
    loudness(output) - loudness(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seconds of a sine.
    fn sine(hz: f32, amplitude: f32) -> Vec<f32> {
        let turn = std::f32::consts::TAU * hz / 48_000.0;
        (0_u32..96_000).map(|i| amplitude * (turn * i as f32).sin()).collect()
    }

    /// BS.1770-5, annex 1: a sine of 997 Hz at full scale in one channel is at -3.01.
    #[test]
    fn a_sine_of_1_khz_has_the_loudness_that_the_standard_says() {
        let loudness = loudness(&[sine(997.0, 1.0), vec![0.0; 96_000]]);
        assert!((loudness + 3.01).abs() < 0.01, "{loudness}");
    }

    #[test]
    fn the_lowest_frequencies_are_hardly_heard_and_high_ones_more() {
        let of = |hz| loudness(&[sine(hz, 0.5)]) - loudness(&[sine(997.0, 0.5)]);
        assert!(of(20.0) < -10.0 && (2.5..4.0).contains(&of(10_000.0)));
    }

    #[test]
    fn a_gain_is_an_error_of_as_many_decibels() {
        let (left, right) = (sine(440.0, 0.1), sine(3000.0, 0.2));
        let scale = |factor: f32| -> Vec<Vec<f32>> {
            [&left, &right].map(|c| c.iter().map(|s| factor * s).collect()).into()
        };
        for (factor, expected) in [(1.0, 0.0), (0.5, -6.0206), (2.0, 6.0206)] {
            let error = loudness_error_db(&scale(1.0), &scale(factor));
            assert!((error - expected).abs() < 1e-3, "{error} dB");
        }
    }

    #[test]
    fn silence_has_a_loudness() {
        assert!((loudness(&[vec![0.0; 100]]) + 120.691).abs() < 1e-9);
        assert!((loudness(&[]) + 120.691).abs() < 1e-9);
    }
}
