//! Causal self-attention within a window, with a learned sink.

use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor};

use super::layers::{LayerNorm, Linear, project};
use super::ops::{self, is_fast, slice, values, vectorized};
use super::weights::Scope;
use crate::math;

/// What a layer of the transformer attends to.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Attention heads.
    pub heads: usize,
    /// Positions that attention looks back on, the current one included.
    pub window: usize,
    /// Whether queries and keys are turned by rotary embeddings.
    pub rotary: bool,
}

/// Pre-norm transformer layer.
#[derive(Debug, Clone)]
pub struct TransformerLayer {
    span: Span,
    attention_norm: LayerNorm,
    qkv: Tensor,
    sinks: Tensor,
    out: Linear,
    mlp_norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl TransformerLayer {
    /// Takes its weights from `scope`.
    ///
    /// # Errors
    ///
    /// Fails if a weight is missing.
    pub fn new(span: Span, scope: &Scope) -> Result<Self> {
        let attention = scope.push("attention");
        Ok(Self {
            span,
            attention_norm: LayerNorm::new(&scope.push("attention_norm"))?,
            qkv: attention.push("qkv").get("weight")?,
            sinks: attention.get("sinks")?,
            out: Linear::new(&attention.push("out"))?,
            mlp_norm: LayerNorm::new(&scope.push("mlp_norm"))?,
            up: Linear::new(&scope.push("up"))?,
            down: Linear::new(&scope.push("down"))?,
        })
    }

    /// `[B, T, C]` to the same shape.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let attended = self.attention(&self.attention_norm.forward(x)?)?;
        let x = (x + self.out.forward(&attended)?)?;
        let inner = ops::gelu(&self.up.forward(&self.mlp_norm.forward(&x)?)?)?;
        x + self.down.forward(&inner)?
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, frames, width) = x.dims3()?;
        let (heads, size) = (self.span.heads, width / self.span.heads);
        let qkv = project(x, &self.qkv)?.reshape((batch, frames, 3, heads, size))?;
        let part = |i| qkv.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (mut q, mut k, v) = (part(0)?, part(1)?, part(2)?); // [B, heads, T, size]
        if self.span.rotary {
            let turns = Turns::new(frames, size, x)?;
            q = turns.apply(&q)?;
            k = turns.apply(&k)?;
        }
        let scores = (q.matmul(&k.transpose(2, 3)?)? * (1.0 / (size as f64).sqrt()))?;
        let weights = windowed_softmax(&scores, &self.sinks, self.span.window)?;
        weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((batch, frames, width))
    }
}

/// Rotary position embeddings (Su et al. 2021, <https://arxiv.org/abs/2104.09864>), the first half
/// of the channels paired with the second.
struct Turns {
    cos: Tensor,
    sin: Tensor,
}

