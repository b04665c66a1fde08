//! What makes the takes of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Bundle, Replacement};
use distill_shared::codes::Codes;
use distill_shared::model::conditioning::Tuned;
use distill_shared::model::config::CodecConfig;
use distill_shared::player::{Model, Sampling, Take, encode};
use indicatif::ProgressBar;

use super::infill::{Clip, Region};
use super::recipe::{Recipe, Settings};
use super::target::Target;
use crate::audio::export::{Shape, SoundFile};
use crate::cli::interrupt::stop_flag;
use crate::cli::set::SetArgs;
use crate::cli::sound_file::keep_below_full_scale;
use crate::clip::read_clip;
use crate::codes_file::CodesFile;
use crate::descriptors::words::note;
use crate::render::Rendering;
use crate::stop::{Cancelled, Usage};

/// A bundle that is ready to be played.
pub(super) struct Player {
    /// Where it was read from.
    pub(super) path: PathBuf,
    pub(super) bundle: Bundle,
    pub(super) model: Arc<Model>,
}

/// What takes begin with.
pub(super) enum Source {
    /// Nothing: they begin as recordings do.
    Nothing,
    /// The end of a recording, as codes.
    Prime(Codes),
    /// All of a clip but a region.
    Infill(Clip, Region),
}

/// What all takes of a run are made with.
pub(super) struct Maker {
    player: Player,
    sampling: Sampling,
    /// How the pitch is played that is asked for.
    tuned: Tuned,
    source: Source,
    bar: ProgressBar,
    stop: &'static AtomicBool,
}

impl Player {
    /// Opens the bundle at `path`.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let bundle = Bundle::open(&path)?;
        let model = Model::from_bundle(&bundle)
            .with_context(|| format!("cannot play {}", path.display()))?;
        Ok(Self { path, bundle, model: Arc::new(model) })
    }

    /// The codes of the frames that lie within the recording at `path`.
    pub(super) fn prime(&self, path: &Path) -> Result<Codes> {
        let codec = &self.model.config().codec;
        let clip = read_clip(path, codec)?;
        let frames = clip.samples() / codec.hop();
        ensure!(frames > 0, "{} is too short to go on from; take a longer one", path.display());
        let audio = clip.sound.whole()?;
        let channels: Vec<&[f32]> = audio.iter().map(Vec::as_slice).collect();
        Ok(encode(&self.model, &channels).first(frames))
    }

    /// The clip at `path`, for a part of it to be made anew.
    pub(super) fn clip(&self, path: &Path) -> Result<Clip> {
        Clip::read(path, &self.bundle, &self.model)
    }
}

impl Maker {
    /// Prepares to make takes.
    pub(super) fn new(
        player: Player,
        source: Source,
        settings: &Settings,
        bar: ProgressBar,
    ) -> Result<Self> {
        let Settings { temperature, factors, top_k, top_p, levels, novelty, recall, once, ref set } =
            *settings;
        if recall > 0.0 && !player.model.has_recordings() {
            let path = player.path.display();
            let message = format!(
                "{path} keeps no recordings that --recall could recall; leave it out, or train without \
                 --no-corpus-codes"
            );
            return Err(Usage(message).into());
        }
        let controls = SetArgs { set: set.clone() }.controls(&player.bundle, &player.path)?;
        let pitch = controls.pitch.and_then(|pitch| player.model.pitches().tune(pitch));
        let tuned = pitch.unwrap_or_default();
        if matches!(source, Source::Infill(..)) && tuned.shift != 0.0 {
            let nearest = note(tuned.key);
            let message = format!(
                "--infill plays pitches as they are, and the one that is asked for has none; the \
                 nearest is --set pitch={nearest}"
            );
            return Err(Usage(message).into());
        }
        Ok(Self {
            player,
            tuned,
            source,
            sampling: Sampling {
                temperature,
                factors,
                top_k,
                top_p,
                levels,
                novelty,
                recall,
                once,
                frozen: false,
                controls,
            },
            bar,
            stop: stop_flag("the file that was being made is taken away")?,
        })
    }

    /// Writes the files of the take that `recipe` tells of. They are put in their places when all of them
    /// are whole, so what fails or is stopped leaves what was there.
    pub(super) fn make(&self, recipe: &Recipe, target: &Target) -> Result<()> {
        let shape = Shape { channels: self.codec().channels, ..recipe.sound.shape() };
        // First of all, since it may be refused.
        let sound = SoundFile::create(&target.sound, shape, Some(&recipe.tags()))?;
        let (sound, codes) = self.make_sound(recipe, sound, target.codes.as_deref())?;
        let sidecar = target.sidecar.as_deref().map(|path| recipe.begin(path)).transpose()?;
        // The sound is the one that another program may hold on to.
        sound.put_in_place()?;
        codes.into_iter().chain(sidecar).try_for_each(Replacement::put_in_place)?;
        Ok(())
    }

    /// Makes the sound of `recipe`, and its codes if these are to go to a file.
    fn make_sound(
        &self,
        recipe: &Recipe,
        sound: SoundFile,
        codes: Option<&Path>,
    ) -> Result<(Replacement, Option<Replacement>)> {
        let Player { path: bundle, bundle: of, model } = &self.player;
        let cannot = || format!("cannot generate from {}", bundle.display());
        let (key, sampling) = (recipe.key(), &self.sampling);
        let take = match &self.source {
            Source::Nothing => Take::new(Arc::clone(model), key),
            Source::Prime(clip) => Take::primed(Arc::clone(model), key, clip),
            Source::Infill(clip, region) => {
                let made = clip.infill(region, model, key, sampling).with_context(cannot)?;
                // Whoever stops it has stopped all of it.
                self.go_on()?;
                let file = || CodesFile::new(of, &made.name, made.samples, &made.codes);
                let codes = codes.map(|path| file().begin(path)).transpose()?;
                return Ok((self.write_whole(recipe, sound, &made)?, codes));
            }
        };
        Ok((self.write(recipe, sound, take.with_context(cannot)?)?, None))
    }

    /// The codec that plays what is made.
    fn codec(&self) -> &CodecConfig {
        &self.player.model.config().codec
    }

    /// Fails if the musician has stopped the run.
    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Cancelled.into()) } else { Ok(()) }
    }

    /// Writes the sound of a take as it is played.
    fn write(&self, recipe: &Recipe, mut file: SoundFile, mut take: Take) -> Result<Replacement> {
        let Shape { samples, format, .. } = recipe.sound.shape();
        let before = self.bar.position();
        let mut written = 0;
        let step = |frame: &mut [f32]| take.step(&self.sampling, frame);
        let (codec, speed) = (self.codec(), self.tuned.speed());
        let rendering = Rendering { codec, rate: format.rate, samples, speed };
        rendering.run(step, |piece| {
            self.go_on()?;
            keep_below_full_scale(piece, format);
            file.write(piece)?;
            written += piece[0].len() as u64;
            self.bar.set_position(before + written / u64::from(format.rate));
            Ok(())
        })?;
        file.close()
    }

    /// Writes the sound of a clip.
    fn write_whole(
        &self,
        recipe: &Recipe,
        mut file: SoundFile,
        clip: &Clip,
    ) -> Result<Replacement> {
        self.go_on()?;
        let Shape { samples, format, .. } = recipe.sound.shape();
        let mut audio = clip.sound(&self.player.model, format.rate)?;
        ensure!(audio[0].len() == samples, "the take has another length than the clip");
        keep_below_full_scale(&mut audio, format);
        file.write(&audio)?;
        self.bar.inc(recipe.sound.whole_seconds());
        file.close()
    }
}
