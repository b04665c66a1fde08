//! The arithmetic of the player that is no matrix product: norms, sums, functions of one value.
//!
//! What is dispatched is a type whose `call` is always inlined: a closure may be compiled once for
//! all instruction sets, the plainest.

use pulp::{Arch, NullaryFnOnce};

use crate::math;

/// Partial sums of a reduction.
const LANES: usize = 16;
/// What keeps the division of a layer norm finite.
const EPSILON: f32 = 1e-5;

/// A layer norm over the channels of each row.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    /// `[W]`.
    pub(crate) weight: Vec<f32>,
    /// `[W]`.
    pub(crate) bias: Vec<f32>,
}

impl Norm {
    /// Normalises each row of `input`, `[T, W]`, into `output`.
    pub(crate) fn apply(&self, arch: Arch, input: &[f32], output: &mut [f32]) {
        arch.dispatch(Normalise { norm: self, input, output });
    }
}

/// One application of a [`Norm`].
struct Normalise<'a> {
    norm: &'a Norm,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl NullaryFnOnce for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Norm { weight, bias } = self.norm;
        let width = weight.len();
        let rows = self.input.chunks_exact(width).zip(self.output.chunks_exact_mut(width));
        for (x, y) in rows {
            let mean = sum_of(x, |x| x) / width as f32;
            let variance = sum_of(x, |x| (x - mean) * (x - mean)) / width as f32;
            let scale = 1.0 / (variance + EPSILON).sqrt();
            for (((y, x), weight), bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                *y = (x - mean) * scale * weight + bias;
            }
        }
    }
}

/// Applies [`math::gelu`] to every value.
pub(crate) struct Gelu<'a>(pub(crate) &'a mut [f32]);

impl NullaryFnOnce for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for x in self.0 {
            *x = math::gelu(*x);
        }
    }
}

/// Adds the second to the first, value by value.
pub(crate) struct Add<'a>(pub(crate) &'a mut [f32], pub(crate) &'a [f32]);

impl NullaryFnOnce for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (sum, x) in self.0.iter_mut().zip(self.1) {
            *sum += x;
        }
    }
}

/// Sum of `term` over `values`, in an order that depends on their number alone.
#[inline(always)]
pub(crate) fn sum_of(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += term(x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += term(x);
    }
    sums.iter().sum()
}

/// The largest of `values`.
#[inline(always)]
pub(crate) fn max_of(values: &[f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (max, &x) in largest.iter_mut().zip(chunk) {
            *max = if x > *max { x } else { *max };
        }
    }
    largest.iter().chain(rest).fold(f32::NEG_INFINITY, |max, &x| max.max(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::random::noise;

    #[test]
    fn a_norm_leaves_mean_zero_and_variance_one() {
        let norm = Norm { weight: vec![1.0; 37], bias: vec![0.0; 37] };
        let input: Vec<f32> = noise(6, 2 * 37).iter().map(|x| 3.0 * x + 5.0).collect();
        let mut output = vec![f32::NAN; input.len()];
        norm.apply(Arch::new(), &input, &mut output);
        for row in output.chunks(37) {
            let mean = row.iter().sum::<f32>() / 37.0;
            let variance = row.iter().map(|x| x * x).sum::<f32>() / 37.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3, "{mean}, {variance}");
        }
    }

    #[test]
    fn sums_and_maxima_miss_no_value() {
        for len in [0, 1, 15, 16, 17, 40] {
            let values: Vec<f32> = (0_u8..).take(len).map(f32::from).collect();
            let last = values.last().copied();
            assert_eq!(sum_of(&values, |x| x), values.iter().sum::<f32>());
            assert_eq!(max_of(&values), last.unwrap_or(f32::NEG_INFINITY));
            let negative: Vec<f32> = values.iter().map(|x| -1.0 - x).collect();
            assert_eq!(max_of(&negative), last.map_or(f32::NEG_INFINITY, |_| -1.0));
        }
    }
}
