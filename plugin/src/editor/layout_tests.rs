//! Every text of the window can be read at every scale: none covers another, or is cut off.

use std::sync::Arc;
use std::time::Instant;

use distill_shared::codes::unflatten_codes;
use distill_shared::library::{Content, Entry};
use distill_shared::preset::{MadeFor, Preset, PresetEntry, VERSION};
use egui::epaint::{ClippedShape, Shape};
use nice_plug::context::gui::{GuiContext, ParamSetter};

use super::codes::CodesPage;
use super::library::LibraryPage;
use super::presets::PresetsPage;
use super::surface::SIZE;
use super::*;
use crate::auditions::Audition;
use crate::clips::{Clip, MAX_NAME};
use crate::history::Origin;
use crate::instance::{ModelRef, Stop};
use crate::level_names;
use crate::locks::Locks;
use crate::pretend_host::PretendHost;
use crate::selection::Selection;
use crate::state::BundleRef;
use crate::zones::Zones;

/// Digest of the codec of everything here.
const CODEC: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";
/// Levels of it.
const LEVELS: usize = 16;
/// Parts of names and paths that somebody has given.
const GIVEN: [&str; 6] =
    ["#soft", "A bundle with", "A preset with", "Bells and more", "Felt Piano", "WWWW"];
/// Windows at which what is shown has settled.
const SETTLED: usize = 6;

/// A line of text as it is shown: what it says, where its letters are, and where they may be.
#[derive(Debug, Clone)]
struct Shown {
    text: String,
    ink: egui::Rect,
    room: egui::Rect,
    /// What was to be said, if it was shortened before or within what is ours.
    shortened: Option<String>,
}

/// The texts of a picture.
fn texts(shapes: &[ClippedShape]) -> Vec<Shown> {
    fn add(shape: &Shape, room: egui::Rect, texts: &mut Vec<Shown>) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| add(shape, room, texts)),
            Shape::Text(text) => {
                for row in &text.galley.rows {
                    let ink =
                        row.visuals.mesh_bounds.translate(text.pos.to_vec2() + row.pos.to_vec2());
                    // What is scrolled out of sight is nobody's trouble.
                    if ink.is_positive() && ink.intersects(room) {
                        let galley = &text.galley;
                        let shortened = galley.elided && is_lacking(&galley.job.text, &row.text());
                        let shortened = shortened.then(|| galley.job.text.clone());
                        texts.push(Shown { text: row.text(), ink, room, shortened });
                    }
                }
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    shapes.iter().for_each(|shape| add(&shape.shape, shape.clip_rect, &mut texts));
    texts
}

/// Whether what is shown of a text lacks something of ours. Names may be as long as somebody likes, so
/// they come last, and may be shortened.
fn is_lacking(text: &str, shown: &str) -> bool {
    let given = GIVEN.iter().filter_map(|given| text.find(given)).min();
    shown.trim_end_matches('…').len() < given.unwrap_or(text.len())
}

/// What cannot be read of it, in words.
fn faults(texts: &[Shown], window: egui::Rect, pixel: f32) -> Vec<String> {
    let cut = texts.iter().filter(|shown| {
        let room = shown.room.intersect(window).expand(pixel);
        !room.contains_rect(shown.ink)
    });
    let mut faults: Vec<String> = cut
        .map(|Shown { text, ink, room, .. }| format!("“{text}” at {ink:?} is cut off by {room:?}"))
        .collect();
    let shortened = texts.iter().filter_map(|shown| shown.shortened.as_ref());
    faults.extend(shortened.map(|text| format!("“{text}” is shortened")));
    for (n, one) in texts.iter().enumerate() {
        for other in &texts[n + 1..] {
            let both = one.ink.intersect(one.room).intersect(other.ink.intersect(other.room));
            let covers = both.width() > pixel && both.height() > pixel;
            // A slider draws its number once for each of its colours.
            if covers && (&one.text, one.ink) != (&other.text, other.ink) {
                faults.push(format!("“{}” and “{}” meet at {both:?}", one.text, other.text));
            }
        }
    }
    faults
}

/// What a window is shown with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was loaded or played.
    Empty,
    /// A bundle plays, takes were played, and clips lie on pads.
    Played,
    /// The same, and whatever may go wrong has.
    Failed,
}

