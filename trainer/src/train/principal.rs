//! Principal components: the best that a linear codec can do, where training begins.

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use distill_shared::companding::stretch;
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::stft::{FLOOR, weights_of};
use nalgebra::{DMatrix, SymmetricEigen};

use super::draw::Draw;

/// Rounds of the subspace iteration; each brings what is not wanted down by the ratio of variances.
const ROUNDS: usize = 8;
/// One more direction is looked for to so many that are wanted: the last ones are found least well.
const SPARE: usize = 4;
/// Steps after which axes are given up; some three for each are enough.
const TURNS: usize = 100_000;
/// What is added to every axis, of their mean energy, where that finds none.
const RIDGE: f64 = 1e-9;
/// What is said if there still are none.
const NOT_FOUND: &str = "the axes of what the recordings vary by were not found";
/// How much more frames count by their loudest bin, as a power of its magnitude.
const LOUDNESS: f32 = 0.2;
/// Log-magnitude below which frames are as good as silent.
const SILENT: f32 = -9.0;

/// The fixed weights of a codec for features like `rows`, `[R, X]`: their origin, which is silence, so
/// that what is remembered fades to it; and a basis of their `latent_dim` strongest components, scaled
/// so that latents vary by about 1.
///
/// Differences of stretched features from silence are weighted by [`weights_of`], and loud frames
/// count more. To what they vary by is added what `known` vary by, `[M, X]` of the same, at a share that is
/// given: what is known of sound besides, for a corpus that is too small to show all that sound of its
/// kind may do. The basis comes from subspace iteration (Halko, Martinsson and Tropp 2011, section 4.5,
/// <https://arxiv.org/abs/0909.4061>), and is turned to the axes of what it spans, so that a channel of a
/// latent stays as one component does, and not as a mixture of them (see [`super::codec::MEMORY`]).
pub(super) fn insert_principal(
    weights: &mut Weights,
    config: &CodecConfig,
    rows: &[f32],
    (known, share): (&[f32], f32),
    draw: &mut Draw,
    device: &Device,
) -> Result<()> {
    let (x, d) = (config.frame_features(), config.latent_dim);
    let origin = silence(config);
    let feature_weights = weights_of(config);
    let mut loud = Vec::with_capacity(rows.len());
    let mut plain = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(x) {
        let top = row.iter().copied().fold(SILENT, f32::max).min(2.0);
        let centred =
            row.iter().zip(&origin).zip(&feature_weights).map(|((v, o), w)| (stretch(*v) - o) * w);
        plain.extend(centred);
        let share = (LOUDNESS * top).exp();
        loud.extend(plain[plain.len() - x..].iter().map(|value| value * share));
    }
    let count = rows.len() / x;
    let cpu = Device::Cpu;
    #[expect(clippy::cast_possible_truncation, reason = "a ratio")]
    let scale = (f64::from(share) * energy(&loud) / energy(known).max(1e-30)).sqrt() as f32;
    loud.extend(known.iter().map(|value| value * scale));
    let loud = Tensor::from_vec(loud, (count + known.len() / x, x), &cpu)?;
    let basis = axes_of(&loud, d, draw)?; // [D, X]
    let scores = Tensor::from_vec(plain, (count, x), &cpu)?.matmul(&basis.t()?)?;
    let scores = scores.broadcast_sub(&scores.mean_keepdim(0)?)?;
    let size = f64::from(scores.sqr()?.mean_all()?.to_scalar::<f32>()?).sqrt().max(1e-3);
    weights.insert("codec.origin", Tensor::from_vec(origin, x, device)?)?;
    weights.insert("codec.encoder.basis", (&basis / size)?.to_device(device)?)?;
    weights.insert("codec.decoder.basis", (basis.t()? * size)?.contiguous()?.to_device(device)?)?;
    Ok(())
}

/// The `d` orthogonal axes along which `rows`, `[R, X]`, are longest, strongest first: `[D, X]`.
fn axes_of(rows: &Tensor, d: usize, draw: &mut Draw) -> Result<Tensor> {
    let x = rows.dim(1)?;
    let wide = (d + d / SPARE).min(x).max(d);
    #[expect(clippy::cast_possible_truncation, reason = "any directions will do")]
    let start: Vec<f32> = (0..wide * x).map(|_| draw.normal() as f32).collect();
    let mut basis = orthonormal(start, x); // [W, X]
    for _ in 0..ROUNDS {
        let scores = rows.matmul(&Tensor::from_vec(basis, (wide, x), &Device::Cpu)?.t()?)?;
        let moved = scores.t()?.matmul(rows)?;
        basis = orthonormal(moved.flatten_all()?.to_vec1()?, x);
    }
    let basis = Tensor::from_vec(basis, (wide, x), &Device::Cpu)?;
    Ok(strongest(&rows.matmul(&basis.t()?)?, d)?.matmul(&basis)?)
}

