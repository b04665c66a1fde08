//! Sounds whose phases are thrown away come back.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use super::*;
use crate::stft::FLOOR;

const SIZE: usize = 512;
const HOP: usize = SIZE / 4;

fn window() -> Vec<f32> {
    let turn = |i: u16| TAU * f32::from(i) / SIZE as f32;
    (0..512).map(|i| 0.5 - 0.5 * turn(i).cos()).collect()
}

fn spectra(sound: &[f32]) -> Vec<Vec<Complex<f32>>> {
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(SIZE);
    let frame = |start: usize| {
        let mut piece: Vec<f32> =
            sound[start..].iter().zip(window()).map(|(s, w)| s * w * 4.0 / SIZE as f32).collect();
        piece.truncate(SIZE);
        let mut spectrum = transform.make_output_vec();
        transform.process(&mut piece, &mut spectrum).unwrap();
        spectrum
    };
    (0..=sound.len() - SIZE).step_by(HOP).map(frame).collect()
}

fn magnitudes(spectra: &[Vec<Complex<f32>>]) -> Vec<Vec<f32>> {
    spectra.iter().map(|frame| frame.iter().map(|x| x.norm()).collect()).collect()
}

fn sound_of(spectra: &[Vec<Complex<f32>>]) -> Vec<f32> {
    let transform = RealFftPlanner::<f32>::new().plan_fft_inverse(SIZE);
    let mut sound = vec![0.0; (spectra.len() - 1) * HOP + SIZE];
    for (t, spectrum) in spectra.iter().enumerate() {
        let mut spectrum = spectrum.clone();
        (spectrum[0].im, spectrum[SIZE / 2].im) = (0.0, 0.0);
        let mut piece = transform.make_output_vec();
        transform.process(&mut spectrum, &mut piece).unwrap();
        for ((sum, sample), w) in sound[t * HOP..].iter_mut().zip(piece).zip(window()) {
            *sum += sample * w / 6.0;
        }
    }
    sound
}

/// The sound with other phases: those that `phase` gives to the log-magnitudes of each frame.
fn with_phases(sound: &[f32], mut phases: impl FnMut(&[f32]) -> Vec<f32>) -> Vec<f32> {
    let frames = magnitudes(&spectra(sound)).into_iter().map(|magnitudes| {
        let logs: Vec<f32> = magnitudes.iter().map(|m| (m + FLOOR).ln()).collect();
        let polar = magnitudes.iter().zip(phases(&logs));
        polar.map(|(&m, phase)| Complex::from_polar(m, phase)).collect()
    });
    sound_of(&frames.collect::<Vec<_>>())
}

/// `‖|X| - |Y|‖ / ‖|X|‖` of the spectrograms of two sounds.
fn convergence(x: &[f32], y: &[f32]) -> f32 {
    let (x, y) = (magnitudes(&spectra(x)), magnitudes(&spectra(y)));
    let pairs = || x.iter().flatten().zip(y.iter().flatten());
    let off = pairs().map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
    (off / pairs().map(|(x, _)| x * x).sum::<f32>()).sqrt()
}

fn integrated(sound: &[f32]) -> Vec<f32> {
    let mut integration = PhaseIntegration::new(SIZE / 2 + 1);
    with_phases(sound, |logs| integration.frame(logs).to_vec())
}

fn samples(f: impl Fn(f32) -> f32) -> Vec<f32> {
    (0_u16..12_000).map(|i| f(f32::from(i))).collect()
}

/// Two decaying tones that begin one after the other.
fn plucks() -> Vec<f32> {
    let tone = |i: f32, start: f32, step: f32| {
        let t = i - start;
        if t < 0.0 { 0.0 } else { 0.4 * (-t / 3000.0).exp() * (step * t).sin() }
    };
    samples(|i| tone(i, 1000.0, 0.11) + tone(i, 5000.0, 0.237))
}

#[test]
fn a_steady_tone_stays_steady() {
    let tone = samples(|i| 0.5 * (0.1234 * i).sin());
    let made = integrated(&tone);
    let level = |piece: &[f32]| (piece.iter().map(|s| s * s).sum::<f32>() / 1000.0).sqrt();
    for piece in made[1000..11_000].chunks_exact(1000) {
        assert!((level(piece) / level(&tone[..1000]) - 1.0).abs() < 0.03, "{}", level(piece));
    }
}

#[test]
fn tones_and_attacks_come_back() {
    let plucks = plucks();
    let made = convergence(&plucks, &integrated(&plucks));
    let bins = SIZE / 2 + 1;
    let any = with_phases(&plucks, |_| (0..bins).map(|k| scattered(7, k)).collect());
    let any = convergence(&plucks, &any);
    assert!(made < 0.15 && any > 0.4, "{made}, and {any} with any phases");
}

#[test]
fn a_click_stays_in_one_place() {
    let click = samples(|i| if i == 6000.0 { 1.0 } else { 0.0 });
    let made = integrated(&click);
    let energy = |piece: &[f32]| piece.iter().map(|s| s * s).sum::<f32>();
    let near = energy(&made[6000 - HOP..6000 + HOP]) / energy(&made);
    assert!(near > 0.8, "{near} of the energy is near");
}

#[test]
fn a_stream_that_is_reset_begins_as_the_first() {
    let spectra = magnitudes(&spectra(&plucks()));
    let logs = |frame: &Vec<f32>| frame.iter().map(|m| (m + FLOOR).ln()).collect::<Vec<_>>();
    let mut integration = PhaseIntegration::new(SIZE / 2 + 1);
    let mut phases = |from: usize| -> Vec<Vec<f32>> {
        integration.reset();
        spectra[from..from + 30].iter().map(|f| integration.frame(&logs(f)).to_vec()).collect()
    };
    // In the middle of a sound, so that what was before would tell.
    let first = phases(45);
    assert_ne!(phases(20), first);
    assert_eq!(phases(45), first);
}

#[test]
fn every_phase_is_within_half_a_turn_whatever_the_magnitudes() {
    let mut integration = PhaseIntegration::new(9);
    for value in [0.0, -20.0, 6.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0] {
        let phases = integration.frame(&[value; 9]);
        assert_eq!(phases.len(), 9);
        assert!(phases.iter().all(|phase| phase.abs() <= PI + 1e-5), "{value}: {phases:?}");
    }
}
