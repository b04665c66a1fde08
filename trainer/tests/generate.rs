//! Files that can be made again, and parts of clips made anew, with a bundle of random weights.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod small;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use distill_trainer::audio::decode::decode;
use serde_json::Value;
use small::{fail, folder, succeed};

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_take_is_made_again_from_the_file_beside_it() {
    let folder = folder();
    let here = folder.path();
    let asked = "--seed 3 --count 2 --duration 0.4 --set loudness=0.3 --set class=high";
    for (name, how) in [
        ("a.wav", "--temperature 0.9 --top-k 7 --bit-depth 32f"),
        ("b.flac", "--rate 44100 --novelty 0.3 --bit-depth 16 --prime clip.wav"),
        ("c.wav", "--top-p 0.85 --levels 2 --structure 0.5 --timbre 1.2 --detail 0 --rate 22050"),
    ] {
        succeed(here, &format!("generate one.distill {asked} {how} -o {name}"));
        let (name, ending) = name.split_once('.').unwrap();
        let first = fs::read(here.join(format!("{name}-1.{ending}"))).unwrap();
        let second = fs::read(here.join(format!("{name}-2.{ending}"))).unwrap();
        assert!(first != second);
        let told =
            succeed(here, &format!("generate --again {name}-2.json -o {name}-again.{ending}"));
        assert_eq!(told, format!("{name}-again.{ending}\n"));
        assert!(fs::read(here.join(format!("{name}-again.{ending}"))).unwrap() == second, "{name}");
        let mut recipe = read_json(&here.join(format!("{name}-2.json")));
        assert_eq!((&recipe["seed"], &recipe["take"]), (&3.into(), &1.into()));
        recipe["sound"]["file"] = format!("{name}-again.{ending}").into();
        assert_eq!(read_json(&here.join(format!("{name}-again.json"))), recipe);
    }
    // Elsewhere, with all that it needs beside it, under the name that it had.
    let there = tempfile::tempdir().unwrap();
    for name in ["one.distill", "clip.wav", "b-1.json"] {
        fs::copy(here.join(name), there.path().join(name)).unwrap();
    }
    let recipe = there.path().join("b-1.json");
    let elsewhere = tempfile::tempdir().unwrap();
    let told = succeed(elsewhere.path(), &format!("generate --again {}", recipe.display()));
    assert_eq!(told, "b-1.flac\n");
    let bytes = |folder: &Path| fs::read(folder.join("b-1.flac")).unwrap();
    assert!(bytes(elsewhere.path()) == bytes(here));
}

#[test]
fn what_would_be_another_take_is_refused_in_a_sentence() {
    let folder = folder();
    let here = folder.path();
    succeed(here, "generate one.distill --duration 0.2 --prime clip.wav -o take.wav");
    let again = "generate --again take.json";
    fail(here, &format!("{again} other.distill -o out.wav"), 1, "is not the bundle that take.json");
    fail(here, &format!("{again} -o out.wav --seed 2"), 2, "cannot be used with");
    fs::rename(here.join("clip.wav"), here.join("moved.wav")).unwrap();
    succeed(here, &format!("{again} -o again.wav --prime moved.wav"));
    fail(here, &format!("{again} -o out.wav"), 1, "is not there; name where it is with --prime");
    fs::copy(here.join("take.wav"), here.join("clip.wav")).unwrap();
    fail(here, &format!("{again} -o out.wav"), 1, "clip.wav is not the file that take.json");
    fs::rename(here.join("one.distill"), here.join("moved.distill")).unwrap();
    fail(here, &format!("{again} -o out.wav"), 1, "is not there; name where it is after --again");
    let elsewhere = format!("{again} moved.distill -o elsewhere.wav --prime moved.wav");
    succeed(here, &elsewhere);

    let mut recipe = read_json(&here.join("take.json"));
    recipe["version"] = 2.into();
    fs::write(here.join("new.json"), recipe.to_string()).unwrap();
    fail(here, "generate --again new.json -o out.wav", 1, "newer version of distill");
    fs::write(here.join("foreign.json"), "{}").unwrap();
    fail(here, "generate --again foreign.json -o out.wav", 1, "does not tell how a take was made");
}

