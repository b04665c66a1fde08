//! The page: one HTML file that needs nothing but itself.

mod facts;
mod listening;
mod training;

use super::html::Html;
use super::story::{State, Story};
use crate::progress::clock;

/// How it looks.
const STYLE: &str = include_str!("style.css");
/// What a browser may do with it: show it. No script runs, whatever a file is called, and nothing is
/// fetched.
const POLICY: &str =
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'";
/// Seconds after which a page of a run that goes on is read anew; longer once there is something to
/// listen to, which that interrupts.
const AGAIN_S: u32 = 10;
const AGAIN_LISTENING_S: u32 = 60;

/// Times: all that differs between two reports of the same run.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// When the run began, or went on.
    pub(super) began: String,
    /// When this was written.
    pub(super) written: String,
    /// Seconds that the run has taken, those before it went on included.
    pub(super) spent_s: f64,
    /// Seconds that the stage at hand still needs, if that is known.
    pub(super) left_s: Option<f64>,
    /// Seconds that each stage took.
    pub(super) stages_s: Vec<(&'static str, f64)>,
}

/// The page that tells `story`.
pub(super) fn page(story: &Story, times: &Times) -> String {
    let mut html = Html::default();
    html.verbatim("<!DOCTYPE html>\n");
    html.within("html", &[("lang", "en")], |html| {
        html.within("head", &[], |html| add_head(story, html));
        html.within("body", &[], |html| {
            html.within("header", &[], |html| add_state(story, html));
            html.within("main", &[], |html| {
                listening::add_takes(story, html);
                listening::add_pairs(story, html);
                training::add_curves(story, html);
                training::add_codes(story, html);
                facts::add_offer(story, html);
                facts::add_files(story, html);
                facts::add_settings(story, html);
                add_times(times, html);
            });
        });
    });
    html.into_text()
}

fn add_head(story: &Story, html: &mut Html) {
    html.void("meta", &[("charset", "utf-8")]);
    html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    if story.goes_on() {
        let seconds = again_s(story).to_string();
        html.void("meta", &[("http-equiv", "refresh"), ("content", &seconds)]);
    }
    html.line("title", &format!("{} – a report of distill", story.name));
    html.within("style", &[], |html| html.verbatim(STYLE));
}

fn again_s(story: &Story) -> u32 {
    if story.pairs.is_empty() { AGAIN_S } else { AGAIN_LISTENING_S }
}

/// What it is about, and what the run is at.
fn add_state(story: &Story, html: &mut Html) {
    html.line("h1", &story.name);
    let bundle = story.bundle.as_deref().unwrap_or("no bundle");
    let (class, title, told) = match &story.state {
        State::Doing(what) => ("doing", format!("Now {what}"), place_in_words(story)),
        State::Done => ("done", "Done".to_owned(), format!("What was learnt is in {bundle}.")),
        State::Stopped => (
            "stopped",
            "Stopped".to_owned(),
            format!(
                "The run was stopped before its end. What was learnt until then is in {bundle}; repeat the \
                 command below to go on."
            ),
        ),
        State::Diverged(why) => ("failed", "Training diverged".to_owned(), sentence(why)),
        State::Failed(why) => ("failed", "The run failed".to_owned(), sentence(why)),
    };
    html.within("div", &[("class", &format!("state {class}"))], |html| {
        html.element("p", &[("class", "title")], &title);
        if let Some((step, steps)) = story.place.filter(|_| story.goes_on()) {
            let (value, max) = (step.min(steps).to_string(), steps.max(1).to_string());
            let label = [("aria-label", "share of this stage that is done")];
            let values = [("value", &*value), ("max", &*max)];
            html.element("progress", &[&label[..], &values[..]].concat(), "");
        }
        html.line("p", &told);
        if story.goes_on() {
            let seconds = again_s(story);
            let text = format!("This page is read anew every {seconds} s as long as it goes on.");
            html.element("p", &[("class", "note")], &text);
        }
    });
    if story.resumed {
        let text = "The run was interrupted, and has gone on from where it was.";
        html.element("p", &[("class", "note")], text);
    }
    if !story.warnings.is_empty() {
        html.within("div", &[("class", "state warned")], |html| {
            html.element("p", &[("class", "title")], "Warnings");
            html.list(&story.warnings);
        });
    }
}

