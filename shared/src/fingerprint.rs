//! Fingerprints: what is compared of two frames of sound to tell whether one is a copy of the other.
//!
//! Magnitudes in bands from 100 Hz to 12 kHz, and the cosine between them over some frames. It does
//! not hear a change of level, and little of noise: magnitudes are ruled by what is loud. A copy that
//! went through the codec and has noise 20 dB below it is nearer to its original than another
//! recording of the same drum is; with log-magnitudes it is not.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use crate::math;
use crate::model::config::CodecConfig;
use crate::stft::FLOOR;

/// Bands of a fingerprint.
pub const BANDS: usize = 24;
/// Edges of the lowest and the highest band in Hz.
const RANGE_HZ: (f64, f64) = (100.0, 12_000.0);

/// Magnitudes of one frame, `[BANDS]`, linear.
pub type Fingerprint = [f32; BANDS];

/// Takes fingerprints of the frames of a codec.
#[derive(Debug, Clone)]
pub struct Fingerprints {
    bands: [Range<usize>; BANDS],
    bins: usize,
    channels: usize,
    /// Values of an STFT frame.
    features: usize,
}

impl Fingerprints {
    /// Lays the bands over the bins of `codec`: each as wide, in octaves, as the next.
    #[must_use]
    pub fn new(codec: &CodecConfig) -> Self {
        let (low, high) = RANGE_HZ;
        let bin_hz = f64::from(codec.sample_rate) / codec.fft_size as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bin")]
        let edge = |i: usize| {
            let hz = low * (high / low).powf(i as f64 / BANDS as f64);
            ((hz / bin_hz).round() as usize).min(codec.bins())
        };
        Self {
            bands: std::array::from_fn(|i| edge(i)..edge(i + 1)),
            bins: codec.bins(),
            channels: codec.channels,
            features: codec.features(),
        }
    }

    /// The fingerprint of a model frame from its features, `[stride, X]`: the energy of all channels
    /// together. Real-time safe.
    #[must_use]
    pub fn of_frame(&self, arch: Arch, features: &[f32]) -> Fingerprint {
        let mut energies = [0.0; BANDS];
        for rows in features.chunks_exact(self.features) {
            for logs in rows.chunks_exact(self.bins).take(self.channels) {
                arch.dispatch(Sum { bands: &self.bands, logs, energies: &mut energies });
            }
        }
        energies.map(f32::sqrt)
    }
}

/// Adds the energies of a channel in one STFT frame to those of the bands.
struct Sum<'a> {
    bands: &'a [Range<usize>; BANDS],
    logs: &'a [f32],
    energies: &'a mut Fingerprint,
}

impl NullaryFnOnce for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (energy, band) in self.energies.iter_mut().zip(self.bands) {
            let logs = &self.logs[band.clone()];
            let mut lanes = [0.0; 8];
            for logs in logs.chunks(lanes.len()) {
                for (sum, log) in lanes.iter_mut().zip(logs) {
                    let magnitude = (math::exp(*log) - FLOOR).max(0.0);
                    *sum += magnitude * magnitude;
                }
            }
            // Of a band the mean: wide ones would count for more than what is heard of them.
            *energy += lanes.iter().sum::<f32>() / logs.len().max(1) as f32;
        }
    }
}
