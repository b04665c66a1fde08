//! Recordings that are the same but for their level, their format, their ends or a little noise.
//!
//! Such recordings must be held out together or not at all: a measurement on one of which the other was
//! trained on says nothing. They are found by the largest normalized cross-correlation of their first
//! seconds, which is 1 for copies, whatever their level, polarity and delay. Loud and soft strokes of one
//! piano key reach 0.998 below 3 kHz, strokes of a drum 0.984.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::{Recording, SAMPLE_RATE, Sound};

/// Seconds that are compared.
const SECONDS: usize = 3;
/// Samples that are compared, at most.
const EXCERPT: usize = SECONDS * SAMPLE_RATE as usize;
/// Samples that are averaged to one: what is compared lies below 3 kHz.
const DECIMATION: usize = 8;
/// Cross-correlation from which on two recordings are alike.
const ALIKE: f32 = 0.999;
/// The same of a later part of two recordings that are alike: it may be faint, and the noise of a format
/// then counts for more.
const ALIKE_LATER: f32 = 0.9;
/// Length of the transforms: room for two excerpts, so that nothing wraps around.
const LENGTH: usize = (2 * SECONDS * SAMPLE_RATE as usize / DECIMATION).next_power_of_two();
/// Recordings that one is compared with at most, those with the most similar spectrum.
const COMPARED: usize = 4;
/// Bands of a spectrum, each as wide as all below it together after the first few.
const BANDS: usize = 12;
/// Cosine of two spectra above which recordings are compared.
const SIMILAR: f32 = 0.99;

/// For each of `recordings` the index of the first one that it is like, directly or by others; its own if
/// there is none.
///
/// # Errors
///
/// Fails if recordings that lie on disk cannot be read.
pub(super) fn alike(recordings: &[Recording]) -> Result<Vec<usize>> {
    let transforms = &Transforms::new();
    let spectra: Vec<[f32; BANDS]> =
        recordings.par_iter().map(|one| transforms.spectrum(one)).collect::<Result<_>>()?;
    let begin = |i: usize| excerpt(&recordings[i].sound, 0..EXCERPT);
    let correlation =
        |(i, j): (usize, usize)| Ok((i, j, transforms.correlation(&begin(i)?, &begin(j)?).0));
    let pairs: Vec<(usize, usize, f32)> = (0..recordings.len())
        .into_par_iter()
        .flat_map_iter(|i| similar(&spectra, i))
        .map(correlation)
        .collect::<Result<_>>()?;
    let mut first: Vec<usize> = (0..recordings.len()).collect();
    for (i, j, _) in pairs.into_iter().filter(|&(.., correlation)| correlation >= ALIKE) {
        let (a, b) = (first[i].min(first[j]), first[i].max(first[j]));
        first.iter_mut().filter(|of| **of == b).for_each(|of| *of = a);
    }
    Ok(first)
}

/// The pairs of recording `i` with those whose spectra are most similar to its own.
fn similar(spectra: &[[f32; BANDS]], i: usize) -> impl Iterator<Item = (usize, usize)> {
    let cosine = |j: usize| spectra[i].iter().zip(&spectra[j]).map(|(a, b)| a * b).sum::<f32>();
    let others = (0..spectra.len()).filter(|&j| j != i);
    let mut near: Vec<(f32, usize)> = others.map(|j| (cosine(j), j)).collect();
    near.retain(|(cosine, _)| *cosine > SIMILAR);
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    near.truncate(COMPARED);
    near.into_iter().map(move |(_, j)| (i, j))
}

