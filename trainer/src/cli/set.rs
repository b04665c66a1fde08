//! `--set`: what the prior is asked for.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use clap::Args;
use distill_shared::bundle::Bundle;
use distill_shared::model::conditioning::{Conditioning, Controls, Pitches};

use crate::descriptors::words::note;
use crate::stop::Usage;

/// What can be asked for, and how.
const NAMES: [(&str, &str); 6] = [
    ("loudness", "a rank from 0 to 1: 0.7 is louder than 70 % of the recordings"),
    ("brightness", "a rank from 0 to 1: 0.7 is brighter than 70 % of the recordings"),
    ("density", "a rank from 0 to 1: at 1, sounds follow each other as fast as they ever did"),
    (
        "velocity",
        "a rank from 0 to 1: at 0.7, takes begin louder than 70 % of the recorded sounds do",
    ),
    ("pitch", "a note, as c4 or f#3, or the number of its MIDI key"),
    ("class", "the name of a folder of the recordings"),
];

/// What to ask the prior for.
#[derive(Debug, Clone, Args)]
pub(super) struct SetArgs {
    /// Ask for loudness, brightness, density, velocity (0 to 1), pitch (c4 or 60) or class (a
    /// folder), as brightness=0.7; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
}

impl SetArgs {
    /// The controls that are asked for, if the prior of `bundle`, at `path`, offers them.
    pub(super) fn controls(&self, bundle: &Bundle, path: &Path) -> Result<Controls> {
        let mut controls = Controls::default();
        let nothing = Conditioning::default();
        let offered = bundle.prior_config().map_or(&nothing, |prior| &prior.conditioning);
        for set in &self.set {
            let Some((name, value)) = set.split_once('=') else {
                return Err(
                    Usage(format!("--set {set} says no value; write --set {set}=0.5")).into()
                );
            };
            let (name, value) = (name.trim(), value.trim());
            let Some((_, how)) = NAMES.iter().find(|(known, _)| *known == name) else {
                let names = NAMES.map(|(name, _)| name).join(", ");
                return Err(Usage(format!("--set {name} is unknown; there are {names}")).into());
            };
            ensure_offered(name, offered, bundle, path)?;
            let wrong = || Usage(format!("--set {set} is not {how}"));
            match name {
                "pitch" => {
                    let pitch = read_pitch(value).ok_or_else(wrong)?;
                    within(pitch, offered.pitch, path)?;
                    controls.pitch = Some(pitch);
                }
                "class" => {
                    let class = offered.classes.iter().position(|class| class == value);
                    let Some(class) = class else {
                        let classes = offered.classes.join(", ");
                        bail!("{} knows no class {value}; there are {classes}", path.display());
                    };
                    controls.class = Some(u32::try_from(class)?);
                }
                _ => {
                    let rank: f32 =
                        value.parse().ok().filter(|r| (0.0..=1.0).contains(r)).ok_or_else(wrong)?;
                    match name {
                        "loudness" => controls.loudness = Some(rank),
                        "brightness" => controls.brightness = Some(rank),
                        "velocity" => controls.velocity = Some(rank),
                        _ => controls.density = Some(rank),
                    }
                }
            }
        }
        Ok(controls)
    }
}

/// Fails, and says why, if the prior cannot be asked for `name`.
fn ensure_offered(name: &str, offered: &Conditioning, bundle: &Bundle, path: &Path) -> Result<()> {
    let is_offered = match name {
        "pitch" => !offered.pitch.is_empty(),
        "class" => !offered.classes.is_empty(),
        _ => offered.ranks().iter().any(|(known, range)| *known == name && range.is_some()),
    };
    if is_offered {
        return Ok(());
    }
    let reasons = bundle.prior_metadata().map(|metadata| metadata.not_offered.as_slice());
    let why = reasons.unwrap_or_default().iter().find(|why| why.starts_with(name));
    match why {
        Some(why) => bail!("{} cannot be asked for {why}", path.display()),
        None => bail!(
            "{} cannot be asked for {name}; train its prior again with distill train-prior",
            path.display()
        ),
    }
}

/// Fails if a pitch lies outside those of the corpus.
fn within(pitch: f32, offered: Pitches, path: &Path) -> Result<()> {
    let Some((low, high)) = offered.range() else { return Ok(()) };
    ensure!(
        (f32::from(low) - 12.0..=f32::from(high) + 12.0).contains(&pitch),
        "{} has pitches from {} to {}, and {} is over an octave away; choose a nearer one",
        path.display(),
        note(low),
        note(high),
        pitch
    );
    Ok(())
}

/// The number of a MIDI key from its number or its name, middle C being c4 and 60.
fn read_pitch(text: &str) -> Option<f32> {
    if let Ok(key) = text.parse::<f32>() {
        return Some(key).filter(|key| (0.0..=127.0).contains(key));
    }
    let mut rest = text.chars();
    let steps = match rest.next()?.to_ascii_lowercase() {
        'c' => 0,
        'd' => 2,
        'e' => 4,
        'f' => 5,
        'g' => 7,
        'a' => 9,
        'b' => 11,
        _ => return None,
    };
    let rest = rest.as_str();
    let (shift, octave) = match rest.chars().next()? {
        '#' | '♯' => (1, rest.trim_start_matches(['#', '♯'])),
        'b' | '♭' => (-1, rest.trim_start_matches(['b', '♭'])),
        _ => (0, rest),
    };
    let octave: i16 = octave.parse().ok().filter(|octave| (-1..=9).contains(octave))?;
    Some(f32::from(12 * (octave + 1) + steps + shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_are_written() {
        for (text, key) in
            [("c4", 60.0), ("A4", 69.0), ("f#3", 54.0), ("eb2", 39.0), ("60.5", 60.5), ("c-1", 0.0)]
        {
            assert_eq!(read_pitch(text), Some(key), "{text}");
        }
        for text in ["", "h4", "c", "c#", "c99", "128", "nan", "60 c"] {
            assert_eq!(read_pitch(text), None, "{text}");
        }
        for key in 0..=127 {
            assert_eq!(read_pitch(&note(key)), Some(f32::from(key)));
        }
    }
}
