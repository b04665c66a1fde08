//! What a stage of training is done with: sizes and rates that suit the corpus, or as given.

use std::fmt;

use clap::Args;
use distill_shared::bundle::{Bundle, CorpusCodes};
use distill_shared::codes::unflatten_codes;
use distill_shared::model::config::{CodecConfig, ConfigError, ModelConfig, PriorConfig};
use serde::Serialize;

use crate::corpus::{Corpus, Recording};
use crate::sizes::{adaptive_codec_config, adaptive_prior_config};
use crate::stop::Usage;
use crate::train::{Base, Beginning};

/// Seconds of sound that are read with the codec at most, for the prior to learn from. Their codes take some
/// thirty megabytes, and reading them some minutes.
pub(crate) const MOST_READ_S: f64 = 3.0 * 3600.0;
/// Peak learning rate of the codec.
const CODEC_LEARNING_RATE: f64 = 1e-3;
/// The same of a codec that begins with what another has learned.
const TUNED_LEARNING_RATE: f64 = 5e-4;
/// Crops per update of the codec.
const CODEC_BATCH: usize = 8;
/// Peak learning rate of the prior.
const PRIOR_LEARNING_RATE: f64 = 2e-3;
/// Pieces per update of the prior.
const PRIOR_BATCH: usize = 4;

/// Settings of the codec that are not left to the corpus.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[command(next_help_heading = "Codec")]
pub struct CodecOverrides {
    /// Codebooks, each refining the one before
    #[arg(long, value_name = "N")]
    pub quantizers: Option<usize>,
    /// Entries of each codebook
    #[arg(long, value_name = "N")]
    pub codebook_size: Option<usize>,
    /// Channels of the codec's layers
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
    /// Channels of what the codebooks quantize
    #[arg(long, value_name = "N")]
    pub latent_dim: Option<usize>,
    /// Layers before the codebooks
    #[arg(long, value_name = "N")]
    pub encoder_blocks: Option<usize>,
    /// Layers after the codebooks
    #[arg(long, value_name = "N")]
    pub decoder_blocks: Option<usize>,
    /// Peak learning rate of the codec
    #[arg(long, value_name = "X")]
    pub codec_lr: Option<f64>,
    /// Excerpts per step of the codec
    #[arg(long, value_name = "N")]
    pub codec_batch: Option<usize>,
}

/// Settings of the prior that are not left to the corpus.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[command(next_help_heading = "Prior")]
pub struct PriorOverrides {
    /// Channels of the prior's layers
    #[arg(long, value_name = "N")]
    pub hidden_size: Option<usize>,
    /// Layers of the prior
    #[arg(long, value_name = "N")]
    pub layers: Option<usize>,
    /// Attention heads of each layer; they divide the hidden size
    #[arg(long, value_name = "N")]
    pub heads: Option<usize>,
    /// Frames that the prior looks back on
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Peak learning rate of the prior
    #[arg(long, value_name = "X", visible_alias = "lr")]
    pub prior_lr: Option<f64>,
    /// Excerpts per step of the prior
    #[arg(long, value_name = "N")]
    pub prior_batch: Option<usize>,
}

/// How a stage is trained, apart from how long.
#[derive(Debug, Clone)]
pub struct Settings<C> {
    /// Sizes.
    pub config: C,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Excerpts per update.
    pub batch: usize,
    /// What was chosen, for people to read.
    pub chosen: Chosen,
    /// What to begin with.
    pub beginning: Beginning,
}

/// Settings by name, with what was left to the program and what was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen(Vec<String>);

