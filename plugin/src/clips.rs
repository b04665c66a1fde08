//! Clips: pieces of what was played, as codes, that a project keeps. Each lies on a pad.

use std::fmt::Write as _;
use std::sync::Arc;

use distill_shared::bundle::is_digest;
use distill_shared::codes::{ABSENT, Codes, unflatten_codes};
use serde::{Deserialize, Serialize};

use crate::locks::Locks;
use crate::zones::PADS;

/// Version of [`SavedClips`] that is written; every version up to it is read.
pub const VERSION: u32 = 1;
/// Codes of the longest clip: 87 s of 24 levels at 47 frames a second.
pub const MAX_CODES: usize = 3 << 15;
/// Levels of the codec of a clip, at most.
pub const MAX_LEVELS: usize = 64;
/// Letters of the longest name.
pub const MAX_NAME: usize = 60;
/// The best rating.
pub const MAX_RATING: u8 = 5;
/// How an absent code is written, which no codebook is large enough for.
const NO_CODE: u32 = 0xffff;
/// Hexadecimal digits of a code.
const DIGITS: usize = 4;

/// Codes that a project keeps, and plays from a pad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// What the musician calls it.
    pub name: String,
    /// How good the musician finds it, 1 to [`MAX_RATING`]; 0 if that was not said.
    pub rating: u8,
    /// Digest of the codec that the codes belong to: to another they mean nothing.
    pub codec: String,
    /// The codes.
    pub codes: Arc<Codes>,
    /// Those that no edit changes.
    pub locks: Locks,
}

/// The clips of a project, by their pads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clips([Option<Clip>; PADS]);

/// Clips as a project saves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedClips {
    /// [`VERSION`].
    pub version: u32,
    /// In the order of their pads.
    pub clips: Vec<SavedClip>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedClip {
    /// The pad, 0 to [`PADS`] - 1.
    pub pad: usize,
    /// [`Clip::name`].
    pub name: String,
    /// [`Clip::rating`]; older versions saved none.
    #[serde(default)]
    pub rating: u8,
    /// [`Clip::codec`].
    pub codec: String,
    /// Levels of the codec.
    pub levels: usize,
    /// The codes, frame by frame, coarse to fine, four hexadecimal digits each.
    pub codes: String,
    /// [`Clip::locks`], as [`Locks::digits`] has them; older versions saved none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub locks: String,
}

impl Default for SavedClips {
    fn default() -> Self {
        Self { version: VERSION, clips: Vec::new() }
    }
}

impl Clips {
    /// The clip of a pad, if it has one.
    #[must_use]
    pub fn get(&self, pad: usize) -> Option<&Clip> {
        self.0.get(pad)?.as_ref()
    }

    /// Puts a clip on a pad, or takes it away. What is too long for a clip loses its beginning.
    pub fn set(&mut self, pad: usize, clip: Option<Clip>) {
        let Some(place) = self.0.get_mut(pad) else { return };
        // What has no sound, or could not be saved, is no clip.
        *place = clip.map(Clip::within_limits).filter(|clip| clip.codes.frames() > 0);
    }

    /// The same clip on all pads, however long it is: to be played, not to be saved.
    #[must_use]
    pub fn all(clip: &Clip) -> Self {
        Self(std::array::from_fn(|_| Some(clip.clone())))
    }

