//! Change of sample rate.

use std::ops::Range;

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
    let mut whole = vec![Vec::with_capacity(resampled_len(samples, from, to)); audio.len()];
    let mut keep = |piece: &mut [Vec<f32>]| {
        whole.iter_mut().zip(piece).for_each(|(whole, piece)| whole.append(piece));
        Ok(())
    };
    let mut resampling = Resampling::new(audio.len(), from, to)?;
    resampling.push(&audio, &mut keep)?;
    resampling.finish(&mut keep)?;
    Ok(whole)
}

/// A change of sample rate of sound that comes in pieces. However it is cut, what comes out is what
/// [`resample`] makes of the whole.
pub struct Resampling {
    resampler: Fft<f32>,
    from: u32,
    to: u32,
    /// What does not fill a chunk yet: `[C][less than a chunk]`.
    waiting: Vec<Vec<f32>>,
    /// The newest chunk at the new rate.
    made: Vec<Vec<f32>>,
    /// Samples still to be dropped: by so much the resampler is late.
    late: usize,
    taken: usize,
    given: usize,
}

impl Resampling {
    /// Prepares to bring `channels` channels from `from` to `to` Hz.
    ///
    /// # Errors
    ///
    /// Fails if a rate is zero.
    pub fn new(channels: usize, from: u32, to: u32) -> Result<Self> {
        let (rate_in, rate_out) = (usize::try_from(from)?, usize::try_from(to)?);
        let resampler = Fft::<f32>::new_custom(
            rate_in,
            rate_out,
            chunk(rate_in, rate_out),
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .with_context(|| format!("cannot resample from {from} Hz to {to} Hz"))?;
        let made = vec![vec![0.0; resampler.output_frames_max()]; channels];
        let waiting = vec![Vec::with_capacity(resampler.input_frames_next()); channels];
        let late = resampler.output_delay();
        Ok(Self { resampler, from, to, waiting, made, late, taken: 0, given: 0 })
    }

    /// Takes the next samples, `[C][S]`; `give` gets what they make, piece by piece,
    /// and may change it.
    ///
    /// # Errors
    ///
    /// Fails if `give` does.
    pub fn push(
        &mut self,
        audio: &[Vec<f32>],
        give: &mut impl FnMut(&mut [Vec<f32>]) -> Result<()>,
    ) -> Result<()> {
        let samples = audio.first().map_or(0, Vec::len);
        let chunk = self.resampler.input_frames_next();
        let mut at = 0;
        while at < samples {
            let end = samples.min(at + chunk - self.waiting[0].len());
            for (waiting, audio) in self.waiting.iter_mut().zip(audio) {
                waiting.extend_from_slice(&audio[at..end]);
            }
            self.taken += end - at;
            at = end;
            if self.waiting[0].len() == chunk {
                self.transform(usize::MAX, give)?;
            }
        }
        Ok(())
    }

    /// Gives what is left: after this, [`resampled_len`] samples were given.
    ///
    /// # Errors
    ///
    /// Fails if `give` does.
    pub fn finish(mut self, give: &mut impl FnMut(&mut [Vec<f32>]) -> Result<()>) -> Result<()> {
        let len = resampled_len(self.taken, self.from, self.to);
        let chunk = self.resampler.input_frames_next();
        while self.given < len {
            self.waiting.iter_mut().for_each(|waiting| waiting.resize(chunk, 0.0));
            self.transform(len, give)?;
        }
        Ok(())
    }

    /// The samples `range` of what [`resample`] makes of a recording of `samples` samples, to the bit. Only
    /// what they take is asked of `read`: about a chunk more on each side. This can be used for any number
    /// of parts, of any recordings of as many channels, and for nothing else.
    ///
    /// # Errors
    ///
    /// Fails if `read` does.
    pub fn part(
        &mut self,
        samples: usize,
        range: Range<usize>,
        read: impl FnOnce(Range<usize>) -> Result<Vec<Vec<f32>>>,
    ) -> Result<Vec<Vec<f32>>> {
        let channels = self.waiting.len();
        if range.is_empty() {
            return Ok(vec![Vec::new(); channels]);
        }
        let (taken, made) =
            (self.resampler.input_frames_next(), self.resampler.output_frames_next());
        let late = self.resampler.output_delay();
        // What comes out of a chunk depends on it and on the one before, and on nothing else.
        let first = ((range.start + late) / made).saturating_sub(1);
        let chunks = (range.end - 1 + late) / made + 1 - first;
        let at = |chunk: usize| samples.min(chunk * taken);
        let audio = read(at(first)..at(first + chunks))?;
        self.resampler.reset();
        self.late = range.start + late - first * made;
        (self.given, self.taken) = (0, 0);
        self.waiting.iter_mut().for_each(Vec::clear);
        let mut part = vec![Vec::with_capacity(range.len()); channels];
        for chunk in 0..chunks {
            for (waiting, audio) in self.waiting.iter_mut().zip(&audio) {
                let at = |chunk: usize| audio.len().min(chunk * taken);
                waiting.extend_from_slice(&audio[at(chunk)..at(chunk + 1)]);
                waiting.resize(taken, 0.0);
            }
            self.transform(range.len(), &mut |piece: &mut [Vec<f32>]| {
                part.iter_mut().zip(piece).for_each(|(part, piece)| part.append(piece));
                Ok(())
            })?;
        }
        Ok(part)
    }

    /// Transforms the chunk that waits, and gives what it makes, but no more than `len` samples in
    /// all.
    fn transform(
        &mut self,
        len: usize,
        give: &mut impl FnMut(&mut [Vec<f32>]) -> Result<()>,
    ) -> Result<()> {
        let (channels, chunk) = (self.waiting.len(), self.waiting[0].len());
        let made = self.resampler.output_frames_next();
        self.made.iter_mut().for_each(|channel| channel.resize(made, 0.0));
        let input = SequentialSliceOfVecs::new(&self.waiting, channels, chunk)?;
        let mut output = SequentialSliceOfVecs::new_mut(&mut self.made, channels, made)?;
        self.resampler.process_into_buffer(&input, &mut output, None)?;
        self.waiting.iter_mut().for_each(Vec::clear);
        let dropped = self.late.min(made);
        self.late -= dropped;
        let kept = (made - dropped).min(len - self.given);
        for channel in &mut self.made {
            channel.drain(..dropped);
            channel.truncate(kept);
        }
        self.given += kept;
        give(&mut self.made)
    }
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

    /// What the resampler's own way with whole recordings makes of one.
    fn resampled_whole(audio: &[Vec<f32>], from: u32, to: u32) -> Vec<Vec<f32>> {
        let (channels, samples) = (audio.len(), audio[0].len());
        let (rate_in, rate_out) = (from as usize, to as usize);
        let window = WindowFunction::BlackmanHarris2;
        let chunk = chunk(rate_in, rate_out);
        let fixed = FixedSync::Both;
        let mut resampler =
            Fft::<f32>::new_custom(rate_in, rate_out, chunk, 1, channels, window, fixed).unwrap();
        let input = SequentialSliceOfVecs::new(audio, channels, samples).unwrap();
        let output = resampler.process_all(&input, samples, None).unwrap().take_data();
        let channel = |c| output.iter().skip(c).step_by(channels).copied();
        let len = resampled_len(samples, from, to);
        (0..channels).map(|c| channel(c).take(len).collect()).collect()
    }

    #[test]
    fn however_it_is_cut_it_is_what_the_resampler_makes_of_the_whole() {
        for (from, to) in [(48_000, 44_100), (44_100, 48_000), (48_000, 22_050), (48_000, 48_001)] {
            for samples in [1, 900, 4704, 4705, 9408, 30_000] {
                let audio = [tone(1000.0, from, 1.0), tone(440.0, from, 1.0)];
                let audio = audio.map(|channel| channel[5000..5000 + samples].to_vec());
                let expected = resampled_whole(&audio, from, to);
                assert_eq!(resample(audio.to_vec(), from, to).unwrap(), expected);
                let mut resampling = Resampling::new(2, from, to).unwrap();
                let mut pieces = vec![Vec::new(); 2];
                let mut keep = |piece: &mut [Vec<f32>]| {
                    pieces.iter_mut().zip(piece).for_each(|(all, new)| all.append(new));
                    Ok(())
                };
                for at in (0..samples).step_by(1023) {
                    let end = samples.min(at + 1023);
                    let piece: Vec<_> = audio.iter().map(|one| one[at..end].to_vec()).collect();
                    resampling.push(&piece, &mut keep).unwrap();
                }
                resampling.finish(&mut keep).unwrap();
                assert_eq!(pieces, expected, "{samples} samples from {from} to {to} Hz");
            }
        }
    }

    #[test]
    fn a_part_of_a_recording_is_what_the_whole_has_there() {
        for (from, to) in [(8_000, 48_000), (44_100, 48_000), (96_000, 48_000), (48_000, 48_001)] {
            let mut parts = Resampling::new(2, from, to).unwrap();
            for samples in [1, 900, 40_000] {
                let audio = [tone(1000.0, from, 8.0), tone(440.0, from, 8.0)];
                let audio = audio.map(|channel| channel[5000..5000 + samples].to_vec());
                let whole = resample(audio.to_vec(), from, to).unwrap();
                let len = whole[0].len();
                for (start, end) in [(0, len), (len / 3, len / 2), (len / 2, len), (0, 1), (7, 7)] {
                    let range = start.min(len)..end.min(len);
                    let read = |range: Range<usize>| {
                        Ok(audio.iter().map(|channel| channel[range.clone()].to_vec()).collect())
                    };
                    let part = parts.part(samples, range.clone(), read).unwrap();
                    let meant: Vec<_> = whole.iter().map(|c| c[range.clone()].to_vec()).collect();
                    assert_eq!(part, meant, "{range:?} of {samples} from {from} to {to} Hz");
                }
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
