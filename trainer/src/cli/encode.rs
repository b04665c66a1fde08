//! `distill encode`: sound to codes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use distill_shared::bundle::Bundle;
use distill_shared::player::{Model, encode};
use serde_json::json;

use super::exit::Ending;
use super::output::{check_target, free, print, print_json};
use crate::clip::read_clip;
use crate::codes_file::CodesFile;
use crate::stop::Usage;

/// Turns a recording into the codes of a bundle, as a JSON file
#[derive(Debug, Args)]
pub(super) struct EncodeArgs {
    /// The bundle
    bundle: PathBuf,
    /// The recording: WAV, AIFF, FLAC, MP3, OGG or M4A
    sound: PathBuf,
    /// File to write; if not given, the name of the recording with .json, and nothing is replaced
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl EncodeArgs {
    pub(super) fn run(self) -> Result<Ending> {
        if let Some(output) = &self.output {
            check_target(output, &[&self.bundle, &self.sound])?;
            let is_named = output.extension().is_some_and(|own| own.eq_ignore_ascii_case("json"));
            let shown = output.display();
            ensure!(is_named, Usage(format!("cannot write {shown}: codes are .json files")));
        }
        let bundle = Bundle::open(&self.bundle)?;
        let model = Model::from_bundle(&bundle)
            .with_context(|| format!("cannot play {}", self.bundle.display()))?;
        let heard = read_clip(&self.sound, &bundle.config().codec)?;
        let audio = heard.sound.whole()?;
        let channels: Vec<&[f32]> = audio.iter().map(Vec::as_slice).collect();
        let codes = encode(&Arc::new(model), &channels);

        let base = PathBuf::from(self.sound.file_name().unwrap_or_default());
        let path = self.output.unwrap_or_else(|| free(base.with_extension("json"), &[]));
        CodesFile::new(&bundle, &heard.name, heard.samples(), &codes).write(&path)?;
        if self.json {
            let (path, frames) = (path.display().to_string(), codes.frames());
            print_json(&json!({ "path": path, "frames": frames, "levels": codes.quantizers() }))?;
        } else {
            print(&path.display().to_string())?;
        }
        Ok(Ending::Done)
    }
}
