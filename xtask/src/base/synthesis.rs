//! Sounds that no soundfont has, computed: noises, drones, struck bodies, grains, glitches.

use std::f64::consts::TAU;

use fastrand::Rng;

use super::RATE;

/// A way to make a sound of a number of samples.
pub(super) type Voice = fn(&mut Rng, usize) -> Vec<f64>;

/// Everything that can be made, by name.
pub(super) const VOICES: [(&str, Voice); 8] = [
    ("noise", noise),
    ("drone", drone),
    ("strike", strike),
    ("grains", grains),
    ("glitch", glitch),
    ("modulation", modulation),
    ("sweep", sweep),
    ("pulses", pulses),
];

/// A value between `low` and `high`, any octave as likely.
fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low * (high / low).powf(rng.f64())
}

fn white(rng: &mut Rng) -> f64 {
    2.0 * rng.f64() - 1.0
}

fn seconds(sample: usize) -> f64 {
    sample as f64 / RATE
}

/// A resonance at `hz` with a width of `hz / q`: a state variable filter (Simper 2013, *Linear
/// trapezoidal integrated SVF*), its band-pass.
struct Resonance {
    state: [f64; 2],
}

impl Resonance {
    const fn new() -> Self {
        Self { state: [0.0; 2] }
    }

    fn next(&mut self, input: f64, hz: f64, q: f64) -> f64 {
        let g = (std::f64::consts::PI * hz.min(0.45 * RATE) / RATE).tan();
        let a = 1.0 / (1.0 + g * (g + 1.0 / q));
        let [s1, s2] = self.state;
        let band = a * (s1 + g * (input - s2));
        let low = s2 + g * band;
        self.state = [2.0 * band - s1, 2.0 * low - s2];
        band / q
    }
}

/// Noise through a resonance that wanders, in a swell or a burst.
fn noise(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let (hz, q) = (between(rng, 60.0, 12_000.0), between(rng, 0.3, 20.0));
    let (wander, pace) = (2.0 * rng.f64(), between(rng, 0.1, 6.0));
    let (attack, decay) = (between(rng, 0.002, 0.5), between(rng, 0.05, 3.0));
    let mut resonance = Resonance::new();
    let sample = |i| {
        let at = seconds(i);
        let hz = hz * 2_f64.powf(wander * (TAU * pace * at).sin());
        let level = (at / attack).min(1.0) * (-at / decay).exp();
        level * resonance.next(white(rng), hz, q)
    };
    (0..samples).map(sample).collect()
}

/// Partials, in tune or not, each swelling at its own pace.
fn drone(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let hz = between(rng, 35.0, 500.0);
    let (stretch, tilt) = (0.9 + 0.2 * rng.f64(), between(rng, 0.4, 2.0));
    let mut sound = vec![0.0; samples];
    for partial in 1..=rng.u32(3..24) {
        let partial = f64::from(partial);
        let hz = hz * partial.powf(stretch) * (1.0 + 0.01 * white(rng));
        let (pace, phase) = (between(rng, 0.05, 4.0), TAU * rng.f64());
        let level = partial.powf(-tilt);
        for (i, sample) in sound.iter_mut().enumerate() {
            let at = seconds(i);
            let swell = 0.5 + 0.5 * (TAU * pace * at + phase).sin();
            *sample += level * swell * (TAU * hz * at + phase).sin();
        }
    }
    sound
}

/// Modes of a struck body, with the noise of the blow.
fn strike(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let (lowest, decay) = (between(rng, 50.0, 1500.0), between(rng, 0.03, 2.5));
    let mut sound = vec![0.0; samples];
    for _ in 0..rng.u32(2..30) {
        let hz = between(rng, lowest, lowest * 20.0).min(0.45 * RATE);
        let (level, decay) = (rng.f64(), decay * (lowest / hz).sqrt());
        let phase = TAU * rng.f64();
        for (i, sample) in sound.iter_mut().enumerate() {
            let at = seconds(i);
            *sample += level * (-at / decay).exp() * (TAU * hz * at + phase).sin();
        }
    }
    let (blow, length) = (3.0 * rng.f64(), between(rng, 0.001, 0.03));
    let with_blow = |(i, sample)| sample + blow * white(rng) * (-seconds(i) / length).exp();
    sound.into_iter().enumerate().map(with_blow).collect()
}

