//! Weights that were never trained: they sound like nothing, but play like any others.

use super::random::{TakeKey, uniform};
use crate::bundle::{Tensor, Tensors};
use crate::companding::stretch;
use crate::model::config::ModelConfig;

/// A full set of weights for `config`, always the same for a `seed`: for tests and benchmarks.
///
/// No tensor is without effect, and the sound is of a moderate level.
#[must_use]
pub fn random_weights(config: &ModelConfig, seed: u64) -> Tensors {
    let tensor = |(take, (name, shape)): (u64, (String, Vec<usize>))| {
        let inputs = shape.last().copied().unwrap_or(1).max(1);
        let (centre, spread) = match name.rsplit('.').next() {
            Some("weight") if name.contains("norm") => (1.0, 0.2),
            Some("weight") if name.contains(".conv.") => (0.0, 0.7),
            Some("weight") => (0.0, (3.0 / inputs as f32).sqrt()),
            Some("bias") => (0.0, 0.1),
            Some("basis" | "latent") => (0.0, (1.0 / inputs as f32).sqrt()),
            Some("scale") => (0.3, 0.1),
            _ => (0.0, 1.0), // entries, code embeddings, sinks
        };
        let values = (0_u32..).take(shape.iter().product()).map(|i| {
            let draw = centre + spread * (2.0 * uniform(TakeKey { seed, take }, i, 0) - 1.0);
            // Coherences of such sizes are of no matter; log-magnitudes are of a moderate level.
            match name.as_str() {
                "codec.origin" => stretch(draw - 8.0),
                "codec.memory" | "codec.peaks" => draw.abs(),
                _ => draw,
            }
        });
        let tensor = Tensor::f16(&shape, &values.collect::<Vec<f32>>());
        (name, tensor.expect("one value for each place in the shape"))
    };
    (0..).zip(config.tensors()).map(tensor).collect()
}
