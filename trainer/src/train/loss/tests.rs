//! The loss beside its definition in double precision.
//!
//! Finite differences of the loss itself say little: in single precision a step must be so long
//! that many bins pass a kink of an absolute value. Those of the definition can be tiny.

use candle_core::{Device, Var};

use super::*;

const SAMPLES: usize = 4096;
const CHANNELS: usize = 2;
const BATCH: usize = 2;
const ALL: usize = BATCH * CHANNELS * SAMPLES;

/// White noise within half of full scale.
fn noise(seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).expect("16 bits are left")) / 65_536.0 - 0.5
    };
    (0..ALL).map(|_| next()).collect()
}

/// Noise that falls by 60 dB in the course of each row.
fn fading_noise(seed: u32) -> Vec<f32> {
    let fade = |i: usize| 10_f32.powf(-3.0 * (i % SAMPLES) as f32 / SAMPLES as f32);
    noise(seed).iter().enumerate().map(|(i, x)| x * fade(i)).collect()
}

fn tensor(values: &[f32]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values.to_vec(), (BATCH, CHANNELS, SAMPLES), &Device::Cpu)?)
}

/// The default weights, and each part alone.
fn weightings() -> [(&'static str, LossWeights); 6] {
    let none = LossWeights { log: 0.0, mel: 0.0, compressed: 0.0, convergence: 0.0, complex: 0.0 };
    [
        ("all", LossWeights::default()),
        ("log", LossWeights { log: 1.0, ..none }),
        ("mel", LossWeights { mel: 1.0, ..none }),
        ("compressed", LossWeights { compressed: 1.0, ..none }),
        ("convergence", LossWeights { convergence: 1.0, ..none }),
        ("complex", LossWeights { complex: 1.0, ..none }),
    ]
}

/// What the loss is, in double precision and without regard to speed.
struct Definition<'a>(&'a SpectralLoss);

impl Definition<'_> {
    fn loss(&self, sound: &[f64], target: &[f64]) -> f64 {
        let items = sound.chunks_exact(CHANNELS * SAMPLES);
        let mut total = 0.0;
        for (sound, target) in items.zip(target.chunks_exact(CHANNELS * SAMPLES)) {
            for way in [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]] {
                let heard = |rows: &[f64]| -> Vec<f64> {
                    (0..SAMPLES).map(|i| way[0] * rows[i] + way[1] * rows[SAMPLES + i]).collect()
                };
                let (x, y) = (heard(sound), heard(target));
                for (size, resolution) in WINDOWS.iter().zip(self.0.resolutions.iter()) {
                    total += self.distance(&spectra(&x, *size), &spectra(&y, *size), resolution);
                }
            }
        }
        total / (BATCH * 4 * WINDOWS.len()) as f64
    }

    /// Distance of two spectrograms, `[frames][bins]` of real and imaginary parts.
    fn distance(&self, x: &[Vec<[f64; 2]>], y: &[Vec<[f64; 2]>], resolution: &Resolution) -> f64 {
        let weights = &self.0.weights;
        let floor = f64::from(FLOOR);
        let magnitudes = |spectra: &[Vec<[f64; 2]>]| -> Vec<Vec<f64>> {
            let row = |row: &Vec<[f64; 2]>| row.iter().map(|[re, im]| re.hypot(*im)).collect();
            spectra.iter().map(row).collect()
        };
        let (a, b) = (magnitudes(x), magnitudes(y));
        let (frames, bins) = (a.len() as f64, a[0].len() as f64);
        let pairs = || a.iter().flatten().zip(b.iter().flatten());

        let log: f64 = pairs().map(|(a, b)| ((a + floor) / (b + floor)).ln().abs()).sum();
        let band = |row: &[f64], band: &Band| -> f64 {
            let of_band = row[band.first..].iter().zip(&band.weights);
            of_band.map(|(m, w)| m * f64::from(*w)).sum::<f64>() + floor
        };
        let mel: f64 = a
            .iter()
            .zip(&b)
            .map(|(a, b)| {
                let bands = resolution.bands.iter();
                bands.map(|each| (band(a, each) / band(b, each)).ln().abs()).sum::<f64>()
            })
            .sum();

        let compress = |m: f64| (m + floor).powf(f64::from(COMPRESSION));
        let off: f64 = pairs().map(|(a, b)| (compress(*a) - compress(*b)).abs()).sum();
        let there: f64 = pairs().map(|(_, b)| compress(*b) + compress(0.0)).sum();

        let energy = pairs().map(|(_, b)| b * b).sum::<f64>().sqrt();
        let energy = energy + f64::from(QUIET) * frames.sqrt();
        let convergence = pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let complex = x.iter().flatten().zip(y.iter().flatten());
        let complex = complex.map(|(x, y)| (x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2));

        f64::from(weights.log) * log / (frames * bins)
            + f64::from(weights.mel) * mel / (frames * resolution.bands.len() as f64)
            + f64::from(weights.compressed) * off / there
            + f64::from(weights.convergence) * convergence / energy
            + f64::from(weights.complex) * complex.sum::<f64>().sqrt() / energy
    }
}