fn window(state: State) -> Window {
    let (selection, _) = Selection::new();
    let instance = Arc::clone(selection.instance());
    let mut window = Window::new(Arc::new(DistillParams::new(selection)));
    window.host = Some(GuiContext::new(Arc::new(PretendHost::default())));
    if state == State::Empty {
        return window;
    }
    let reference = BundleRef {
        digest: CODEC.to_owned(),
        path: "/home/somebody/Distill/Felt Piano and Bells.distill".to_owned(),
        name: "Felt Piano and Bells of the Old Town Hall".to_owned(),
        ..BundleRef::default()
    };
    let edition = instance.choose(reference.clone());
    let details = "214 recordings, 1893 s, stereo, 48000 Hz";
    let playing = ModelRef { codec: CODEC.to_owned(), ..ModelRef::default() };
    let zones = Zones::default();
    assert!(instance.succeed(edition, reference, details.to_owned(), zones, playing));
    let frames: Vec<u32> = (0..LEVELS * 300).map(|n| u32::try_from(n % 997).unwrap_or(0)).collect();
    for pad in [None, Some(3), None, Some(23), None] {
        let origin = Origin { edition, levels: LEVELS, pitch: None, pad };
        instance.history().add(None, &origin, &frames, Instant::now());
    }
    let codes = Arc::new(unflatten_codes(&frames, LEVELS).expect("whole frames"));
    for (pad, name) in [(0, "Bell"), (1, "A soft bell"), (13, "W")] {
        let codec = if pad == 1 { "ab".repeat(32) } else { CODEC.to_owned() };
        let name = if pad == 13 { name.repeat(MAX_NAME) } else { name.to_owned() };
        let clip =
            Clip { name, rating: 5, codec, codes: Arc::clone(&codes), locks: Locks::default() };
        instance.pads().set(pad, Some(clip));
    }
    instance.naming().set(CODEC, 2, Some(&"W".repeat(level_names::MAX_NAME)));
    if state == State::Failed {
        instance.show_error(
            "The bundle “Felt Piano and Bells of the Old Town Hall” is not at \
             /home/somebody/Music/Projects/2026/November/Distill/Felt Piano and Bells.distill, and \
             was not found by its content beside it or in the library: choose it again."
                .to_owned(),
        );
        instance.stop(Stop::Hopeless);
    }
    window.library = LibraryPage::holding(entries());
    window.presets = PresetsPage::holding(presets());
    window
}

fn entries() -> Vec<Entry> {
    let content = Content {
        digest: String::new(),
        title: "Felt Piano and Bells".to_owned(),
        created: "2026-11-28T10:00:00Z".to_owned(),
        files: 214,
        seconds: 1893.0,
        channels: 2,
        sample_rate: 48_000,
        classes: ["bells", "felt", "hammers"].map(str::to_owned).into(),
        has_prior: false,
    };
    let entry = |name: &str, content: Result<Content, String>| Entry {
        path: format!("/home/somebody/Distill/{name}.distill").into(),
        name: name.to_owned(),
        bytes: 23_400_000,
        tags: ["soft", "rehearsals", "town-hall"].map(str::to_owned).into(),
        content,
    };
    let long = "A bundle with the longest name that anybody has ever given to a bundle of theirs";
    let broken = "the file is cut off, or was changed after it was written: copy it again";
    vec![
        entry("Bells", Ok(Content { has_prior: true, ..content.clone() })),
        entry(long, Ok(content)),
        entry("Broken", Err(format!("/home/somebody/Distill/Broken.distill: {broken}"))),
    ]
}

fn presets() -> Vec<PresetEntry> {
    let preset = |name: &str, digest: String, bundle: &str| Preset {
        version: VERSION,
        name: name.to_owned(),
        bundle: MadeFor { digest, name: bundle.to_owned() },
        values: [].into(),
    };
    let entry = |name: &str, content| PresetEntry {
        path: format!("/home/somebody/Distill/{name}.distill-preset").into(),
        content,
    };
    let long = "A preset with the longest name that anybody has ever given to one of their presets";
    let broken = "is no preset, or is damaged: expected value at line 1 column 1";
    vec![
        entry("Soft", Ok(preset("Soft", CODEC.to_owned(), "Bells"))),
        entry(long, Ok(preset(long, "ab".repeat(32), &"Bells and more bells ".repeat(8)))),
        entry("Broken", Err(format!("/home/somebody/Distill/Broken.distill-preset {broken}"))),
    ]
}

