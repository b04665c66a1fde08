//! What the depth transformer and the target say of the codes of a frame together, and how unlikely
//! that makes the codes that come.
//!
//! The tensors here, a number for every entry of every level of every frame, are the largest of
//! training, so on the CPU they are gone through once there and once back.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, bail};

use super::ops::{is_fast, slice, values, vectorized};
use crate::math;

/// What makes up the logits of `M` frames.
pub(super) struct Scores {
    /// What the depth transformer says, `[N, M, K]`.
    pub(super) depth: Tensor,
    /// What it says of any frame, `[N, K]`.
    pub(super) bias: Tensor,
    /// Products of entries and what is left of the target, `[N, M, K]`.
    pub(super) near: Tensor,
    /// Halves of the squares of entries, `[N, K]`.
    pub(super) half_squares: Tensor,
    /// How sure the target is, `[N, M]`.
    pub(super) sure: Tensor,
}

impl Scores {
    /// Logits, `[N, M, K]`.
    pub(super) fn logits(&self) -> Result<Tensor> {
        let near = self.near.broadcast_sub(&self.half_squares.unsqueeze(1)?)?;
        let near = near.broadcast_mul(&self.sure.unsqueeze(2)?)?;
        self.depth.broadcast_add(&self.bias.unsqueeze(1)?)? + near
    }

    /// Cross-entropy, `[N, M]`, of `codes`, `[N * M]`, level by level.
    pub(super) fn cross_entropy(&self, codes: Vec<u32>) -> Result<Tensor> {
        let (n, m, k) = self.depth.dims3()?;
        if codes.len() != n * m || codes.iter().any(|&code| code as usize >= k) {
            bail!("codes are [N, M], each below K");
        }
        if !is_fast(&self.depth) {
            let logits = self.logits()?;
            let codes = Tensor::from_vec(codes, (n, m, 1), logits.device())?;
            let chosen = logits.gather(&codes, D::Minus1)?.squeeze(2)?;
            return logits.log_sum_exp(D::Minus1)? - chosen;
        }
        let few = [&self.bias, &self.half_squares, &self.sure].map(Tensor::flatten_all);
        let [bias, half_squares, sure] = few;
        let few = Tensor::cat(&[bias?, half_squares?, sure?], 0)?;
        let op = CrossEntropy { sizes: [n, m, k], codes };
        self.depth.contiguous()?.apply_op3(&self.near.contiguous()?, &few, op)
    }
}

/// Of `depth`, `near`, and the three small tensors of [`Scores`] one after the other.
struct CrossEntropy {
    /// N, M and K.
    sizes: [usize; 3],
    /// `[N, M]`.
    codes: Vec<u32>,
}

/// What a level of one frame is computed from.
struct Row<'a> {
    depth: &'a [f32],
    near: &'a [f32],
    bias: &'a [f32],
    half_squares: &'a [f32],
    sure: f32,
    code: usize,
}

impl CrossEntropy {
    /// The `i`th of `N * M` rows.
    fn row<'a>(&self, i: usize, depth: &'a [f32], near: &'a [f32], few: &'a [f32]) -> Row<'a> {
        let [n, m, k] = self.sizes;
        let (bias, rest) = few.split_at(n * k);
        let (half_squares, sure) = rest.split_at(n * k);
        let (row, level) = (i * k..(i + 1) * k, i / m * k..(i / m + 1) * k);
        Row {
            depth: &depth[row.clone()],
            near: &near[row],
            bias: &bias[level.clone()],
            half_squares: &half_squares[level],
            sure: sure[i],
            code: self.codes[i] as usize,
        }
    }
}

impl Row<'_> {
    /// Writes its logits, and returns the logarithm of the sum of their exponentials.
    #[inline(always)]
    fn logits(&self, logits: &mut [f32]) -> f32 {
        let told = self.depth.iter().zip(self.bias);
        let near = self.near.iter().zip(self.half_squares);
        for (logit, ((depth, bias), (near, half))) in logits.iter_mut().zip(told.zip(near)) {
            *logit = depth + bias + self.sure * (near - half);
        }
        let mut most = [f32::MIN; 8];
        for lanes in logits.chunks(8) {
            most.iter_mut()
                .zip(lanes)
                .for_each(|(most, x)| *most = if *x > *most { *x } else { *most });
        }
        let most = most.into_iter().fold(f32::MIN, f32::max);
        let mut sums = [0.0_f32; 8];
        for lanes in logits.chunks(8) {
            sums.iter_mut().zip(lanes).for_each(|(sum, x)| *sum += math::exp(x - most));
        }
        most + sums.iter().sum::<f32>().ln()
    }
}

