//! One recording on its own, as a codec hears it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use distill_shared::model::config::CodecConfig;

use crate::audio::decode::decode;
use crate::audio::resample::resample;
use crate::corpus::{Corpus, Recording, Sound, no_sound};

/// Reads the sound file at `path` at the rate and with the channels of a codec.
///
/// # Errors
///
/// Fails if the file cannot be used, and says why.
pub fn read_clip(path: &Path, codec: &CodecConfig) -> Result<Recording> {
    let decoded = match decode(path) {
        Ok(decoded) => decoded,
        Err(error) => bail!("cannot use {}: {error}", path.display()),
    };
    if let Some(reason) = no_sound(&decoded.audio) {
        bail!("cannot use {}: {reason}", path.display());
    }
    let audio = resample(decoded.audio, decoded.rate, codec.sample_rate)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let clip = Recording { name, class: String::new(), sound: Sound::new(audio), held_out: false };
    let corpus = Corpus {
        channels: clip.sound.channels(),
        recordings: vec![clip],
        sample_rate: codec.sample_rate,
        gain: codec.gain,
    };
    corpus.as_heard_by(codec).recordings.pop().context("one recording stays one")
}
