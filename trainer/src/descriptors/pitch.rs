//! Pitch, frame by frame, by the McLeod pitch method (McLeod and Wyvill 2005, "A smarter way to find
//! pitch").

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::{Moment, SILENCE};

/// Samples that are heard at once: over two periods of the lowest note of a piano.
const WINDOW: usize = 4096;
/// How alike the periods must be, 1 being the same.
const CLARITY: f64 = 0.85;
/// Of all peaks this high, re the highest, the first is the period.
const NEARLY_HIGHEST: f64 = 0.93;
/// Pitches outside of this, as keys, are none that an instrument is asked for.
const KEYS: std::ops::RangeInclusive<f64> = 20.0..=110.0;

/// Finds the pitch of each frame of `hop` samples of `sound`, at `rate` Hz.
#[expect(clippy::cast_possible_truncation, reason = "what is described needs no more digits")]
pub(super) fn track(sound: &[f64], rate: u32, hop: usize, moments: &mut [Moment]) {
    let mut detector = Detector::new();
    for (t, moment) in moments.iter_mut().enumerate().filter(|(_, m)| m.power > SILENCE) {
        // The window has the frame in its middle.
        for (i, heard) in detector.heard.iter_mut().enumerate() {
            let at = (t * hop + hop / 2 + i).checked_sub(WINDOW / 2);
            *heard = at.and_then(|at| sound.get(at)).copied().unwrap_or(0.0);
        }
        let period = detector.period().filter(|(_, clarity)| *clarity >= CLARITY);
        let key =
            period.map(|(samples, _)| 69.0 + 12.0 * (f64::from(rate) / samples / 440.0).log2());
        moment.pitch = key.filter(|key| KEYS.contains(key)).map(|key| key as f32);
    }
}

/// Room to find periods in.
struct Detector {
    /// What is heard, `[WINDOW]`.
    heard: Vec<f64>,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    /// Twice as long as what is heard, so that its end does not meet its beginning.
    padded: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Detector {
    fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) =
            (planner.plan_fft_forward(2 * WINDOW), planner.plan_fft_inverse(2 * WINDOW));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            heard: vec![0.0; WINDOW],
            padded: vec![0.0; 2 * WINDOW],
            spectrum: forward.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
            forward,
            inverse,
        }
    }

    /// The period of what is heard in samples, and how alike its periods are, up to 1.
    fn period(&mut self) -> Option<(f64, f64)> {
        self.correlate()?;
        // Likeness of what is heard and itself some samples later, -1 to 1: twice the correlation
        // over the energy of what overlaps (equation 9).
        let likeness = &mut self.padded[..WINDOW * 3 / 4];
        let mut energy = 2.0 * likeness[0];
        for (lag, value) in likeness.iter_mut().enumerate() {
            let ends = |i: usize| self.heard[i].powi(2);
            energy -= if lag > 0 { ends(lag - 1) + ends(WINDOW - lag) } else { 0.0 };
            *value = if energy > 1e-12 { 2.0 * *value / energy } else { 0.0 };
        }
        let peaks = peaks(likeness);
        let highest = peaks.iter().fold(0.0_f64, |max, &(_, height)| max.max(height));
        peaks.into_iter().find(|&(_, height)| height >= NEARLY_HIGHEST * highest)
    }

    /// Puts the correlation of what is heard with itself into the beginning of `padded`.
    fn correlate(&mut self) -> Option<()> {
        let Self { padded, spectrum, scratch, .. } = self;
        padded[..WINDOW].copy_from_slice(&self.heard);
        padded[WINDOW..].fill(0.0);
        self.forward.process_with_scratch(padded, spectrum, scratch).ok()?;
        spectrum.iter_mut().for_each(|bin| *bin = Complex::new(bin.norm_sqr(), 0.0));
        self.inverse.process_with_scratch(spectrum, padded, scratch).ok()?;
        padded.iter_mut().for_each(|value| *value /= 2.0 * WINDOW as f64);
        Some(())
    }
}

/// The highest place of each stretch of positive values after the first, and its height, by a
/// parabola through it and its neighbours.
fn peaks(values: &[f64]) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    let mut at = values.iter().position(|&value| value <= 0.0).unwrap_or(values.len());
    while at < values.len() {
        let end = at + values[at..].iter().position(|&v| v <= 0.0).unwrap_or(values.len() - at);
        let highest = (at..end).max_by(|&a, &b| values[a].total_cmp(&values[b]));
        // A stretch that the end cuts off may have its peak beyond.
        if let Some(i) = highest.filter(|&i| i > 0 && i + 1 < values.len()) {
            let (before, peak, after) = (values[i - 1], values[i], values[i + 1]);
            let bend = before - 2.0 * peak + after;
            let shift = if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
            found.push((i as f64 + shift, peak - 0.25 * (before - after) * shift));
        }
        at = end.max(at + 1);
    }
    found
}