/// Whether `other`, which is like `whole`, still is where `whole` has `part`, at the beginning or the end of
/// that: recordings may begin alike and go on otherwise, or end before.
///
/// # Errors
///
/// Fails if recordings that lie on disk cannot be read.
pub(super) fn holds(other: &Sound, whole: &Sound, part: &Range<usize>) -> Result<bool> {
    let transforms = Transforms::new();
    let begin = |sound| excerpt(sound, 0..EXCERPT);
    let (_, later) = transforms.correlation(&begin(whole)?, &begin(other)?);
    let length = part.len().min(EXCERPT);
    for start in [part.start, part.end - length] {
        let there = start.saturating_add_signed(later * DECIMATION.cast_signed());
        let mut here = excerpt(whole, start..start + length)?;
        let there = excerpt(other, there..there + length)?;
        if 4 * there.len() >= here.len() {
            here.truncate(there.len());
            if transforms.correlation(&here, &there).0 >= ALIKE_LATER {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Samples `range` of a sound, as far as there are any, in mono, decimated.
fn excerpt(sound: &Sound, range: Range<usize>) -> Result<Vec<f32>> {
    let audio = sound.read(range)?;
    let samples = audio.first().map_or(0, Vec::len);
    let mono = |t: usize| audio.iter().map(|channel| channel[t]).sum::<f32>();
    let starts = (0..samples / DECIMATION).map(|i| i * DECIMATION);
    Ok(starts.map(|start| (start..start + DECIMATION).map(mono).sum()).collect())
}

/// The transform of excerpts, and back.
struct Transforms {
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
}

impl Transforms {
    fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        Self { forward: planner.plan_fft_forward(LENGTH), back: planner.plan_fft_inverse(LENGTH) }
    }

    fn of(&self, excerpt: &[f32]) -> Vec<Complex<f32>> {
        let (mut input, mut output) =
            (self.forward.make_input_vec(), self.forward.make_output_vec());
        input[..excerpt.len()].copy_from_slice(excerpt);
        self.forward.process(&mut input, &mut output).expect("the sizes are the plan's");
        output
    }

    /// Magnitudes of an excerpt as a whole in bands, of length 1 together; nothing of silence.
    fn spectrum(&self, recording: &Recording) -> Result<[f32; BANDS]> {
        let bins = self.of(&excerpt(&recording.sound, 0..EXCERPT)?);
        let mut bands = [0.0; BANDS];
        for (k, bin) in bins.iter().enumerate().skip(1) {
            // The last band is the upper half, the one before it the quarter below, and so on.
            let below_top = (bins.len() / (k + 1)).max(1).ilog2() as usize;
            bands[BANDS - 1 - below_top.min(BANDS - 1)] += bin.norm_sqr();
        }
        let length = bands.iter().sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        Ok(bands.map(|band| band.sqrt() / length))
    }

    /// The largest normalized cross-correlation of two excerpts, 0 to 1, and by how many of their samples
    /// the second one is later then.
    fn correlation(&self, a: &[f32], b: &[f32]) -> (f32, isize) {
        let energy = |excerpt: &[f32]| excerpt.iter().map(|sample| sample * sample).sum::<f32>();
        let scale = (energy(a) * energy(b)).sqrt();
        if scale <= 0.0 {
            return (0.0, 0);
        }
        let mut product = self.of(a);
        product.iter_mut().zip(self.of(b)).for_each(|(a, b)| *a *= b.conj());
        // Both ends are real, but for what rounding leaves.
        let ends = [0, product.len() - 1];
        ends.into_iter().for_each(|end| product[end].im = 0.0);
        let mut correlations = self.back.make_output_vec();
        self.back.process(&mut product, &mut correlations).expect("the sizes are the plan's");
        let values = correlations.iter().map(|value| value.abs()).enumerate();
        let (at, largest) = values.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
        // What is later by nearly the length of the transform is earlier.
        let at = at.cast_signed();
        let earlier = if at < LENGTH.cast_signed() / 2 { at } else { at - LENGTH.cast_signed() };
        (largest / (LENGTH as f32 * scale), -earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that fades, below 3 kHz as recordings mostly are.
    fn sound(seed: u64, samples: u32) -> Vec<f32> {
        let (mut state, mut low) = (seed.wrapping_mul(2_654_435_761) + 1, 0.0);
        let value = |t: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 40) as f32 / 8_388_608.0 - 1.0;
            low += 0.2 * (noise - low);
            low * (-(t as f32) / 20_000.0).exp()
        };
        (0..samples).map(value).collect()
    }

    fn recording(audio: Vec<f32>) -> Recording {
        let (name, class) = Default::default();
        Recording { name, class, sound: Sound::new(vec![audio]), held_out: false }
    }

    #[test]
    fn copies_are_alike_whatever_was_done_to_them() {
        let first = sound(1, 100_000);
        let softer: Vec<f32> = first.iter().map(|s| -0.3 * s).collect();
        let later = [vec![0.0; 3000], first.clone()].concat();
        let shorter = first[..70_000].to_vec();
        let coarse: Vec<f32> = first.iter().map(|s| (s * 1000.0).round() / 1000.0).collect();
        let all = [sound(2, 90_000), first, softer, later, sound(3, 100_000), shorter, coarse];
        assert_eq!(alike(&all.map(recording)).unwrap(), [0, 1, 1, 1, 4, 1, 1]);
    }

    #[test]
    fn what_begins_alike_holds_what_comes_later_if_it_is_a_copy() {
        let whole: Vec<f32> = sound(1, 150_000).into_iter().chain(sound(2, 100_000)).collect();
        let variation = [&whole[..150_000], &sound(3, 100_000)].concat();
        let later = [vec![0.0; 3000], whole.iter().map(|s| -0.3 * s).collect()].concat();
        let earlier = whole[4000..].to_vec();
        let shorter = whole[..200_000].to_vec();
        let holds = |other: Vec<f32>, part| {
            holds(&Sound::new(vec![other]), &Sound::new(vec![whole.clone()]), &part).unwrap()
        };
        for copy in [&whole, &later, &earlier] {
            assert!(holds(copy.clone(), 210_000..240_000));
        }
        assert!(holds(shorter.clone(), 180_000..240_000), "the beginning of it");
        assert!(!holds(shorter, 210_000..240_000), "it ends before");
        assert!(!holds(variation, 210_000..240_000), "it goes on otherwise");
    }

    #[test]
    fn what_is_short_or_silent_is_like_nothing_else() {
        let all = [vec![0.0; 3000], vec![0.0; 3000], sound(1, 5), Vec::new(), sound(4, 2400)];
        assert_eq!(alike(&all.map(recording)).unwrap(), [0, 1, 2, 3, 4]);
    }
}
