//! The bricks that codec and prior are built from. Channels-last: the last dimension is `C`.

use candle_core::{Result, Tensor};

use super::conv::causal_depthwise;
use super::ops;
use super::weights::Scope;

/// `y = W x + b` on the last dimension. Weights: `weight` `[out, in]`, `bias` `[out]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    #[cfg(test)]
    pub(super) fn of(weight: Tensor, bias: Tensor) -> Self {
        Self { weight, bias }
    }

    /// Takes its weights from `scope`.
    ///
    /// # Errors
    ///
    /// Fails if a weight is missing.
    pub fn new(scope: &Scope) -> Result<Self> {
        Ok(Self { weight: scope.get("weight")?, bias: scope.get("bias")? })
    }

    /// `[.., in]` to `[.., out]`.
    ///
    /// # Errors
    ///
    /// Fails if the last dimension is not `in`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::add_bias(&project(x, &self.weight)?, &self.bias)
    }
}

/// `W x` on the last dimension: `x` `[.., in]`, `weight` `[out, in]`.
///
/// # Errors
///
/// Fails if the last dimension of `x` is not `in`.
pub fn project(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    let rows = x.contiguous()?.reshape(((), inputs))?;
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    rows.matmul(&weight.t()?)?.reshape(dims)
}

/// Layer norm. Weights: `weight` and `bias`, `[C]`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    #[cfg(test)]
    pub(super) fn of(weight: Tensor, bias: Tensor) -> Self {
        Self { weight, bias }
    }

    /// Takes its weights from `scope`.
    ///
    /// # Errors
    ///
    /// Fails if a weight is missing.
    pub fn new(scope: &Scope) -> Result<Self> {
        Ok(Self { weight: scope.get("weight")?, bias: scope.get("bias")? })
    }

    /// `[.., C]` to the same shape.
    ///
    /// # Errors
    ///
    /// Fails if the last dimension is not `C`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x, &self.weight, &self.bias)
    }
}

/// Causal ConvNeXt block (Liu et al. 2022, <https://arxiv.org/abs/2201.03545>; over frames of sound
/// as in Vocos, Siuzdak 2023, <https://arxiv.org/abs/2306.00814>).
#[derive(Debug, Clone)]
pub struct ConvNeXt {
    conv_weight: Tensor,
    conv_bias: Tensor,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
    scale: Tensor,
}

impl ConvNeXt {
    /// Takes its weights from `scope`.
    ///
    /// # Errors
    ///
    /// Fails if a weight is missing.
    pub fn new(scope: &Scope) -> Result<Self> {
        Ok(Self {
            conv_weight: scope.get("conv.weight")?,
            conv_bias: scope.get("conv.bias")?,
            norm: LayerNorm::new(&scope.push("norm"))?,
            up: Linear::new(&scope.push("up"))?,
            down: Linear::new(&scope.push("down"))?,
            scale: scope.get("scale")?,
        })
    }

    /// `[B, T, C]` to the same shape.
    ///
    /// # Errors
    ///
    /// Fails if the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = causal_depthwise(x, &self.conv_weight, &self.conv_bias)?;
        let y = ops::gelu(&self.up.forward(&self.norm.forward(&y)?)?)?;
        ops::add_scaled(x, &self.down.forward(&y)?, &self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{assert_gradient, noise};
    use super::*;

    #[test]
    fn a_linear_layer_has_the_gradient_of_finite_differences() -> Result<()> {
        let (x, w, b) = (noise(&[2, 5, 6], 1)?, noise(&[4, 6], 2)?, noise(&[4], 3)?);
        assert_gradient("linear", &[&x, &w, &b], |v| {
            Linear { weight: v[1].clone(), bias: v[2].clone() }.forward(&v[0])
        })
    }

    #[test]
    fn a_convnext_block_has_the_gradient_of_finite_differences() -> Result<()> {
        let shapes: [&[usize]; 10] =
            [&[2, 9, 4], &[7, 4], &[4], &[4], &[4], &[12, 4], &[12], &[4, 12], &[4], &[4]];
        let inputs =
            (1..).zip(shapes).map(|(i, s)| noise(s, i)).collect::<Result<Vec<Tensor>>>()?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        assert_gradient("convnext", &inputs, |v| {
            let block = ConvNeXt {
                conv_weight: v[1].clone(),
                conv_bias: v[2].clone(),
                norm: LayerNorm { weight: v[3].clone(), bias: v[4].clone() },
                up: Linear { weight: v[5].clone(), bias: v[6].clone() },
                down: Linear { weight: v[7].clone(), bias: v[8].clone() },
                scale: v[9].clone(),
            };
            block.forward(&v[0])
        })
    }
}