/// The `d` axes along which the rows of `scores`, `[R, W]`, are longest, strongest first: `[D, W]`.
fn strongest(scores: &Tensor, d: usize) -> Result<Tensor> {
    let wide = scores.dim(1)?;
    let products = scores.t()?.matmul(scores)?.flatten_all()?.to_vec1::<f32>()?;
    let products = DMatrix::from_fn(wide, wide, |i, j| f64::from(products[i * wide + j]));
    let axes = |products| SymmetricEigen::try_new(products, f64::EPSILON, TURNS).context(NOT_FOUND);
    let are_numbers = |axes: &DMatrix<f64>| axes.iter().all(|value| value.is_finite());
    let mut found = axes(products.clone())?;
    if !are_numbers(&found.eigenvectors) {
        // Where recordings vary by less than there are axes, the search may divide nothing by nothing.
        let ridge = RIDGE * products.trace() / wide as f64;
        found = axes(products + DMatrix::identity(wide, wide) * ridge)?;
        ensure!(are_numbers(&found.eigenvectors), NOT_FOUND);
    }
    let mut order: Vec<usize> = (0..wide).collect();
    order.sort_by(|a, b| found.eigenvalues[*b].total_cmp(&found.eigenvalues[*a]));
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    let axis = |&j: &usize| (0..wide).map(move |i| (i, j)).map(|at| found.eigenvectors[at] as f32);
    let axes: Vec<f32> = order[..d].iter().flat_map(axis).collect();
    Ok(Tensor::from_vec(axes, (d, wide), &Device::Cpu)?)
}

/// The features of silence, stretched, `[X]`.
fn silence(config: &CodecConfig) -> Vec<f32> {
    let mut frame = vec![stretch(FLOOR.ln()); config.channels * config.bins()];
    frame.resize(config.first_power(), stretch(0.0));
    frame.resize(config.features(), stretch(FLOOR.ln()));
    frame.repeat(config.stride)
}

/// Makes the rows of `[D, X]` orthonormal, one after the other (Gram and Schmidt, twice, which is
/// enough: Giraud, Langou and Rozložník 2005). A row without a direction of its own becomes zero.
fn orthonormal(mut rows: Vec<f32>, x: usize) -> Vec<f32> {
    for at in (0..rows.len()).step_by(x) {
        let (before, rest) = rows.split_at_mut(at);
        let row = &mut rest[..x];
        let before_size = norm(row);
        for _ in 0..2 {
            for other in before.chunks_exact(x) {
                let dot: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
            }
        }
        let size = norm(row);
        let scale = if size > 1e-6 * before_size { 1.0 / size } else { 0.0 };
        row.iter_mut().for_each(|a| *a *= scale);
    }
    rows
}

fn energy(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum()
}

