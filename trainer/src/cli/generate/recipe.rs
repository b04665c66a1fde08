//! How a take was made, as a file beside it, `docs/generate.md`: enough to make it again.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use distill_shared::bundle::{Bundle, Replacement};
use distill_shared::player::{GROUPS, Sampling, TakeKey};
use distill_shared::whole_file::{ReadError, read_whole};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::infill::Region;
use crate::audio::export::{ExportFormat, RATES, Shape, Tags};

/// What the `format` of every such file says.
const FORMAT: &str = "distill-take";
/// The version that is written, and the newest that is read.
const VERSION: u64 = 1;
/// The largest file that is read, in bytes; real ones are a thousand times smaller.
const MAX_BYTES: usize = 1 << 20;

/// How one take was made: what the file beside it tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    format: String,
    version: u64,
    /// Version of the program.
    pub(super) program: String,
    pub(super) bundle: UsedBundle,
    pub(super) seed: u64,
    /// Number of the take, from 0.
    pub(super) take: u64,
    pub(super) sampling: Settings,
    /// The recording that it goes on from.
    pub(super) prime: Option<UsedFile>,
    /// The clip of which it makes a part anew, and the part.
    pub(super) infill: Option<Region>,
    pub(super) sound: Sound,
}

/// The bundle that plays it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UsedBundle {
    pub(super) name: String,
    /// Where it was, as it was typed.
    path: String,
    digest: String,
}

/// A file that decides what is heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UsedFile {
    /// Where it was, as it was typed.
    path: String,
    sha256: String,
}

/// How codes are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) temperature: f32,
    /// Of structure, timbre and detail.
    #[serde(default = "unchanged")]
    pub(super) factors: [f32; GROUPS],
    pub(super) top_k: u32,
    pub(super) top_p: f32,
    pub(super) levels: u32,
    pub(super) novelty: f32,
    #[serde(default)]
    pub(super) recall: f32,
    #[serde(default)]
    pub(super) once: bool,
    /// What is asked for, as it was typed after `--set`.
    pub(super) set: Vec<String>,
}

impl Settings {
    /// Whether they make sense; says what does not.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self {
            temperature, factors: [structure, timbre, detail], top_p, novelty, recall, ..
        } = *self;
        for (name, value, most) in [
            ("temperature", temperature, Sampling::MAX_TEMPERATURE),
            ("structure", structure, Sampling::MAX_FACTOR),
            ("timbre", timbre, Sampling::MAX_FACTOR),
            ("detail", detail, Sampling::MAX_FACTOR),
            ("top-p", top_p, 1.0),
            ("novelty", novelty, 1.0),
            ("recall", recall, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(format!("{name} is {value}, outside 0 to {most}"));
            }
        }
        Ok(())
    }
}

/// The sound file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sound {
    /// Its name.
    file: String,
    pub(super) channels: usize,
    /// Samples of each channel.
    pub(super) samples: usize,
    /// The same, for people.
    seconds: f64,
    #[serde(flatten)]
    pub(super) format: ExportFormat,
}

impl UsedBundle {
    /// `bundle`, which was read from `path`.
    pub(super) fn new(bundle: &Bundle, path: &Path) -> Self {
        let name = match bundle.card().name.as_str() {
            "" => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            name => name.to_owned(),
        };
        let digest = bundle.digest().to_owned();
        Self { name, path: path.display().to_string(), digest }
    }

    /// Where it is now, for a recipe that lies at `recipe`. Fails if it is not there.
    pub(super) fn find(&self, recipe: &Path) -> Result<PathBuf> {
        let (path, recipe) = (find(&self.path, recipe), recipe.display());
        ensure!(
            path.exists(),
            "{}, the bundle that {recipe} was made with, is not there; name where it is after --again \
             {recipe}, or put it beside that",
            path.display()
        );
        Ok(path)
    }

    /// Fails if `bundle` is another one.
    pub(super) fn check(&self, bundle: &Bundle, path: &Path, recipe: &Path) -> Result<()> {
        let (shown, recipe) = (path.display(), recipe.display());
        ensure!(
            bundle.digest() == self.digest,
            "{shown} is not the bundle that {recipe} was made with ({}, digest {}); name that one \
             after --again {recipe}",
            self.name,
            self.digest
        );
        Ok(())
    }
}

impl UsedFile {
    /// The file at `path` as it is now.
    pub(super) fn new(path: &Path) -> Result<Self> {
        Ok(Self { path: path.display().to_string(), sha256: sha256(path)? })
    }

    /// Where it is now, for a recipe that lies at `recipe`, unless it is said to be at `named`. Fails if
    /// nothing is there, and then says what to `put` where, or if it is something else.
    pub(super) fn find(&self, recipe: &Path, named: Option<&Path>, put: &str) -> Result<PathBuf> {
        let path = named.map_or_else(|| find(&self.path, recipe), Path::to_owned);
        ensure!(
            named.is_some() || path.exists(),
            "{}, which {} was made with, is not there; {put}",
            path.display(),
            recipe.display()
        );
        ensure!(
            sha256(&path)? == self.sha256,
            "{} is not the file that {} was made with: its SHA-256 is another; put that one in its \
             place",
            path.display(),
            recipe.display()
        );
        Ok(path)
    }
}

