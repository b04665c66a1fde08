//! `distill inspect`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use distill_shared::bundle::{
    Bundle, CorpusCodes, CorpusSummary, Distances, EvaluationSummary, Figures, GenerationSummary,
    PriorEvaluationSummary, TrainingSummary,
};
use distill_shared::model::config::{CodecConfig, PriorConfig};
use distill_shared::plain::plain;
use serde_json::{Value, json};

use super::exit::Ending;
use super::output::{print, print_json};
use crate::descriptors::words::offered;
use crate::health;
use crate::progress::clock;

/// Tells what is in a bundle
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Bundle to look into
    bundle: PathBuf,
    /// Print one JSON object, with every recording and every tensor
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let bundle = Bundle::open(&self.bundle)?;
        if self.json {
            print_json(&object(&self.bundle, &bundle))?;
        } else {
            print(text(&self.bundle, &bundle).trim_end())?;
        }
        Ok(Ending::Done)
    }
}

/// Everything in the bundle but the numbers of its tensors.
fn object(path: &Path, bundle: &Bundle) -> Value {
    let recording = |one: &CorpusCodes| {
        let CorpusCodes { name, class, held_out, codes } = one;
        json!({"name": name, "class": class, "held_out": held_out, "frames": codes.frames()})
    };
    let recordings: Vec<Value> = bundle.corpus_codes().iter().map(recording).collect();
    let tensors = bundle.tensors().iter().map(|(name, tensor)| {
        json!({"name": name, "type": tensor.data().dtype().name(), "shape": tensor.shape()})
    });
    json!({
        "bundle": path.to_string_lossy(),
        "digest": bundle.digest(),
        "has_prior": bundle.has_prior(),
        "parameters": bundle.config().parameters(),
        "config": bundle.config(),
        "card": bundle.card(),
        "preview_seconds": preview_seconds(bundle),
        "recordings": recordings,
        "tensors": tensors.collect::<Vec<_>>(),
    })
}

/// What is in the bundle, for people.
fn text(path: &Path, bundle: &Bundle) -> String {
    let (card, config) = (bundle.card(), bundle.config());
    let mut page = Page(String::new());
    page.line("bundle", &path.to_string_lossy());
    page.line("name", &card.name);
    page.line("made", &card.created);
    page.line("by", &card.software);
    page.line("licence", &card.licence);
    page.line("provenance", &card.provenance);
    page.line("digest", bundle.digest());
    page.gap();
    page.line("recordings", &corpus_text(&card.corpus));
    page.line("as codes", &codes_text(&bundle.corpus_codes(), &config.codec));
    if let Some(seconds) = preview_seconds(bundle) {
        page.line("preview", &format!("{seconds:.1} s"));
    }
    page.gap();
    page.line("codec", &codec_text(&config.codec, bundle));
    page.training(&card.codec.training, "");
    for (i, level) in card.codec.levels.iter().enumerate() {
        let used = format!("{:3.0} % used, perplexity {:.1}", 100.0 * level.used, level.perplexity);
        page.line(&format!("level {}", i + 1), &used);
    }
    if !card.codec.levels.is_empty() {
        page.line("codes", &health::sentence(&card.codec.levels));
    }
    if let Some(evaluation) = &card.evaluation {
        page.evaluation(evaluation);
    }
    page.gap();
    let Some(prior) = &config.prior else {
        page.line("prior", "none; `distill train-prior` adds one, so that it can make new sound");
        return page.0;
    };
    page.line("prior", &prior_text(prior, bundle));
    if let Some(metadata) = bundle.prior_metadata() {
        page.training(&metadata.training, " nats per code");
        let perplexity = metadata.perplexity.iter().flatten().map(|value| format!("{value:.1}"));
        page.line("perplexity", &perplexity.collect::<Vec<_>>().join(", "));
        page.line("asked for", &offered_text(bundle));
        for why in &metadata.not_offered {
            page.line("not for", why);
        }
    }
    if let Some(evaluation) = &card.prior_evaluation {
        page.prior_evaluation(evaluation);
    }
    page.0
}

/// Lines of a label and what it is.
struct Page(String);

impl Page {
    /// Characters of a text that are shown; the JSON has all.
    const SHOWN: usize = 200;

    /// Adds a line, unless there is nothing to say.
    fn line(&mut self, label: &str, text: &str) {
        let text = harmless(text);
        if !text.is_empty() {
            writeln!(self.0, "{label:<11} {text}").expect("a String takes every text");
        }
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }

    /// Adds how a stage was trained. `unit` is that of its losses.
    fn training(&mut self, training: &TrainingSummary, unit: &str) {
        let TrainingSummary { steps, seconds, seed, learning_rate, device, .. } = training;
        if *steps == 0 {
            return;
        }
        let device = if device.is_empty() { String::new() } else { format!(" on {device}") };
        let stopped = if training.stopped_early { ", stopped early" } else { "" };
        let took = clock(*seconds);
        self.line(
            "trained",
            &format!(
                "{steps} steps in {took}{device}, seed {seed}, learning rate {learning_rate}{stopped}"
            ),
        );
        if let Some(loss) = training.best_validation_loss {
            self.line("best loss", &format!("{loss:.4}{unit} on held-out recordings"));
        }
    }

