//! Sound to codes and back, on the command line, with a bundle of random weights.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod small;

use std::fs;
use std::process::Command;

use distill_trainer::audio::decode::decode;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use serde_json::Value;
use small::{fail, folder, succeed};

#[test]
fn a_recording_becomes_codes_and_sound_of_its_length_again() {
    let folder = folder();
    let folder = folder.path();
    assert_eq!(succeed(folder, "encode one.distill clip.wav").trim(), "clip.json");
    let file: Value = serde_json::from_slice(&fs::read(folder.join("clip.json")).unwrap()).unwrap();
    assert_eq!((&file["format"], &file["version"]), (&"distill-codes".into(), &1.into()));
    assert_eq!(file["samples"], 21_769); // 20 000 at 48 kHz
    let frames = file["codes"].as_array().unwrap();
    assert_eq!(frames.len(), (21_769_usize + 384).div_ceil(256));
    assert!(frames.iter().all(|frame| frame.as_array().unwrap().len() == 3));
    let kinds: std::collections::HashSet<String> = frames.iter().map(Value::to_string).collect();
    assert!(kinds.len() > 3, "the codes tell something: {kinds:?}");

    for (rate, samples) in [(48_000, 21_769), (44_100, 20_000)] {
        succeed(folder, &format!("decode one.distill clip.json -o back.wav --rate {rate}"));
        let back = decode(&folder.join("back.wav")).unwrap();
        assert_eq!((back.rate, back.audio[0].len(), back.channels), (rate, samples, 2));
        assert!(back.audio[0].iter().any(|sample| sample.abs() > 1e-3), "it is not silent");
    }
    succeed(folder, "encode one.distill clip.wav -o again.json");
    fs::copy(folder.join("clip.wav"), folder.join("[a],[b] \"c\".wav")).unwrap();
    let arguments = ["encode", "one.distill", "[a],[b] \"c\".wav", "-o", "odd.json"];
    let mut odd = Command::new(env!("CARGO_BIN_EXE_distill"));
    assert!(odd.current_dir(folder).args(arguments).status().unwrap().success());
    succeed(folder, "decode one.distill odd.json -o odd.wav");
    let [first, again] = ["clip.json", "again.json"].map(|f| fs::read(folder.join(f)).unwrap());
    assert!(first == again, "the same sound has the same codes");
}

#[test]
fn a_recording_of_the_bundle_is_decoded_by_its_name() {
    let folder = folder();
    let folder = folder.path();
    let told = succeed(folder, "decode one.distill --recording low/a.wav --json");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["path"], &told["frames"]), (&"a-decoded.wav".into(), &9.into()));
    let sound = decode(&folder.join("a-decoded.wav")).unwrap();
    assert_eq!(sound.audio[0].len(), 9 * 256 - 384);
    fail(folder, "decode one.distill --recording b.wav -o out.wav", 2, "has no recording b.wav");
}

#[test]
fn what_is_no_sound_is_refused_wherever_it_is_read() {
    let folder = folder();
    let folder = folder.path();
    let (format, bit_depth) = (FileFormat::Wav, BitDepth::Float32);
    for (sample, what) in [(f32::NAN, "samples that are not numbers"), (3e4, "go to 30000")] {
        let format = ExportFormat { format, bit_depth, rate: 48_000 };
        write_audio(&folder.join("wrong.wav"), &[[0.1, sample].repeat(4000)], format).unwrap();
        fail(folder, "encode one.distill wrong.wav -o out.json", 1, what);
        for how in ["--prime", "--from 0 --to 0.1 --infill"] {
            fail(folder, &format!("generate one.distill {how} wrong.wav -o out.wav"), 1, what);
        }
    }
}