fn place_in_words(story: &Story) -> String {
    match story.place {
        Some((step, steps)) if steps > 0 => format!("Step {step} of {steps}."),
        Some((step, _)) => format!("Step {step}; how many there will be is being measured."),
        None => String::new(),
    }
}

fn add_times(times: &Times, html: &mut Html) {
    let mut rows = vec![
        ("begun", times.began.clone()),
        ("written", times.written.clone()),
        ("taken", clock(times.spent_s)),
    ];
    rows.extend(times.stages_s.iter().map(|(name, seconds)| (*name, clock(*seconds))));
    rows.extend(times.left_s.map(|seconds| ("this stage needs still", clock(seconds))));
    html.within("section", &[("id", "times")], |html| {
        html.line("h2", "Times");
        html.pairs(&rows);
        if times.left_s.is_some() {
            let text = "If this was written long ago, the run was interrupted: repeat the command above to go on.";
            html.element("p", &[("class", "note")], text);
        }
    });
}

/// A text as a sentence: a capital letter first, a full stop last.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::story::Files;

    fn text_of(page: &str) -> String {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let page = roxmltree::Document::parse_with_options(page, options).unwrap();
        let texts = page.descendants().filter(roxmltree::Node::is_text);
        let texts = texts.filter_map(|node| node.text()).map(str::trim);
        let texts = texts.filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join("\n")
    }

    fn is_read_anew(page: &str) -> bool {
        page.contains("http-equiv=\"refresh\"")
    }

    #[test]
    fn a_page_of_nothing_yet_is_whole_and_read_anew() {
        let page = page(&Story::default(), &Times::default());
        assert!(text_of(&page).contains("Now reading the recordings"));
        assert!(is_read_anew(&page));
    }

    #[test]
    fn the_end_of_a_run_is_told_in_words_and_the_page_rests() {
        let told = |state: State| {
            let bundle = Some("x.distill".to_owned());
            let story = Story { state, bundle, place: Some((3, 9)), ..Story::default() };
            let page = page(&story, &Times::default());
            assert!(!is_read_anew(&page));
            text_of(&page)
        };
        assert!(told(State::Done).contains("What was learnt is in x.distill."));
        assert!(told(State::Stopped).contains("repeat the command below to go on"));
        let diverged = told(State::Diverged("the loss became NaN at step 7".to_owned()));
        assert!(diverged.contains("Training diverged\nThe loss became NaN at step 7."));
        assert!(told(State::Failed("the disk is full".to_owned())).contains("The disk is full."));
    }

    #[test]
    fn names_of_files_are_texts_wherever_they_stand() {
        let evil = "<script>alert('&amp;')</script>\"' onload=\"x\u{202e}.wav";
        let mut story = Story {
            name: evil.to_owned(),
            command: evil.to_owned(),
            settings: vec![(evil.to_owned(), evil.to_owned())],
            bundle: Some(evil.to_owned()),
            offered: Some(vec![evil.to_owned()]),
            not_offered: vec![evil.to_owned()],
            files: Some(Files {
                classes: vec![evil.to_owned()],
                skipped: vec![(evil.to_owned(), evil.to_owned())],
                odd: vec![(evil.to_owned(), evil.to_owned())],
                ..Files::default()
            }),
            state: State::Failed(evil.to_owned()),
            ..Story::default()
        };
        story.warn(evil);
        let page = page(&story, &Times::default());
        assert!(!page.contains("<script") && !page.contains('\u{202e}'));
        let told = text_of(&page);
        assert!(told.matches("<script>alert('&amp;')</script>").count() >= 10, "{told}");
    }

    #[test]
    fn nothing_is_fetched_from_anywhere() {
        let page = page(&Story::default(), &Times::default());
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("src="));
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn texts_become_sentences() {
        assert_eq!(sentence("it is so"), "It is so.");
        assert_eq!(sentence("Is it so?"), "Is it so?");
        assert_eq!(sentence(""), ".");
    }
}
