//! Distances of a sound from its reference.
//!
//! Both are mono at 48 kHz. The output is first moved to where it belongs ([`super::align`]) and
//! given the gain that brings its magnitudes nearest to those of the reference; loudness is a
//! figure of its own ([`super::loudness`]). Let `R` and `O` be the magnitudes of reference and
//! output in windows of 2048 samples every 512.
//!
//! On sounds that are mostly silence that gain can flatter: it turns a bad output down, and
//! silence resembles silence. The two figures with `tf` in their names compare at equal energy
//! instead, and only bins in which one of the two is above the floor. Rank by those.

use distill_shared::bundle::Figures;
use serde::Serialize;

use super::align::{Aligned, Aligner};
use super::mel::MelBands;
use super::spectra::Stft;
use crate::corpus::SAMPLE_RATE;

/// Mel bands that are compared.
pub const BANDS: usize = 128;
/// Powers this far below the largest one of the reference count as the floor: -80 dB.
const FLOOR: f64 = 1e-8;
/// Powers below count as this in [`Comparison::mrstft`].
const QUIET: f64 = 1e-8;
/// Stands for the energy of silence, to divide by.
const TINY: f64 = 1e-20;

/// How far a sound is from its reference. All but [`Self::si_sdr_db`] are 0 for the same sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Multi-resolution STFT distance (Yamamoto et al. 2020, "Parallel WaveGAN", section 2.2,
    /// <https://arxiv.org/abs/1910.11480>): spectral convergence plus mean difference of the
    /// natural logarithms of the magnitudes, averaged over windows of 512, 1024 and 2048 samples
    /// every quarter of a window.
    pub mrstft: f64,
    /// Log-spectral distance in dB (Gray and Markel 1976, "Distance measures for speech
    /// processing"): root mean square over bins of the difference in dB, averaged over frames;
    /// powers are floored at -80 dB of the largest of the reference.
    pub lsd_db: f64,
    /// Root mean square difference in dB at equal energy, over the bins of the whole sound in
    /// which reference or output is above the floor.
    pub lsd_tf_db: f64,
    /// Mean difference of the powers of 128 mel bands in dB, floored as above.
    pub logmel_l1_db: f64,
    /// The same at equal energy, over the bands in which reference or output is above the floor.
    pub logmel_tf_db: f64,
    /// Spectral convergence `‖R - O‖ / ‖R‖` (Arık et al. 2018, "Fast spectrogram inversion using
    /// multi-head convolutional neural networks", <https://arxiv.org/abs/1808.06719>); 1 for
    /// silence.
    pub sc: f64,
    /// Scale-invariant ratio of signal to distortion in dB (Le Roux et al. 2019, "SDR: half-baked
    /// or well done?", <https://arxiv.org/abs/1811.02508>); larger is nearer, and it alone hears
    /// phase.
    pub si_sdr_db: f64,
    /// Samples by which the output came late; negative if early.
    pub lag: isize,
    /// The gain that was given to the output.
    pub gain: f64,
}

impl Comparison {
    /// The distances without the errors of loudness and width, which are not known here.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            mrstft: Some(self.mrstft),
            lsd_db: Some(self.lsd_db),
            lsd_tf_db: Some(self.lsd_tf_db),
            logmel_l1_db: Some(self.logmel_l1_db),
            logmel_tf_db: Some(self.logmel_tf_db),
            sc: Some(self.sc),
            si_sdr_db: Some(self.si_sdr_db),
            ..Figures::default()
        }
    }
}

/// Compares sounds. Shared freely between threads.
pub struct Meter {
    aligner: Aligner,
    /// Windows of 2048 samples every 512.
    stft: Stft,
    /// Windows of several lengths, a quarter apart.
    resolutions: Vec<Stft>,
    bands: MelBands,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            aligner: Aligner::default(),
            stft: Stft::new(2048, 512),
            resolutions: [512, 1024, 2048].map(|size| Stft::new(size, size / 4)).into(),
            bands: MelBands::new(BANDS, 2048, SAMPLE_RATE),
        }
    }
}

impl Meter {
    /// Compares `output` with `reference`, samples at [`SAMPLE_RATE`].
    #[must_use]
    pub fn compare(&self, reference: &[f64], output: &[f64]) -> Comparison {
        let Aligned { sound, lag } = self.aligner.align(reference, output);
        let totals = self.totals(reference, &sound);
        let gain = totals.gain();
        let si_sdr_db = si_sdr_db(reference, &sound);
        let level: Vec<f64> = sound.iter().map(|sample| gain * sample).collect();

        let mut sums = Sums::new(&totals, &self.bands);
        self.stft.pairs(reference, &level, |r, o| sums.add(r, o));
        Comparison {
            mrstft: self.mrstft(reference, &level),
            lsd_db: sums.bins.per_frame.mean(),
            lsd_tf_db: sums.bins.squares.mean().sqrt(),
            logmel_l1_db: sums.mels.everywhere.mean(),
            logmel_tf_db: sums.mels.magnitudes.mean(),
            sc: (sums.difference / (totals.reference + TINY)).sqrt(),
            si_sdr_db,
            lag,
            gain,
        }
    }

    /// What has to be known before the sounds can be compared in dB.
    fn totals(&self, reference: &[f64], output: &[f64]) -> Totals {
        let mut totals = Totals::default();
        let (mut power, mut mels) = (vec![0.0; self.stft.bins()], vec![0.0; BANDS]);
        self.stft.pairs(reference, output, |r, o| {
            for ((r, o), power) in r.iter().zip(o).zip(&mut power) {
                *power = r * r;
                totals.reference += *power;
                totals.output += o * o;
                totals.both += r * o;
                totals.loudest_bin = totals.loudest_bin.max(*power);
            }
            self.bands.apply(&power, &mut mels);
            totals.loudest_band = mels.iter().copied().fold(totals.loudest_band, f64::max);
        });
        totals
    }

