//! What makes the takes of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::Bundle;
use distill_shared::codes::Codes;
use distill_shared::model::conditioning::Tuned;
use distill_shared::player::{Model, Sampling, Take, encode};
use indicatif::ProgressBar;

use super::infill::{Clip, Region};
use super::recipe::{Recipe, Settings};
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

    /// Writes the sound of `recipe` to `path`, and its codes to `codes`.
    pub(super) fn make(&self, recipe: &Recipe, path: &Path, codes: Option<&Path>) -> Result<()> {
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
                if let Some(codes) = codes {
                    CodesFile::new(of, &made.name, made.samples, &made.codes).write(codes)?;
                }
                return self.write_whole(recipe, path, &made);
            }
        };
        self.write(recipe, path, take.with_context(cannot)?)
    }

    /// Fails if the musician has stopped the run.
    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Cancelled.into()) } else { Ok(()) }
    }

    /// Writes the sound of a take as it is played.
    fn write(&self, recipe: &Recipe, path: &Path, mut take: Take) -> Result<()> {
        let codec = &self.player.model.config().codec;
        let Shape { samples, format, .. } = recipe.sound.shape();
        let shape = Shape { channels: codec.channels, samples, format };
        let mut file = SoundFile::create(path, shape, Some(&recipe.tags()))?;
        let before = self.bar.position();
        let mut written = 0;
        let step = |frame: &mut [f32]| take.step(&self.sampling, frame);
        let rendering = Rendering { codec, rate: format.rate, samples, speed: self.tuned.speed() };
        rendering.run(step, |piece| {
            self.go_on()?;
            keep_below_full_scale(piece, format);
            file.write(piece)?;
            written += piece[0].len() as u64;
            self.bar.set_position(before + written / u64::from(format.rate));
            Ok(())
        })?;
        file.finish()
    }

    /// Writes the sound of a clip.
    fn write_whole(&self, recipe: &Recipe, path: &Path, clip: &Clip) -> Result<()> {
        self.go_on()?;
        let format = recipe.sound.format;
        let mut audio = clip.sound(&self.player.model, format.rate)?;
        let shape = Shape { channels: audio.len(), samples: audio[0].len(), format };
        keep_below_full_scale(&mut audio, format);
        let mut file = SoundFile::create(path, shape, Some(&recipe.tags()))?;
        file.write(&audio)?;
        file.finish()?;
        self.bar.inc(recipe.sound.whole_seconds());
        Ok(())
    }
}
