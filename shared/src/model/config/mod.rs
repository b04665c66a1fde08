//! Sizes of the model. Everything that decides the set of tensors in a bundle is here.
//!
//! Notation: `C` channels, `F` bins of the STFT, `W` width, `D` latent channels, `N` quantizers,
//! `K` codebook entries, `H` hidden size of the prior.

use serde::{Deserialize, Serialize};

use super::conditioning::{MAX_CLASS_NAME, MAX_CLASSES};

mod prior;

pub use prior::PriorConfig;

/// Sizes of codec and prior: the `config` of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The codec.
    pub codec: CodecConfig,
    /// The prior, if the bundle holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<PriorConfig>,
}

/// Weights of the largest model: what fits into the largest bundle as 16-bit floats.
pub const MAX_PARAMETERS: usize = 1 << 28;

/// A size that no model can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A number is outside its range.
    #[error("{name} is {value}, outside {low} to {high}")]
    Range {
        /// The field, as it is called in the config.
        name: &'static str,
        /// What it is.
        value: usize,
        /// The least it may be.
        low: usize,
        /// The most it may be.
        high: usize,
    },
    /// `fft_size` is not a power of two.
    #[error("fft_size is {0}, not a power of two")]
    FftSize(usize),
    /// `stft_hop` is not a quarter of `fft_size`.
    #[error("stft_hop is {0}, not a quarter of fft_size")]
    StftHop(usize),
    /// Attention heads do not divide the channels they share into even parts.
    #[error("{heads} attention heads do not divide {channels} channels into even parts")]
    Heads {
        /// Number of heads.
        heads: usize,
        /// Channels of the transformer.
        channels: usize,
    },
    /// `gain` is not a positive factor of a sensible size.
    #[error("gain is {0}, outside 1e-6 to 1e6")]
    Gain(f32),
    /// The range of a descriptor is not one.
    #[error("the {0} that the prior offers is not a range of numbers")]
    Distribution(&'static str),
    /// The distance that counts as copied is not one.
    #[error("near is {0}, outside 0 to 1")]
    Near(f32),
    /// There are too many classes, or one has too long a name.
    #[error(
        "there are over {MAX_CLASSES} classes, or the name of one is longer than {MAX_CLASS_NAME}"
    )]
    Classes,
    /// `memory` is not a share of something that fades.
    #[error("memory is {0}, outside 0 to {MAX_MEMORY}")]
    Memory(f32),
    /// The weight of a coherence or a power is out of range.
    #[error("{0} is {1}, outside 0.01 to 100")]
    Weight(&'static str, f32),
}

/// Checks one size.
pub(super) fn in_range(
    name: &'static str,
    value: usize,
    low: usize,
    high: usize,
) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Range { name, value, low, high })
    }
}

/// The largest [`CodecConfig::memory`]: what was heard fades within seconds.
pub const MAX_MEMORY: f32 = 0.98;

/// The most bands in which the codec hears how side relates to mid.
const MAX_BANDS: usize = 32;

