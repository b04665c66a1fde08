//! The smallest bundle that has every part.

use distill_shared::bundle::{
    Bundle, Card, CorpusCodes, CurvePoint, LevelHealth, PriorMetadata, Tensor, Tensors,
};
use distill_shared::codes::unflatten_codes;
use distill_shared::model::conditioning::Conditioning;
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};

/// The smallest model that has every part.
pub(crate) fn config() -> ModelConfig {
    let codec = CodecConfig {
        sample_rate: 8000,
        channels: 2,
        fft_size: 16,
        stft_hop: 4,
        stride: 2,
        width: 2,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 2,
        expansion: 1,
        latent_dim: 2,
        quantizers: 2,
        codebook_size: 4,
        memory: Some(0.8),
        coherence: 0.5,
        power_bands: 2,
        power: 1.0,
        gain: 0.7,
    };
    ModelConfig { codec, prior: Some(prior(2)) }
}

pub(crate) fn prior(hidden_size: usize) -> PriorConfig {
    PriorConfig {
        hidden_size,
        layers: 1,
        heads: 1,
        window: 4,
        depth_size: 2,
        depth_layers: 1,
        depth_heads: 1,
        conditioning: Conditioning::default(),
        ends: true,
        longest: None,
        kept: None,
    }
}

/// Weights that all differ; `wide` of them as 32-bit floats.
pub(crate) fn weights(list: Vec<(String, Vec<usize>)>, wide: usize) -> Tensors {
    let mut count = 0_u16;
    let tensors = list.into_iter().enumerate().map(|(i, (name, shape))| {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_: usize| {
                count += 1;
                f32::from(count) / 256.0 - 1.0
            })
            .collect();
        let tensor =
            if i < wide { Tensor::f32(&shape, values) } else { Tensor::f16(&shape, &values) };
        (name, tensor.unwrap())
    });
    tensors.collect()
}

pub(crate) fn corpus() -> Vec<CorpusCodes> {
    let kick = CorpusCodes {
        name: "drum/kick.wav".to_owned(),
        class: "drum".to_owned(),
        held_out: false,
        codes: unflatten_codes(&[0, 1, 2, 3], 2).unwrap(),
    };
    let rain = CorpusCodes {
        name: "rain \u{202e}\"\n.wav".to_owned(),
        class: String::new(),
        held_out: true,
        codes: unflatten_codes(&[3, 3], 2).unwrap(),
    };
    vec![kick, rain]
}

pub(crate) fn card() -> Card {
    let mut toy = Card { name: "toy".to_owned(), ..Card::default() };
    toy.codec.levels = vec![LevelHealth { used: 0.5, perplexity: 2.0 }; 2];
    toy.codec.training.curve = vec![CurvePoint { step: 9, ..CurvePoint::default() }];
    toy.prior = Some(PriorMetadata::default());
    toy
}

/// A bundle with everything a bundle can hold.
pub(crate) fn bundle() -> Bundle {
    let sizes = config();
    let weights = weights(sizes.tensors(), 3);
    Bundle::new(sizes, card(), weights)
        .and_then(|bundle| bundle.with_corpus_codes(&corpus()))
        .and_then(|bundle| bundle.with_preview(&[vec![0.5, -0.25, 0.0], vec![0.0, 1.0, -1.0]]))
        .unwrap()
}
