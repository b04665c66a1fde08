//! Latents through the quantizer in training: forwards what is played, backwards a gradient.

use anyhow::Result;
use candle_core::Tensor;
use distill_shared::quantizer::Quantizer;

use super::codebooks::Quantized;
use super::crops::Crop;

/// Latents after quantization.
pub(super) struct Quantization {
    /// What the decoder gets, `[B, T, D]`.
    pub(super) passed: Tensor,
    /// Draws the encoder towards the entries: a scalar.
    pub(super) commitment: Tensor,
    /// For the codebooks.
    pub(super) parts: Vec<Quantized>,
}

/// Quantizes the latents of each crop, `[B, T, D]`, with its number of levels.
pub(super) fn quantize(
    quantizer: &Quantizer,
    latents: &Tensor,
    crops: &[Crop],
    levels: &[usize],
) -> Result<Quantization> {
    let host = latents.flatten_all()?.to_vec1::<f32>()?;
    let (mut entries, mut centres, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    let items = host.chunks_exact(host.len() / crops.len()).zip(crops);
    for ((item, crop), &levels) in items.zip(levels) {
        let mut part = Quantized { news: Vec::new(), codes: Vec::new(), levels };
        let mut state = before(crop.begins, item, quantizer.books().dim());
        for latent in item.chunks_exact(state.len()) {
            let news = quantizer.news(latent, &state);
            let mut codes = vec![0; levels];
            quantizer.encode(latent, &mut state, &mut codes);
            entries.extend_from_slice(&state);
            centres.extend(centre(quantizer, latent, &news, &codes));
            part.news.extend(news);
            part.codes.extend(codes);
        }
        parts.push(part);
    }
    let entries = Tensor::from_vec(entries, latents.shape(), latents.device())?;
    let centres = Tensor::from_vec(centres, latents.shape(), latents.device())?;
    // Straight-through (Bengio et al. 2013): the entries forwards, the identity backwards.
    let passed = (latents + (&entries - latents)?.detach())?;
    // The sum over levels of the squared distances from what the first level tells, the first two,
    // and so on, has the gradient of the squared distance from their mean.
    let commitment = (latents - centres)?.sqr()?.mean_all()?;
    Ok(Quantization { passed, commitment, parts })
}

/// The quantized latent before a crop, `[D]`, whose own are `latents`: none where it `begins` a
/// recording; inside of it, as far as one can tell, what the crop begins with.
pub(super) fn before(begins: bool, latents: &[f32], d: usize) -> Vec<f32> {
    if begins { vec![0.0; d] } else { latents[..d].to_vec() }
}

/// The mean of what a latent is told to be by the codes of its first level, of its first two, and so
/// on, given what of it is new.
fn centre(quantizer: &Quantizer, latent: &[f32], news: &[f32], codes: &[u32]) -> Vec<f32> {
    let (mut rest, mut mean) = (news.to_vec(), latent.to_vec());
    for (level, &code) in codes.iter().enumerate() {
        rest.iter_mut().zip(quantizer.books().entry(level, code)).for_each(|(r, e)| *r -= e);
        mean.iter_mut().zip(&rest).for_each(|(m, r)| *m -= r / codes.len() as f32);
    }
    mean
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use distill_shared::model::config::CodecConfig;
    use distill_shared::quantizer::{Codebooks, Memory};

    use super::super::toy_codec;
    use super::*;

    const MEMORY: f32 = 0.5;

    /// Two levels of four entries: (±1, ±1), then a tenth of them.
    fn quantizer() -> Quantizer {
        let config = CodecConfig { memory: Some(MEMORY), ..toy_codec() };
        let corners = [1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0];
        Quantizer::new(
            Codebooks::of(
                &config,
                corners.iter().chain(&corners.map(|c| 0.1 * c)).copied().collect(),
            ),
            Memory::of(&config, Vec::new),
        )
    }

    fn crop(begins: bool) -> Crop {
        Crop { features: Vec::new(), begins }
    }

    #[test]
    fn what_is_passed_on_is_what_a_player_decodes_from_the_codes() -> Result<()> {
        let quantizer = quantizer();
        let latents = Tensor::new(&[[[1.2_f32, 0.7], [1.5, -0.4]]], &Device::Cpu)?;
        let quantized = quantize(&quantizer, &latents, &[crop(true)], &[2])?;
        let passed = quantized.passed.squeeze(0)?.to_vec2::<f32>()?;
        let mut state = [0.0; 2];
        for (codes, passed) in quantized.parts[0].codes.chunks(2).zip(&passed) {
            quantizer.decode(codes, &mut state);
            assert!(passed.iter().zip(state).all(|(p, s)| (p - s).abs() < 1e-6), "{passed:?}");
        }
        assert!((passed[0][0] - 1.1).abs() < 1e-6 && (passed[0][1] - 0.9).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn a_crop_from_inside_a_recording_remembers_what_it_begins_with() -> Result<()> {
        let latents = Tensor::new(&[[[3.0_f32, -5.0]]], &Device::Cpu)?;
        let news = |begins| -> Result<Vec<f32>> {
            let mut quantized = quantize(&quantizer(), &latents, &[crop(begins)], &[1])?;
            Ok(std::mem::take(&mut quantized.parts[0].news))
        };
        assert_eq!(news(true)?, [3.0, -5.0]);
        assert_eq!(news(false)?, [3.0 * (1.0 - MEMORY), -5.0 * (1.0 - MEMORY)]);
        Ok(())
    }

    #[test]
    fn the_gradient_passes_as_if_nothing_were_quantized() -> Result<()> {
        let latents = Var::new(&[[[1.2_f32, 0.7], [1.5, -0.4]]], &Device::Cpu)?;
        let quantized = quantize(&quantizer(), latents.as_tensor(), &[crop(true)], &[2])?;
        let weights = Tensor::new(&[[[2.0_f32, -3.0], [0.5, 7.0]]], &Device::Cpu)?;
        let grads = (quantized.passed * &weights)?.sum_all()?.backward()?;
        let grad = grads.get(&latents).expect("there is a gradient");
        assert_eq!(grad.to_vec3::<f32>()?, weights.to_vec3::<f32>()?);
        Ok(())
    }

    #[test]
    fn commitment_draws_towards_the_mean_of_what_the_levels_tell() -> Result<()> {
        // The first level tells (1, 1), both tell (1.1, 0.9): their mean is (1.05, 0.95).
        let latents = Tensor::new(&[[[1.25_f32, 0.75]]], &Device::Cpu)?;
        let quantized = quantize(&quantizer(), &latents, &[crop(true)], &[2])?;
        let commitment = quantized.commitment.to_scalar::<f32>()?;
        assert!((commitment - 0.2 * 0.2).abs() < 1e-6, "{commitment}");
        Ok(())
    }
}
