//! Where the target of a prior begins: with what a line tells of the next frame of the corpus.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::quantizer::Quantizer;

use super::pieces::Recorded;

/// What is measured of the corpus, not trained.
pub(super) const SCALE: &str = "prior.target.scale";
/// How sure every level is at first, re a normal distribution whose channels know nothing of each
/// other: the errors of a sound that goes on are small, those of one that begins are not.
const CONFIDENCE: f32 = 0.02;
/// The least and the most that a channel counts.
const SCALES: [f32; 2] = [1e-3, 1e3];

/// Frames that a channel of the line is thought to have been seen to go on as it is, before the
/// corpus is looked at: what never changes tells nothing.
const BELIEF: f64 = 1.0;

/// Begins the target of a prior with the line, channel by channel, that comes nearest to the news of
/// the corpus from the latent before: so sounds fade from the first step on as they do there, where
/// those that went on as they are would never end. A channel counts the less, the more that misses.
pub(super) fn begin_target(
    weights: &mut Weights,
    codec: &CodecConfig,
    quantizer: &Quantizer,
    train: &[Recorded],
) -> Result<()> {
    let (n, d) = (codec.quantizers, codec.latent_dim);
    let (keep, bias) = nearest_line(codec, quantizer, train);
    let mut missed = vec![0.0_f32; n * d];
    let mut frames = 0.0_f32;
    for recording in train {
        let mut state = vec![0.0; d];
        for t in 0..recording.codes.frames() {
            let codes = recording.codes.frame(t);
            let line = state.iter().zip(&keep).zip(&bias);
            let mut left: Vec<f32> = line.map(|((latent, keep), b)| keep * latent + b).collect();
            for ((level, &code), missed) in (0..).zip(codes).zip(missed.chunks_exact_mut(d)) {
                let entry = quantizer.books().entry(level, code);
                for ((left, entry), missed) in left.iter_mut().zip(entry).zip(missed) {
                    *left -= entry;
                    *missed += *left * *left;
                }
            }
            quantizer.decode(codes, &mut state);
            frames += 1.0;
        }
    }
    let scale = |sum: f32| (frames / sum.max(1e-9)).clamp(SCALES[0], SCALES[1]);
    let scales: Vec<f32> = missed.into_iter().map(scale).collect();
    let hidden = weights.scope("prior.target").get("weight")?.dim(1)?;
    let device = weights.scope("prior.target").get("weight")?.device().clone();
    let mut insert = |name: &str, values: Tensor| weights.insert(name, values);
    insert(SCALE, Tensor::from_vec(scales, (n, d), &device)?)?;
    insert("prior.target.keep", Tensor::from_vec(keep, d, &device)?)?;
    insert("prior.target.bias", Tensor::from_vec(bias, d, &device)?)?;
    insert("prior.target.gain", filled(1.0, &[n, d], &device)?)?;
    insert("prior.target.weight", Tensor::zeros((d, hidden), DType::F32, &device)?)?;
    let confidence = "prior.target.confidence";
    insert(&format!("{confidence}.weight"), Tensor::zeros((n, hidden), DType::F32, &device)?)?;
    insert(&format!("{confidence}.bias"), filled(CONFIDENCE.ln(), &[n], &device)?)?;
    Ok(())
}

/// What comes again of a latent as news in the next frame, and what comes anyway, `[D]` each: the
/// least squares of the frames of `train`.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn nearest_line(
    codec: &CodecConfig,
    quantizer: &Quantizer,
    train: &[Recorded],
) -> (Vec<f32>, Vec<f32>) {
    let d = codec.latent_dim;
    // Of each channel: the sums of latents, of news, of squares of latents, and of products.
    let mut sums = vec![[0.0_f64; 4]; d];
    let mut frames = 0.0;
    for recording in train {
        let mut state = vec![0.0_f32; d];
        for t in 0..recording.codes.frames() {
            let before = state.clone();
            quantizer.decode(recording.codes.frame(t), &mut state);
            let places = sums.iter_mut().zip(quantizer.memory().shares());
            for ((sums, share), (before, now)) in places.zip(before.into_iter().zip(&state)) {
                let (latent, news) = (f64::from(before), f64::from(now - share * before));
                let terms = [latent, news, latent * latent, latent * news];
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
            frames += 1.0;
        }
    }
    let line = |([latents, news, squares, products], share): ([f64; 4], &f32)| {
        let as_it_is = f64::from(1.0 - share);
        let (latent, mean) = (latents / f64::max(frames, 1.0), news / f64::max(frames, 1.0));
        let variance = squares - latent * latents + BELIEF;
        let keep = (products - latent * news + BELIEF * as_it_is) / variance;
        (keep as f32, (mean - keep * latent) as f32)
    };
    sums.into_iter().zip(quantizer.memory().shares()).map(line).unzip()
}

fn filled(value: f32, shape: &[usize], device: &Device) -> Result<Tensor> {
    Ok(Tensor::full(value, shape, device)?)
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;
    use distill_shared::quantizer::{Codebooks, Memory};

    use super::super::init::initial_weights;
    use super::super::toy_codec;
    use super::*;
    use crate::sizes::adaptive_prior_config;

    /// One level whose entries are the pairs of 0, 1, 2 and 3, of which half stays.
    fn codec() -> (CodecConfig, Quantizer) {
        let sizes = CodecConfig { latent_dim: 2, quantizers: 1, codebook_size: 16, ..toy_codec() };
        let codec = CodecConfig { memory: Some(0.5), ..sizes };
        let entries = (0..16_u8).flat_map(|code| [f32::from(code / 4), f32::from(code % 4)]);
        let quantizer =
            Quantizer::new(Codebooks::of(&codec, entries.collect()), Memory::of(&codec, Vec::new));
        (codec, quantizer)
    }

    /// What a target begins with on `codes`.
    fn begun(codes: impl Iterator<Item = u32>) -> impl Fn(&str) -> Vec<f32> {
        let (codec, quantizer) = codec();
        let mut recording = Codes::new(1);
        codes.for_each(|code| recording.push(&[code]));
        let recording = Recorded { codes: &recording, moments: &[], class: None };
        let sizes = adaptive_prior_config(&codec, &[]).tensors(&codec);
        let mut weights = initial_weights(&sizes, 1, &Device::Cpu).unwrap();
        begin_target(&mut weights, &codec, &quantizer, &[recording]).unwrap();
        move |name: &str| {
            let tensor = weights.scope("prior.target").get(name).unwrap();
            tensor.flatten_all().unwrap().to_vec1().unwrap()
        }
    }

    #[test]
    fn channels_that_stay_as_they_are_count_more() {
        // News 1 keep a latent of 2 in the first channel; in the second anything follows anything.
        let values = begun((0..200).map(|t| 4 + (t * t / 7 + t / 3) % 4));
        let scale = values("scale");
        assert!(scale[0] > 50.0 && (0.3..2.0).contains(&scale[1]), "{scale:?}");
        assert!(values("weight").iter().all(|weight| *weight == 0.0));
    }

    #[test]
    fn what_fades_is_foreseen_to_fade() {
        // In the first channel, 3 comes and then nothing for five frames: it never goes on.
        let values = begun((0..600).map(|t| if t % 6 == 0 { 12 } else { 0 }));
        let (keep, bias) = (values("keep"), values("bias"));
        assert!(keep[0] < 0.0 && bias[0] > 0.5, "{keep:?}, {bias:?}");
        // In the second there never was anything: as good as if it had stayed as it is.
        assert!((keep[1] - 0.5).abs() < 1e-6 && bias[1].abs() < 1e-6, "{keep:?}, {bias:?}");
    }
}