/// Sizes of the codec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecConfig {
    /// Rate at which the codec hears and plays, in Hz.
    pub sample_rate: u32,
    /// `C`: 1 (mono) or 2 (stereo, coded jointly as mid and side).
    pub channels: usize,
    /// Length of the STFT window in samples.
    pub fft_size: usize,
    /// Samples between STFT frames; a quarter of `fft_size`.
    pub stft_hop: usize,
    /// STFT frames per codec frame.
    pub stride: usize,
    /// `W`: channels of the convolutional blocks.
    pub width: usize,
    /// Convolutional blocks of the encoder.
    pub encoder_blocks: usize,
    /// Convolutional blocks of the decoder.
    pub decoder_blocks: usize,
    /// Taps of the depthwise convolutions, in codec frames.
    pub kernel: usize,
    /// Inner channels of a block as a multiple of `W`.
    pub expansion: usize,
    /// `D`: channels of the latent.
    pub latent_dim: usize,
    /// `N`: quantizers (levels).
    pub quantizers: usize,
    /// `K`: entries of each codebook.
    pub codebook_size: usize,
    /// Share of a latent that is expected of the next one, 0 to [`MAX_MEMORY`], since codes tell only
    /// what is new: one for all channels, or none if each has its own, as the tensor `codec.memory`
    /// tells; see [`crate::quantizer::Memory`].
    pub memory: Option<f32>,
    /// Weight of a coherence beside that of a log-magnitude; 1 in bundles that do not tell it.
    #[serde(default = "one")]
    pub coherence: f32,
    /// Bands of a channel whose power is told beside the magnitudes of their bins, at most a quarter of
    /// the bins; none in bundles that do not tell it. See [`crate::stft::Analysis`].
    #[serde(default)]
    pub power_bands: usize,
    /// Weight of a power beside the magnitudes of its band, all together.
    #[serde(default = "one")]
    pub power: f32,
    /// Factor that brought the corpus as a whole to the level the codec was trained at. Input is
    /// multiplied by it, output divided, so that playing has the level of the recordings.
    pub gain: f32,
}

/// A weight that is not told.
fn one() -> f32 {
    1.0
}

impl CodecConfig {
    /// Checks that every size is in its range; see [`ModelConfig::check`].
    ///
    /// # Errors
    ///
    /// Names the first size that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("sample_rate", self.sample_rate as usize, 8_000, 192_000)?;
        in_range("channels", self.channels, 1, 2)?;
        in_range("fft_size", self.fft_size, 16, 8192)?;
        if !self.fft_size.is_power_of_two() {
            return Err(ConfigError::FftSize(self.fft_size));
        }
        if self.stft_hop != self.fft_size / 4 {
            return Err(ConfigError::StftHop(self.stft_hop));
        }
        in_range("stride", self.stride, 1, 16)?;
        in_range("width", self.width, 1, 4096)?;
        in_range("encoder_blocks", self.encoder_blocks, 0, 32)?;
        in_range("decoder_blocks", self.decoder_blocks, 0, 32)?;
        in_range("kernel", self.kernel, 1, 64)?;
        in_range("expansion", self.expansion, 1, 8)?;
        in_range("latent_dim", self.latent_dim, 1, 1024)?;
        in_range("quantizers", self.quantizers, 1, 32)?;
        in_range("codebook_size", self.codebook_size, 2, 4096)?;
        if let Some(memory) = self.memory.filter(|share| !(0.0..=MAX_MEMORY).contains(share)) {
            return Err(ConfigError::Memory(memory));
        }
        in_range("power_bands", self.power_bands, 0, self.bins() / 4)?;
        for (name, weight) in [("coherence", self.coherence), ("power", self.power)] {
            if !(1e-2..=1e2).contains(&weight) {
                return Err(ConfigError::Weight(name, weight));
            }
        }
        if !(1e-6..=1e6).contains(&self.gain) {
            return Err(ConfigError::Gain(self.gain));
        }
        Ok(())
    }

    /// Samples per codec frame and channel.
    #[must_use]
    pub fn hop(&self) -> usize {
        self.stft_hop * self.stride
    }

    /// Codec frames per second.
    #[must_use]
    pub fn frame_rate(&self) -> f64 {
        f64::from(self.sample_rate) / self.hop() as f64
    }

    /// `F`: bins of the STFT.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.fft_size / 2 + 1
    }

    /// Bands in which the codec hears how side relates to mid; none in mono.
    #[must_use]
    pub fn bands(&self) -> usize {
        if self.channels == 2 { (self.bins() / 4).min(MAX_BANDS) } else { 0 }
    }

    /// Features of an STFT frame: the log-magnitudes of every channel, then the coherence of side
    /// with mid in each band, real parts before imaginary ones, then the powers of the bands of every
    /// channel; see [`crate::stft::Analysis`].
    #[must_use]
    pub fn features(&self) -> usize {
        self.first_power() + self.channels * self.power_bands
    }

    /// Where the powers begin among the features of an STFT frame.
    #[must_use]
    pub fn first_power(&self) -> usize {
        self.channels * self.bins() + 2 * self.bands()
    }

    /// `X`: features of a codec frame, those of its `stride` STFT frames one after the other.
    #[must_use]
    pub fn frame_features(&self) -> usize {
        self.stride * self.features()
    }

    /// Samples by which decoded sound lags behind its codes: the overlap of the STFT.
    ///
    /// STFT frame `t` covers the samples from `t * stft_hop - delay()` up to `(t + 1) * stft_hop`.
    #[must_use]
    pub fn delay(&self) -> usize {
        self.fft_size - self.stft_hop
    }

    /// Codec frames that hold a recording of `samples` whole, its decoded tail included.
    #[must_use]
    pub fn frames_for(&self, samples: usize) -> usize {
        (samples + self.delay()).div_ceil(self.hop())
    }

    /// Name and shape of every tensor of the codec, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (w, d, x) = (self.width, self.latent_dim, self.frame_features());
        let mut list = TensorList::default();
        list.add("codec.ceiling", &[self.channels * self.bins()]);
        list.add("codec.level", &[self.channels * self.bins()]);
        if self.memory.is_none() {
            list.add("codec.memory", &[d]);
        }
        list.add("codec.origin", &[x]);
        list.add("codec.peaks", &[self.channels]);
        list.add("codec.encoder.basis", &[d, x]);
        list.linear("codec.encoder.embed", x, w);
        list.norm("codec.encoder.embed_norm", w);
        list.blocks("codec.encoder.blocks", self.encoder_blocks, self);
        list.norm("codec.encoder.norm", w);
        list.linear("codec.encoder.project", w, d);
        list.add("codec.quantizer.codebooks", &[self.quantizers, self.codebook_size, d]);
        list.add("codec.decoder.basis", &[x, d]);
        list.linear("codec.decoder.project", d, w);
        list.blocks("codec.decoder.blocks", self.decoder_blocks, self);
        list.norm("codec.decoder.norm", w);
        list.linear("codec.decoder.head", w, x);
        list.sorted()
    }
}

