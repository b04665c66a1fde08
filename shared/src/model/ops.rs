//! Element-wise operations and normalization, as custom operations on the CPU.
//!
//! Each function takes its fast path for contiguous f32 tensors on the CPU and its plain form, made
//! of candle's own operations, anywhere else.

use std::ops::{Deref, Range};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, D, DType, Layout, Result, Shape, Storage, Tensor,
    bail,
};

use crate::companding::{self, BEND, KNEE, STEEPEST, STRETCH, UNDER_ROOT};
use crate::math;

/// Added to the variance in layer norms.
pub const NORM_EPS: f32 = 1e-5;

/// The values behind a CPU storage with a contiguous layout.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a custom operation needs contiguous tensors"),
    }
}

/// Borrows the values of a contiguous CPU tensor, through the guard of its storage.
pub(crate) struct Values<G> {
    storage: G,
    range: Range<usize>,
}

/// Borrows the values of a contiguous CPU tensor.
pub(crate) fn values(tensor: &Tensor) -> Result<Values<impl Deref<Target = Storage> + '_>> {
    let (storage, layout) = tensor.storage_and_layout();
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(Values { storage, range: start..end }),
        None => bail!("a custom operation needs contiguous tensors"),
    }
}

impl<G: Deref<Target = Storage>> Values<G> {
    pub(crate) fn get(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(cpu) => Ok(&cpu.as_slice::<f32>()?[self.range.clone()]),
            _ => bail!("a custom operation needs tensors on the CPU"),
        }
    }
}

/// Whether the custom operations apply to `x`.
pub(crate) fn is_fast(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// Runs `f` compiled for the widest vectors that this processor has.
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Adds a bias to every row: `x` `[.., C]`, `bias` `[C]`.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_fast(x) { x.contiguous()?.apply_op2(bias, AddBias) } else { x.broadcast_add(bias) }
}

struct AddBias;

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, bias) = (slice(x, x_layout)?, slice(bias, bias_layout)?);
        let mut y = x.to_vec();
        vectorized(|| {
            for row in y.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _x: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let mut sum = vec![0.0; bias.elem_count()];
        let guard = values(&grad)?;
        let rows = guard.get()?;
        vectorized(|| {
            for row in rows.chunks_exact(sum.len()) {
                sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
            }
        });
        let sum = Tensor::from_vec(sum, bias.shape(), bias.device())?;
        drop(guard);
        Ok((Some(grad), Some(sum)))
    }
}

/// Gaussian error linear unit, [`math::gelu`].
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if is_fast(x) { x.contiguous()?.apply_op1(Gelu) } else { x.gelu() }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, layout)?.to_vec();
        vectorized(|| y.iter_mut().for_each(|y| *y = math::gelu(*y)));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        times_slope(x, grad, math::gelu_derivative).map(Some)
    }
}

/// Stretches features, [`companding::stretch`]. They are given, so no gradient goes back.
pub fn stretch(x: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        return x.contiguous()?.apply_op1_no_bwd(&Stretch);
    }
    let [stretch, knee, bend] = [STRETCH, KNEE, BEND].map(f64::from);
    let above = (x - knee)?;
    let root = (above.sqr()? + bend * bend)?.sqrt()?;
    x + ((above + root)? * stretch)?
}

struct Stretch;

impl CustomOp1 for Stretch {
    fn name(&self) -> &'static str {
        "stretch"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, layout)?.to_vec();
        vectorized(|| y.iter_mut().for_each(|y| *y = companding::stretch(*y)));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }
}

/// Features from what they were stretched to, [`companding::relax`].
pub fn relax(x: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        return x.contiguous()?.apply_op1(Relax);
    }
    let [stretch, knee, under_root, steepest] =
        [STRETCH, KNEE, UNDER_ROOT, STEEPEST].map(f64::from);
    let above = (x - knee)?;
    let root = (above.sqr()? + under_root)?.sqrt()?;
    ((above * (1.0 + stretch))? - (root * stretch)?)?.affine(1.0 / steepest, knee)
}

struct Relax;