impl Sound {
    pub(super) fn new(shape: Shape) -> Self {
        let Shape { channels, samples, format } = shape;
        let seconds = samples as f64 / f64::from(format.rate);
        Self { file: String::new(), channels, samples, seconds, format }
    }

    /// Its length in seconds, rounded down.
    pub(super) fn whole_seconds(&self) -> u64 {
        self.samples as u64 / u64::from(self.format.rate.max(1))
    }

    pub(super) fn shape(&self) -> Shape {
        let Self { channels, samples, format, .. } = *self;
        Shape { channels, samples, format }
    }
}

impl Recipe {
    /// The recipe of the first take of `seed`.
    pub(super) fn new(bundle: UsedBundle, seed: u64, sampling: Settings, sound: Sound) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            bundle,
            seed,
            take: 0,
            sampling,
            prime: None,
            infill: None,
            sound,
        }
    }

    /// Which take it is.
    pub(super) fn key(&self) -> TakeKey {
        TakeKey { seed: self.seed, take: self.take }
    }

    /// The name of the sound file, without folders that someone may have written into it.
    pub(super) fn file(&self) -> &Path {
        Path::new(&self.sound.file).file_name().map_or(Path::new("take.wav"), Path::new)
    }

    /// Notes which file it is of.
    pub(super) fn is_of(&mut self, path: &Path) {
        self.sound.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }

    /// What the sound file says of itself.
    pub(super) fn tags(&self) -> Tags {
        let UsedBundle { name, digest, .. } = &self.bundle;
        Tags {
            title: format!("{name}, seed {}, take {}", self.seed, self.take),
            software: format!("distill {}", self.program),
            facts: vec![
                ("bundle", name.clone()),
                ("digest", digest.clone()),
                ("seed", self.seed.to_string()),
                ("take", self.take.to_string()),
            ],
        }
    }

    /// Reads the recipe at `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = read_whole(path, MAX_BYTES).map_err(|error| match error {
            ReadError::Io(error) => anyhow!("cannot read {shown}: {error}"),
            ReadError::NotAFile | ReadError::TooLarge(_) => anyhow!(foreign(&shown)),
        })?;
        Self::of_bytes(&bytes, &shown)
    }

    /// Reads the recipe with these `bytes`, which errors call `name`.
    ///
    /// # Errors
    ///
    /// Fails if it is none, of a newer version, or of a sound that could not be written.
    pub fn of_bytes(bytes: &[u8], name: &dyn fmt::Display) -> Result<Self> {
        let foreign = || foreign(name);
        let parsed: Value = serde_json::from_slice(bytes).with_context(foreign)?;
        ensure!(parsed["format"] == FORMAT, foreign());
        // Before the rest, which a newer version may have changed.
        let version = parsed["version"].as_u64().with_context(foreign)?;
        ensure!(
            version <= VERSION,
            "{name} was written by a newer version of distill; this one reads version {VERSION}"
        );
        let recipe: Self = serde_json::from_value(parsed).with_context(foreign)?;
        if let Err(what) = recipe.sampling.check() {
            bail!("{name} tells of a take that no bundle makes: {what}");
        }
        let rate = recipe.sound.format.rate;
        ensure!(
            RATES.contains(&rate),
            "{name} tells of a sound of {rate} Hz, and distill writes {} to {}",
            RATES.start(),
            RATES.end()
        );
        Ok(recipe)
    }

    /// Where the recipe of the sound at `sound` lies.
    pub(super) fn path(sound: &Path) -> PathBuf {
        sound.with_extension("json")
    }

    /// Its file that is to be `path`, whole and yet to be put in its place.
    pub(super) fn begin(&self, path: &Path) -> Result<Replacement> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(Replacement::with(path, text.as_bytes())?)
    }
}

/// What a file that is no recipe is told.
fn foreign(name: &dyn fmt::Display) -> String {
    format!("{name} does not tell how a take was made; distill generate writes such files")
}

/// Factors that leave the temperature of every group of levels as it is.
fn unchanged() -> [f32; GROUPS] {
    [1.0; GROUPS]
}

/// Where a file is now: where it was, or else beside the recipe.
fn find(path: &str, recipe: &Path) -> PathBuf {
    let path = Path::new(path);
    let beside = recipe.with_file_name(path.file_name().unwrap_or_default());
    if !path.exists() && beside.exists() { beside } else { path.to_owned() }
}

/// SHA-256 of a file, in hexadecimal.
fn sha256(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let read = File::open(path).and_then(|file| {
        let mut file = BufReader::new(file);
        loop {
            let bytes = file.fill_buf()?;
            let len = bytes.len();
            if len == 0 {
                return Ok(());
            }
            hash.update(bytes);
            file.consume(len);
        }
    });
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
