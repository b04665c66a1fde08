//! Previews of bundles, which need not be loaded to be heard.

use std::sync::Arc;

use distill_shared::bundle::Bundle;

/// What a bundle sounds like.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Samples of each channel, one or two of them.
    pub channels: Vec<Vec<f32>>,
    /// Samples per second.
    pub rate: u32,
}

impl Preview {
    /// That of `bundle`, if it has one.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Option<Self> {
        Some(Self { channels: bundle.preview()?, rate: bundle.config().codec.sample_rate })
    }

    /// Whether there is anything to be heard.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.rate > 0 && self.channels.first().is_some_and(|samples| !samples.is_empty())
    }
}

/// A preview, and how much of it has been fed to the audio thread.
#[derive(Debug)]
pub struct PreviewPlayback {
    preview: Arc<Preview>,
    fed: usize,
}

impl PreviewPlayback {
    /// `preview` from its beginning.
    #[must_use]
    pub fn of(preview: &Arc<Preview>) -> Self {
        Self { preview: Arc::clone(preview), fed: 0 }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.preview.channels.first().is_none_or(|samples| self.fed >= samples.len())
    }

    /// Feeds the next samples into `frame`, planar, of one or two `channels`; silence after the last.
    pub fn step(&mut self, frame: &mut [f32], channels: usize) {
        let sides = self.preview.channels.as_slice();
        let hop = frame.len() / channels.max(1);
        for (channel, out) in frame.chunks_exact_mut(hop.max(1)).enumerate() {
            // What is mono is heard on both sides; where there is one side, the mean of both.
            let own = sides.get(channel).or(sides.last()).map_or(&[][..], std::slice::from_ref);
            let heard = if channels == 1 { sides } else { own };
            for (i, out) in out.iter_mut().enumerate() {
                let sample = |side: &Vec<f32>| side.get(self.fed + i).copied().unwrap_or(0.0);
                *out = heard.iter().map(sample).sum::<f32>() / heard.len().max(1) as f32;
            }
        }
        self.fed += hop;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(channels: Vec<Vec<f32>>, sides: usize) -> Vec<f32> {
        let mut playback = PreviewPlayback::of(&Arc::new(Preview { channels, rate: 48_000 }));
        let mut sound = Vec::new();
        while !playback.is_over() {
            let mut frame = vec![9.0; 2 * sides];
            playback.step(&mut frame, sides);
            sound.extend(frame);
        }
        sound
    }

    #[test]
    fn mono_is_heard_on_both_sides_and_stereo_on_one_as_its_mean() {
        let (left, right) = (vec![1.0, 2.0, 3.0], vec![3.0, 0.0, 1.0]);
        assert_eq!(heard(vec![left.clone()], 1), [1.0, 2.0, 3.0, 0.0]);
        assert_eq!(heard(vec![left.clone()], 2), [1.0, 2.0, 1.0, 2.0, 3.0, 0.0, 3.0, 0.0]);
        assert_eq!(
            heard(vec![left.clone(), right.clone()], 2),
            [1.0, 2.0, 3.0, 0.0, 3.0, 0.0, 1.0, 0.0]
        );
        assert_eq!(heard(vec![left, right], 1), [2.0, 1.0, 2.0, 0.0]);
        assert!(heard(Vec::new(), 2).is_empty());
    }
}
