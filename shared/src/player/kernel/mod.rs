//! Matrix products on packed weights, the bulk of what the player computes.
//!
//! Every sum runs in an order that depends on its own length alone, never on how many frames are
//! computed at once, so that playing frame by frame gives the bits of playing all at once.
//! [`Arch`] chooses the instructions at run time. With fused multiply-add or without, results
//! differ by rounding; between processors that have it they do not.
//!
//! With few rows, a product is as fast as its weights arrive from memory. Weights that 16-bit
//! floats can hold are therefore packed into them, without loss, where there are instructions that
//! widen them.

mod half;

use std::ops::Range;

use half::HalfRow;
use pulp::{Arch, Simd, WithSimd};

/// Outputs of a [`Linear`] that are computed together.
const PANEL: usize = 32;

/// A linear layer `y = W x + b`, packed for the product of few rows with all weights.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    /// `[outputs / PANEL]`; zero beyond the last output.
    bias: Vec<Row>,
    weights: Packed,
}

/// Weights, `[outputs / PANEL, inputs]`; zero beyond the last output.
#[derive(Debug, Clone)]
enum Packed {
    /// As they are.
    Full(Vec<Row>),
    /// In 16 bits each.
    Half(Vec<HalfRow>),
}

/// Values of [`PANEL`] outputs, on cache lines of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Row([f32; PANEL]);

impl Linear {
    /// Packs `weight`, `[out, in]`, and `bias`, `[out]`, or zero if it is empty, as suits `arch`.
    pub(crate) fn new(arch: Arch, inputs: usize, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = weight.len() / inputs;
        let mut packed_bias = vec![Row([0.0; PANEL]); outputs.div_ceil(PANEL)];
        for (row, bias) in packed_bias.iter_mut().zip(bias.chunks(PANEL)) {
            row.0[..bias.len()].copy_from_slice(bias);
        }
        let weights = if half::suits(arch) && half::holds(weight) {
            Packed::Half(pack(inputs, weight, HalfRow::new))
        } else {
            Packed::Full(pack(inputs, weight, |row| *row))
        };
        Self { inputs, outputs, bias: packed_bias, weights }
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Applies the layer to each of the rows of `input`, `[T, in]`, into `output`, `[T, out]`.
    pub(crate) fn apply(&self, arch: Arch, input: &[f32], output: &mut [f32]) {
        debug_assert_eq!(input.len() / self.inputs, output.len() / self.outputs, "rows agree");
        match &self.weights {
            Packed::Full(weights) => {
                arch.dispatch(Product { linear: self, weights, input, output });
            }
            Packed::Half(weights) => {
                half::apply(arch, Product { linear: self, weights, input, output });
            }
        }
    }
}

/// Brings `weight`, `[out, in]`, into the order of panels, each row as `pack` makes it.
fn pack<R>(inputs: usize, weight: &[f32], pack: impl Fn(&Row) -> R) -> Vec<R> {
    // So many inputs at a time that a cache line of each output is read once.
    const BLOCK: usize = 16;
    let panels = weight.chunks(PANEL * inputs);
    let mut packed = Vec::with_capacity(panels.len() * inputs);
    for panel in panels {
        for first in (0..inputs).step_by(BLOCK) {
            let mut rows = [Row([0.0; PANEL]); BLOCK];
            let block = first..inputs.min(first + BLOCK);
            for (lane, weight) in panel.chunks_exact(inputs).enumerate() {
                for (row, value) in rows.iter_mut().zip(&weight[block.clone()]) {
                    row.0[lane] = *value;
                }
            }
            packed.extend(rows[..block.len()].iter().map(&pack));
        }
    }
    packed
}

/// A row that can be brought into the registers it fills.
trait Load<S: Simd> {
    /// The row as floats, output by output.
    fn load<const REGISTERS: usize>(&self, simd: S) -> [S::f32s; REGISTERS];
}

impl<S: Simd> Load<S> for Row {
    #[inline(always)]
    fn load<const REGISTERS: usize>(&self, _: S) -> [S::f32s; REGISTERS] {
        let registers = S::as_simd_f32s(&self.0).0;
        std::array::from_fn(|i| registers[i])
    }
}

/// One application of a [`Linear`].
struct Product<'a, R> {
    linear: &'a Linear,
    weights: &'a [R],
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Product<'_, Row> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The registers that a row fills.
        match S::F32_LANES {
            16 => self.run::<S, 2>(simd),
            8 => self.run::<S, 4>(simd),
            4 => self.run::<S, 8>(simd),
            _ => self.run::<S, PANEL>(simd),
        }
    }
}

