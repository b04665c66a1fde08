//! The report of a run: there while it goes on and after it, whole, and with nothing from elsewhere.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "report/browser.rs"]
mod browser;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use distill_shared::bundle::Bundle;
use distill_trainer::audio::decode::decode;
use distill_trainer::audio::export::{BitDepth, ExportFormat, FileFormat, write_audio};
use roxmltree::{Document, Node, ParsingOptions};
use tempfile::TempDir;

/// Sizes of a model that trains in a blink, on one thread.
const TINY: &str = "--width 16 --encoder-blocks 1 --decoder-blocks 1 --quantizers 2 \
    --codebook-size 16 --latent-dim 8 --hidden-size 16 --layers 1 --heads 2 --codec-batch 2 \
    --prior-batch 2 --seed 7 --threads 1";
/// A recording whose name would do something if it were taken for markup.
const EVIL: &str = "<script>alert('&')<img src=x onerror=alert(1)>.wav";
/// Samples of each recording.
const SAMPLES: u16 = 15_000;

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distill"));
    command.current_dir(folder).args(arguments.split_whitespace());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs the program and gives what it told; it must end with `code`.
fn expect(folder: &Path, arguments: &str, code: i32) -> String {
    let output = command(folder, arguments).spawn().unwrap().wait_with_output().unwrap();
    told(&output, code)
}

fn told(output: &Output, code: i32) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

/// A folder with four short recordings in `sounds`, one of them of a wicked name, and one that is none.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let sounds = home.path().join("sounds");
    fs::create_dir(&sounds).unwrap();
    let format = ExportFormat { format: FileFormat::Wav, bit_depth: BitDepth::Int16, rate: 48_000 };
    for (hz, name) in [(150.0, "a.wav"), (300.0, "b.wav"), (450.0, "c & d.wav"), (600.0, EVIL)] {
        let value = |t: u16| {
            let t = f32::from(t) / 48_000.0;
            0.5 * (-6.0 * t).exp() * (std::f32::consts::TAU * hz * t).sin()
        };
        write_audio(&sounds.join(name), &[(0..SAMPLES).map(value).collect()], format).unwrap();
    }
    fs::write(sounds.join("<b>broken.wav"), "no sound").unwrap();
    home
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

/// Waits until `path` has a text that `is_so`.
fn wait_for(path: &Path, is_so: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if is_so(&text) {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "not in two minutes: {text}");
        sleep(Duration::from_millis(5));
    }
}

fn stop(child: Child) -> String {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    told(&child.wait_with_output().unwrap(), 3)
}

/// The texts of the first element of this name and these attributes, and of all in it.
fn text_of(page: &Document, is_it: impl Fn(&Node) -> bool) -> String {
    let element = page.descendants().find(is_it).unwrap();
    element.descendants().filter_map(|node| node.is_text().then(|| node.text()).flatten()).collect()
}

fn state(page: &Document) -> String {
    text_of(page, |node| node.attribute("class").is_some_and(|class| class.starts_with("state ")))
}

fn is_read_anew(page: &Document) -> bool {
    page.descendants().any(|node| node.attribute("http-equiv") == Some("refresh"))
}

/// Bytes of everything that the page holds as data of this media type.
fn data(page: &Document, tag: &str, media_type: &str) -> Vec<Vec<u8>> {
    let elements = page.descendants().filter(|node| node.has_tag_name(tag));
    let bytes = elements.map(|node| {
        let uri = node.attribute("src").unwrap();
        STANDARD.decode(uri.strip_prefix(&format!("data:{media_type};base64,")).unwrap()).unwrap()
    });
    bytes.collect()
}

/// Points of the held-out curve in the first chart: the elements of that class but for the line.
fn measurements(page: &Document) -> usize {
    let chart = page.descendants().find(|node| node.has_tag_name("svg")).unwrap();
    chart.descendants().filter(|node| node.attribute("class") == Some("held")).count() - 1
}

/// The page without the section of times.
fn without_times(page: &str) -> String {
    let (before, rest) = page.split_once("<section id=\"times\">").unwrap();
    format!("{before}{}", rest.split_once("</section>").unwrap().1)
}

