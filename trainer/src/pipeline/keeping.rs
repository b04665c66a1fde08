//! What of a run outlasts its end, however it ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use distill_shared::bundle::{Bundle, BundleError, CodecMetadata, CorpusCodes, WriteError};
use distill_shared::model::config::CodecConfig;

use super::{Session, Trained};
use crate::events::TrainingEvent;
use crate::numbered::numbered;
use crate::run_dir::RunDir;
use crate::run_dir::storage::is_full;
use crate::run_dir::terms::Terms;

impl Session<'_> {
    /// Begins a run of these terms, or goes on with the one that was interrupted.
    ///
    /// # Errors
    ///
    /// Fails as [`RunDir::begin`] does.
    pub fn begin_run(&mut self, terms: Terms) -> Result<()> {
        if let Some(run_dir) = &mut self.run_dir {
            for line in run_dir.begin(terms.clone())? {
                self.listeners.display.say(&line);
            }
        }
        self.begin_report(&terms);
        Ok(())
    }

    /// Whether an interrupted run is to go on.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.run_dir.as_ref().is_some_and(RunDir::resumes)
    }

    /// Time that the run had taken when it was interrupted.
    #[must_use]
    pub fn spent_before(&self) -> Duration {
        self.run_dir.as_ref().map_or(Duration::ZERO, RunDir::spent_before)
    }

    /// Sizes of the codec with which a run goes on that was interrupted.
    ///
    /// # Errors
    ///
    /// Fails as [`RunDir::codec_config`] does.
    pub fn begun_codec(&self) -> Result<Option<CodecConfig>> {
        Ok(self.run_dir.as_ref().map(RunDir::codec_config).transpose()?.flatten())
    }

    /// Keeps a codec that is trained, while its prior is.
    pub(super) fn keep_codec(&mut self, codec: &Trained<CodecConfig, CodecMetadata>) {
        let Some(run_dir) = &mut self.run_dir else { return };
        if let Err(unkept) = run_dir.finish_codec(codec.clone()) {
            if unkept.full {
                self.cancel.store(true, Ordering::Relaxed);
            }
            self.listeners.hear(&TrainingEvent::Warning { message: unkept.message });
        }
    }

    /// The bundle with the codes of its recordings; without any, and with a warning, if it cannot hold the
    /// names of so many: that is no reason to lose what was trained.
    ///
    /// # Errors
    ///
    /// Fails if the codes are those of another codec.
    pub fn remembering(&mut self, bundle: Bundle, codes: &[CorpusCodes]) -> Result<Bundle> {
        let (bundle, warning) = with_codes(bundle, codes)?;
        if let Some(message) = warning {
            self.listeners.hear(&TrainingEvent::Warning { message });
        }
        Ok(bundle)
    }

    /// Whether the training of `bundle` has come to its end: neither was it stopped, nor has it diverged.
    /// Whoever stops a run after that has all of it.
    #[must_use]
    pub fn is_whole(&self, bundle: &Bundle) -> bool {
        is_finished(bundle) && self.diverged.is_none()
    }

    /// Writes a bundle, and returns where it is. If it is not `whole`, a finished one at `path` stays, as
    /// does any if `stays`, and it lies beside that under a name that nothing has but what this run left
    /// there before. On a full disk, what the run directory holds besides the newest checkpoint
    /// makes room for it.
    ///
    /// # Errors
    ///
    /// Fails as [`Bundle::write`] does.
    pub fn write(
        &mut self,
        bundle: &Bundle,
        path: &Path,
        whole: bool,
        stays: bool,
    ) -> Result<PathBuf, WriteError> {
        let mut place = path.to_owned();
        if !self.ranks.is_first() {
            self.complete = whole;
            return Ok(place);
        }
        if !whole && (stays || Bundle::open(path).is_ok_and(|there| is_finished(&there))) {
            place = self.beside(path);
            if let Some(run_dir) = &self.run_dir {
                run_dir.leaves(bundle, &place);
            }
            let why = if stays { "is what this begins with" } else { "is finished" };
            let (path, place) = (path.display(), place.display());
            let line = format!("{path} {why} and stays as it is; this one is {place}");
            self.listeners.display.warn(&line);
        }
        loop {
            match bundle.write(&place) {
                Err(error) if is_full(&error.error) => {
                    if !self.run_dir.as_mut().is_some_and(RunDir::make_room) {
                        return Err(error);
                    }
                }
                result => {
                    self.complete = whole && result.is_ok();
                    return result.map(|()| place);
                }
            }
        }
    }

    /// Whether the disk has filled up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.run_dir.as_ref().is_some_and(RunDir::is_full)
    }

    /// Where a bundle goes that must not take the place of the one at `path`.
    fn beside(&self, path: &Path) -> PathBuf {
        let own = self.run_dir.as_ref().and_then(RunDir::left);
        let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
        let stopped = path.with_extension("stopped.distill");
        own.or_else(|| numbered(&stopped).find(is_free)).unwrap_or(stopped)
    }

    /// Ends a run whose bundle is written to `path`. What it could go on from is left if it was stopped,
    /// and is gone if not.
    ///
    /// # Errors
    ///
    /// Fails if the disk is full or training has diverged, though the bundle is written.
    pub fn end_run(&mut self, path: &Path) -> Result<()> {
        if let Some(diverged) = self.diverged {
            self.give_up_run();
            let kept =
                format!("the best so far is in {}, and training has diverged", path.display());
            return Err(anyhow::Error::new(diverged).context(kept));
        }
        let Some(run_dir) = &self.run_dir else { return Ok(()) };
        let directory = run_dir.path().display().to_string();
        if run_dir.is_full() {
            let kept = format!(
                "what was learnt is in {}; free some space and {}",
                path.display(),
                run_dir.repeat()
            );
            return Err(anyhow::Error::new(run_dir.full_error()).context(kept));
        }
        if self.is_stopped() {
            let line = format!("{}, or delete {directory}", run_dir.repeat());
            self.listeners.display.say(&line);
        } else {
            self.give_up_run();
        }
        Ok(())
    }

    /// Removes what a run could go on from.
    pub fn give_up_run(&mut self) {
        if let Some(Err(error)) = self.run_dir.take().map(RunDir::remove) {
            self.listeners.display.warn(&format!("cannot remove what the run has left: {error}"));
        }
    }
}

