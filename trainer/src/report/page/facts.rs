//! What can be asked for, what became of the files, and how to repeat the run.

use super::super::html::Html;
use super::super::story::{Files, Story};
use crate::progress::clock;

/// Files of a list that are named.
const NAMED: usize = 200;

/// What can be asked for, and why not the rest.
pub(super) fn add_offer(story: &Story, html: &mut Html) {
    let Some(offered) = &story.offered else { return };
    html.within("section", &[("id", "offer")], |html| {
        html.line("h2", "What can be asked for");
        if offered.is_empty() {
            html.line("p", "Nothing: it plays as it likes.");
        }
        html.list(offered);
        if !story.not_offered.is_empty() {
            html.line("h3", "And what not, and why");
            html.list(&story.not_offered);
        }
    });
}

/// What became of the files.
pub(super) fn add_files(story: &Story, html: &mut Html) {
    let Some(files) = &story.files else { return };
    html.within("section", &[("id", "files")], |html| {
        html.line("h2", "Recordings");
        html.line("p", &files_in_words(files));
        add_list("Files that are not used, and why", &files.skipped, html);
        add_list("Files that are used, though something about them is odd", &files.odd, html);
    });
}

fn files_in_words(files: &Files) -> String {
    let Files { used, held_out, found, seconds, channels, classes, .. } = files;
    let channels = if *channels == 1 { "mono" } else { "stereo" };
    let mut told = format!(
        "{used} of {found} files are used: {} in {channels}. {} held out from training, to measure with.",
        clock(*seconds),
        match held_out {
            0 => "The end of one is".to_owned(),
            1 => "1 of them is".to_owned(),
            held_out => format!("{held_out} of them are"),
        }
    );
    if !classes.is_empty() {
        told += &format!(" Folders that are kinds of sound: {}.", classes.join(", "));
    }
    told
}

fn add_list(title: &str, files: &[(String, String)], html: &mut Html) {
    if files.is_empty() {
        return;
    }
    html.line("h3", &format!("{title}: {}", files.len()));
    html.within("ul", &[("class", "files")], |html| {
        for (name, why) in files.iter().take(NAMED) {
            html.within("li", &[], |html| {
                html.line("b", name);
                html.text(why);
            });
        }
        if files.len() > NAMED {
            html.line("li", &format!("and {} more", files.len() - NAMED));
        }
    });
}

/// The command, and everything that decided the outcome.
pub(super) fn add_settings(story: &Story, html: &mut Html) {
    html.within("section", &[("id", "settings")], |html| {
        html.line("h2", "To repeat this run");
        html.within("pre", &[], |html| html.line("code", &story.command));
        let told = "The same recordings, settings and numbers of steps train the same model, to the bit; \
                    a run by time makes as many steps as it has time for.";
        html.line("p", told);
        let mut rows = story.settings.clone();
        for (name, stage) in [("codec", &story.codec), ("prior", &story.prior)] {
            if !stage.sizes.is_empty() {
                rows.push((name.to_owned(), stage.sizes.clone()));
            }
            if let Some(last) = stage.curve.last().filter(|_| stage.best.is_some()) {
                rows.push((format!("steps of the {name}"), last.step.to_string()));
            }
        }
        html.pairs(&rows);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_files_is_cut() {
        let skipped: Vec<(String, String)> =
            (0..250).map(|i| (format!("{i}.wav"), "it is silent".to_owned())).collect();
        let files = Some(Files { used: 3, found: 253, skipped, channels: 1, ..Files::default() });
        let mut html = Html::default();
        add_files(&Story { files, ..Story::default() }, &mut html);
        let text = html.into_text();
        assert!(
            text.contains("3 of 253 files are used: 0:00 in mono. The end of one is"),
            "{text}"
        );
        assert!(text.contains("not used, and why: 250") && text.contains("and 50 more"));
        assert_eq!(text.matches("it is silent").count(), NAMED);
    }
}
