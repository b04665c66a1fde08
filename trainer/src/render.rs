//! New sound from a model, rendered by the player the instrument plays with.

use anyhow::Result;
use distill_shared::model::config::CodecConfig;
use distill_shared::player::{Sampling, Take};

use crate::audio::resample::Resampling;

/// Renders the first `samples` samples of `take` at the rate of its model: `[C][S]`.
#[must_use]
pub fn render(mut take: Take, sampling: &Sampling, samples: usize) -> Vec<Vec<f32>> {
    let codec = &take.model().config().codec;
    let (channels, hop) = (codec.channels, codec.hop());
    let mut frame = vec![0.0; channels * hop];
    let mut audio = vec![Vec::with_capacity(samples + hop); channels];
    while audio[0].len() < samples {
        take.step(sampling, &mut frame);
        for (channel, new) in audio.iter_mut().zip(frame.chunks_exact(hop)) {
            channel.extend_from_slice(new);
        }
    }
    audio.iter_mut().for_each(|channel| channel.truncate(samples));
    audio
}

/// Sound that is made frame by frame, as long as it may get: memory does not grow with it.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'a> {
    /// The codec whose frames it has.
    pub codec: &'a CodecConfig,
    /// Rate in Hz that is wanted.
    pub rate: u32,
    /// Samples that are wanted, at that rate.
    pub samples: usize,
    /// How much faster it is played than it was made.
    pub speed: f64,
}

/// The rate in Hz of sound that was made at `rate`, when it is played at `speed`.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate in Hz")]
pub fn rate_at(rate: u32, speed: f64) -> u32 {
    (f64::from(rate) * speed).round() as u32
}

impl Rendering<'_> {
    /// Renders it: `step` makes the next frame, planar `[C, hop]`, and `write` gets the sound piece
    /// by piece, `[C][S]`. What it gets does not depend on how it is cut.
    ///
    /// # Errors
    ///
    /// Fails if the rate is zero, and if `write` does.
    pub fn run(
        self,
        step: impl FnMut(&mut [f32]),
        mut write: impl FnMut(&mut [Vec<f32>]) -> Result<()>,
    ) -> Result<()> {
        let own_rate = rate_at(self.codec.sample_rate, self.speed);
        if self.rate == own_rate {
            return self.frames(self.samples, step, write);
        }
        // The resampler takes what follows the last sample for silence: a tenth of a second more
        // than is asked for keeps that out of what is heard.
        let wanted = self.samples as u128 * u128::from(own_rate);
        let wanted = wanted.div_ceil(u128::from(self.rate.max(1)));
        let own_samples = usize::try_from(wanted)? + usize::try_from(own_rate / 10)?;
        let mut resampling = Resampling::new(self.codec.channels, own_rate, self.rate)?;
        let mut left = self.samples;
        let mut give = |piece: &mut [Vec<f32>]| {
            let kept = piece[0].len().min(left);
            left -= kept;
            piece.iter_mut().for_each(|channel| channel.truncate(kept));
            write(piece)
        };
        self.frames(own_samples, step, |piece| resampling.push(piece, &mut give))?;
        resampling.finish(&mut give)
    }

    /// Gives `write` the first `samples` samples of the frames that `step` makes.
    fn frames(
        self,
        samples: usize,
        mut step: impl FnMut(&mut [f32]),
        mut write: impl FnMut(&mut [Vec<f32>]) -> Result<()>,
    ) -> Result<()> {
        let (channels, hop) = (self.codec.channels, self.codec.hop());
        let mut frame = vec![0.0; channels * hop];
        let mut piece = vec![Vec::with_capacity(hop); channels];
        for begin in (0..samples).step_by(hop) {
            step(&mut frame);
            let kept = hop.min(samples - begin);
            for (piece, frame) in piece.iter_mut().zip(frame.chunks_exact(hop)) {
                piece.clear();
                piece.extend_from_slice(&frame[..kept]);
            }
            write(&mut piece)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::resample::resample;

    fn codec() -> CodecConfig {
        CodecConfig {
            sample_rate: 48_000,
            channels: 2,
            fft_size: 512,
            stft_hop: 128,
            stride: 2,
            width: 16,
            encoder_blocks: 1,
            decoder_blocks: 1,
            kernel: 3,
            expansion: 2,
            latent_dim: 8,
            quantizers: 3,
            codebook_size: 16,
            memory: Some(0.8),
            coherence: 1.0,
            power_bands: 4,
            power: 1.0,
            gain: 0.5,
        }
    }

    /// Fills the next frame of an endless noise.
    fn noise() -> impl FnMut(&mut [f32]) {
        let mut state = 1_u32;
        move |frame| {
            for sample in frame {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = (state >> 8) as f32 / 16_777_216.0 - 0.5;
            }
        }
    }

    /// The sound, and the most samples that were given at once.
    fn rendered(rate: u32, samples: usize) -> (Vec<Vec<f32>>, usize) {
        let (mut whole, mut most) = (vec![Vec::new(); 2], 0);
        let rendering = Rendering { codec: &codec(), rate, samples, speed: 1.0 };
        let kept = rendering.run(noise(), |piece| {
            most = most.max(piece[0].len());
            whole.iter_mut().zip(piece).for_each(|(whole, piece)| whole.append(piece));
            Ok(())
        });
        kept.unwrap();
        (whole, most)
    }

    #[test]
    fn pieces_are_what_the_whole_would_be() {
        let (hop, mut step) = (codec().hop(), noise());
        let mut own = vec![Vec::new(); 2];
        let mut frame = vec![0.0; 2 * hop];
        for _ in 0..400 {
            step(&mut frame);
            own.iter_mut().zip(frame.chunks(hop)).for_each(|(all, new)| all.extend(new));
        }
        let first = |audio: &[Vec<f32>], samples: usize| -> Vec<Vec<f32>> {
            audio.iter().map(|channel| channel[..samples].to_vec()).collect()
        };
        for samples in [1, 255, 256, 257, 40_000] {
            assert_eq!(rendered(48_000, samples).0, first(&own, samples));
            for rate in [44_100, 22_050, 96_000] {
                let wanted = (samples * 48_000).div_ceil(rate as usize) + 4800;
                let whole = resample(first(&own, wanted), 48_000, rate).unwrap();
                assert_eq!(rendered(rate, samples).0, first(&whole, samples), "{rate} Hz");
            }
        }
    }

    #[test]
    fn a_piece_is_no_longer_for_a_longer_sound() {
        for rate in [48_000, 44_100] {
            let (short, long) = (rendered(rate, 100_000).1, rendered(rate, 1_000_000).1);
            assert!(short == long && long < 10_000, "{short} and {long} samples at {rate} Hz");
        }
    }
}