/// Hann-windowed spectra of all whole frames; a full-scale sine has magnitude 1.
fn spectra(x: &[f64], size: usize) -> Vec<Vec<[f64; 2]>> {
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(size);
    let window = |i: usize| {
        (1.0 - (std::f64::consts::TAU * i as f64 / size as f64).cos()) * 2.0 / size as f64
    };
    let frame = |start: usize| {
        let mut piece: Vec<f64> = (0..size).map(|i| x[start + i] * window(i)).collect();
        let mut spectrum = transform.make_output_vec();
        transform.process(&mut piece, &mut spectrum).expect("the buffers fit");
        spectrum.iter().map(|c| [c.re, c.im]).collect()
    };
    (0..=x.len() - size).step_by(size / 4).map(frame).collect()
}

fn doubled(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn a_sound_is_no_distance_from_itself() -> Result<()> {
    let loss = SpectralLoss::new(LossWeights::default(), 48_000);
    let (sound, other) = (noise(1), noise(2));
    let same = loss.forward(&tensor(&sound)?, sound.clone())?.to_scalar::<f32>()?;
    let far = loss.forward(&tensor(&other)?, sound)?.to_scalar::<f32>()?;
    assert!(same < 1e-4 && far > 0.1, "{same}, {far}");
    Ok(())
}

#[test]
fn the_loss_is_its_definition() -> Result<()> {
    let (sound, target) = (noise(4), fading_noise(3));
    for (part, weights) in weightings() {
        let loss = SpectralLoss::new(weights, 48_000);
        let defined = Definition(&loss).loss(&doubled(&sound), &doubled(&target));
        let computed = loss.forward(&tensor(&sound)?, target.clone())?.to_scalar::<f32>()?;
        let error = (f64::from(computed) / defined - 1.0).abs();
        assert!(error < 1e-4, "{part}: {computed}, by definition {defined}");
    }
    Ok(())
}

#[test]
fn the_gradient_of_every_part_is_that_of_its_definition() -> Result<()> {
    let (sound, target) = (noise(4), fading_noise(3));
    for (part, weights) in weightings() {
        let loss = SpectralLoss::new(weights, 48_000);
        let x = Var::from_tensor(&tensor(&sound)?)?;
        let grads = loss.forward(x.as_tensor(), target.clone())?.backward()?;
        let grad = grads.get(&x).expect("the sound has a gradient").flatten_all()?;
        let grad = doubled(&grad.to_vec1()?);
        for way in [doubled(&noise(5)), doubled(&noise(6)), grad.clone()] {
            let size = way.iter().map(|w| w * w).sum::<f64>().sqrt();
            let at = |step: f64| {
                let moved = sound.iter().zip(&way).map(|(x, w)| f64::from(*x) + step / size * w);
                Definition(&loss).loss(&moved.collect::<Vec<_>>(), &doubled(&target))
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