#[test]
fn other_files_are_left_alone() {
    let folder = folder();
    let here = folder.path();
    fs::write(here.join("out.json"), "{\"mine\": 1}").unwrap();
    let generate = "generate one.distill --duration 0.2 -o out.wav";
    fail(here, generate, 1, "out.json is there and tells something else");
    let told = succeed(here, &format!("{generate} --no-sidecar --json"));
    assert_eq!(fs::read(here.join("out.json")).unwrap(), b"{\"mine\": 1}");
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["files"][0]["sidecar"], Value::Null);
}

#[test]
fn a_pitch_that_is_not_offered_is_the_nearest_played_faster_or_slower() {
    let folder = folder();
    let here = folder.path();
    let made = |pitch: &str, rate: u32, duration: &str| {
        let file = format!("--rate {rate} --duration {duration} --bit-depth 32f -o {pitch}.wav");
        succeed(here, &format!("generate one.distill --set pitch={pitch} {file}"));
        decode(&here.join(format!("{pitch}.wav"))).unwrap().audio
    };
    // An octave above the highest, at 48 kHz, is the highest at 24 kHz, said to be of 48 kHz.
    let (highest, octave) = (made("64", 24_000, "0.8"), made("76", 48_000, "0.4"));
    assert_eq!(octave[0].len(), 19_200);
    assert!(highest == octave && made("65", 48_000, "0.4") != octave);
    let infill = "generate one.distill --infill clip.wav --set";
    fail(here, &format!("{infill} pitch=65 -o out.wav"), 2, "the nearest is --set pitch=e4");
    succeed(here, &format!("{infill} pitch=64 -o in.wav"));
}

#[test]
fn a_file_too_long_for_its_format_is_refused_before_it_is_made() {
    let folder = folder();
    let generate = "generate one.distill --duration 5h -o out.wav";
    fail(folder.path(), generate, 2, "a WAV file holds 4 GiB, which is 248 minutes");
    assert!(!folder.path().join("out.json").exists());
}

#[cfg(unix)]
#[test]
fn what_is_stopped_leaves_nothing_behind() {
    let folder = folder();
    let here = folder.path();
    fs::write(here.join("old.flac"), "old").unwrap();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let arguments = "generate one.distill --duration 100h -o old.flac";
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    let mut child = command.current_dir(here).args(arguments.split_whitespace()).spawn().unwrap();
    while names() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began to write");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(names(), before);
    assert_eq!(fs::read(here.join("old.flac")).unwrap(), b"old");
}

