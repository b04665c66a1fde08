//! One checkpoint: what a run has come to, as a file.
//!
//! It is made like a bundle, a safetensors file with texts, so that reading one runs no code:
//!
//! | text | holds |
//! |---|---|
//! | `format`, `version` | `distill-checkpoint`, 1 |
//! | `terms` | [`Terms`]: what the run was begun with |
//! | `about` | stage, step, time spent, and how the codec was trained once it is |
//! | `state` | of the stage at hand, in its own words |
//! | `digest` | SHA-256 over everything |
//!
//! Numbers with a point are written as their bits (`f64 bits`). Tensors are those of the state, and
//! below `finished.` the codec once it is trained.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use distill_shared::bundle::{Archive, CodecMetadata, Tensor, TensorData, Tensors};
use distill_shared::model::config::CodecConfig;
use serde::{Deserialize, Serialize};

use super::terms::Terms;
use crate::pipeline::Trained;
use crate::train::{Stage, State};

/// The `format` of every checkpoint.
const FORMAT: &str = "distill-checkpoint";
/// The `version` that is written and read.
const VERSION: u32 = 2;
/// Before the names of the tensors of a codec that is trained.
const FINISHED: &str = "finished.";
/// Texts are padded to a multiple of so many bytes, so that checkpoints of a run do not grow: one takes
/// the room of another.
const PADDING: usize = 1 << 15;

/// A codec that is trained, while its prior is.
pub type FinishedCodec = Trained<CodecConfig, CodecMetadata>;

/// What a run has come to.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it was begun with.
    pub terms: Terms,
    /// Seconds that it has taken.
    pub spent_s: f64,
    /// The codec, once it is trained.
    pub codec: Option<FinishedCodec>,
    /// The stage at hand, if it has begun.
    pub state: Option<State>,
}

/// What `about` holds.
#[derive(Serialize, Deserialize)]
struct About {
    stage: Option<Stage>,
    step: Option<u32>,
    spent_s: f64,
    codec: Option<(CodecConfig, CodecMetadata)>,
}

impl Checkpoint {
    /// The file.
    ///
    /// # Errors
    ///
    /// Fails if a number is not finite, or if there are so many names that no header holds them.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        let Self { terms, spent_s, codec, state } = self;
        let (mut text, mut tensors) = (String::new(), Tensors::new());
        let (stage, step) = (state.as_ref().map(|s| s.stage), state.as_ref().map(|s| s.step));
        if let Some(state) = state {
            (text, tensors) = (state.text, state.tensors);
        }
        let codec = codec.map(|FinishedCodec { config, weights, metadata }| {
            let named = weights.into_iter().map(|(name, one)| (format!("{FINISHED}{name}"), one));
            tensors.extend(named);
            (config, metadata)
        });
        check_finite(&tensors)?;
        let about = serde_json::to_string(&About { stage, step, spent_s, codec })?;
        let terms = serde_json::to_string(&terms)?;
        let mut long = 0;
        for text in [&terms, &about, &text] {
            long += serde_json::to_string(text)?.len();
        }
        text.push_str(&" ".repeat(long.next_multiple_of(PADDING) - long));
        let texts = [
            ("format", FORMAT.to_owned()),
            ("version", VERSION.to_string()),
            ("terms", terms),
            ("about", about),
            ("state", text),
        ];
        let texts = texts.map(|(key, text)| (key.to_owned(), text)).into();
        Ok(Archive { texts, tensors }.to_bytes()?)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails if it is damaged, or of another version of this program.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let Archive { mut texts, mut tensors } = Archive::read(bytes)?;
        if texts.get("format").is_none_or(|format| format != FORMAT) {
            bail!("it is no checkpoint");
        }
        if texts.get("version").is_none_or(|version| *version != VERSION.to_string()) {
            bail!("it is of another version of distill");
        }
        check_finite(&tensors)?;
        let terms = serde_json::from_str(&take(&mut texts, "terms")?)?;
        let about = serde_json::from_str(&take(&mut texts, "about")?)?;
        let About { stage, step, spent_s, codec } = about;
        let finished = tensors.split_off(FINISHED);
        // Names after the last of that prefix belong to the state.
        let (finished, others): (Tensors, Tensors) =
            finished.into_iter().partition(|(name, _)| name.starts_with(FINISHED));
        tensors.extend(others);
        let codec = codec.map(|(config, metadata)| {
            let weights =
                finished.into_iter().map(|(name, one)| (name[FINISHED.len()..].into(), one));
            FinishedCodec { config, weights: weights.collect(), metadata }
        });
        let text = take(&mut texts, "state")?.trim_end().to_owned();
        let state = stage.zip(step).map(|(stage, step)| State { stage, step, text, tensors });
        Ok(Self { terms, spent_s, codec, state })
    }

    /// The stage that is at hand, and the updates made of it.
    #[must_use]
    pub fn place(&self) -> (Stage, u32) {
        match (&self.state, &self.codec) {
            (Some(state), _) => (state.stage, state.step),
            (None, Some(_)) => (Stage::Prior, 0),
            (None, None) => (Stage::Codec, 0),
        }
    }
}