    /// [`Comparison::mrstft`].
    fn mrstft(&self, reference: &[f64], output: &[f64]) -> f64 {
        let distance = |stft: &Stft| {
            let (mut difference, mut energy) = (0.0, 0.0);
            let mut logarithms = Mean::default();
            stft.pairs(reference, output, |r, o| {
                for (r, o) in r.iter().zip(o) {
                    let (r, o) = (r.max(QUIET.sqrt()), o.max(QUIET.sqrt()));
                    difference += (r - o) * (r - o);
                    energy += r * r;
                    logarithms.add((r / o).ln().abs());
                }
            });
            (difference / energy).sqrt() + logarithms.mean()
        };
        self.resolutions.iter().map(distance).sum::<f64>() / self.resolutions.len() as f64
    }
}

/// [`Comparison::si_sdr_db`].
fn si_sdr_db(reference: &[f64], output: &[f64]) -> f64 {
    /// Keeps the ratio of silence to silence finite.
    const SILENCE: f64 = 1e-12;
    let energy: f64 = reference.iter().map(|r| r * r).sum();
    let both: f64 = reference.iter().zip(output).map(|(r, o)| r * o).sum();
    let scale = both / (energy + TINY);
    let distortion: f64 =
        reference.iter().zip(output).map(|(r, o)| (o - scale * r) * (o - scale * r)).sum();
    decibels((scale * scale * energy + SILENCE) / (distortion + SILENCE))
}

/// A ratio of powers in dB.
pub(crate) fn decibels(power: f64) -> f64 {
    10.0 * power.log10()
}

/// Sums over all bins of two spectrograms.
#[derive(Debug, Default)]
struct Totals {
    /// Of `R²`.
    reference: f64,
    /// Of `O²`.
    output: f64,
    /// Of `R O`.
    both: f64,
    /// The largest `R²`.
    loudest_bin: f64,
    /// The largest power of a mel band of the reference.
    loudest_band: f64,
}

impl Totals {
    /// The gain of the output that brings `‖R - O‖` down most; 1 for silence.
    fn gain(&self) -> f64 {
        if self.output > 0.0 { self.both / (self.output + TINY) } else { 1.0 }
    }

    /// The factor that, after the gain, brings the power of the output to that of the reference.
    fn energy_match(&self) -> f64 {
        let power = self.gain() * self.gain() * self.output;
        if power > 0.0 { self.reference / (power + TINY) } else { 1.0 }
    }
}

/// What comparing frame by frame adds up to.
struct Sums<'a> {
    mel_bands: &'a MelBands,
    /// Of `(R - O)²`.
    difference: f64,
    bins: Differences,
    mels: Differences,
    /// Powers of a frame, `[F]` each, and of its mel bands, `[M]` each.
    powers: [Vec<f64>; 2],
    mel_powers: [Vec<f64>; 2],
}

impl<'a> Sums<'a> {
    fn new(totals: &Totals, mel_bands: &'a MelBands) -> Self {
        let to_equal = totals.energy_match();
        Self {
            mel_bands,
            difference: 0.0,
            bins: Differences::new((totals.loudest_bin + TINY) * FLOOR, to_equal),
            mels: Differences::new((totals.loudest_band + TINY) * FLOOR, to_equal),
            powers: [Vec::new(), Vec::new()],
            mel_powers: [vec![0.0; mel_bands.count()], vec![0.0; mel_bands.count()]],
        }
    }

    /// Adds a frame.
    fn add(&mut self, reference: &[f64], output: &[f64]) {
        let pairs = reference.iter().zip(output);
        self.difference += pairs.map(|(r, o)| (r - o) * (r - o)).sum::<f64>();
        for (powers, magnitudes) in self.powers.iter_mut().zip([reference, output]) {
            powers.clear();
            powers.extend(magnitudes.iter().map(|x| x * x));
        }
        for (mels, powers) in self.mel_powers.iter_mut().zip(&self.powers) {
            self.mel_bands.apply(powers, mels);
        }
        self.bins.add(&self.powers);
        self.mels.add(&self.mel_powers);
    }
}

/// Differences in dB of the powers of two sounds.
struct Differences {
    /// Powers below count as this.
    floor: f64,
    /// Brings the power of the second sound to that of the first.
    to_equal: f64,
    /// Root mean squares of the frames.
    per_frame: Mean,
    /// Magnitudes, everywhere.
    everywhere: Mean,
    /// Magnitudes and squares at equal energy, where one of the two is above the floor.
    magnitudes: Mean,
    squares: Mean,
}

impl Differences {
    fn new(floor: f64, to_equal: f64) -> Self {
        let none = Mean::default();
        Self { floor, to_equal, per_frame: none, everywhere: none, magnitudes: none, squares: none }
    }

    /// Adds the powers of a frame.
    fn add(&mut self, [one, other]: &[Vec<f64>; 2]) {
        let mut frame = Mean::default();
        for (&one, &other) in one.iter().zip(other) {
            let difference = decibels(one.max(self.floor) / other.max(self.floor));
            frame.add(difference * difference);
            self.everywhere.add(difference.abs());
            let equal = other * self.to_equal;
            if one.max(equal) > self.floor {
                let difference = decibels(one.max(self.floor) / equal.max(self.floor));
                self.magnitudes.add(difference.abs());
                self.squares.add(difference * difference);
            }
        }
        self.per_frame.add(frame.mean().sqrt());
    }
}

/// A mean that is still growing.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    /// The mean; 0 of nothing.
    fn mean(self) -> f64 {
        if self.count > 0.0 { self.sum / self.count } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
