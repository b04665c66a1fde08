//! Sizes of the model. Everything that decides the set of tensors in a bundle is here.
//!
//! Notation: `C` channels, `F` bins of the STFT, `W` width, `D` latent channels, `N` quantizers,
//! `K` codebook entries, `H` hidden size of the prior.

use serde::{Deserialize, Serialize};

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
    /// Taps of the depthwise convolutions, in STFT frames.
    pub kernel: usize,
    /// Inner channels of a block as a multiple of `W`.
    pub expansion: usize,
    /// `D`: channels of the latent.
    pub latent_dim: usize,
    /// `N`: quantizers (levels).
    pub quantizers: usize,
    /// `K`: entries of each codebook.
    pub codebook_size: usize,
    /// Factor that brought the corpus as a whole to the level the codec was trained at. Input is
    /// multiplied by it, output divided, so that playing has the level of the recordings.
    pub gain: f32,
}

impl CodecConfig {
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

    /// Bins whose phase the encoder sees, from the lowest: about a quarter of the spectrum. Above
    /// it, phase turns too fast between frames to be worth codes.
    #[must_use]
    pub fn phase_bins(&self) -> usize {
        self.fft_size / 8
    }

    /// Features per STFT frame that the encoder reads.
    #[must_use]
    pub fn features(&self) -> usize {
        self.channels * (self.bins() + 2 * self.phase_bins())
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
        let (w, d) = (self.width, self.latent_dim);
        let mut list = TensorList::default();
        list.linear("codec.encoder.embed", self.features(), w);
        list.norm("codec.encoder.embed_norm", w);
        list.blocks("codec.encoder.blocks", self.encoder_blocks, self);
        list.norm("codec.encoder.norm", w);
        list.linear("codec.encoder.project", self.stride * w, d);
        list.add("codec.quantizer.codebooks", &[self.quantizers, self.codebook_size, d]);
        list.linear("codec.decoder.project", d, self.stride * w);
        list.blocks("codec.decoder.blocks", self.decoder_blocks, self);
        list.norm("codec.decoder.norm", w);
        list.linear("codec.decoder.head", w, self.channels * 2 * self.bins());
        list.sorted()
    }
}

/// Sizes of the prior: a temporal transformer over frames and a depth transformer over levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorConfig {
    /// `H`: channels of the temporal transformer.
    pub hidden_size: usize,
    /// Layers of the temporal transformer.
    pub layers: usize,
    /// Attention heads of the temporal transformer; divides `hidden_size` into even parts.
    pub heads: usize,
    /// Frames that attention looks back on, the current one included.
    pub window: usize,
    /// Channels of the depth transformer.
    pub depth_size: usize,
    /// Layers of the depth transformer.
    pub depth_layers: usize,
    /// Attention heads of the depth transformer.
    pub depth_heads: usize,
}

impl PriorConfig {
    /// Name and shape of every tensor of a prior over the codes of `codec`, sorted by name.
    #[must_use]
    pub fn tensors(&self, codec: &CodecConfig) -> Vec<(String, Vec<usize>)> {
        let (n, k) = (codec.quantizers, codec.codebook_size);
        let (h, e) = (self.hidden_size, self.depth_size);
        let mut list = TensorList::default();
        list.add("prior.start", &[h]);
        list.add("prior.codes", &[n * k, h]);
        list.layers("prior.layers", self.layers, h, self.heads);
        list.norm("prior.norm", h);
        list.linear("prior.depth.project", h, e);
        list.add("prior.depth.levels", &[n, e]);
        list.add("prior.depth.codes", &[(n - 1) * k, e]);
        list.layers("prior.depth.layers", self.depth_layers, e, self.depth_heads);
        list.norm("prior.depth.norm", e);
        list.add("prior.depth.head.weight", &[n, k, e]);
        list.add("prior.depth.head.bias", &[n, k]);
        list.sorted()
    }
}

impl ModelConfig {
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
