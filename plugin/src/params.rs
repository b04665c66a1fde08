//! Parameters: what the host may see, automate and save.

use std::sync::Arc;

use distill_shared::model::conditioning::Controls;
use distill_shared::player::Sampling;
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

use crate::engine::{Settings, Trigger};
use crate::envelope::Shape;
use crate::instance::Selection;

/// Voices that may sound at once.
pub const MAX_VOICES: usize = 8;

/// The range of a parameter, both ends included, and its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<T> {
    low: T,
    high: T,
    default: T,
}

const SEED: Span<i32> = Span { low: 0, high: 9999, default: 0 };
const TEMPERATURE: Span<f32> = Span { low: 0.0, high: 2.0, default: 1.0 };
/// Factors of the temperature.
const FACTOR: Span<f32> = Span { low: 0.0, high: 2.0, default: 1.0 };
const TOP_K: Span<i32> = Span { low: 0, high: 256, default: 0 };
const TOP_P: Span<f32> = Span { low: 0.0, high: 1.0, default: 1.0 };
/// Loudness, brightness and density; at the low end the prior is free.
const ASKED: Span<f32> = Span { low: 0.0, high: 1.0, default: 0.0 };
/// Below this, nothing is asked for.
const FREE: f32 = 0.005;
const NOVELTY: Span<f32> = Span { low: 0.0, high: 1.0, default: 0.0 };
const VOLUME_DB: Span<f32> = Span { low: -60.0, high: 12.0, default: 0.0 };
const ATTACK_MS: Span<f32> = Span { low: 0.0, high: 10_000.0, default: 0.0 };
const DECAY_MS: Span<f32> = Span { low: 0.0, high: 10_000.0, default: 500.0 };
const SUSTAIN: Span<f32> = Span { low: 0.0, high: 1.0, default: 1.0 };
const RELEASE_MS: Span<f32> = Span { low: 0.0, high: 10_000.0, default: 300.0 };
const TUNE: Span<f32> = Span { low: -12.0, high: 12.0, default: 0.0 };
const ANEW: bool = false;
const KEYS: bool = true;
const VELOCITY: bool = true;
const LOCKED: bool = false;
const VOICES: Span<i32> = Span { low: 1, high: 8, default: 8 };
const TRIGGER: Span<i32> = Span { low: 0, high: 2, default: 0 };
/// Names of what keys do.
const TRIGGERS: [&str; 3] = ["Gate", "One shot", "Latch"];
const LEVELS: Span<i32> = Span { low: 0, high: 32, default: 0 };
const CHOICE: Span<i32> = Span { low: 0, high: 127, default: 0 };

impl Span<f32> {
    /// `value` brought into the range; the default if it is no number. Hosts send such things.
    #[must_use]
    pub fn clamp(&self, value: f32) -> f32 {
        if value.is_nan() { self.default } else { value.clamp(self.low, self.high) }
    }

    fn linear(&self, name: &str) -> FloatParam {
        let range = FloatRange::Linear { min: self.low, max: self.high };
        FloatParam::new(name, self.default, range)
            .with_value_to_string(formatters::v2s_f32_rounded(2))
    }

    /// A slider with most room for short times.
    fn milliseconds(&self, name: &str) -> FloatParam {
        let factor = FloatRange::skew_factor(-2.0);
        let range = FloatRange::Skewed { min: self.low, max: self.high, factor };
        FloatParam::new(name, self.default, range)
            .with_unit(" ms")
            .with_value_to_string(formatters::v2s_f32_rounded(1))
    }
}

impl Span<i32> {
    /// `value` brought into the range.
    #[must_use]
    pub fn clamp(&self, value: i32) -> i32 {
        value.clamp(self.low, self.high)
    }

    fn whole(&self, name: &str) -> IntParam {
        IntParam::new(name, self.default, IntRange::Linear { min: self.low, max: self.high })
    }
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// A number.
    Float(Span<f32>),
    /// A whole number.
    Int(Span<i32>),
    /// On or off, and its default.
    Bool(bool),
}

