//! The named variables behind a trainable model.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var, bail};

use crate::bundle::{self, Tensors};

/// Variables by name, always walked in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Weights(BTreeMap<String, Var>);

impl Weights {
    /// Puts the tensors whose names start with `prefix` on `device`.
    ///
    /// # Errors
    ///
    /// Fails if the device is out of memory.
    pub fn from_tensors(tensors: &Tensors, prefix: &str, device: &Device) -> Result<Self> {
        let mut weights = Self::default();
        for (name, tensor) in tensors.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let values = Tensor::from_vec(tensor.to_f32(), tensor.shape(), device)?;
            weights.insert(name, values)?;
        }
        Ok(weights)
    }

    /// Adds a variable, or replaces it.
    ///
    /// # Errors
    ///
    /// Fails if the device is out of memory.
    pub fn insert(&mut self, name: &str, values: Tensor) -> Result<()> {
        self.0.insert(name.to_owned(), Var::from_tensor(&values)?);
        Ok(())
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.0.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// A view on the variables below `prefix`.
    #[must_use]
    pub fn scope(&self, prefix: &str) -> Scope<'_> {
        Scope { weights: self, prefix: prefix.to_owned() }
    }

    /// Number of values in all variables.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.0.values().map(|var| var.elem_count()).sum()
    }

    /// Copies the values to host memory.
    ///
    /// # Errors
    ///
    /// Fails if the device cannot be read.
    pub fn to_tensors(&self) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        for (name, var) in self.iter() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            let Some(tensor) = bundle::Tensor::f32(var.dims(), values) else {
                bail!("{name} does not have the size of its shape");
            };
            tensors.insert(name.to_owned(), tensor);
        }
        Ok(tensors)
    }
}

/// Variables below a dotted prefix, so that the path of a field is the name of its tensor.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl Scope<'_> {
    /// The scope `name` below this one.
    #[must_use]
    pub fn push(&self, name: impl std::fmt::Display) -> Self {
        Self { weights: self.weights, prefix: format!("{}.{name}", self.prefix) }
    }

    /// The tensor of the variable `name`; it follows the variable's updates.
    ///
    /// # Errors
    ///
    /// Fails if there is none of that name.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let path = format!("{}.{name}", self.prefix);
        match self.weights.0.get(&path) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => bail!("the weight {path} is missing"),
        }
    }
}