impl Turns {
    fn new(frames: usize, size: usize, like: &Tensor) -> Result<Self> {
        let half = size / 2;
        let angle =
            |t: usize, i: usize| t as f64 * 10_000_f64.powf(-((2 * i) as f64) / size as f64);
        let table = |f: fn(f64) -> f64| {
            let values: Vec<f64> =
                (0..frames).flat_map(|t| (0..half).map(move |i| f(angle(t, i)))).collect();
            Tensor::from_vec(values, (frames, half), like.device())?.to_dtype(like.dtype())
        };
        Ok(Self { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// `[B, heads, T, size]` to the same shape.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let half = x.dim(D::Minus1)? / 2;
        let (a, b) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
        let first = (a.broadcast_mul(&self.cos)? - b.broadcast_mul(&self.sin)?)?;
        let second = (a.broadcast_mul(&self.sin)? + b.broadcast_mul(&self.cos)?)?;
        Tensor::cat(&[first, second], D::Minus1)?.contiguous()
    }
}

/// Softmax of `scores` `[B, heads, T, T]` over the last `window` positions up to the current one
/// and one further score per head, `sinks` `[heads]`, whose share is given to nothing.
///
/// # Errors
///
/// Fails if the shapes do not fit.
pub fn windowed_softmax(scores: &Tensor, sinks: &Tensor, window: usize) -> Result<Tensor> {
    if is_fast(scores) {
        return scores.contiguous()?.apply_op2(sinks, WindowedSoftmax { window });
    }
    let (_, heads, frames, _) = scores.dims4()?;
    let hidden = |t: usize, past: usize| past > t || t - past >= window;
    let mask: Vec<f32> = (0..frames)
        .flat_map(|t| (0..frames).map(move |past| if hidden(t, past) { -1e9 } else { 0.0 }))
        .collect();
    let mask = Tensor::from_vec(mask, (frames, frames), scores.device())?;
    let masked = scores.broadcast_add(&mask.to_dtype(scores.dtype())?)?;
    let sink = sinks.reshape((1, heads, 1, 1))?;
    let top = masked.max_keepdim(D::Minus1)?.broadcast_maximum(&sink)?.detach();
    let shares = masked.broadcast_sub(&top)?.exp()?;
    let rest = sink.broadcast_sub(&top)?.exp()?;
    shares.broadcast_div(&(shares.sum_keepdim(D::Minus1)? + rest)?)
}

struct WindowedSoftmax {
    window: usize,
}

impl WindowedSoftmax {
    /// First and last + 1 position that position `t` sees.
    fn span(&self, t: usize) -> std::ops::Range<usize> {
        (t + 1).saturating_sub(self.window)..t + 1
    }
}

impl CustomOp2 for WindowedSoftmax {
    fn name(&self) -> &'static str {
        "windowed-softmax"
    }

    fn cpu_fwd(
        &self,
        scores: &CpuStorage,
        layout: &Layout,
        sinks: &CpuStorage,
        sinks_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, heads, frames, _) = layout.shape().dims4()?;
        let (scores, sinks) = (slice(scores, layout)?, slice(sinks, sinks_layout)?);
        let mut out = vec![0.0; scores.len()];
        vectorized(|| {
            let rows = scores.chunks_exact(frames).zip(out.chunks_exact_mut(frames));
            for (row, (scores, out)) in rows.enumerate() {
                let sink = sinks[row / frames % heads];
                let span = self.span(row % frames);
                let (scores, out) = (&scores[span.clone()], &mut out[span]);
                let top = scores.iter().fold(sink, |m, &s| m.max(s));
                let mut sum = math::exp(sink - top);
                for (out, &score) in out.iter_mut().zip(scores) {
                    *out = math::exp(score - top);
                }
                sum += out.iter().sum::<f32>();
                out.iter_mut().for_each(|out| *out /= sum);
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(
        &self,
        scores: &Tensor,
        sinks: &Tensor,
        shares: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, heads, frames, _) = scores.dims4()?;
        let grad = grad.contiguous()?;
        let guards = (values(shares)?, values(&grad)?);
        let (shares, grads) = (guards.0.get()?, guards.1.get()?);
        let mut score_grad = vec![0.0; grads.len()];
        let mut sink_grad = vec![0.0; heads];
        vectorized(|| {
            for row in 0..grads.len() / frames {
                let span = self.span(row % frames);
                let at = |i: usize| row * frames + i;
                let range = at(span.start)..at(span.end);
                let (p, g) = (&shares[range.clone()], &grads[range.clone()]);
                let dot: f32 = p.iter().zip(g).map(|(p, g)| p * g).sum();
                let given: f32 = p.iter().sum();
                sink_grad[row / frames % heads] -= (1.0 - given) * dot;
                for ((out, p), g) in score_grad[range].iter_mut().zip(p).zip(g) {
                    *out = p * (g - dot);
                }
            }
        });
        let score_grad = Tensor::from_vec(score_grad, scores.shape(), scores.device())?;
        let sink_grad = Tensor::from_vec(sink_grad, sinks.shape(), sinks.device())?;
        Ok((Some(score_grad), Some(sink_grad.to_dtype(DType::F32)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{assert_close, assert_gradient, noise};
    use super::*;

    #[test]
    fn the_fast_softmax_agrees_with_the_plain_one() -> Result<()> {
        let (scores, sinks) = (noise(&[2, 3, 7, 7], 1)?, noise(&[3], 2)?);
        let wide = |t: &Tensor| t.to_dtype(DType::F64);
        let plain = windowed_softmax(&wide(&scores)?, &wide(&sinks)?, 4)?;
        assert_close(&windowed_softmax(&scores, &sinks, 4)?, &plain, 1e-5)
    }

    #[test]
    fn the_softmax_has_the_gradient_of_finite_differences() -> Result<()> {
        let (scores, sinks) = (noise(&[2, 3, 7, 7], 3)?, noise(&[3], 4)?);
        assert_gradient("softmax", &[&scores, &sinks], |v| windowed_softmax(&v[0], &v[1], 4))
    }

    #[test]
    fn a_transformer_layer_has_the_gradient_of_finite_differences() -> Result<()> {
        let shapes: [&[usize]; 12] = [
            &[2, 5, 8],
            &[8],
            &[8],
            &[24, 8],
            &[2],
            &[8, 8],
            &[8],
            &[8],
            &[8],
            &[16, 8],
            &[16],
            &[8, 16],
        ];
        let inputs =
            (1..).zip(shapes).map(|(i, s)| noise(s, i)).collect::<Result<Vec<Tensor>>>()?;
        let names = [
            "attention_norm.weight",
            "attention_norm.bias",
            "attention.qkv.weight",
            "attention.sinks",
            "attention.out.weight",
            "attention.out.bias",
            "mlp_norm.weight",
            "mlp_norm.bias",
            "up.weight",
            "up.bias",
            "down.weight",
        ];
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        assert_gradient("transformer layer", &inputs, |v| {
            let at = |name: &str| {
                let i = names.iter().position(|n| *n == name).expect("the name is listed");
                v[i + 1].clone()
            };
            let norm = |name: &str| {
                LayerNorm::of(at(&format!("{name}.weight")), at(&format!("{name}.bias")))
            };
            let layer = TransformerLayer {
                span: Span { heads: 2, window: 3, rotary: true },
                attention_norm: norm("attention_norm"),
                qkv: at("attention.qkv.weight"),
                sinks: at("attention.sinks"),
                out: Linear::of(at("attention.out.weight"), at("attention.out.bias")),
                mlp_norm: norm("mlp_norm"),
                up: Linear::of(at("up.weight"), at("up.bias")),
                down: Linear::of(at("down.weight"), at("attention.out.bias")),
            };
            layer.forward(&v[0])
        })
    }
}
