//! How loud a corpus was: on the whole, and at most.
//!
//! What is learned on logarithms comes out a little quiet where there is noise; what the power of
//! the corpus lacks was measured and is added to the bins that make the power of a frame. What lies
//! between partials stays as faint as it was.
//!
//! A prior may string together codes that no recording has, and what a decoder makes of them has no
//! bound of its own. So no bin is much louder than it was heard around its place, and no frame has a
//! higher peak than the recordings.

use pulp::Arch;

use super::weights::Weights;

/// The largest log-magnitude or level that a bundle may allow, so that sums stay finite.
const LOUDEST: f32 = 6.0;

/// The most that a bundle may add to a log-magnitude, or take away.
const LARGEST_LEVEL: f32 = 2.0;

/// How far below the loudest bin of a frame, in nepers, the level begins to be added…
const FAINT: f32 = 6.0;
/// …and from where on in full.
const FULL: f32 = 3.0;

/// The bounds of a corpus.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// What is added to the log-magnitude of each bin where it is loud, `[C * F]`.
    level: Vec<f32>,
    /// The largest log-magnitude of each bin, `[C * F]`.
    ceiling: Vec<f32>,
    /// The largest sample of each channel as it is coded, `[C]`.
    peaks: Vec<f32>,
}

impl Bounds {
    /// Takes the bounds of a codec.
    pub(crate) fn new(weights: &Weights) -> Self {
        let level = weights.values("codec.level").into_iter();
        let level = level.map(|level| level.clamp(-LARGEST_LEVEL, LARGEST_LEVEL)).collect();
        let ceiling = weights.values("codec.ceiling").into_iter().map(|top| top.min(LOUDEST));
        let peaks = weights.values("codec.peaks").into_iter().map(|p| p.clamp(0.0, LOUDEST.exp()));
        Self { level, ceiling: ceiling.collect(), peaks: peaks.collect() }
    }

    /// Brings the log-magnitudes of an STFT frame, which `features` begin with, to their level and
    /// below the ceiling. Real-time safe.
    pub(crate) fn apply(&self, arch: Arch, features: &mut [f32]) {
        arch.dispatch(|| self.bring(features));
    }

    #[inline(always)]
    fn bring(&self, features: &mut [f32]) {
        let bins = self.ceiling.len() / self.peaks.len();
        let limits = self.level.chunks_exact(bins).zip(self.ceiling.chunks_exact(bins));
        for (channel, (level, ceiling)) in features.chunks_exact_mut(bins).zip(limits) {
            let faint = channel.iter().copied().fold(f32::MIN, f32::max) - FAINT;
            for (feature, (level, top)) in channel.iter_mut().zip(level.iter().zip(ceiling)) {
                let share = ((*feature - faint) * (1.0 / (FAINT - FULL))).clamp(0.0, 1.0);
                *feature = (*feature + level * share).min(*top);
            }
        }
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
    fn log_magnitudes_come_to_their_level_below_the_ceiling_and_all_else_stays() {
        let (level, ceiling) = (vec![0.5, 0.5, -0.5, 0.5, 0.5], vec![9.0, 9.0, 9.0, 9.0, -1.0]);
        let bounds = Bounds { level, ceiling, peaks: vec![1.0] };
        // The loudest, half as loud as counts in full, as loud as counts, faint, too loud; and what is
        // no log-magnitude.
        let mut features = [0.0, -4.5, -3.0, -6.5, -0.5, 7.0];
        bounds.apply(Arch::new(), &mut features);
        assert_eq!(features, [0.5, -4.25, -3.5, -6.5, -1.0, 7.0]);
    }
}
