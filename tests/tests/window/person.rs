//! A person at the page of codes, with mouse and keyboard.

use std::fs;
use std::path::PathBuf;

use distill_tests::host::{Instrument, Playback, state};
use distill_tests::phrase::Note;
use distill_tests::screen::Screen;
use serde_json::Value;

use super::built::{PHRASE, enter, instrument};
use super::{CODES, drawn, open, wait};

/// Where things are in the window, as large as usual.
pub(crate) const LIBRARY: (i16, i16) = (212, 22);
pub(crate) const PRESETS: (i16, i16) = (279, 22);
pub(crate) const NEWEST_TAKE: (i16, i16) = (78, 97);
const REGENERATE: (i16, i16) = (590, 78);
const PRESET_NAME: (i16, i16) = (140, 55);
const SAVE_PRESET: (i16, i16) = (321, 55);
const EXPORT: (i16, i16) = (564, 55);
const FORMAT: (i16, i16) = (650, 55);
const FLOAT: (i16, i16) = (640, 127);
const MIDDLE: (i16, i16) = (490, 320);
/// Letters that a German keyboard has the other way round.
const GERMAN: [u32; 2] = [0x79, 0x7a];
/// A part of the grid: some frames of the finer levels.
const PART: [(i16, i16); 2] = [(400, 250), (520, 420)];
/// A note of the pad that the first clip lies on.
const PAD: Note = Note { start: 1.0, end: 3.9, key: 48, velocity: 1.0 };

/// Makes a part of a take anew, undoes it, does it again, exports it, saves the project, opens it, and
/// plays the clip.
pub(crate) fn makes_a_part_anew_keeps_it_and_finds_it_again(screen: &Screen) {
    let folder = exports();
    let _ = fs::remove_dir_all(&folder);
    let mut first = instrument();
    first.play(&PHRASE, &Playback::default()).unwrap();
    screen.exchange(GERMAN).unwrap();
    let (parent, size) = open(screen, &mut first);
    drawn(screen, size);
    screen.click(CODES).unwrap();
    screen.click(NEWEST_TAKE).unwrap();
    screen.drag(PART[0], PART[1]).unwrap();
    assert_eq!(codes(&mut first), "", "nothing is kept yet");
    screen.click(REGENERATE).unwrap();
    let anew = wait("the part is made", || Some(codes(&mut first)).filter(|now| !now.is_empty()));
    screen.press(u32::from('z'), true).unwrap();
    let before = wait("it is undone", || Some(codes(&mut first)).filter(|now| *now != anew));
    let changed = before.bytes().zip(anew.bytes()).filter(|(a, b)| a != b).count();
    assert!(changed > 0 && changed < before.len() / 4, "{changed} of {} digits", before.len());
    screen.press(u32::from('y'), true).unwrap();
    wait("it is done again", || (codes(&mut first) == anew).then_some(()));
    screen.exchange(GERMAN).unwrap();
    screen.click(FORMAT).unwrap();
    screen.click(FLOAT).unwrap();
    screen.click(EXPORT).unwrap();
    let file = wait("it is exported", || {
        let mut files = fs::read_dir(&folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        files.find(|path| path.extension().is_some_and(|extension| extension == "wav"))
    });
    let project = first.save().unwrap();
    first.close_window();
    screen.destroy(parent).unwrap();
    drop(first);

    let mut second = instrument();
    second.load(&project).unwrap();
    enter(&mut second, "Keys", "Pads");
    let heard = second.play(&[PAD], &Playback::default()).unwrap();
    let mut exported = hound::WavReader::open(&file).unwrap();
    let exported: Vec<f32> = exported.samples().map(Result::unwrap).collect();
    assert!(exported.iter().any(|sample| sample.abs() > 1e-3), "it has sound");
    let start = Playback::default().sample_at(PAD.start);
    for (n, frame) in exported.chunks(2).enumerate() {
        let same = [heard.channels[0][start + n], heard.channels[1][start + n]];
        assert_eq!(frame, same, "sample {n} of {}", exported.len() / 2);
    }
    assert_eq!(codes(&mut second), anew, "it is in the project");
}

/// Drops a sound and then a bundle on the window, as out of a file manager: the sound is on a pad, and
/// the bundle plays; dropped on the library, it is in there.
pub(crate) fn drops_files(screen: &Screen) {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("a bell.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(&sound, spec).unwrap();
    for t in 0..24_000_i16 {
        file.write_sample((t % 96 - 48) * (240 - t / 100)).unwrap();
    }
    file.finalize().unwrap();
    let bundle = folder.path().join("mine.distill");
    let factory = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/factory.distill");
    fs::copy(factory, &bundle).unwrap();

    let mut instrument = instrument();
    instrument.play(&PHRASE, &Playback::default()).unwrap();
    let (parent, size) = open(screen, &mut instrument);
    drawn(screen, size);
    screen.drop_file(&sound, MIDDLE).unwrap();
    wait("the sound is on a pad", || (!codes(&mut instrument).is_empty()).then_some(()));
    assert_eq!(clips(&mut instrument)["clips"][0]["name"], "a bell");
    screen.drop_file(&bundle, MIDDLE).unwrap();
    wait("the bundle is chosen", || {
        let project = state::open(&instrument.save().unwrap()).unwrap();
        let chosen = project["fields"]["bundle"].as_str().unwrap().to_owned();
        chosen.contains(bundle.to_str().unwrap()).then_some(())
    });
    let library = PathBuf::from(std::env::var_os("DISTILL_FOLDER").unwrap());
    let added = library.join("mine.distill");
    assert!(!added.exists());
    screen.click(LIBRARY).unwrap();
    screen.drop_file(&bundle, MIDDLE).unwrap();
    wait("it is in the library", || {
        (fs::read(&added).ok()? == fs::read(&bundle).unwrap()).then_some(())
    });
    fs::remove_file(added).unwrap();
    instrument.close_window();
    screen.destroy(parent).unwrap();
}

/// Saves the settings as they are, at the page of presets.
pub(crate) fn saves_a_preset(screen: &Screen, name: &str) {
    let mut instrument = instrument();
    // A preset is one for a bundle.
    instrument.play(&PHRASE, &Playback::default()).unwrap();
    let (parent, size) = open(screen, &mut instrument);
    drawn(screen, size);
    screen.click(PRESETS).unwrap();
    screen.click(PRESET_NAME).unwrap();
    for letter in name.chars() {
        screen.press(u32::from(letter), false).unwrap();
    }
    // All of it goes to the clipboard, and comes from there.
    for letter in ['a', 'x', 'v'] {
        screen.press(u32::from(letter), true).unwrap();
    }
    screen.click(SAVE_PRESET).unwrap();
    let library = PathBuf::from(std::env::var_os("DISTILL_FOLDER").unwrap());
    let file = library.join(format!("{name}.distill-preset"));
    wait("it is saved", || file.exists().then_some(()));
    instrument.close_window();
    screen.destroy(parent).unwrap();
}

/// The codes of the first clip in the project, as digits; nothing if there is none.
fn codes(instrument: &mut Instrument) -> String {
    clips(instrument)["clips"][0]["codes"].as_str().unwrap_or_default().to_owned()
}

/// The clips in the project.
fn clips(instrument: &mut Instrument) -> Value {
    let project = state::open(&instrument.save().unwrap()).unwrap();
    serde_json::from_str(project["fields"]["clips"].as_str().unwrap()).unwrap()
}

/// Where the instrument exports to.
fn exports() -> PathBuf {
    PathBuf::from(std::env::var_os("DISTILL_FOLDER").unwrap()).join("Exports")
}
