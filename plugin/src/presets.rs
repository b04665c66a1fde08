//! Presets: all settings of an instance as a [`Preset`], and back again, through the host.

use distill_shared::bundle::is_digest;
use distill_shared::preset::{self, MadeFor, Preset, VERSION};
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;
use serde_json::Value;

use crate::params::{AnyParam, DistillParams, Limit};

/// Neighbours of a number that are tried, on either side.
const NEIGHBOURS: u32 = 64;

/// The settings of an instance as they are, as a preset of that name.
#[must_use]
pub fn preset_of(params: &DistillParams, name: &str) -> Preset {
    let reference = params.selection.instance().texts().reference;
    let value = |(id, limit, param): (&str, Limit, AnyParam<'_>)| {
        let now = match param {
            AnyParam::Float(param) => ParamValue::F32(param.unmodulated_plain_value()),
            AnyParam::Int(param) => ParamValue::I32(param.unmodulated_plain_value()),
            AnyParam::Bool(param) => ParamValue::Bool(param.unmodulated_plain_value()),
        };
        let value = match limit.apply(Some(&now)) {
            // All digits, so that it is read to the bit.
            ParamValue::F32(value) => Value::from(f64::from(value)),
            ParamValue::I32(value) => Value::from(value),
            ParamValue::Bool(value) => Value::from(value),
            ParamValue::String(value) => Value::from(value),
        };
        (id.to_owned(), value)
    };
    Preset {
        version: VERSION,
        name: name.trim().to_owned(),
        bundle: MadeFor { digest: reference.digest, name: plain(&reference.name) },
        values: params.each().map(value).collect(),
    }
}

/// A name from a file or a project, as a preset may hold it.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(preset::MAX_NAME).collect()
}

/// Sets everything as `preset` says, as if by hand: the host sees every change, and can undo it. What
/// it does not tell comes to what a new instance has. Returns what is to be said about it.
///
/// # Errors
///
/// Fails, and has changed nothing, with a sentence for the editor if a value is of another kind.
pub fn load(
    params: &DistillParams,
    setter: &ParamSetter<'_>,
    preset: &Preset,
) -> Result<String, String> {
    let wanted: Result<Vec<_>, String> = params
        .each()
        .map(|(id, limit, param)| match preset.values.get(id) {
            Some(value) => Ok((param, told(id, limit, value)?)),
            None => Ok((param, default_of(param))),
        })
        .collect();
    for (param, value) in wanted? {
        set(param, value, setter);
    }
    let name = &preset.name;
    let plays = params.selection.instance().texts().reference;
    let MadeFor { digest, name: bundle } = &preset.bundle;
    Ok(if is_digest(digest) && *digest != plays.digest {
        format!(
            "“{name}” is loaded. It was made for the bundle “{bundle}”, and may sound unlike it."
        )
    } else {
        format!("“{name}” is loaded.")
    })
}

/// What a parameter is in a new instance.
fn default_of(param: AnyParam<'_>) -> ParamValue {
    match param {
        AnyParam::Float(param) => ParamValue::F32(param.default_plain_value()),
        AnyParam::Int(param) => ParamValue::I32(param.default_plain_value()),
        AnyParam::Bool(param) => ParamValue::Bool(param.default_plain_value()),
    }
}

/// What a value of a preset means for the parameter `id`.
fn told(id: &str, limit: Limit, value: &Value) -> Result<ParamValue, String> {
    let refused = |what| format!("The preset was not loaded: its value of “{id}” is {what}.");
    let number = || value.as_f64().ok_or_else(|| refused("no number"));
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and then comes into its range")]
    let told = match limit {
        Limit::Float(_) => ParamValue::F32(number()? as f32),
        Limit::Int(_) => ParamValue::I32(number()?.round() as i32),
        Limit::Bool(_) => {
            ParamValue::Bool(value.as_bool().ok_or_else(|| refused("neither true nor false"))?)
        }
    };
    Ok(limit.apply(Some(&told)))
}

/// Changes a parameter through the host, unless it has that value.
fn set(param: AnyParam<'_>, value: ParamValue, setter: &ParamSetter<'_>) {
    match (param, value) {
        (AnyParam::Float(param), ParamValue::F32(value))
            if param.unmodulated_plain_value() != value =>
        {
            set_share(param, share_of(param, value), setter);
        }
        (AnyParam::Int(param), ParamValue::I32(value))
            if param.unmodulated_plain_value() != value =>
        {
            set_share(param, param.preview_normalized(value), setter);
        }
        (AnyParam::Bool(param), ParamValue::Bool(value))
            if param.unmodulated_plain_value() != value =>
        {
            set_share(param, param.preview_normalized(value), setter);
        }
        _ => {}
    }
}

fn set_share<P: Param>(param: &P, share: f32, setter: &ParamSetter<'_>) {
    setter.begin_set_parameter(param);
    setter.set_parameter_normalized(param, share);
    setter.end_set_parameter(param);
}

