//! The tensors of a bundle on their way into packed layers.

use half::slice::HalfFloatSliceExt;
use pulp::Arch;

use super::elements::Norm;
use super::kernel::Linear;
use super::model::ModelError;
use crate::bundle::{TensorData, Tensors};
use crate::model::config::ModelConfig;

/// Tensors that are known to be exactly those that a config implies, to be packed for a set of
/// instructions.
pub(crate) struct Weights<'a> {
    tensors: &'a Tensors,
    arch: Arch,
}

impl<'a> Weights<'a> {
    /// Checks that every tensor of `config` is there in its shape. Others are left alone.
    pub(crate) fn check(
        config: &ModelConfig,
        tensors: &'a Tensors,
        arch: Arch,
    ) -> Result<Self, ModelError> {
        for (name, expected) in config.tensors() {
            match tensors.get(&name) {
                None => return Err(ModelError::Missing(name)),
                Some(tensor) if tensor.shape() != expected => {
                    let found = tensor.shape().to_vec();
                    return Err(ModelError::Shape { name, expected, found });
                }
                Some(_) => {}
            }
        }
        Ok(Self { tensors, arch })
    }

    /// The values of tensor `name`.
    ///
    /// # Panics
    ///
    /// Panics if the config implies no such tensor.
    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        let Some(tensor) = self.tensors.get(name) else {
            panic!("the config implies no tensor {name}");
        };
        match tensor.data() {
            TensorData::F16(values) => values.to_f32_vec(), // by the slice, with vector instructions
            _ => tensor.to_f32(),
        }
    }

    /// The linear layer `name` with a bias.
    pub(crate) fn linear(&self, name: &str, inputs: usize) -> Linear {
        let bias = self.values(&format!("{name}.bias"));
        self.pack(inputs, &self.values(&format!("{name}.weight")), &bias)
    }

    /// The linear layer of `weight`, `[out, in]`, and `bias`, `[out]`, or none if it is empty.
    pub(crate) fn pack(&self, inputs: usize, weight: &[f32], bias: &[f32]) -> Linear {
        Linear::new(self.arch, inputs, weight, bias)
    }

    /// The layer norm `name`.
    pub(crate) fn norm(&self, name: &str) -> Norm {
        let part = |part| self.values(&format!("{name}.{part}"));
        Norm { weight: part("weight"), bias: part("bias") }
    }
}
