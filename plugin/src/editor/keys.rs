//! A strip of keys that shows which of them sound.

/// The keys of the strip: seven octaves about middle C.
const KEYS: std::ops::RangeInclusive<u8> = 24..=108;
/// Height of the strip in points.
const HEIGHT: f32 = 26.0;

/// Draws the strip; bit n of `sounding` is set if key n sounds.
pub(crate) fn show(ui: &mut egui::Ui, sounding: u128) {
    let size = egui::vec2(ui.available_width(), HEIGHT);
    let (area, painter) = ui.allocate_painter(size, egui::Sense::hover());
    let whites = KEYS.filter(|key| !is_black(*key)).count();
    let width = area.rect.width() / whites as f32;
    let lit = ui.visuals().selection.bg_fill;
    // Black keys lie on top of the white ones.
    for black in [false, true] {
        for key in KEYS.filter(|key| is_black(*key) == black) {
            let left = KEYS.take_while(|other| other < &key).filter(|k| !is_black(*k)).count();
            let x = area.rect.left() + left as f32 * width;
            let (min, size, colour) = if black {
                (x - 0.3 * width, egui::vec2(0.6 * width, 0.6 * HEIGHT), egui::Color32::BLACK)
            } else {
                (x, egui::vec2(width - 1.0, HEIGHT), egui::Color32::from_gray(200))
            };
            let colour = if sounding >> key & 1 == 1 { lit } else { colour };
            let rect = egui::Rect::from_min_size(egui::pos2(min, area.rect.top()), size);
            painter.rect_filled(rect, 1.0, colour);
            if key == 60 {
                let at = rect.center_bottom() - egui::vec2(0.0, 2.0);
                let font = egui::FontId::proportional(9.0);
                painter.text(at, egui::Align2::CENTER_BOTTOM, "C3", font, egui::Color32::BLACK);
            }
        }
    }
    area.on_hover_text("The keys whose notes sound; C3 is middle C, MIDI key 60");
}

fn is_black(key: u8) -> bool {
    [1, 3, 6, 8, 10].contains(&(key % 12))
}
