//! Tensors as a bundle stores them: named arrays in host memory.

use std::collections::BTreeMap;

use half::f16;

/// Named tensors, sorted by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// An array with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

/// The values of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 16-bit floats: weights at half the size.
    F16(Vec<f16>),
    /// 16-bit unsigned integers: codes.
    U16(Vec<u16>),
}

impl Tensor {
    /// Creates a tensor of 32-bit floats. `None` if `shape` does not hold exactly `values`.
    #[must_use]
    pub fn f32(shape: &[usize], values: Vec<f32>) -> Option<Self> {
        Self::new(shape, TensorData::F32(values))
    }

    /// Creates a tensor of 16-bit floats, each the nearest to its value. `None` as in [`Self::f32`].
    #[must_use]
    pub fn f16(shape: &[usize], values: &[f32]) -> Option<Self> {
        Self::new(shape, TensorData::F16(values.iter().map(|&v| f16::from_f32(v)).collect()))
    }

    /// Creates a tensor. `None` if `shape` does not hold exactly the values of `data`.
    #[must_use]
    pub fn new(shape: &[usize], data: TensorData) -> Option<Self> {
        let len = shape.iter().try_fold(1_usize, |len, &dim| len.checked_mul(dim))?;
        (len == data.len()).then(|| Self { shape: shape.to_vec(), data })
    }

    /// Its dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its values.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Its values as 32-bit floats; integers are converted.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            TensorData::F32(values) => values.clone(),
            TensorData::F16(values) => values.iter().map(|v| v.to_f32()).collect(),
            TensorData::U16(values) => values.iter().map(|&v| f32::from(v)).collect(),
        }
    }
}

impl TensorData {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::U16(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
