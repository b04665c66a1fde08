//! What can be heard: new sound, and recordings beside what the codec keeps of them.

use super::super::html::Html;
use super::super::picture::{LOWEST_HZ, RANGE_DB};
use super::super::story::{Player, Story, Takes};
use crate::evaluate::prior::copying::Shared;

/// New sound, and how much of it is copied.
pub(super) fn add_takes(story: &Story, html: &mut Html) {
    let Some(takes) = &story.takes else { return };
    html.within("section", &[("id", "takes")], |html| {
        html.line("h2", "New sound");
        html.line("p", "Takes that nobody has heard before, as the bundle plays them.");
        html.within("div", &[("class", "sounds")], |html| {
            for (number, player) in (1..).zip(&takes.players) {
                add_player(player, &format!("Take {number}"), html);
            }
        });
        html.line("h3", "Copying");
        html.line("p", &copying_in_words(takes));
    });
}

/// How much of new sound is copied.
fn copying_in_words(takes: &Takes) -> String {
    let Some(Shared { copied, longest_s, alarms, .. }) = takes.copied else {
        return "The bundle keeps no fingerprints of its recordings, so nothing is known of copying."
            .to_owned();
    };
    let count = takes.players.len();
    let seconds: f64 = takes.players.iter().map(|player| player.seconds).sum();
    let of = if count == 1 { "this take".to_owned() } else { format!("these {count} takes") };
    if copied <= 0.0 {
        return format!(
            "Nothing of {of} ({seconds:.0} s) sounds like one place of your recordings for as long as a \
             third of a second."
        );
    }
    format!(
        "{:.0} % of {of} ({seconds:.0} s) sounds like one place of your recordings, for {longest_s:.1} s at \
         most; {:.0} of {count} hold such a place. Some of that is what sounds of one kind have in common. \
         Novelty keeps away from it, in the instrument and as distill generate --novelty 1.",
        (100.0 * copied).max(1.0),
        (alarms * count as f64).round(),
    )
}

/// Recordings beside what the codec keeps of them.
pub(super) fn add_pairs(story: &Story, html: &mut Html) {
    if story.pairs.is_empty() {
        return;
    }
    html.within("section", &[("id", "pairs")], |html| {
        html.line("h2", "What the codec keeps");
        let text = "Recordings, and the same through the codec: new sound cannot be truer than this. Most \
                    telling are those that were held out from training.";
        html.line("p", text);
        for pair in &story.pairs {
            html.within("div", &[("class", "pair")], |html| {
                let held_out = if pair.held_out { "held out" } else { "trained on" };
                html.line("h3", &format!("{} ({held_out})", pair.name));
                html.within("div", &[("class", "sounds")], |html| {
                    add_player(&pair.original, "Recording", html);
                    add_player(&pair.kept, "Through the codec", html);
                });
            });
        }
    });
}

fn add_player(player: &Player, name: &str, html: &mut Html) {
    let Player { sound, picture, seconds, highest_hz } = player;
    html.within("figure", &[], |html| {
        let told = format!(
            "{name}: spectrogram of {seconds:.1} s, from {LOWEST_HZ:.0} Hz at the bottom to {:.0} kHz at \
             the top, {RANGE_DB:.0} dB from dark to bright",
            highest_hz / 1000.0
        );
        html.void("img", &[("src", picture), ("alt", &told), ("class", "spectrogram")]);
        html.line("figcaption", &format!("{name}, {seconds:.1} s"));
        let label = format!("Play: {name}");
        let attributes = [("controls", ""), ("preload", "metadata"), ("aria-label", &*label)];
        html.element("audio", &[&attributes[..], &[("src", sound)]].concat(), "");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(copied: Option<Shared>) -> Takes {
        let (sound, picture) = (String::new(), String::new());
        let player = Player { sound, picture, seconds: 4.0, highest_hz: 24_000.0 };
        Takes { players: vec![player; 3], copied }
    }

    #[test]
    fn copying_is_told_in_words() {
        assert!(copying_in_words(&takes(None)).contains("nothing is known"));
        let none = Shared::default();
        assert!(
            copying_in_words(&takes(Some(none))).starts_with("Nothing of these 3 takes (12 s)")
        );
        let some = Shared { alarms: 2.0 / 3.0, copied: 0.234, longest_s: 1.26, distance: 0.1 };
        let told = copying_in_words(&takes(Some(some)));
        assert!(told.starts_with("23 % of these 3 takes (12 s)"), "{told}");
        assert!(told.contains("for 1.3 s at most; 2 of 3 hold"), "{told}");
    }
}
