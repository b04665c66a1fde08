//! Pictures in the report: spectrograms, and how evenly a level uses its codes. PNGs of 256 colours, as
//! data URIs.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::evaluate::spectra::Stft;

/// Rows of a spectrogram, from [`LOWEST_HZ`] to half the sample rate, evenly in pitch.
const ROWS: usize = 128;
/// The frequency at the bottom of a spectrogram.
pub const LOWEST_HZ: f64 = 40.0;
/// Columns of a spectrogram, about.
const COLUMNS: usize = 400;
/// Samples of a window.
const WINDOW: usize = 2048;
/// Levels between the darkest and the brightest colour, in dB.
pub(super) const RANGE_DB: f64 = 80.0;
/// Use of a code, re even use of all, that is darkest and brightest: in powers of two.
const RAREST: f64 = -7.0;
const MOST_USED: f64 = 3.0;
/// Colours of rising level, black to white.
pub const STOPS: [[f32; 3]; 6] = [
    [4.0, 4.0, 16.0],
    [52.0, 16.0, 96.0],
    [150.0, 32.0, 110.0],
    [228.0, 84.0, 60.0],
    [252.0, 176.0, 52.0],
    [255.0, 252.0, 210.0],
];

/// `bytes` of this media type as an address that holds them.
pub(super) fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    let mut uri = format!("data:{media_type};base64,");
    STANDARD.encode_string(bytes, &mut uri);
    uri
}

/// Levels of a sound over time and frequency.
pub(super) struct Spectrogram {
    /// In dB re full scale, row by row, the highest frequency first.
    levels_db: Vec<f64>,
    columns: usize,
}

impl Spectrogram {
    /// That of `sound`, `[C][S]` at `rate` Hz, its channels added up.
    pub(super) fn of(sound: &[Vec<f32>], rate: u32) -> Self {
        let samples = sound.first().map_or(0, Vec::len);
        let share = 1.0 / sound.len().max(1) as f64;
        let mono = |i: usize| sound.iter().map(|channel| share * f64::from(channel[i])).sum();
        let mono: Vec<f64> = (0..samples).map(mono).collect();
        let stft = Stft::new(WINDOW, samples.div_ceil(COLUMNS).max(1));
        let columns = stft.frames_of(samples);
        let rows = bins_of_rows(f64::from(rate), ROWS, WINDOW);
        let mut levels_db = vec![-f64::INFINITY; ROWS * columns];
        let mut frames = stft.frames(&mono);
        for column in 0..columns {
            let Some(spectrum) = frames.advance() else { break };
            for (row, bins) in rows.iter().enumerate() {
                let power = spectrum[bins.clone()].iter().map(|bin| bin.norm_sqr());
                // A full-scale sine has magnitude 1: the window sums to half its length.
                let magnitude = power.fold(0.0, f64::max).sqrt() * 4.0 / WINDOW as f64;
                levels_db[row * columns + column] = 20.0 * magnitude.max(1e-9).log10();
            }
        }
        Self { levels_db, columns }
    }

    /// Its highest level, in dB.
    pub(super) fn peak_db(&self) -> f64 {
        self.levels_db.iter().copied().fold(-2.0 * RANGE_DB, f64::max)
    }

    /// As a picture in which `brightest_db` is brightest.
    ///
    /// # Errors
    ///
    /// Fails if there is nothing to show.
    pub(super) fn picture(&self, brightest_db: f64) -> Result<String> {
        let pixels = self.levels_db.iter().map(|db| shade(1.0 + (db - brightest_db) / RANGE_DB));
        picture(self.columns, &pixels.collect::<Vec<u8>>())
    }
}

/// The use of the entries of one level, from the most used to the least, as a picture one pixel high: the
/// brighter, the more; what is never used is black.
///
/// # Errors
///
/// Fails if there is no entry.
pub fn use_of_entries(counts: &[u32]) -> Result<String> {
    let mut counts = counts.to_vec();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let even = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / counts.len() as f64;
    let pixel = |count: u32| {
        let share = (f64::from(count) / even).log2();
        if count == 0 { 0 } else { shade(0.2 + 0.8 * (share - RAREST) / (MOST_USED - RAREST)) }
    };
    picture(counts.len(), &counts.into_iter().map(pixel).collect::<Vec<u8>>())
}