#[test]
fn a_part_of_a_clip_is_made_anew() {
    let folder = folder();
    let here = folder.path();
    succeed(here, "encode one.distill clip.wav");
    let infill = |seed: u32, clip: &str, name: &str| {
        let region = "--from 0.1 --to 0.25 --infill-levels 2-3 --codes --bit-depth 32f";
        let seed = format!("--seed {seed} -o {name}.wav");
        succeed(here, &format!("generate one.distill --infill {clip} {region} {seed}"));
        read_json(&here.join(format!("{name}.codes.json")))
    };
    let (clip, made) = (read_json(&here.join("clip.json")), infill(1, "clip.wav", "one"));
    assert_eq!(made["samples"], clip["samples"]);
    let (old, new) = (clip["codes"].as_array().unwrap(), made["codes"].as_array().unwrap());
    assert_eq!(old.len(), new.len());
    let recipe = read_json(&here.join("one.json"));
    let region = |which: usize| recipe["infill"]["frames"][which].as_u64().unwrap();
    // 0.1 and 0.25 s at 48 kHz, frames of 256 samples, the middle of the first 64 early.
    assert_eq!((region(0), region(1)), (19, 48));
    let mut changed = 0;
    for (t, (old, new)) in old.iter().zip(new).enumerate() {
        for level in 0..3 {
            if (19..48).contains(&t) && level > 0 {
                changed += usize::from(old[level] != new[level]);
            } else {
                assert_eq!(old[level], new[level], "frame {t}, level {level}");
            }
        }
    }
    assert!(changed > 29, "only {changed} of 58 codes changed");
    assert_eq!(infill(1, "clip.json", "two")["codes"], made["codes"], "codes are a clip too");
    assert_ne!(infill(2, "clip.wav", "three")["codes"], made["codes"], "another seed");

    let sound = |name: &str| decode(&here.join(name)).unwrap().audio;
    succeed(here, "decode one.distill one.codes.json -o decoded.wav --bit-depth 32f");
    assert_eq!(sound("one.wav"), sound("decoded.wav"));
    succeed(here, "decode one.distill clip.json -o whole.wav --bit-depth 32f");
    let (whole, one) = (sound("whole.wav"), sound("one.wav"));
    // The sound of frame 19 begins at 19 * 256 samples, less the delay of 384.
    assert!(whole[0][..4480] == one[0][..4480] && whole[0][4480..] != one[0][4480..]);
    succeed(here, "generate --again one.json -o again.wav");
    assert!(fs::read(here.join("again.wav")).unwrap() == fs::read(here.join("one.wav")).unwrap());

    let refuse = |how: &str, what: &str| {
        let infill = "generate one.distill --infill clip.wav -o out.wav";
        fail(here, &format!("{infill} {how}"), 2, what);
    };
    refuse("--from 0.2 --to 0.2", "there is nothing between --from and --to");
    refuse("--from 9", "clip.wav lasts 0.454 seconds");
    refuse("--infill-levels 2-4", "the codec has 3");
    refuse("--duration 1", "cannot be used with");
    fail(here, "generate one.distill --from 1 -o out.wav", 2, "--infill");
}

