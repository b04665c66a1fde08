//! Companding: features are stretched where they are loud before they are coded.
//!
//! An error of the latent reaches all bins of a frame alike. A neper too much is heard in a loud bin
//! and not in a faint one, so log-magnitudes are measured with a finer rule the louder they are:
//! its slope goes from 1 for faint bins to `1 + 2 STRETCH` for loud ones. Loud bins then come out
//! that much more exact, faint ones less. (Companding in general: Jayant and Noll 1984, "Digital
//! Coding of Waveforms", chapter 4; a hyperbola, because it has an inverse without a logarithm.)
//!
//! Coherences lie where the slope is that of loud bins, so they may be stretched along with them.

/// Half of what the slope of the rule rises by.
pub(crate) const STRETCH: f32 = 1.5;
/// The log-magnitude in the middle of the bend: 43 dB under full scale.
pub(crate) const KNEE: f32 = -5.0;
/// Half of the width of the bend, in nepers.
pub(crate) const BEND: f32 = 2.0;
/// The slope where it is steepest.
pub(crate) const STEEPEST: f32 = 1.0 + 2.0 * STRETCH;
/// What the bend is under the root of [`relax`].
pub(crate) const UNDER_ROOT: f32 = STEEPEST * BEND * BEND;

/// Stretches a feature: a log-magnitude in nepers, or a coherence.
#[inline(always)]
#[must_use]
pub fn stretch(feature: f32) -> f32 {
    let above = feature - KNEE;
    feature + STRETCH * (above + (above * above + BEND * BEND).sqrt())
}

/// The feature that [`stretch`] made `stretched` of.
#[inline(always)]
#[must_use]
pub fn relax(stretched: f32) -> f32 {
    let above = stretched - KNEE;
    let root = (above * above + UNDER_ROOT).sqrt();
    KNEE + ((1.0 + STRETCH) * above - STRETCH * root) * (1.0 / STEEPEST)
}

/// Derivative of [`relax`].
#[inline(always)]
#[must_use]
pub fn relax_derivative(stretched: f32) -> f32 {
    let above = stretched - KNEE;
    let root = (above * above + UNDER_ROOT).sqrt();
    ((1.0 + STRETCH) - STRETCH * above / root) * (1.0 / STEEPEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> impl Iterator<Item = f32> {
        (-300_i16..=100).map(|i| f32::from(i) * 0.1)
    }

    #[test]
    fn relaxing_undoes_stretching() {
        for feature in features() {
            let back = relax(stretch(feature));
            assert!((back - feature).abs() < 1e-5 * (1.0 + feature.abs()), "{feature}: {back}");
        }
    }

    #[test]
    fn loud_bins_are_measured_with_a_finer_rule_than_faint_ones() {
        let slope = |at: f32| stretch(at + 0.5) - stretch(at - 0.5);
        assert!((slope(-25.0) - 1.0).abs() < 0.01, "{}", slope(-25.0));
        assert!((slope(10.0) - STEEPEST).abs() < 0.02, "{}", slope(10.0));
        assert!((slope(KNEE) - (1.0 + STRETCH)).abs() < 0.01, "{}", slope(KNEE));
        assert!(features().is_sorted_by(|a, b| slope(*a) <= slope(*b)));
    }

    #[test]
    fn the_derivative_of_relaxing_is_its_slope() {
        for feature in features() {
            let at = stretch(feature);
            let slope = f64::from(relax(at + 0.01) - relax(at - 0.01)) / 0.02;
            assert!((slope - f64::from(relax_derivative(at))).abs() < 1e-3, "at {at}: {slope}");
        }
    }
}
