//! What `distill evaluate` tells of a bundle.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;

use distill_shared::bundle::Bundle;
use distill_trainer::audio::decode::decode;
use program::{fail, own_toy, stdout, succeed, toy};
use serde_json::Value;

#[test]
fn evaluate_measures_every_recording_beside_the_baseline() {
    let before = fs::read(toy().join("toy.distill")).unwrap();
    let report = stdout(&succeed(toy(), "evaluate toy.distill sounds --json"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let files = report["files"].as_array().unwrap();
    assert_eq!((files.len(), &files[0]["name"]), (6, &Value::from("high/3.wav")));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    for name in ["mrstft", "lsd_db", "lsd_tf_db", "logmel_l1_db", "logmel_tf_db", "sc"] {
        let mean = files.iter().map(|file| number(&file[name])).sum::<f64>() / 6.0;
        assert!((number(&report["codec"]["mean"][name]) - mean).abs() < 1e-9, "{name}");
        let baseline = number(&report["griffin_lim"]["mean"][name]);
        assert!(baseline > 0.0 && baseline < mean, "{name} of the baseline is {baseline}");
    }
    for name in ["si_sdr_db", "lag", "gain", "loudness_error_db", "width_error_db"] {
        number(&files[5][name]);
    }
    let bundle = Bundle::open(&toy().join("toy.distill")).unwrap();
    let nominal = 2.0 * 4.0 * bundle.config().codec.frame_rate() / 1000.0; // 2 levels of 4 bits
    assert!((number(&report["bitrate"]["nominal"]) - nominal).abs() < 1e-9);
    assert!(number(&report["bitrate"]["entropy"]) <= nominal);
    assert_eq!(report["levels"].as_array().map(Vec::len), Some(2));
    assert!(number(&report["encode_factor"]) > 0.0 && number(&report["decode_factor"]) > 0.0);
    assert_eq!(fs::read(toy().join("toy.distill")).unwrap(), before, "only --save changes it");
}

#[test]
fn evaluate_writes_what_was_held_out_for_other_judges() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sounds) = (toy().join("toy.distill"), toy().join("sounds"));
    let arguments = "--held-out --max-seconds 0.2 --no-baseline -o out --threads 1";
    let arguments = format!("evaluate {} {} {arguments}", bundle.display(), sounds.display());
    let text = stdout(&succeed(folder.path(), &arguments));
    assert!(text.contains("LSD-tf") && text.contains("bitrate") && !text.contains("Griffin"));
    let recordings = Bundle::open(&bundle).unwrap().corpus_codes();
    let held_out = recordings.iter().filter(|one| one.held_out);
    let mut names: Vec<String> = held_out.map(|one| one.name.replace('/', "_")).collect();
    assert!(names.iter().all(|name| text.contains(&name.replacen('_', "/", 1))), "{text}");
    let written = fs::read_dir(folder.path().join("out")).unwrap();
    let mut written: Vec<String> =
        written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    written.sort();
    assert_eq!(written, names);
    let decoded = decode(&folder.path().join("out").join(&names[0])).unwrap();
    assert_eq!((decoded.rate, decoded.channels, decoded.audio[0].len()), (48_000, 2, 9600));

    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::copy(sounds.join(names[0].replacen('_', "/", 1)), other.join("else.wav")).unwrap();
    let evaluate = format!("evaluate {} other --held-out", bundle.display());
    fail(
        folder.path(),
        &evaluate,
        1,
        "none of the recordings that training held out lies in other",
    );
}

#[test]
fn saved_figures_are_on_the_card_and_leave_the_model_as_it_is() {
    let (folder, path) = own_toy();
    let before = Bundle::open(&path).unwrap();
    let sounds = toy().join("sounds");
    let arguments = format!("evaluate own.distill {} --no-baseline --save", sounds.display());
    succeed(folder.path(), &arguments);
    let after = Bundle::open(&path).unwrap();
    let evaluation = after.card().evaluation.clone().unwrap();
    assert_eq!((evaluation.files, evaluation.folder.as_str()), (6, "sounds"));
    assert!(evaluation.codec.mean.sc.is_some() && evaluation.griffin_lim.is_none());
    let mut card = after.card().clone();
    let of_prior = card.prior_evaluation.take().unwrap();
    assert_eq!(of_prior.generation.unwrap().folder, "sounds");
    card.evaluation = None;
    assert_eq!(after.clone().with_card(card).unwrap(), before, "nothing else has changed");
    let text = stdout(&succeed(folder.path(), "inspect own.distill"));
    assert!(text.contains("on 6 files") && text.contains("LSD-tf"), "{text}");
    assert!(text.contains("windows of sounds"), "{text}");
}

#[test]
fn a_prior_is_measured_with_what_the_bundle_remembers() {
    let (folder, _) = own_toy();
    let told = stdout(&succeed(folder.path(), "evaluate own.distill --json --save --quiet"));
    let told: Value = serde_json::from_str(&told).unwrap();
    let bits = |what: &str| told["prior"]["likelihood"][what].as_f64().unwrap();
    // Two levels of 16 entries at 46.9 frames per second: 8 bits a frame know nothing.
    let most = 8.0 * 46.875;
    for what in ["held_out", "trained", "unigram", "bigram"] {
        assert!((1.0..1.5 * most).contains(&bits(what)), "{what}: {told}");
    }
    assert!(bits("bigram") <= bits("unigram") && bits("unigram") < 1.01 * most, "{told}");
    let bundle = Bundle::open(&folder.path().join("own.distill")).unwrap();
    let card = bundle.card().prior_evaluation.as_ref().unwrap();
    assert_eq!(card.held_out, Some(bits("held_out")));
    for (name, correlation) in &card.follows {
        assert!((-1.0..=1.0).contains(correlation), "{name}: {correlation}");
    }
    let options = bundle.prior_config().unwrap().conditioning.ranks();
    assert_eq!(card.follows.len(), options.iter().filter(|(_, range)| range.is_some()).count());
    let copying = &told["prior"]["copying"];
    let takes = copying["takes"].as_array().unwrap();
    assert_eq!(takes.len(), 5, "{copying}");
    assert_eq!(card.copied, takes[0]["copied"].as_f64());
    assert!(card.planted_found.is_some_and(|found| found > 0.9), "{copying}");
    let generation = &told["prior"]["generation"];
    assert!((0.4..0.5).contains(&generation["seconds"].as_f64().unwrap()), "{generation}");
    assert!(generation["mel"].is_null(), "half a second is too little to tell: {generation}");
    assert_eq!(card.generation.as_ref().unwrap().folder, "");
    fail(folder.path(), "evaluate own.distill --held-out", 2, "need the folder");
}