#[test]
fn nothing_is_replaced_that_nobody_named() {
    let folder = folder();
    let here = folder.path();
    fs::write(here.join("one.wav"), "a recording").unwrap();
    let generate = "generate one.distill --duration 0.2";
    assert_eq!(succeed(here, generate), "one-2.wav\n");
    assert_eq!(succeed(here, generate), "one-3.wav\n");
    assert_eq!(succeed(here, &format!("{generate} --count 2")), "one-1.wav\none-2-2.wav\n");
    assert_eq!(fs::read(here.join("one.wav")).unwrap(), b"a recording");
    // What is made again from the file beside it has the name that it had, if that is free.
    fs::remove_file(here.join("one-3.wav")).unwrap();
    assert_eq!(succeed(here, "generate --again one-3.json"), "one-3.wav\n");
    assert_eq!(succeed(here, "generate --again one-3.json"), "one-3-2.wav\n");
    // The codes of a take would have the name of the file that tells how it was made.
    assert_eq!(succeed(here, "encode one.distill one-2.wav"), "one-2-3.json\n");
    succeed(here, "generate --again one-2.json -o one-2.wav");
    // What tells of a take that was moved away stays, whatever is made again from elsewhere.
    fs::create_dir(here.join("moved")).unwrap();
    fs::rename(here.join("one-2.wav"), here.join("moved/one-2.wav")).unwrap();
    fs::copy(here.join("one-2.json"), here.join("moved/one-2.json")).unwrap();
    let told = fs::read(here.join("one-2.json")).unwrap();
    assert_eq!(succeed(here, "generate --again moved/one-2.json one.distill"), "one-2-4.wav\n");
    assert_eq!(fs::read(here.join("one-2.json")).unwrap(), told);
    assert_eq!(succeed(here, "decode one.distill --recording low/a.wav"), "a-decoded.wav\n");
    assert_eq!(succeed(here, "decode one.distill --recording low/a.wav"), "a-decoded-2.wav\n");
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_made() {
    let folder = folder();
    let here = folder.path();
    let generate = "generate one.distill --duration 0.2";
    fs::create_dir(here.join("takes")).unwrap();
    fail(here, &format!("{generate} -o takes"), 2, "it is a folder; name a file");
    fail(here, &format!("{generate} --format wav -o x.json"), 2, "name a .wav file");
    fail(here, &format!("{generate} --prime clip.wav -o clip.wav"), 2, "which it is made from");
    succeed(here, &format!("{generate} -o x.wav"));
    fail(here, "generate --again x.json -o out.flac", 2, "name a .wav file");
    let bundle = fs::read(here.join("one.distill")).unwrap();
    fail(here, "generate --again x.json -o one.distill", 2, "which it is made from");
    fail(here, &format!("{generate} --format wav -o one.distill"), 2, "which it is made from");
    assert!(fs::read(here.join("one.distill")).unwrap() == bundle);
    fail(here, "generate --again x.json --prime clip.wav -o y.wav", 2, "leave --prime or --again");
    fail(here, &format!("{generate} -o x.flac"), 1, "tells how x.wav was made");
    let silent = format!("{generate} -o x.wav --seed 9 --no-sidecar");
    fail(here, &silent, 1, "would tell of another take");
    assert!(!here.join("x.flac").exists());
    let infill = "generate one.distill --from 0.1 --to 0.2 --codes";
    succeed(here, &format!("{infill} --infill clip.wav -o y.wav"));
    let again = format!("{infill} --infill y.codes.json -o y.wav");
    fail(here, &again, 2, "which it is made from");
    let mut recipe = read_json(&here.join("x.json"));
    recipe["sampling"]["temperature"] = 11.into();
    fs::write(here.join("x.json"), recipe.to_string()).unwrap();
    fail(here, "generate --again x.json -o out.wav", 1, "temperature is 11, outside 0 to 10");
}

#[test]
fn takes_that_are_made_at_the_same_time_do_not_take_each_others_place() {
    let folder = folder();
    let run = |seed: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
        command.current_dir(folder.path()).args(["generate", "one.distill", "--duration", "2"]);
        command.args(["--seed", &seed.to_string()]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let runs: Vec<_> = (0..3).map(run).collect();
    let named = runs.into_iter().map(|run| {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    });
    let named: HashSet<String> = named.collect();
    assert_eq!(named.len(), 3, "{named:?}");
    assert!(named.iter().all(|name| fs::metadata(folder.path().join(name)).unwrap().len() > 1000));
}

#[test]
fn what_is_refused_leaves_no_codes() {
    let folder = folder();
    let infill = "generate one.distill --infill clip.wav --from 0.1 --to 0.2 --codes";
    fail(folder.path(), &format!("{infill} --rate 192000 -o x.flac"), 1, "up to 96 kHz");
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 3, "two bundles and the clip");
}

#[cfg(target_os = "linux")]
#[test]
fn a_take_that_cannot_be_told_of_leaves_the_one_that_was_there() {
    let folder = folder();
    let here = folder.path();
    // What tells of it is longer than the sound, since it has the path of the bundle.
    let bundle = format!("{}one.distill", "./".repeat(400));
    let generate = format!("generate {bundle} --duration 0.01 --rate 8000 --bit-depth 16 -o x.wav");
    succeed(here, &generate);
    let files = ["x.wav", "x.json"].map(|name| here.join(name));
    let before = files.clone().map(|path| fs::read(path).unwrap());
    assert!(before[0].len() < 1024 && before[1].len() > 1024);
    // Files of a kilobyte at most; more is an error.
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    let mut shell = Command::new("bash");
    shell.current_dir(here).args(["-c", limited, env!("CARGO_BIN_EXE_distill")]);
    let output = shell.args(generate.split_whitespace()).args(["--seed", "9"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(files.map(|path| fs::read(path).unwrap()) == before);
}

#[cfg(unix)]
#[test]
fn a_take_that_is_stopped_leaves_its_name_free() {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder.path()).args(["generate", "one.distill", "--duration", "9000"]);
    let mut stopped = command.stderr(Stdio::null()).spawn().unwrap();
    let reserved = folder.path().join("one.wav");
    while !reserved.exists() {
        assert!(stopped.try_wait().unwrap().is_none(), "it ended before it began to write");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(Command::new("kill").arg(stopped.id().to_string()).status().unwrap().success());
    stopped.wait().unwrap();
    assert!(!reserved.exists(), "nothing is left of what was stopped");
}