impl<R> Product<'_, R> {
    /// Panel by panel, so that its weights are fetched once for all rows: as many rows at a time
    /// as the registers hold sums of.
    #[inline(always)]
    fn run<S: Simd, const REGISTERS: usize>(self, simd: S)
    where
        R: Load<S>,
    {
        let Linear { inputs, outputs, ref bias, .. } = *self.linear;
        for (p, (panel, bias)) in self.weights.chunks_exact(inputs).zip(bias).enumerate() {
            let tile = Tile { bias, panel, outputs };
            let columns = p * PANEL..outputs.min((p + 1) * PANEL);
            let (mut input, mut output) = (self.input, &mut *self.output);
            while !input.is_empty() {
                let rows = input.len() / inputs;
                let done = if rows >= 4 && REGISTERS <= 2 {
                    tile.fill::<S, REGISTERS, 4>(simd, input, &columns, output)
                } else if rows >= 2 {
                    tile.fill::<S, REGISTERS, 2>(simd, input, &columns, output)
                } else {
                    tile.fill::<S, REGISTERS, 1>(simd, input, &columns, output)
                };
                (input, output) = (&input[done * inputs..], &mut output[done * outputs..]);
            }
        }
    }
}

/// The weights of one panel.
struct Tile<'a, R> {
    bias: &'a Row,
    panel: &'a [R],
    /// Outputs of all panels.
    outputs: usize,
}

impl<R> Tile<'_, R> {
    /// Writes `columns` of the first rows of output, `[T, out]`, from those of `input`, `[T, in]`;
    /// how many rows.
    #[inline(always)]
    fn fill<S: Simd, const REGISTERS: usize, const ROWS: usize>(
        &self,
        simd: S,
        input: &[f32],
        columns: &Range<usize>,
        output: &mut [f32],
    ) -> usize
    where
        R: Load<S>,
    {
        let inputs = self.panel.len();
        let rows = std::array::from_fn(|row| &input[row * inputs..]);
        let sums = self.apply::<S, REGISTERS, ROWS>(simd, rows);
        for (sums, row) in sums.iter().zip(output.chunks_exact_mut(self.outputs)) {
            row[columns.clone()].copy_from_slice(&sums.0[..columns.len()]);
        }
        ROWS
    }

    /// The outputs of the panel for some rows of input.
    #[inline(always)]
    fn apply<S: Simd, const REGISTERS: usize, const ROWS: usize>(
        &self,
        simd: S,
        inputs: [&[f32]; ROWS],
    ) -> [Row; ROWS]
    where
        R: Load<S>,
    {
        let inputs = inputs.map(|row| &row[..self.panel.len()]);
        let mut sums = [Load::<S>::load::<REGISTERS>(self.bias, simd); ROWS];
        for (i, weights) in self.panel.iter().enumerate() {
            let weights = weights.load::<REGISTERS>(simd);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::instruction_sets;
    use crate::player::random::noise;

    fn layer(inputs: usize, outputs: usize) -> (Linear, Vec<f32>, Vec<f32>) {
        let (weight, bias) = (noise(1, inputs * outputs), noise(2, outputs));
        (Linear::new(Arch::new(), inputs, &weight, &bias), weight, bias)
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
        for arch in instruction_sets() {
            let each: Vec<f32> =
                input.chunks(33).flat_map(|row| applied(&linear, arch, row)).collect();
            for rows in 1..=5 {
                let some = applied(&linear, arch, &input[..rows * 33]);
                assert_eq!(some, each[..rows * 65], "{rows} rows, {arch:?}");
            }
        }
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
    fn packed_weights_give_the_bits_of_full_ones() {
        let halves: Vec<f32> =
            noise(6, 40 * 70).iter().map(|&x| ::half::f16::from_f32(x).to_f32()).collect();
        let mut more = halves.clone();
        more.extend(vec![0.1; 40]); // another output, which does not fit
        let input = noise(7, 7 * 40);
        for arch in instruction_sets() {
            let packed = Linear::new(arch, 40, &halves, &noise(8, 70));
            assert_eq!(matches!(packed.weights, Packed::Half(_)), half::suits(arch));
            let full = Linear::new(arch, 40, &more, &[noise(8, 70), vec![0.0]].concat());
            assert!(matches!(full.weights, Packed::Full(_)));
            let full = applied(&full, arch, &input);
            for (packed, full) in applied(&packed, arch, &input).chunks(70).zip(full.chunks(71)) {
                assert_eq!(packed, &full[..70], "{arch:?}");
            }
        }
    }
}
