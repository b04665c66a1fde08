//! Training that begins with what another bundle has learned.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use distill_shared::bundle::Bundle;
use distill_shared::model::codec::FIXED;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use tempfile::TempDir;

/// Sizes of a model that trains in a blink.
const TINY: &str = "--width 16 --encoder-blocks 1 --decoder-blocks 1 --quantizers 2 \
    --codebook-size 16 --latent-dim 8 --hidden-size 16 --layers 1 --heads 2";
/// What every run is given.
const RUN: &str = "--codec-batch 2 --prior-batch 2 --seed 7 --no-report";

/// Runs the program in `folder` with arguments that hold no spaces, and gives what it told.
fn distill(folder: &Path, arguments: &str, code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "distill {arguments}\n{told}");
    told
}

/// A fading tone and its octave, left and right, or both on one channel.
fn write_tone(path: &Path, hz: f32, channels: usize) {
    let value = |t: u16, hz: f32| {
        let t = f32::from(t) / 44_100.0;
        0.5 * (-6.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
    };
    let tone = |hz: f32| (0..20_000).map(|t| value(t, hz)).collect::<Vec<f32>>();
    let format = ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 44_100 };
    write_audio(path, &[tone(hz), tone(2.0 * hz)][..channels], format).unwrap();
}

/// Twelve sounds in `sounds`, and a bundle that was trained on them.
fn home(channels: usize) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let sounds = home.path().join("sounds");
    fs::create_dir(&sounds).unwrap();
    for i in 0..12_u8 {
        write_tone(&sounds.join(format!("{i}.wav")), 90.0 * f32::from(i + 2), channels);
    }
    let train =
        format!("train sounds -o old.distill --codec-steps 30 --prior-steps 10 {TINY} {RUN}");
    distill(home.path(), &train, 0);
    home
}

fn open(home: &Path, name: &str) -> Bundle {
    Bundle::open(&home.join(name)).unwrap()
}

/// The weights that training moves, by name.
fn learned(bundle: &Bundle) -> impl Iterator<Item = (&String, Vec<f32>)> {
    let counted = ["prior.guide", "prior.target.scale", "prior.end.bias"];
    let kept = |name: &str| name.starts_with("prior.kept.");
    let moved = move |name: &str| !FIXED.contains(&name) && !counted.contains(&name) && !kept(name);
    let weights = bundle.tensors().iter().filter(move |(name, _)| moved(name));
    weights.map(|(name, tensor)| (name, tensor.to_f32()))
}

