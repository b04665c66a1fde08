//! Export: a clip as a sound file, as a pad plays it.
//!
//! It is rendered by an engine of its own, so that the file holds what a host renders.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use distill_shared::bundle::write_atomically;
use distill_shared::codes::ABSENT;
use distill_shared::codes_file::Head;
use distill_shared::flac::{FlacError, FlacFormat, FlacWriter};
use distill_shared::math::quantize;
use distill_shared::player::{Model, ModelError};

use crate::clips::{Clip, Clips};
use crate::denormals;
use crate::desk::Desk;
use crate::engine::{Block, Engine, Playing, Settings, Trigger, Voicing};
use crate::envelope::Shape;
use crate::instance::{Instance, ModelRef};
use crate::source::Source;
use crate::state::BundleRef;
use crate::stream::{Hold, connect};
use crate::voice::Note;
use crate::zones::{Keys, Zones};

/// Samples of a block.
const BLOCK: usize = 512;
/// Files of one name, at most.
const MAX_NAMESAKES: u32 = 1000;

/// What a file is, and how a sample is stored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// WAV with 16-bit integers.
    Wav16,
    /// WAV with 24-bit integers.
    #[default]
    Wav24,
    /// WAV with 32-bit floats.
    WavFloat,
    /// FLAC with 16-bit integers.
    Flac16,
    /// FLAC with 24-bit integers.
    Flac24,
}

impl Format {
    /// The ending of such files.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Wav16 | Self::Wav24 | Self::WavFloat => "wav",
            Self::Flac16 | Self::Flac24 => "flac",
        }
    }

    /// Bits of a sample.
    fn bits(self) -> u16 {
        match self {
            Self::Wav16 | Self::Flac16 => 16,
            Self::Wav24 | Self::Flac24 => 24,
            Self::WavFloat => 32,
        }
    }
}

/// A clip to be written.
#[derive(Debug, Clone)]
pub struct Export {
    /// The model that plays it.
    pub model: ModelRef,
    /// The clip.
    pub clip: Clip,
    /// What is done to notes and to all sound.
    pub settings: Settings,
    /// The project's sample rate in Hz.
    pub rate: f32,
    /// What the file is to be.
    pub format: Format,
    /// Where the file goes.
    pub folder: PathBuf,
}

impl Export {
    /// Writes the file, and beside it its codes, from which `distill decode` makes the sound again, if
    /// no level is absent. Returns the path of the sound.
    ///
    /// # Errors
    ///
    /// Fails with a sentence for the editor if the model is gone, the clip belongs to another, or no file
    /// can be written; also once it is to end.
    pub fn write(&self, closing: &AtomicBool) -> Result<PathBuf, String> {
        let gone = || "The clip was not exported: another bundle plays now.".to_owned();
        let model = self.model.model.upgrade().filter(|_| self.suits()).ok_or_else(gone)?;
        // As workers compute; this thread goes on as it was.
        let rendered = thread::scope(|scope| {
            let render = || {
                denormals::flush_to_zero();
                self.render(&model, closing)
            };
            scope.spawn(render).join()
        });
        let rendered = rendered.map_err(|_| "Internal error while exporting.".to_owned())?;
        let sound = rendered.map_err(|error| format!("The clip was not exported: {error}."))?;
        if closing.load(Ordering::Acquire) {
            return Err("The clip was not exported: the instrument was closed.".to_owned());
        }
        let shown = self.folder.display();
        fs::create_dir_all(&self.folder)
            .map_err(|error| format!("The folder {shown} cannot be made: {error}."))?;
        let path = free_path(&self.folder, &self.clip.name, self.format.ending())
            .ok_or_else(|| format!("{shown} is full of files of that name."))?;
        let bytes = self.encode(&sound)?;
        let failed = |error| format!("{} cannot be written: {error}.", path.display());
        write_atomically(&path, &bytes).map_err(failed)?;
        let codes = &self.clip.codes;
        if codes.as_slice().iter().all(|code| *code != ABSENT) {
            let codec = &model.config().codec;
            let samples = codes.frames() * codec.hop();
            let head = Head::new(codec, self.clip.codec.clone(), &self.clip.name, samples);
            let text = head.with_frames((0..codes.frames()).map(|t| codes.frame(t)));
            write_atomically(&path.with_extension("json"), text.as_bytes()).map_err(failed)?;
        }
        Ok(path)
    }

    /// Whether the clip belongs to the codec of the model.
    fn suits(&self) -> bool {
        self.clip.codec == self.model.codec
    }

