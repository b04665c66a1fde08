//! Phases from magnitudes, frame by frame.
//!
//! A spectrogram whose frames overlap tells its phases almost: for a Gaussian window, the slope of
//! the log-magnitude along frequency is how fast the phase turns in time, and its slope along time
//! is how fast the phase turns along frequency. Integrating these two, loud bins first, gives
//! phases that fit the frames before and the bins beside (Průša and Søndergaard 2016, "Real-time
//! spectrogram inversion using phase gradient heap integration", DAFx-16; for the relations:
//! Portnoff 1979). A Hann window is near enough to a Gaussian one.
//!
//! Tones go on without a break and attacks stay sharp, and no code is spent on either.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use crate::math;

/// The Gaussian window that is nearest to a Hann window of length `l` has the width `γ = C l²`
/// (Průša, Balazs and Søndergaard 2017, "A noniterative method for reconstruction of phase from
/// STFT magnitude", table I).
const HANN: f32 = 0.256_45;
/// `γ / (hop · l)` at a hop of a quarter window: what a slope of log-magnitude per frame turns the
/// phase from bin to bin. Its inverse is what a slope per bin turns from frame to frame.
const RATIO: f32 = HANN * 4.0;
/// Bins that are so much quieter than the loudest, in nepers, have no phase worth following: 80 dB.
const DEPTH: f32 = 9.2;
/// Bins below this log-magnitude are silent.
const SILENT: f32 = -11.4;
/// Bins are no louder, so that sums stay finite.
const LOUDEST: f32 = 20.0;
/// The slope of a sound in the middle of the newest quarter of the frame, which is where sound is
/// that was not there in the frame before, however much it has risen.
const NEWEST: f32 = 0.75 * PI;
/// Classes of loudness per neper: bins of one class go in no particular order.
const CLASSES_PER_NEPER: f32 = 8.0;
/// Classes of loudness; more than fit into [`DEPTH`].
const CLASSES: usize = 128;

/// Follows the phases of one channel.
#[derive(Debug)]
pub struct PhaseIntegration {
    last: Frame,
    current: Frame,
    /// Bins of `current` that have a phase.
    done: Vec<bool>,
    queue: Queue,
    /// Frames since the start, for the phases of quiet bins.
    count: u32,
}

/// One frame, `[F]` each.
#[derive(Debug, Clone)]
struct Frame {
    log_magnitudes: Vec<f32>,
    /// What the phase turns from frame to frame.
    turns: Vec<f32>,
    /// What the phase turns from bin to bin.
    slopes: Vec<f32>,
    phases: Vec<f32>,
}

impl PhaseIntegration {
    /// The start of a stream of spectra of `bins` bins, their hop a quarter of a Hann window.
    #[must_use]
    pub fn new(bins: usize) -> Self {
        let silence = Frame {
            log_magnitudes: vec![SILENT; bins],
            turns: vec![0.0; bins],
            slopes: vec![0.0; bins],
            phases: vec![0.0; bins],
        };
        Self {
            last: silence.clone(),
            current: silence,
            done: vec![false; bins],
            queue: Queue::new(bins),
            count: 0,
        }
    }

    /// Back to the start of a stream. Real-time safe.
    pub fn reset(&mut self) {
        // The rest of a frame is not looked at where it was silent.
        self.current.log_magnitudes.fill(SILENT);
        self.count = 0;
    }

    /// Phases of the next frame, in radians, from the natural logarithms of its magnitudes:
    /// `[F]` both. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if `log_magnitudes` is not `[F]`.
    pub fn frame(&mut self, log_magnitudes: &[f32]) -> &[f32] {
        std::mem::swap(&mut self.last, &mut self.current);
        self.current.measure(log_magnitudes, &self.last);
        let loudest = |frame: &Frame| frame.log_magnitudes.iter().copied().fold(SILENT, f32::max);
        let top = loudest(&self.current).max(loudest(&self.last));
        let audible = (top - DEPTH).max(SILENT);
        self.queue.clear(top);
        for (k, &log_magnitude) in self.last.log_magnitudes.iter().enumerate() {
            if log_magnitude > audible {
                self.queue.push(Place { bin: k, is_last: true }, log_magnitude);
            }
        }
        for (k, &log_magnitude) in self.current.log_magnitudes.iter().enumerate() {
            self.done[k] = log_magnitude <= audible;
            if self.done[k] {
                self.current.phases[k] = scattered(self.count, k);
            }
        }
        self.spread();
        // Bins that nothing led to begin anew.
        for k in 0..self.done.len() {
            if !self.done[k] {
                self.settle(k, 0.0);
                self.spread();
            }
        }
        self.count = self.count.wrapping_add(1);
        &self.current.phases
    }