/// The largest difference of any weight of one bundle from that of another.
fn distance(a: &Bundle, b: &Bundle) -> f32 {
    let pairs = learned(a).zip(learned(b)).flat_map(|((name, a), (other, b))| {
        assert_eq!((name, a.len()), (other, b.len()));
        a.into_iter().zip(b)
    });
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Names of the recordings that were held out, or trained on.
fn recordings(bundle: &Bundle, held_out: bool) -> Vec<String> {
    let codes = bundle.corpus_codes().into_iter().filter(|one| one.held_out == held_out);
    codes.map(|one| one.name).collect()
}

/// Asserts that something is held out, and that what was begun with had not heard it.
fn assert_flatters_nothing(old: &Bundle, new: &Bundle) {
    let (heard, held_out) = (recordings(old, false), recordings(new, true));
    assert!(!held_out.is_empty() && held_out.iter().all(|name| !heard.contains(name)));
}

#[test]
fn sounds_are_added_without_starting_over() {
    let home = home(2);
    let home = home.path();
    for i in 0..8_u8 {
        write_tone(&home.join(format!("sounds/new{i}.wav")), 105.0 * f32::from(i + 2), 2);
    }
    let few = format!("--codec-steps 1 --prior-steps 1 {RUN}");
    let told = distill(home, &format!("train sounds -o more.distill --from old.distill {few}"), 0);
    assert!(told.contains("codec  begins with that of old"), "{told}");
    assert!(told.contains("prior  begins with that of old"), "{told}");
    distill(home, &format!("train sounds -o anew.distill {TINY} {few}"), 0);
    let [old, more, anew] = ["old", "more", "anew"].map(|n| open(home, &format!("{n}.distill")));
    // A step moves them a little.
    let (little, much) = (distance(&old, &more), distance(&old, &anew));
    assert!(little < 0.2 && much > 1.0, "{little} from the old one, and {much} if begun anew");
    assert_eq!(more.config().codec, old.config().codec, "sizes and level stay");

    assert_flatters_nothing(&old, &more);
    assert!(recordings(&more, false).iter().any(|name| name.starts_with("new")));

    // What was held out is found again, though another seed's draw would be another.
    let evaluate = "evaluate more.distill sounds --held-out --no-baseline --quiet -o held";
    distill(home, evaluate, 0);
    assert_eq!(fs::read_dir(home.join("held")).unwrap().count(), recordings(&more, true).len());

    // A bundle can be replaced by what goes on from it.
    distill(home, &format!("train sounds -o old.distill --from old.distill {few}"), 0);
    let again = open(home, "old.distill");
    let weights = |bundle: &Bundle| bundle.codec_digest();
    assert_eq!(weights(&again), weights(&more), "the same, whatever it is called");
}

#[test]
fn a_bundle_that_is_mono_hears_stereo_in_mono() {
    let home = home(1);
    let home = home.path();
    write_tone(&home.join("sounds/wide.wav"), 333.0, 2);
    let go_on = format!("train sounds -o x.distill --from old.distill --codec-steps 2 {RUN}");
    let told = distill(home, &format!("{go_on} --prior-steps 2"), 0);
    assert!(told.contains("old is mono, so the recordings are heard in mono"), "{told}");
    assert_eq!(open(home, "x.distill").config().codec.channels, 1);
}

#[test]
fn what_cannot_be_begun_with_is_told() {
    let home = home(2);
    let home = home.path();
    let go_on = format!("train sounds -o old.distill --from old.distill {RUN}");
    for (arguments, code, what) in [
        (format!("{go_on} --width 24"), 2, "--width is 24, and the codec to begin with has 16"),
        (format!("{go_on} --stage prior"), 2, "leave --from and --base out"),
        (go_on.replace("--from old", "--from none"), 1, "none.distill"),
        (go_on.replace("--from old.distill", "--from sounds/1.wav"), 1, "sounds/1.wav"),
    ] {
        let told = distill(home, &arguments, code);
        assert!(told.contains(what), "expected {what:?} in: {told}");
    }
    // Another size of the prior begins anew, and says so.
    let told = distill(home, &format!("{go_on} --codec-steps 2 --prior-steps 2 --layers 2"), 0);
    assert!(told.contains("codec  begins with") && !told.contains("prior  begins with"), "{told}");
}

#[test]
fn layers_of_a_mono_codec_begin_one_of_stereo_with_codebooks_of_its_own() {
    let home = home(1);
    let home = home.path();
    let folder = home.join("stereo");
    fs::create_dir(&folder).unwrap();
    for i in 0..4_u8 {
        write_tone(&folder.join(format!("{i}.wav")), 130.0 * f32::from(i + 2), 2);
    }
    let train = format!("train stereo -o new.distill --stage codec --codec-steps 2 {RUN}");
    let sizes = "--quantizers 3 --codebook-size 8 --latent-dim 12";
    let told = distill(home, &format!("{train} {sizes} --base old.distill"), 0);
    assert!(told.contains("begins with the layers of a base"), "{told}");
    let codec = open(home, "new.distill").config().codec.clone();
    assert_eq!((codec.channels, codec.quantizers, codec.latent_dim), (2, 3, 12));
    assert_eq!((codec.width, codec.encoder_blocks), (16, 1), "those of the base");

    // Two steps move layers little from those of the base, which nothing else has.
    let block = "codec.decoder.blocks.0.up.weight";
    let distance = |one: &Bundle, other: &Bundle| {
        let [one, other] = [one, other].map(|bundle| bundle.tensors()[block].to_f32());
        one.iter().zip(&other).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    };
    let (old, begun) = (open(home, "old.distill"), open(home, "new.distill"));
    let from_nothing = format!("{train} {sizes} --width 16 --encoder-blocks 1 --decoder-blocks 1");
    distill(home, &from_nothing.replace("new.", "fresh.").replace("seed 7", "seed 8"), 0);
    let fresh = distance(&old, &open(home, "fresh.distill"));
    assert!(distance(&old, &begun) < 0.1 * fresh, "{} of {fresh}", distance(&old, &begun));

    let again =
        train.replace("train stereo -o new", "train sounds -o again").replace("seed 7", "seed 8");
    distill(home, &format!("{again} --base old.distill"), 0);
    assert_flatters_nothing(&old, &open(home, "again.distill"));

    let told = distill(home, &format!("{train} --width 32 --base old.distill"), 2);
    assert!(told.contains("--width is 32, and the codec to begin with has 16"), "{told}");
    let told = distill(home, &format!("{train} --base old.distill --from old.distill"), 2);
    assert!(told.contains("cannot be used with"), "{told}");
}
