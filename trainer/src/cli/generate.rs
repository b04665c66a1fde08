//! `distill generate`.

mod infill;
mod maker;
mod recipe;
mod target;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use distill_shared::player::Sampling;
use distill_shared::whole_file::is_same_file;
use serde::Serialize;
use serde_json::json;

use super::duration;
use super::exit::Ending;
use super::output::{Reserved, free, print, print_json};
use super::set::SetArgs;
use super::sound_file::SoundFileArgs;
use crate::audio::export::Shape;
use crate::audio::resample::resampled_len;
use crate::progress::Display;
use crate::stop::Usage;
use infill::InfillArgs;
use maker::{Maker, Player, Source};
pub use recipe::Recipe;
use recipe::{Settings, Sound, UsedBundle, UsedFile};
use target::Target;

/// What to do where a recording to go on from is not where it was.
const PUT_SOUND: &str = "name where it is with --prime, or put it beside that";

/// Makes new sound with a bundle, as the instrument does
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The bundle; with --again, only if it has moved
    #[arg(required_unless_present = "again")]
    bundle: Option<PathBuf>,
    /// Length of each take in seconds, or as 1m30s
    #[arg(long, value_name = "TIME", default_value = "10", value_parser = duration::seconds)]
    duration: Duration,
    /// Seed: the same seed and settings make the same sound
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of takes, each different, each in a file of its own with a number in its name
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// A recording to go on from: takes begin where it ends
    #[arg(long, value_name = "SOUND")]
    prime: Option<PathBuf>,
    /// How far it strays from the most likely: 0 is not at all, 1 is as it was learnt
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    temperature: f32,
    /// By how much that is multiplied for structure, the coarsest eighth of the levels
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    structure: f32,
    /// By how much it is multiplied for timbre, the rest of the coarser half
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    timbre: f32,
    /// By how much it is multiplied for detail, the finer half: less is cleaner
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    detail: f32,
    /// Choose among this many likeliest codes; 0 is all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_k: u32,
    /// Choose among the likeliest codes that make up this share of the probability
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    top_p: f32,
    /// Levels of codes to draw, the coarse ones first: fewer are cheaper and rougher; 0 is all
    #[arg(long, value_name = "N", default_value_t = 0)]
    levels: u32,
    /// How much going on with a copy of a recording is avoided, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    novelty: f32,
    /// How much frames of the recordings are recalled, 0 to 1: at 0 every frame is drawn freely; above,
    /// each is a frame of a recording, and the more, the longer it goes on as that recording did. If not
    /// given, 0.25, or 0 if the bundle keeps no recordings
    #[arg(long, value_name = "X")]
    recall: Option<f32>,
    /// Let what began fade where a recording would end, and begin nothing anew
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    infill: InfillArgs,
    #[command(flatten)]
    file: SoundFileArgs,
    /// Make a take again from the JSON file beside it: the same bytes, wherever the file lies
    #[arg(long, value_name = "JSON", conflicts_with_all = ["duration", "seed", "count",
        "temperature", "structure", "timbre", "detail", "top_k", "top_p", "levels", "novelty", "recall", "once", "set", "rate", "format", "bit_depth",
        "infill"])]
    again: Option<PathBuf>,
    /// Write no JSON file beside each take
    #[arg(long)]
    no_sidecar: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One file that was made.
#[derive(Debug, Serialize)]
struct Made {
    path: String,
    /// Where it is written how to make it again.
    sidecar: Option<String>,
    /// Its codes, if they are written.
    codes: Option<String>,
    /// Key of the take.
    take: u64,
    seed: u64,
    samples: usize,
    channels: usize,
    rate: u32,
}

/// What is to be made.
struct Asked {
    recipe: Recipe,
    player: Player,
    /// What takes begin with.
    source: Source,
    /// The file of that, if there is one.
    heard: Option<PathBuf>,
}

