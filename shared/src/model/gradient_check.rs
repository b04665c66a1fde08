//! Compares gradients with finite differences.

use candle_core::{Device, Result, Tensor, Var};

/// Reproducible values in -1.5 … 1.5.
pub(crate) fn noise(shape: &[usize], seed: u32) -> Result<Tensor> {
    let count = shape.iter().product();
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).expect("16 bits are left")) / 65_536.0 * 3.0 - 1.5
    };
    Tensor::from_vec((0..count).map(|_| next()).collect::<Vec<f32>>(), shape, &Device::Cpu)
}

/// Asserts that two tensors agree to `tolerance`, relative to the largest value.
pub(crate) fn assert_close(a: &Tensor, b: &Tensor, tolerance: f64) -> Result<()> {
    assert_eq!(a.dims(), b.dims());
    let values = |t: &Tensor| t.to_dtype(candle_core::DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (a, b) = (values(a)?, values(b)?);
    let scale = b.iter().fold(1e-12, |m: f64, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "element {i}: {a}, not {b}");
    }
    Ok(())
}

/// Asserts that the gradient of a fixed random projection of `f` is that of central differences,
/// along several random directions of every input.
pub(crate) fn assert_gradient(
    name: &str,
    inputs: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    let vars = inputs.iter().map(|t| Var::from_tensor(t)).collect::<Result<Vec<_>>>()?;
    let tensors: Vec<_> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let output = f(&tensors)?;
    let projection = noise(output.dims(), 99)?;
    let grads = (&output * &projection)?.sum_all()?.backward()?;
    let value = |t: &[Tensor]| -> Result<f64> {
        let product = (f(t)? * &projection)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(product.iter().map(|&v| f64::from(v)).sum())
    };
    for (i, var) in vars.iter().enumerate() {
        let grad = grads.get(var).unwrap_or_else(|| panic!("{name}: input {i} has no gradient"));
        for direction in 0..3 {
            let step = noise(var.dims(), 200 + direction)?;
            let moved = |sign: f64| -> Result<f64> {
                let mut moved = tensors.clone();
                moved[i] = (var.as_tensor().detach() + (&step * (sign * 1e-2))?)?;
                value(&moved)
            };
            let measured = (moved(1.0)? - moved(-1.0)?) / 2e-2;
            let product = (grad * &step)?.flatten_all()?.to_vec1::<f32>()?;
            let claimed: f64 = product.iter().map(|&v| f64::from(v)).sum();
            let size: f64 = product.iter().map(|&v| f64::from(v).abs()).sum();
            let error = (measured - claimed).abs() / (size / 10.0 + claimed.abs()).max(1e-6);
            assert!(
                error < 1e-2,
                "{name}: input {i}: slope {claimed}, by finite differences {measured}"
            );
        }
    }
    Ok(())
}