    /// Adds what was measured of the codec.
    fn evaluation(&mut self, evaluation: &EvaluationSummary) {
        let EvaluationSummary { files, seconds, folder, date, .. } = evaluation;
        self.line(
            "measured",
            &format!("on {files} files, {} of {folder}, {date}", clock(*seconds)),
        );
        self.line("codec", &figures_text(&evaluation.codec.mean));
        if let Some(baseline) = &evaluation.griffin_lim {
            self.line("Griffin-Lim", &figures_text(&baseline.mean));
        }
    }

    /// Adds what was measured of the prior.
    fn prior_evaluation(&mut self, evaluation: &PriorEvaluationSummary) {
        let Some(generation) = &evaluation.generation else { return };
        let GenerationSummary { date, folder, windows, .. } = generation;
        let of = if folder.is_empty() { "what training held out" } else { folder };
        self.line("measured", &format!("against {windows} windows of {of}, {date}"));
        let of = |distances: &Option<Distances>, unit| {
            distances.as_ref().map_or_else(String::new, |found| distances_text(found, unit))
        };
        self.line("mel bands", &of(&generation.mel, " dB²"));
        self.line("latents", &of(&generation.latent, ""));
        if let (Some(take), Some(corpus)) = (generation.take_repeats, generation.corpus_repeats) {
            self.line("repeats", &format!("{take:.2} in a take, {corpus:.2} in its recordings"));
        }
    }
}

/// Distances from held-out recordings, with those to judge them by.
fn distances_text(distances: &Distances, unit: &str) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    format!(
        "{}{unit}; {} of recordings it was trained on, {} of noise",
        number(distances.generated),
        number(distances.floor),
        number(distances.ceiling)
    )
}

/// The figures to rank by, as means over recordings.
fn figures_text(mean: &Figures) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    format!(
        "LSD-tf {} dB, log-mel-tf {} dB, spectral convergence {}, SI-SDR {} dB",
        number(mean.lsd_tf_db),
        number(mean.logmel_tf_db),
        number(mean.sc),
        number(mean.si_sdr_db),
    )
}

/// A text of a file without what could upset a terminal: on one line, not too long, and with
/// characters that control or reorder written out.
fn harmless(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut shown: String = line.chars().take(Page::SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    plain(&shown)
}

fn corpus_text(corpus: &CorpusSummary) -> String {
    if corpus.files == 0 {
        return String::new();
    }
    let channels = if corpus.channels == 1 { "mono" } else { "stereo" };
    let mut text = format!(
        "{} files, {} in {channels}, {} held out to measure with",
        corpus.files,
        clock(corpus.seconds),
        match corpus.held_out_files {
            0 => "the end of one".to_owned(),
            files => files.to_string(),
        }
    );
    if !corpus.classes.is_empty() {
        text += &format!("; folders: {}", corpus.classes.join(", "));
    }
    text
}

fn codes_text(recordings: &[CorpusCodes], codec: &CodecConfig) -> String {
    if recordings.is_empty() {
        return "left out".to_owned();
    }
    let frames: usize = recordings.iter().map(|one| one.codes.frames()).sum();
    let seconds = frames as f64 / codec.frame_rate();
    format!("{} recordings, {frames} frames ({})", recordings.len(), clock(seconds))
}

fn codec_text(codec: &CodecConfig, bundle: &Bundle) -> String {
    let channels = if codec.channels == 1 { "mono" } else { "stereo" };
    format!(
        "{} Hz {channels}, {:.2} frames per second, {} levels of {} entries, {} weights",
        codec.sample_rate,
        codec.frame_rate(),
        codec.quantizers,
        codec.codebook_size,
        weights(bundle, "codec."),
    )
}

fn prior_text(prior: &PriorConfig, bundle: &Bundle) -> String {
    let seconds = prior.window as f64 / bundle.config().codec.frame_rate();
    format!(
        "{} layers of {} channels, then {} of {}; looks back {seconds:.1} s; {} weights",
        prior.layers,
        prior.hidden_size,
        prior.depth_layers,
        prior.depth_size,
        weights(bundle, "prior."),
    )
}

/// What the prior can be asked for, with its range in the corpus.
fn offered_text(bundle: &Bundle) -> String {
    let Some(prior) = bundle.prior_config() else { return String::new() };
    offered(&prior.conditioning, bundle.config().codec.frame_rate()).join(", ")
}

/// Number of weights whose names begin with `start`.
fn weights(bundle: &Bundle, start: &str) -> String {
    let tensors = bundle.tensors().iter().filter(|(name, _)| name.starts_with(start));
    let count: usize = tensors.map(|(_, tensor)| tensor.data().len()).sum();
    if count < 100_000 { count.to_string() } else { format!("{:.1} M", count as f64 / 1e6) }
}

/// Length of the preview.
fn preview_seconds(bundle: &Bundle) -> Option<f64> {
    let samples = bundle.preview()?.first()?.len();
    Some(samples as f64 / f64::from(bundle.config().codec.sample_rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_command_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(harmless("rain\u{202e}vaw"), "rain\\u{202e}vaw");
        assert_eq!(harmless("two\r\nlines  "), "two lines");
        assert_eq!(harmless(&"x".repeat(1000)).chars().count(), Page::SHOWN + 1);
        assert_eq!(harmless("Grüße 雨"), "Grüße 雨");
    }
}
