//! What a host saves of the instrument, as the framework reads it.
//!
//! The fields of a state are JSON in texts. In an input they may stand as they are, without quotes.

use distill_plugin::clips::{Clip, Clips, SavedClips};
use distill_plugin::locks::Locks;
use distill_plugin::params::LIMITS;
use distill_plugin::state::{BundleRef, filter};
use distill_shared::codes::unflatten_codes;
use nice_plug::plugin::{ParamValue, PluginState};
use serde_json::{Value, json};

/// A state is let in whole, with every number in its range and saved the same again, or not at all.
pub fn check(bytes: &[u8]) -> bool {
    let plain = serde_json::from_slice(bytes).is_ok_and(check_state);
    let Ok(mut input) = serde_json::from_slice::<Value>(bytes) else { return plain };
    let fields = input.get_mut("fields").and_then(Value::as_object_mut);
    let Some(fields) = fields.filter(|fields| !fields.values().all(Value::is_string)) else {
        return plain;
    };
    fields.values_mut().filter(|field| !field.is_string()).for_each(|field| {
        *field = field.to_string().into();
    });
    plain || serde_json::from_value(input).is_ok_and(check_state)
}

/// Whether it is let in.
fn check_state(mut state: PluginState) -> bool {
    filter(&mut state);
    let reference: BundleRef = field(&state, "bundle").expect("it is always there");
    if !reference.refused.is_empty() {
        assert!(state.params.is_empty() && state.fields.len() == 1, "it changes something");
        return false;
    }
    assert_eq!(state.params.len(), LIMITS.len());
    let finite =
        |value: &ParamValue| !matches!(value, ParamValue::F32(value) if !value.is_finite());
    assert!(state.params.values().all(finite));
    let clips: SavedClips = field(&state, "clips").expect("they are always there");
    assert!(Clips::of(clips).is_some());
    let json = |state: &PluginState| serde_json::to_string(state).expect("it is JSON");
    let before = json(&state);
    filter(&mut state);
    assert_eq!(json(&state), before, "a state that was let in is let in as it is");
    true
}

fn field<T: serde::de::DeserializeOwned>(state: &PluginState, name: &str) -> Option<T> {
    serde_json::from_str(state.fields.get(name)?).ok()
}

/// A state with everything, and one of the first version, without clips.
///
/// # Panics
///
/// Panics if a state is no JSON.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut clips = Clips::default();
    let codes = unflatten_codes(&[1, 2, u32::MAX, 255], 2).expect("two frames");
    let clip = Clip {
        name: "Bell".to_owned(),
        codec: "0f".repeat(32),
        codes: codes.into(),
        rating: 3,
        locks: Locks::default(),
    };
    clips.set(3, Some(clip));
    let reference = BundleRef {
        digest: "0f".repeat(32),
        name: "Drums".to_owned(),
        ..BundleRef::file("/sounds/drums.distill".to_owned())
    };
    let levels = json!({
        "version": 1,
        "names": [{ "codec": "0f".repeat(32), "level": 2, "name": "Grit" }],
    });
    let mut full: PluginState =
        serde_json::from_value(json!({ "params": {}, "fields": {} })).expect("it is a state");
    filter(&mut full);
    let mut open = serde_json::to_value(&full).expect("it is JSON");
    open["fields"] = json!({ "bundle": reference, "clips": clips.saved(), "levels": levels });
    let old = json!({
        "params": { "gain": { "f32": 1.5 }, "seed": { "i32": 7 }, "topk": { "f32": 3.0 } },
        "fields": { "bundle": serde_json::to_string(&reference).expect("it is JSON") },
    });
    let saved = serde_json::to_vec(&full).expect("it is JSON");
    vec![open.to_string().into_bytes(), old.to_string().into_bytes(), saved]
}
