//! Codes of a recording as a file of their own, `docs/codes.md`.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use distill_shared::bundle::{Bundle, MAX_ROWS, Replacement};
use distill_shared::codes::Codes;
use distill_shared::codes_file::{FORMAT, Head, VERSION};
use distill_shared::whole_file::{ReadError, read_whole};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};

/// The largest file that is read, in bytes: about ten hours of sound.
const MAX_BYTES: usize = 256 << 20;
/// Codes of the longest file that is read, of all levels together.
const MAX_CODES: usize = MAX_ROWS;
/// Codes of a frame, at most: more levels than any codec has.
const MAX_LEVELS: usize = 64;

/// Codes, and what they are codes of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodesFile {
    /// What they are codes of.
    pub head: Head,
    /// The codes, `[T, N]`; without frames, of any number of levels.
    pub codes: Codes,
}

/// What tells whether the rest can be read.
#[derive(Deserialize)]
struct Identity {
    format: String,
    version: u64,
}

/// What is beside the [`Head`].
#[derive(Deserialize)]
struct Body {
    #[serde(deserialize_with = "frames")]
    codes: Codes,
}

impl CodesFile {
    /// The codes of a recording of `samples` samples per channel, of the codec of `bundle`.
    #[must_use]
    pub fn new(bundle: &Bundle, name: &str, samples: usize, codes: &Codes) -> Self {
        let head = Head::new(&bundle.config().codec, bundle.codec_digest(), name, samples);
        Self { head, codes: codes.clone() }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or is no codes file of a known version.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = read_whole(path, MAX_BYTES).map_err(|error| match error {
            ReadError::Io(error) => anyhow!("cannot read {shown}: {error}"),
            error => anyhow!("{shown} {error}; choose a file that distill encode made"),
        })?;
        Self::of_bytes(&bytes, &shown)
    }

    /// Reads the file with these `bytes`, which errors call `name`. Takes room for the codes alone, of
    /// which there may be 2²⁶.
    ///
    /// # Errors
    ///
    /// Fails if it is no codes file of a known version.
    pub fn of_bytes(bytes: &[u8], name: &dyn fmt::Display) -> Result<Self> {
        let foreign = || format!("{name} is not a file of codes; make one with distill encode");
        // Read thrice, each time without what does not matter then: a tree of all of it would take
        // forty times the room of the file.
        let identity: Identity = serde_json::from_slice(bytes).with_context(foreign)?;
        ensure!(identity.format == FORMAT, foreign());
        // Before the rest, which a newer version may have changed.
        ensure!(
            identity.version <= VERSION,
            "{name} was written by a newer version of distill; this one reads version {VERSION}"
        );
        let head = serde_json::from_slice(bytes).with_context(foreign)?;
        let Body { codes } = serde_json::from_slice(bytes).with_context(foreign)?;
        Ok(Self { head, codes })
    }

    /// Writes the file to `path`, replacing what is there at a stroke.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(self.begin(path)?.put_in_place()?)
    }

    /// The file that is to be `path`, whole and yet to be put in its place.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn begin(&self, path: &Path) -> Result<Replacement> {
        let frames = (0..self.codes.frames()).map(|t| self.codes.frame(t));
        let text = self.head.with_frames(frames);
        Ok(Replacement::with(path, text.as_bytes())?)
    }

    /// The codes, if `bundle` can play them.
    ///
    /// # Errors
    ///
    /// Fails if they belong to another codec, or are not what one can be told.
    pub fn codes_for(&self, bundle: &Bundle) -> Result<Codes> {
        let codec = &bundle.config().codec;
        ensure!(
            self.head.codec == bundle.codec_digest(),
            "the codes belong to another bundle; encode the sound again with this one"
        );
        let (quantizers, size) = (codec.quantizers, codec.codebook_size);
        let codes = match self.codes.frames() {
            0 => Codes::new(quantizers),
            _ => self.codes.clone(),
        };
        let levels = codes.quantizers();
        ensure!(
            levels == quantizers,
            "a frame has {levels} codes, and the codec has {quantizers} levels"
        );
        let wrong = codes.as_slice().iter().position(|&code| code as usize >= size);
        if let Some(at) = wrong {
            let (t, code) = (at / levels, codes.as_slice()[at]);
            anyhow::bail!("frame {t} has the code {code}; codes of this codec are below {size}");
        }
        let samples = self.head.samples;
        ensure!(
            samples.div_ceil(codec.hop()) <= codes.frames()
                && codes.frames() <= codec.frames_for(samples),
            "{} frames of codes do not make {samples} samples",
            codes.frames()
        );
        Ok(codes)
    }
}

/// Reads frames, all of as many codes.
fn frames<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Codes, D::Error> {
    struct Frames;

    impl<'de> Visitor<'de> for Frames {
        type Value = Codes;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list of frames")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Codes, A::Error> {
            let (mut codes, mut frame) = (Codes::default(), Vec::new());
            while seq.next_element_seed(Frame(&mut frame))?.is_some() {
                let (t, own) = (codes.frames(), frame.len());
                if own == 0 || (t > 0 && own != codes.quantizers()) {
                    let message = format!("frame {t} has {own} codes; all have as many, and some");
                    return Err(de::Error::custom(message));
                }
                if t == 0 {
                    codes = Codes::new(own);
                }
                if codes.as_slice().len() + own > MAX_CODES {
                    return Err(de::Error::custom(format_args!("over {MAX_CODES} codes")));
                }
                codes.push(&frame);
                frame.clear();
            }
            Ok(codes)
        }
    }

    deserializer.deserialize_seq(Frames)
}

/// Reads the codes of a frame.
struct Frame<'a>(&'a mut Vec<u32>);

impl<'de> DeserializeSeed<'de> for Frame<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Frame<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the codes of a frame")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(code) = seq.next_element()? {
            if self.0.len() == MAX_LEVELS {
                return Err(de::Error::custom(format_args!("a frame of over {MAX_LEVELS} codes")));
            }
            self.0.push(code);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::unflatten_codes;

    use super::*;

    fn read(codes: &str) -> Result<CodesFile> {
        let text = format!(
            r#"{{"format":"distill-codes","codes":{codes},"version":1,"codec":"0f","name":"a",
                "sample_rate":48000,"samples":9,"codebook_size":4}}"#
        );
        CodesFile::of_bytes(text.as_bytes(), &"a.json")
    }

    #[test]
    fn frames_of_as_many_codes_are_read_in_any_order_of_keys() {
        let file = read("[[0,1],[2,3]]").expect("they are codes");
        assert_eq!(file.codes, unflatten_codes(&[0, 1, 2, 3], 2).expect("two frames"));
        assert_eq!(file.head.samples, 9);
        assert_eq!(read("[]").expect("no frames are codes").codes.frames(), 0);
    }

    #[test]
    fn frames_that_differ_and_codes_that_are_none_are_refused() {
        for wrong in ["[[0,1],[2]]", "[[0,1],[]]", "[[]]", "[[-1]]", "[[4294967296]]", "[0]", "{}"]
        {
            let error = format!("{:#}", read(wrong).expect_err("they are no codes"));
            assert!(error.contains("a.json is not a file of codes"), "{wrong}: {error}");
        }
    }

    #[test]
    fn deep_json_is_refused() {
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
