//! Features to spectra: what the decoder knows of a frame, given a voice.

use pulp::{Arch, NullaryFnOnce};
use realfft::num_complex::Complex;

use crate::math;
use crate::model::config::CodecConfig;
use crate::phases::PhaseIntegration;
use crate::stft::{FLOOR, bands_of};

/// Gives each frame of a stream its phases.
///
/// Those of mono and of mid follow from their magnitudes. Side turns with mid as far as the two are
/// coherent, and goes its own way with the rest.
pub(crate) struct Voicing {
    bins: usize,
    /// Per channel.
    phases: Vec<PhaseIntegration>,
    /// The band of each bin; empty in mono.
    band_of: Vec<usize>,
    bands: usize,
}

impl Voicing {
    /// The start of a stream.
    pub(crate) fn new(codec: &CodecConfig) -> Self {
        let bands = bands_of(codec);
        Self {
            bins: codec.bins(),
            phases: (0..codec.channels).map(|_| PhaseIntegration::new(codec.bins())).collect(),
            band_of: bands
                .iter()
                .enumerate()
                .flat_map(|(i, b)| b.clone().map(move |_| i))
                .collect(),
            bands: bands.len(),
        }
    }

    /// Back to the start of a stream. Real-time safe.
    pub(crate) fn reset(&mut self) {
        self.phases.iter_mut().for_each(PhaseIntegration::reset);
    }

    /// Spectra of the next STFT frame, `[F]` per channel, mid before side. Real-time safe.
    pub(crate) fn frame(
        &mut self,
        arch: Arch,
        features: &[f32],
        spectra: &mut [Vec<Complex<f32>>],
    ) {
        let logs = features.chunks_exact(self.bins);
        for ((log_magnitudes, phases), spectrum) in logs.zip(&mut self.phases).zip(&mut *spectra) {
            let phases = phases.frame(log_magnitudes);
            arch.dispatch(Speak { log_magnitudes, phases, spectrum });
        }
        if let [mid, side] = spectra {
            let (real, imaginary) = features[2 * self.bins..].split_at(self.bands);
            for ((side, mid), &band) in side.iter_mut().zip(&*mid).zip(&self.band_of) {
                *side = placed(*side, *mid, Complex::new(real[band], imaginary[band]));
            }
        }
    }
}

/// `side` with its phase moved towards that of `mid` turned by `coherence`, its magnitude kept.
#[inline(always)]
fn placed(side: Complex<f32>, mid: Complex<f32>, coherence: Complex<f32>) -> Complex<f32> {
    let (size, mid_size) = (magnitude(side), magnitude(mid));
    if mid_size < FLOOR * 1e-3 {
        return side;
    }
    let own = (1.0 - coherence.norm_sqr()).max(0.0).sqrt();
    let mixed = mid * coherence * (size / mid_size) + side * own;
    let mixed_size = magnitude(mixed);
    if mixed_size > 1e-12 { mixed * (size / mixed_size) } else { side }
}

/// The magnitude of a bin, which is neither so small nor so large that its square has no number.
#[inline(always)]
fn magnitude(x: Complex<f32>) -> f32 {
    x.norm_sqr().sqrt()
}

/// A spectrum from log-magnitudes and phases, `[F]` each.
struct Speak<'a> {
    log_magnitudes: &'a [f32],
    phases: &'a [f32],
    spectrum: &'a mut [Complex<f32>],
}

impl NullaryFnOnce for Speak<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let polar = self.log_magnitudes.iter().zip(self.phases);
        for (x, (log_magnitude, phase)) in self.spectrum.iter_mut().zip(polar) {
            let magnitude = (math::exp(*log_magnitude) - FLOOR).max(0.0);
            let (sin, cos) = math::sin_cos(*phase);
            *x = Complex::new(magnitude * cos, magnitude * sin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coherent_sides_follow_mid_and_others_go_their_own_way() {
        let (side, mid) = (Complex::new(0.0, 0.5), Complex::new(2.0, 0.0));
        let near = |a: Complex<f32>, re, im| (a - Complex::new(re, im)).norm() < 1e-6;
        assert!(near(placed(side, mid, Complex::new(1.0, 0.0)), 0.5, 0.0), "all left");
        assert!(near(placed(side, mid, Complex::new(-1.0, 0.0)), -0.5, 0.0), "all right");
        assert!(near(placed(side, mid, Complex::new(0.0, 0.0)), 0.0, 0.5), "nothing in common");
        assert!(near(placed(side, Complex::default(), Complex::new(1.0, 0.0)), 0.0, 0.5));
        assert!(near(placed(Complex::default(), mid, Complex::new(1.0, 0.0)), 0.0, 0.0));
    }
}
