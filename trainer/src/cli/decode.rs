//! `distill decode`: codes to sound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use distill_shared::bundle::Bundle;
use distill_shared::codes::Codes;
use distill_shared::player::{Model, decode};
use serde_json::json;

use super::exit::Ending;
use super::output::{check_target, print, print_json};
use super::sound_file::SoundFileArgs;
use crate::audio::resample::resample;
use crate::codes_file::CodesFile;
use crate::stop::Usage;

/// Turns codes into sound: those of a file, or those of a recording that a bundle was trained on
#[derive(Debug, Args)]
pub(super) struct DecodeArgs {
    /// The bundle
    bundle: PathBuf,
    /// A file that distill encode wrote
    #[arg(required_unless_present = "recording", conflicts_with = "recording")]
    codes: Option<PathBuf>,
    /// A recording of the bundle, by its name in distill inspect --json
    #[arg(long, value_name = "NAME")]
    recording: Option<String>,
    #[command(flatten)]
    file: SoundFileArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DecodeArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let format = self.file.export_format()?;
        if let Some(output) = &self.file.output {
            let read = [Some(&self.bundle), self.codes.as_ref()];
            let read: Vec<&Path> = read.into_iter().flatten().map(PathBuf::as_path).collect();
            check_target(output, &read)?;
        }
        let bundle = Bundle::open(&self.bundle)?;
        let (name, codes, samples) = self.read(&bundle)?;
        ensure!(samples > 0, "{name} holds no sound: it is shorter than a frame");
        let model = Model::from_bundle(&bundle)
            .with_context(|| format!("cannot play {}", self.bundle.display()))?;
        let codec = &bundle.config().codec;
        let sound = decode(&Arc::new(model), &codes, samples);
        let channels = sound.chunks_exact(samples).map(<[f32]>::to_vec).collect();
        let audio = resample(channels, codec.sample_rate, format.rate)?;
        // Not the name of the recording alone: that may lie in this folder.
        let mut named = Path::new(&name).file_stem().unwrap_or_default().to_owned();
        named.push(if named.is_empty() { "decoded" } else { "-decoded" });
        let path = self.file.path_or(Path::new(&named), format, &[]);
        SoundFileArgs::write(&path, audio, format)?;
        if self.json {
            let path = path.display().to_string();
            print_json(&json!({ "path": path, "frames": codes.frames(), "rate": format.rate }))?;
        } else {
            print(&path.display().to_string())?;
        }
        Ok(Ending::Done)
    }

    /// What the codes are called, the codes, and for how many samples they stand.
    fn read(&self, bundle: &Bundle) -> Result<(String, Codes, usize)> {
        if let Some(path) = &self.codes {
            let file = CodesFile::read(path)?;
            let codes = file.codes_for(bundle);
            let codes = codes.with_context(|| format!("cannot decode {}", path.display()))?;
            return Ok((file.head.name, codes, file.head.samples));
        }
        let name = self.recording.clone().unwrap_or_default();
        let recordings = bundle.corpus_codes();
        let shown = self.bundle.display();
        if recordings.is_empty() {
            let message = format!("{shown} holds no codes of recordings: it was made without them");
            return Err(Usage(message).into());
        }
        let Some(found) = recordings.into_iter().find(|one| one.name == name) else {
            let message =
                format!("{shown} has no recording {name}; distill inspect --json lists them");
            return Err(Usage(message).into());
        };
        let codec = &bundle.config().codec;
        let samples = (found.codes.frames() * codec.hop()).saturating_sub(codec.delay());
        Ok((name, found.codes, samples))
    }
}