/// What of the texts of a page cannot be read.
fn faults_of(window: &mut Window, scale: f32) -> Vec<String> {
    #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
    let size = egui::vec2(SIZE.width as f32, SIZE.height as f32);
    let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, size);
    let context = egui::Context::default();
    context.set_theme(egui::Theme::Dark);
    let (mut shapes, mut whole) = (Vec::new(), egui::Rect::NOTHING);
    for n in 0..SETTLED {
        let mut input = egui::RawInput {
            screen_rect: Some(screen),
            time: Some(n as f64 * 0.1),
            ..Default::default()
        };
        let viewport = input.viewports.entry(egui::ViewportId::ROOT).or_default();
        viewport.native_pixels_per_point = Some(scale);
        let mut output = context.run_ui(input, |ui| {
            egui::CentralPanel::default().frame(panel(ui)).show(ui, |ui| {
                window.show(ui);
                whole = ui.min_rect();
            });
        });
        output.textures_delta.clear();
        assert_eq!(output.pixels_per_point, scale);
        shapes = output.shapes;
    }
    let texts = texts(&shapes);
    assert!(texts.len() > 5, "there is something to be read");
    let mut faults = faults(&texts, screen, 1.0 / scale);
    // What lies wholly outside is not drawn, and so it has no text.
    if !screen.expand(1.0 / scale).contains_rect(whole) {
        faults.push(format!("{whole:?} is more than the window shows"));
    }
    faults
}

#[test]
fn every_text_can_be_read_at_every_scale() {
    let mut all = Vec::new();
    for state in [State::Empty, State::Played, State::Failed] {
        for page in [Page::Play, Page::Codes, Page::Library, Page::Presets] {
            for scale in [1.0, 1.5, 2.0] {
                let mut window = window(state);
                window.page = page;
                if page == Page::Codes && state != State::Empty {
                    let host = PretendHost::default();
                    let setter = ParamSetter::new(&host);
                    let foreign = state == State::Failed;
                    window.codes = CodesPage::with_open(&window.params, &setter, foreign);
                }
                for fault in faults_of(&mut window, scale) {
                    all.push(format!("{state:?}, {page:?} at {scale}: {fault}"));
                }
            }
        }
    }
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

#[test]
fn texts_that_meet_or_are_cut_off_are_found() {
    let shown = |x: f32, right: f32| Shown {
        text: format!("{x}"),
        ink: egui::Rect::from_min_max(egui::pos2(x, 0.0), egui::pos2(x + 20.0, 10.0)),
        room: egui::Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(right, 10.0)),
        shortened: None,
    };
    let shortened = |text: &str| Shown { shortened: Some(text.to_owned()), ..shown(0.0, 100.0) };
    let window = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(100.0, 100.0));
    let count = |texts: &[Shown]| faults(texts, window, 1.0).len();
    assert_eq!(count(&[shown(0.0, 100.0), shown(19.5, 100.0)]), 0);
    assert_eq!(count(&[shown(0.0, 100.0), shown(18.5, 100.0)]), 1);
    assert_eq!(count(&[shown(0.0, 18.5)]), 1, "by its room");
    assert_eq!(count(&[shown(85.0, 200.0)]), 1, "by the window");
    assert_eq!(count(&[shortened("Brightness")]), 1);
    assert!(is_lacking("for Felt Piano", "fo…") && is_lacking("Bright", "Brig…"));
    assert!(!is_lacking("for Felt Piano", "for Felt…"), "somebody has given it");
}

#[test]
fn what_is_listened_to_on_a_page_sounds_as_long_as_it_is_shown() {
    for page in [Page::Codes, Page::Library] {
        let mut window = window(State::Played);
        let _ = faults_of(&mut window, 1.0);
        window.page = page;
        let _ = faults_of(&mut window, 1.0);
        let instance = Arc::clone(window.params.selection.instance());
        let codes = Arc::new(unflatten_codes(&[1; LEVELS], LEVELS).expect("a frame"));
        let audition = Audition { codes, other: None, frames: 0..1, looped: false };
        let number = instance.auditions().begin(audition);
        window.library.listen("a.distill", number);
        let _ = faults_of(&mut window, 1.0);
        assert_eq!(instance.auditions().wanted(), Some(number), "{page:?}");
        window.page = Page::Play;
        let _ = faults_of(&mut window, 1.0);
        assert_eq!(instance.auditions().wanted(), None, "{page:?}");
    }
}
