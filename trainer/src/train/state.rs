//! What a stage of training has come to: all that it takes to go on from there, to the bit.

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Tensor, TensorData, Tensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A stage of training, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The codec is trained.
    Codec,
    /// The prior is trained.
    Prior,
}

impl Stage {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Prior => "prior",
        }
    }
}

/// What a stage of training has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The stage.
    pub stage: Stage,
    /// Updates made so far.
    pub step: u32,
    /// What is no array: the schedule, what was measured, sizes. JSON, of the stage's own making.
    pub text: String,
    /// Weights, the best so far, moments of the optimizer, statistics of the codebooks.
    pub tensors: Tensors,
}

/// The part of every state's text that others read.
#[derive(Deserialize)]
struct Sizes<C> {
    config: C,
}

impl State {
    /// Sizes of what is being trained: a `CodecConfig` or a `PriorConfig`.
    ///
    /// # Errors
    ///
    /// Fails if the state is of another stage, or of another program.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C> {
        Ok(self.read::<Sizes<C>>()?.config)
    }

    /// Reads its text.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let stage = self.stage.name();
        serde_json::from_str(&self.text).with_context(|| format!("cannot go on with this {stage}"))
    }

    /// The tensor `name`.
    pub(super) fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("the checkpoint lacks {name}"))
    }

    /// The 32-bit floats of the tensor `name`, of which there should be `count`.
    pub(super) fn floats(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let values = self.tensor(name)?.to_f32();
        ensure!(values.len() == count, "the checkpoint has a {name} of another size");
        Ok(values)
    }
}

/// All values of 32-bit floats as a tensor.
pub(super) fn flat(values: Vec<f32>) -> Tensor {
    Tensor::f32(&[values.len()], values).expect("the shape is the length")
}

/// Counts as a tensor of 16-bit halves, the lower ones first: a bundle has no wider integers.
pub(super) fn halves(counts: &[u32]) -> Tensor {
    #[expect(clippy::cast_possible_truncation, reason = "these are the lower halves")]
    let low = counts.iter().map(|&count| count as u16);
    let high = counts.iter().map(|&count| (count >> 16) as u16);
    let halves = low.chain(high).collect();
    Tensor::new(&[2, counts.len()], TensorData::U16(halves)).expect("there are two of each")
}

/// The counts that [`halves`] took apart; none if `tensor` is of another kind.
pub(super) fn counts(tensor: &Tensor) -> Option<Vec<u32>> {
    let TensorData::U16(halves) = tensor.data() else { return None };
    let (low, high) = halves.split_at_checked(halves.len() / 2)?;
    let whole = low.iter().zip(high).map(|(&low, &high)| u32::from(high) << 16 | u32::from(low));
    Some(whole.collect())
}

/// All values of 32-bit tensors, one tensor after the other.
pub(super) fn pack(tensors: &Tensors) -> Tensor {
    flat(tensors.values().flat_map(Tensor::to_f32).collect())
}

/// The tensors that [`pack`] packed, of the names and shapes of `like`.
pub(super) fn unpack(packed: &[f32], like: &Tensors) -> Result<Tensors> {
    let (mut rest, mut tensors) = (packed, Tensors::new());
    for (name, like) in like {
        let (own, others) = rest.split_at_checked(like.data().len()).context("too short")?;
        let tensor = Tensor::f32(like.shape(), own.to_vec()).context("of another shape")?;
        tensors.insert(name.clone(), tensor);
        rest = others;
    }
    ensure!(rest.is_empty(), "too long");
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_any_size_survive_being_halved() {
        let all = [0, 1, 65_535, 65_536, 123_456_789, u32::MAX];
        assert_eq!(counts(&halves(&all)).as_deref(), Some(&all[..]));
        assert_eq!(counts(&flat(vec![1.0])), None);
    }

    #[test]
    fn tensors_are_unpacked_as_they_were() {
        let one = |shape: &[usize], values| Tensor::f32(shape, values).unwrap();
        let tensors = Tensors::from([
            ("b".to_owned(), one(&[2, 1], vec![1.0, 2.0])),
            ("a".to_owned(), one(&[3], vec![-0.0, 4.0, 5.0])),
        ]);
        let packed = pack(&tensors).to_f32();
        assert_eq!(unpack(&packed, &tensors).unwrap(), tensors);
        assert!(unpack(&packed[1..], &tensors).is_err());
        assert!(unpack(&[&packed[..], &[0.0]].concat(), &tensors).is_err());
    }
}
