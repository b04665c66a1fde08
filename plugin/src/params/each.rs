//! All parameters, one after the other.

use nice_plug::prelude::*;

use super::{DistillParams, LIMITS, Limit};

/// A parameter of any kind.
#[derive(Debug, Clone, Copy)]
pub enum AnyParam<'a> {
    /// A number.
    Float(&'a FloatParam),
    /// A whole number.
    Int(&'a IntParam),
    /// On or off.
    Bool(&'a BoolParam),
}

impl DistillParams {
    /// Every parameter but the hidden one: the name under which it is saved, what it may be, and itself.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Limit, AnyParam<'_>)> {
        use AnyParam::{Bool, Float, Int};
        let Self { prior, stream, notes, envelope, output, .. } = self;
        let all = [
            Int(&prior.seed),
            Float(&prior.temperature),
            Float(&prior.structure),
            Float(&prior.timbre),
            Float(&prior.detail),
            Int(&prior.top_k),
            Float(&prior.top_p),
            Float(&prior.novelty),
            Float(&prior.recall),
            Float(&prior.loudness),
            Float(&prior.brightness),
            Float(&prior.density),
            Int(&prior.levels),
            Int(&stream.playing),
            Int(&stream.restart),
            Int(&stream.hold),
            Int(&stream.loop_bars),
            Int(&notes.trigger),
            Int(&notes.voicing),
            Bool(&notes.anew),
            Int(&notes.keys),
            Int(&notes.variations),
            Bool(&notes.velocity),
            Bool(&notes.locked),
            Float(&notes.tune),
            Int(&notes.voices),
            Float(&envelope.attack),
            Float(&envelope.decay),
            Float(&envelope.sustain),
            Float(&envelope.release),
            Float(&output.gain),
            Float(&output.width),
            Bool(&output.always_wait),
        ];
        LIMITS.into_iter().zip(all).map(|((id, limit), param)| (id, limit, param))
    }
}

#[cfg(test)]
mod tests {
    use nice_plug::params::Params;

    use super::*;
    use crate::selection::Selection;

    #[test]
    fn every_parameter_stands_at_its_own_name() {
        let params = DistillParams::new(Selection::new().0);
        let each: Vec<_> = params
            .each()
            .map(|(id, _, param)| match param {
                AnyParam::Float(param) => (id.to_owned(), param.as_ptr()),
                AnyParam::Int(param) => (id.to_owned(), param.as_ptr()),
                AnyParam::Bool(param) => (id.to_owned(), param.as_ptr()),
            })
            .collect();
        let mut all: Vec<_> =
            params.param_map().into_iter().map(|(id, ptr, _)| (id, ptr)).collect();
        all.retain(|(id, _)| id != "choice");
        assert_eq!(each, all);
    }
}
