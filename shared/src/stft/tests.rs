//! Sound to features, and spectra to sound.

use super::*;

fn config(channels: usize) -> CodecConfig {
    CodecConfig {
        sample_rate: 48_000,
        channels,
        fft_size: 64,
        stft_hop: 16,
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
        power_bands: 4,
        power: 1.5,
        gain: 1.0,
    }
}

/// A sum of two sines, so that every frame differs.
fn sound(samples: usize) -> Vec<f32> {
    (0_u16..)
        .take(samples)
        .map(f32::from)
        .map(|s| 0.5 * (s * 0.7).sin() + 0.3 * (s * s * 0.001).cos())
        .collect()
}

fn features(channels: &[&[f32]], first: usize, frames: usize) -> Vec<f32> {
    let config = config(channels.len());
    let mut out = vec![f32::NAN; frames * config.features()];
    Analysis::new(&config).features(channels, first, frames, &mut out);
    out
}

#[test]
fn a_spectrum_becomes_the_sound_it_came_from() {
    let (config, samples) = (config(1), 400);
    let (analysis, synthesis) = (Analysis::new(&config), Synthesis::new(&config));
    let sound = sound(samples);
    let mut overlap = synthesis.start();
    let mut played = Vec::new();
    for frame in 0..(samples + config.delay()).div_ceil(config.stft_hop) {
        let mut windowed = vec![0.0; config.fft_size];
        let mut spectrum = analysis.forward.make_output_vec();
        analysis.cut(&[&sound], 0, frame, &mut windowed);
        analysis.forward.process(&mut windowed, &mut spectrum).unwrap();
        spectrum[0].im = 7.0; // to be ignored
        let mut out = vec![f32::NAN; config.stft_hop];
        synthesis.frame(&mut spectrum, f32::INFINITY, &mut overlap, &mut out);
        played.extend(out);
    }
    for (i, (played, sample)) in played[config.delay()..].iter().zip(&sound).enumerate() {
        assert!((played - sample).abs() < 1e-5, "sample {i}: {played}, not {sample}");
    }
}

#[test]
fn a_frame_above_the_peak_is_lowered_as_a_whole_and_no_other() {
    let synthesis = Synthesis::new(&config(1));
    let played = |size: f32, peak: f32| {
        let (mut overlap, mut all) = (synthesis.start(), Vec::new());
        for frame in 0..4 {
            let mut spectrum = vec![Complex::default(); 33];
            spectrum[8].re = if frame == 0 { size } else { 0.0 };
            let mut out = vec![f32::NAN; 16];
            synthesis.frame(&mut spectrum, peak, &mut overlap, &mut out);
            all.extend(out);
        }
        all
    };
    let highest = |sound: &[f32]| sound.iter().fold(0.0_f32, |top, s| top.max(s.abs()));
    let whole = played(1.0, f32::INFINITY);
    // The peak of a sound of which the frame has its share of the overlap.
    let peak = OVERLAP * highest(&whole);
    assert!(peak > 0.1, "the frame is heard");
    assert_eq!(played(1.0, 1.01 * peak), whole);
    let lowered = played(4.0, peak);
    assert!((OVERLAP * highest(&lowered) - peak).abs() < 1e-5);
    for (lowered, whole) in lowered.iter().zip(&whole) {
        assert!((lowered - whole).abs() < 1e-5, "the frame keeps its shape");
    }
    assert!(played(0.0, 0.0).iter().all(|&sample| sample == 0.0), "silence stays silence");
}

#[test]
fn a_full_scale_sine_has_magnitude_one() {
    let sine: Vec<f32> =
        (0_u16..64).map(|s| (f32::from(s) * std::f32::consts::TAU / 8.0).sin()).collect();
    let features = features(&[&sine], 3, 1); // the one frame that is all sine
    assert!(features[8].abs() < 1e-4, "bin 8 has log-magnitude {}", features[8]);
    // The neighbour of the peak of a Hann window has half of its magnitude.
    assert!((features[7] - 0.5_f32.ln()).abs() < 1e-3, "bin 7 has {}", features[7]);
}

#[test]
fn silence_has_the_lowest_features_and_no_coherence() {
    let features = features(&[&[0.0; 64], &[0.0; 64]], 0, 1);
    assert!(features[..66].iter().all(|f| (f - FLOOR.ln()).abs() < 1e-5));
    let (coherences, powers) = features[66..].split_at(config(2).first_power() - 66);
    assert!(coherences.iter().all(|&f| f == 0.0));
    assert!(powers.iter().all(|f| (f - FLOOR.ln()).abs() < 1e-5) && powers.len() == 8);
}

