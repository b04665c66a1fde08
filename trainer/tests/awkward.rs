//! A folder of awkward files trains on what is usable, and names the rest.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use distill_shared::bundle::Bundle;

/// Format numbers of WAV files (Microsoft, "Multimedia Programming Interface", 1991).
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;

/// What a WAV file holds: format, channels, rate and bits of a sample.
type Shape = (u16, u16, u32, u16);

/// A WAV file with these bytes of samples; its header says that there are `told` of them.
fn wave((format, channels, rate, bits): Shape, data: &[u8], told: u32) -> Vec<u8> {
    let frame = channels * (bits / 8);
    let mut file = b"RIFF".to_vec();
    file.extend(told.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend([format, channels].iter().flat_map(|value| value.to_le_bytes()));
    file.extend([rate, rate * u32::from(frame)].iter().flat_map(|value| value.to_le_bytes()));
    file.extend([frame, bits].iter().flat_map(|value| value.to_le_bytes()));
    file.extend(b"data");
    file.extend(told.to_le_bytes());
    file.extend(data);
    file
}

/// A fading tone of `hz` as samples of that shape, `frames` of them.
fn tone(shape: Shape, hz: f64, frames: u32) -> Vec<u8> {
    let (format, channels, rate, bits) = shape;
    let value = |t: u32, channel: u16| {
        let t = f64::from(t) / f64::from(rate);
        (std::f64::consts::TAU * hz * t).sin() * (-4.0 * t).exp() * 0.5 / f64::from(channel + 1)
    };
    let all = (0..frames).flat_map(|t| (0..channels).map(move |channel| value(t, channel)));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    let bytes = |value: f64| match (format, bits) {
        (FLOATS, 64) => value.to_le_bytes().to_vec(),
        (FLOATS, _) => (value as f32).to_le_bytes().to_vec(),
        // Eight bits are without a sign.
        (_, 8) => vec![(value * 127.0 + 128.0) as u8],
        _ => ((value * 32_767.0) as i16).to_le_bytes().to_vec(),
    };
    all.flat_map(bytes).collect()
}

/// Writes what can be used, and gives the names.
fn write_usable(folder: &Path) -> Vec<&'static str> {
    let usable: [(&str, Shape, u32); 9] = [
        ("ünïcode näme ♪.wav", (INTEGERS, 1, 48_000, 16), 24_000),
        ("two  spaces .wav", (INTEGERS, 2, 48_000, 16), 24_000),
        ("-o.wav", (INTEGERS, 1, 48_000, 16), 20_000),
        ("fifty milliseconds.wav", (INTEGERS, 1, 48_000, 16), 2400),
        ("eight bits.wav", (INTEGERS, 1, 44_100, 8), 20_000),
        ("double.wav", (FLOATS, 1, 44_100, 64), 20_000),
        ("eight channels.wav", (INTEGERS, 8, 44_100, 16), 20_000),
        ("slow.wav", (INTEGERS, 1, 4000, 16), 4000),
        ("fast.wav", (INTEGERS, 1, 384_000, 16), 150_000),
    ];
    for ((name, shape, frames), hz) in
        usable.iter().zip([110.0, 150.0, 220.0, 300.0].iter().cycle())
    {
        let data = tone(*shape, *hz, *frames);
        let told = u32::try_from(data.len()).unwrap();
        fs::write(folder.join(name), wave(*shape, &data, told)).unwrap();
    }
    // The end is missing, but more than half is there.
    let (shape, frames) = ((INTEGERS, 1, 48_000, 16), 20_000);
    let cut = wave(shape, &tone(shape, 500.0, frames * 3 / 4), 2 * frames);
    fs::write(folder.join("cut short.wav"), cut).unwrap();
    usable.iter().map(|(name, ..)| *name).chain(["cut short.wav"]).collect()
}

/// Writes what cannot be used, and gives the names with what is to be said of each.
fn write_useless(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let floats = (FLOATS, 1, 48_000, 32);
    let of = |value: f32| value.to_le_bytes().repeat(20_000);
    put("nothing.wav", b"");
    put("text.wav", b"not a sound");
    put("not a number.wav", &wave(floats, &of(f32::NAN), 80_000));
    put("silent.wav", &wave(floats, &of(0.0), 80_000));
    put("four gigabytes.wav", &wave(floats, &of(0.1), u32::MAX - 100));
    put("tag.mp3", b"ID3\x04\0\0\0\0\0\x17TXXX\0\0\0\x0d\0\0\x03x\0\xff\xff\xff\xff\xff\xff");
    put("notes.txt", b"hello");
    symlink("loop.wav", folder.join("loop.wav")).unwrap();
    symlink("nowhere", folder.join("broken.wav")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe.wav")).status().unwrap().success());
    vec![
        ("nothing.wav", "it is in no known format"),
        ("text.wav", "it is in no known format"),
        ("not a number.wav", "samples that are not numbers"),
        ("silent.wav", "it is silent"),
        ("four gigabytes.wav", "it is damaged"),
        ("tag.mp3", "it is damaged"),
        ("notes.txt", "it is not a sound file"),
        ("loop.wav", "it cannot be read"),
        ("broken.wav", "it cannot be read"),
        ("pipe.wav", "it is not a file"),
    ]
}

#[test]
fn a_folder_of_awkward_files_trains_on_what_is_usable_and_names_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("my sounds");
    fs::create_dir(&folder).unwrap();
    let (usable, useless) = (write_usable(&folder), write_useless(&folder));

    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    let sizes = "--width 16 --encoder-blocks 1 --decoder-blocks 1 --quantizers 2 --latent-dim 8 \
        --codebook-size 16 --hidden-size 16 --layers 1 --heads 2 --no-report";
    command.current_dir(&home).args(["train", "my sounds", "-o", "made of it.distill"]);
    command.args(["--codec-steps", "3", "--prior-steps", "2"]).args(sizes.split_whitespace());
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");

    let bundle = Bundle::open(&home.path().join("made of it.distill")).unwrap();
    let codes = bundle.corpus_codes();
    let mut names: Vec<&str> = codes.iter().map(|one| one.name.as_str()).collect();
    let mut expected = usable;
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected, "{told}");
    for (name, why) in useless {
        let line = told.lines().find(|line| line.starts_with(&format!("skipped {name}: ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}, {why}: {told}");
    }
}

/// The program with `arguments`, without the power of root to read everything, if it has that.
#[cfg(target_os = "linux")]
fn as_anybody(home: &Path, arguments: &str) -> Command {
    use std::os::unix::fs::MetadataExt as _;
    let program = env!("CARGO_BIN_EXE_distill");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(if is_root { "setpriv" } else { program });
    if is_root {
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--", program]);
    }
    command.current_dir(home).args(arguments.split_whitespace());
    command
}

#[cfg(target_os = "linux")]
#[test]
fn what_may_not_be_read_is_named_and_costs_only_itself() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sounds");
    fs::create_dir(&folder).unwrap();
    write_usable(&folder);
    let bundle = home.path().join("locked.distill");
    let locked = [folder.join("locked.wav"), bundle];
    for path in &locked {
        fs::write(path, tone((INTEGERS, 1, 48_000, 16), 440.0, 48_000)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    }
    let output = as_anybody(home.path(), "check sounds").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let line = told.lines().find(|line| line.contains("locked.wav")).unwrap();
    assert!(line.starts_with("skipped") && line.contains("Permission denied"), "{line}");
    let output = as_anybody(home.path(), "inspect locked.distill").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("cannot read locked.distill: Permission denied"), "{told}");
    let output = as_anybody(home.path(), "generate locked.distill").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
