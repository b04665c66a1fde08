//! Matrix products on packed weights, the bulk of what the player computes.
//!
//! Every sum runs in an order that depends on its own length alone, never on how many frames are
//! computed at once, so that playing frame by frame gives the bits of playing all at once.
//! [`Arch`] chooses the instructions at run time. With fused multiply-add or without, results
//! differ by rounding; between processors that have it they do not.
//!
//! With few rows, a product is as fast as its weights arrive from memory. Weights that a 16-bit
//! float can hold are therefore packed into 16 bits, without loss.

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
    Compact(Vec<CompactRow>),
}

/// Values of [`PANEL`] outputs, on cache lines of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Row([f32; PANEL]);

/// The same in half the room: two values to a word, outputs `i` (low) and `i + PANEL / 2` (high).
///
/// A value has a sign, 5 bits of exponent and 10 of mantissa like a 16-bit float, but the exponents
/// run from -24 to 6: so all 16-bit floats below 128 are normal numbers, the subnormal included.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct CompactRow([u32; PANEL / 2]);

impl Linear {
    /// Packs `weight`, `[out, in]`, and `bias`, `[out]`, or zero if it is empty.
    pub(crate) fn new(inputs: usize, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = weight.len() / inputs;
        let mut packed_bias = vec![Row([0.0; PANEL]); outputs.div_ceil(PANEL)];
        for (row, bias) in packed_bias.iter_mut().zip(bias.chunks(PANEL)) {
            row.0[..bias.len()].copy_from_slice(bias);
        }
        let weights = if weight.iter().fold(true, |all, &value| all & is_compact(value)) {
            Packed::Compact(pack(inputs, weight, CompactRow::new))
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
            Packed::Compact(weights) => {
                arch.dispatch(Product { linear: self, weights, input, output });
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

/// What the exponent of a compact value is less than that of the float it stands for.
const EXPONENT_SHIFT: u32 = 127 - 25;
/// Bits of a float's mantissa that a compact value has no room for.
const DROPPED: u32 = 13;

/// Whether 16 bits hold a value without loss.
fn is_compact(value: f32) -> bool {
    let magnitude = value.to_bits() & 0x7fff_ffff;
    let shifted = magnitude.wrapping_sub(EXPONENT_SHIFT << 23);
    // Exponents 1 to 31, nothing in the bits that are dropped; or zero.
    let fits = (shifted.wrapping_sub(1 << 23) < 31 << 23) & (shifted & ((1 << DROPPED) - 1) == 0);
    fits | (magnitude == 0)
}

/// A value in 16 bits, if [`is_compact`].
fn compact(value: f32) -> u32 {
    let bits = value.to_bits();
    let shifted = (bits & 0x7fff_ffff).saturating_sub(EXPONENT_SHIFT << 23); // zero stays zero
    bits >> 31 << 15 | shifted >> DROPPED
}

impl CompactRow {
    /// Packs a row whose values all fit.
    fn new(row: &Row) -> Self {
        let (low, high) = row.0.split_at(PANEL / 2);
        let mut words = [0; PANEL / 2];
        for ((word, &low), &high) in words.iter_mut().zip(low).zip(high) {
            *word = compact(low) | compact(high) << 16;
        }
        Self(words)
    }
}

/// A row that can be brought into the registers it fills.
trait Load {
    /// The row as floats, output by output.
    fn load<S: Simd, const REGISTERS: usize>(&self, simd: S) -> [S::f32s; REGISTERS];
}

impl Load for Row {
    #[inline(always)]
    fn load<S: Simd, const REGISTERS: usize>(&self, _: S) -> [S::f32s; REGISTERS] {
        let registers = S::as_simd_f32s(&self.0).0;
        std::array::from_fn(|i| registers[i])
    }
}

impl Load for CompactRow {
    #[inline(always)]
    fn load<S: Simd, const REGISTERS: usize>(&self, simd: S) -> [S::f32s; REGISTERS] {
        let words = S::as_simd_u32s(&self.0).0;
        let mut registers = [simd.splat_f32s(0.0); REGISTERS];
        let (low, high) = registers.split_at_mut(REGISTERS / 2);
        for ((low, high), &word) in low.iter_mut().zip(high).zip(words) {
            *low = widen(simd, simd.wrapping_dyn_shl_u32s(word, simd.splat_u32s(16)));
            *high = widen(simd, word);
        }
        registers
    }
}

/// The floats that the upper halves of words stand for.
#[inline(always)]
fn widen<S: Simd>(simd: S, words: S::u32s) -> S::f32s {
    let sign = simd.and_u32s(words, simd.splat_u32s(0x8000_0000));
    let shifted = simd.wrapping_dyn_shr_u32s(words, simd.splat_u32s(16 - DROPPED));
    let magnitude = simd.and_u32s(shifted, simd.splat_u32s(0x7fff << DROPPED));
    let value = simd.transmute_f32s_u32s(simd.or_u32s(sign, magnitude));
    simd.mul_f32s(value, simd.splat_f32s(f32::from_bits((127 + EXPONENT_SHIFT) << 23)))
}

/// One application of a [`Linear`].
struct Product<'a, R> {
    linear: &'a Linear,
    weights: &'a [R],
    input: &'a [f32],
    output: &'a mut [f32],
}

impl<R: Load> WithSimd for Product<'_, R> {
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

impl<R: Load> Product<'_, R> {
    /// Panel by panel, so that its weights are fetched once for all rows, two rows at a time.
    #[inline(always)]
    fn run<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let Linear { inputs, outputs, ref bias, .. } = *self.linear;
        for (p, (panel, bias)) in self.weights.chunks_exact(inputs).zip(bias).enumerate() {
            let tile = Tile { bias, panel };
            let columns = p * PANEL..outputs.min((p + 1) * PANEL);
            let mut frames = self.input.chunks_exact(inputs);
            let mut results = self.output.chunks_exact_mut(outputs);
            while let (Some(first), Some(to_first)) = (frames.next(), results.next()) {
                if let (Some(second), Some(to_second)) = (frames.next(), results.next()) {
                    let [a, b] = tile.apply::<S, REGISTERS, 2>(simd, [first, second]);
                    to_first[columns.clone()].copy_from_slice(&a.0[..columns.len()]);
                    to_second[columns.clone()].copy_from_slice(&b.0[..columns.len()]);
                } else {
                    let [a] = tile.apply::<S, REGISTERS, 1>(simd, [first]);
                    to_first[columns.clone()].copy_from_slice(&a.0[..columns.len()]);
                }
            }
        }
    }
}

/// The weights of one panel.
struct Tile<'a, R> {
    bias: &'a Row,
    panel: &'a [R],
}