/// The bins of a transform of `window` samples that each of `rows` shows, evenly in pitch from
/// [`LOWEST_HZ`] to half of `rate` Hz, the highest frequency first.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the spectrum")]
pub fn bins_of_rows(rate: f64, rows: usize, window: usize) -> Vec<std::ops::Range<usize>> {
    let bin_at = |row: usize| {
        let octaves = (rate / 2.0 / LOWEST_HZ).log2() * row as f64 / rows as f64;
        ((LOWEST_HZ * octaves.exp2() / rate * window as f64) as usize).min(window / 2)
    };
    let range = |row| bin_at(row)..bin_at(row + 1).max(bin_at(row) + 1);
    (0..rows).rev().map(range).collect()
}

/// The colour of a level of 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
fn shade(level: f64) -> u8 {
    (255.0 * level.clamp(0.0, 1.0)) as u8
}

/// All colours, three bytes each.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes and an index")]
fn palette() -> Vec<u8> {
    let colour = |shade: u16| {
        let place = f32::from(shade) / 255.0 * (STOPS.len() - 1) as f32;
        let below = (place as usize).min(STOPS.len() - 2);
        let part = place - below as f32;
        (0..3)
            .map(move |c| (STOPS[below][c] + part * (STOPS[below + 1][c] - STOPS[below][c])) as u8)
    };
    (0..256).flat_map(colour).collect()
}

/// A picture of rows of `width` shades.
fn picture(width: usize, shades: &[u8]) -> Result<String> {
    let height = shades.len() / width.max(1);
    let mut bytes = Vec::new();
    let mut png = png::Encoder::new(&mut bytes, u32::try_from(width)?, u32::try_from(height)?);
    png.set_color(png::ColorType::Indexed);
    png.set_depth(png::BitDepth::Eight);
    png.set_palette(palette());
    let mut writer = png.write_header().context("cannot make a picture")?;
    writer.write_image_data(shades).context("cannot make a picture")?;
    writer.finish().context("cannot make a picture")?;
    Ok(data_uri("image/png", &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Width, height and shades of a picture.
    fn read(uri: &str) -> (u32, u32, Vec<u8>) {
        let text = uri.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = STANDARD.decode(text).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut shades = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut shades).unwrap();
        (info.width, info.height, shades)
    }

    #[test]
    fn a_tone_is_brightest_in_its_own_row() {
        let tone = (0..48_000_u16).map(|i| (f32::from(i) * std::f32::consts::TAU / 48.0).sin());
        let spectrogram = Spectrogram::of(&[tone.collect()], 48_000);
        assert!(spectrogram.peak_db().abs() < 1.0, "{} dB", spectrogram.peak_db());
        let (width, height, shades) = read(&spectrogram.picture(0.0).unwrap());
        assert_eq!((width, height), (401, 128));
        let middle = |row: usize| shades[row * 401 + 200];
        let brightest = (0..128).max_by_key(|&row| middle(row)).unwrap();
        let kilohertz = 1000 * WINDOW / 48_000;
        let bins = bins_of_rows(48_000.0, ROWS, WINDOW)[brightest].clone();
        assert!(bins.start.abs_diff(kilohertz) <= 2, "1 kHz lies in {bins:?}");
        assert!(middle(0) < 60, "nothing high up");
    }

    #[test]
    fn silence_and_next_to_nothing_have_pictures() {
        for sound in [vec![vec![0.0; 5000]], vec![vec![0.5]], vec![Vec::new(), Vec::new()]] {
            let spectrogram = Spectrogram::of(&sound, 48_000);
            let (width, ..) = read(&spectrogram.picture(spectrogram.peak_db()).unwrap());
            assert!(width > 0);
        }
    }

    #[test]
    fn what_is_used_more_is_brighter_and_unused_codes_are_black() {
        let (width, height, shades) = read(&use_of_entries(&[0, 1, 100, 10, 0]).unwrap());
        assert_eq!((width, height), (5, 1));
        assert!(shades.is_sorted_by(|a, b| a >= b), "{shades:?}");
        assert!(shades[2] > 30 && shades[3..] == [0, 0], "{shades:?}");
        let (.., even) = read(&use_of_entries(&[7; 64]).unwrap());
        assert!(even.iter().all(|shade| *shade == even[0] && *shade > 150), "{even:?}");
        let (.., none) = read(&use_of_entries(&[0; 3]).unwrap());
        assert_eq!(none, [0; 3]);
        assert!(use_of_entries(&[]).is_err());
    }
}
