//! Initial weights, a function of (seed, name).

use candle_core::{Device, Result, Tensor};
use distill_shared::model::weights::Weights;

use super::draw::{Draw, Purpose};

/// Weights that add to the linear path of the codec.
const BESIDE: [&str; 2] = ["codec.encoder.project.weight", "codec.decoder.head.weight"];

/// Creates variables for `tensors`, given as name and shape.
pub(super) fn initial_weights(
    tensors: &[(String, Vec<usize>)],
    seed: u64,
    device: &Device,
) -> Result<Weights> {
    let mut weights = Weights::default();
    for (name, shape) in tensors {
        let mut draw = Draw::new(seed, Purpose::Weights, name_key(name));
        let count = shape.iter().product();
        let values = values(name, shape, count, &mut draw);
        weights.insert(name, Tensor::from_vec(values, shape.as_slice(), device)?)?;
    }
    Ok(weights)
}

/// The start of each kind of weight. A linear layer keeps the variance of its input; residual
/// branches begin small.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn values(name: &str, shape: &[usize], count: usize, draw: &mut Draw) -> Vec<f32> {
    let mut normal = |deviation: f64| {
        (0..count).map(|_| (draw.normal().clamp(-3.0, 3.0) * deviation) as f32).collect()
    };
    let inputs = shape.last().copied().unwrap_or(1) as f64;
    let (field, leaf) = match name.rsplit('.').collect::<Vec<_>>()[..] {
        [leaf, field, ..] => (field, leaf),
        _ => ("", name),
    };
    match (field, leaf) {
        (_, "scale") => vec![0.2; count],
        (field, "weight") if field.ends_with("norm") => vec![1.0; count],
        ("conv", "weight") => normal((1.0 / shape[0] as f64).sqrt()),
        // Beside the linear path the layers of the codec begin with nothing to say.
        ("head" | "project", "weight") if BESIDE.contains(&name) => vec![0.0; count],
        (_, "codes" | "levels" | "start") => normal(0.1),
        // The two projections that write into the residual stream of a transformer.
        ("out" | "down", "weight") if name.starts_with("prior") => normal(0.5 / inputs.sqrt()),
        (_, "weight" | "latent") => normal(1.0 / inputs.sqrt()),
        _ => vec![0.0; count],
    }
}

/// FNV-1a hash of a name (Fowler, Noll and Vo).
fn name_key(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
