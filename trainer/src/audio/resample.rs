//! Change of sample rate.

use anyhow::{Context, Result};
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// Samples that the resampler transforms at a time: its filter is about as long, and passes all but
/// the uppermost percent of the band.
const CHUNK: usize = 2048;

/// Brings `audio`, `[C][S]` at `from` Hz, to `to` Hz: [`resampled_len`] samples, without delay.
///
/// # Errors
///
/// Fails if a rate is zero.
pub fn resample(audio: Vec<Vec<f32>>, from: u32, to: u32) -> Result<Vec<Vec<f32>>> {
    let samples = audio.first().map_or(0, Vec::len);
    if from == to || samples == 0 {
        return Ok(audio);
    }
    let context = || format!("cannot resample from {from} Hz to {to} Hz");
    let channels = audio.len();
    let (rate_in, rate_out) = (usize::try_from(from)?, usize::try_from(to)?);
    let mut resampler = Fft::<f32>::new_custom(
        rate_in,
        rate_out,
        chunk(rate_in, rate_out),
        1,
        channels,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .with_context(context)?;
    let input = SequentialSliceOfVecs::new(&audio, channels, samples).with_context(context)?;
    let output = resampler.process_all(&input, samples, None).with_context(context)?.take_data();
    let len = resampled_len(samples, from, to);
    let channel = |c| {
        let mut channel: Vec<f32> = output.iter().skip(c).step_by(channels).copied().collect();
        channel.resize(len, 0.0);
        channel
    };
    Ok((0..channels).map(channel).collect())
}

/// Samples that are transformed at a time: about [`CHUNK`], and an even number of the smallest chunk
/// that is a whole number of samples at both rates. In the middle of an odd chunk there is no
/// sample, and the resampler, whose filter is centred on one, would be off by half.
fn chunk(from: usize, to: usize) -> usize {
    let smallest = from / gcd(from, to).max(1);
    CHUNK.div_ceil(smallest.max(1)).next_multiple_of(2) * smallest
}

/// The greatest common divisor (Euclid).
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Length of `samples` samples at `from` Hz once they are at `to` Hz: the nearest.
#[must_use]
pub fn resampled_len(samples: usize, from: u32, to: u32) -> usize {
    let (samples, from, to) = (samples as u128, u128::from(from), u128::from(to));
    usize::try_from((samples * to + from / 2) / from.max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sine of `hz` at `rate`, windowed so that it begins and ends in silence.
    fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<f32> {
        let samples = resampled_len(1_000_000, 1_000_000, rate) as f64 * seconds;
        let value = |i: u32| {
            let t = f64::from(i) / f64::from(rate);
            let fade = (std::f64::consts::PI * t / seconds).sin().powi(2);
            #[expect(clippy::cast_possible_truncation, reason = "a sample")]
            let sample = (0.8 * fade * (std::f64::consts::TAU * hz * t).sin()) as f32;
            sample
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let samples = samples.round() as u32;
        (0..samples).map(value).collect()
    }

    #[test]
    fn pitch_level_and_time_are_kept() {
        for from in [8_000, 11_025, 22_050, 44_100, 44_101, 47_999, 88_200, 96_000, 192_000] {
            let audio = [tone(1000.0, from, 0.5), tone(440.0, from, 0.5)];
            let resampled = resample(audio.to_vec(), from, 48_000).unwrap();
            let expected = [tone(1000.0, 48_000, 0.5), tone(440.0, 48_000, 0.5)];
            for (resampled, expected) in resampled.iter().zip(&expected) {
                // The tone ends at a whole sample of either rate.
                let step = 48_000_usize.div_ceil(from as usize);
                assert!(resampled.len().abs_diff(expected.len()) <= step, "{from} Hz");
                let error = resampled.iter().zip(expected).map(|(a, b)| (a - b).abs());
                let error = error.fold(0.0, f32::max);
                assert!(error < 2e-4, "off by {error} from {from} Hz");
            }
        }
    }

    #[test]
    fn lengths_are_those_of_the_rates() {
        assert_eq!(resampled_len(48_000, 48_000, 44_100), 44_100);
        assert_eq!(resampled_len(1, 44_100, 48_000), 1);
        for samples in [0, 1, 2, 3, 100, 1023, 1024, 1025, 44_100] {
            let resampled = resample(vec![vec![0.5; samples]], 44_100, 48_000).unwrap();
            assert_eq!(resampled[0].len(), resampled_len(samples, 44_100, 48_000));
        }
    }

    #[test]
    fn what_a_lower_rate_cannot_hold_is_filtered_out() {
        let resampled = resample(vec![tone(15_000.0, 48_000, 0.5)], 48_000, 22_050).unwrap();
        assert!(resampled[0].iter().all(|sample| sample.abs() < 1e-3));
    }
}
