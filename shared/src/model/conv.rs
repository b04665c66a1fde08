//! Causal depthwise convolution over time.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::ops::{is_fast, slice, values, vectorized};

/// Convolves each channel with its own taps, looking back only:
/// `y[t] = bias + Σ_k weight[k] ⊙ x[t - (kernel - 1) + k]`, zero before the start.
///
/// `x` `[B, T, C]`, `weight` `[kernel, C]`, `bias` `[C]`; result `[B, T, C]`.
pub fn causal_depthwise(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        return x.contiguous()?.apply_op3(weight, bias, CausalDepthwise);
    }
    let (_, frames, _) = x.dims3()?;
    let kernel = weight.dim(0)?;
    let padded = x.pad_with_zeros(1, kernel - 1, 0)?;
    let mut y = x.zeros_like()?.broadcast_add(bias)?;
    for k in 0..kernel {
        y = (y + padded.narrow(1, k, frames)?.broadcast_mul(&weight.get(k)?)?)?;
    }
    Ok(y)
}

struct CausalDepthwise;

/// Frames of history that tap `k` of `kernel` looks back.
fn lag(kernel: usize, k: usize) -> usize {
    kernel - 1 - k
}

impl CustomOp3 for CausalDepthwise {
    fn name(&self) -> &'static str {
        "causal-depthwise"
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
        let (_, frames, c) = x_layout.shape().dims3()?;
        let (x, weight) = (slice(x, x_layout)?, slice(weight, weight_layout)?);
        let bias = slice(bias, bias_layout)?;
        let kernel = weight.len() / c;
        let mut y = vec![0.0; x.len()];
        vectorized(|| {
            for (x, y) in x.chunks_exact(frames * c).zip(y.chunks_exact_mut(frames * c)) {
                for t in 0..frames {
                    let row = &mut y[t * c..(t + 1) * c];
                    row.copy_from_slice(bias);
                    for k in kernel.saturating_sub(t + 1)..kernel {
                        let from = (t - lag(kernel, k)) * c;
                        let taps = &weight[k * c..(k + 1) * c];
                        for ((y, x), w) in row.iter_mut().zip(&x[from..from + c]).zip(taps) {
                            *y += x * w;
                        }
                    }
                }
            }
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, frames, c) = x.dims3()?;
        let grad = grad.contiguous()?;
        let guards = (values(x)?, values(weight)?, values(&grad)?);
        let (xs, taps, grads) = (guards.0.get()?, guards.1.get()?, guards.2.get()?);
        let kernel = taps.len() / c;
        let mut x_grad = vec![0.0; xs.len()];
        let (mut weight_grad, mut bias_grad) = (vec![0.0; taps.len()], vec![0.0; c]);
        vectorized(|| {
            for item in 0..xs.len() / (frames * c) {
                let span = item * frames * c..(item + 1) * frames * c;
                let (x, g) = (&xs[span.clone()], &grads[span.clone()]);
                let x_grad = &mut x_grad[span];
                for t in 0..frames {
                    let g = &g[t * c..(t + 1) * c];
                    bias_grad.iter_mut().zip(g).for_each(|(b, g)| *b += g);
                    for k in kernel.saturating_sub(t + 1)..kernel {
                        let from = (t - lag(kernel, k)) * c;
                        let (w, dw) = (&taps[k * c..], &mut weight_grad[k * c..(k + 1) * c]);
                        let (x, dx) = (&x[from..from + c], &mut x_grad[from..from + c]);
                        for ((((dx, dw), g), w), x) in
                            dx.iter_mut().zip(dw.iter_mut()).zip(g).zip(w).zip(x)
                        {
                            *dx += g * w;
                            *dw += g * x;
                        }
                    }
                }
            }
        });
        let of = |grad, like: &Tensor| Tensor::from_vec(grad, like.shape(), like.device());
        Ok((Some(of(x_grad, x)?), Some(of(weight_grad, weight)?), Some(of(bias_grad, bias)?)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::super::gradient_check::{assert_close, assert_gradient, noise};
    use super::*;

    #[test]
    fn the_fast_form_agrees_with_the_plain_one() -> Result<()> {
        let (x, w, b) = (noise(&[2, 9, 6], 1)?, noise(&[7, 6], 2)?, noise(&[6], 3)?);
        let wide = |t: &Tensor| t.to_dtype(DType::F64);
        let plain = causal_depthwise(&wide(&x)?, &wide(&w)?, &wide(&b)?)?;
        assert_close(&causal_depthwise(&x, &w, &b)?, &plain, 1e-6)
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() -> Result<()> {
        let (x, w, b) = (noise(&[2, 9, 6], 4)?, noise(&[7, 6], 5)?, noise(&[6], 6)?);
        assert_gradient("causal_depthwise", &[&x, &w, &b], |v| {
            causal_depthwise(&v[0], &v[1], &v[2])
        })
    }

    #[test]
    fn it_never_looks_ahead() -> Result<()> {
        let (x, w, b) = (noise(&[2, 9, 6], 7)?, noise(&[7, 6], 8)?, noise(&[6], 9)?);
        let whole = causal_depthwise(&x, &w, &b)?.narrow(1, 0, 4)?;
        let start = causal_depthwise(&x.narrow(1, 0, 4)?.contiguous()?, &w, &b)?;
        assert_close(&whole, &start, 0.0)
    }
}
