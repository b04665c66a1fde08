//! What a run that trained leaves behind.

use std::path::Path;

use anyhow::Result;
use distill_shared::bundle::Bundle;
use serde_json::json;

use super::output::{print, print_json};
use crate::pipeline::Session;

/// Prints the result: the path of the bundle, or one JSON object.
pub(super) fn print_result(
    path: &Path,
    bundle: &Bundle,
    session: &Session,
    is_full: bool,
    json: bool,
) -> Result<()> {
    let (card, config) = (bundle.card(), bundle.config());
    if !session.ranks.is_first() {
        // The first one tells.
    } else if json {
        let prior = config.prior.as_ref().map(|config| {
            let metadata = bundle.prior_metadata();
            json!({
                "config": config,
                "steps": metadata.map(|metadata| metadata.training.steps),
                "seconds": metadata.map(|metadata| metadata.training.seconds),
                "best_validation_loss":
                    metadata.and_then(|metadata| metadata.training.best_validation_loss),
                "perplexity": metadata.map(|metadata| &metadata.perplexity),
            })
        });
        let codec = &card.codec.training;
        print_json(&json!({
            "bundle": path.display().to_string(),
            "digest": bundle.digest(),
            "name": card.name,
            "corpus": card.corpus,
            "codec": {
                "config": config.codec,
                "steps": codec.steps,
                "seconds": codec.seconds,
                "best_validation_loss": codec.best_validation_loss,
                "levels": card.codec.levels,
            },
            "prior": prior,
            "stopped": session.is_stopped(),
            "diverged": session.diverged.is_some(),
            "disk_full": is_full,
        }))?;
    } else {
        print(&path.display().to_string())?;
    }
    Ok(())
}
