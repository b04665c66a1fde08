//! A preset of the instrument, a file that musicians pass on.

use std::path::Path;

use distill_shared::preset::Preset;
use serde_json::json;

/// What is accepted can be written, and is the same when it is read again.
pub fn check(bytes: &[u8]) -> bool {
    let read = |bytes: &[u8]| Preset::of_bytes(bytes, Path::new("input")).ok();
    let Some(preset) = read(bytes) else { return false };
    let text = serde_json::to_vec(&preset).expect("it is JSON");
    assert_eq!(read(&text), Some(preset));
    true
}

/// A preset with controls of each kind, and one without any.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let preset = |controls: serde_json::Value| {
        json!({
            "version": 1, "name": "Glass",
            "bundle": { "digest": "0f".repeat(32), "name": "Drums" },
            "values": controls,
        })
    };
    let some = json!({ "gain": 1.5, "seed": 7, "mode": "stream", "limiter": true, "more": null });
    [preset(some), preset(json!({}))].iter().map(|one| one.to_string().into_bytes()).collect()
}