fn norm(row: &[f32]) -> f32 {
    row.iter().map(|a| a * a).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use distill_shared::companding::relax;

    use super::super::draw::Purpose;
    use super::super::toy_codec;
    use super::*;

    const NOTHING: (&[f32], f32) = (&[], 0.0);

    fn config() -> CodecConfig {
        CodecConfig { latent_dim: 3, ..toy_codec() }
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "test values need no precision")]
    fn features_of_few_dimensions_come_back_whole() -> Result<()> {
        let (config, device) = (config(), Device::Cpu);
        let x = config.frame_features();
        let mut draw = Draw::new(1, Purpose::Weights, 0);
        let directions: Vec<f32> = (0..3 * x).map(|_| draw.normal() as f32).collect();
        let mut rows = Vec::new();
        for _ in 0..50 {
            let scores = [draw.normal() as f32, draw.normal() as f32, draw.normal() as f32];
            let of = |i: usize| -> f32 { (0..3).map(|k| scores[k] * directions[k * x + i]).sum() };
            rows.extend((0..x).map(|i| relax(stretch(FLOOR.ln()) + of(i))));
        }
        let mut weights = Weights::default();
        insert_principal(&mut weights, &config, &rows, NOTHING, &mut draw, &device)?;
        let tensors = weights.to_tensors()?;
        let get = |name: &str| tensors[name].to_f32();
        let (mean, encode, decode) =
            (get("codec.origin"), get("codec.encoder.basis"), get("codec.decoder.basis"));
        let scale = weights_of(&config);
        for row in rows.chunks_exact(x) {
            let centred: Vec<f32> =
                (0..x).map(|i| (stretch(row[i]) - mean[i]) * scale[i]).collect();
            let latent: Vec<f32> = encode
                .chunks_exact(x)
                .map(|basis| basis.iter().zip(&centred).map(|(b, c)| b * c).sum())
                .collect();
            for i in 0..x {
                let back: f32 = (0..3).map(|k| decode[i * 3 + k] * latent[k]).sum();
                assert!(
                    (back - centred[i]).abs() < 1e-2,
                    "feature {i}: {back}, not {}",
                    centred[i]
                );
            }
        }
        Ok(())
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "test values need no precision")]
    fn recordings_that_vary_by_little_have_axes_all_the_same() -> Result<()> {
        let (wide, rows) = (80, 60);
        for seed in 0..60 {
            let mut draw = Draw::new(seed, Purpose::Weights, 0);
            let rank = 1 + draw.below(6);
            let left = Tensor::from_vec(
                (0..rows * rank).map(|_| draw.normal() as f32).collect::<Vec<_>>(),
                (rows, rank),
                &Device::Cpu,
            )?;
            let right: Vec<f32> = (0..rank * wide).map(|_| draw.normal() as f32).collect();
            let scores = left.matmul(&Tensor::from_vec(right, (rank, wide), &Device::Cpu)?)?;
            let axes = strongest(&scores, 64)?.flatten_all()?.to_vec1::<f32>()?;
            assert!(axes.iter().all(|value| value.is_finite()), "seed {seed}, rank {rank}");
            assert!((norm(&axes[..wide]) - 1.0).abs() < 1e-3, "seed {seed}");
        }
        Ok(())
    }

    #[test]
    fn what_is_known_besides_is_kept_by_its_share() -> Result<()> {
        let config = CodecConfig { latent_dim: 1, ..toy_codec() };
        let x = config.frame_features();
        let silent = stretch(FLOOR.ln());
        // Rows vary in their first feature, and what is known in the second.
        let mut rows = vec![FLOOR.ln(); 2 * x];
        (rows[0], rows[x]) = (relax(silent + 1.0), relax(silent - 1.0));
        let mut known = vec![0.0; x];
        known[1] = 0.1;
        for (share, kept) in [(0.5, 0), (2.0, 1)] {
            let (mut weights, mut draw) = (Weights::default(), Draw::new(1, Purpose::Weights, 0));
            insert_principal(
                &mut weights,
                &config,
                &rows,
                (&known, share),
                &mut draw,
                &Device::Cpu,
            )?;
            let basis = weights.to_tensors()?["codec.encoder.basis"].to_f32();
            let size = norm(&basis);
            assert!(basis[kept].abs() > 0.99 * size, "{share}: {} of {size}", basis[kept]);
        }
        Ok(())
    }

    #[test]
    fn each_channel_is_one_component_the_strongest_first() -> Result<()> {
        // Four components of much the same strength, each a feature of its own, and a faint one.
        let (rows, x, d, sizes) = (50, 40, 4, [1.0, 0.01, 0.96, 1.04, 0.92]);
        let value = |i: usize| if i % x == i / x % 5 { sizes[i % x] } else { 0.0_f32 };
        let values = Tensor::from_vec((0..rows * x).map(value).collect(), (rows, x), &Device::Cpu)?;
        let mut draw = Draw::new(2, Purpose::Weights, 0);
        let axes = axes_of(&values, d, &mut draw)?.to_vec2::<f32>()?;
        for (axis, feature) in axes.iter().zip([3, 0, 2, 4]) {
            assert!((norm(axis) - 1.0).abs() < 1e-4, "{axis:?}");
            assert!(axis[feature].abs() > 0.99, "feature {feature}: {axis:?}");
        }
        Ok(())
    }

    #[test]
    fn rows_without_variety_give_a_basis_all_the_same() -> Result<()> {
        let (config, mut weights) = (config(), Weights::default());
        let rows = vec![-11.0; 20 * config.frame_features()];
        let mut draw = Draw::new(1, Purpose::Weights, 0);
        insert_principal(&mut weights, &config, &rows, NOTHING, &mut draw, &Device::Cpu)?;
        for (name, var) in weights.iter() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            assert!(values.iter().all(|value| value.is_finite()), "{name}");
        }
        Ok(())
    }
}