impl CustomOp1 for Relax {
    fn name(&self) -> &'static str {
        "relax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, layout)?.to_vec();
        vectorized(|| y.iter_mut().for_each(|y| *y = companding::relax(*y)));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        times_slope(x, grad, companding::relax_derivative).map(Some)
    }
}

/// `grad ⊙ slope(x)`.
fn times_slope(x: &Tensor, grad: &Tensor, slope: impl Fn(f32) -> f32) -> Result<Tensor> {
    let grad = grad.contiguous()?;
    let (x_values, grad_values) = (values(x)?, values(&grad)?);
    let mut out = x_values.get()?.to_vec();
    let grads = grad_values.get()?;
    vectorized(|| out.iter_mut().zip(grads).for_each(|(x, g)| *x = g * slope(*x)));
    Tensor::from_vec(out, x.shape(), x.device())
}

/// `x + scale ⊙ y`: `x` and `y` `[.., C]`, `scale` `[C]`.
pub fn add_scaled(x: &Tensor, y: &Tensor, scale: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        x.contiguous()?.apply_op3(&y.contiguous()?, scale, AddScaled)
    } else {
        x + y.broadcast_mul(scale)?
    }
}

struct AddScaled;

impl CustomOp3 for AddScaled {
    fn name(&self) -> &'static str {
        "add-scaled"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (y, scale) = (slice(y, y_layout)?, slice(scale, scale_layout)?);
        let mut out = slice(x, x_layout)?.to_vec();
        vectorized(|| {
            let c = scale.len();
            for (out, y) in out.chunks_exact_mut(c).zip(y.chunks_exact(c)) {
                for ((out, y), s) in out.iter_mut().zip(y).zip(scale) {
                    *out += y * s;
                }
            }
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _x: &Tensor,
        y: &Tensor,
        scale: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let guards = (values(y)?, values(scale)?, values(&grad)?);
        let (y_rows, scales, grads) = (guards.0.get()?, guards.1.get()?, guards.2.get()?);
        let c = scales.len();
        let mut y_grad = grads.to_vec();
        let mut scale_grad = vec![0.0; c];
        vectorized(|| {
            for (g, y) in y_grad.chunks_exact_mut(c).zip(y_rows.chunks_exact(c)) {
                for (((g, y), s), sum) in g.iter_mut().zip(y).zip(scales).zip(&mut scale_grad) {
                    *sum += *g * y;
                    *g *= s;
                }
            }
        });
        let y_grad = Tensor::from_vec(y_grad, y.shape(), y.device())?;
        let scale_grad = Tensor::from_vec(scale_grad, scale.shape(), scale.device())?;
        drop(guards);
        Ok((Some(grad), Some(y_grad), Some(scale_grad)))
    }
}

/// Layer norm over the last dimension: `x` `[.., C]`, `weight` and `bias` `[C]`
/// (Ba et al. 2016, <https://arxiv.org/abs/1607.06450>).
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        return x.contiguous()?.apply_op3(weight, bias, LayerNorm);
    }
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + f64::from(NORM_EPS))?.sqrt()?)?;
    normed.broadcast_mul(weight)?.broadcast_add(bias)
}

struct LayerNorm;

