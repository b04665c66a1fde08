//! Sizes of the prior.

use serde::{Deserialize, Serialize};

use super::{CodecConfig, ConfigError, TensorList, in_range};
use crate::model::conditioning::{Conditioning, GUIDED_LEVELS};
use crate::model::copying::Kept;

/// Frames of a recording at most: days of sound.
const MAX_FRAMES: usize = 1 << 26;
/// The most that a take may remember in keys, and as much in values: ten times what is trained. A host has
/// dozens of takes.
const MAX_REMEMBERED: usize = 1 << 21;

/// Checks that `heads` divide `channels` into even parts: rotary embeddings turn pairs.
fn check_heads(heads: usize, channels: usize) -> Result<(), ConfigError> {
    if channels.is_multiple_of(2 * heads) {
        Ok(())
    } else {
        Err(ConfigError::Heads { heads, channels })
    }
}

/// Sizes of the prior: a temporal transformer over frames and a depth transformer over levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Whether it tells where recordings end, and so begins anew in the course of a take.
    #[serde(default)]
    pub ends: bool,
    /// Frames of the longest recording. What begins in a take lasts no longer, if the prior tells
    /// ends; without, it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,
    /// What it can be asked for.
    #[serde(default)]
    pub conditioning: Conditioning,
    /// What it keeps of its corpus, to know what is copied; nothing if the corpus is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

impl PriorConfig {
    /// Checks that every size is in its range; see [`ModelConfig::check`](super::ModelConfig::check).
    ///
    /// # Errors
    ///
    /// Names the first size that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("hidden_size", self.hidden_size, 2, 4096)?;
        in_range("layers", self.layers, 1, 48)?;
        in_range("heads", self.heads, 1, 64)?;
        in_range("window", self.window, 1, 16_384)?;
        in_range("depth_size", self.depth_size, 2, 4096)?;
        in_range("depth_layers", self.depth_layers, 1, 48)?;
        in_range("depth_heads", self.depth_heads, 1, 64)?;
        check_heads(self.heads, self.hidden_size)?;
        in_range("longest", self.longest.unwrap_or(1), 1, MAX_FRAMES)?;
        self.conditioning.check()?;
        self.kept.iter().try_for_each(Kept::check)?;
        check_heads(self.depth_heads, self.depth_size)?;
        // What a take remembers: keys and values of every frame of the window in every layer.
        let remembered = self.layers * self.window * self.hidden_size;
        in_range("layers x window x hidden_size", remembered, 1, MAX_REMEMBERED)
    }

    /// Shape of the guide: what it adds to the logits of each coarse code for each thing that can
    /// be asked for. None if nothing can be.
    #[must_use]
    pub fn guide_shape(&self, codec: &CodecConfig) -> Option<[usize; 3]> {
        let rows = self.conditioning.rows();
        let levels = codec.quantizers.min(GUIDED_LEVELS);
        (rows > 0).then_some([rows, levels, codec.codebook_size])
    }

    /// Name and shape of every tensor of a prior over the codes of `codec`, sorted by name.
    #[must_use]
    pub fn tensors(&self, codec: &CodecConfig) -> Vec<(String, Vec<usize>)> {
        let (n, k) = (codec.quantizers, codec.codebook_size);
        let (h, e) = (self.hidden_size, self.depth_size);
        let mut list = TensorList::default();
        list.add("prior.start", &[h]);
        list.add("prior.codes", &[n * k, h]);
        if let Some(shape) = self.guide_shape(codec) {
            list.add("prior.guide", &shape);
        }
        for (name, shape) in self.kept.iter().flat_map(|kept| kept.tensors(codec)) {
            list.add(name, &shape);
        }
        list.add("prior.latent", &[h, codec.latent_dim]);
        list.layers("prior.layers", self.layers, h, self.heads);
        list.norm("prior.norm", h);
        if self.ends {
            list.linear("prior.end", h, 1);
        }
        list.linear("prior.target", h, codec.latent_dim);
        list.linear("prior.target.confidence", h, n);
        list.add("prior.target.keep", &[codec.latent_dim]);
        list.add("prior.target.scale", &[n, codec.latent_dim]);
        list.add("prior.target.gain", &[n, codec.latent_dim]);
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
