//! Descriptors: what can be heard of a sound frame by frame, and so be asked of a prior.
//!
//! [`listen`] measures each frame by itself. What a prior is asked for describes what *follows*: a
//! player who asks for something bright means the sound to come. So [`describe`] looks from a frame
//! forwards, as far as its kind of descriptor needs.

pub mod offer;
mod onsets;
mod pitch;
pub mod words;

use distill_shared::model::conditioning::BEGINNING;
use realfft::num_complex::Complex;

use crate::evaluate::loudness::k_weighted;
use crate::evaluate::metrics::decibels;
use crate::evaluate::spectra::Stft;

/// Frames whose sound is described together, a second at the usual rate: long enough to hear what
/// is played, and not how its tails fade.
const NEAR: usize = 48;
/// Frames over which onsets are counted: a second and a half at the usual rate. As far as
/// [`describe`] looks.
pub const HORIZON: usize = 72;
/// How far pitches may be apart that are one, in semitones.
const STEADY: f32 = 0.3;
/// Share of the energy that has to be of one pitch.
const MOSTLY: f32 = 0.7;
/// Window in samples of what is measured in spectra.
const WINDOW: usize = 2048;
/// The lowest bin whose energy counts as brightness or darkness; below is rumble.
const LOWEST_BIN: usize = 2;
/// Mean square below which there is nothing to describe: -80 dB re full scale.
const SILENCE: f32 = 1e-8;

/// What is heard in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moment {
    /// K-weighted mean square of all channels together, re full scale.
    pub power: f32,
    /// Centre of the energy on an axis of octaves above 1 Hz.
    pub brightness: f32,
    /// Sounds that begin.
    pub onsets: f32,
    /// Pitch as the number of a MIDI key, if there is one.
    pub pitch: Option<f32>,
}

/// What a sound is like from one frame on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Description {
    /// Level in dB re full scale, at least that of silence.
    pub loudness: f32,
    /// Centre of the energy in octaves above 1 Hz; none in silence.
    pub brightness: Option<f32>,
    /// Onsets per frame, those that are near counting most.
    pub density: f32,
    /// Level of the first frames, in dB re full scale: of what begins here, if anything does.
    pub attack: f32,
    /// Pitch as the number of a MIDI key, in the first frames.
    pub pitch: Option<f32>,
}

/// Listens to `channels`, `[C][S]` at `rate` Hz, in frames of `hop` samples: `[S / hop]`, rounded up.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "what is described needs no more digits")]
pub fn listen(channels: &[Vec<f32>], rate: u32, hop: usize) -> Vec<Moment> {
    let samples = channels.first().map_or(0, Vec::len);
    let mut moments = vec![Moment::default(); samples.div_ceil(hop)];
    for channel in channels {
        for (i, sample) in k_weighted(channel).enumerate() {
            moments[i / hop].power += (sample * sample / hop as f64) as f32;
        }
    }
    let columns = columns(channels, rate, (hop / 2).max(1));
    for (t, moment) in moments.iter_mut().enumerate() {
        // The column in the middle of the frame.
        let column = columns.get(2 * t + 1).or(columns.last());
        moment.brightness = column.map_or(0.0, |column| column.brightness as f32);
    }
    // The last half window hears the sound's mirror image, in which nothing begins.
    let whole = samples.saturating_sub(WINDOW / 2) / (hop / 2).max(1) + 1;
    for at in onsets::find(&columns[..whole.min(columns.len())]) {
        if let Some(moment) = moments.get_mut(at / 2) {
            moment.onsets += 1.0;
        }
    }
    let mono = mono(channels);
    pitch::track(&mono, rate, hop, &mut moments);
    moments
}

/// What is kept of a spectrum: whole ones of an hour of sound would take gigabytes.
struct Column {
    /// Centre of the energy in octaves above 1 Hz.
    brightness: f64,
    levels: onsets::Levels,
}

/// The spectra of all channels together, every `hop` samples.
fn columns(channels: &[Vec<f32>], rate: u32, hop: usize) -> Vec<Column> {
    let stft = Stft::new(WINDOW, hop);
    let bin_hz = f64::from(rate) / WINDOW as f64;
    let octaves: Vec<f64> = (0..stft.bins()).map(|bin| (bin as f64 * bin_hz).log2()).collect();
    let sounds = channels.iter().map(|c| c.iter().map(|&s| f64::from(s)).collect::<Vec<f64>>());
    let mut streams: Vec<_> = sounds.map(|sound| stft.frames(&sound)).collect();
    let mut energies = vec![0.0; stft.bins()];
    let mut columns = Vec::new();
    loop {
        energies.fill(0.0);
        for stream in &mut streams {
            let Some(spectrum) = stream.advance() else { return columns };
            let of_channel = spectrum.iter().map(Complex::norm_sqr);
            energies.iter_mut().zip(of_channel).for_each(|(sum, energy)| *sum += energy);
        }
        if streams.is_empty() {
            return columns;
        }
        let audible = || octaves.iter().zip(&energies).skip(LOWEST_BIN);
        let total: f64 = audible().map(|(_, energy)| energy).sum();
        let moment: f64 = audible().map(|(octave, energy)| octave * energy).sum();
        let levels = onsets::band_levels(&energies, bin_hz);
        columns.push(Column { brightness: moment / (total + 1e-30), levels });
    }
}

/// The mean of the channels.
fn mono(channels: &[Vec<f32>]) -> Vec<f64> {
    let samples = channels.first().map_or(0, Vec::len);
    let mean = |i: usize| {
        channels.iter().map(|c| f64::from(c[i])).sum::<f64>() / channels.len().max(1) as f64
    };
    (0..samples).map(mean).collect()
}