impl GenerateArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let Asked { mut recipe, player, source, heard } = match &self.again {
            Some(again) => self.again(again)?,
            None => self.asked()?,
        };
        let (targets, _reserved) = self.targets(&mut recipe);
        let format = recipe.sound.format.format;
        let read: Vec<&Path> =
            heard.as_deref().into_iter().chain([player.path.as_path()]).collect();
        targets.iter().try_for_each(|target| target.check(format, &read))?;
        let mut display = Display::new();
        let bar = display.count("seconds");
        bar.set_length(u64::from(self.count) * recipe.sound.whole_seconds());
        let (path, digest) = (player.path.clone(), player.bundle.digest().to_owned());
        let maker = Maker::new(player, source, &recipe.sampling, bar)?;
        let mut made = Vec::new();
        for (number, target) in (0..).zip(targets) {
            self.count_take(&mut recipe, number);
            made.push(make(&maker, &mut recipe, target)?);
        }
        display.finish();
        if self.json {
            let bundle = path.display().to_string();
            print_json(&json!({ "bundle": bundle, "digest": digest, "files": made }))?;
        } else {
            let paths: Vec<String> = made.into_iter().map(|one| one.path).collect();
            print(&paths.join("\n"))?;
        }
        Ok(Ending::Done)
    }

    /// What the command line asks for.
    fn asked(&self) -> Result<Asked> {
        let format = self.file.export_format()?;
        let mut settings = self.settings()?;
        let player = Player::open(self.bundle.clone().unwrap_or_default())?;
        if self.recall.is_none() && !player.model.has_recordings() {
            settings.recall = 0.0;
        }
        let codec = &player.bundle.config().codec;
        let mut samples = usize::try_from(
            (self.duration.as_nanos() * u128::from(format.rate) + 500_000_000) / 1_000_000_000,
        )?;
        let source = if let Some(path) = &self.prime {
            Source::Prime(player.prime(path)?)
        } else if let Some(path) = &self.infill.infill {
            let clip = player.clip(path)?;
            samples = resampled_len(clip.samples, codec.sample_rate, format.rate);
            let region = self.infill.region(&clip, path, codec)?;
            Source::Infill(clip, region)
        } else {
            Source::Nothing
        };
        let sound = Sound::new(Shape { channels: codec.channels, samples, format });
        let used = UsedBundle::new(&player.bundle, &player.path);
        let mut recipe = Recipe::new(used, self.seed, settings, sound);
        recipe.prime = self.prime.as_deref().map(UsedFile::new).transpose()?;
        if let Source::Infill(_, region) = &source {
            recipe.infill = Some(region.clone());
        }
        let heard = self.prime.clone().or_else(|| self.infill.infill.clone());
        Ok(Asked { recipe, player, source, heard })
    }

    /// What the recipe at `again` asks for.
    fn again(&self, again: &Path) -> Result<Asked> {
        let mut recipe = Recipe::read(again)?;
        if self.prime.is_some() && recipe.prime.is_none() {
            let problem = "does not go on from a sound file; leave --prime or --again out";
            return Err(
                Usage(format!("the take that {} tells of {problem}", again.display())).into()
            );
        }
        let path = match &self.bundle {
            Some(bundle) => bundle.clone(),
            None => recipe.bundle.find(again)?,
        };
        let player = Player::open(path)?;
        recipe.bundle.check(&player.bundle, &player.path, again)?;
        let program = env!("CARGO_PKG_VERSION");
        if recipe.program != program {
            let made = std::mem::replace(&mut recipe.program, program.to_owned());
            eprintln!(
                "warning: it was made by distill {made}; distill {program} may play it differently"
            );
        }
        let (source, heard) = if let Some(clip) = &recipe.prime {
            let path = clip.find(again, self.prime.as_deref(), PUT_SOUND)?;
            (Source::Prime(player.prime(&path)?), Some(path))
        } else if let Some(region) = &recipe.infill {
            let path = region.clip.find(again, None, "put it beside that")?;
            (Source::Infill(player.clip(&path)?, region.clone()), Some(path))
        } else {
            (Source::Nothing, None)
        };
        Ok(Asked { recipe, player, source, heard })
    }

    /// Notes the take that is made next; one that is made again stays what it was.
    fn count_take(&self, recipe: &mut Recipe, number: u32) {
        if self.again.is_none() {
            recipe.take = u64::from(number);
        }
    }

    /// Where all takes are written. Names that nobody typed are reserved.
    fn targets(&self, recipe: &mut Recipe) -> (Vec<Target>, Vec<Reserved>) {
        let (mut targets, mut all_reserved) = (Vec::new(), Vec::new());
        for number in 0..self.count {
            self.count_take(recipe, number);
            let mut path = self.path(recipe);
            if self.file.output.is_none() {
                let mut reserved = Reserved::new(&path);
                while reserved.as_ref().is_err_and(|e| e.kind() == ErrorKind::AlreadyExists) {
                    // Another run was faster; now its name is not free any more.
                    path = self.path(recipe);
                    reserved = Reserved::new(&path);
                }
                // What else is wrong with it is told as it is written.
                all_reserved.extend(reserved);
            }
            targets.push(Target::new(path, !self.no_sidecar, self.infill.codes));
        }
        (targets, all_reserved)
    }

    /// Where a take is written.
    fn path(&self, recipe: &Recipe) -> PathBuf {
        let format = recipe.sound.format;
        let Some(bundle) = self.bundle.as_ref().filter(|_| self.again.is_none()) else {
            let again = || {
                let name = recipe.file();
                // The file that it is made again from may lie beside it.
                let told = self
                    .again
                    .as_ref()
                    .is_some_and(|again| is_same_file(&Recipe::path(name), again));
                free(name.to_owned(), if told || self.no_sidecar { &[] } else { &["json"] })
            };
            return self.file.output.clone().unwrap_or_else(again);
        };
        let numbered = |name: &Path| {
            let mut name = name.file_stem().unwrap_or_default().to_owned();
            if self.count > 1 {
                name.push(format!("-{}", recipe.take + 1));
            }
            PathBuf::from(name)
        };
        let Some(output) = &self.file.output else {
            return self.file.path_or(&numbered(bundle), format, &["json", "codes.json"]);
        };
        if self.count == 1 {
            return output.clone();
        }
        let ending = output.extension().unwrap_or(format.format.ending().as_ref());
        output.with_file_name(numbered(output).with_added_extension(ending))
    }

    fn settings(&self) -> Result<Settings> {
        let Self {
            temperature,
            structure,
            timbre,
            detail,
            top_k,
            top_p,
            levels,
            novelty,
            recall,
            once,
            ..
        } = *self;
        let (factors, set) = ([structure, timbre, detail], self.set.set.clone());
        let recall = recall.unwrap_or(Sampling::default().recall);
        let settings =
            Settings { temperature, factors, top_k, top_p, levels, novelty, recall, once, set };
        settings.check().map_err(|what| Usage(format!("--{what}")))?;
        Ok(settings)
    }
}

/// Makes one take, and what is written beside it.
fn make(maker: &Maker, recipe: &mut Recipe, target: Target) -> Result<Made> {
    recipe.is_of(&target.sound);
    maker.make(recipe, &target)?;
    let Target { sound: path, sidecar, codes } = target;
    let Recipe { seed, take, .. } = *recipe;
    let Shape { channels, samples, format } = recipe.sound.shape();
    let shown = |path: &PathBuf| path.display().to_string();
    Ok(Made {
        path: shown(&path),
        sidecar: sidecar.as_ref().map(shown),
        codes: codes.as_ref().map(shown),
        take,
        seed,
        samples,
        channels,
        rate: format.rate,
    })
}
