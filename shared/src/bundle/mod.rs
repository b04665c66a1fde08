//! The bundle: one `.distill` file with everything that playing a trained model needs.
//!
//! A bundle is a [safetensors](https://github.com/huggingface/safetensors) file, so that many
//! programs can open it and opening it can run nothing. Its metadata hold texts:
//!
//! | key | holds |
//! |---|---|
//! | `format` | [`FORMAT`] |
//! | `version` | [`VERSION`] |
//! | `config` | a [`ModelConfig`] as JSON; it decides the set of tensors |
//! | `card` | a [`Card`] as JSON |
//! | `corpus` | JSON, one entry per recording; only if the tensor `corpus.codes` is there |
//! | `digest` | SHA-256 over config and tensors: which model this is |
//! | `checksum` | SHA-256 over all other metadata |
//!
//! `docs/bundle.md` is the specification. Reading checks limits before it allocates, then that the
//! tensors are exactly those of the config, then the digest, then every number. A [`Bundle`] is
//! valid by construction: nothing that takes one has to check it again.

mod archive;
mod card;
mod container;
mod corpus;
mod digest;
mod error;
mod evaluation;
mod file;
mod foreign;
mod packing;
mod read;
mod replacement;
mod tensor;

use std::collections::BTreeMap;

pub use archive::Archive;
pub use card::{
    Card, CodecMetadata, CorpusSummary, CurvePoint, LevelHealth, MAX_CURVE, PriorMetadata,
    TrainingSummary,
};
pub use corpus::CorpusCodes;
pub use digest::is_digest;
pub use error::BundleError;
pub use evaluation::{
    Averages, Bitrate, Distances, EvaluationSummary, Figures, GenerationSummary,
    PriorEvaluationSummary,
};
pub use file::{OpenError, SaveError, save_prior_to_model};
pub use replacement::{Replacement, WriteError, write_atomically};
pub use tensor::{Dtype, Tensor, TensorData, Tensors};

use crate::model::config::{ModelConfig, PriorConfig};
use corpus::Corpus;

/// The `format` of every bundle.
pub const FORMAT: &str = "distill";
/// The `version` that is written; every version up to it is read.
pub const VERSION: u32 = 1;
/// Bytes of the largest bundle.
pub const MAX_BYTES: usize = 512 << 20;
/// Bytes of the largest header.
pub const MAX_HEADER: usize = 1 << 20;
/// Tensors in a bundle.
pub const MAX_TENSORS: usize = 2048;
/// Keys of the metadata.
pub const MAX_KEYS: usize = 64;
/// Characters of a tensor's name.
pub const MAX_NAME: usize = 128;
/// Dimensions of a tensor.
pub const MAX_RANK: usize = 4;
/// Frames of a corpus, and samples of a preview.
pub const MAX_ROWS: usize = 1 << 26;
/// The largest magnitude of a weight.
pub const MAX_WEIGHT: f32 = 1e4;

/// Name of the tensor with the codes of the corpus, `[T, N]`.
const CORPUS_CODES: &str = "corpus.codes";
/// Name of the tensor with the preview, `[C, S]`.
const PREVIEW: &str = "preview";

/// A trained model with its card, and perhaps its corpus as codes and a preview.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    config: ModelConfig,
    /// The config as it stands in the file: the digest is taken of the text.
    config_text: String,
    card: Card,
    weights: Tensors,
    corpus: Option<Corpus>,
    preview: Option<Tensor>,
    digest: String,
}

impl Bundle {
    /// Makes a bundle of a model. `weights` are exactly those of [`ModelConfig::tensors`], each as
    /// 16- or 32-bit floats. Long loss curves of the card are thinned to [`MAX_CURVE`] points.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::read`] would on the bundle written to a file.
    pub fn new(config: ModelConfig, mut card: Card, weights: Tensors) -> Result<Self, BundleError> {
        config.check()?;
        card.thin_curves();
        let config_text = json(&config);
        let digest = String::new();
        Self { config, config_text, card, weights, corpus: None, preview: None, digest }.sealed()
    }

    /// The bundle with the codes of the recordings it was trained on; none removes them.
    ///
    /// # Errors
    ///
    /// Fails if the codes are not those of this codec, or if names and folders of very many
    /// recordings make the header larger than [`MAX_HEADER`].
    pub fn with_corpus_codes(mut self, recordings: &[CorpusCodes]) -> Result<Self, BundleError> {
        self.corpus = Corpus::new(recordings, &self.config.codec)?;
        self.sealed()
    }

    /// The bundle with a few seconds of what it sounds like: planar samples `[C][S]` at the rate of
    /// the codec.
    ///
    /// # Errors
    ///
    /// Fails if there are not as many channels as the codec has, each of the same length, or if a
    /// sample is not finite.
    pub fn with_preview(mut self, channels: &[Vec<f32>]) -> Result<Self, BundleError> {
        let samples = channels.first().map_or(0, Vec::len);
        let shape = [channels.len(), samples];
        self.preview = Some(Tensor::f16(&shape, &channels.concat()).ok_or_else(|| {
            let expected = vec![self.config.codec.channels, samples];
            BundleError::Shape { name: PREVIEW.to_owned(), found: shape.to_vec(), expected }
        })?);
        self.sealed()
    }

