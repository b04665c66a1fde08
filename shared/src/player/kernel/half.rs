//! Products with weights in 16 bits.
//!
//! Processors with AVX2 or AVX-512 widen 16-bit floats as fast as they load them (F16C; Intel 64
//! and IA-32 Architectures Software Developer's Manual, `VCVTPH2PS`). The crate that chooses
//! instructions does not offer that one to AVX2, so these products choose for themselves.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "functions for instructions that not every processor has")
)]

use half::f16;
use half::slice::HalfFloatSliceExt;
use pulp::{Arch, Scalar};

use super::{Load, PANEL, Product, Row};

/// Weights of [`PANEL`] outputs, on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct HalfRow([f16; PANEL]);

/// Whether `arch` has the instructions.
pub(super) fn suits(arch: Arch) -> bool {
    #[cfg(target_arch = "x86_64")]
    return match arch {
        Arch::V4(_) => true,
        Arch::V3(_) => std::arch::is_x86_feature_detected!("f16c"),
        _ => false,
    };
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = arch;
        false
    }
}

/// Whether `weights` lose nothing in 16 bits.
pub(super) fn holds(weights: &[f32]) -> bool {
    const BLOCK: usize = 256;
    let (mut halves, mut back) = ([f16::ZERO; BLOCK], [0.0; BLOCK]);
    weights.chunks(BLOCK).all(|weights| {
        let (halves, back) = (&mut halves[..weights.len()], &mut back[..weights.len()]);
        halves.convert_from_f32_slice(weights);
        halves.convert_to_f32_slice(back);
        weights == back
    })
}

/// Computes `product` with the instructions of `arch`.
pub(super) fn apply(arch: Arch, product: Product<HalfRow>) {
    #[cfg(target_arch = "x86_64")]
    match arch {
        // SAFETY: there is a `V4` only where there are its instructions.
        Arch::V4(simd) => return unsafe { x86::with_avx512(simd, product) },
        Arch::V3(simd) if suits(arch) => {
            // SAFETY: there is a `V3` only where there are its instructions, and F16C was found.
            return unsafe { x86::with_avx2(simd, product) };
        }
        _ => {}
    }
    let _ = arch;
    product.run::<Scalar, PANEL>(Scalar);
}

impl HalfRow {
    /// Packs a row whose values all fit.
    pub(super) fn new(row: &Row) -> Self {
        let mut halves = [f16::ZERO; PANEL];
        halves.convert_from_f32_slice(&row.0);
        Self(halves)
    }
}

impl Load<Scalar> for HalfRow {
    fn load<const REGISTERS: usize>(&self, _: Scalar) -> [f32; REGISTERS] {
        std::array::from_fn(|i| self.0[i].to_f32())
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512, _mm256_cvtph_ps, _mm512_cvtph_ps};

    use pulp::x86::{V3, V4};

    use super::{HalfRow, Load, Product};

    /// Computes `product` where there is AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2")]
    pub(super) fn with_avx512(simd: V4, product: Product<HalfRow>) {
        product.run::<V4, 2>(simd);
    }

    /// Computes `product` where there are AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2")]
    pub(super) fn with_avx2(simd: V3, product: Product<HalfRow>) {
        product.run::<V3, 4>(simd);
    }

    impl Load<V4> for HalfRow {
        #[inline(always)]
        fn load<const REGISTERS: usize>(&self, _: V4) -> [pulp::f32x16; REGISTERS] {
            let (halves, _) = self.0.as_chunks::<16>();
            // SAFETY: there is a `V4` only where there is AVX-512.
            let widen = |halves| unsafe { _mm512_cvtph_ps(bytemuck::cast(halves)) };
            std::array::from_fn(|i| bytemuck::cast::<__m512, _>(widen(halves[i])))
        }
    }

    impl Load<V3> for HalfRow {
        #[inline(always)]
        fn load<const REGISTERS: usize>(&self, _: V3) -> [pulp::f32x8; REGISTERS] {
            let (halves, _) = self.0.as_chunks::<8>();
            // SAFETY: only `with_avx2` gets here, which is called where there is F16C.
            let widen = |halves| unsafe { _mm256_cvtph_ps(bytemuck::cast(halves)) };
            std::array::from_fn(|i| bytemuck::cast::<__m256, _>(widen(halves[i])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Linear, Packed};
    use super::*;
    use crate::player::instruction_sets;

    #[test]
    fn sixteen_bit_floats_are_packed_without_loss() {
        let values = (0..=u16::MAX).map(f16::from_bits).map(f16::to_f32);
        let values: Vec<f32> = values.filter(|value| value.is_finite()).collect();
        for arch in instruction_sets() {
            let linear = Linear::new(arch, 1, &values, &[]);
            assert_eq!(matches!(linear.weights, Packed::Half(_)), suits(arch));
            for play in instruction_sets() {
                let mut output = vec![f32::NAN; values.len()];
                linear.apply(play, &[1.0], &mut output);
                assert_eq!(output, values, "packed for {arch:?}, played by {play:?}");
            }
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_kept_as_they_are() {
        for odd in [0.1, 70_000.0, -1e-8, 1e9, f32::MIN_POSITIVE, 1e-40] {
            let linear = Linear::new(Arch::new(), 1, &[1.0, odd], &[]);
            assert!(matches!(linear.weights, Packed::Full(_)), "{odd} was packed");
            let mut output = [f32::NAN; 2];
            linear.apply(Arch::new(), &[1.0], &mut output);
            assert_eq!(output, [1.0, odd]);
        }
    }
}