#[test]
fn what_is_no_codes_of_this_bundle_is_refused_in_a_sentence() {
    let folder = folder();
    let folder = folder.path();
    succeed(folder, "encode one.distill clip.wav");
    fail(folder, "decode other.distill clip.json -o out.wav", 1, "belong to another bundle");
    fail(folder, "decode one.distill -o out.wav", 2, "required");
    fail(folder, "decode one.distill none.json -o out.wav", 1, "cannot read none.json");
    fail(folder, "decode one.distill clip.wav -o out.wav", 1, "is not a file of codes");
    fail(folder, "encode one.distill clip.json -o out.json", 1, "in no known format");
    fail(folder, "encode one.distill clip.wav -o out.wav", 2, "codes are .json files");

    let text = fs::read_to_string(folder.join("clip.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let broken = |change: &dyn Fn(&mut Value), what: &str| {
        let mut file = file.clone();
        change(&mut file);
        fs::write(folder.join("broken.json"), file.to_string()).unwrap();
        fail(folder, "decode one.distill broken.json -o out.wav", 1, what);
    };
    broken(&|file| file["format"] = "other".into(), "is not a file of codes");
    let newer = |file: &mut Value| {
        file["version"] = 2.into();
        file["codes"] = "packed".into();
    };
    broken(&newer, "newer version");
    broken(&|file| file["codes"][4][1] = 16.into(), "frame 4 has the code 16");
    broken(&|file| file["codes"][4] = Value::from(vec![1, 2]), "frame 4 has 2 codes");
    let nothing = |file: &mut Value| {
        file["samples"] = 0.into();
        file["codes"] = Value::Array(Vec::new());
    };
    broken(&nothing, "holds no sound");
    broken(&|file| file["samples"] = u64::MAX.into(), "do not make 18446744073709551615 samples");
    broken(&|file| file["samples"] = 999_999.into(), "do not make 999999 samples");
    broken(&|file| file["samples"] = 1.into(), "do not make 1 samples");
    broken(&|file| file["codes"] = Value::from("none"), "is not a file of codes");
}

#[test]
fn a_take_goes_on_from_a_recording() {
    let folder = folder();
    let folder = folder.path();
    let made = |arguments: &str| {
        succeed(folder, &format!("generate one.distill --duration 0.5 -o new.wav {arguments}"));
        fs::read(folder.join("new.wav")).unwrap()
    };
    let (primed, again, alone) = (made("--prime clip.wav"), made("--prime clip.wav"), made(""));
    assert!(primed == again, "the same clip and seed make the same sound");
    assert!(primed != alone, "the clip is heard");
    assert_eq!(decode(&folder.join("new.wav")).unwrap().audio[0].len(), 24_000);
    let format = ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 48_000 };
    write_audio(&folder.join("short.wav"), &[vec![0.1; 255]], format).unwrap();
    fail(folder, "generate one.distill --prime short.wav -o out.wav", 1, "too short to go on from");
}

#[test]
fn a_take_is_asked_for_something() {
    let folder = folder();
    let folder = folder.path();
    let made = |arguments: &str| {
        succeed(folder, &format!("generate one.distill --duration 0.5 -o new.wav {arguments}"));
        fs::read(folder.join("new.wav")).unwrap()
    };
    let alone = made("");
    let asked = ["--set loudness=0.9", "--set pitch=c#4", "--set class=high"].map(made);
    assert!(asked.iter().all(|sound| *sound != alone), "what is asked for is heard");
    assert!(made("--set loudness=0.9 --set pitch=61 --set class=low") != asked[0]);
    assert!(made("--set pitch=61") == asked[1], "a note has a name and a number");
    assert!(made("--novelty 1") != alone, "and so is novelty");
    let refuse = |set: &str, exit: i32, what: &str| {
        fail(folder, &format!("generate one.distill -o out.wav --set {set}"), exit, what);
    };
    refuse("loudness", 2, "says no value");
    refuse("colour=1", 2, "there are loudness, brightness");
    refuse("loudness=2", 2, "not a rank from 0 to 1");
    refuse("pitch=h2", 2, "not a note");
    refuse("pitch=c2", 1, "has pitches from c4 to e4");
    refuse("class=middle", 1, "there are low, high");
    refuse("brightness=0.5", 1, "cannot be asked for brightness");
}
