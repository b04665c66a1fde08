//! How tensors lie in a file: in half the bytes that they have in memory, where nothing is lost by it.
//!
//! A tensor that came out of [`Tensor::rounded`] consists of whole numbers of at most [`MOST`] times a *step*,
//! one step for every [`BLOCK`] values of a row. A step has four significant bits, so each product has eleven
//! and is a 16-bit float to the bit. In memory there are these floats; in a file the whole numbers, and a
//! tensor of steps beside them. Codes below 256 lie in a byte each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{BundleError, Tensor, TensorData, Tensors};

/// Values of a row that share a step.
const BLOCK: usize = 64;
/// The largest whole number.
const MOST: f32 = 127.0;
/// The exponent of the smallest 16-bit float, of which every step is a multiple.
const LEAST_EXPONENT: i32 = -24;
/// What follows the name of a tensor in that of its steps.
const STEPS: &str = ".steps";
/// Bytes of a file that a further tensor takes: its place in the header.
const PLACE: usize = 128;

impl Tensor {
    /// The tensor with each value rounded so that it takes a byte in a file: in memory these are 16-bit
    /// floats. The error is at most half a step, 0.45 % of the largest of 64 neighbours in a row and half
    /// of the least 16-bit float. What was rounded before stays as it is.
    #[must_use]
    pub fn rounded(&self) -> Self {
        let mut values = self.to_f32();
        for block in values.chunks_mut(row_len(self)).flat_map(|row| row.chunks_mut(BLOCK)) {
            let step = step_of(block).unwrap_or_else(|| step_at_least(largest(block) / MOST));
            let round = |value: f32| if step > 0.0 { (value / step).round() * step } else { 0.0 };
            // What rounds to zero from below is zero, too.
            block.iter_mut().for_each(|value| *value = round(*value) + 0.0);
        }
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(&values);
        Self::new(self.shape(), TensorData::F16(halves)).expect("there are as many as before")
    }
}

/// Tensors by name, some of them packed.
pub(super) type Packed<'a> = BTreeMap<Cow<'a, str>, Cow<'a, Tensor>>;

/// `tensors` as they lie in a file.
pub(super) fn packed<'a>(tensors: &BTreeMap<&'a str, &'a Tensor>) -> Packed<'a> {
    let mut stored = BTreeMap::new();
    for (&name, &tensor) in tensors {
        let short = match tensor.data() {
            TensorData::F16(values) => in_steps(tensor, values).map(|(numbers, steps)| {
                stored.insert(Cow::Owned(format!("{name}{STEPS}")), Cow::Owned(steps));
                numbers
            }),
            TensorData::U16(codes) => {
                let bytes = codes.iter().map(|&code| u8::try_from(code)).collect::<Result<_, _>>();
                bytes.ok().and_then(|bytes| Tensor::new(tensor.shape(), TensorData::U8(bytes)))
            }
            TensorData::F32(_) | TensorData::I8(_) | TensorData::U8(_) => None,
        };
        stored.insert(Cow::Borrowed(name), short.map_or(Cow::Borrowed(tensor), Cow::Owned));
    }
    stored
}

/// The tensors that lie in a file.
pub(super) fn by_name<'a>(packed: &'a Packed) -> BTreeMap<&'a str, &'a Tensor> {
    packed.iter().map(|(name, tensor)| (name.as_ref(), tensor.as_ref())).collect()
}

/// Brings tensors out of a file into the form that they have in memory.
///
/// # Errors
///
/// Fails if a step has more than four significant bits, or a whole number is below -[`MOST`]: products of
/// these need not be 16-bit floats.
pub(super) fn unpack(tensors: &mut Tensors) -> Result<(), BundleError> {
    let short = |tensor: &Tensor| matches!(tensor.data(), TensorData::I8(_) | TensorData::U8(_));
    let names: Vec<_> = tensors.iter().filter(|(_, t)| short(t)).map(|(n, _)| n.clone()).collect();
    for name in names {
        let steps = tensors.remove(&steps_of(&name));
        let Some(tensor) = tensors.get_mut(&name) else { continue };
        let data = match (tensor.data(), steps.as_ref().map(Tensor::data)) {
            (TensorData::I8(numbers), Some(TensorData::F16(steps))) => {
                let values = multiplied(numbers, row_len(tensor), steps);
                TensorData::F16(values.ok_or_else(|| BundleError::Weight(name.clone()))?)
            }
            (TensorData::U8(codes), _) => {
                TensorData::U16(codes.iter().map(|&code| code.into()).collect())
            }
            _ => continue,
        };
        *tensor = Tensor::new(tensor.shape(), data).expect("there are as many as before");
    }
    Ok(())
}

