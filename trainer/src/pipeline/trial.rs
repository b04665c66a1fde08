//! What a prior is tried for once it is trained.

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::{Bundle, CorpusCodes, PriorMetadata, Tensor, Tensors};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::player::Model;

use super::{Session, Trained};
use crate::evaluate::prior::lasting::shift_of_ends;
use crate::evaluate::prior::trial::{Trial, try_out};
use crate::train::{self, END_BIAS, GUIDE};

impl Session<'_> {
    /// Tries a prior that was trained on `codes` beside the codec of `bundle`: it comes to end what it
    /// begins as often as they do, and to offer what it follows.
    pub(super) fn try_out(
        &self,
        bundle: &Bundle,
        codes: &[CorpusCodes],
        prior: &mut Trained<PriorConfig, PriorMetadata>,
    ) -> Result<()> {
        let Trained { config, weights, metadata } = prior;
        let codec = bundle.tensors().iter().filter(|(name, _)| name.starts_with("codec."));
        weights.extend(codec.map(|(name, tensor)| (name.clone(), tensor.clone())));
        let trained = codes.iter().filter(|one| !one.held_out);
        let lengths: Vec<usize> = trained.map(|one| one.codes.frames()).collect();
        let codec = &bundle.config().codec;
        self.even_out_ends(codec, config, weights, &lengths)?;
        self.withdraw_unheard(codec, config, weights, metadata)?;
        weights.retain(|name, _| name.starts_with("prior."));
        Ok(())
    }

    /// Does `act` with a prior, given by the `tensors` of the whole model, and the seed of the run, on
    /// its threads.
    fn play<T: Send>(
        &self,
        codec: &CodecConfig,
        config: &PriorConfig,
        tensors: &Tensors,
        act: impl FnOnce(&Arc<Model>, u64) -> Result<T> + Send,
    ) -> Result<T> {
        let whole = ModelConfig { codec: codec.clone(), prior: Some(config.clone()) };
        let model = Model::new(&whole, tensors, "").context("cannot play the prior")?;
        let (model, seed) = (Arc::new(model), self.seed);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        pool.install(|| act(&model, seed))
    }

    /// Has a prior, given by the `tensors` of the whole model, end what it begins as often as
    /// recordings of `lengths`, in frames, end.
    fn even_out_ends(
        &self,
        codec: &CodecConfig,
        config: &PriorConfig,
        tensors: &mut Tensors,
        lengths: &[usize],
    ) -> Result<()> {
        let shift =
            self.play(codec, config, tensors, |model, seed| shift_of_ends(model, lengths, seed))?;
        if let Some(bias) = tensors.get_mut(END_BIAS) {
            let shifted = bias.to_f32().iter().map(|bias| bias + shift).collect::<Vec<f32>>();
            *bias = Tensor::f16(bias.shape(), &shifted).context("the shape is the bias' own")?;
        }
        Ok(())
    }

    /// Tries whether a prior, given by the `tensors` of the whole model, does what it offers, and
    /// withdraws what it does not.
    fn withdraw_unheard(
        &self,
        codec: &CodecConfig,
        config: &mut PriorConfig,
        tensors: &mut Tensors,
        metadata: &mut PriorMetadata,
    ) -> Result<()> {
        let Trial { followed, withdrawn } = self.play(codec, config, tensors, |model, seed| {
            try_out(model, &config.conditioning, seed)
        })?;
        metadata.not_offered.extend(withdrawn);
        if let Some(guide) = tensors.remove(GUIDE) {
            let rest = train::guide_of_rest(&guide, &config.conditioning, &followed);
            tensors.extend(rest.map(|guide| (GUIDE.to_owned(), guide)));
        }
        config.conditioning = followed;
        Ok(())
    }
}
