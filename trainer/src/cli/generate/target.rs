//! The files that a take is written to. What is wrong with them is told before anything is made, and they
//! never take the place of what the take is made from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::recipe::Recipe;
use crate::audio::export::FileFormat;
use crate::cli::output::check_target;
use crate::stop::Usage;

/// The files of a take.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) sound: PathBuf,
    /// Tells how it was made, if that is wanted.
    pub(super) sidecar: Option<PathBuf>,
    /// Its codes, if they are wanted.
    pub(super) codes: Option<PathBuf>,
}

impl Target {
    /// The files of a take whose sound goes to `sound`.
    pub(super) fn new(sound: PathBuf, with_sidecar: bool, with_codes: bool) -> Self {
        let sidecar = with_sidecar.then(|| Recipe::path(&sound));
        let codes = with_codes.then(|| sound.with_extension("codes.json"));
        Self { sound, sidecar, codes }
    }

    /// Checks that the files can be written, in this format, and that no other take is then told of by
    /// the wrong file. `read` is what the take is made from.
    ///
    /// # Errors
    ///
    /// Fails with one sentence.
    pub(super) fn check(&self, format: FileFormat, read: &[&Path]) -> Result<()> {
        let sound = &self.sound;
        let cannot =
            |why: &str| Err(Usage(format!("cannot write {}: {why}", sound.display())).into());
        let is_other = FileFormat::named(sound).is_some_and(|named| named != format);
        // What tells of it would take its place.
        if is_other || Recipe::path(sound) == *sound {
            return cannot(&format!("the sound is {0}; name a .{0} file", format.ending()));
        }
        let files = [Some(sound), self.sidecar.as_ref(), self.codes.as_ref()];
        files.into_iter().flatten().try_for_each(|file| check_target(file, read))?;
        self.check_beside()
    }

    /// Checks what tells of a take and is there already.
    fn check_beside(&self) -> Result<()> {
        let beside = Recipe::path(&self.sound);
        let name = self.sound.file_name().unwrap_or_default();
        let told = Recipe::read(&beside);
        let shown = beside.display();
        if self.sidecar.is_none() {
            let tells = told.is_ok_and(|recipe| recipe.file() == Path::new(name));
            ensure!(
                !tells,
                "{shown} is there and would tell of another take than the one beside it; choose another \
                 --output, or write it anew, without --no-sidecar"
            );
            return Ok(());
        }
        ensure!(
            !beside.exists() || told.is_ok(),
            "{shown} is there and tells something else than how a take was made; choose another --output, \
             or --no-sidecar"
        );
        let other = told.ok().map(|recipe| beside.with_file_name(recipe.file()));
        if let Some(other) = other.filter(|other| other.file_name() != Some(name) && other.exists())
        {
            bail!(
                "{shown} is there and tells how {} was made; choose another --output",
                other.display()
            );
        }
        Ok(())
    }
}
