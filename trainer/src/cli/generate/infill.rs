//! `distill generate --infill`: a clip of which a region is made anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use distill_shared::bundle::Bundle;
use distill_shared::codes::Codes;
use distill_shared::model::config::CodecConfig;
use distill_shared::player::{GivenCodes, Model, Sampling, TakeKey, decode, encode, infill};
use serde::{Deserialize, Serialize};

use super::recipe::UsedFile;
use crate::audio::resample::resample;
use crate::cli::duration;
use crate::clip::read_clip;
use crate::codes_file::CodesFile;
use crate::stop::Usage;

/// Which clip, and which region of it.
#[derive(Debug, Args)]
pub(super) struct InfillArgs {
    /// A recording, or a file of codes, to make a part of anew: the rest keeps its codes
    #[arg(long, value_name = "SOUND|CODES", conflicts_with_all = ["duration", "prime"])]
    pub(super) infill: Option<PathBuf>,
    /// With --infill: where the part begins, in seconds or as 1m30s; at the start if not given
    #[arg(long, value_name = "TIME", value_parser = duration::place, requires = "infill")]
    from: Option<Duration>,
    /// With --infill: where the part ends; at the end if not given
    #[arg(long, value_name = "TIME", value_parser = duration::place, requires = "infill")]
    to: Option<Duration>,
    /// With --infill: which levels of codes are made anew, as 3-8, 1 being the coarsest; all if not
    /// given
    #[arg(long, value_name = "A-B", value_parser = levels, requires = "infill")]
    infill_levels: Option<(usize, usize)>,
    /// With --infill: write the codes as well, beside the sound as NAME.codes.json
    #[arg(long, requires = "infill")]
    pub(super) codes: bool,
}

/// The part of a clip that is made anew, as a recipe tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Region {
    /// The clip.
    pub(super) clip: UsedFile,
    /// The first frame, and the one after the last.
    frames: (usize, usize),
    /// The first level and the last, 1 being the coarsest.
    levels: (usize, usize),
}

/// A clip as codes.
pub(super) struct Clip {
    pub(super) name: String,
    pub(super) codes: Codes,
    /// Samples per channel that they stand for, at the rate of the codec.
    pub(super) samples: usize,
}

impl InfillArgs {
    /// The region that is asked for, of `clip`.
    pub(super) fn region(&self, clip: &Clip, path: &Path, codec: &CodecConfig) -> Result<Region> {
        let most = codec.quantizers;
        let levels = self.infill_levels.unwrap_or((1, most));
        if levels.1 > most {
            let message = format!("--infill-levels goes up to {}; the codec has {most}", levels.1);
            return Err(Usage(message).into());
        }
        let end = clip.codes.frames();
        let frame = |time: Duration| frame_at(time, codec).min(end);
        let frames = (self.from.map_or(0, frame), self.to.map_or(end, frame));
        if frames.0 >= frames.1 {
            let seconds = clip.samples as f64 / f64::from(codec.sample_rate);
            let hop = 1000.0 / codec.frame_rate();
            let message = format!(
                "there is nothing between --from and --to: {} lasts {seconds:.3} seconds, and what \
                 is made anew at least {hop:.0} ms",
                path.display()
            );
            return Err(Usage(message).into());
        }
        Ok(Region { clip: UsedFile::new(path)?, frames, levels })
    }
}

/// The first frame that tells the sound from `time` on: the middle of what it tells lies there or
/// later.
fn frame_at(time: Duration, codec: &CodecConfig) -> usize {
    let samples = time.as_secs_f64() * f64::from(codec.sample_rate);
    let hop = codec.hop() as f64;
    let frame = (samples + (codec.delay() as f64 - hop) / 2.0) / hop;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let frame = frame.ceil().max(0.0) as usize;
    frame
}

/// Reads levels as `3-8` or `5`.
fn levels(text: &str) -> Result<(usize, usize), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let level = |text: &str| text.trim().parse().ok().filter(|&level: &usize| level > 0);
    level(first)
        .zip(level(last))
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| "write levels as 3-8, 1 being the coarsest".to_owned())
}

impl Clip {
    /// Reads the clip at `path`: codes if it is a JSON file, else a recording.
    pub(super) fn read(path: &Path, bundle: &Bundle, model: &Arc<Model>) -> Result<Self> {
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
            let file = CodesFile::read(path)?;
            let codes = file.codes_for(bundle);
            let codes = codes.with_context(|| format!("cannot use {}", path.display()))?;
            ensure!(file.head.samples > 0, "{} holds no sound", path.display());
            return Ok(Self { name: file.head.name, codes, samples: file.head.samples });
        }
        let heard = read_clip(path, &bundle.config().codec)?;
        let audio = heard.sound.whole()?;
        let channels: Vec<&[f32]> = audio.iter().map(Vec::as_slice).collect();
        let codes = encode(model, &channels);
        Ok(Self { samples: heard.samples(), name: heard.name, codes })
    }

    /// Makes `region` anew.
    pub(super) fn infill(
        &self,
        region: &Region,
        model: &Arc<Model>,
        key: TakeKey,
        sampling: &Sampling,
    ) -> Result<Self> {
        let mut given = GivenCodes::new(&self.codes);
        let Region { frames, levels, .. } = region;
        given.open(frames.0..frames.1, levels.0.saturating_sub(1)..levels.1);
        let codes = infill(Arc::clone(model), key, sampling, given)?;
        Ok(Self { name: self.name.clone(), codes, samples: self.samples })
    }

    /// Its sound at `rate` Hz: `[C][S]`.
    pub(super) fn sound(&self, model: &Arc<Model>, rate: u32) -> Result<Vec<Vec<f32>>> {
        let sound = decode(model, &self.codes, self.samples);
        let channels = sound.chunks_exact(self.samples).map(<[f32]>::to_vec).collect();
        resample(channels, model.config().codec.sample_rate, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::levels;

    #[test]
    fn levels_are_a_range_or_one() {
        assert_eq!(levels("3-8"), Ok((3, 8)));
        assert_eq!(levels("5"), Ok((5, 5)));
        for wrong in ["", "0", "0-3", "8-3", "3-", "-3", "a-b", "3-8-9"] {
            assert!(levels(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
