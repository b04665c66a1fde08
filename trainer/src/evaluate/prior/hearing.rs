//! What is heard of a sound, frame by frame: mel bands, the codec's latents, loudness and onsets.

use std::sync::Arc;

use distill_shared::player::{Model, latents};
use realfft::num_complex::Complex;

use crate::descriptors::listen;
use crate::evaluate::mel::MelBands;
use crate::evaluate::spectra::Stft;

/// Mel bands of a frame, `M`.
pub const BANDS: usize = 48;
/// Samples of a spectrum.
const WINDOW: usize = 2048;

/// What is heard of a sound, in `T` frames of the codec.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Power in mel bands, the mean of the channels, `[T, M]`; a full-scale sine has about 1.
    pub mel: Vec<f32>,
    /// Latents before they are quantized, `[T, D]`.
    pub latents: Vec<f32>,
    /// K-weighted mean square of all channels together, `[T]`, re full scale.
    pub power: Vec<f32>,
    /// Sounds that begin, `[T]`.
    pub onsets: Vec<f32>,
    /// Mean square of a channel, re full scale, summed over the frames.
    pub squares: f64,
}

impl Heard {
    /// Number of frames, `T`.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.power.len()
    }

    /// What is heard in sounds that follow one another.
    #[must_use]
    pub fn joined(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.mel.extend(part.mel);
            all.latents.extend(part.latents);
            all.power.extend(part.power);
            all.onsets.extend(part.onsets);
            all.squares += part.squares;
        }
        all
    }

    /// The root mean square of a channel over all frames.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a level")]
    pub fn level(&self) -> f32 {
        (self.squares / self.frames().max(1) as f64).sqrt() as f32
    }
}

/// Hears sounds at the rate of a model. Shared by all threads.
pub struct Ear {
    model: Arc<Model>,
    stft: Stft,
    bands: MelBands,
}

impl Ear {
    /// Hears as the codec of `model` does.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        let codec = &model.config().codec;
        let bands = MelBands::new(BANDS, WINDOW, codec.sample_rate);
        Self { stft: Stft::new(WINDOW, codec.hop()), bands, model }
    }

    /// Hears all there is in `sound`, `[C][S]`; what is less than a frame at its end is not heard.
    #[must_use]
    pub fn hear(&self, sound: &[Vec<f32>]) -> Heard {
        let codec = &self.model.config().codec;
        let frames = sound.first().map_or(0, |channel| channel.len() / codec.hop());
        let moments = listen(sound, codec.sample_rate, codec.hop());
        let channels: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
        let mut latents = latents(&self.model, &channels);
        latents.truncate(frames * codec.latent_dim);
        let used = frames * codec.hop();
        let squares: f64 = channels
            .iter()
            .flat_map(|channel| &channel[..used])
            .map(|&x| f64::from(x).powi(2))
            .sum();
        Heard {
            mel: self.mel(sound, frames),
            latents,
            power: moments.iter().take(frames).map(|moment| moment.power).collect(),
            onsets: moments.iter().take(frames).map(|moment| moment.onsets).collect(),
            squares: squares / (codec.hop() * channels.len().max(1)) as f64,
        }
    }

    /// Power in the mel bands of each frame, `[T, M]`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "levels need no more digits")]
    pub fn mel(&self, sound: &[Vec<f32>], frames: usize) -> Vec<f32> {
        let scale = 2.0 / self.stft.window().iter().sum::<f64>();
        let share = scale * scale / sound.len().max(1) as f64;
        let mut mel = vec![0.0; frames * BANDS];
        let (mut energies, mut bands) = (vec![0.0; self.stft.bins()], [0.0; BANDS]);
        for channel in sound {
            let samples: Vec<f64> = channel.iter().map(|&sample| f64::from(sample)).collect();
            let mut spectra = self.stft.frames(&samples);
            for row in mel.chunks_exact_mut(BANDS) {
                let Some(spectrum) = spectra.advance() else { break };
                let powers = spectrum.iter().map(Complex::norm_sqr);
                energies.iter_mut().zip(powers).for_each(|(energy, power)| *energy = share * power);
                self.bands.apply(&energies, &mut bands);
                row.iter_mut().zip(&bands).for_each(|(sum, power)| *sum += *power as f32);
            }
        }
        mel
    }
}