impl CustomOp3 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        depth: &CpuStorage,
        depth_layout: &Layout,
        near: &CpuStorage,
        near_layout: &Layout,
        few: &CpuStorage,
        few_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, m, k] = self.sizes;
        let (depth, near) = (slice(depth, depth_layout)?, slice(near, near_layout)?);
        let few = slice(few, few_layout)?;
        let (mut losses, mut logits) = (vec![0.0; n * m], vec![0.0; k]);
        vectorized(|| {
            for (i, loss) in losses.iter_mut().enumerate() {
                let row = self.row(i, depth, near, few);
                *loss = row.logits(&mut logits) - logits[row.code];
            }
        });
        Ok((CpuStorage::F32(losses), Shape::from((n, m))))
    }

    fn bwd(
        &self,
        depth: &Tensor,
        near: &Tensor,
        few: &Tensor,
        _losses: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [n, m, k] = self.sizes;
        let grad = grad.contiguous()?;
        let guards = (values(depth)?, values(near)?, values(few)?, values(&grad)?);
        let (depths, nears, fews) = (guards.0.get()?, guards.1.get()?, guards.2.get()?);
        let grads = guards.3.get()?;
        let (mut depth_grad, mut near_grad) = (vec![0.0; n * m * k], vec![0.0; n * m * k]);
        let mut few_grad = vec![0.0; fews.len()];
        let (bias_grad, rest) = few_grad.split_at_mut(n * k);
        let (half_grad, sure_grad) = rest.split_at_mut(n * k);
        vectorized(|| {
            let rows = depth_grad.chunks_exact_mut(k).zip(near_grad.chunks_exact_mut(k));
            for (i, (own, near)) in rows.enumerate() {
                let row = self.row(i, depths, nears, fews);
                let sum = row.logits(own);
                own.iter_mut().for_each(|logit| *logit = grads[i] * math::exp(*logit - sum));
                own[row.code] -= grads[i];
                let level = i / m * k..(i / m + 1) * k;
                let (bias, half) = (&mut bias_grad[level.clone()], &mut half_grad[level]);
                let mut sure = [0.0_f32; 8];
                for lanes in (0..k).step_by(8) {
                    for (lane, j) in (lanes..k.min(lanes + 8)).enumerate() {
                        near[j] = row.sure * own[j];
                        bias[j] += own[j];
                        half[j] -= near[j];
                        sure[lane] += own[j] * (row.near[j] - row.half_squares[j]);
                    }
                }
                sure_grad[i] = sure.iter().sum();
            }
        });
        let of = |grad, like: &Tensor| Tensor::from_vec(grad, like.shape(), like.device());
        Ok((Some(of(depth_grad, depth)?), Some(of(near_grad, near)?), Some(of(few_grad, few)?)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::super::gradient_check::{assert_close, assert_gradient, noise};
    use super::*;

    const SIZES: [usize; 3] = [2, 3, 11];

    fn inputs() -> Result<[Tensor; 5]> {
        let [n, m, k] = SIZES;
        Ok([
            noise(&[n, m, k], 1)?,
            noise(&[n, k], 2)?,
            noise(&[n, m, k], 3)?,
            noise(&[n, k], 4)?,
            noise(&[n, m], 5)?,
        ])
    }

    fn scores(inputs: &[Tensor]) -> Scores {
        let [depth, bias, near, half_squares, sure] = [0, 1, 2, 3, 4].map(|i| inputs[i].clone());
        Scores { depth, bias, near, half_squares, sure }
    }

    fn codes() -> Vec<u32> {
        vec![0, 10, 3, 7, 7, 1]
    }

    #[test]
    fn the_fast_cross_entropy_agrees_with_the_plain_one() -> Result<()> {
        let inputs = inputs()?;
        let wide = inputs.each_ref().map(|x| x.to_dtype(DType::F64).expect("finite"));
        let (fast, plain) = (scores(&inputs), scores(&wide));
        assert_close(&fast.logits()?, &plain.logits()?, 1e-6)?;
        assert_close(&fast.cross_entropy(codes())?, &plain.cross_entropy(codes())?, 1e-6)
    }

    #[test]
    fn the_cross_entropy_has_the_gradient_of_finite_differences() -> Result<()> {
        let inputs = inputs()?;
        assert_gradient("cross-entropy", &inputs.each_ref(), |v| scores(v).cross_entropy(codes()))
    }

    #[test]
    fn codes_that_do_not_fit_are_refused() -> Result<()> {
        let scores = scores(&inputs()?);
        assert!(scores.cross_entropy(vec![0; 5]).is_err());
        assert!(scores.cross_entropy(vec![0, 0, 0, 0, 0, 11]).is_err());
        Ok(())
    }
}