/// Describes what follows from the first of `moments` on.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "what is described needs no more digits")]
pub fn describe(moments: &[Moment]) -> Description {
    let near = &moments[..moments.len().min(NEAR)];
    let first = &moments[..moments.len().min(BEGINNING)];
    let power: f32 = near.iter().map(|m| m.power).sum();
    let mean = mean_power(near);
    let centre = near.iter().map(|m| m.power * m.brightness).sum::<f32>() / power;
    Description {
        loudness: decibels(mean.into()) as f32,
        brightness: (mean > SILENCE).then_some(centre),
        density: density(moments),
        attack: decibels(mean_power(first).into()) as f32,
        pitch: pitch_of(first),
    }
}

/// The mean power of `moments`, at least that of silence.
fn mean_power(moments: &[Moment]) -> f32 {
    let power: f32 = moments.iter().map(|m| m.power).sum();
    (power / moments.len().max(1) as f32).max(SILENCE)
}

/// Onsets per frame, weighted by a triangle that falls from the first frame to the horizon.
fn density(moments: &[Moment]) -> f32 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (i, moment) in moments.iter().take(HORIZON).enumerate() {
        let weight = (HORIZON - i) as f32;
        sum += weight * moment.onsets;
        total += weight;
    }
    if total > 0.0 { sum / total } else { 0.0 }
}

/// The pitch of the loudest frame that has one, if most of the energy is in frames that agree with
/// it: a drum glides, a note stays.
fn pitch_of(moments: &[Moment]) -> Option<f32> {
    let pitched = moments.iter().filter(|m| m.pitch.is_some());
    let pitch = pitched.max_by(|a, b| a.power.total_cmp(&b.power)).and_then(|m| m.pitch)?;
    let agrees = |m: &&Moment| m.pitch.is_some_and(|other| (other - pitch).abs() <= STEADY);
    let steady: f32 = moments.iter().filter(agrees).map(|m| m.power).sum();
    let all: f32 = moments.iter().map(|m| m.power).sum();
    (steady >= SILENCE && steady >= MOSTLY * all).then_some(pitch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;
    const HOP: usize = 1024;

    fn tone(key: f32, milliseconds: u32, level: f32) -> Vec<f32> {
        let hz = 440.0 * ((key - 69.0) / 12.0).exp2();
        let sample = |t: u32| {
            let turn = std::f32::consts::TAU * hz * t as f32 / 48_000.0;
            level * (turn.sin() + 0.5 * (2.0 * turn).sin() + 0.25 * (3.0 * turn).sin())
        };
        (0..48 * milliseconds).map(sample).collect()
    }

    #[test]
    fn a_tone_has_its_pitch_and_its_brightness() {
        for key in [33.0, 45.5, 60.0, 84.0] {
            let moments = listen(&[tone(key, 1000, 0.1)], RATE, HOP);
            let inside = &moments[4..moments.len() - 4];
            for moment in inside {
                let found = moment.pitch.unwrap_or_default();
                assert!((found - key).abs() < 0.1, "{found} is not {key}");
            }
        }
        let brightness = |key| describe(&listen(&[tone(key, 1000, 0.1)], RATE, HOP)).brightness;
        let octave = brightness(72.0).unwrap() - brightness(60.0).unwrap();
        assert!((octave - 1.0).abs() < 0.1, "an octave higher is {octave} octaves brighter");
    }

    #[test]
    fn ten_times_the_amplitude_is_twenty_decibels_louder() {
        let loudness = |level| describe(&listen(&[tone(60.0, 500, level)], RATE, HOP)).loudness;
        assert!((loudness(0.5) - loudness(0.05) - 20.0).abs() < 0.01);
        let silence = describe(&listen(&[vec![0.0; 9000]], RATE, HOP));
        assert!((silence.loudness + 80.0).abs() < 1e-3, "{silence:?}");
        assert_eq!((silence.brightness, silence.pitch, silence.density), (None, None, 0.0));
    }

    #[test]
    fn both_channels_are_heard() {
        let tone = tone(60.0, 500, 0.1);
        let stereo = [vec![0.0; tone.len()], tone.clone()];
        assert_eq!(listen(&stereo, RATE, HOP)[9].power, listen(&[tone], RATE, HOP)[9].power);
    }

    #[test]
    fn noise_has_no_pitch() {
        let mut state = 1_u32;
        let noise: Vec<f32> = (0..48_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from((state >> 16) as u16) / 65_536.0 - 0.5
            })
            .collect();
        let moments = listen(&[noise], RATE, HOP);
        let pitched = moments.iter().filter(|m| m.pitch.is_some()).count();
        assert!(pitched * 20 < moments.len(), "{pitched} of {} frames", moments.len());
    }

    #[test]
    fn a_pitch_that_glides_is_none() {
        let pitched = |glide: f32| {
            let moment = |t: u8| {
                let pitch = Some(60.0 + glide * f32::from(t));
                Moment { power: 0.1, pitch, ..Moment::default() }
            };
            describe(&(0..20).map(moment).collect::<Vec<_>>()).pitch
        };
        assert!(pitched(0.02).is_some_and(|pitch| (pitch - 60.0).abs() < 0.2));
        assert_eq!(pitched(0.3), None);
    }

    #[test]
    fn onsets_that_are_near_count_most() {
        let mut moments = [Moment::default(); HORIZON];
        moments[0].onsets = 1.0;
        let first = describe(&moments).density;
        assert!((first * (HORIZON as f32 + 1.0) / 2.0 - 1.0).abs() < 1e-5, "{first}");
        moments[0].onsets = 0.0;
        moments[HORIZON - 1].onsets = 1.0;
        assert!(describe(&moments).density < first / 50.0);
    }
}