/// Every parameter by the name under which it is saved.
pub const LIMITS: [(&str, Limit); 26] = [
    ("seed", Limit::Int(SEED)),
    ("temp", Limit::Float(TEMPERATURE)),
    ("struc", Limit::Float(FACTOR)),
    ("timbr", Limit::Float(FACTOR)),
    ("detai", Limit::Float(FACTOR)),
    ("topk", Limit::Int(TOP_K)),
    ("topp", Limit::Float(TOP_P)),
    ("novel", Limit::Float(NOVELTY)),
    ("loud", Limit::Float(ASKED)),
    ("brigh", Limit::Float(ASKED)),
    ("dens", Limit::Float(ASKED)),
    ("levels", Limit::Int(LEVELS)),
    ("trig", Limit::Int(TRIGGER)),
    ("anew", Limit::Bool(ANEW)),
    ("keys", Limit::Bool(KEYS)),
    ("veloc", Limit::Bool(VELOCITY)),
    ("locked", Limit::Bool(LOCKED)),
    ("tune", Limit::Float(TUNE)),
    ("voices", Limit::Int(VOICES)),
    ("attack", Limit::Float(ATTACK_MS)),
    ("decay", Limit::Float(DECAY_MS)),
    ("sustn", Limit::Float(SUSTAIN)),
    ("reles", Limit::Float(RELEASE_MS)),
    ("gain", Limit::Float(VOLUME_DB)),
    ("wait", Limit::Bool(false)),
    ("choice", Limit::Int(CHOICE)),
];

impl Limit {
    /// `value` brought into the range; the default if it is missing, of another type or no number.
    #[must_use]
    pub fn apply(&self, value: Option<&ParamValue>) -> ParamValue {
        match (self, value) {
            (Self::Float(span), Some(ParamValue::F32(v))) => ParamValue::F32(span.clamp(*v)),
            (Self::Float(span), _) => ParamValue::F32(span.default),
            (Self::Int(span), Some(ParamValue::I32(v))) => ParamValue::I32(span.clamp(*v)),
            (Self::Int(span), _) => ParamValue::I32(span.default),
            (Self::Bool(_), Some(ParamValue::Bool(v))) => ParamValue::Bool(*v),
            (Self::Bool(default), _) => ParamValue::Bool(*default),
        }
    }
}

/// Every parameter of the instrument, in the groups that hosts show, and which bundle it plays.
///
/// All are read by the audio thread once per stretch of samples without changes.
#[derive(Params)]
pub struct DistillParams {
    /// Which bundle is played. Changed by the host when it loads state, and by the editor.
    #[persist = "bundle"]
    pub selection: Selection,
    /// How new sound is made.
    #[nested(group = "Prior")]
    pub prior: PriorParams,
    /// What notes do.
    #[nested(group = "Notes")]
    pub notes: NoteParams,
    /// How a note comes and goes.
    #[nested(group = "Envelope")]
    pub envelope: EnvelopeParams,
    /// What goes to the host.
    #[nested(group = "Output")]
    pub output: OutputParams,
}

/// How new sound is made. Creativity, focus and diversity are how the prior draws; see [`Sampling`].
#[derive(Debug, Params)]
pub struct PriorParams {
    /// Which of countless performances is played, 0 to 9999. Not automatable.
    #[id = "seed"]
    pub seed: IntParam,
    /// Temperature of the prior's choices, 0 (always the likeliest) to 2.
    #[id = "temp"]
    pub temperature: FloatParam,
    /// By how much that is multiplied for what happens when, 0 to 2.
    #[id = "struc"]
    pub structure: FloatParam,
    /// By how much it is multiplied for what it sounds like, 0 to 2.
    #[id = "timbr"]
    pub timbre: FloatParam,
    /// By how much it is multiplied for grain and noise, 0 to 2.
    #[id = "detai"]
    pub detail: FloatParam,
    /// The prior chooses among the k likeliest codes, 1 to 256; 0 means among all.
    #[id = "topk"]
    pub top_k: IntParam,
    /// The prior chooses among the likeliest codes that together have this probability, 0 to 1.
    #[id = "topp"]
    pub top_p: FloatParam,
    /// How much going on with a copy of a recording is avoided, 0 to 1.
    #[id = "novel"]
    pub novelty: FloatParam,
    /// How loud what follows shall be among the recordings, 0 (whatever comes) to 1.
    #[id = "loud"]
    pub loudness: FloatParam,
    /// How bright what follows shall be among the recordings, 0 (whatever comes) to 1.
    #[id = "brigh"]
    pub brightness: FloatParam,
    /// How fast sounds shall follow each other, 0 (whatever comes) to 1.
    #[id = "dens"]
    pub density: FloatParam,
    /// How many levels of codes are made, the coarse ones first: fewer cost less and sound duller. 0
    /// makes all. Not automatable.
    #[id = "levels"]
    pub levels: IntParam,
}

