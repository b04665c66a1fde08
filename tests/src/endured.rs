//! What came of an instance that was played roughly.

/// What an instance was put through.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Endured {
    /// Samples of each channel that were played.
    pub samples: u64,
    /// The largest magnitude.
    pub peak: f32,
    /// Samples that were no numbers.
    pub not_finite: u64,
}

impl Endured {
    /// Takes in what was played, planar.
    pub(crate) fn hear(&mut self, channels: &[Vec<f32>]) {
        self.samples += channels.first().map_or(0, |channel| channel.len() as u64);
        for sample in channels.iter().flatten() {
            self.not_finite += u64::from(!sample.is_finite());
            self.peak = self.peak.max(sample.abs());
        }
    }
}
