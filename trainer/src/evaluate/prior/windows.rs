//! Sound as points: what a window of half a second is like, in a few numbers.
//!
//! A minute has about 230 windows that overlap by half, and a covariance in 16 dimensions has 136
//! numbers to tell; in 24, which were tried on random points of known distance, a fifth of the bias of
//! so few windows is left after extrapolation where neighbours are alike, in 16 a twentieth. Half a
//! second holds a stroke with most of its decay, or a note's beginning: the deviation within it tells
//! strokes from drones. What changes more slowly is left to the density of onsets and to
//! [`repetition`](super::repetition).
//!
//! Windows of next to no power are left out: how long recordings are silent at their ends is a habit of
//! whoever cut them. Their share is told beside the distances, so a prior that falls silent is found.

use super::hearing::{BANDS, Heard};
use super::material::frames_of;
use crate::evaluate::frechet::Cloud;
use crate::evaluate::metrics::decibels;
use crate::evaluate::symmetric::eigen;

/// Length of a window in seconds: 24 frames at the usual rate.
const WINDOW_S: f64 = 0.512;
/// Windows that onsets are counted in are so many times as long.
const COUNTED: usize = 4;
/// Bands of a point: six neighbouring ones of a frame together.
const COARSE: usize = 8;
/// Directions in which latents are told, besides what is left.
const DIRECTIONS: usize = 15;
/// What lies further below the loudest window, or the loudest band, of the reference counts as
/// silence, in dB.
const RANGE_DB: f64 = 60.0;

/// Power in the coarse bands of each frame.
type Coarse = [f64; COARSE];

/// What counts as silence, by the reference.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    /// Mean square of a window.
    window: f64,
    /// Power of a coarse band.
    band: f64,
}

/// What the windows of a sound are like.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    /// Share of the windows that are silent and left out.
    pub silent: f64,
    /// Loudness of each window in dB re full scale.
    pub loudness_db: Vec<f64>,
    /// Onsets per second in longer windows.
    pub onsets_per_s: Vec<f64>,
    /// Means and deviations of levels in bands, in dB: points of 16 dimensions, one after the other.
    mel: Vec<f64>,
    /// Means and deviations of latents, `[W, 2 D]`.
    latents: Vec<f64>,
}

impl Silence {
    /// Silence beside `reference`, of which there are `rate` frames in a second.
    #[must_use]
    pub fn beside(reference: &Heard, rate: f64) -> Self {
        let range = 10_f64.powf(-RANGE_DB / 10.0);
        let powers = spans(reference.frames(), window(rate), 1).map(|at| power(reference, at));
        let bands = coarse(&reference.mel).into_iter().flatten();
        Self { window: range * powers.fold(0.0, f64::max), band: range * bands.fold(0.0, f64::max) }
    }
}

impl Windows {
    /// Cuts what was heard, of which there are `rate` frames in a second.
    #[must_use]
    pub fn of(heard: &Heard, silence: Silence, rate: f64) -> Self {
        let audible = |at: &Span| power(heard, *at) > silence.window;
        let all = spans(heard.frames(), window(rate), 1).count();
        let bands: Vec<Coarse> = coarse(&heard.mel)
            .iter()
            .map(|row| row.map(|power| decibels(power + silence.band.max(1e-30))))
            .collect();
        let dims = heard.latents.len() / heard.frames().max(1);
        let mut windows = Self::default();
        for at in spans(heard.frames(), window(rate), 1).filter(audible) {
            let (first, end) = at;
            windows.loudness_db.push(decibels(power(heard, at)));
            windows.mel.extend(moments(COARSE, (first..end).map(|t| bands[t].as_slice())));
            let latents: Vec<f64> =
                heard.latents[first * dims..end * dims].iter().map(|&x| f64::from(x)).collect();
            windows.latents.extend(moments(dims, latents.chunks_exact(dims.max(1))));
        }
        windows.silent = 1.0 - windows.loudness_db.len() as f64 / all.max(1) as f64;
        for (first, end) in spans(heard.frames(), window(rate), COUNTED).filter(audible) {
            let onsets: f32 = heard.onsets[first..end].iter().sum();
            windows.onsets_per_s.push(f64::from(onsets) * rate / (end - first) as f64);
        }
        windows
    }

    /// Number of windows that are not silent.
    #[must_use]
    pub fn count(&self) -> usize {
        self.loudness_db.len()
    }

    /// Its points by levels in bands, in dB.
    #[must_use]
    pub fn mel(&self) -> Cloud {
        Cloud { dims: 2 * COARSE, values: self.mel.clone() }
    }
}

/// Turns means and deviations of latents into points of few dimensions: their scores in the
/// strongest directions of what it was made of, and the length of what is left over, without which
/// nothing new would be seen.
#[derive(Debug)]
pub struct Directions {
    mean: Vec<f64>,
    /// `[DIRECTIONS or fewer, 2 D]`.
    rows: Vec<f64>,
}

impl Directions {
    /// The strongest directions of all `windows` together (principal components).
    #[must_use]
    pub fn of(windows: &[&Windows]) -> Self {
        let count: usize = windows.iter().map(|one| one.count()).sum();
        let values: usize = windows.iter().map(|one| one.latents.len()).sum();
        let dims = values / count.max(1);
        let points = || windows.iter().flat_map(|one| one.latents.chunks_exact(dims.max(1)));
        let normal = crate::evaluate::frechet::Gaussian::of(points(), dims);
        let mut rows = eigen(&normal.covariance, dims).vectors;
        rows.truncate(DIRECTIONS * dims);
        Self { mean: normal.mean, rows }
    }