    /// Pads and their clips.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Clip)> {
        self.0.iter().enumerate().filter_map(|(pad, clip)| Some((pad, clip.as_ref()?)))
    }

    /// The first pad that has none.
    #[must_use]
    pub fn first_free(&self) -> Option<usize> {
        self.0.iter().position(Option::is_none)
    }

    /// As a project saves them.
    #[must_use]
    pub fn saved(&self) -> SavedClips {
        let saved = |(pad, clip): (usize, &Clip)| SavedClip {
            pad,
            name: clip.name.clone(),
            rating: clip.rating,
            codec: clip.codec.clone(),
            levels: clip.codes.quantizers(),
            codes: digits(&clip.codes),
            locks: clip.locks.digits(clip.codes.quantizers()),
        };
        SavedClips { version: VERSION, clips: self.iter().map(saved).collect() }
    }

    /// Reads clips from a state.
    ///
    /// # Errors
    ///
    /// Fails with a sentence for the editor if the text is not what [`Self::saved`] gives.
    pub fn read(text: &str) -> Result<Self, String> {
        let damaged = || "The saved clips cannot be read: the project is damaged.".to_owned();
        let saved: SavedClips = serde_json::from_str(text).map_err(|_| damaged())?;
        if saved.version > VERSION {
            return Err("A newer Distill saved this project. Update Distill to open it.".to_owned());
        }
        Self::of(saved).ok_or_else(damaged)
    }

    /// The clips of a project; none if they make no sense.
    #[must_use]
    pub fn of(saved: SavedClips) -> Option<Self> {
        let mut clips = Self::default();
        for SavedClip { pad, name, rating, codec, levels, codes, locks } in saved.clips {
            let fits = codes.len() <= MAX_CODES * DIGITS
                && levels <= MAX_LEVELS
                && name.chars().count() <= MAX_NAME
                && rating <= MAX_RATING
                && is_digest(&codec);
            let codes = unflatten_codes(&of_digits(&codes).filter(|_| fits)?, levels)?;
            let locks = Locks::of_digits(&locks, codes.frames(), levels)?;
            let place = clips.0.get_mut(pad).filter(|place| place.is_none())?;
            let clip = Clip { name, rating, codec, codes: Arc::new(codes), locks };
            *place = Some(clip).filter(|clip| clip.codes.frames() > 0);
            place.as_ref()?;
        }
        Some(clips)
    }
}

impl Clip {
    fn within_limits(self) -> Self {
        let most = MAX_CODES / self.codes.quantizers().max(1);
        let (codes, locks) = if self.codes.frames() > most {
            // Cells have other places now.
            (Arc::new(self.codes.last(most)), Locks::default())
        } else {
            let frames = self.codes.frames();
            (self.codes, self.locks.within(frames))
        };
        let name = self.name.chars().take(MAX_NAME).collect();
        Self { name, rating: self.rating.min(MAX_RATING), codes, locks, ..self }
    }
}

/// Codes as hexadecimal digits.
fn digits(codes: &Codes) -> String {
    let mut text = String::with_capacity(codes.as_slice().len() * DIGITS);
    for code in codes.as_slice() {
        let code = if *code == ABSENT { NO_CODE } else { *code };
        let _ = write!(text, "{code:04x}"); // into memory, which cannot fail
    }
    text
}

