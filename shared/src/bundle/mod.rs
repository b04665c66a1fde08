//! The bundle: one `.distill` file with everything that playing a trained model needs.

mod tensor;

pub use tensor::{Tensor, TensorData, Tensors};