    /// The points of `windows`.
    #[must_use]
    pub fn points(&self, windows: &Windows) -> Cloud {
        let dims = self.mean.len().max(1);
        let mut values = Vec::new();
        for point in windows.latents.chunks_exact(dims) {
            let off: Vec<f64> = point.iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
            let mut left: f64 = off.iter().map(|x| x * x).sum();
            for row in self.rows.chunks_exact(dims) {
                let score: f64 = row.iter().zip(&off).map(|(a, b)| a * b).sum();
                left -= score * score;
                values.push(score);
            }
            values.push(left.max(0.0).sqrt());
        }
        Cloud { dims: self.rows.len() / dims + 1, values }
    }
}

/// The first frame of a window, and the one after its last.
type Span = (usize, usize);

/// Frames of a window: an even number.
fn window(rate: f64) -> usize {
    2 * frames_of(WINDOW_S / 2.0, rate).max(1)
}

/// Windows of `times` as many frames, each beginning in the middle of the one before.
fn spans(frames: usize, window: usize, times: usize) -> impl Iterator<Item = Span> {
    let long = window * times;
    (0..(frames + 1).saturating_sub(long)).step_by(long / 2).map(move |first| (first, first + long))
}

/// The mean power of a window.
fn power(heard: &Heard, (first, end): Span) -> f64 {
    heard.power[first..end].iter().map(|&power| f64::from(power)).sum::<f64>()
        / (end - first) as f64
}

/// Six neighbouring bands at a time added up.
fn coarse(mel: &[f32]) -> Vec<Coarse> {
    let each = BANDS / COARSE;
    let sum = |row: &[f32], band: usize| -> f64 {
        row[band * each..(band + 1) * each].iter().map(|&power| f64::from(power)).sum()
    };
    mel.chunks_exact(BANDS).map(|row| std::array::from_fn(|band| sum(row, band))).collect()
}

/// The mean of each dimension over `rows`, then the standard deviation of each.
fn moments<'a>(dims: usize, rows: impl Iterator<Item = &'a [f64]> + Clone) -> Vec<f64> {
    let count = rows.clone().count().max(1) as f64;
    let mut moments = vec![0.0; 2 * dims];
    let (mean, deviation) = moments.split_at_mut(dims);
    for row in rows.clone() {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / count);
    }
    for row in rows {
        let off = row.iter().zip(&*mean).map(|(x, mean)| (x - mean).powi(2) / count);
        deviation.iter_mut().zip(off).for_each(|(sum, square)| *sum += square);
    }
    deviation.iter_mut().for_each(|value| *value = value.sqrt());
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 46.875;

    /// So many frames of one level and one latent, with an onset every 12.
    fn steady(frames: usize, power: f32) -> Heard {
        Heard {
            mel: vec![power / 6.0; frames * BANDS],
            latents: [1.0, 2.0].repeat(frames),
            power: vec![power; frames],
            onsets: (0..frames).map(|t| if t % 12 == 0 { 1.0 } else { 0.0 }).collect(),
            squares: 0.0,
        }
    }

    #[test]
    fn a_window_tells_its_level_its_onsets_and_how_steady_it_is() {
        let heard = steady(240, 0.01);
        let windows = Windows::of(&heard, Silence::beside(&heard, RATE), RATE);
        assert_eq!((windows.count(), windows.silent), (19, 0.0));
        assert!(windows.loudness_db.iter().all(|db| (db + 20.0).abs() < 1e-3));
        assert!(windows.onsets_per_s.iter().all(|rate| (rate - RATE / 12.0).abs() < 1e-9));
        let cloud = windows.mel();
        assert_eq!((cloud.dims, cloud.count()), (16, 19));
        assert!(
            (cloud.values[0] + 20.0).abs() < 1e-3 && cloud.values[8..16].iter().all(|x| *x < 1e-9)
        );
    }

    #[test]
    fn silence_is_left_out_and_told() {
        let reference = steady(240, 0.01);
        let silence = Silence::beside(&reference, RATE);
        let heard = Heard::joined(vec![steady(120, 0.01), steady(120, 0.9e-8)]);
        let windows = Windows::of(&heard, silence, RATE);
        assert_eq!(windows.count(), 10);
        assert!((windows.silent - 9.0 / 19.0).abs() < 1e-12);
    }

    #[test]
    fn what_lies_outside_of_the_strongest_directions_is_not_lost() {
        let with = |latents: Vec<f64>| Windows {
            loudness_db: vec![0.0; latents.len() / 40],
            latents,
            ..Windows::default()
        };
        // Points that differ in the first of 40 dimensions alone.
        let known = with(
            (0..30_u8)
                .flat_map(|i| {
                    let mut point = vec![0.0; 40];
                    point[0] = f64::from(i);
                    point
                })
                .collect(),
        );
        let directions = Directions::of(&[&known]);
        let mut new = vec![0.0; 40];
        (new[0], new[25]) = (14.5, 3.0);
        let cloud = directions.points(&with(new));
        assert_eq!(cloud.dims, DIRECTIONS + 1);
        let length = cloud.values.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((length - 3.0).abs() < 1e-9, "{:?}", cloud.values);
    }
}
