//! The file beside a take, which tells how it was made.

use distill_trainer::cli::Recipe;
use serde_json::json;

/// What is accepted can be written, and is accepted again.
pub fn check(bytes: &[u8]) -> bool {
    let Ok(recipe) = Recipe::of_bytes(bytes, &"input") else { return false };
    let text = serde_json::to_vec(&recipe).expect("it is JSON");
    assert!(Recipe::of_bytes(&text, &"input").is_ok());
    true
}

/// Files of a take, of one that goes on from a recording, and of one that makes a part of a clip anew.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let file = json!({ "path": "a.wav", "sha256": "0f" });
    let take = json!({
        "format": "distill-take", "version": 1, "program": "0.1.0",
        "bundle": { "name": "toy", "path": "toy.distill", "digest": "0f" },
        "seed": 1, "take": 0,
        "sampling": {
            "temperature": 1.0, "factors": [1.0, 1.0, 1.0], "top_k": 0, "top_p": 1.0, "levels": 0,
            "novelty": 0.0, "recall": 0.0, "once": false, "set": ["pitch=60"],
        },
        "prime": null, "infill": null,
        "sound": {
            "file": "toy.wav", "channels": 2, "samples": 48000, "seconds": 1.0, "format": "wav",
            "bit_depth": "24", "rate": 48000,
        },
    });
    let (mut primed, mut infilled) = (take.clone(), take.clone());
    primed["prime"] = file.clone();
    infilled["infill"] = json!({ "clip": file, "frames": [1, 2], "levels": [1, 2] });
    [take, primed, infilled].iter().map(|file| file.to_string().into_bytes()).collect()
}