    /// Goes from the loudest bin that has a phase to those beside and after it, until none is left.
    fn spread(&mut self) {
        while let Some(Place { bin, is_last }) = self.queue.pop() {
            if is_last {
                if !self.done[bin] {
                    let turn = 0.5 * (self.last.turns[bin] + self.current.turns[bin]);
                    self.settle(bin, self.last.phases[bin] + turn);
                }
                continue;
            }
            let phase = self.current.phases[bin];
            let slopes = &self.current.slopes;
            let above = (bin + 1 < self.done.len() && !self.done[bin + 1])
                .then(|| phase + 0.5 * (slopes[bin] + slopes[bin + 1]));
            let below = (bin > 0 && !self.done[bin - 1])
                .then(|| phase - 0.5 * (slopes[bin] + slopes[bin - 1]));
            if let Some(phase) = above {
                self.settle(bin + 1, phase);
            }
            if let Some(phase) = below {
                self.settle(bin - 1, phase);
            }
        }
    }

    /// Gives a bin of the current frame its phase.
    fn settle(&mut self, bin: usize, phase: f32) {
        self.current.phases[bin] = phase - TAU * math::round(phase * (1.0 / TAU));
        self.done[bin] = true;
        self.queue.push(Place { bin, is_last: false }, self.current.log_magnitudes[bin]);
    }
}

impl Frame {
    /// Takes the log-magnitudes of a frame and how its phase turns, given the frame before.
    fn measure(&mut self, log_magnitudes: &[f32], last: &Self) {
        assert_eq!(log_magnitudes.len(), self.phases.len(), "log-magnitudes are [F]");
        for (own, log_magnitude) in self.log_magnitudes.iter_mut().zip(log_magnitudes) {
            // Nothing that is not a number may stay in the stream.
            let number = if log_magnitude.is_nan() { SILENT } else { *log_magnitude };
            *own = number.clamp(SILENT, LOUDEST);
        }
        let log_magnitudes = &self.log_magnitudes;
        let top = log_magnitudes.len() - 1;
        for (k, turn) in self.turns.iter_mut().enumerate() {
            let rise = log_magnitudes[(k + 1).min(top)] - log_magnitudes[k.saturating_sub(1)];
            // The middle of a bin turns by a quarter per bin and hop of a quarter window.
            let middle = FRAC_PI_2 * [0.0, 1.0, 2.0, 3.0][k % 4];
            *turn = middle + 0.5 * rise / RATIO;
        }
        let both = log_magnitudes.iter().zip(&last.log_magnitudes);
        for (slope, (now, before)) in self.slopes.iter_mut().zip(both) {
            // Half a turn per bin, since phases count from the start of the frame.
            *slope = -PI - (RATIO * (now - before)).clamp(-NEWEST, NEWEST);
        }
    }
}

/// A phase for a bin too quiet to have one: any, but always the same.
fn scattered(frame: u32, bin: usize) -> f32 {
    // The finalizer of MurmurHash3 (Appleby 2011).
    #[expect(clippy::cast_possible_truncation, reason = "bins are few")]
    let mut hash = frame.wrapping_mul(0x9e37_79b9) ^ (bin as u32).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x7feb_352d);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x846c_a68b);
    hash ^= hash >> 16;
    PI * ((hash >> 8) as f32 / 8_388_608.0 - 1.0)
}

/// A bin of the current frame or of the last one.
#[derive(Debug, Clone, Copy)]
struct Place {
    bin: usize,
    is_last: bool,
}

/// Bins by loudness: a stack per class, so that adding and taking cost the same however many there
/// are, and a frame costs a time that its number of bins bounds.
#[derive(Debug)]
struct Queue {
    /// Index of the newest place of each class, or [`Queue::END`].
    heads: [u16; CLASSES],
    /// For each place the one below it. Places are bins of the current frame, then of the last.
    below: Vec<u16>,
    /// No class before it holds anything.
    first: usize,
    /// Log-magnitude of the top of the first class.
    top: f32,
}

impl Queue {
    const END: u16 = u16::MAX;

    fn new(bins: usize) -> Self {
        let (heads, below) = ([Self::END; CLASSES], vec![Self::END; 2 * bins]);
        Self { heads, below, first: CLASSES, top: 0.0 }
    }

    fn clear(&mut self, top: f32) {
        self.heads.fill(Self::END);
        (self.first, self.top) = (CLASSES, top);
    }

    fn push(&mut self, place: Place, log_magnitude: f32) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let class = ((self.top - log_magnitude) * CLASSES_PER_NEPER).clamp(0.0, 1e3) as usize;
        let class = class.min(CLASSES - 1);
        let at = place.bin + if place.is_last { self.below.len() / 2 } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "the largest FFT has 4097 bins")]
        let head = at as u16;
        self.below[at] = std::mem::replace(&mut self.heads[class], head);
        self.first = self.first.min(class);
    }

    fn pop(&mut self) -> Option<Place> {
        let ahead = self.heads.get(self.first..)?;
        self.first += ahead.iter().position(|&head| head != Self::END)?;
        let at = usize::from(self.heads[self.first]);
        self.heads[self.first] = self.below[at];
        let bins = self.below.len() / 2;
        let is_last = at >= bins;
        Some(Place { bin: if is_last { at - bins } else { at }, is_last })
    }
}

#[cfg(test)]
mod tests;
