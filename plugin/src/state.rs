//! What a host saves with a project, and what is let in when it is loaded.
//!
//! The framework writes every parameter and, as JSON, the [`BundleRef`], the
//! [`SavedClips`](crate::clips::SavedClips) and the [`SavedNames`](crate::level_names::SavedNames).
//! Loading is all or nothing: a state that cannot be understood changes nothing but the message in the
//! editor, and one that can leaves no parameter as it was.

use std::collections::BTreeMap;

use distill_shared::bundle::is_digest;
use nice_plug::plugin::PluginState;
use serde::{Deserialize, Serialize};

use crate::clips::Clips;
use crate::level_names::LevelNames;
use crate::params::{LIMITS, Limit};

/// Version of [`BundleRef`] that is written; every version up to it is read.
pub const VERSION: u32 = 1;
/// Bytes of the longest path and name that are let in.
const MAX_TEXT: usize = 4096;
/// The field in the state that holds the [`BundleRef`].
const FIELD: &str = "bundle";
/// The one that holds the clips; there is none in what older versions saved.
const CLIPS: &str = "clips";
/// The one that holds the names of levels; nor is there one of them.
const LEVELS: &str = "levels";

/// Names a bundle: by its content, and by where it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRef {
    /// [`VERSION`].
    pub version: u32,
    /// Digest of the bundle; empty until it has been loaded for the first time.
    pub digest: String,
    /// The file; empty for the factory bundle.
    pub path: String,
    /// What the bundle is called.
    pub name: String,
    /// Why a state was refused; empty if it was not, and never saved. A refused reference chooses
    /// nothing: it only carries the message.
    #[serde(default, skip_serializing)]
    pub refused: String,
}

impl Default for BundleRef {
    /// The factory bundle, whichever this build has.
    fn default() -> Self {
        let (digest, path, name, refused) = Default::default();
        Self { version: VERSION, digest, path, name, refused }
    }
}

impl BundleRef {
    /// A file, whatever it holds now. Refused if no file can have that path: a project that named it
    /// could not be opened again.
    #[must_use]
    pub fn file(path: String) -> Self {
        if is_path(&path) {
            return Self { path, ..Self::default() };
        }
        let refused = "That is no path of a file: it is too long, or holds a zero.".to_owned();
        Self { refused, ..Self::default() }
    }

    /// What is left of `name` where it is longer than a project may hold.
    #[must_use]
    pub fn short_name(name: &str) -> String {
        name.chars().take(MAX_TEXT / 4).collect()
    }

    /// Reads a reference from a state.
    fn read(text: &str) -> Result<Self, String> {
        let reference: Self = serde_json::from_str(text)
            .map_err(|_| "The saved bundle cannot be read: the project is damaged.".to_owned())?;
        if reference.version > VERSION {
            Err("A newer Distill saved this project. Update Distill to open it.".to_owned())
        } else if !(reference.digest.is_empty() || is_digest(&reference.digest))
            || reference.name.len() > MAX_TEXT
            || !is_path(&reference.path)
        {
            Err("The saved bundle makes no sense: the project is damaged.".to_owned())
        } else {
            Ok(Self { refused: String::new(), ..reference })
        }
    }
}

/// Whether a file can have that path.
fn is_path(path: &str) -> bool {
    path.len() <= MAX_TEXT && !path.contains('\0')
}

/// Makes `state` harmless before it is loaded: every number inside its range, nothing missing,
/// nothing unknown, or, if the reference to the bundle is not understood, nothing at all.
pub fn filter(state: &mut PluginState) {
    let text = |field: &str| state.fields.get(field).map(String::as_str);
    let clips = text(CLIPS).map_or(Ok(Clips::default()), Clips::read);
    let names = text(LEVELS).map_or(Ok(LevelNames::default()), LevelNames::read);
    let reference = text(FIELD).map_or(Ok(BundleRef::default()), BundleRef::read);
    let all = reference.and_then(|reference| Ok((reference, clips?, names?)));
    let (reference, clips, names) = match all {
        Ok(all) => all,
        Err(refused) => {
            state.params.clear();
            // Written by hand, since `refused` is never serialized.
            let refusal = serde_json::json!({
                "version": VERSION, "digest": "", "path": "", "name": "", "refused": refused,
            });
            state.fields = BTreeMap::from([(FIELD.to_owned(), refusal.to_string())]);
            return;
        }
    };
    let valid = "texts and numbers are valid JSON";
    let reference = serde_json::to_string(&reference).expect(valid);
    let clips = serde_json::to_string(&clips.saved()).expect(valid);
    let names = serde_json::to_string(&names.saved()).expect(valid);
    let fields = [(FIELD, reference), (CLIPS, clips), (LEVELS, names)];
    state.fields = fields.map(|(field, text)| (field.to_owned(), text)).into();

    let given = std::mem::take(&mut state.params);
    let valid = |(id, limit): (&str, Limit)| (id.to_owned(), limit.apply(given.get(id)));
    state.params = LIMITS.into_iter().map(valid).collect();
}

