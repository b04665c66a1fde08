//! What a project saves, damaged in every way: it is read or it changes nothing.
//!
//! The test that is ignored, and run by `cargo xtask soak`, tries a million strange states.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use built::{enter, instrument};
use distill_shared::player::{TakeKey, uniform};
use distill_tests::host::{Instrument, Parameter, state};
use serde_json::{Value, json};

/// An instance whose settings are not those of a new one, and what it saves.
fn settled() -> (Instrument, Vec<u8>) {
    let mut instrument = instrument();
    for (name, text) in [("Seed", "7"), ("Volume", "-3.5"), ("Tune", "2.5"), ("Focus", "40")] {
        enter(&mut instrument, name, text);
    }
    // The reference to a bundle that is there is completed while the bundle loads.
    let lost = std::path::Path::new("/nowhere/lost.distill");
    let saved = state::with_bundle(&instrument.save().unwrap(), lost).unwrap();
    let mut json = state::open(&saved).unwrap();
    let codec = "0f".repeat(32);
    let clip = json!({
        "pad": 3, "name": "Bell", "codec": codec, "levels": 2, "codes": "0001000200ffffff",
    });
    let name = json!({ "codec": codec, "level": 1, "name": "Hiss" });
    let clips = json!({ "version": 1, "clips": [clip] });
    json["fields"]["clips"] = clips.to_string().into();
    json["fields"]["levels"] = json!({ "version": 1, "names": [name] }).to_string().into();
    instrument.load(&state::close(&json)).unwrap();
    let saved = instrument.save().unwrap();
    let text = String::from_utf8_lossy(&saved);
    assert!(text.contains("Bell") && text.contains("Hiss"), "{text}");
    (instrument, saved)
}

/// What an instance saves. What it knows of the factory bundle is left out: that is completed while
/// the bundle loads.
fn saved(instrument: &mut Instrument) -> Vec<u8> {
    let mut json = state::open(&instrument.save().unwrap()).unwrap();
    let reference = json["fields"]["bundle"].as_str().unwrap_or_default();
    let reference: Value = serde_json::from_str(reference).unwrap();
    if reference["path"] == "" {
        json["fields"]["bundle"] =
            json!({ "version": 1, "digest": "", "path": "", "name": "" }).to_string().into();
    }
    state::close(&json)
}

/// Loads `bytes`, and checks that this was done wholly or not at all, and what is saved after it.
/// Returns whether anything changed.
fn load(instrument: &mut Instrument, parameters: &[Parameter], bytes: &[u8]) -> bool {
    let before = saved(instrument);
    let loaded = instrument.load(bytes).is_ok();
    let after = saved(instrument);
    let text = String::from_utf8_lossy(bytes);
    assert!(loaded || after == before, "a state that is refused changes nothing: {text}");
    for parameter in parameters {
        let Parameter { name, min, max, .. } = parameter;
        let value = instrument.value(parameter).unwrap();
        assert!((*min..=*max).contains(&value), "{name} is {value}");
    }
    if after != before {
        assert!(instrument.load(&after).is_ok(), "what was saved can be loaded");
        assert_eq!(saved(instrument), after, "and is saved the same again");
        instrument.load(&before).unwrap();
        assert_eq!(saved(instrument), before);
    }
    after != before
}

fn assert_whole_or_not_at_all(states: impl IntoIterator<Item = Vec<u8>>) {
    let (mut instrument, _) = settled();
    let parameters = instrument.parameters();
    let mut changed = 0;
    for bytes in states {
        changed += usize::from(load(&mut instrument, &parameters, &bytes));
    }
    // Damage that no parser can see, such as another digit, is another state.
    assert!(changed > 0, "some damages make another state");
}

/// Every prefix of `state`, its length told right or not.
fn prefixes(state: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..state.len()).map(|end| state[..end].to_vec());
    cut.flat_map(|prefix| {
        let told = prefix.get(8..).map(|json| {
            let mut told = (json.len() as u64).to_le_bytes().to_vec();
            told.extend(json);
            told
        });
        std::iter::once(prefix).chain(told)
    })
}

/// `state` with each of its bits turned.
fn turned_bits(state: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..8 * state.len()).map(|bit| {
        let mut turned = state.to_vec();
        turned[bit / 8] ^= 1 << (bit % 8);
        turned
    })
}

