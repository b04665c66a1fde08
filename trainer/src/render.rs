//! New sound from a model, rendered to memory by the player the instrument plays with.

use anyhow::Result;
use distill_shared::player::{Sampling, Take};

use crate::audio::resample::resample;

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

/// Renders the first `samples` samples of `take` at `rate` Hz: `[C][S]`.
///
/// # Errors
///
/// Fails if `rate` is zero.
pub fn render_at(
    rate: u32,
    take: Take,
    sampling: &Sampling,
    samples: usize,
) -> Result<Vec<Vec<f32>>> {
    let own_rate = take.model().config().codec.sample_rate;
    if rate == own_rate {
        return Ok(render(take, sampling, samples));
    }
    // The resampler takes what follows the last sample for silence: a tenth of a second more than
    // is asked for keeps that out of what is heard.
    let wanted = (samples as u128 * u128::from(own_rate)).div_ceil(u128::from(rate.max(1)));
    let own_samples = usize::try_from(wanted)? + usize::try_from(own_rate / 10)?;
    let mut audio = resample(render(take, sampling, own_samples), own_rate, rate)?;
    audio.iter_mut().for_each(|channel| channel.truncate(samples));
    Ok(audio)
}