/// Codes of hexadecimal digits, if there is nothing else.
fn of_digits(text: &str) -> Option<Vec<u32>> {
    let code = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok().filter(|_| digits.len() == DIGITS)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
        Some(if code == NO_CODE { ABSENT } else { code })
    };
    text.as_bytes().chunks(DIGITS).map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(first: u32) -> Clip {
        let codes = unflatten_codes(&[first, 2, ABSENT, 255], 2).expect("two frames");
        let (name, codec) = ("Bell \u{1f514}".to_owned(), "0f".repeat(32));
        let mut locks = Locks::default();
        locks.toggle(&[(1, 0)]);
        Clip { name, rating: 4, codec, codes: Arc::new(codes), locks }
    }

    #[test]
    fn what_is_only_played_may_be_of_any_length() {
        let codes = unflatten_codes(&vec![1; MAX_CODES + 2], 2).expect("whole frames");
        let long = Clip { codes: Arc::new(codes), ..clip(0) };
        assert!(Clips::all(&long).iter().all(|(_, played)| *played == long));
        let mut saved = Clips::default();
        saved.set(0, Some(long));
        let frames = saved.get(0).map(|clip| clip.codes.frames());
        assert_eq!(frames, Some(MAX_CODES / 2));
    }

    #[test]
    fn clips_survive_saving_and_loading() {
        let mut clips = Clips::default();
        let mut locked = clip(4095);
        // Beyond the end of the clip there is nothing to be locked.
        locked.locks.toggle(&[(7, 1)]);
        clips.set(0, Some(locked));
        clips.set(PADS - 1, Some(clip(0)));
        clips.set(PADS, Some(clip(1)));
        assert_eq!(clips.iter().count(), 2);
        assert_eq!(clips.first_free(), Some(1));
        let text = serde_json::to_string(&clips.saved()).expect("texts and numbers are JSON");
        let read = Clips::read(&text).expect("they were saved");
        assert_eq!(read, clips);
        assert_eq!(serde_json::to_string(&read.saved()).expect("JSON"), text);
        assert_eq!(Clips::read(r#"{"version":1,"clips":[]}"#), Ok(Clips::default()));
    }

    #[test]
    fn clips_that_make_no_sense_are_refused() {
        let mut good = Clips::default();
        good.set(3, Some(clip(1)));
        let good = serde_json::to_value(good.saved()).expect("JSON");
        for (key, value) in [
            ("pad", serde_json::json!(24)),
            ("pad", serde_json::json!(-1)),
            ("name", serde_json::json!("x".repeat(MAX_NAME + 1))),
            ("rating", serde_json::json!(MAX_RATING + 1)),
            ("rating", serde_json::json!(-1)),
            ("codec", serde_json::json!("../etc")),
            ("levels", serde_json::json!(0)),
            ("levels", serde_json::json!(3)),
            ("levels", serde_json::json!(MAX_LEVELS + 1)),
            ("codes", serde_json::json!("00010002+0ff00ff")),
            ("codes", serde_json::json!("0001000200ff0ff")),
            ("codes", serde_json::json!("")),
            ("codes", serde_json::json!("é001000200ff00f")),
            ("codes", serde_json::json!("0".repeat(DIGITS * (MAX_CODES + 2)))),
            ("locks", serde_json::json!("08")),
            ("locks", serde_json::json!(7)),
        ] {
            let mut bad = good.clone();
            bad["clips"][0][key] = value;
            assert!(Clips::read(&bad.to_string()).is_err(), "{key}");
        }
        let twice = serde_json::json!([good["clips"][0], good["clips"][0]]);
        let twice = serde_json::json!({ "version": 1, "clips": twice });
        assert!(Clips::read(&twice.to_string()).is_err());
        assert!(Clips::read(r#"{"version":2,"clips":[]}"#).is_err_and(|e| e.contains("newer")));
        assert!(Clips::read(&good.to_string()).is_ok());
    }

    #[test]
    fn a_clip_of_an_older_version_is_not_rated_and_nothing_of_it_is_locked() {
        let mut clips = Clips::default();
        clips.set(3, Some(clip(1)));
        let mut saved = serde_json::to_value(clips.saved()).expect("JSON");
        saved["clips"][0].as_object_mut().expect("a clip").remove("rating");
        saved["clips"][0].as_object_mut().expect("a clip").remove("locks");
        let read = Clips::read(&saved.to_string()).expect("older versions wrote it");
        assert_eq!(read.get(3), Some(&Clip { rating: 0, locks: Locks::default(), ..clip(1) }));
    }

    #[test]
    fn what_has_no_frames_is_no_clip() {
        let mut clips = Clips::default();
        clips.set(2, Some(clip(1)));
        clips.set(2, Some(Clip { codes: Arc::new(Codes::new(2)), ..clip(1) }));
        assert_eq!(clips, Clips::default());
        let text = serde_json::to_string(&clips.saved()).expect("JSON");
        assert!(Clips::read(&text).is_ok());
    }

    #[test]
    fn what_is_too_long_for_a_clip_loses_its_beginning() {
        let flat: Vec<u32> =
            (0..u32::try_from(MAX_CODES).expect("few") + 2).map(|n| n % 9).collect();
        let codes = unflatten_codes(&flat, 2).expect("even");
        let mut clips = Clips::default();
        clips.set(0, Some(Clip { codes: Arc::new(codes), name: "x".repeat(99), ..clip(0) }));
        let kept = clips.get(0).expect("it was put there");
        assert!(kept.locks.are_none(), "its cells have other places");
        assert_eq!(kept.codes.as_slice(), &flat[2..]);
        assert_eq!(kept.name.len(), MAX_NAME);
    }
}