/// What notes do.
#[derive(Debug, Params)]
pub struct NoteParams {
    /// What the going down and coming up of a key does: see [`Trigger`]. Not automatable.
    #[id = "trig"]
    pub trigger: IntParam,
    /// Whether a note that is held begins anew where a recording would end; otherwise it fades.
    #[id = "anew"]
    pub anew: BoolParam,
    /// Whether keys are heard as pitches: asked for as far as the bundle can be, and for the rest
    /// played faster and slower. Not automatable.
    #[id = "keys"]
    pub keys: BoolParam,
    /// Whether takes are asked to begin as hard as their key was struck, as far as the bundle can be;
    /// otherwise velocity is level alone. Not automatable.
    #[id = "veloc"]
    pub velocity: BoolParam,
    /// Whether takes belong to the bars of the song, so that a bar sounds the same by itself as in the
    /// whole song; otherwise they are counted since playback began. Not automatable.
    #[id = "locked"]
    pub locked: BoolParam,
    /// By how many semitones all notes are raised, -12 to 12.
    #[id = "tune"]
    pub tune: FloatParam,
    /// Voices that may sound at once, 1 to 8. Not automatable.
    #[id = "voices"]
    pub voices: IntParam,
}

/// How a note comes and goes.
#[derive(Debug, Params)]
pub struct EnvelopeParams {
    /// Time from silence to full level in ms, 0 to 10 000.
    #[id = "attack"]
    pub attack: FloatParam,
    /// Time from full level to the sustain level in ms, 0 to 10 000.
    #[id = "decay"]
    pub decay: FloatParam,
    /// Level of a held key, 0 to 1.
    #[id = "sustn"]
    pub sustain: FloatParam,
    /// Time from full level to silence after the key is released in ms, 0 to 10 000.
    #[id = "reles"]
    pub release: FloatParam,
}

/// What goes to the host.
#[derive(Debug, Params)]
pub struct OutputParams {
    /// Volume in dB, -60 to 12.
    #[id = "gain"]
    pub gain: FloatParam,
    /// Whether the host waits for sound that is late, for hosts that render faster than real time
    /// without saying so. Not automatable.
    #[id = "wait"]
    pub always_wait: BoolParam,
    /// Counts changes of the bundle. Hosts notice changed parameters only, and would not know that
    /// the project has to be saved. Hidden; changed by the editor.
    #[id = "choice"]
    pub choice: IntParam,
}

impl DistillParams {
    /// Parameters at their defaults, and `selection`.
    #[must_use]
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            prior: PriorParams {
                seed: SEED.whole("Seed").non_automatable(),
                temperature: TEMPERATURE.linear("Creativity"),
                structure: FACTOR.linear("Structure"),
                timbre: FACTOR.linear("Timbre"),
                detail: FACTOR.linear("Detail"),
                top_k: TOP_K
                    .whole("Focus")
                    .with_value_to_string(Arc::new(show_count))
                    .with_string_to_value(Arc::new(read_count)),
                top_p: TOP_P.linear("Diversity"),
                novelty: NOVELTY.linear("Novelty"),
                loudness: asked("Loudness"),
                brightness: asked("Brightness"),
                density: asked("Density"),
                levels: LEVELS
                    .whole("Levels")
                    .non_automatable()
                    .with_value_to_string(Arc::new(show_count))
                    .with_string_to_value(Arc::new(read_count)),
            },
            notes: NoteParams {
                trigger: TRIGGER
                    .whole("Trigger")
                    .non_automatable()
                    .with_value_to_string(Arc::new(show_trigger))
                    .with_string_to_value(Arc::new(read_trigger)),
                anew: BoolParam::new("Begin anew", ANEW),
                keys: BoolParam::new("Follow keys", KEYS).non_automatable(),
                velocity: BoolParam::new("Follow velocity", VELOCITY).non_automatable(),
                locked: BoolParam::new("Lock to bars", LOCKED).non_automatable(),
                tune: TUNE.linear("Tune").with_unit(" st"),
                voices: VOICES.whole("Voices").non_automatable(),
            },
            envelope: EnvelopeParams {
                attack: ATTACK_MS.milliseconds("Attack"),
                decay: DECAY_MS.milliseconds("Decay"),
                sustain: SUSTAIN.linear("Sustain"),
                release: RELEASE_MS.milliseconds("Release"),
            },
            output: OutputParams {
                gain: VOLUME_DB
                    .linear("Volume")
                    .with_unit(" dB")
                    .with_value_to_string(formatters::v2s_f32_rounded(1)),
                always_wait: BoolParam::new("Always wait", false).non_automatable(),
                choice: CHOICE.whole("Bundle choice").hide(),
            },
        }
    }

    /// What the parameters say now, every number inside its range. Real-time safe.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let seconds = |span: &Span<f32>, param: &FloatParam| span.clamp(param.value()) / 1000.0;
        let whole = |span: &Span<i32>, param: &IntParam| span.clamp(param.value()).unsigned_abs();
        let Self { prior, notes, envelope, output, .. } = self;
        let trigger = match TRIGGER.clamp(notes.trigger.value()) {
            0 => Trigger::Gate,
            1 => Trigger::OneShot,
            _ => Trigger::Latch,
        };
        Settings {
            seed: whole(&SEED, &prior.seed).into(),
            sampling: Sampling {
                temperature: TEMPERATURE.clamp(prior.temperature.value()),
                factors: [&prior.structure, &prior.timbre, &prior.detail]
                    .map(|factor| FACTOR.clamp(factor.value())),
                top_k: whole(&TOP_K, &prior.top_k),
                top_p: TOP_P.clamp(prior.top_p.value()),
                novelty: NOVELTY.clamp(prior.novelty.value()),
                controls: Controls {
                    loudness: wanted(&prior.loudness),
                    brightness: wanted(&prior.brightness),
                    density: wanted(&prior.density),
                    ..Controls::default()
                },
                once: !notes.anew.value(),
                levels: whole(&LEVELS, &prior.levels),
            },
            gain: 10.0_f32.powf(VOLUME_DB.clamp(output.gain.value()) / 20.0),
            shape: Shape {
                attack: seconds(&ATTACK_MS, &envelope.attack),
                decay: seconds(&DECAY_MS, &envelope.decay),
                sustain: SUSTAIN.clamp(envelope.sustain.value()),
                release: seconds(&RELEASE_MS, &envelope.release),
                one_shot: trigger == Trigger::OneShot,
            },
            trigger,
            voices: whole(&VOICES, &notes.voices) as usize,
            keys: notes.keys.value(),
            velocity: notes.velocity.value(),
            locked: notes.locked.value(),
            tune: TUNE.clamp(notes.tune.value()),
            always_wait: output.always_wait.value(),
        }
    }
}

