//! What every parameter may be.

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

/// The range of a parameter, both ends included, and its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<T> {
    pub(super) low: T,
    pub(super) high: T,
    pub(super) default: T,
}

pub(super) const SEED: Span<i32> = Span { low: 0, high: 9999, default: 0 };
pub(super) const TEMPERATURE: Span<f32> = Span { low: 0.0, high: 2.0, default: 1.0 };
/// Factors of the temperature.
pub(super) const FACTOR: Span<f32> = Span { low: 0.0, high: 2.0, default: 1.0 };
pub(super) const TOP_K: Span<i32> = Span { low: 0, high: 256, default: 0 };
pub(super) const TOP_P: Span<f32> = Span { low: 0.0, high: 1.0, default: 1.0 };
/// Loudness, brightness and density; at the low end the prior is free.
pub(super) const ASKED: Span<f32> = Span { low: 0.0, high: 1.0, default: 0.0 };
/// Below this, nothing is asked for.
pub(super) const FREE: f32 = 0.005;
pub(super) const NOVELTY: Span<f32> = Span { low: 0.0, high: 1.0, default: 0.0 };
pub(super) const RECALL: Span<f32> = Span { low: 0.0, high: 1.0, default: 0.25 };
pub(super) const VOLUME_DB: Span<f32> = Span { low: -60.0, high: 12.0, default: 0.0 };
pub(super) const WIDTH: Span<f32> = Span { low: 0.0, high: 2.0, default: 1.0 };
pub(super) const ATTACK_MS: Span<f32> = Span { low: 0.0, high: 10_000.0, default: 0.0 };
pub(super) const DECAY_MS: Span<f32> = Span { low: 0.0, high: 10_000.0, default: 500.0 };
pub(super) const SUSTAIN: Span<f32> = Span { low: 0.0, high: 1.0, default: 1.0 };
pub(super) const RELEASE_MS: Span<f32> = Span { low: 0.0, high: 10_000.0, default: 300.0 };
pub(super) const TUNE: Span<f32> = Span { low: -12.0, high: 12.0, default: 0.0 };
pub(super) const ANEW: bool = false;
pub(super) const VELOCITY: bool = true;
pub(super) const LOCKED: bool = false;
pub(super) const VOICES: Span<i32> = Span { low: 1, high: 8, default: 8 };
/// Which of a few: see [`texts`](super::texts) for their names.
pub(super) const PLAYING: Span<i32> = Span { low: 0, high: 3, default: 0 };
pub(super) const TRIGGER: Span<i32> = Span { low: 0, high: 2, default: 0 };
pub(super) const VOICING: Span<i32> = Span { low: 0, high: 2, default: 0 };
pub(super) const HOLD: Span<i32> = Span { low: 0, high: 2, default: 0 };
pub(super) const KEYS: Span<i32> = Span { low: 0, high: 2, default: 1 };
/// Powers of two; at the low end, endless.
pub(super) const VARIATIONS: Span<i32> = Span { low: 0, high: 5, default: 0 };
/// Powers of two, in bars; at the low end of the first, never.
pub(super) const RESTART: Span<i32> = Span { low: 0, high: 5, default: 0 };
pub(super) const LOOP: Span<i32> = Span { low: 0, high: 3, default: 1 };
pub(super) const LEVELS: Span<i32> = Span { low: 0, high: 32, default: 0 };
pub(super) const CHOICE: Span<i32> = Span { low: 0, high: 127, default: 0 };

impl Span<f32> {
    /// `value` brought into the range; the default if it is no number. Hosts send such things.
    #[must_use]
    pub fn clamp(&self, value: f32) -> f32 {
        if value.is_nan() { self.default } else { value.clamp(self.low, self.high) }
    }

    pub(super) fn linear(&self, name: &str) -> FloatParam {
        let range = FloatRange::Linear { min: self.low, max: self.high };
        FloatParam::new(name, self.default, range)
            .with_value_to_string(formatters::v2s_f32_rounded(2))
    }

    /// A slider with most room for short times.
    pub(super) fn milliseconds(&self, name: &str) -> FloatParam {
        let factor = FloatRange::skew_factor(-2.0);
        let range = FloatRange::Skewed { min: self.low, max: self.high, factor };
        // Hosts know shares of ranges only: what they take for the default is to be the default to the
        // bit.
        let told = |default: f32, _| range.unnormalize(range.normalize(default));
        let default = (0..4).fold(self.default, told);
        FloatParam::new(name, default, range)
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

    pub(super) fn whole(&self, name: &str) -> IntParam {
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
pub const LIMITS: [(&str, Limit); 34] = [
    ("seed", Limit::Int(SEED)),
    ("temp", Limit::Float(TEMPERATURE)),
    ("struc", Limit::Float(FACTOR)),
    ("timbr", Limit::Float(FACTOR)),
    ("detai", Limit::Float(FACTOR)),
    ("topk", Limit::Int(TOP_K)),
    ("topp", Limit::Float(TOP_P)),
    ("novel", Limit::Float(NOVELTY)),
    ("recal", Limit::Float(RECALL)),
    ("loud", Limit::Float(ASKED)),
    ("brigh", Limit::Float(ASKED)),
    ("dens", Limit::Float(ASKED)),
    ("levels", Limit::Int(LEVELS)),
    ("play", Limit::Int(PLAYING)),
    ("restr", Limit::Int(RESTART)),
    ("hold", Limit::Int(HOLD)),
    ("lbars", Limit::Int(LOOP)),
    ("trig", Limit::Int(TRIGGER)),
    ("voicg", Limit::Int(VOICING)),
    ("anew", Limit::Bool(ANEW)),
    ("keys", Limit::Int(KEYS)),
    ("vari", Limit::Int(VARIATIONS)),
    ("veloc", Limit::Bool(VELOCITY)),
    ("locked", Limit::Bool(LOCKED)),
    ("tune", Limit::Float(TUNE)),
    ("voices", Limit::Int(VOICES)),
    ("attack", Limit::Float(ATTACK_MS)),
    ("decay", Limit::Float(DECAY_MS)),
    ("sustn", Limit::Float(SUSTAIN)),
    ("reles", Limit::Float(RELEASE_MS)),
    ("gain", Limit::Float(VOLUME_DB)),
    ("width", Limit::Float(WIDTH)),
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