/// The name of the steps of tensor `name`.
pub(super) fn steps_of(name: &str) -> String {
    format!("{name}{STEPS}")
}

/// The shape of the steps of a tensor of `shape`: `[rows, blocks in a row]`.
pub(super) fn steps_shape(shape: &[usize]) -> Vec<usize> {
    let (row, outer) = shape.split_last().unwrap_or((&1, &[]));
    vec![outer.iter().product(), row.div_ceil(BLOCK)]
}

/// The whole numbers and the steps of a tensor of `values`, if these are such and a file gains by it.
fn in_steps(tensor: &Tensor, values: &[f16]) -> Option<(Tensor, Tensor)> {
    let shape = steps_shape(tensor.shape());
    if values.len() <= 2 * shape.iter().product::<usize>() + PLACE {
        return None;
    }
    let (mut numbers, mut steps) = (Vec::with_capacity(values.len()), Vec::new());
    let mut wide = [0.0; BLOCK];
    for block in values.chunks(row_len(tensor)).flat_map(|row| row.chunks(BLOCK)) {
        let wide = &mut wide[..block.len()];
        block.convert_to_f32_slice(wide);
        let step = step_of(wide)?;
        // A step of nothing is one of zeros alone.
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 127")]
        numbers.extend(wide.iter().map(|v| if step > 0.0 { (v / step) as i8 } else { 0 }));
        steps.push(f16::from_f32(step));
    }
    let numbers = Tensor::new(tensor.shape(), TensorData::I8(numbers))?;
    Some((numbers, Tensor::new(&shape, TensorData::F16(steps))?))
}

/// The smallest step of which all of `values` are whole multiples of at most [`MOST`], if there is one that
/// [`Tensor::rounded`] could have chosen.
fn step_of(values: &[f32]) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "what is cut off is found missing")]
    let is_whole = |value: f32, step: f32| f32::from((value / step) as i8) * step == value;
    let has_no_sign = |value: f32| value != 0.0 || value.is_sign_positive();
    let largest = largest(values);
    if !largest.is_finite() || !values.iter().all(|&value| has_no_sign(value)) {
        return None;
    }
    if largest == 0.0 {
        return Some(0.0);
    }
    let after = |step: &f32| Some(step_at_least(step * 1.001)); // nearer than any two steps are
    let mut steps =
        std::iter::successors(Some(step_at_least(largest / MOST)), after).take_while(|step| {
            largest >= step * MOST / 2.0 || *step <= step_at_least(f32::MIN_POSITIVE)
        });
    steps.find(|&step| values.iter().all(|&value| is_whole(value, step)))
}

/// `numbers`, in rows of `row` values, times their `steps`.
fn multiplied(numbers: &[i8], row: usize, steps: &[f16]) -> Option<Vec<f16>> {
    let mut values = vec![f16::ZERO; numbers.len()];
    let blocks = numbers.chunks(row).flat_map(|row| row.chunks(BLOCK));
    let out = values.chunks_mut(row).flat_map(|row| row.chunks_mut(BLOCK));
    let mut wide = [0.0; BLOCK];
    for ((block, out), step) in blocks.zip(out).zip(steps) {
        let step = step.to_f32();
        let is_step = step >= 0.0 && step.is_finite() && step_at_least(step) == step;
        if !is_step || block.contains(&i8::MIN) {
            return None;
        }
        let wide = &mut wide[..block.len()];
        for (value, &number) in wide.iter_mut().zip(block) {
            *value = f32::from(number) * step;
        }
        out.convert_from_f32_slice(wide);
    }
    Some(values)
}

/// The smallest number of four significant bits that is at least `least`.
fn step_at_least(least: f32) -> f32 {
    if least <= 0.0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a float is small")]
    let exponent = (least.log2().floor() as i32 - 3).max(LEAST_EXPONENT);
    let unit = 2.0_f32.powi(exponent);
    (least / unit).ceil() * unit
}