/// The bundle with the codes of its recordings, or without any, and why.
fn with_codes(bundle: Bundle, codes: &[CorpusCodes]) -> Result<(Bundle, Option<String>)> {
    match bundle.clone().with_corpus_codes(codes) {
        Err(BundleError::HeaderTooLarge(_)) => {
            let warning = format!(
                "the bundle cannot hold the names of {} recordings, so it does not remember them: give their \
                 folder to `evaluate` and `train-prior`",
                codes.len()
            );
            Ok((bundle.with_corpus_codes(&[])?, Some(warning)))
        }
        remembers => Ok((remembers?, None)),
    }
}

/// Whether what was trained last of a bundle was not stopped before its time.
pub(crate) fn is_finished(bundle: &Bundle) -> bool {
    let prior = bundle.prior_metadata().map(|prior| &prior.training);
    !prior.unwrap_or(&bundle.card().codec.training).stopped_early
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::Codes;

    use super::*;

    #[test]
    fn a_bundle_that_cannot_hold_all_names_is_kept_without_them() {
        let factory = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/factory.distill");
        let bundle = Bundle::open(factory.as_ref()).unwrap();
        let mut codes = Codes::new(bundle.config().codec.quantizers);
        codes.push(&vec![0; codes.quantizers()]);
        let named = |n: usize| CorpusCodes {
            name: format!("one shots/a rather long name of a recording {n}.wav"),
            class: "one shots".to_owned(),
            held_out: n.is_multiple_of(10),
            codes: codes.clone(),
        };
        for (count, remembered) in [(100, 100), (20_000, 0)] {
            let codes: Vec<CorpusCodes> = (0..count).map(named).collect();
            let (bundle, warning) = with_codes(bundle.clone(), &codes).unwrap();
            assert_eq!(bundle.corpus_codes().len(), remembered);
            assert_eq!(warning.is_some(), remembered == 0, "{warning:?}");
            assert!(bundle.has_prior());
        }
    }
}
