//! The powers of bands, which codes tell beside the magnitudes of their bins.
//!
//! What codes tell of single bins is a guess where there is noise, and a guess of logarithms lies below
//! the power of what it stands for. How loud a band is on the whole is told by itself, and hence better.

use std::ops::Range;

use pulp::Arch;

use crate::model::config::CodecConfig;
use crate::stft::{log_power, power_bands_of};

/// The most that the bins of a band are raised or lowered, in nepers.
const MOST: f32 = 3.0;

/// Where the powers are among the features of an STFT frame.
#[derive(Debug)]
pub(crate) struct Powers {
    bins: usize,
    bands: Vec<Range<usize>>,
    first: usize,
}

impl Powers {
    /// Those of a codec.
    pub(crate) fn new(config: &CodecConfig) -> Self {
        Self { bins: config.bins(), bands: power_bands_of(config), first: config.first_power() }
    }

    /// Brings the bins of each band, log-magnitudes of an STFT frame that `features` begin with, to the
    /// power that is told of it. Real-time safe.
    pub(crate) fn apply(&self, arch: Arch, features: &mut [f32]) {
        arch.dispatch(|| self.bring(features));
    }

    #[inline(always)]
    fn bring(&self, features: &mut [f32]) {
        let (logs, told) = features.split_at_mut(self.first);
        let told = told.chunks_exact(self.bands.len().max(1));
        for (logs, told) in logs.chunks_exact_mut(self.bins).zip(told) {
            for (band, power) in self.bands.iter().zip(told) {
                let bins = &mut logs[band.clone()];
                let more = (power - log_power(bins)).clamp(-MOST, MOST);
                bins.iter_mut().for_each(|log| *log += more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_come_to_the_power_that_is_told_and_keep_their_shape() {
        let powers = Powers { bins: 5, bands: vec![0..1, 1..3, 3..5], first: 11 };
        let mut features = vec![-1.0, -2.0, -4.0, -9.0, -9.0, -3.0, -3.0, -3.0, -1.0, -1.0, 0.7];
        let shape = features.clone();
        features.extend([-1.5, -1.0, -2.0, -3.0, -2.0, -1.0]);
        powers.apply(Arch::new(), &mut features);
        assert!((features[0] + 1.5).abs() < 1e-5);
        assert!((log_power(&features[1..3]) + 1.0).abs() < 1e-5);
        assert!((features[1] - features[2] - 2.0).abs() < 1e-5, "the shape of the band");
        assert_eq!(features[3..5], [-6.0, -6.0], "no more than that");
        assert!((features[6] + 2.0).abs() < 1e-5 && (features[8] + 1.0).abs() < 1e-5, "side");
        assert_eq!(features[10], shape[10], "coherences stay");
        assert_eq!(features[11..], [-1.5, -1.0, -2.0, -3.0, -2.0, -1.0]);
    }

    #[test]
    fn a_codec_that_tells_no_powers_keeps_its_bins() {
        let powers = Powers { bins: 2, bands: Vec::new(), first: 4 };
        let mut features = [-1.0, -2.0, -3.0, -4.0];
        powers.apply(Arch::new(), &mut features);
        assert_eq!(features, [-1.0, -2.0, -3.0, -4.0]);
    }
}
