//! The instrument's state, opened far enough to choose a bundle.
//!
//! A state is its own length, eight bytes with the lowest first, and that many bytes of JSON:
//! parameters under `params`, and under `fields` one text per thing that is no parameter.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Bytes of the length at the front.
const LENGTH: usize = 8;

/// The JSON in a state.
///
/// # Errors
///
/// Fails if the state is cut off or holds no JSON.
pub fn open(state: &[u8]) -> Result<Value> {
    let (length, json) = state.split_first_chunk::<LENGTH>().context("the state is cut off")?;
    ensure!(u64::from_le_bytes(*length) == json.len() as u64, "the state is cut off");
    serde_json::from_slice(json).context("the state holds no JSON")
}

/// The state with `json` in it; the inverse of [`open`].
#[must_use]
pub fn close(json: &Value) -> Vec<u8> {
    let json = json.to_string().into_bytes();
    let mut state = (json.len() as u64).to_le_bytes().to_vec();
    state.extend(json);
    state
}

/// `state`, but with the bundle at `path` chosen.
///
/// # Errors
///
/// Fails if the state cannot be opened or the path is no text.
pub fn with_bundle(state: &[u8], path: &Path) -> Result<Vec<u8>> {
    let path = path.to_str().with_context(|| format!("{} is no text", path.display()))?;
    let reference = json!({ "version": 1, "digest": "", "path": path, "name": "" });
    let mut json = open(state)?;
    json["fields"]["bundle"] = Value::String(reference.to_string());
    Ok(close(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choosing_a_bundle_leaves_the_parameters_alone() {
        let before = json!({ "params": { "seed": { "i32": 7 } }, "fields": { "bundle": "{}" } });
        let after = open(&with_bundle(&close(&before), Path::new("/a.distill")).unwrap()).unwrap();
        assert_eq!(after["params"], before["params"]);
        let reference = after["fields"]["bundle"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(reference).unwrap()["path"], "/a.distill");
    }

    #[test]
    fn a_state_that_is_cut_off_cannot_be_opened() {
        let state = close(&json!({}));
        assert!(open(&state[..4]).is_err() && open(&state[..state.len() - 1]).is_err());
    }
}