    /// The bundle with another card. The digest stays: it is the same model.
    ///
    /// # Errors
    ///
    /// Fails if the card makes the header larger than [`MAX_HEADER`].
    pub fn with_card(mut self, mut card: Card) -> Result<Self, BundleError> {
        card.thin_curves();
        self.card = card;
        self.sealed()
    }

    /// The bundle with another prior, or a first one. `weights` are exactly those of
    /// [`PriorConfig::tensors`]; those of the codec stay as they are.
    ///
    /// # Errors
    ///
    /// Fails if the config is out of range or the weights are not those it implies.
    pub fn with_prior(
        mut self,
        config: &PriorConfig,
        weights: Tensors,
        metadata: PriorMetadata,
    ) -> Result<Self, BundleError> {
        self.config.prior = Some(config.clone());
        self.config.check()?;
        self.config_text = json(&self.config);
        self.weights.retain(|name, _| !name.starts_with("prior."));
        self.weights.extend(weights);
        self.card.prior = Some(metadata);
        // It is that of the prior before.
        self.card.prior_evaluation = None;
        self.card.thin_curves();
        self.sealed()
    }

    /// Sizes of codec and prior.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the bundle says about itself.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// SHA-256 over config and tensors in lower-case hexadecimal: which model this is.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The weights: exactly the tensors of [`ModelConfig::tensors`].
    #[must_use]
    pub fn tensors(&self) -> &Tensors {
        &self.weights
    }

    /// Which codec this is, whatever prior is beside it: SHA-256 over the sizes of the codec and its
    /// tensors. Codes mean the same in all bundles that have it in common.
    #[must_use]
    pub fn codec_digest(&self) -> String {
        let tensors = self.weights.iter().filter(|(name, _)| name.starts_with("codec."));
        let tensors = tensors.map(|(name, tensor)| (name.as_str(), tensor)).collect();
        digest::of_model(&json(&self.config.codec), &tensors)
    }

    /// Whether it holds a prior, and so can make new sound.
    #[must_use]
    pub fn has_prior(&self) -> bool {
        self.config.prior.is_some()
    }

    /// The weights of the prior, sorted by name.
    pub fn prior(&self) -> Option<impl Iterator<Item = (&String, &Tensor)>> {
        let weights = || self.weights.iter().filter(|(name, _)| name.starts_with("prior."));
        self.has_prior().then(weights)
    }

    /// Sizes of the prior.
    #[must_use]
    pub fn prior_config(&self) -> Option<&PriorConfig> {
        self.config.prior.as_ref()
    }

    /// How the prior was trained.
    #[must_use]
    pub fn prior_metadata(&self) -> Option<&PriorMetadata> {
        self.card.prior.as_ref().filter(|_| self.has_prior())
    }

    /// The recordings it was trained on, as codes; none if they were left out.
    #[must_use]
    pub fn corpus_codes(&self) -> Vec<CorpusCodes> {
        self.corpus.as_ref().map(Corpus::recordings).unwrap_or_default()
    }

    /// The codes, `[T, N]`, of each of those that were not held out.
    pub(crate) fn trained_codes(&self) -> impl Iterator<Item = &[u16]> + Clone {
        self.corpus.iter().flat_map(Corpus::trained)
    }

    /// A few seconds of what it sounds like: planar samples `[C][S]` at the rate of the codec.
    #[must_use]
    pub fn preview(&self) -> Option<Vec<Vec<f32>>> {
        let preview = self.preview.as_ref()?;
        let samples = *preview.shape().last()?;
        Some(preview.to_f32().chunks_exact(samples).map(<[f32]>::to_vec).collect())
    }

    /// The file. The same bundle gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let tensors = self.all_tensors();
        let packed = packing::packed(&tensors);
        container::serialize(&self.metadata(&self.digest), &packing::by_name(&packed))
    }

    /// The metadata of the file, if `digest` says which model it is.
    fn metadata(&self, digest: &str) -> BTreeMap<&'static str, String> {
        let mut metadata = BTreeMap::from([
            ("format", FORMAT.to_owned()),
            ("version", VERSION.to_string()),
            ("config", self.config_text.clone()),
            ("card", json(&self.card)),
            ("digest", digest.to_owned()),
        ]);
        metadata.extend(self.corpus.as_ref().map(|corpus| ("corpus", corpus.index_text())));
        metadata.insert("checksum", digest::of_metadata(&metadata));
        metadata
    }

    /// Every tensor of the file, as it is in memory.
    fn all_tensors(&self) -> BTreeMap<&str, &Tensor> {
        let weights = self.weights.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let corpus = self.corpus.iter().map(|corpus| (CORPUS_CODES, corpus.codes()));
        let preview = self.preview.iter().map(|preview| (PREVIEW, preview));
        weights.chain(corpus).chain(preview).collect()
    }
}

/// A value as JSON.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers, texts and lists are valid JSON")
}
