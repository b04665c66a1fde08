//! Elementary functions in plain arithmetic: branch-free, so that the compiler turns loops over
//! them into vector code, and the same bits on every processor.
//!
//! Training and playing share them; a codec is trained with the very functions it is played with.

/// 1.5 · 2^23: adding it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// The integer nearest to `x`, the even one of two; `|x|` is below 2^22.
#[inline(always)]
#[must_use]
pub fn round(x: f32) -> f32 {
    (x + ROUND) - ROUND
}

/// `e^x`, within 3e-7 relative. `x` is clamped to -87 … 88.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    // x = n ln 2 + f with n an integer, |f| <= (ln 2)/2; 2^n is built in the exponent bits. ln 2
    // in two parts keeps f exact (Cody and Waite 1980).
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let f = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let exponent = rounded.to_bits().wrapping_add(127) << 23;
    let series = 1.0
        + f * (1.0
            + f * (0.5
                + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    series * f32::from_bits(exponent)
}

/// Natural logarithm, within 2e-7 relative to 1 or to itself. `x` is positive and normal.
#[inline(always)]
#[must_use]
pub fn ln(x: f32) -> f32 {
    // x = 2^n m with m near 1; ln m as a series in s = (m - 1) / (m + 1), as in FreeBSD's e_logf.c.
    const SQRT_HALF: u32 = 0x3f35_04f3;
    const LN_2_HIGH: f32 = 0.693_138_1;
    const LN_2_LOW: f32 = 9.058_001e-6;
    let offset = x.to_bits().wrapping_sub(SQRT_HALF);
    let n = (offset.cast_signed() >> 23) as f32;
    let f = f32::from_bits((offset & 0x007f_ffff) + SQRT_HALF) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let series = z * (0.666_666_6 + z * (0.400_009_72 + z * (0.284_987_87 + z * 0.242_790_79)));
    let half = 0.5 * f * f;
    s * (half + series) + n * LN_2_LOW - half + f + n * LN_2_HIGH
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Keeps a sample below full scale: untouched up to -2 dB, bent from there on.
#[inline(always)]
#[must_use]
pub fn soft_clip(sample: f32) -> f32 {
    const KNEE: f32 = 0.8;
    let over = sample.abs() - KNEE;
    if over <= 0.0 {
        return sample;
    }
    let room = 1.0 - KNEE;
    (KNEE + room * (1.0 - room / (over + room))).copysign(sample)
}

/// Twice the square root of 2/π: the slope inside [`gelu`].
const GELU_SLOPE: f32 = 1.595_769;
/// The cubic coefficient inside [`gelu`].
const GELU_CUBIC: f32 = 0.044_715;

/// Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016, section 2,
/// <https://arxiv.org/abs/1606.08415>), written with the logistic function.
#[inline(always)]
#[must_use]
pub fn gelu(x: f32) -> f32 {
    x * sigmoid(GELU_SLOPE * (x + GELU_CUBIC * x * x * x))
}

/// Derivative of [`gelu`].
#[inline(always)]
#[must_use]
pub fn gelu_derivative(x: f32) -> f32 {
    let s = sigmoid(GELU_SLOPE * (x + GELU_CUBIC * x * x * x));
    s + x * s * (1.0 - s) * GELU_SLOPE * (1.0 + 3.0 * GELU_CUBIC * x * x)
}

/// `(sin x, cos x)`, within 2e-7 for |x| up to 1e4.
#[inline(always)]
#[must_use]
pub fn sin_cos(x: f32) -> (f32, f32) {
    // x = n π/2 + r with |r| <= π/4; π/2 in two parts keeps r exact (Cody and Waite 1980).
    const HIGH: f32 = 1.570_800_8;
    const LOW: f32 = -4.453_901_7e-6;
    let rounded = x * std::f32::consts::FRAC_2_PI + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * HIGH) - n * LOW;
    let quadrant = rounded.to_bits();
    let r2 = r * r;
    let sin = r
        * (1.0
            + r2 * (-1.0 / 6.0
                + r2 * (1.0 / 120.0 + r2 * (-1.0 / 5040.0 + r2 * (1.0 / 362_880.0)))));
    let cos = 1.0 + r2 * (-0.5 + r2 * (1.0 / 24.0 + r2 * (-1.0 / 720.0 + r2 * (1.0 / 40320.0))));
    let swap = quadrant & 1 == 1;
    let (s, c) = if swap { (cos, sin) } else { (sin, cos) };
    let sign = |bit: u32| f32::from_bits(1.0_f32.to_bits() | (bit << 31));
    (s * sign((quadrant >> 1) & 1), c * sign(((quadrant + 1) >> 1) & 1))
}

/// `sample` as an integer of so many bits, full scale being 1.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "clamped")]
pub fn quantize(sample: f32, bits: u16) -> i32 {
    let full_scale = f64::from(1_u32 << (bits - 1));
    (f64::from(sample) * full_scale).round().clamp(-full_scale, full_scale - 1.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=20_000_u16).map(move |i| from + (to - from) * f32::from(i) / 20_000.0)
    }

    #[test]
    fn rounding_gives_the_nearest_integer_and_the_even_one_of_two() {
        for x in sweep(-3e4, 3e4) {
            assert_eq!(round(x), x.round_ties_even(), "{x}");
        }
        assert_eq!([round(0.5), round(1.5), round(-2.5)], [0.0, 2.0, -2.0]);
    }

    #[test]
    fn exp_is_within_its_bound() {
        for x in sweep(-80.0, 80.0) {
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "exp({x})");
        }
    }

    #[test]
    fn ln_is_within_its_bound() {
        for x in sweep(-80.0, 80.0).map(f32::exp).chain(sweep(0.5, 2.0)) {
            let exact = f64::from(x).ln();
            let error = (f64::from(ln(x)) - exact).abs() / exact.abs().max(1.0);
            assert!(error < 2e-7, "ln({x}) = {}, not {exact}", ln(x));
        }
    }

    #[test]
    fn sine_and_cosine_are_within_their_bound() {
        for x in sweep(-1000.0, 1000.0) {
            let (s, c) = sin_cos(x);
            let (exact_s, exact_c) = f64::from(x).sin_cos();
            assert!((f64::from(s) - exact_s).abs() < 1e-6, "sin({x}) = {s}, not {exact_s}");
            assert!((f64::from(c) - exact_c).abs() < 1e-6, "cos({x}) = {c}, not {exact_c}");
        }
    }

    #[test]
    fn a_soft_clip_leaves_what_is_quiet_and_bends_the_rest_without_an_edge() {
        for x in sweep(-0.8, 0.8) {
            assert_eq!(soft_clip(x), x);
        }
        assert_eq!((soft_clip(f32::INFINITY), soft_clip(f32::NEG_INFINITY)), (1.0, -1.0));
        let mut last = soft_clip(-10.0);
        assert!((-1.0..-0.9).contains(&last));
        for x in sweep(-10.0, 10.0).skip(1) {
            let y = soft_clip(x);
            assert!(y >= last && y - last <= 1.001e-3 && y < 1.0, "at {x}");
            last = y;
        }
    }

    #[test]
    fn gelu_has_the_slope_it_claims() {
        for x in sweep(-6.0, 6.0) {
            let slope = (gelu(x + 1e-2) - gelu(x - 1e-2)) / 2e-2;
            assert!((slope - gelu_derivative(x)).abs() < 2e-3, "at {x}");
        }
    }

    #[test]
    fn integers_hold_full_scale() {
        assert_eq!([1.0, -1.0, 0.0, 0.5].map(|x| quantize(x, 16)), [32_767, -32_768, 0, 16_384]);
        assert_eq!(quantize(2.0, 24), (1 << 23) - 1);
    }
}
