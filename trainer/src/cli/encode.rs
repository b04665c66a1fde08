//! `distill encode`: sound to codes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use distill_shared::bundle::Bundle;
use distill_shared::player::{Model, encode};
use serde_json::json;

use super::exit::Ending;
use super::output::{print, print_json};
use crate::audio::decode::decode;
use crate::audio::resample::resample;
use crate::codes_file::CodesFile;
use crate::corpus::{Corpus, Recording};

/// Turns a recording into the codes of a bundle, as a JSON file
#[derive(Debug, Args)]
pub(super) struct EncodeArgs {
    /// The bundle
    bundle: PathBuf,
    /// The recording: WAV, AIFF, FLAC, MP3, OGG or M4A
    sound: PathBuf,
    /// File to write; the name of the recording with .json if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl EncodeArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let bundle = Bundle::open(&self.bundle)?;
        let model = Model::from_bundle(&bundle)
            .with_context(|| format!("cannot play {}", self.bundle.display()))?;
        let codec = &bundle.config().codec;
        let decoded = match decode(&self.sound) {
            Ok(decoded) => decoded,
            Err(error) => bail!("cannot use {}: {error}", self.sound.display()),
        };
        let audio = resample(decoded.audio, decoded.rate, codec.sample_rate)?;
        let name = self.sound.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let heard = Recording { name, class: String::new(), audio, held_out: false };
        let corpus = Corpus {
            channels: heard.audio.len(),
            recordings: vec![heard],
            sample_rate: codec.sample_rate,
            gain: codec.gain,
        };
        let corpus = corpus.as_heard_by(codec);
        let heard = corpus.recordings.first().context("one recording stays one")?;
        let channels: Vec<&[f32]> = heard.audio.iter().map(Vec::as_slice).collect();
        let codes = encode(&Arc::new(model), &channels);

        let base = PathBuf::from(self.sound.file_name().unwrap_or_default());
        let path = self.output.unwrap_or_else(|| base.with_extension("json"));
        CodesFile::new(&bundle, &heard.name, heard.samples(), &codes).write(&path)?;
        if self.json {
            let (frames, levels) = (codes.frames(), codes.quantizers());
            print_json(&json!({ "path": path, "frames": frames, "levels": levels }))?;
        } else {
            print(&path.display().to_string())?;
        }
        Ok(Ending::Done)
    }
}
