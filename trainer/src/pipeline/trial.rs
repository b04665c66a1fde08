//! What a prior is tried for once it is trained.

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::{Bundle, CorpusCodes, PriorMetadata, Tensor};
use distill_shared::model::config::PriorConfig;
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
        let trained = codes.iter().filter(|one| !one.held_out);
        let lengths: Vec<usize> = trained.map(|one| one.codes.frames()).collect();
        self.even_out_ends(bundle, prior, &lengths)?;
        self.withdraw_unheard(bundle, prior)
    }

    /// Does `act` with a prior beside the codec of `bundle`, with the recordings that this remembers, and the
    /// seed of the run, on its threads.
    fn play<T: Send>(
        &self,
        bundle: &Bundle,
        prior: &Trained<PriorConfig, PriorMetadata>,
        act: impl FnOnce(&Arc<Model>, u64) -> Result<T> + Send,
    ) -> Result<T> {
        let Trained { config, weights, metadata } = prior.clone();
        let whole = bundle.clone().with_prior(&config, weights, metadata);
        let whole = whole.context("cannot bundle the prior")?;
        let model = Model::from_bundle(&whole).context("cannot play the prior")?;
        let (model, seed) = (Arc::new(model), self.seed);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        pool.install(|| act(&model, seed))
    }

    /// Has a prior end what it begins as often as recordings of `lengths`, in frames, end.
    fn even_out_ends(
        &self,
        bundle: &Bundle,
        prior: &mut Trained<PriorConfig, PriorMetadata>,
        lengths: &[usize],
    ) -> Result<()> {
        let shift = self.play(bundle, prior, |model, seed| shift_of_ends(model, lengths, seed))?;
        if let Some(bias) = prior.weights.get_mut(END_BIAS) {
            let shifted = bias.to_f32().iter().map(|bias| bias + shift).collect::<Vec<f32>>();
            *bias = Tensor::f16(bias.shape(), &shifted).context("the shape is the bias' own")?;
        }
        Ok(())
    }

    /// Tries whether a prior does what it offers, and withdraws what it does not.
    fn withdraw_unheard(
        &self,
        bundle: &Bundle,
        prior: &mut Trained<PriorConfig, PriorMetadata>,
    ) -> Result<()> {
        let offered = prior.config.conditioning.clone();
        let Trial { followed, withdrawn } =
            self.play(bundle, prior, |model, seed| try_out(model, &offered, seed))?;
        let Trained { config, weights, metadata } = prior;
        metadata.not_offered.extend(withdrawn);
        if let Some(guide) = weights.remove(GUIDE) {
            let rest = train::guide_of_rest(&guide, &config.conditioning, &followed);
            weights.extend(rest.map(|guide| (GUIDE.to_owned(), guide)));
        }
        config.conditioning = followed;
        Ok(())
    }
}
