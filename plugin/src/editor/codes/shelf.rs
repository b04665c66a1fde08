//! What can be opened: what was played lately, and what lies on the pads.

use std::time::Instant;

use super::Opened;
use crate::clips::Clips;
use crate::history::Heard;
use crate::instance::Instance;
use crate::zones::PADS;

/// Width of the lists.
pub(super) const WIDTH: f32 = 190.0;
/// Height of the list of what was played.
const PLAYED: f32 = 150.0;

/// Draws both lists; gives what was chosen.
pub(super) fn show(
    ui: &mut egui::Ui,
    instance: &Instance,
    opened: Option<Opened>,
    frame_rate: f64,
) -> Option<Opened> {
    let mut chosen = None;
    ui.vertical(|ui| {
        ui.set_width(WIDTH);
        ui.strong("Played lately");
        let played = played(instance, frame_rate);
        if played.is_empty() {
            ui.weak("Play a note: what is heard is kept for five minutes.");
        }
        egui::ScrollArea::vertical().id_salt("played").max_height(PLAYED).show(ui, |ui| {
            for (number, text) in played {
                let this = Opened::Take(number);
                if ui.selectable_label(opened == Some(this), text).clicked() {
                    chosen = Some(this);
                }
            }
        });
        ui.add_space(6.0);
        ui.strong("On pads");
        let clips = instance.pads().clips();
        if clips.iter().next().is_none() {
            ui.weak("Keep a take, and a pad plays it.");
        }
        let codec = instance.texts().playing.codec;
        egui::ScrollArea::vertical().id_salt("pads").show(ui, |ui| {
            for (pad, clip) in clips.iter() {
                let this = Opened::Pad(pad);
                let foreign = if clip.codec == codec { "" } else { " (other bundle)" };
                let text = format!("{}: {}{foreign}", keys(pad), clip.name);
                if ui.selectable_label(opened == Some(this), text).clicked() {
                    chosen = Some(this);
                }
            }
        });
    });
    chosen
}

/// What was played lately, the newest first: numbers, and what to say of them.
fn played(instance: &Instance, frame_rate: f64) -> Vec<(u64, String)> {
    let now = Instant::now();
    let text = |take: &Heard| {
        let seconds = take.codes.frames() as f64 / frame_rate;
        let age = match take.age(now).as_secs() {
            _ if take.sounds(now) => "now".to_owned(),
            age @ 0..60 => format!("{age} s ago"),
            age => format!("{} min ago", age / 60),
        };
        (take.number, format!("Take {}  {seconds:.1} s  {age}", take.number))
    };
    instance.history().read(|takes| takes.iter().rev().map(text).collect())
}

/// Numbers of the takes that were played lately, the newest first.
pub(super) fn numbers(instance: &Instance) -> Vec<u64> {
    instance.history().read(|takes| takes.iter().rev().map(|take| take.number).collect())
}

/// Names of the clips, for a menu: pads, and what to say of them.
pub(super) fn on_pads(clips: &Clips) -> Vec<(usize, String)> {
    clips.iter().map(|(pad, clip)| (pad, format!("{}: {}", keys(pad), clip.name))).collect()
}

/// The key of a pad, of those about middle C.
pub(super) fn keys(pad: usize) -> String {
    // C3 is middle C, key 60, as in Live, Logic and Cubase; keys 48 to 71 are pads 0 to 23.
    const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    let pad = pad % PADS;
    format!("{}{}", NAMES[pad % 12], 2 + pad / 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_are_named_by_keys_that_play_them() {
        assert_eq!([0, 1, 11, 12, 23].map(keys), ["C2", "C#2", "B2", "C3", "B3"]);
        // Middle C, key 60, is C3.
        assert_eq!(60 % PADS, 12);
    }
}
