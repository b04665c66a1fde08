//! The evaluation of a prior for people.

use super::PriorEvaluation;
use super::copying::{CopyFigures, NOVELTIES, Shared};
use super::distribution::{Apart, Frechet, Generation};

/// What was measured, a line for each figure.
#[must_use]
pub fn text(evaluation: &PriorEvaluation) -> String {
    let PriorEvaluation { likelihood, steering, copying, generation } = evaluation;
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
    lines.push(generation_text(generation));
    lines.join("\n")
}

/// How what a prior makes compares with recordings, a line for each figure.
#[must_use]
pub fn generation_text(generation: &Generation) -> String {
    let Generation { seconds, windows, mel, latent, silent, .. } = generation;
    let mut lines = Vec::new();
    let distances = [("mel bands", mel, " dB²"), ("latents", latent, "")];
    for (name, distance, unit) in distances {
        let head = if lines.is_empty() { "Fréchet" } else { "" };
        let told = distance.as_ref().map_or_else(
            || format!("too few sounds to compare: {windows} windows of {seconds:.0} s"),
            |Frechet { floor, generated, ceiling }| {
                format!(
                    "{generated:.2}{unit} generated; {floor:.2} trained, {ceiling:.1} noise \
                     ({windows} windows)"
                )
            },
        );
        lines.push(format!("{head:12}{name:13} {told}"));
    }
    let apart = [
        ("loudness", &generation.loudness_db, "dB"),
        ("onsets", &generation.onsets_per_s, "per s"),
    ];
    for (name, apart, unit) in apart {
        if let Some(Apart { floor, generated }) = apart {
            let told = format!("{generated:.2} {unit} generated; {floor:.2} trained");
            lines.push(format!(
                "{:12}{name:13} {told}",
                if name == "loudness" { "apart" } else { "" }
            ));
        }
    }
    lines.push(format!(
        "{:12}{:13} {:.0} % generated; {:.0} % trained, {:.0} % of what they are compared with",
        "",
        "silence",
        100.0 * silent.generated,
        100.0 * silent.trained,
        100.0 * silent.reference
    ));
    if let (Some(take), Some(corpus)) = (&generation.take, &generation.corpus) {
        lines.push(format!(
            "repeats     {:.2} after {:.1} s in a take of {:.0} s; {:.2} after {:.1} s in the recordings",
            take.similarity, take.lag_s, generation.long_s, corpus.similarity, corpus.lag_s
        ));
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