/// Mean and inverse standard deviation of a row. Eight running sums let the loop use vectors while
/// keeping one fixed order.
#[inline(always)]
fn moments(row: &[f32]) -> (f32, f32) {
    let n = row.len() as f32;
    let lanes = |f: &dyn Fn(f32) -> f32| {
        let mut sums = [0.0_f32; 8];
        for chunk in row.chunks(8) {
            sums.iter_mut().zip(chunk).for_each(|(s, &x)| *s += f(x));
        }
        sums.iter().sum::<f32>()
    };
    let mean = lanes(&|x| x) / n;
    let variance = lanes(&|x| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + NORM_EPS).sqrt())
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (slice(weight, weight_layout)?, slice(bias, bias_layout)?);
        let mut y = slice(x, x_layout)?.to_vec();
        vectorized(|| {
            for row in y.chunks_exact_mut(weight.len()) {
                let (mean, inverse) = moments(row);
                for ((y, w), b) in row.iter_mut().zip(weight).zip(bias) {
                    *y = (*y - mean) * inverse * w + b;
                }
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let guards = (values(x)?, values(weight)?, values(&grad)?);
        let (rows, weights, grads) = (guards.0.get()?, guards.1.get()?, guards.2.get()?);
        let c = weights.len();
        let mut x_grad = grads.to_vec();
        let (mut weight_grad, mut bias_grad) = (vec![0.0; c], vec![0.0; c]);
        vectorized(|| {
            for (row, g) in rows.chunks_exact(c).zip(x_grad.chunks_exact_mut(c)) {
                norm_row_gradient(row, g, weights, &mut weight_grad, &mut bias_grad);
            }
        });
        let of = |grad, like: &Tensor| Tensor::from_vec(grad, like.shape(), like.device());
        Ok((Some(of(x_grad, x)?), Some(of(weight_grad, weight)?), Some(of(bias_grad, weight)?)))
    }
}

/// Turns the gradient `g` of one normalized row into that of the row itself, and adds up those of
/// weight and bias.
#[inline(always)]
fn norm_row_gradient(
    row: &[f32],
    g: &mut [f32],
    weight: &[f32],
    weight_grad: &mut [f32],
    bias_grad: &mut [f32],
) {
    let (mean, inverse) = moments(row);
    let (mut sums, mut dots) = ([0.0_f32; 8], [0.0_f32; 8]);
    for start in (0..row.len()).step_by(8) {
        for lane in 0..8.min(row.len() - start) {
            let i = start + lane;
            let normed = (row[i] - mean) * inverse;
            weight_grad[i] += g[i] * normed;
            bias_grad[i] += g[i];
            g[i] *= weight[i];
            sums[lane] += g[i];
            dots[lane] += g[i] * normed;
        }
    }
    let n = row.len() as f32;
    let (sum, dot) = (sums.iter().sum::<f32>() / n, dots.iter().sum::<f32>() / n);
    for (g, x) in g.iter_mut().zip(row) {
        *g = inverse * (*g - sum - (x - mean) * inverse * dot);
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{assert_close, assert_gradient, noise};
    use super::*;

    #[test]
    fn every_fast_operation_agrees_with_its_plain_form() -> Result<()> {
        let (x, y, w, b) =
            (noise(&[3, 5, 12], 1)?, noise(&[3, 5, 12], 2)?, noise(&[12], 3)?, noise(&[12], 4)?);
        let wide = |t: &Tensor| t.to_dtype(DType::F64);
        assert_close(&add_bias(&x, &b)?, &add_bias(&wide(&x)?, &wide(&b)?)?, 1e-6)?;
        assert_close(&gelu(&x)?, &gelu(&wide(&x)?)?, 1e-5)?;
        let features = (&x * 5.0)?.affine(1.0, -5.0)?;
        assert_close(&stretch(&features)?, &stretch(&wide(&features)?)?, 1e-5)?;
        assert_close(&relax(&features)?, &relax(&wide(&features)?)?, 1e-5)?;
        assert_close(
            &add_scaled(&x, &y, &w)?,
            &add_scaled(&wide(&x)?, &wide(&y)?, &wide(&w)?)?,
            1e-6,
        )?;
        assert_close(
            &layer_norm(&x, &w, &b)?,
            &layer_norm(&wide(&x)?, &wide(&w)?, &wide(&b)?)?,
            1e-5,
        )
    }

    #[test]
    fn every_fast_operation_has_the_gradient_of_finite_differences() -> Result<()> {
        let (x, y) = (noise(&[3, 5, 12], 5)?, noise(&[3, 5, 12], 6)?);
        let (w, b) = (noise(&[12], 7)?, noise(&[12], 8)?);
        assert_gradient("add_bias", &[&x, &b], |v| add_bias(&v[0], &v[1]))?;
        assert_gradient("gelu", &[&x], |v| gelu(&v[0]))?;
        assert_gradient("relax", &[&(&x * 5.0)?.affine(1.0, -5.0)?], |v| relax(&v[0]))?;
        assert_gradient("add_scaled", &[&x, &y, &w], |v| add_scaled(&v[0], &v[1], &v[2]))?;
        assert_gradient("layer_norm", &[&x, &w, &b], |v| layer_norm(&v[0], &v[1], &v[2]))
    }
}