#[test]
fn a_report_is_there_while_a_run_goes_on_and_keeps_its_curves_when_it_is_resumed() {
    let home = home();
    let home = home.path();
    let report = home.join("x.report.html");
    let train = format!("train sounds -o x.distill {TINY} --codec-steps 600 --prior-steps 20");
    let child = command(home, &format!("{train} --log log.jsonl")).spawn().unwrap();
    let page = wait_for(&report, |text| text.contains("training the codec"));
    let page = parse(&page);
    assert!(is_read_anew(&page) && state(&page).contains("Now training the codec"));
    wait_for(&home.join("log.jsonl"), |text| text.contains("codec_epoch"));
    assert!(stop(child).contains("report  x.report.html"));
    let text = fs::read_to_string(&report).unwrap();
    let page = parse(&text);
    assert!(!is_read_anew(&page));
    let state_told = state(&page);
    assert!(
        state_told.contains("Stopped") && state_told.contains("is in x.distill"),
        "{state_told}"
    );
    let before = measurements(&page);
    assert!((1..12).contains(&before), "{before} measurements");

    expect(home, &train, 0);
    let text = fs::read_to_string(&report).unwrap();
    let page = parse(&text);
    assert!(state(&page).contains("Done") && text.contains("has gone on from where it was"));
    let bundle = Bundle::open(&home.join("x.distill")).unwrap();
    assert_eq!(measurements(&page), bundle.card().codec.training.curve.len());
    let shown: Vec<_> = fs::read_dir(home).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(shown.len(), 4, "sounds, bundle, log and report: {shown:?}");
}

#[test]
fn a_report_lets_hear_and_see_what_was_trained() {
    let home = home();
    let home = home.path();
    expect(home, &format!("train sounds -o x.distill {TINY} --codec-steps 24 --prior-steps 24"), 0);
    let text = fs::read_to_string(home.join("x.report.html")).unwrap();
    for outside in ["http:", "https:", "<script", "<b>broken", "src=\"x"] {
        assert!(!text.contains(outside), "{outside}");
    }
    let page = parse(&text);
    for node in page.descendants() {
        for name in ["src", "href"] {
            assert!(node.attribute(name).is_none_or(|address| address.starts_with("data:")));
        }
        assert!(
            !node.has_tag_name("img") || node.attribute("alt").is_some_and(|alt| !alt.is_empty())
        );
    }
    let sounds = data(&page, "audio", "audio/flac");
    assert_eq!(sounds.len(), 3 + 2 * 5, "takes, and what was held out, and the others beside it");
    let samples = |bytes: &Vec<u8>| {
        let path = home.join("sound.flac");
        fs::write(&path, bytes).unwrap();
        decode(&path).unwrap().audio[0].len()
    };
    let samples: Vec<usize> = sounds.iter().map(samples).collect();
    assert_eq!(samples[..3], [4 * 48_000; 3]);
    // The last tenth of one was held out.
    let expected = [SAMPLES / 10, SAMPLES - SAMPLES / 10, SAMPLES, SAMPLES, SAMPLES];
    let (recordings, kept): (Vec<usize>, Vec<usize>) =
        samples[3..].chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    assert_eq!(recordings, kept, "as long as the recordings");
    assert_eq!(recordings[0], usize::from(SAMPLES / 10), "what was held out comes first");
    let mut heard = recordings;
    heard.sort_unstable();
    assert_eq!(heard, expected.map(usize::from));
    let pictures = data(&page, "img", "image/png");
    assert_eq!(pictures.len(), sounds.len() + 2, "one of each sound, and one of each level");
    assert!(pictures.iter().all(|bytes| bytes.starts_with(b"\x89PNG")));
    let of = |id: &str| text_of(&page, |node| node.attribute("id") == Some(id));
    assert!(of("files").contains("<b>broken.wav"), "{}", of("files"));
    assert!(of("files").contains("4 of 5 files are used"));
    assert!(
        of("codes").contains("from the most used to the least") && of("takes").contains("Copying")
    );
    assert!(of("training").contains("knowing which code follows which"));
    assert!(of("settings").contains("distill train sounds -o x.distill --width 16"));
    assert!(of("offer").contains("not, and why"));
}

