//! JSON whose numbers come back to the bit.
//!
//! Reading a decimal number may miss the last bit of what was written, which is enough to end a resumed
//! run in other weights. So numbers with a point are written as the bits of their 64-bit floats.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Result, Value, json};

/// The key of an object that stands for a number.
const BITS: &str = "f64 bits";

/// A value as JSON. Numbers that are not finite become `null`, as everywhere in JSON.
pub(crate) fn to_text(value: &impl Serialize) -> Result<String> {
    Ok(exact(serde_json::to_value(value)?).to_string())
}

/// The value that [`to_text`] wrote.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_value(plain(serde_json::from_str(text)?))
}

fn exact(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!({ BITS: number.as_f64().map(f64::to_bits) })
        }
        Value::Array(list) => list.into_iter().map(exact).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, exact(value))).collect(),
        other => other,
    }
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => match (map.len(), map.get(BITS).and_then(Value::as_u64)) {
            (1, Some(bits)) => Number::from_f64(f64::from_bits(bits)).into(),
            _ => map.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        },
        Value::Array(list) => list.into_iter().map(plain).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_float_comes_back_to_the_bit() {
        let mut bits = 0x0123_4567_89ab_cdef_u64;
        for _ in 0..2000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits(bits);
            if !value.is_finite() {
                continue;
            }
            let read: (Vec<f64>, i32) = from_text(&to_text(&(vec![value], -1)).unwrap()).unwrap();
            assert_eq!((read.0[0].to_bits(), read.1), (bits, -1));
        }
        let zero: f64 = from_text(&to_text(&-0.0).unwrap()).unwrap();
        assert!(zero == 0.0 && zero.is_sign_negative());
    }

    #[test]
    fn structures_keep_their_shape_and_what_is_not_finite_becomes_nothing() {
        let value: BTreeMap<String, (Option<f64>, Option<f32>, u64)> = [
            ("a".to_owned(), (Some(0.1), Some(0.1_f32), u64::MAX)),
            (BITS.to_owned(), (None, None, 0)),
        ]
        .into();
        let read: BTreeMap<_, _> = from_text(&to_text(&value).unwrap()).unwrap();
        assert_eq!(value, read);
        let nothing: Option<f64> = from_text(&to_text(&f64::INFINITY).unwrap()).unwrap();
        assert_eq!(nothing, None);
    }
}
