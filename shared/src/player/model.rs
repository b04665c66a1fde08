//! A model ready to be played: checked, packed, immutable.

use std::sync::Arc;

use pulp::Arch;

use super::copying::KeptCorpus;
use super::decoder::DecoderWeights;
use super::encoder::EncoderWeights;
use super::prior::PriorWeights;
use super::recall::Recordings;
use super::weights::Weights;
use crate::bundle::{Bundle, Tensors};
use crate::model::conditioning::Pitches;
use crate::model::config::{CodecConfig, ConfigError, ModelConfig};
use crate::quantizer::{Codebooks, Memory, Quantizer};
use crate::room::{self, NoRoom};
use crate::stft::Synthesis;

/// Why weights do not make a model, or a model cannot do what it is asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The sizes contradict themselves.
    #[error("the config is not that of a model")]
    Config(#[from] ConfigError),
    /// There is no memory for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// A tensor is not there.
    #[error("tensor {0} is missing")]
    Missing(String),
    /// A tensor has the wrong shape.
    #[error("tensor {name} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape that the config implies.
        expected: Vec<usize>,
        /// The shape that it has.
        found: Vec<usize>,
    },
    /// New sound was asked of a model that has only a codec.
    #[error("the model has no prior: it can decode, but not make new sound; train a prior for it")]
    NoPrior,
}

/// Bytes that packing takes beside the weights.
const ROOM_BESIDE: usize = 1 << 20;

/// Codec and prior with packed weights, shared between all that play them.
pub struct Model {
    config: ModelConfig,
    digest: String,
    pub(crate) arch: Arch,
    pub(crate) quantizer: Quantizer,
    pub(crate) encoder: EncoderWeights,
    pub(crate) decoder: DecoderWeights,
    pub(crate) synthesis: Synthesis,
    pub(crate) prior: Option<PriorWeights>,
    /// Frames that takes can recall.
    recordings: Option<Arc<Recordings>>,
}

impl Model {
    /// Packs the `tensors` that `config` implies; others, such as the codes of a corpus, are left
    /// alone. `digest` says which model it is. It plays with the best instructions that the
    /// processor has.
    ///
    /// # Errors
    ///
    /// Fails if the config contradicts itself, or a tensor is missing or has another shape.
    pub fn new(config: &ModelConfig, tensors: &Tensors, digest: &str) -> Result<Self, ModelError> {
        Self::for_instructions(Arch::new(), config, tensors, digest)
    }

    /// As [`Self::new`], but it plays with the instructions of `arch`, one of
    /// [`instruction_sets`].
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn for_instructions(
        arch: Arch,
        config: &ModelConfig,
        tensors: &Tensors,
        digest: &str,
    ) -> Result<Self, ModelError> {
        let bytes: usize = tensors.values().map(|tensor| tensor.data().bytes().len()).sum();
        // Weights of 16 bits are packed as twice as many where a processor does not take them, each over a
        // copy of its own. Codebooks are needed in three forms.
        let books = tensors.get("codec.quantizer.codebooks");
        let books = books.map_or(0, |tensor| tensor.data().bytes().len());
        room::ask(3 * bytes + 5 * books + ROOM_BESIDE)?;
        config.check()?;
        let weights = Weights::check(config, tensors, arch)?;
        let codec = &config.codec;
        Ok(Self {
            config: config.clone(),
            digest: digest.to_owned(),
            arch,
            quantizer: Quantizer::new(
                Codebooks::of(codec, weights.values("codec.quantizer.codebooks")),
                Memory::of(codec, || weights.values("codec.memory")),
            ),
            encoder: EncoderWeights::new(&weights, codec),
            decoder: DecoderWeights::new(&weights, codec),
            synthesis: Synthesis::new(codec),
            prior: config.prior.as_ref().map(|prior| PriorWeights::new(&weights, prior, codec)),
            recordings: None,
        })
    }

    /// With the frames of `recordings`, the codes `[T, N]` of each, for takes to recall, as
    /// [`Sampling::recall`](super::Sampling::recall) says.
    ///
    /// # Errors
    ///
    /// Fails if there is no memory for them.
    ///
    /// # Panics
    ///
    /// Panics if one has other levels than the codec, or a code is not below `K`.
    pub fn with_recordings<'a>(
        mut self,
        recordings: impl Iterator<Item = &'a [u16]> + Clone,
    ) -> Result<Self, ModelError> {
        let CodecConfig { quantizers, codebook_size, .. } = self.config.codec;
        let frames = recordings.clone().map(<[u16]>::len).sum::<usize>() / quantizers;
        room::ask(Recordings::room(frames, quantizers))?;
        let arranged = Recordings::new(recordings, quantizers, codebook_size);
        self.recordings = arranged.map(Arc::new);
        Ok(self)
    }

    /// Packs the model of a bundle, with the recordings that its prior was trained on.
    ///
    /// # Errors
    ///
    /// As [`Self::new`] and [`Self::with_recordings`]; of a bundle that was read, only for want of memory.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, ModelError> {
        let model = Self::new(bundle.config(), bundle.tensors(), bundle.digest())?;
        if model.has_prior() { model.with_recordings(bundle.trained_codes()) } else { Ok(model) }
    }

    /// Its sizes.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Which model it is: the digest of its bundle.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it keeps of the corpus of its prior, to compare takes with.
    #[must_use]
    pub fn kept_corpus(&self) -> Option<&Arc<KeptCorpus>> {
        self.prior.as_ref()?.kept()
    }

    /// Frames that takes can recall.
    pub(super) fn recordings(&self) -> Option<&Arc<Recordings>> {
        self.recordings.as_ref()
    }

    /// Whether there are recordings that takes can recall.
    #[must_use]
    pub fn has_recordings(&self) -> bool {
        self.recordings.is_some()
    }

    /// The pitches that takes can be asked for.
    #[must_use]
    pub fn pitches(&self) -> Pitches {
        self.config.prior.as_ref().map_or(Pitches::default(), |prior| prior.conditioning.pitch)
    }

    /// Whether it can make new sound, not only decode codes.
    #[must_use]
    pub fn has_prior(&self) -> bool {
        self.prior.is_some()
    }
}

/// The sets of instructions that this processor can play with, plainest first; of them a
/// [`Model`] takes the last.
#[must_use]
pub fn instruction_sets() -> Vec<Arch> {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        use pulp::x86::{V3, V4};
        let vectors = [V3::try_new().map(Arch::V3), V4::try_new().map(Arch::V4)];
        std::iter::once(Arch::Scalar).chain(vectors.into_iter().flatten()).collect()
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    vec![Arch::Scalar, Arch::new()]
}