#[cfg(test)]
mod tests {
    use nice_plug::plugin::ParamValue;

    use super::*;

    fn state(json: &serde_json::Value) -> PluginState {
        let mut state = serde_json::from_value(json.clone()).unwrap();
        filter(&mut state);
        state
    }

    fn reference(text: &str) -> serde_json::Value {
        serde_json::json!({ "params": { "gain": { "f32": 3.0 } }, "fields": { "bundle": text } })
    }

    #[test]
    fn numbers_are_brought_into_their_ranges_and_gaps_filled() {
        let state = state(&serde_json::json!({
            "params": {
                "temp": { "f32": 1e39 }, "gain": { "f32": -1e39 }, "seed": { "i32": i32::MIN },
                "topk": { "f32": 3.0 }, "nobody": { "bool": true }, "attack": { "f32": 12.5 },
            },
            "fields": { "other": "{}" },
        }));
        let float = |id: &str| match state.params[id] {
            ParamValue::F32(value) => value,
            _ => f32::NAN,
        };
        assert_eq!((float("temp"), float("gain"), float("attack")), (2.0, -60.0, 12.5));
        assert_eq!(float("decay"), 500.0, "missing");
        assert!(matches!(state.params["seed"], ParamValue::I32(0)));
        assert!(matches!(state.params["topk"], ParamValue::I32(0)), "another type");
        assert_eq!(state.params.len(), LIMITS.len());
        assert_eq!(state.fields.len(), 3);
    }

    #[test]
    fn what_can_be_chosen_can_be_read_again() {
        for path in ["", "/a b.distill", &"é".repeat(2048)] {
            let mut file = BundleRef::file(path.to_owned());
            assert_eq!(file.refused, "", "{path}");
            file.name = BundleRef::short_name(&"𝄞".repeat(5000));
            let text = serde_json::to_string(&file).unwrap();
            assert_eq!(BundleRef::read(&text), Ok(file));
        }
        for path in ["a\0b".to_owned(), "x".repeat(MAX_TEXT + 1)] {
            let file = BundleRef::file(path);
            assert!(file.path.is_empty() && !file.refused.is_empty());
        }
    }

    #[test]
    fn a_state_whose_bundle_makes_no_sense_changes_nothing() {
        let long = format!(
            r#"{{"version":1,"digest":"","path":"{}","name":""}}"#,
            "x".repeat(MAX_TEXT + 1)
        );
        for text in [
            "",
            "null",
            "{",
            r#"{"version":1}"#,
            r#"{"version":2,"digest":"","path":"","name":""}"#,
            r#"{"version":1,"digest":"../etc","path":"","name":""}"#,
            r#"{"version":1,"digest":"","path":"a\u0000b","name":""}"#,
            &long,
        ] {
            let state = state(&reference(text));
            assert!(state.params.is_empty(), "{text}");
            let kept: BundleRef = serde_json::from_str(&state.fields[FIELD]).unwrap();
            assert!(!kept.refused.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_state_whose_clips_make_no_sense_changes_nothing() {
        let bundle = serde_json::to_string(&BundleRef::default()).unwrap();
        let state = state(&serde_json::json!({
            "params": { "gain": { "f32": 3.0 } },
            "fields": { "bundle": bundle, "clips": r#"{"version":1,"clips":[{"pad":99}]}"# },
        }));
        assert!(state.params.is_empty() && !state.fields.contains_key(CLIPS));
        let kept: BundleRef = serde_json::from_str(&state.fields[FIELD]).unwrap();
        assert!(kept.refused.contains("clips"));
    }

    #[test]
    fn a_state_whose_names_make_no_sense_changes_nothing() {
        let bundle = serde_json::to_string(&BundleRef::default()).unwrap();
        let state = state(&serde_json::json!({
            "params": { "gain": { "f32": 3.0 } },
            "fields": { "bundle": bundle, "levels": r#"{"version":1,"names":[{"level":99}]}"# },
        }));
        assert!(state.params.is_empty() && !state.fields.contains_key(LEVELS));
        let kept: BundleRef = serde_json::from_str(&state.fields[FIELD]).unwrap();
        assert!(kept.refused.contains("names of levels"));
    }

    #[test]
    fn a_reference_survives_saving_and_loading() {
        let saved = BundleRef {
            digest: "0f".repeat(32),
            path: "/sounds/drums \u{1f941}.distill".to_owned(),
            name: "Drums".to_owned(),
            ..BundleRef::default()
        };
        let state = state(&reference(&serde_json::to_string(&saved).unwrap()));
        let loaded: BundleRef = serde_json::from_str(&state.fields[FIELD]).unwrap();
        assert_eq!(loaded, saved);
        assert_eq!(state.params.len(), LIMITS.len());
    }
}