/// The largest magnitude.
fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// Values of a row: of the last dimension.
fn row_len(tensor: &Tensor) -> usize {
    tensor.shape().last().map_or(1, |&len| len.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::{TakeKey, uniform};

    /// Rows of very different sizes, which end within a block.
    fn weights() -> Tensor {
        let shape = [40, 150];
        let key = TakeKey { seed: 1, take: 0 };
        let values: Vec<f32> = (0..40 * 150).map(|i| uniform(key, i, 0) - 0.5).collect();
        let size = |i: usize| 2.0_f32.powi(i32::try_from(i % 37).unwrap() - 27);
        let values = values.chunks(150).enumerate();
        let values = values.flat_map(|(i, row)| row.iter().map(move |value| value * size(i)));
        Tensor::f32(&shape, values.collect()).unwrap()
    }

    fn in_file<'a>(name: &'a str, tensor: &'a Tensor) -> Tensors {
        let stored = packed(&BTreeMap::from([(name, tensor)]));
        stored.into_iter().map(|(name, tensor)| (name.into_owned(), tensor.into_owned())).collect()
    }

    #[test]
    fn rounded_weights_take_half_the_bytes_and_come_back_to_the_bit() {
        let rounded = weights().rounded();
        let mut stored = in_file("w", &rounded);
        assert_eq!(stored["w"].data().bytes().len(), 40 * 150);
        assert_eq!(stored["w.steps"].shape(), [40, 3]);
        unpack(&mut stored).unwrap();
        assert!(stored == Tensors::from([("w".to_owned(), rounded.clone())]));
        assert!(rounded.rounded() == rounded, "it was rounded again");
    }

    #[test]
    fn a_rounded_value_is_off_by_a_small_part_of_the_largest_beside_it() {
        let (exact, rounded) = (weights().to_f32(), weights().rounded().to_f32());
        let blocks = exact.chunks(150).zip(rounded.chunks(150));
        let blocks = blocks.flat_map(|(a, b)| a.chunks(BLOCK).zip(b.chunks(BLOCK)));
        for (exact, rounded) in blocks {
            let most = 0.0045 * largest(exact) + 2.0_f32.powi(LEAST_EXPONENT - 1);
            for (exact, rounded) in exact.iter().zip(rounded) {
                assert!((exact - rounded).abs() <= most, "{exact} became {rounded}");
            }
        }
    }

    #[test]
    fn what_would_lose_by_it_lies_in_a_file_as_it_is() {
        let halves = Tensor::f16(&[40, 150], &weights().to_f32()).unwrap();
        assert_eq!(in_file("w", &halves), Tensors::from([("w".to_owned(), halves)]));
        let mut signed = weights().rounded().to_f32();
        signed[0] = -0.0;
        let signed = Tensor::f16(&[40, 150], &signed).unwrap();
        assert_eq!(in_file("w", &signed).len(), 1);
        let few = Tensor::f16(&[4], &[0.0; 4]).unwrap();
        assert_eq!(in_file("w", &few), Tensors::from([("w".to_owned(), few)]));
    }

    #[test]
    fn codes_below_256_take_a_byte_each() {
        for (most, bytes) in [(255, 3), (256, 6)] {
            let codes = Tensor::new(&[3], TensorData::U16(vec![0, 7, most])).unwrap();
            let mut stored = in_file("c", &codes);
            assert_eq!(stored["c"].data().bytes().len(), bytes);
            unpack(&mut stored).unwrap();
            assert_eq!(stored["c"], codes);
        }
    }

    #[test]
    fn numbers_whose_products_are_no_16_bit_floats_are_refused() {
        let rounded = weights().rounded();
        let damaged = |numbers: i8, step: f32| {
            let mut stored = in_file("w", &rounded);
            let TensorData::I8(mut data) = stored["w"].data().clone() else { panic!("no bytes") };
            data[0] = numbers;
            stored.insert("w".to_owned(), Tensor::new(&[40, 150], TensorData::I8(data)).unwrap());
            let mut steps = stored["w.steps"].to_f32();
            steps[0] = step;
            stored.insert("w.steps".to_owned(), Tensor::f16(&[40, 3], &steps).unwrap());
            unpack(&mut stored)
        };
        assert!(damaged(-127, 0.25).is_ok());
        for (number, step) in [(-128, 0.25), (1, 17.0 / 64.0), (1, -0.25), (1, f32::NAN)] {
            let refused = damaged(number, step);
            assert!(matches!(refused, Err(BundleError::Weight(_))), "{number} times {step}");
        }
    }
}
