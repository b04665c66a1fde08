//! The evaluation of a prior for people.

use super::PriorEvaluation;

/// What was measured, a line for each figure.
#[must_use]
pub fn text(evaluation: &PriorEvaluation) -> String {
    let PriorEvaluation { likelihood, steering } = evaluation;
    let mut lines = Vec::new();
    let saved = 100.0 * (1.0 - likelihood.held_out / likelihood.bigram.max(1e-9));
    lines.push(format!(
        "likelihood  {:.0} bits per second on held-out recordings, {:.0} on those it was trained on",
        likelihood.held_out, likelihood.trained
    ));
    lines.push(format!(
        "            tables of codes need {:.0}, of pairs of codes {:.0}: it saves {saved:.0} % of these",
        likelihood.unigram, likelihood.bigram
    ));
    for (name, correlation) in &steering.ranks {
        lines.push(format!("follows     {name}: correlation {correlation:.2}"));
    }
    if let Some(pitch) = &steering.pitch {
        lines.push(format!(
            "follows     pitch: {:.0} % of {} notes in tune, {:.0} % of their pitched frames",
            100.0 * pitch.notes_in_tune,
            pitch.notes,
            100.0 * pitch.frames_in_tune
        ));
    }
    lines.join("\n")
}
