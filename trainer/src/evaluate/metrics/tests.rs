use distill_shared::player::philox;

use super::*;

/// White noise from -0.5 to 0.5, a different one for each `key`.
fn noise(samples: u32, key: u32) -> Vec<f64> {
    let draw = |i: u32| f64::from(philox([i, 0, 0, 0], [key, 0])[0]) / f64::from(u32::MAX) - 0.5;
    (0..samples).map(draw).collect()
}

/// Half a second of a struck bar: a few partials over a burst of noise, then silence.
fn struck() -> Vec<f64> {
    let burst = noise(24_000, 1);
    let sample = |(i, noise): (u32, &f64)| {
        let t = f64::from(i) / 48_000.0;
        let partial =
            |hz: f64, decay: f64| (-t * decay).exp() * (std::f64::consts::TAU * hz * t).sin();
        0.4 * partial(440.0, 20.0) + 0.2 * partial(1213.0, 30.0) + 0.3 * (-t * 400.0).exp() * noise
    };
    (0..).zip(&burst).map(sample).collect()
}

fn scaled(sound: &[f64], factor: f64) -> Vec<f64> {
    sound.iter().map(|sample| factor * sample).collect()
}

/// `sound` with noise that is `snr_db` quieter than it.
fn noisy(sound: &[f64], snr_db: f64) -> Vec<f64> {
    let noise = noise(24_000, 2);
    let energy = |sound: &[f64]| sound.iter().map(|s| s * s).sum::<f64>();
    let factor = (energy(sound) / energy(&noise)).sqrt() * 10_f64.powf(-snr_db / 20.0);
    sound.iter().zip(&noise).map(|(sound, noise)| sound + factor * noise).collect()
}

fn compare(reference: &[f64], output: &[f64]) -> Comparison {
    Meter::default().compare(reference, output)
}

/// Every distance that is 0 for the same sound.
fn distances(comparison: &Comparison) -> [f64; 6] {
    let Comparison { mrstft, lsd_db, lsd_tf_db, logmel_l1_db, logmel_tf_db, sc, .. } = *comparison;
    [mrstft, lsd_db, lsd_tf_db, logmel_l1_db, logmel_tf_db, sc]
}

#[test]
fn a_sound_is_no_distance_from_itself() {
    let same = compare(&struck(), &struck());
    assert!(distances(&same).iter().all(|distance| distance.abs() < 1e-9), "{same:?}");
    assert!(same.si_sdr_db > 100.0 && same.lag == 0 && (same.gain - 1.0).abs() < 1e-12);
}

#[test]
fn gain_does_not_count_and_is_found() {
    for factor in [0.1, 3.0] {
        let louder = compare(&struck(), &scaled(&struck(), factor));
        assert!(distances(&louder).iter().all(|distance| distance.abs() < 1e-9), "{louder:?}");
        assert!((louder.gain * factor - 1.0).abs() < 1e-12 && louder.si_sdr_db > 100.0);
    }
    let plain = compare(&struck(), &noisy(&struck(), 20.0));
    let louder = compare(&struck(), &scaled(&noisy(&struck(), 20.0), 4.0));
    for (plain, louder) in distances(&plain).iter().zip(distances(&louder)) {
        assert!((plain - louder).abs() < 1e-9, "{plain} became {louder}");
    }
    assert!((plain.si_sdr_db - louder.si_sdr_db).abs() < 1e-6);
}

#[test]
fn a_shift_does_not_count_and_is_found() {
    let padded = [vec![0.0; 3000], struck(), vec![0.0; 3000]].concat();
    let late = [vec![0.0; 961], padded.clone()].concat();
    let early = &padded[624..];
    for (output, lag) in [(late.as_slice(), 961), (early, -624)] {
        let shifted = compare(&padded, output);
        assert_eq!(shifted.lag, lag);
        assert!(distances(&shifted).iter().all(|distance| distance.abs() < 1e-9), "{shifted:?}");
    }
}

#[test]
fn added_noise_is_a_distortion_of_its_own_level() {
    for snr_db in [0.0, 10.0, 30.0] {
        let found = compare(&struck(), &noisy(&struck(), snr_db)).si_sdr_db;
        // Noise has a little of the sound in it, which counts as sound.
        assert!((found - snr_db).abs() < 0.1, "{found} dB instead of {snr_db} dB");
    }
}

