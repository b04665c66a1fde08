//! Where the target of a prior begins: a sound goes on as it is.

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

/// Begins the target of a prior with what comes again of a latent as news if it stays as it is, and
/// lets a channel count the less, the more that misses in the corpus.
pub(super) fn begin_target(
    weights: &mut Weights,
    codec: &CodecConfig,
    quantizer: &Quantizer,
    train: &[Recorded],
) -> Result<()> {
    let (n, d) = (codec.quantizers, codec.latent_dim);
    let keep = 1.0 - codec.memory;
    let mut missed = vec![0.0_f32; n * d];
    let mut frames = 0.0_f32;
    for recording in train {
        let mut state = vec![0.0; d];
        for t in 0..recording.codes.frames() {
            let codes = recording.codes.frame(t);
            let mut left: Vec<f32> = state.iter().map(|latent| keep * latent).collect();
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
    insert("prior.target.keep", filled(keep, &[d], &device)?)?;
    insert("prior.target.gain", filled(1.0, &[n, d], &device)?)?;
    insert("prior.target.weight", Tensor::zeros((d, hidden), DType::F32, &device)?)?;
    let confidence = "prior.target.confidence";
    insert(&format!("{confidence}.weight"), Tensor::zeros((n, hidden), DType::F32, &device)?)?;
    insert(&format!("{confidence}.bias"), filled(CONFIDENCE.ln(), &[n], &device)?)?;
    Ok(())
}

fn filled(value: f32, shape: &[usize], device: &Device) -> Result<Tensor> {
    Ok(Tensor::full(value, shape, device)?)
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;

    use super::super::init::initial_weights;
    use super::super::toy_codec;
    use super::*;
    use crate::sizes::adaptive_prior_config;

    #[test]
    fn channels_that_stay_as_they_are_count_more() {
        // The first channel of the only entry that is used keeps its latent; the second is off by 1.
        let codec = CodecConfig { memory: 0.5, ..toy_codec() };
        let mut entries = vec![0.0; codec.quantizers * codec.codebook_size * codec.latent_dim];
        entries[1] = 1.0;
        let quantizer = Quantizer::new(&codec, entries);
        let mut codes = Codes::new(2);
        (0..50).for_each(|t| codes.push(&[t % 2, 0]));
        let recording = Recorded { codes: &codes, moments: &[], class: None };
        let sizes = adaptive_prior_config(&codec, &[]).tensors(&codec);
        let mut weights = initial_weights(&sizes, 1, &Device::Cpu).unwrap();
        begin_target(&mut weights, &codec, &quantizer, &[recording]).unwrap();
        let values = |name: &str| -> Vec<f32> {
            let tensor = weights.scope("prior.target").get(name).unwrap();
            tensor.flatten_all().unwrap().to_vec1().unwrap()
        };
        let scale = values("scale");
        assert_eq!(scale[0], 1e3);
        assert!((1.0..10.0).contains(&scale[1]), "{scale:?}");
        assert_eq!(values("keep"), [0.5; 2]);
        assert!(values("weight").iter().all(|weight| *weight == 0.0));
    }
}