#[test]
fn the_same_run_gives_the_same_report_but_for_times_and_the_same_bundle_without_one() {
    let made = |more: &str| {
        let home = home();
        let train = format!("train sounds -o x.distill {TINY} --codec-steps 15 --prior-steps 15");
        expect(home.path(), &format!("{train}{more}"), 0);
        let bundle = Bundle::open(&home.path().join("x.distill")).unwrap();
        let report = fs::read_to_string(home.path().join("x.report.html")).ok();
        (bundle.digest().to_owned(), report)
    };
    let ((digest, one), (_, other)) = (made(""), made(""));
    let (one, other) = (without_times(&one.unwrap()), without_times(&other.unwrap()));
    assert!(one == other, "reports differ");
    assert_eq!(made(" --no-report"), (digest, None));
}

#[test]
fn a_report_that_cannot_be_written_is_one_warning() {
    let home = home();
    let home = home.path();
    fs::create_dir_all(home.join("x.report.html/full")).unwrap();
    let train = format!("train sounds -o x.distill {TINY} --codec-steps 6 --prior-steps 6 --quiet");
    let told = expect(home, &train, 0);
    assert_eq!(told.matches("there is no report of this run").count(), 1, "{told}");
    assert!(Bundle::open(&home.join("x.distill")).unwrap().has_prior());
    let left: Vec<_> = fs::read_dir(home).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing is left of the attempts: {left:?}");
}

#[test]
fn a_prior_that_is_trained_alone_has_a_report_of_its_own() {
    let home = home();
    let home = home.path();
    let train = format!("train sounds -o x.distill {TINY} --codec-steps 12 --stage codec");
    expect(home, &train, 0);
    let codec = fs::read_to_string(home.join("x.report.html")).unwrap();
    assert!(!codec.contains("id=\"takes\""), "a codec makes nothing new");
    let alone =
        "train-prior x.distill --steps 6 --prior-batch 2 --layers 1 --hidden-size 16 --heads 2";
    expect(home, alone, 0);
    assert_eq!(fs::read_to_string(home.join("x.report.html")).unwrap(), codec);
    let text = fs::read_to_string(home.join("x.prior.report.html")).unwrap();
    let page = parse(&text);
    assert_eq!(data(&page, "audio", "audio/flac").len(), 3, "there are no recordings to hear");
    assert!(measurements(&page) > 0, "the curve of the codec is on the card");
}

#[test]
#[ignore = "needs Chromium: cargo xtask test"]
fn a_browser_shows_and_plays_a_report_without_a_complaint() {
    let home = home();
    let home = home.path();
    expect(home, &format!("train sounds -o x.distill {TINY} --codec-steps 24 --prior-steps 24"), 0);
    let report = fs::read_to_string(home.join("x.report.html")).unwrap();
    for width in [1100, 500] {
        let Some((found, complaints)) = browser::found_in(&report, width, home) else {
            println!("skipped: there is no Chromium");
            return;
        };
        assert_eq!(complaints, [""; 0], "{width} pixels wide");
        let all = |name: &str, is_so: &dyn Fn(f64) -> bool| {
            let values = found[name].as_array().unwrap();
            assert!(
                !values.is_empty() && values.iter().all(|v| v.as_f64().is_some_and(is_so)),
                "{found}"
            );
        };
        all("seconds", &|seconds| seconds == 4.0 || (0.03..0.32).contains(&seconds));
        all("widths", &|pixels| pixels > 0.0);
        all("curves", &|length| length > 10.0);
        assert_eq!(found["scripts"], 1, "the one that looks");
        assert_eq!(found["overflow"], 0, "{width} pixels are wide enough");
        assert_eq!(found["fetched"].as_array().map(Vec::len), Some(0), "{found}");
    }
}
