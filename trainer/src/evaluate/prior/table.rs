//! The evaluation of a prior for people.

use super::PriorEvaluation;
use super::copying::{CopyFigures, NOVELTIES, Shared};

/// What was measured, a line for each figure.
#[must_use]
pub fn text(evaluation: &PriorEvaluation) -> String {
    let PriorEvaluation { likelihood, steering, copying } = evaluation;
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
    for (novelty, shared) in copying.iter().flat_map(|c| NOVELTIES.iter().zip(&c.takes)) {
        let name = format!("novelty {novelty}");
        lines.push(shared_line(if *novelty > 0.0 { "" } else { "copies" }, &name, shared));
    }
    if let Some(CopyFigures { held_out, planted_found, .. }) = copying {
        lines.push(shared_line("", "held out", held_out));
        lines.extend(planted_found.map(|found| {
            format!("            of planted copies {:.0} % are found", 100.0 * found)
        }));
    }
    lines.join("\n")
}

fn shared_line(head: &str, name: &str, shared: &Shared) -> String {
    let Shared { alarms, copied, longest_s, distance } = shared;
    format!(
        "{head:12}{name:13} {:.1} % copied, longest {longest_s:.1} s, in {:.0} % of them; median \
         distance {distance:.4}",
        100.0 * copied,
        100.0 * alarms
    )
}
