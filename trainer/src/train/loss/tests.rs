//! The loss beside its definition in double precision.
//!
//! Finite differences of the loss itself say little: in single precision a step must be so long
//! that many bins pass a kink of an absolute value. Those of the definition can be tiny.

use candle_core::{Device, Var};

use super::*;

const FRAMES: usize = 5;
const BATCH: usize = 2;

fn config() -> CodecConfig {
    CodecConfig {
        sample_rate: 48_000,
        channels: 2,
        fft_size: 128,
        stft_hop: 32,
        stride: 2,
        width: 8,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 3,
        expansion: 2,
        latent_dim: 4,
        quantizers: 2,
        codebook_size: 4,
        memory: Some(0.8),
        coherence: 1.0,
        power_bands: 12,
        power: 1.5,
        gain: 1.0,
    }
}

fn all() -> usize {
    BATCH * FRAMES * config().frame_features()
}

/// Features: log-magnitudes and powers of -12 to 0, coherences within 1.
fn some_features(seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).expect("16 bits are left")) / 65_536.0
    };
    let bins = config().channels * config().bins();
    let of = |i: usize, draw: f32| {
        let coherences = bins..config().first_power();
        let is_log = !coherences.contains(&(i % config().features()));
        if is_log { -12.0 * draw } else { 2.0 * draw - 1.0 }
    };
    (0..all()).map(|i| of(i, next())).collect()
}

fn tensor(values: &[f32]) -> Result<Tensor> {
    let shape = (BATCH, FRAMES, config().frame_features());
    Ok(Tensor::from_vec(values.to_vec(), shape, &Device::Cpu)?)
}

/// The default weights, and each part alone.
fn weightings() -> [(&'static str, LossWeights); 5] {
    let none = LossWeights { log: 0.0, convergence: 0.0, coherence: 0.0, power: 0.0 };
    [
        ("all", LossWeights::default()),
        ("log", LossWeights { log: 1.0, ..none }),
        ("convergence", LossWeights { convergence: 1.0, ..none }),
        ("coherence", LossWeights { coherence: 1.0, ..none }),
        ("power", LossWeights { power: 1.0, ..none }),
    ]
}

/// What the loss is, in double precision and without regard to speed. `heard` are the features that
/// decide which bins count; moving them is not part of the slope.
fn defined(weights: &LossWeights, features: &[f64], heard: &[f64], target: &[f64]) -> f64 {
    let crop = all() / BATCH;
    (0..BATCH)
        .map(|b| b * crop..(b + 1) * crop)
        .map(|b| defined_crop(weights, &features[b.clone()], &heard[b.clone()], &target[b]))
        .sum::<f64>()
        / BATCH as f64
}

fn defined_crop(weights: &LossWeights, x: &[f64], heard: &[f64], y: &[f64]) -> f64 {
    let config = config();
    let (width, f) = (config.features(), config.bins());
    let bins = config.channels * f;
    let frames = x.len() / width;
    let of_bin = weights_of(&config);
    let (mut log, mut count, mut all, mut off, mut energy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut coherence, mut levels) = (0.0, 0.0);
    let (mut power, mut power_count, mut power_all) = (0.0, 0.0, 0.0);
    let of_log = |k: usize, i: usize| {
        let (w, d) = (f64::from(of_bin[k]), x[i] - y[i]);
        let top = heard[i].max(y[i]);
        let share = if top > -9.0 { 1.0 } else { f64::from(u8::from(top > -10.8)) * 0.3 };
        (share * w * (d.abs() / 2.0 + d * d / 8.0), share * w, w)
    };
    for t in 0..frames {
        for k in config.first_power()..width {
            let (distance, counted, weight) = of_log(k, t * width + k);
            power += distance;
            power_count += counted;
            power_all += weight;
        }
        for k in 0..bins {
            let i = t * width + k;
            let (distance, counted, weight) = of_log(k, i);
            log += distance;
            count += counted;
            all += weight;
            off += (x[i].exp() - y[i].exp()).powi(2);
            energy += y[i].exp().powi(2);
        }
        for (b, band) in bands_of(&config).into_iter().enumerate() {
            let product = band.map(|k| (y[t * width + k] + y[t * width + f + k]).exp());
            let level = product.sum::<f64>().sqrt();
            levels += level;
            for i in [t * width + bins + b, t * width + bins + config.bands() + b] {
                coherence += level * (x[i] - y[i]).powi(2);
            }
        }
    }
    let quiet = 0.01 * (frames as f64).sqrt();
    f64::from(weights.log) * log / (count + 0.05 * all)
        + f64::from(weights.convergence) * off.sqrt() / (energy.sqrt() + quiet)
        + f64::from(weights.power) * power / (power_count + 0.05 * power_all)
        + f64::from(weights.coherence) * coherence / (levels + 0.01 * frames as f64)
}

fn doubled(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn features_are_no_distance_from_themselves() -> Result<()> {
    let loss = FeatureLoss::new(LossWeights::default(), &config());
    let (features, other) = (some_features(1), some_features(2));
    let same = loss.forward(&tensor(&features)?, features.clone())?.to_scalar::<f32>()?;
    let far = loss.forward(&tensor(&other)?, features)?.to_scalar::<f32>()?;
    assert!(same < 1e-4 && far > 0.1, "{same}, {far}");
    Ok(())
}

#[test]
fn the_loss_is_its_definition() -> Result<()> {
    let (features, target) = (some_features(4), some_features(3));
    for (part, weights) in weightings() {
        let x = doubled(&features);
        let defined = defined(&weights, &x, &x, &doubled(&target));
        let loss = FeatureLoss::new(weights, &config());
        let computed = loss.forward(&tensor(&features)?, target.clone())?.to_scalar::<f32>()?;
        let error = (f64::from(computed) / defined - 1.0).abs();
        assert!(error < 1e-4, "{part}: {computed}, by definition {defined}");
    }
    Ok(())
}

#[test]
fn the_gradient_of_every_part_is_that_of_its_definition() -> Result<()> {
    let (features, target) = (some_features(4), some_features(3));
    let heard = doubled(&features);
    for (part, weights) in weightings() {
        let loss = FeatureLoss::new(weights, &config());
        let x = Var::from_tensor(&tensor(&features)?)?;
        let grads = loss.forward(x.as_tensor(), target.clone())?.backward()?;
        let grad = grads.get(&x).expect("the features have a gradient").flatten_all()?;
        let grad = doubled(&grad.to_vec1()?);
        for way in [doubled(&some_features(5)), doubled(&some_features(6)), grad.clone()] {
            let size = way.iter().map(|w| w * w).sum::<f64>().sqrt();
            let at = |step: f64| {
                let moved = heard.iter().zip(&way).map(|(x, w)| x + step / size * w);
                defined(&weights, &moved.collect::<Vec<_>>(), &heard, &doubled(&target))
            };
            let measured = (at(1e-6) - at(-1e-6)) / 2e-6;
            let claimed = grad.iter().zip(&way).map(|(g, w)| g * w).sum::<f64>() / size;
            let steepest = grad.iter().map(|g| g * g).sum::<f64>().sqrt();
            let error = (measured - claimed).abs() / steepest;
            assert!(error < 1e-3, "{part}: slope {claimed}, by definition {measured}");
        }
    }
    Ok(())
}