#[test]
fn more_noise_is_further_away_in_every_distance() {
    let of = |snr_db| distances(&compare(&struck(), &noisy(&struck(), snr_db)));
    for (less, more) in of(40.0).iter().zip(of(20.0)) {
        assert!(*less > 0.0 && more > 1.5 * less, "{less} at 40 dB and {more} at 20 dB");
    }
}

#[test]
fn silence_is_as_far_as_the_floor_lets_it_be() {
    let silence = compare(&struck(), &[0.0; 24_000]);
    assert!((silence.sc - 1.0).abs() < 1e-12);
    assert_eq!((silence.si_sdr_db, silence.gain), (0.0, 1.0));
    // The reference lies up to 80 dB above the floor.
    assert!(distances(&silence).iter().all(|&distance| distance > 0.0 && distance < 80.0));
    assert!(silence.lsd_tf_db > silence.lsd_db && silence.logmel_tf_db > silence.logmel_l1_db);
    let both = compare(&[0.0; 24_000], &[0.0; 24_000]);
    assert_eq!((distances(&both), both.si_sdr_db), ([0.0; 6], 0.0));
}

#[test]
fn only_the_ratio_of_signal_to_distortion_hears_phase() {
    let upside_down = compare(&struck(), &scaled(&struck(), -1.0));
    assert!(distances(&upside_down).iter().all(|distance| distance.abs() < 1e-9));
    assert!(upside_down.si_sdr_db > 100.0, "either way up is the same signal");
    let tone = |phase: f64| -> Vec<f64> {
        (0..24_000).map(|i| (f64::from(i) * 0.3 + phase).sin()).collect()
    };
    // At a phase of x, cos x of a tone is signal and sin x is distortion.
    let turned = si_sdr_db(&tone(0.0), &tone(std::f64::consts::FRAC_PI_3));
    assert!((turned + 4.771).abs() < 0.01, "{turned} dB");
}

/// Expected values: `golden.py`, which computes the same figures in another language.
#[test]
fn every_figure_is_that_of_an_independent_implementation() {
    let reference: Vec<f64> = (0..24_000).map(|i| golden_sound(f64::from(i))).collect();
    let output: Vec<f64> = (0..24_100)
        .map(|i| {
            let late = if i < 37 { 0.0 } else { golden_sound(f64::from(i - 37)) };
            let i = f64::from(i);
            0.7 * (1.5 * late).tanh() + 0.003 * (1.7 * i + 0.9 * (0.01 * i).sin()).sin()
        })
        .collect();
    let found = compare(&reference, &output);
    let expected = Comparison {
        mrstft: 0.464709598284,
        lsd_db: 3.39713018869,
        lsd_tf_db: 11.7272458198,
        logmel_l1_db: 1.85202542872,
        logmel_tf_db: 7.30384289121,
        sc: 0.0683576752642,
        si_sdr_db: 23.4316594136,
        gain: 1.03516562287,
        lag: 37,
    };
    assert_eq!(found.lag, expected.lag);
    let [found, expected] = [found, expected].map(|comparison| {
        let others = [comparison.si_sdr_db, comparison.gain];
        distances(&comparison).into_iter().chain(others).collect::<Vec<f64>>()
    });
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
    }
}

/// A chirp over a tone, both dying away.
fn golden_sound(i: f64) -> f64 {
    let chirp = (-i / 6000.0).exp() * (0.02 * i + 1e-6 * i * i).sin();
    0.5 * chirp + 0.2 * (-i / 3000.0).exp() * (0.31 * i).sin()
}

#[test]
fn recordings_of_any_length_can_be_compared() {
    let meter = Meter::default();
    for samples in [0, 1, 2, 255, 256, 257, 1024, 1025, 2049, 5000] {
        let sound = &struck()[..samples];
        let comparison = meter.compare(sound, &noisy(&struck(), 20.0)[..samples / 2]);
        let all = [comparison.si_sdr_db, comparison.gain];
        assert!(distances(&comparison).iter().chain(&all).all(|x| x.is_finite()), "{samples}");
    }
}