/// The share of its range at which a parameter has `value`. Hosts know shares only, and not each share
/// comes back from the value that it makes: of those beside it one does.
fn share_of(param: &FloatParam, value: f32) -> f32 {
    let near = param.preview_normalized(value);
    let beside = |n: u32| [near.to_bits().saturating_sub(n), near.to_bits().saturating_add(n)];
    let mut shares = (0..=NEIGHBOURS).flat_map(beside).map(f32::from_bits);
    let is_it = |share: &f32| *share <= 1.0 && param.preview_plain(*share) == value;
    shares.find(is_it).unwrap_or(near)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pretend_host::PretendHost;
    use crate::selection::Selection;

    fn params() -> Arc<DistillParams> {
        Arc::new(DistillParams::new(Selection::new().0))
    }

    /// Sets every parameter somewhere, as a host does: by shares of their ranges.
    fn turn(params: &DistillParams, host: &PretendHost, nth: usize) {
        let setter = ParamSetter::new(host);
        for (n, (_, _, param)) in params.each().enumerate() {
            let share = ((n + 1) * (nth + 1)) as f32 * 0.618_034 % 1.0;
            match param {
                AnyParam::Float(param) => set_share(param, share, &setter),
                AnyParam::Int(param) => set_share(param, share, &setter),
                AnyParam::Bool(param) => set_share(param, share.round(), &setter),
            }
        }
    }

    #[test]
    fn a_preset_brings_the_same_settings_to_another_instance_to_the_bit() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        for nth in 0..100 {
            let (one, other, host) = (params(), params(), PretendHost::default());
            turn(&one, &host, nth);
            turn(&other, &host, 3 * nth + 7);
            let saved = preset_of(&one, &format!("No. {nth}"));
            let path = saved.save(folder.path()).expect("it can be written");
            let read = Preset::read(&path).expect("it was written");
            assert_eq!((&read.name, &read.bundle), (&saved.name, &saved.bundle));
            let host = PretendHost::default();
            let said = load(&other, &ParamSetter::new(&host), &read).expect("it is one");
            assert_eq!(said, format!("“No. {nth}” is loaded."));
            // What is heard depends on nothing else.
            assert_eq!(other.settings(), one.settings());
            assert_eq!(preset_of(&other, &saved.name), saved);
            assert!(host.has_only_whole_gestures() && host.changes() > 20);
            let said = load(&other, &ParamSetter::new(&host), &read);
            assert!(said.is_ok() && host.changes() < 33, "what is there is not set again");
        }
    }

    #[test]
    fn settings_of_a_new_instance_can_be_set_by_a_host_to_the_bit() {
        let (params, host) = (params(), PretendHost::default());
        let new = params.settings();
        let preset = preset_of(&params, "New");
        turn(&params, &host, 4);
        load(&params, &ParamSetter::new(&host), &preset).expect("it is one");
        assert_eq!(params.settings(), new);
    }

    #[test]
    fn what_a_preset_does_not_tell_is_as_in_a_new_instance() {
        let (params, host) = (params(), PretendHost::default());
        let new = params.settings();
        turn(&params, &host, 1);
        let preset = Preset { values: [].into(), ..preset_of(&params, "New") };
        load(&params, &ParamSetter::new(&host), &preset).expect("it is one");
        assert_eq!(params.settings(), new);
    }

    #[test]
    fn values_come_into_their_ranges_and_those_of_another_kind_change_nothing() {
        let (params, host) = (params(), PretendHost::default());
        let setter = ParamSetter::new(&host);
        let with = |id: &str, value: Value| {
            let mut preset = preset_of(&params, "Bells");
            preset.values.insert(id.to_owned(), value);
            preset
        };
        load(&params, &setter, &with("temp", 1e300.into())).expect("it is a number");
        assert_eq!(params.prior.temperature.value(), 2.0);
        load(&params, &setter, &with("seed", (-7.5e20).into())).expect("it is a number");
        assert_eq!(params.prior.seed.value(), 0);
        load(&params, &setter, &with("of tomorrow", "x".into())).expect("that is not known");
        let (before, changes) = (preset_of(&params, ""), host.changes());
        for (id, value) in [
            ("temp", Value::Null),
            ("temp", true.into()),
            ("seed", "NaN".into()),
            ("wait", 1.into()),
            ("width", serde_json::json!([1.0])),
        ] {
            let mut preset = with(id, value);
            preset.values.insert("gain".to_owned(), (-9.0).into());
            let refused = load(&params, &setter, &preset).expect_err("it is of another kind");
            assert!(refused.contains(id), "{refused}");
        }
        assert_eq!((preset_of(&params, ""), host.changes()), (before, changes));
    }

    #[test]
    fn every_prefix_and_every_turned_bit_is_loaded_or_changes_nothing() {
        let (params, host) = (params(), PretendHost::default());
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("a.distill-preset");
        turn(&params, &host, 5);
        let saved = preset_of(&params, "Bells").save(folder.path()).expect("it can be written");
        let good = std::fs::read(saved).expect("it was written");
        let prefixes = (0..good.len()).map(|end| good[..end].to_vec());
        let turned = (0..8 * good.len()).map(|bit| {
            let mut turned = good.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            turned
        });
        let mut loaded = 0;
        for bytes in prefixes.chain(turned) {
            std::fs::write(&path, &bytes).expect("it can be written");
            let (before, changes) = (params.settings(), host.changes());
            let setter = ParamSetter::new(&host);
            let read = Preset::read(&path).map_err(|error| error.to_string());
            match read.and_then(|preset| load(&params, &setter, &preset)) {
                Ok(_) => loaded += 1,
                Err(_) => assert_eq!((params.settings(), host.changes()), (before, changes)),
            }
            assert!(preset_of(&params, "a").values.values().all(|value| !value.is_null()));
        }
        assert!(loaded > 100, "another digit is another preset");
    }

    #[test]
    fn a_preset_of_another_bundle_is_loaded_and_says_so() {
        let (params, host) = (params(), PretendHost::default());
        let bundle = MadeFor { digest: "0f".repeat(32), name: "Bells".to_owned() };
        let preset = Preset { bundle, ..preset_of(&params, "Soft") };
        let said = load(&params, &ParamSetter::new(&host), &preset).expect("it is one");
        assert!(said.contains("for the bundle “Bells”"), "{said}");
    }
}
