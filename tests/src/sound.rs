//! Sound in memory: level, and WAV files.

use std::path::Path;

use anyhow::{Context, Result};

/// A piece of sound, `[C][S]`, full scale at 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples per second and channel.
    pub rate: u32,
    /// One row of samples per channel, all of one length.
    pub channels: Vec<Vec<f32>>,
}

impl Sound {
    /// Samples per channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.len() as f64 / f64::from(self.rate)
    }

    /// Whether every sample is a number.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.channels.iter().flatten().all(|sample| sample.is_finite())
    }

    /// Root mean square over all channels, in dBFS.
    #[must_use]
    pub fn rms_db(&self) -> f64 {
        let energy: f64 = self.channels.iter().flatten().map(|&x| f64::from(x).powi(2)).sum();
        10.0 * (energy / (self.len() * self.channels.len()).max(1) as f64).max(1e-20).log10()
    }

    /// Largest magnitude over all channels, in dBFS.
    #[must_use]
    pub fn peak_db(&self) -> f64 {
        let peak = self.channels.iter().flatten().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        20.0 * f64::from(peak).max(1e-10).log10()
    }

    /// The mean of the channels, `[S]`.
    #[must_use]
    pub fn mono(&self) -> Vec<f32> {
        let share = 1.0 / self.channels.len().max(1) as f32;
        (0..self.len()).map(|i| self.channels.iter().map(|c| c[i]).sum::<f32>() * share).collect()
    }

    /// Writes a 24-bit WAV file. Samples beyond full scale are clipped.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn write_wav(&self, path: &Path) -> Result<()> {
        self.write_samples(path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn write_samples(&self, path: &Path) -> Result<()> {
        let spec = hound::WavSpec {
            channels: u16::try_from(self.channels.len())?,
            sample_rate: self.rate,
            bits_per_sample: 24,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec)?;
        for i in 0..self.len() {
            for channel in &self.channels {
                writer.write_sample(to_24_bits(channel[i]))?;
            }
        }
        Ok(writer.finalize()?)
    }

    /// Reads a WAV file of any of the usual sample formats.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is no WAV file.
    pub fn read_wav(path: &Path) -> Result<Self> {
        Self::read_samples(path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn read_samples(path: &Path) -> Result<Self> {
        let mut reader = hound::WavReader::open(path)?;
        let spec = reader.spec();
        let samples: Vec<f32> = match spec.sample_format {
            hound::SampleFormat::Float => reader.samples().collect::<Result<_, _>>()?,
            hound::SampleFormat::Int => {
                let full_scale = 2.0_f32.powi(i32::from(spec.bits_per_sample) - 1);
                let scaled = |sample: Result<i32, _>| sample.map(|s| s as f32 / full_scale);
                reader.samples().map(scaled).collect::<Result<_, _>>()?
            }
        };
        let count = usize::from(spec.channels);
        let channel = |c| samples.iter().skip(c).step_by(count).copied().collect();
        Ok(Self { rate: spec.sample_rate, channels: (0..count).map(channel).collect() })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to 24 bits")]
fn to_24_bits(sample: f32) -> i32 {
    (f64::from(sample) * 8_388_608.0).round().clamp(-8_388_608.0, 8_388_607.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_sine_has_its_level() {
        let sine = (0..4800_u16).map(|i| (f32::from(i) * std::f32::consts::TAU / 48.0).sin());
        let sound = Sound { rate: 48_000, channels: vec![sine.collect(); 2] };
        assert!((sound.rms_db() + 3.01).abs() < 0.01, "{}", sound.rms_db());
        assert!(sound.peak_db().abs() < 0.01, "{}", sound.peak_db());
        assert!((sound.seconds() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_wav_file_keeps_24_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        let sound =
            Sound { rate: 44_100, channels: vec![vec![0.5, -1.0, 0.25], vec![0.0, 0.1, 1.0]] };
        sound.write_wav(&path).unwrap();
        let back = Sound::read_wav(&path).unwrap();
        assert_eq!((back.rate, back.channels.len(), back.len()), (44_100, 2, 3));
        for (a, b) in sound.channels.iter().flatten().zip(back.channels.iter().flatten()) {
            assert!((a - b).abs() <= 1.0 / 8_388_608.0, "{a} came back as {b}");
        }
    }
}