    /// What a pad with the clip plays that is struck as hard as can be and held until it is over.
    ///
    /// # Errors
    ///
    /// Fails as [`Source::step_together`] does.
    pub fn render(
        &self,
        model: &Arc<Model>,
        closing: &AtomicBool,
    ) -> Result<Vec<[f32; 2]>, ModelError> {
        let (audio, worker) = connect();
        let instance = Arc::new(Instance::default());
        let edition = instance.choose(BundleRef::default());
        let mut desk = Desk::new(0, worker, Arc::clone(&instance));
        desk.set_model(edition, Arc::clone(model));
        // On all of them, since a take costs more than a clip.
        instance.pads().replace(Clips::all(&self.clip));
        let (zones, playing) = (Zones::of(model), self.model.clone());
        instance.succeed(edition, BundleRef::default(), String::new(), zones, playing);
        let settings = Settings {
            keys: Keys::Pads,
            playing: Playing::Notes,
            trigger: Trigger::Gate,
            // It is held until it is over, which for a one-shot would be sooner.
            shape: Shape { one_shot: false, ..self.settings.shape },
            voicing: Voicing::Poly,
            hold: Hold::Off,
            locked: false,
            ..self.settings
        };
        let mut engine = Engine::new(audio, instance, settings);
        engine.activate(self.rate, false);
        engine.reset(&settings);
        work(&mut desk)?;
        let samples = self.samples(model);
        let mut sound = Vec::with_capacity(samples);
        let (mut left, mut right) = (vec![0.0; BLOCK], vec![0.0; BLOCK]);
        while sound.len() < samples && !closing.load(Ordering::Acquire) {
            work(&mut desk)?;
            let (now, len) = (Instant::now(), BLOCK);
            engine.begin(&Block { settings, len, now, playing: true, meter: None });
            if sound.is_empty() {
                engine.note_on(Note { id: None, channel: 0, key: 0, velocity: 1.0 });
            }
            engine.render(&mut left, &mut right);
            engine.finish();
            sound.extend(left.iter().zip(&right).map(|(&left, &right)| [left, right]));
        }
        sound.truncate(samples);
        Ok(sound)
    }

    /// Samples until the clip is over.
    fn samples(&self, model: &Model) -> usize {
        let codec = &model.config().codec;
        let own = (self.clip.codes.frames() * codec.hop()) as f64;
        let speed = f64::from(codec.sample_rate) / f64::from(self.rate)
            * (f64::from(self.settings.tune) / 12.0).exp2();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let samples = (own / speed).ceil() as usize;
        samples
    }

    /// The bytes of the file.
    fn encode(&self, sound: &[[f32; 2]]) -> Result<Vec<u8>, String> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let rate = self.rate.round() as u32;
        let bits = self.format.bits();
        match self.format {
            Format::Flac16 | Format::Flac24 => {
                flac(sound, rate, bits).map_err(|error| error.to_string())
            }
            Format::Wav16 | Format::Wav24 => {
                wav(sound, rate, bits, hound::SampleFormat::Int).map_err(|error| error.to_string())
            }
            Format::WavFloat => wav(sound, rate, bits, hound::SampleFormat::Float)
                .map_err(|error| error.to_string()),
        }
        .map_err(|error| format!("The clip was not exported: {error}."))
    }
}

/// The bytes of a FLAC file.
fn flac(sound: &[[f32; 2]], rate: u32, bits: u16) -> Result<Vec<u8>, FlacError> {
    let format = FlacFormat { rate, channels: 2, bits };
    let mut writer = FlacWriter::new(Cursor::new(Vec::new()), format, None)?;
    writer.write(sound.as_flattened().iter().copied())?;
    Ok(writer.finish()?.into_inner())
}

/// The bytes of a WAV file.
fn wav(
    sound: &[[f32; 2]],
    sample_rate: u32,
    bits_per_sample: u16,
    sample_format: hound::SampleFormat,
) -> Result<Vec<u8>, hound::Error> {
    let spec = hound::WavSpec { channels: 2, sample_rate, bits_per_sample, sample_format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
    for sample in sound.as_flattened() {
        match sample_format {
            hound::SampleFormat::Float => writer.write_sample(*sample)?,
            hound::SampleFormat::Int => writer.write_sample(quantize(*sample, bits_per_sample))?,
        }
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}

/// Does what a worker would, until there is nothing to do.
fn work(desk: &mut Desk) -> Result<(), ModelError> {
    desk.tend();
    while let Some(source) = desk.pick(None) {
        let mut sources = [source];
        Source::step_together(&mut sources)?;
        sources.into_iter().for_each(|source| desk.put_back(source));
        desk.tend();
    }
    Ok(())
}

/// `name` without what file systems, or folders above, could take for something else.
#[must_use]
pub fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || " -_.#".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    name.trim_matches([' ', '.']).to_owned()
}

/// A path in `folder` for a sound called `name` with that ending where no file is yet, of its sound or
/// its codes.
fn free_path(folder: &Path, name: &str, ending: &str) -> Option<PathBuf> {
    let name = plain(name);
    let name = if name.is_empty() { "Clip" } else { &name };
    let numbered = |n: u32| if n == 1 { name.to_owned() } else { format!("{name} {n}") };
    let paths = (1..=MAX_NAMESAKES).map(|n| folder.join(format!("{}.{ending}", numbered(n))));
    let is_free = |path: &PathBuf| !path.exists() && !path.with_extension("json").exists();
    let mut paths = paths.filter(is_free);
    paths.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_inside_the_folder_and_replace_nothing() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = |name: &str| {
            let path = free_path(folder.path(), name, "wav").expect("there is room");
            assert_eq!(path.parent(), Some(folder.path()));
            fs::write(&path, []).expect("it can be written");
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        assert_eq!(path("Bell"), "Bell.wav");
        assert_eq!(path("Bell"), "Bell 2.wav");
        assert_eq!(path("../../etc/passwd"), "_.._etc_passwd.wav");
        assert_eq!(path(" ..  "), "Clip.wav");
        assert_eq!(path("Klang \u{fc}ber 1.5"), "Klang \u{fc}ber 1.5.wav");
    }
}