impl<R: Load> Tile<'_, R> {
    /// The outputs of the panel for some rows of input.
    #[inline(always)]
    fn apply<S: Simd, const REGISTERS: usize, const ROWS: usize>(
        &self,
        simd: S,
        inputs: [&[f32]; ROWS],
    ) -> [Row; ROWS] {
        let inputs = inputs.map(|row| &row[..self.panel.len()]);
        let mut sums = [self.bias.load::<S, REGISTERS>(simd); ROWS];
        for (i, weights) in self.panel.iter().enumerate() {
            let weights = weights.load::<S, REGISTERS>(simd);
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
    fn sixteen_bit_floats_are_packed_without_loss() {
        let halves = (0..=u16::MAX).map(half::f16::from_bits).map(half::f16::to_f32);
        let values: Vec<f32> = halves.filter(|value| value.abs() < 128.0).collect();
        let linear = Linear::new(1, &values, &[]);
        assert!(matches!(linear.weights, Packed::Compact(_)));
        for arch in [Arch::new(), Arch::Scalar] {
            assert_eq!(applied(&linear, arch, &[1.0]), values);
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_kept_as_they_are() {
        for odd in [0.1, 128.0, -1e-8, 1e9, f32::MIN_POSITIVE, 1e-40] {
            let linear = Linear::new(1, &[1.0, odd], &[]);
            assert!(matches!(linear.weights, Packed::Full(_)), "{odd} was packed");
            assert_eq!(applied(&linear, Arch::new(), &[1.0]), [1.0, odd]);
        }
    }

    #[test]
    fn packed_weights_give_the_bits_of_full_ones() {
        let halves: Vec<f32> =
            noise(6, 40 * 70).iter().map(|&x| half::f16::from_f32(x).to_f32()).collect();
        let input = noise(7, 3 * 40);
        let packed = Linear::new(40, &halves, &noise(8, 70));
        assert!(matches!(packed.weights, Packed::Compact(_)));
        let mut more = halves.clone();
        more.extend(vec![0.1; 40]); // another output, which does not fit
        let full = Linear::new(40, &more, &[noise(8, 70), vec![0.0]].concat());
        assert!(matches!(full.weights, Packed::Full(_)));
        let full = applied(&full, Arch::new(), &input);
        for (packed, full) in applied(&packed, Arch::new(), &input).chunks(70).zip(full.chunks(71))
        {
            assert_eq!(packed, &full[..70]);
        }
    }
}