#[test]
fn coherence_tells_left_from_right_and_a_turn_from_neither() {
    let (sound, silence) = (sound(300), vec![0.0; 300]);
    let bands = config(2).bands();
    let of = |left: &[f32], right: &[f32]| {
        let frame = features(&[left, right], 9, 1);
        assert_eq!(frame.len(), 66 + 2 * bands + 8);
        [frame[66 + 2], frame[66 + bands + 2]] // the band of bin 2, where the wave is
    };
    let near = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < 1e-3;
    assert!(near(of(&sound, &silence), [1.0, 0.0]), "all of it is left");
    assert!(near(of(&silence, &sound), [-1.0, 0.0]), "all of it is right");
    let wave = |shift: f32| -> Vec<f32> {
        (0_u16..300).map(|s| (f32::from(s) * 0.2 + shift).sin()).collect()
    };
    // M = sin(x + 45°) and S = cos(x + 45°), up to a factor: a quarter turn ahead.
    let turned = of(&wave(std::f32::consts::FRAC_PI_2), &wave(0.0));
    assert!(near(turned, [0.0, 1.0]), "{turned:?}");
}

#[test]
fn every_bin_is_in_one_band() {
    for fft_size in [16, 64, 2048] {
        let config = CodecConfig { fft_size, ..config(2) };
        let bands = bands_of(&config);
        assert_eq!(bands.len(), config.bands());
        assert_eq!((bands[0].start, bands[bands.len() - 1].end), (0, config.bins()));
        assert!(bands.iter().all(|band| !band.is_empty()), "{bands:?}");
        assert!(bands.windows(2).all(|pair| pair[0].end == pair[1].start), "{bands:?}");
    }
}

#[test]
fn weights_fall_with_frequency() {
    let weights = weights_of(&config(1));
    assert_eq!(weights.len(), config(1).frame_features());
    assert!(weights[..33].windows(2).all(|pair| pair[0] > pair[1]));
    let mean_square = |w: &[f32]| w.iter().map(|w| w * w).sum::<f32>() / w.len() as f32;
    let mean = mean_square(&weights[..33]);
    assert!((mean - 1.0).abs() < 1e-4, "{mean}");
    let (bands, powers) = (power_bands_of(&config(1)), &weights[33..37]);
    for (band, power) in bands.into_iter().zip(powers) {
        let bins: f32 = weights[band].iter().map(|w| w * w).sum();
        assert!((power * power / bins - 2.25).abs() < 1e-4, "1.5 times its bins");
    }
}

#[test]
fn features_from_the_middle_are_those_of_the_whole() {
    let sound = sound(300);
    let whole = features(&[&sound], 0, 20);
    let width = config(1).features();
    assert_eq!(features(&[&sound], 5, 7), whole[5 * width..12 * width]);
}

#[test]
fn features_see_no_sample_after_their_frame() {
    let (sound, width) = (sound(300), config(1).features());
    let mut changed = sound.clone();
    changed[96] += 1.0; // frame 5 ends before it
    let (a, b) = (features(&[&sound], 0, 10), features(&[&changed], 0, 10));
    assert_eq!(a[..6 * width], b[..6 * width]);
    assert_ne!(a[6 * width..7 * width], b[6 * width..7 * width]);
}

#[test]
fn two_channels_are_heard_as_mid_and_side() {
    let (left, right) = (sound(200), sound(200).iter().map(|s| s * s).collect::<Vec<_>>());
    let pair = left.iter().zip(&right);
    let mid: Vec<f32> = pair.clone().map(|(l, r)| (l + r) / 2.0).collect();
    let side: Vec<f32> = pair.map(|(l, r)| (l - r) / 2.0).collect();
    let (mid, side) = (features(&[&mid], 4, 1), features(&[&side], 4, 1));
    let both = features(&[&left, &right], 4, 1);
    assert_eq!(both[..66], [&mid[..33], &side[..33]].concat());
    assert_eq!(both[config(2).first_power()..], [&mid[33..], &side[33..]].concat());
}

#[test]
fn the_power_of_a_band_is_the_mean_of_its_bins() {
    let features = features(&[&sound(300)], 5, 1);
    for (band, power) in power_bands_of(&config(1)).into_iter().zip(&features[33..]) {
        let bins = features[band].iter();
        let mean = bins.clone().map(|log| (2.0 * log).exp()).sum::<f32>() / bins.len() as f32;
        assert!((power - 0.5 * mean.ln()).abs() < 1e-4, "{power}");
    }
}
