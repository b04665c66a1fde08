//! What a corpus never was: louder than it was heard.
//!
//! A prior may string together codes that no recording has, and what a decoder makes of them has no
//! bound of its own. So no bin is much louder than it was heard around its place, and no frame has a
//! higher peak than the recordings.

use super::weights::Weights;

/// The largest log-magnitude or level that a bundle may allow, so that sums stay finite.
const LOUDEST: f32 = 6.0;

/// The bounds of a corpus.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The largest log-magnitude of each bin, `[C * F]`.
    ceiling: Vec<f32>,
    /// The largest sample of each channel as it is coded, `[C]`.
    peaks: Vec<f32>,
}

impl Bounds {
    /// Takes the bounds of a codec.
    pub(crate) fn new(weights: &Weights) -> Self {
        let ceiling = weights.values("codec.ceiling").into_iter().map(|top| top.min(LOUDEST));
        let peaks = weights.values("codec.peaks").into_iter().map(|p| p.clamp(0.0, LOUDEST.exp()));
        Self { ceiling: ceiling.collect(), peaks: peaks.collect() }
    }

    /// Brings the log-magnitudes of an STFT frame, which `features` begin with, below the ceiling.
    /// Real-time safe.
    pub(crate) fn apply(&self, features: &mut [f32]) {
        let bounded = features.iter_mut().zip(&self.ceiling);
        bounded.for_each(|(feature, top)| *feature = feature.min(*top));
    }

    /// The largest sample of each channel as it is coded.
    pub(crate) fn peaks(&self) -> &[f32] {
        &self.peaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_the_ceiling_is_brought_down_to_it_and_all_else_stays() {
        let bounds = Bounds { ceiling: vec![0.0, -1.0], peaks: vec![1.0] };
        let mut features = [-0.5, 3.0, 7.0]; // the last is no log-magnitude
        bounds.apply(&mut features);
        assert_eq!(features, [-0.5, -1.0, 7.0]);
    }
}
