//! WORKER: from the model's rate to the host's.

use rubato::audioadapter_buffers::direct::{InterleavedSlice, SequentialSlice};
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

/// Length of the filter in samples of the model.
const FILTER_LEN: usize = 128;

/// Makes stereo sound at the host's rate out of one take's frames, in the order they come.
///
/// At the model's own rate samples pass through untouched. The delay of the filter is cut off the
/// beginning, so that a take starts at its first sample at every rate, to within half a
/// sample.
pub struct Resampler {
    channels: usize,
    filter: Option<Filter>,
}

/// A band-limited interpolator (Smith, "Digital Audio Resampling", ccrma.stanford.edu/~jos/resample).
struct Filter {
    inner: Async<f32>,
    /// Interleaved samples as they come out.
    output: Vec<f32>,
    /// Samples of filter delay that are still to be dropped.
    delay: usize,
}

impl Resampler {
    /// Prepares to turn frames of `hop` samples in `channels` (1 or 2) at `from` Hz into sound at
    /// `to` Hz. Neither rate is zero.
    #[must_use]
    pub fn new(channels: usize, hop: usize, from: f64, to: f64) -> Self {
        let same = (from - to).abs() < 1e-6;
        Self { channels, filter: (!same).then(|| Filter::new(channels, hop, to / from)) }
    }

    /// Most samples that one frame of `hop` samples gives.
    #[must_use]
    pub fn longest(&self, hop: usize) -> usize {
        self.filter.as_ref().map_or(hop, |filter| filter.inner.output_frames_max())
    }

    /// Appends the sound of one frame, planar `[C, hop]`, to `sound`. A sample that is not finite
    /// becomes silence.
    pub fn push(&mut self, frame: &[f32], sound: &mut Vec<[f32; 2]>) {
        let Some(filter) = &mut self.filter else {
            let (left, right) = frame.split_at(frame.len() / self.channels);
            let right = if self.channels == 2 { right } else { left };
            sound.extend(left.iter().zip(right).map(|(&l, &r)| [finite(l), finite(r)]));
            return;
        };
        let samples = filter.process(frame, self.channels);
        let stereo = samples.chunks_exact(self.channels);
        sound.extend(stereo.map(|sample| [finite(sample[0]), finite(sample[self.channels - 1])]));
    }
}

impl Filter {
    fn new(channels: usize, hop: usize, ratio: f64) -> Self {
        let parameters =
            SincInterpolationParameters::new(FILTER_LEN, WindowFunction::BlackmanHarris2)
                .interpolation(SincInterpolationType::Cubic);
        let inner = Async::new_sinc(ratio, 1.0, &parameters, hop, channels, FixedAsync::Input)
            .expect("sample rates and sizes have been checked");
        let output = vec![0.0; channels * inner.output_frames_max()];
        // The filter reaches half its length ahead, and its first output lies one step after the
        // beginning. `output_delay` of the crate leaves that step out.
        let delay = whole((FILTER_LEN / 2) as f64 * ratio - 1.0);
        Self { inner, output, delay }
    }

    /// The interleaved samples that `frame` adds.
    fn process(&mut self, frame: &[f32], channels: usize) -> &[f32] {
        let capacity = self.output.len() / channels;
        let input = SequentialSlice::new(frame, channels, frame.len() / channels)
            .expect("a frame holds hop samples of every channel");
        let mut output = InterleavedSlice::new_mut(&mut self.output, channels, capacity)
            .expect("the output holds whole samples");
        let (_, made) = self
            .inner
            .process_into_buffer(&input, &mut output, None)
            .expect("the filter was made for frames of this size");
        let cut = self.delay.min(made);
        self.delay -= cut;
        &self.output[cut * channels..made * channels]
    }
}

/// The nearest whole number that is not below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(value: f64) -> usize {
    value.round() as usize
}

/// Silence in place of what is no number.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: usize = 512;

    /// A stereo tone at the model's rate of 48 kHz, resampled to `rate`.
    fn tone_at(rate: f64) -> Vec<[f32; 2]> {
        let mut resampler = Resampler::new(2, HOP, 48_000.0, rate);
        let mut sound = Vec::new();
        for frame in 0..40 {
            let wave = |i: usize| (0.1 * (frame * HOP + i) as f32).sin();
            let planar: Vec<f32> = (0..HOP).map(wave).chain((0..HOP).map(|i| -wave(i))).collect();
            let before = sound.len();
            resampler.push(&planar, &mut sound);
            assert!(sound.len() - before <= resampler.longest(HOP));
        }
        sound
    }

    #[test]
    fn the_models_own_rate_passes_untouched() {
        let sound = tone_at(48_000.0);
        assert_eq!(sound.len(), 40 * HOP);
        for (i, sample) in sound.iter().enumerate() {
            let value = (0.1 * i as f32).sin();
            assert_eq!(*sample, [value, -value]);
        }
    }

    #[test]
    fn other_rates_keep_pitch_and_beginning() {
        for rate in [8_000.0, 22_050.0, 44_100.0, 88_200.0, 96_000.0, 192_000.0] {
            let sound = tone_at(rate);
            // The first samples ring against the silence before the take.
            let settled = sound.iter().enumerate().skip(400).take(sound.len() / 2);
            // A whole number of samples is cut off; what is left of the delay is below half of one.
            let delay = 64.0 * rate / 48_000.0 - 1.0;
            let late = delay - delay.round();
            for (i, [left, right]) in settled {
                let expected = (0.1 * (i as f64 - late) * 48_000.0 / rate).sin();
                assert!(
                    (f64::from(*left) - expected).abs() < 2e-3,
                    "{rate} Hz, {i}: {left}, not {expected}"
                );
                assert_eq!(*left, -right);
            }
        }
    }

    #[test]
    fn mono_plays_on_both_sides_and_what_is_no_number_is_silence() {
        let mut sound = Vec::new();
        Resampler::new(1, 3, 48_000.0, 48_000.0).push(&[0.5, f32::NAN, f32::INFINITY], &mut sound);
        assert_eq!(sound, [[0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]);
    }
}
