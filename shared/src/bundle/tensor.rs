//! Tensors as a bundle stores them: named arrays in host memory.

use std::collections::BTreeMap;

use half::f16;

// A tensor's bytes in memory are its bytes in a bundle, which are little-endian.
const _: () = assert!(cfg!(target_endian = "little"), "bundles are read on little-endian machines");

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
    /// 8-bit integers: weights in a file.
    I8(Vec<i8>),
    /// 8-bit unsigned integers: codes in a file.
    U8(Vec<u8>),
}

/// The type of the values of a [`Tensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit unsigned integers.
    U16,
    /// 8-bit integers.
    I8,
    /// 8-bit unsigned integers.
    U8,
}

impl Dtype {
    /// Its name in a safetensors header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::U16 => "U16",
            Self::I8 => "I8",
            Self::U8 => "U8",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::F32, Self::F16, Self::U16, Self::I8, Self::U8];
        all.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Bytes of one value.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::U16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }
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
            TensorData::I8(values) => values.iter().map(|&v| f32::from(v)).collect(),
            TensorData::U8(values) => values.iter().map(|&v| f32::from(v)).collect(),
        }
    }
}

impl TensorData {
    /// Reads values from their bytes in a bundle. A last value that is cut off is dropped.
    #[must_use]
    pub fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Self {
        match dtype {
            Dtype::F32 => Self::F32(aligned(bytes)),
            Dtype::F16 => Self::F16(aligned(bytes)),
            Dtype::U16 => Self::U16(aligned(bytes)),
            Dtype::I8 => Self::I8(aligned(bytes)),
            Dtype::U8 => Self::U8(aligned(bytes)),
        }
    }

    /// The values as they lie in a bundle: little-endian, without gaps.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::F16(values) => bytemuck::cast_slice(values),
            Self::U16(values) => bytemuck::cast_slice(values),
            Self::I8(values) => bytemuck::cast_slice(values),
            Self::U8(values) => values,
        }
    }

    /// The type of the values.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::U16(_) => Dtype::U16,
            Self::I8(_) => Dtype::I8,
            Self::U8(_) => Dtype::U8,
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Copies values out of bytes that may lie anywhere.
fn aligned<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    let mut values = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    let whole: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
    whole.copy_from_slice(&bytes[..whole.len()]);
    values
}
