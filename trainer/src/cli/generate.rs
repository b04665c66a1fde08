//! `distill generate`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use distill_shared::bundle::Bundle;
use distill_shared::codes::Codes;
use distill_shared::player::{Model, Sampling, Take, TakeKey, encode};
use serde::Serialize;
use serde_json::json;

use super::duration;
use super::exit::Ending;
use super::output::{print, print_json};
use super::set::SetArgs;
use super::sound_file::SoundFileArgs;
use crate::audio::export::ExportFormat;
use crate::clip::read_clip;
use crate::progress::Display;
use crate::render::render_at;
use crate::stop::Usage;

/// Makes new sound with a bundle, as the instrument does
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The bundle
    bundle: PathBuf,
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
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    file: SoundFileArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One file that was made.
#[derive(Debug, Serialize)]
struct Made {
    path: PathBuf,
    /// Key of the take.
    take: u64,
    seed: u64,
    samples: usize,
    channels: usize,
    rate: u32,
}

impl GenerateArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let format = self.file.export_format()?;
        let mut sampling = self.sampling()?;
        let bundle = Bundle::open(&self.bundle)?;
        sampling.controls = self.set.controls(&bundle, &self.bundle)?;
        let model = Model::from_bundle(&bundle)
            .with_context(|| format!("cannot play {}", self.bundle.display()))?;
        let model = Arc::new(model);
        let clip = self.prime.as_deref().map(|path| codes_of_clip(path, &model)).transpose()?;

        let mut display = Display::new();
        let bar = display.count("takes");
        bar.set_length(u64::from(self.count));
        let mut made = Vec::new();
        for number in 0..self.count {
            let key = TakeKey { seed: self.seed, take: u64::from(number) };
            made.push(self.make(&model, key, clip.as_ref(), &sampling, format)?);
            bar.inc(1);
        }
        display.finish();
        if self.json {
            print_json(&json!({ "bundle": self.bundle, "digest": model.digest(), "files": made }))?;
        } else {
            let paths: Vec<String> =
                made.iter().map(|one| one.path.display().to_string()).collect();
            print(&paths.join("\n"))?;
        }
        Ok(Ending::Done)
    }

    /// Makes one file.
    fn make(
        &self,
        model: &Arc<Model>,
        key: TakeKey,
        clip: Option<&Codes>,
        sampling: &Sampling,
        format: ExportFormat,
    ) -> Result<Made> {
        let samples = usize::try_from(
            (self.duration.as_nanos() * u128::from(format.rate) + 500_000_000) / 1_000_000_000,
        )?;
        let take = match clip {
            Some(clip) => Take::primed(Arc::clone(model), key, clip),
            None => Take::new(Arc::clone(model), key),
        };
        let take =
            take.with_context(|| format!("cannot generate from {}", self.bundle.display()))?;
        let audio = render_at(format.rate, take, sampling, samples)?;
        let path = self.path(key.take, format);
        let channels = audio.len();
        SoundFileArgs::write(&path, audio, format)?;
        let TakeKey { seed, take } = key;
        Ok(Made { path, take, seed, samples, channels, rate: format.rate })
    }

    /// Where a take is written.
    fn path(&self, take: u64, format: ExportFormat) -> PathBuf {
        let name = self.bundle.file_stem().unwrap_or_default();
        let base = self.file.path_or(Path::new(name), format);
        if self.count == 1 {
            return base;
        }
        let mut name = base.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{}", take + 1));
        let ending = base.extension().unwrap_or(format.format.ending().as_ref());
        base.with_file_name(Path::new(&name).with_added_extension(ending))
    }

    fn sampling(&self) -> Result<Sampling> {
        let Self { temperature, top_k, top_p, levels, novelty, .. } = *self;
        if !(0.0..=10.0).contains(&temperature) {
            return Err(Usage(format!("--temperature is {temperature}, outside 0 to 10")).into());
        }
        if !(0.0..=1.0).contains(&top_p) {
            return Err(Usage(format!("--top-p is {top_p}, outside 0 to 1")).into());
        }
        if !(0.0..=1.0).contains(&novelty) {
            return Err(Usage(format!("--novelty is {novelty}, outside 0 to 1")).into());
        }
        Ok(Sampling { temperature, top_k, top_p, levels, novelty, ..Sampling::default() })
    }
}

/// The codes of the frames that lie within the recording at `path`.
fn codes_of_clip(path: &Path, model: &Arc<Model>) -> Result<Codes> {
    let codec = &model.config().codec;
    let clip = read_clip(path, codec)?;
    let frames = clip.samples() / codec.hop();
    ensure!(frames > 0, "{} is too short to go on from; take a longer one", path.display());
    let channels: Vec<&[f32]> = clip.audio.iter().map(Vec::as_slice).collect();
    Ok(encode(model, &channels).first(frames))
}