impl Chosen {
    /// Replaces `value` by what was given, if anything, and notes which it is.
    fn take<T: Copy + fmt::Display>(&mut self, name: &str, value: &mut T, given: Option<T>) {
        let origin = if given.is_some() { "override" } else { "auto" };
        *value = given.unwrap_or(*value);
        self.0.push(format!("{name} {value} ({origin})"));
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl CodecOverrides {
    /// Settings of a codec for `corpus`, which begins with layers of `base`, if it is given.
    ///
    /// # Errors
    ///
    /// Fails if a setting is out of range, or if layers of other sizes are asked for than the base has.
    pub fn settings(
        &self,
        corpus: &Corpus,
        base: Option<Base>,
    ) -> Result<Settings<CodecConfig>, Usage> {
        let mut config = adaptive_codec_config(corpus);
        let (mut chosen, mut learning_rate) = (Chosen::default(), CODEC_LEARNING_RATE);
        let mut beginning = Beginning::Nothing;
        if let Some(base) = base {
            config = base.sizes(config);
            self.check_layers(&config)?;
            if !base.suits(&config) {
                let rate = config.sample_rate;
                return Err(Usage(format!("the base is not for sound of {rate} Hz; leave it out")));
            }
            chosen.0.push("begins with the layers of a base".to_owned());
            (beginning, learning_rate) = (Beginning::Base(Box::new(base)), TUNED_LEARNING_RATE);
        }
        chosen.take("quantizers", &mut config.quantizers, self.quantizers);
        chosen.take("codebook size", &mut config.codebook_size, self.codebook_size);
        chosen.take("width", &mut config.width, self.width);
        chosen.take("latent dim", &mut config.latent_dim, self.latent_dim);
        chosen.take("encoder blocks", &mut config.encoder_blocks, self.encoder_blocks);
        chosen.take("decoder blocks", &mut config.decoder_blocks, self.decoder_blocks);
        let mut batch = CODEC_BATCH;
        chosen.take("learning rate", &mut learning_rate, self.codec_lr);
        chosen.take("batch", &mut batch, self.codec_batch);
        check(ModelConfig { codec: config.clone(), prior: None }.check(), learning_rate, batch)?;
        Ok(Settings { config, learning_rate, batch, chosen, beginning })
    }

    /// Checks that layers are not to have other sizes than those of `config`, to begin with.
    fn check_layers(&self, config: &CodecConfig) -> Result<(), Usage> {
        check_size("--width", self.width, config.width)?;
        check_size("--encoder-blocks", self.encoder_blocks, config.encoder_blocks)?;
        check_size("--decoder-blocks", self.decoder_blocks, config.decoder_blocks)
    }

    /// Settings to go on with the codec of `bundle`, whose sizes stay.
    ///
    /// # Errors
    ///
    /// Fails if another size is given, or if a setting is out of range.
    pub fn settings_from(&self, bundle: &Bundle) -> Result<Settings<CodecConfig>, Usage> {
        let config = bundle.config().codec.clone();
        self.check_layers(&config)?;
        for (option, given, own) in [
            ("--quantizers", self.quantizers, config.quantizers),
            ("--codebook-size", self.codebook_size, config.codebook_size),
            ("--latent-dim", self.latent_dim, config.latent_dim),
        ] {
            check_size(option, given, own)?;
        }
        let mut chosen = Chosen(vec![format!("begins with that of {}", bundle.card().name)]);
        let (mut learning_rate, mut batch) = (TUNED_LEARNING_RATE, CODEC_BATCH);
        chosen.take("learning rate", &mut learning_rate, self.codec_lr);
        chosen.take("batch", &mut batch, self.codec_batch);
        check(Ok(()), learning_rate, batch)?;
        let beginning = Beginning::Again(bundle.tensors().clone());
        Ok(Settings { config, learning_rate, batch, chosen, beginning })
    }
}

/// Checks that no other size is given than the codec to begin with has.
fn check_size(option: &str, given: Option<usize>, own: usize) -> Result<(), Usage> {
    match given.filter(|given| *given != own) {
        None => Ok(()),
        Some(given) => Err(Usage(format!(
            "{option} is {given}, and the codec to begin with has {own}: leave it out, or begin from \
             nothing"
        ))),
    }
}

impl PriorOverrides {
    /// Checks, before a codec is trained, that a prior can follow on it; `from` is the bundle to begin
    /// with, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if [`Self::settings`] would, or [`Self::settings_from`].
    pub fn check(
        &self,
        codec: &CodecConfig,
        corpus: &Corpus,
        from: Option<&Bundle>,
    ) -> Result<(), Usage> {
        // The prior hears no more than that, however long the corpus is.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let mut left = codec.frames_for((MOST_READ_S * f64::from(codec.sample_rate)) as usize);
        let silence = |recording: &Recording| {
            let frames = codec.frames_for(recording.samples()).min(left);
            left -= frames;
            let codes = unflatten_codes(&vec![0; frames * codec.quantizers], codec.quantizers);
            CorpusCodes { codes: codes.unwrap_or_default(), ..CorpusCodes::default() }
        };
        let codes: Vec<CorpusCodes> = corpus.recordings.iter().map(silence).collect();
        match from {
            None => self.settings(codec, &codes).map(drop),
            Some(bundle) => self.settings_from(bundle, &codes).map(drop),
        }
    }

    /// Settings of a prior for `codes`, written by `codec`.
    ///
    /// # Errors
    ///
    /// Fails if a setting is out of range.
    pub fn settings(
        &self,
        codec: &CodecConfig,
        codes: &[CorpusCodes],
    ) -> Result<Settings<PriorConfig>, Usage> {
        let mut chosen = Chosen::default();
        let mut config = adaptive_prior_config(codec, codes);
        chosen.take("hidden size", &mut config.hidden_size, self.hidden_size);
        chosen.take("layers", &mut config.layers, self.layers);
        chosen.take("heads", &mut config.heads, self.heads);
        chosen.take("window", &mut config.window, self.window);
        let (mut learning_rate, mut batch) = (PRIOR_LEARNING_RATE, PRIOR_BATCH);
        chosen.take("learning rate", &mut learning_rate, self.prior_lr);
        chosen.take("batch", &mut batch, self.prior_batch);
        let whole = ModelConfig { codec: codec.clone(), prior: Some(config.clone()) };
        check(whole.check(), learning_rate, batch)?;
        let beginning = Beginning::Nothing;
        Ok(Settings { config, learning_rate, batch, chosen, beginning })
    }

    /// Settings of a prior for `codes`, written by a codec that began as that of `bundle`. It begins as
    /// the prior of that does, if it has one and no other size is given.
    ///
    /// # Errors
    ///
    /// Fails if a setting is out of range.
    pub fn settings_from(
        &self,
        bundle: &Bundle,
        codes: &[CorpusCodes],
    ) -> Result<Settings<PriorConfig>, Usage> {
        let own = |prior: &PriorConfig| Self {
            hidden_size: self.hidden_size.or(Some(prior.hidden_size)),
            layers: self.layers.or(Some(prior.layers)),
            heads: self.heads.or(Some(prior.heads)),
            window: self.window.or(Some(prior.window)),
            ..self.clone()
        };
        let codec = &bundle.config().codec;
        let Some(prior) = bundle.prior_config() else { return self.settings(codec, codes) };
        let mut settings = own(prior).settings(codec, codes)?;
        let sizes = |config: &PriorConfig| (config.hidden_size, config.layers, config.heads);
        if sizes(&settings.config) == sizes(prior) {
            settings.config = PriorConfig {
                depth_size: prior.depth_size,
                depth_layers: prior.depth_layers,
                depth_heads: prior.depth_heads,
                ..settings.config
            };
            settings.chosen.0.insert(0, format!("begins with that of {}", bundle.card().name));
            settings.beginning = Beginning::Again(bundle.tensors().clone());
        }
        Ok(settings)
    }
}

/// Checks what is not a size.
fn check(sizes: Result<(), ConfigError>, learning_rate: f64, batch: usize) -> Result<(), Usage> {
    sizes.map_err(|error| Usage(error.to_string()))?;
    if !(1e-7..=1.0).contains(&learning_rate) {
        return Err(Usage(format!("the learning rate is {learning_rate}, outside 1e-7 to 1")));
    }
    if !(1..=1024).contains(&batch) {
        return Err(Usage(format!("the batch is {batch}, outside 1 to 1024")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Sound;

    fn corpus() -> Corpus {
        let (name, class) = ("a.wav".to_owned(), String::new());
        let sound = Sound::new(vec![vec![0.5; 96_000]]);
        Corpus::new(vec![Recording { name, class, sound, held_out: false }], 0).unwrap()
    }

    #[test]
    fn what_is_given_overrides_what_is_chosen_and_both_are_told_apart() {
        let overrides = CodecOverrides { width: Some(64), ..CodecOverrides::default() };
        let settings = overrides.settings(&corpus(), None).unwrap();
        assert_eq!(settings.config.width, 64);
        let text = settings.chosen.to_string();
        assert!(
            text.contains("width 64 (override)") && text.contains("quantizers 16 (auto)"),
            "{text}"
        );
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let corpus = corpus();
        let codec = CodecOverrides { quantizers: Some(99), ..CodecOverrides::default() };
        assert!(
            codec.settings(&corpus, None).unwrap_err().to_string().contains("quantizers is 99")
        );
        let codec = CodecOverrides { codec_lr: Some(f64::NAN), ..CodecOverrides::default() };
        assert!(codec.settings(&corpus, None).unwrap_err().to_string().contains("learning rate"));
        let codec = CodecOverrides::default().settings(&corpus, None).unwrap().config;
        let prior = PriorOverrides { heads: Some(3), ..PriorOverrides::default() };
        assert!(
            prior
                .check(&codec, &corpus, None)
                .unwrap_err()
                .to_string()
                .contains("3 attention heads")
        );
        let prior = PriorOverrides { prior_batch: Some(0), ..PriorOverrides::default() };
        assert!(prior.settings(&codec, &[]).unwrap_err().to_string().contains("batch is 0"));
    }
}
