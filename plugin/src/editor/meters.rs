//! What is being played: voices, level, and what was missed.

use crate::instance::{Instance, Phase};

/// Level at which the meter begins, in dB below full scale.
const FLOOR_DB: f32 = -60.0;
/// Fall of the meter in dB per picture.
const FALL_DB: f32 = 1.0;
/// Pictures for which a copy stays shown: three seconds.
const HOLD: u32 = 90;
/// The longest copy that has a place on the meter, in seconds.
const LONGEST_S: f32 = 4.0;

/// Voices, level meter and missed samples.
#[derive(Debug)]
pub(crate) struct Meters {
    /// Shown level of each side in dB.
    level_db: [f32; 2],
    /// Shown length of what is copied, in seconds, and for how many pictures more.
    copied: (f32, u32),
}

impl Default for Meters {
    fn default() -> Self {
        Self { level_db: [FLOOR_DB; 2], copied: (0.0, 0) }
    }
}

impl Meters {
    pub(crate) fn show(&mut self, ui: &mut egui::Ui, instance: &Instance) {
        for ((level, peak), side) in
            self.level_db.iter_mut().zip(instance.take_peaks()).zip(["L", "R"])
        {
            let peak_db = 20.0 * peak.max(1e-6).log10();
            *level = peak_db.max(*level - FALL_DB).max(FLOOR_DB);
            ui.horizontal(|ui| {
                ui.monospace(side);
                let text = format!("{level:.0} dB");
                ui.add(egui::ProgressBar::new(1.0 - *level / FLOOR_DB).text(text));
            });
        }
        let (shown, left) = &mut self.copied;
        let copied = instance.take_copied();
        *left = left.saturating_sub(1);
        if copied >= *shown || *left == 0 {
            (*shown, *left) = (copied, HOLD);
        }
        ui.horizontal(|ui| {
            let hint = "The longest stretch, lately, that sounds like one place of the recordings";
            ui.label("Copied").on_hover_text(hint);
            let text = if *shown > 0.0 { format!("{shown:.1} s") } else { "nothing".to_owned() };
            ui.add(egui::ProgressBar::new(*shown / LONGEST_S).text(text));
        });
        let worker = match instance.phase() {
            Phase::Loading => "loading",
            Phase::Ready if instance.stopped().is_none() => "ready",
            _ => "idle",
        };
        let (voices, spared, missed) = (instance.voices(), instance.spared(), instance.missed());
        ui.label(format!(
            "Voices {voices}   Worker {worker}   Simplified frames {spared}   Missed samples {missed}"
        ));
    }
}
