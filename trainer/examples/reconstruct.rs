//! Decodes the held-out recordings of a bundle's corpus to WAV files: `reconstruct BUNDLE FOLDER`.
//!
//! What comes out is what the codec keeps of files it was not trained on.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::bundle::Bundle;
use distill_shared::player::{Model, decode};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let bundle = args.next().context("usage: reconstruct BUNDLE FOLDER")?;
    let folder = args.next().context("usage: reconstruct BUNDLE FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let bundle = Bundle::open(Path::new(&bundle))?;
    let config = bundle.config().clone();
    let model = Arc::new(Model::new(&config, bundle.tensors(), bundle.digest())?);
    let spec = hound::WavSpec {
        channels: u16::try_from(config.codec.channels)?,
        sample_rate: config.codec.sample_rate,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    for recording in bundle.corpus_codes().iter().filter(|recording| recording.held_out) {
        let frames = recording.codes.frames();
        let samples = (frames * config.codec.hop()).saturating_sub(config.codec.delay());
        let sound = decode(&model, &recording.codes, samples);
        let name = recording.name.replace('/', "_");
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let path = Path::new(&folder).join(format!("{stem}.wav"));
        let mut writer = hound::WavWriter::create(&path, spec)?;
        for i in 0..samples {
            for channel in sound.chunks_exact(samples) {
                writer.write_sample(channel[i])?;
            }
        }
        writer.finalize()?;
    }
    Ok(())
}