/// A parameter that asks the prior for something, or leaves it free.
fn asked(name: &str) -> FloatParam {
    ASKED
        .linear(name)
        .with_value_to_string(Arc::new(show_asked))
        .with_string_to_value(Arc::new(read_asked))
}

/// What a parameter asks for, if anything. Real-time safe.
fn wanted(param: &FloatParam) -> Option<f32> {
    Some(ASKED.clamp(param.value())).filter(|value| *value >= FREE)
}

fn show_asked(value: f32) -> String {
    if value < FREE { "Free".to_owned() } else { format!("{value:.2}") }
}

fn read_asked(text: &str) -> Option<f32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("free") { Some(0.0) } else { text.parse().ok() }
}

fn show_count(count: i32) -> String {
    if count == 0 { "All".to_owned() } else { count.to_string() }
}

fn show_trigger(trigger: i32) -> String {
    let name = usize::try_from(trigger).ok().and_then(|index| TRIGGERS.get(index));
    name.copied().unwrap_or_default().to_owned()
}

fn read_trigger(text: &str) -> Option<i32> {
    let index = TRIGGERS.iter().position(|name| name.eq_ignore_ascii_case(text.trim()))?;
    i32::try_from(index).ok()
}

fn read_count(text: &str) -> Option<i32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("all") { Some(0) } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_limits() {
        let params = DistillParams::new(Selection::new().0);
        let names: Vec<String> = params.param_map().into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(names, LIMITS.map(|(name, _)| name));
    }

    #[test]
    fn the_largest_number_of_voices_is_what_the_engine_has() {
        assert_eq!(usize::try_from(VOICES.high), Ok(MAX_VOICES));
    }

    #[test]
    fn at_the_low_end_nothing_is_asked_for() {
        let params = DistillParams::new(Selection::new().0);
        assert_eq!(params.settings().sampling.controls, Controls::default());
        let value = |normalized: f32| {
            let param = asked("Loudness");
            (
                param.normalized_value_to_string(normalized, true),
                param.string_to_normalized_value("0.5"),
            )
        };
        assert_eq!(value(0.0), ("Free".to_owned(), Some(0.5)));
        assert_eq!(value(0.25).0, "0.25");
        assert_eq!(asked("Density").string_to_normalized_value(" free "), Some(0.0));
    }

    #[test]
    fn what_is_no_number_becomes_the_default() {
        assert_eq!(TEMPERATURE.clamp(f32::NAN), 1.0);
        assert_eq!(TEMPERATURE.clamp(f32::INFINITY), 2.0);
        assert_eq!(SEED.clamp(i32::MIN), 0);
    }
}
