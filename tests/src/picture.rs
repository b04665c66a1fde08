//! A picture of what was played: the spectrogram above, the codes below, on one time axis.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use distill_trainer::report::picture::{STOPS, bins_of_rows};
use realfft::RealFftPlanner;

use crate::sound::Sound;

/// Rows of the spectrogram.
const SPECTRUM_ROWS: usize = 256;
const WINDOW: usize = 4096;

/// Range of levels between the darkest and the brightest colour, in dB.
const RANGE_DB: f32 = 80.0;

/// Height of one level of codes, and of the gap above the codes.
const CODE_ROWS: usize = 14;
const GAP_ROWS: usize = 10;

/// An RGB colour.
type Colour = [u8; 3];

const BACKGROUND: Colour = [12, 12, 18];

/// What is shown beside the sound.
#[derive(Debug, Clone, Default)]
pub struct CodeGrid {
    /// Samples that a column stands for.
    pub hop: usize,
    /// Levels, coarse to fine.
    pub quantizers: usize,
    /// Entries of a codebook.
    pub codebook_size: usize,
    /// The codes of each column, `[N]`; empty where no note sounds.
    pub columns: Vec<Vec<u32>>,
}

/// Writes the picture of `sound` and its codes as a PNG, one column per codec frame.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write(path: &Path, sound: &Sound, codes: &CodeGrid) -> Result<()> {
    let width = sound.len().div_ceil(codes.hop.max(1)).max(1);
    let height = SPECTRUM_ROWS + GAP_ROWS + CODE_ROWS * codes.quantizers;
    let mut canvas = Canvas { width, pixels: vec![BACKGROUND; width * height] };
    draw_spectrum(&mut canvas, sound, codes.hop.max(1));
    draw_codes(&mut canvas, codes);
    canvas.save(path, height).with_context(|| format!("cannot write {}", path.display()))
}

struct Canvas {
    width: usize,
    pixels: Vec<Colour>,
}

impl Canvas {
    fn set(&mut self, column: usize, row: usize, colour: Colour) {
        if column < self.width {
            self.pixels[row * self.width + column] = colour;
        }
    }

    fn save(&self, path: &Path, height: usize) -> Result<()> {
        let file = BufWriter::new(File::create(path)?);
        let mut encoder =
            png::Encoder::new(file, u32::try_from(self.width)?, u32::try_from(height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        Ok(encoder.write_header()?.write_image_data(self.pixels.as_flattened())?)
    }
}

fn draw_spectrum(canvas: &mut Canvas, sound: &Sound, hop: usize) {
    let mono = sound.mono();
    let fft = RealFftPlanner::new().plan_fft_forward(WINDOW);
    let window: Vec<f32> = (0..WINDOW)
        .map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / WINDOW as f32).cos())
        .collect();
    let bins = bins_of_rows(f64::from(sound.rate), SPECTRUM_ROWS, WINDOW);
    let mut spectrum = fft.make_output_vec();
    for column in 0..canvas.width {
        let centre = column * hop;
        let sample = |i: usize| (centre + i).checked_sub(WINDOW / 2).and_then(|at| mono.get(at));
        let mut frame: Vec<f32> =
            (0..WINDOW).map(|i| window[i] * sample(i).copied().unwrap_or(0.0)).collect();
        fft.process(&mut frame, &mut spectrum).expect("the sizes are the plan's");
        for (row, bins) in bins.iter().enumerate() {
            let magnitudes = spectrum[bins.clone()].iter().map(|bin| bin.norm());
            let magnitude = magnitudes.fold(0.0, f32::max) * 4.0 / WINDOW as f32;
            let level_db = 20.0 * magnitude.max(1e-9).log10();
            canvas.set(column, row, heat(1.0 + level_db / RANGE_DB));
        }
    }
}

/// Colours of rising level, black to white.
fn heat(level: f32) -> Colour {
    let place = level.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (0..STOPS.len() - 2).rev().find(|&i| i as f32 <= place).unwrap_or(0);
    let part = place - below as f32;
    std::array::from_fn(|c| byte(STOPS[below][c] + part * (STOPS[below + 1][c] - STOPS[below][c])))
}

fn draw_codes(canvas: &mut Canvas, codes: &CodeGrid) {
    for (column, frame) in codes.columns.iter().enumerate() {
        for (level, &code) in frame.iter().enumerate() {
            let top = SPECTRUM_ROWS + GAP_ROWS + level * CODE_ROWS;
            let colour = entry_colour(code, codes.codebook_size);
            for row in top..top + CODE_ROWS - 2 {
                canvas.set(column, row, colour);
            }
        }
    }
}

/// A colour per codebook entry: neighbours in number are far apart in hue, as entries have no order.
fn entry_colour(code: u32, codebook_size: usize) -> Colour {
    const GOLDEN: f32 = 0.618_034;
    let hue = (code as f32 * GOLDEN).fract();
    let value = 0.55 + 0.45 * code as f32 / codebook_size.max(1) as f32;
    std::array::from_fn(|c| {
        let distance = ((hue + c as f32 / 3.0).fract() * 6.0 - 3.0).abs();
        byte(255.0 * value * (0.35 + 0.65 * (distance - 1.0).clamp(0.0, 1.0)))
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_lights_its_own_row() {
        let tone = (0..48_000_u16).map(|i| (f32::from(i) * std::f32::consts::TAU / 48.0).sin());
        let sound = Sound { rate: 48_000, channels: vec![tone.collect()] };
        let mut canvas = Canvas { width: 40, pixels: vec![BACKGROUND; 40 * SPECTRUM_ROWS] };
        draw_spectrum(&mut canvas, &sound, 1024);
        let brightness =
            |row: usize| canvas.pixels[row * 40 + 20].iter().map(|&c| u32::from(c)).sum::<u32>();
        let brightest = (0..SPECTRUM_ROWS).max_by_key(|&row| brightness(row)).unwrap();
        let bins = bins_of_rows(48_000.0, SPECTRUM_ROWS, WINDOW)[brightest].clone();
        let kilohertz = 1000 * WINDOW / 48_000; // 1 kHz is bin 85
        assert!(bins.start.abs_diff(kilohertz) <= 2, "1 kHz lies in {bins:?}");
    }

    #[test]
    fn a_picture_is_as_wide_as_its_sound_in_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        let sound = Sound { rate: 48_000, channels: vec![vec![0.1; 10_000]] };
        let codes = CodeGrid {
            hop: 1024,
            quantizers: 4,
            codebook_size: 64,
            columns: vec![vec![1, 2, 3, 4]; 10],
        };
        write(&path, &sound, &codes).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().size(), (10, 256 + 10 + 4 * 14));
    }
}
