//! Arithmetic of the player: matrix products on packed weights, and the element-wise rest.
//!
//! Every sum runs in an order that depends on its own length alone, never on how many frames are
//! computed at once, so that playing frame by frame gives the bits of playing all at once.
//! [`Arch`] chooses the instructions at run time; what it dispatches is a type whose `call` is
//! always inlined, since a closure may be compiled once for all instructions, the plainest. With fused multiply-add or without, results
//! differ by rounding; between processors that have it they do not.

use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};

use crate::math;

/// Outputs of a [`Linear`] that are computed together.
const PANEL: usize = 32;
/// Partial sums of a reduction.
const LANES: usize = 16;
/// What keeps the division of a layer norm finite.
const EPSILON: f32 = 1e-5;

/// Weights of [`PANEL`] outputs for one input, on cache lines of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Row([f32; PANEL]);

/// A linear layer `y = W x + b`, packed for the product of few rows with all weights.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    /// `[outputs / PANEL, 1 + inputs]`: per panel the bias, then the weights input by input.
    /// Outputs beyond the last are zero.
    rows: Vec<Row>,
}

impl Linear {
    /// Packs `weight`, `[out, in]`, and `bias`, `[out]`, or zero if it is empty.
    pub(crate) fn new(inputs: usize, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = weight.len() / inputs;
        let mut rows = vec![Row([0.0; PANEL]); outputs.div_ceil(PANEL) * (1 + inputs)];
        for (p, panel) in rows.chunks_exact_mut(1 + inputs).enumerate() {
            let columns = p * PANEL..outputs.min((p + 1) * PANEL);
            if !bias.is_empty() {
                panel[0].0[..columns.len()].copy_from_slice(&bias[columns.clone()]);
            }
            let weight = &weight[columns.start * inputs..columns.end * inputs];
            for (i, row) in panel[1..].iter_mut().enumerate() {
                for (to, from) in row.0.iter_mut().zip(weight[i..].iter().step_by(inputs)) {
                    *to = *from;
                }
            }
        }
        Self { inputs, outputs, rows }
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Applies the layer to each of the rows of `input`, `[T, in]`, into `output`, `[T, out]`.
    pub(crate) fn apply(&self, arch: Arch, input: &[f32], output: &mut [f32]) {
        debug_assert_eq!(input.len() / self.inputs, output.len() / self.outputs, "rows agree");
        arch.dispatch(Product { linear: self, input, output });
    }
}

/// One application of a [`Linear`].
struct Product<'a> {
    linear: &'a Linear,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The registers that a row of weights fills.
        match S::F32_LANES {
            16 => self.run::<S, 2>(simd),
            8 => self.run::<S, 4>(simd),
            4 => self.run::<S, 8>(simd),
            _ => self.run::<S, PANEL>(simd),
        }
    }
}

impl Product<'_> {
    /// Panel by panel, so that its weights are fetched once for all rows, two rows at a time.
    #[inline(always)]
    fn run<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let Linear { inputs, outputs, ref rows } = *self.linear;
        for (p, panel) in rows.chunks_exact(1 + inputs).enumerate() {
            let columns = p * PANEL..outputs.min((p + 1) * PANEL);
            let mut frames = self.input.chunks_exact(inputs);
            let mut results = self.output.chunks_exact_mut(outputs);
            while let (Some(first), Some(to_first)) = (frames.next(), results.next()) {
                if let (Some(second), Some(to_second)) = (frames.next(), results.next()) {
                    let [a, b] = tile::<S, REGISTERS, 2>(simd, panel, [first, second]);
                    to_first[columns.clone()].copy_from_slice(&a.0[..columns.len()]);
                    to_second[columns.clone()].copy_from_slice(&b.0[..columns.len()]);
                } else {
                    let [a] = tile::<S, REGISTERS, 1>(simd, panel, [first]);
                    to_first[columns.clone()].copy_from_slice(&a.0[..columns.len()]);
                }
            }
        }
    }
}

/// The outputs of one panel for some rows of input.
#[inline(always)]
fn tile<S: Simd, const REGISTERS: usize, const ROWS: usize>(
    simd: S,
    panel: &[Row],
    inputs: [&[f32]; ROWS],
) -> [Row; ROWS] {
    let (bias, weights) = panel.split_at(1);
    let inputs = inputs.map(|row| &row[..weights.len()]);
    let mut sums = [load::<S, REGISTERS>(&bias[0]); ROWS];
    for (i, weights) in weights.iter().enumerate() {
        let weights = load::<S, REGISTERS>(weights);
        for (sums, row) in sums.iter_mut().zip(inputs) {
            let x = simd.splat_f32s(row[i]);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_e_f32s(weight, x, *sum);
            }
        }
    }
    sums.map(|sums| {
        let mut row = Row([0.0; PANEL]);
        S::as_mut_simd_f32s(&mut row.0).0.copy_from_slice(&sums);
        row
    })
}

/// A row of weights in registers.
#[inline(always)]
fn load<S: Simd, const REGISTERS: usize>(row: &Row) -> [S::f32s; REGISTERS] {
    let registers = S::as_simd_f32s(&row.0).0;
    std::array::from_fn(|i| registers[i])
}

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

    fn layer(inputs: usize, outputs: usize) -> (Linear, Vec<f32>, Vec<f32>) {
        let (weight, bias) = (noise(1, inputs * outputs), noise(2, outputs));
        (Linear::new(inputs, &weight, &bias), weight, bias)
    }

    fn applied(linear: &Linear, arch: Arch, input: &[f32]) -> Vec<f32> {
        let mut output = vec![f32::NAN; input.len() / linear.inputs * linear.outputs];
        linear.apply(arch, input, &mut output);
        output
    }

    #[test]
    fn a_linear_layer_multiplies_and_adds() {
        let (inputs, outputs, frames) = (19, 70, 3); // no multiples of a panel
        let (linear, weight, bias) = layer(inputs, outputs);
        let input = noise(3, frames * inputs);
        let output = applied(&linear, Arch::new(), &input);
        for (t, x) in input.chunks(inputs).enumerate() {
            for (o, w) in weight.chunks(inputs).enumerate() {
                let exact = w.iter().zip(x).map(|(w, x)| f64::from(w * x)).sum::<f64>()
                    + f64::from(bias[o]);
                let found = f64::from(output[t * outputs + o]);
                assert!(
                    (found - exact).abs() < 1e-5,
                    "frame {t}, output {o}: {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn rows_do_not_notice_each_other() {
        let (linear, ..) = layer(33, 65);
        let input = noise(4, 5 * 33);
        let all = applied(&linear, Arch::new(), &input);
        let each: Vec<f32> =
            input.chunks(33).flat_map(|row| applied(&linear, Arch::new(), row)).collect();
        assert_eq!(all, each);
    }

    #[test]
    fn plain_instructions_give_the_same_up_to_rounding() {
        let (linear, ..) = layer(300, 40);
        let input = noise(5, 2 * 300);
        let (fast, plain) =
            (applied(&linear, Arch::new(), &input), applied(&linear, Arch::Scalar, &input));
        for (fast, plain) in fast.iter().zip(&plain) {
            assert!((fast - plain).abs() < 1e-5, "{fast} and {plain}");
        }
    }

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
}