fn take(texts: &mut BTreeMap<String, String>, key: &str) -> Result<String> {
    texts.remove(key).with_context(|| format!("it lacks {key}"))
}

/// Nothing that could not be played or trained is ever kept.
fn check_finite(tensors: &Tensors) -> Result<()> {
    let finite = |tensor: &Tensor| match tensor.data() {
        TensorData::F32(values) => values.iter().all(|value| value.is_finite()),
        TensorData::F16(values) => values.iter().all(|value| value.is_finite()),
        TensorData::U16(_) | TensorData::I8(_) | TensorData::U8(_) => true,
    };
    let wild = tensors.iter().find(|(_, tensor)| !finite(tensor));
    wild.map_or(Ok(()), |(name, _)| bail!("{name} holds a number that is not finite"))
}

#[cfg(test)]
mod tests {
    use distill_shared::bundle::{CurvePoint, TrainingSummary};

    use super::*;

    fn checkpoint() -> Checkpoint {
        let tensor = |value| Tensor::f32(&[1], vec![value]).unwrap();
        let point = CurvePoint { step: 3, train_loss: Some(0.1), validation_loss: Some(1.0 / 3.0) };
        let training = TrainingSummary { curve: vec![point], ..TrainingSummary::default() };
        Checkpoint {
            terms: Terms::default(),
            // All of its digits count: the wrong rounding gives its neighbour.
            spent_s: 1.555_555_551_555_555_7,
            codec: Some(FinishedCodec {
                config: crate::train::toy_codec(),
                weights: [("codec.a".to_owned(), tensor(1.0))].into(),
                metadata: CodecMetadata { training, ..CodecMetadata::default() },
            }),
            state: Some(State {
                stage: Stage::Prior,
                step: 7,
                text: "{}".to_owned(),
                tensors: [("best", 2.0), ("weights.x", 3.0)]
                    .map(|(name, value)| (name.to_owned(), tensor(value)))
                    .into(),
            }),
        }
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let bytes = checkpoint().into_bytes().unwrap();
        let read = Checkpoint::read(&bytes).unwrap();
        let (was, is) = (checkpoint(), read.clone());
        assert_eq!((was.state, was.spent_s, was.terms), (is.state, is.spent_s, is.terms));
        let (was, is) = (was.codec.unwrap(), is.codec.unwrap());
        assert_eq!((was.config, was.weights, was.metadata), (is.config, is.weights, is.metadata));
        assert_eq!(read.place(), (Stage::Prior, 7));
        assert_eq!(read.into_bytes().unwrap(), bytes);
    }

    /// What a checkpoint and a folder of prepared sound rely on, of which text of JSON is a part.
    #[test]
    fn every_number_comes_back_from_json_to_the_bit() {
        let mut bits = 0x0123_4567_89ab_cdef_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let was = (f64::from_bits(bits), f32::from_bits((bits >> 32) as u32));
            if !was.0.is_finite() || !was.1.is_finite() {
                continue;
            }
            let text = serde_json::to_string(&was).unwrap();
            let is: (f64, f32) = serde_json::from_str(&text).unwrap();
            assert_eq!((is.0.to_bits(), is.1.to_bits()), (bits, was.1.to_bits()), "{text}");
        }
        let zero: f64 = serde_json::from_str(&serde_json::to_string(&-0.0_f64).unwrap()).unwrap();
        assert!(zero == 0.0 && zero.is_sign_negative());
    }

    #[test]
    fn longer_texts_take_no_more_room() {
        let mut longer = checkpoint();
        longer.state.as_mut().unwrap().text = "[1]".repeat(5000);
        assert_eq!(longer.into_bytes().unwrap().len(), checkpoint().into_bytes().unwrap().len());
    }

    #[test]
    fn what_is_not_finite_is_neither_written_nor_read() {
        let mut wild = checkpoint();
        let tensors = &mut wild.state.as_mut().unwrap().tensors;
        tensors.insert("bad".to_owned(), Tensor::f32(&[1], vec![f32::NAN]).unwrap());
        let error = wild.into_bytes().unwrap_err().to_string();
        assert!(error.contains("bad holds a number that is not finite"), "{error}");
        let texts =
            [("format".to_owned(), FORMAT.to_owned()), ("version".into(), VERSION.to_string())];
        let tensors = [("bad".to_owned(), Tensor::f32(&[1], vec![f32::INFINITY]).unwrap())].into();
        let bytes = Archive { texts: texts.into(), tensors }.to_bytes().unwrap();
        assert!(Checkpoint::read(&bytes).unwrap_err().to_string().contains("not finite"));
        assert!(Checkpoint::read(&bytes[1..]).is_err());
    }
}
