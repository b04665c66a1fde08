//! The level of a corpus.

use super::{Recording, SILENCE};

/// Where [`gain`] brings the loud passages of a corpus.
const TARGET: f64 = 0.5;
/// Share of the sounding samples that lie below the target; the rest are peaks.
const PERCENTILE: f64 = 0.999;

/// The one factor that brings the recordings as a whole to the level of training: 99.9 % of their
/// sounding samples end up below 0.5. It is 0.01 to 100, and 1 for silence.
pub(super) fn gain(recordings: &[Recording]) -> f32 {
    // A histogram of magnitudes. The upper half of a float's bits, sign aside, grows with its
    // magnitude and tells it to within 1 %.
    let mut counts = vec![0_u64; 1 << 15];
    for sample in recordings.iter().flat_map(|recording| recording.audio.iter().flatten()) {
        let magnitude = sample.abs();
        if magnitude > SILENCE {
            counts[(magnitude.to_bits() >> 16) as usize] += 1;
        }
    }
    let all: u64 = counts.iter().sum();
    let mut above = 0;
    let loud = (0_u32..1 << 15).rev().find(|&bits| {
        above += counts[bits as usize];
        all > 0 && above as f64 >= (1.0 - PERCENTILE) * all as f64
    });
    let level = loud.map_or(TARGET, |bits| f64::from(f32::from_bits(bits << 16)));
    #[expect(clippy::cast_possible_truncation, reason = "the range is far inside that of f32")]
    let gain = (TARGET / level).clamp(0.01, 100.0) as f32;
    gain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(audio: Vec<f32>) -> Recording {
        let (name, class) = (String::new(), String::new());
        Recording { name, class, audio: vec![audio], held_out: false }
    }

    #[test]
    fn one_factor_brings_loud_passages_to_one_half() {
        let ramp = (0_u16..10_000).map(|i| f32::from(i) / 40_000.0).collect();
        let gain = gain(&[recording(ramp), recording(vec![0.0; 100_000])]);
        assert!((gain - 2.0).abs() < 0.03, "{gain}");
    }

    #[test]
    fn silence_and_extremes_have_a_sensible_factor() {
        assert_eq!(gain(&[recording(vec![0.0; 100])]), 1.0);
        assert_eq!(gain(&[recording(vec![1e-3; 100])]), 100.0);
        assert_eq!(gain(&[recording(vec![1e9; 100])]), 0.01);
    }
}
