//! What is being played: voices, level, and what was missed.

use crate::instance::{Instance, Phase};

/// Level at which the meter begins, in dB below full scale.
const FLOOR_DB: f32 = -60.0;
/// Fall of the meter in dB per picture.
const FALL_DB: f32 = 1.0;

/// Voices, level meter and missed samples.
#[derive(Debug)]
pub(crate) struct Meters {
    /// Shown level of each side in dB.
    level_db: [f32; 2],
}

impl Default for Meters {
    fn default() -> Self {
        Self { level_db: [FLOOR_DB; 2] }
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
        let worker = match instance.phase() {
            Phase::Loading => "loading",
            Phase::Ready if instance.stopped().is_none() => "ready",
            _ => "idle",
        };
        let (voices, missed) = (instance.voices(), instance.missed());
        ui.label(format!("Voices {voices}   Worker {worker}   Missed samples {missed}"));
    }
}