impl ModelConfig {
    /// Checks that every size is in its range, so that nothing computed from it can overflow or
    /// exhaust memory. Everything that takes a config from outside calls this first.
    ///
    /// # Errors
    ///
    /// Names the first size that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.codec.check()?;
        self.prior.iter().try_for_each(PriorConfig::check)?;
        let parameters = self.parameters();
        in_range("parameters in all", parameters, 1, MAX_PARAMETERS)
    }

    /// Number of weights. Meaningful for sizes that are in range.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Name and shape of every weight that this config implies, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = self.codec.tensors();
        all.extend(self.prior.iter().flat_map(|prior| prior.tensors(&self.codec)));
        all
    }
}

/// Collects names and shapes.
#[derive(Default)]
struct TensorList(Vec<(String, Vec<usize>)>);

impl TensorList {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_owned(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.add(&format!("{name}.weight"), &[outputs, inputs]);
        self.add(&format!("{name}.bias"), &[outputs]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.add(&format!("{name}.weight"), &[channels]);
        self.add(&format!("{name}.bias"), &[channels]);
    }

    /// ConvNeXt blocks of the codec.
    fn blocks(&mut self, name: &str, count: usize, config: &CodecConfig) {
        let (w, inner) = (config.width, config.width * config.expansion);
        for i in 0..count {
            self.add(&format!("{name}.{i}.conv.weight"), &[config.kernel, w]);
            self.add(&format!("{name}.{i}.conv.bias"), &[w]);
            self.norm(&format!("{name}.{i}.norm"), w);
            self.linear(&format!("{name}.{i}.up"), w, inner);
            self.linear(&format!("{name}.{i}.down"), inner, w);
            self.add(&format!("{name}.{i}.scale"), &[w]);
        }
    }

    /// Transformer layers of the prior.
    fn layers(&mut self, name: &str, count: usize, width: usize, heads: usize) {
        for i in 0..count {
            self.norm(&format!("{name}.{i}.attention_norm"), width);
            self.add(&format!("{name}.{i}.attention.qkv.weight"), &[3 * width, width]);
            self.add(&format!("{name}.{i}.attention.sinks"), &[heads]);
            self.linear(&format!("{name}.{i}.attention.out"), width, width);
            self.norm(&format!("{name}.{i}.mlp_norm"), width);
            self.linear(&format!("{name}.{i}.up"), width, 4 * width);
            self.linear(&format!("{name}.{i}.down"), 4 * width, width);
        }
    }

    fn sorted(mut self) -> Vec<(String, Vec<usize>)> {
        self.0.sort();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conditioning::Conditioning;

    fn config() -> ModelConfig {
        let codec = CodecConfig {
            sample_rate: 48_000,
            channels: 2,
            fft_size: 2048,
            stft_hop: 512,
            stride: 2,
            width: 256,
            encoder_blocks: 4,
            decoder_blocks: 8,
            kernel: 7,
            expansion: 3,
            latent_dim: 32,
            quantizers: 8,
            codebook_size: 256,
            memory: Some(0.8),
            coherence: 0.5,
            power_bands: 64,
            power: 1.0,
            gain: 1.0,
        };
        let prior = PriorConfig {
            hidden_size: 256,
            layers: 6,
            heads: 4,
            window: 512,
            depth_size: 128,
            depth_layers: 2,
            depth_heads: 4,
            conditioning: Conditioning::default(),
            ends: true,
            longest: None,
            kept: None,
        };
        ModelConfig { codec, prior: Some(prior) }
    }

    #[test]
    fn sensible_sizes_are_accepted() {
        assert_eq!(config().check(), Ok(()));
    }

    #[test]
    fn sizes_out_of_range_are_named() {
        let refused = |change: fn(&mut ModelConfig), what: &str| {
            let mut config = config();
            change(&mut config);
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        };
        refused(|c| c.codec.channels = 3, "channels is 3");
        refused(|c| c.codec.sample_rate = 0, "sample_rate is 0");
        refused(|c| c.codec.memory = Some(-0.1), "memory is -0.1");
        refused(|c| c.codec.memory = Some(0.99), "memory is 0.99, outside 0 to 0.98");
        refused(|c| c.codec.coherence = 0.0, "coherence is 0, outside 0.01 to 100");
        refused(|c| c.codec.power = f32::NAN, "power is NaN, outside 0.01 to 100");
        refused(|c| c.codec.power_bands = 257, "power_bands is 257, outside 0 to 256");
        refused(|c| c.codec.memory = Some(f32::NAN), "memory is NaN");
        refused(|c| c.codec.fft_size = 1536, "1536, not a power of two");
        refused(|c| c.codec.stft_hop = 256, "not a quarter");
        refused(|c| c.codec.quantizers = 0, "quantizers is 0");
        refused(|c| c.codec.codebook_size = usize::MAX, "codebook_size");
        refused(|c| c.codec.gain = f32::NAN, "gain is NaN");
        refused(|c| c.prior.as_mut().unwrap().heads = 3, "3 attention heads");
        refused(|c| c.prior.as_mut().unwrap().heads = 0, "heads is 0");
        refused(
            |c| {
                let prior = c.prior.as_mut().unwrap();
                (prior.window, prior.hidden_size) = (16_384, 4096);
            },
            "layers x window x hidden_size",
        );
    }

    #[test]
    fn a_model_that_fits_no_bundle_is_refused() {
        let mut config = config();
        (config.codec.width, config.codec.expansion, config.codec.decoder_blocks) = (4096, 8, 32);
        assert!(config.check().unwrap_err().to_string().contains("parameters"));
    }
}
