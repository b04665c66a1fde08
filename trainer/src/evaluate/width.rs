//! Stereo width: how much of a sound differs between left and right.

use super::metrics::decibels;

/// Widths are between minus and plus this, in dB: beyond, a sound is mono or all difference.
const LIMIT_DB: f64 = 60.0;

/// Power of the side, `(L - R) / 2`, over that of the mid, `(L + R) / 2`, in dB, -60 to 60; `None`
/// for one channel.
#[must_use]
pub fn width_db(channels: &[Vec<f32>]) -> Option<f64> {
    let [left, right] = channels else { return None };
    let (mut mid, mut side) = (0.0, 0.0);
    for (&left, &right) in left.iter().zip(right) {
        let (left, right) = (f64::from(left), f64::from(right));
        mid += (left + right).powi(2);
        side += (left - right).powi(2);
    }
    // Silence is mono.
    let ratio = if side > 0.0 { side / mid } else { 0.0 };
    Some(decibels(ratio).clamp(-LIMIT_DB, LIMIT_DB))
}

/// How much wider `output` is than `reference`, both `[C][S]`, in dB; `None` unless both are
/// stereo.
#[must_use]
pub fn width_error_db(reference: &[Vec<f32>], output: &[Vec<f32>]) -> Option<f64> {
    Some(width_db(output)? - width_db(reference)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stereo(left: f32, right: f32) -> Vec<Vec<f32>> {
        vec![vec![left, -left, 0.5 * left], vec![right, -right, 0.5 * right]]
    }

    #[test]
    fn width_is_the_side_over_the_mid() {
        // A side of a tenth of the mid is 20 dB below.
        assert!((width_db(&stereo(1.1, 0.9)).unwrap() + 20.0).abs() < 1e-5);
        assert_eq!(width_db(&stereo(1.0, 0.0)), Some(0.0));
        assert_eq!(width_db(&stereo(1.0, 1.0)), Some(-60.0));
        assert_eq!(width_db(&stereo(1.0, -1.0)), Some(60.0));
        assert_eq!(width_db(&stereo(0.0, 0.0)), Some(-60.0));
    }

    #[test]
    fn an_error_of_width_does_not_hear_gain_and_needs_stereo() {
        assert_eq!(width_error_db(&stereo(1.0, 0.5), &stereo(0.5, 0.25)), Some(0.0));
        let wider = width_error_db(&stereo(1.1, 0.9), &stereo(1.2, 0.8)).unwrap();
        assert!((wider - 6.0206).abs() < 1e-4, "{wider} dB");
        let mono = &stereo(1.0, 0.5)[..1];
        assert_eq!(width_error_db(mono, mono), None);
    }
}