/// A cloud of short tones and noises.
fn grains(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let mut sound = vec![0.0; samples];
    let (low, span) = (between(rng, 60.0, 4000.0), between(rng, 1.1, 16.0));
    let (shortest, noisy) = (between(rng, 0.002, 0.05), rng.f64());
    for _ in 0..rng.u32(20..1500) {
        let length = between(rng, shortest, 4.0 * shortest);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let count = (length * RATE) as usize;
        let (begin, level) = (rng.usize(..samples), rng.f64());
        let hz = between(rng, low, low * span);
        let is_noise = rng.f64() < noisy;
        for (i, sample) in sound.iter_mut().skip(begin).take(count).enumerate() {
            let window = (std::f64::consts::PI * i as f64 / count as f64).sin().powi(2);
            let wave = if is_noise { white(rng) } else { (TAU * hz * seconds(i)).sin() };
            *sample += level * window * wave;
        }
    }
    sound
}

/// Scraps of noise and tone, each repeated for a moment with few bits.
fn glitch(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let mut sound = Vec::with_capacity(samples);
    while sound.len() < samples {
        let mut smooth = 0.0;
        let share = between(rng, 0.02, 1.0);
        let scrap: Vec<f64> = (0..rng.usize(8..1200))
            .map(|_| {
                smooth += share * (white(rng) - smooth);
                smooth / share.sqrt()
            })
            .collect();
        let (steps, level) = (between(rng, 2.0, 256.0), rng.f64().powi(2));
        let length = rng.usize(300..12_000);
        let crushed = scrap.iter().cycle().map(|value| level * (value * steps).round() / steps);
        sound.extend(crushed.take(length));
        if rng.u8(0..4) == 0 {
            sound.resize(sound.len() + rng.usize(100..8000), 0.0);
        }
    }
    sound.truncate(samples);
    sound
}

/// A tone whose frequency another tone modulates (Chowning 1973).
fn modulation(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let hz = between(rng, 40.0, 2000.0);
    let ratio = if rng.bool() { f64::from(rng.u8(1..8)) } else { between(rng, 0.1, 8.0) };
    let (index, fall) = (between(rng, 0.3, 12.0), between(rng, 0.05, 3.0));
    let (attack, decay) = (between(rng, 0.002, 0.3), between(rng, 0.2, 4.0));
    let sample = |i| {
        let at = seconds(i);
        let bent = index * (-at / fall).exp() * (TAU * hz * ratio * at).sin();
        (at / attack).min(1.0) * (-at / decay).exp() * (TAU * hz * at + bent).sin()
    };
    (0..samples).map(sample).collect()
}

/// A buzz of many harmonics that glides.
fn sweep(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let (from, to) = (between(rng, 30.0, 3000.0), between(rng, 30.0, 3000.0));
    let (harmonics, tilt) = (rng.u32(1..30), between(rng, 0.7, 2.0));
    let mut phase = 0.0;
    let sample = |i| {
        let hz = from * (to / from).powf(i as f64 / samples as f64);
        phase += TAU * hz / RATE;
        let sounding = (1..=harmonics).map(f64::from).filter(|n| n * hz < 0.45 * RATE);
        sounding.map(|n| (n * phase).sin() / n.powf(tilt)).sum::<f64>()
    };
    (0..samples).map(sample).collect()
}

/// Clicks, faster and slower, through two resonances.
fn pulses(rng: &mut Rng, samples: usize) -> Vec<f64> {
    let (slow, fast) = (between(rng, 1.0, 20.0), between(rng, 5.0, 300.0));
    let pace = between(rng, 0.1, 3.0);
    let jitter = rng.f64();
    let bodies = [0, 1].map(|_| (between(rng, 100.0, 9000.0), between(rng, 1.0, 60.0)));
    let mut resonances = [Resonance::new(), Resonance::new()];
    let mut due = 0.0;
    let sample = |i| {
        let at = seconds(i);
        let mut click = 0.0;
        if at >= due {
            click = 1.0 - 0.5 * rng.f64();
            let rate = slow * (fast / slow).powf(0.5 + 0.5 * (TAU * pace * at).sin());
            due = at + (1.0 + jitter * white(rng)) / rate;
        }
        let heard = resonances.iter_mut().zip(bodies);
        click + heard.map(|(body, (hz, q))| q.sqrt() * body.next(10.0 * click, hz, q)).sum::<f64>()
    };
    (0..samples).map(sample).collect()
}