#[test]
fn every_prefix_and_every_turned_bit_is_read_wholly_or_not_at_all() {
    let (_, saved) = settled();
    assert_whole_or_not_at_all(prefixes(&saved).chain(turned_bits(&saved)));
}

/// Values that a state should not have.
fn strange() -> Vec<Value> {
    let numbers = ["1e39", "-1e39", "1e999", "18446744073709551616", "-1", "0.5", "-0.0", "5e-324"];
    let mut strange: Vec<Value> =
        numbers.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    strange.extend([json!(null), json!(true), json!("NaN"), json!([]), json!({})]);
    strange.extend([
        json!({ "f32": null }),
        json!({ "f32": 1e39 }),
        json!({ "i32": 2_147_483_648_u64 }),
    ]);
    strange.extend([json!({ "f32": "x" }), json!({ "bool": 1 }), json!({ "f32": 0.5, "i32": 3 })]);
    strange.push(json!("x".repeat(10_000)));
    strange
}

/// The nth mutation of a state: some of its values are replaced, removed, doubled or added.
fn mutation(saved: &[u8], number: u64) -> Vec<u8> {
    let mut json = state::open(saved).unwrap();
    let mut drawn = 0;
    let mut below = |n: usize| {
        drawn += 1;
        let share = uniform(TakeKey { seed: 77, take: number }, drawn, 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (share * n as f32) as usize;
        index.min(n - 1)
    };
    let strange = strange();
    for _ in 0..=below(4) {
        let fields = ["params", "fields"][below(2)];
        let value = strange[below(strange.len())].clone();
        let Some(object) = json[fields].as_object_mut() else { continue };
        let name = object.keys().nth(below(object.len().max(1))).cloned().unwrap_or_default();
        match below(5) {
            0 => drop(object.remove(&name)),
            1 => drop(object.insert(format!("{name}x"), value)),
            2 => json[fields] = value,
            3 => json[["version", "params", "fields", "strange"][below(4)]] = value,
            _ => drop(object.insert(name, value)),
        }
    }
    state::close(&json)
}

#[test]
fn a_project_of_an_older_version_has_no_names_of_levels() {
    let (mut instrument, saved) = settled();
    let mut json = state::open(&saved).unwrap();
    json["fields"].as_object_mut().unwrap().remove("levels");
    instrument.load(&state::close(&json)).unwrap();
    let now = state::open(&instrument.save().unwrap()).unwrap();
    assert_eq!(now["fields"]["levels"], r#"{"version":1,"names":[]}"#);
    assert_eq!(now["fields"]["clips"], json["fields"]["clips"]);
}

#[test]
fn strange_values_are_read_wholly_or_not_at_all() {
    let (_, saved) = settled();
    assert_whole_or_not_at_all((0..2000).map(|number| mutation(&saved, number)));
}

#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn a_million_strange_states_are_read_wholly_or_not_at_all() {
    let (_, saved) = settled();
    assert_whole_or_not_at_all((0..1_000_000).map(|number| mutation(&saved, number)));
}

#[test]
fn what_automation_sends_that_is_no_number_is_not_saved() {
    let (mut instrument, saved) = settled();
    for parameter in instrument.parameters() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            instrument.send(&parameter, value).unwrap();
            let now = instrument.value(&parameter).unwrap();
            assert!((parameter.min..=parameter.max).contains(&now), "{}: {now}", parameter.name);
            let state = instrument.save().unwrap();
            let json = state::open(&state).unwrap();
            let numbers = json["params"].as_object().unwrap().values();
            assert!(numbers.flat_map(|v| v.as_object().unwrap().values()).all(|v| !v.is_null()));
            instrument.load(&state).unwrap();
            assert_eq!(instrument.save().unwrap(), state);
        }
        instrument.load(&saved).unwrap();
    }
}

#[test]
fn a_state_comes_in_pieces_as_small_as_a_host_likes() {
    let (_, state) = settled();
    for piece in [1, 17, 23] {
        let mut instrument = instrument();
        instrument.load_in_pieces(&state, piece).unwrap();
        assert_eq!(instrument.save().unwrap(), state);
    }
}
