//! The Fréchet distance between two clouds of points: of the normal distributions with their means
//! and covariances (Dowson and Landau 1982, "The Fréchet distance between multivariate normal
//! distributions"). Over an embedding of sound it is the Fréchet audio distance (Kilgour et al. 2019,
//! <https://arxiv.org/abs/1812.08466>).
//!
//! From few points it comes out too large, by about as much as there are few (Chong and Forsyth 2020,
//! <https://arxiv.org/abs/1911.07023>; for music: Gui et al. 2024, <https://arxiv.org/abs/2311.01616>).
//! So clouds are compared at equal counts only, and the distance is what a line through that of all
//! points and that of half of them, over one by their count, comes to at infinitely many. Of windows
//! that overlap, even thousands are few: what is near the floor would otherwise look nearer than it
//! is, since both are mostly bias.

use distill_shared::player::philox;
use rayon::prelude::*;

use super::symmetric::{eigen, product, root};

/// Points in a row that are drawn together. Neighbours in time are alike: drawn one by one, any of
/// them would stand for all, and the distance would seem not to depend on their count.
const BLOCK: usize = 8;
/// Draws. One alone is off by half of what a small distance is.
const DRAWS: u32 = 512;

/// Points of so many dimensions, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Cloud {
    /// Dimensions of a point, `D`, at least 1.
    pub dims: usize,
    /// `[P, D]`.
    pub values: Vec<f64>,
}

impl Cloud {
    /// Number of points, `P`.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.dims
    }

    /// `blocks` of its blocks, drawn without putting any back; `key` decides which.
    fn draw(&self, blocks: usize, key: [u32; 2]) -> Vec<&[f64]> {
        let all = self.count() / BLOCK;
        let mut order: Vec<usize> = (0..all).collect();
        for (i, number) in (0..blocks.min(all)).zip(0_u32..) {
            let [random, ..] = philox([number, 0, 0, 0], key);
            order.swap(i, i + random as usize % (all - i));
        }
        order.truncate(blocks);
        let long = BLOCK * self.dims;
        let points = |block: usize| self.values[block * long..][..long].chunks_exact(self.dims);
        order.into_iter().flat_map(points).collect()
    }
}

/// A normal distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    /// `[D]`.
    pub mean: Vec<f64>,
    /// `[D, D]`.
    pub covariance: Vec<f64>,
}

impl Gaussian {
    /// The one with the mean and the (unbiased) covariance of `points`, of `dims` dimensions.
    #[must_use]
    pub fn of<'a>(points: impl Iterator<Item = &'a [f64]> + Clone, dims: usize) -> Self {
        let count = points.clone().count();
        let mut mean = vec![0.0; dims];
        for point in points.clone() {
            mean.iter_mut().zip(point).for_each(|(sum, x)| *sum += x / count as f64);
        }
        let mut covariance = vec![0.0; dims * dims];
        let mut off = vec![0.0; dims];
        for point in points {
            off.iter_mut().zip(point).zip(&mean).for_each(|((off, x), mean)| *off = x - mean);
            for (row, left) in covariance.chunks_exact_mut(dims).zip(&off) {
                row.iter_mut().zip(&off).for_each(|(sum, right)| *sum += left * right);
            }
        }
        let share = 1.0 / count.saturating_sub(1).max(1) as f64;
        covariance.iter_mut().for_each(|value| *value *= share);
        Self { mean, covariance }
    }

    /// The squared Fréchet distance, in the square of the unit of the points:
    /// `|m - m'|² + tr(C + C' - 2 (C C')^½)`.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        let size = self.mean.len();
        let trace = |matrix: &[f64]| (0..size).map(|i| matrix[i * size + i]).sum::<f64>();
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        // C C' is similar to the symmetric C^½ C' C^½, so their roots have the same trace.
        let half = root(&self.covariance, size);
        let between = product(&product(&half, &other.covariance, size), &half, size);
        let roots: f64 =
            eigen(&between, size).values.iter().map(|value| value.max(0.0).sqrt()).sum();
        apart + trace(&self.covariance) + trace(&other.covariance) - 2.0 * roots
    }
}

/// The squared Fréchet distance of `one` and `other`, extrapolated from `count` points of each, and from
/// half as many, to infinitely many. What comes out below zero, as happens where there is next to no
/// distance, is zero. Runs on the threads of the current pool.
///
/// # Panics
///
/// Panics if a cloud has fewer than `count` points, or `count` is below 16.
#[must_use]
pub fn frechet(one: &Cloud, other: &Cloud, count: usize) -> f64 {
    assert!(count <= one.count().min(other.count()), "as many points as there are");
    let half = count / BLOCK / 2;
    assert!(half > 0, "too few points to draw from");
    let extrapolated = |draw: u32| {
        let (one_drawn, other_drawn) =
            (one.draw(2 * half, [0, draw]), other.draw(2 * half, [1, draw]));
        let distance = |from: usize, to: usize| {
            let of = |drawn: &[&[f64]]| {
                Gaussian::of(drawn[from * BLOCK..to * BLOCK].iter().copied(), one.dims)
            };
            of(&one_drawn).distance(&of(&other_drawn))
        };
        // A line over 1 / count through both halves of what is drawn, and through all of it.
        let halves = (distance(0, half) + distance(half, 2 * half)) / 2.0;
        2.0 * distance(0, 2 * half) - halves
    };
    let all: Vec<f64> = (0..DRAWS).into_par_iter().map(extrapolated).collect();
    (all.iter().sum::<f64>() / f64::from(DRAWS)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normally distributed points with these means and deviations.
    fn cloud(count: u32, mean: &[f64], deviation: &[f64], key: u32) -> Cloud {
        let normal = |i: u32, d: u32| {
            let random = philox([i, d, 0, 0], [key, 77]);
            let [radius, turn] =
                [random[0], random[1]].map(|r| (f64::from(r) + 0.5) / 2_f64.powi(32));
            (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
        };
        let point = |i| {
            let of = mean.iter().zip(deviation).zip(0_u32..);
            of.map(move |((mean, deviation), d)| mean + deviation * normal(i, d))
                .collect::<Vec<f64>>()
        };
        Cloud { dims: mean.len(), values: (0..count).flat_map(point).collect() }
    }

    #[test]
    fn known_gaussians_are_as_far_apart_as_the_formula_says() {
        let one = Gaussian { mean: vec![0.0, 1.0], covariance: vec![4.0, 0.0, 0.0, 9.0] };
        let other = Gaussian { mean: vec![3.0, 1.0], covariance: vec![1.0, 0.0, 0.0, 25.0] };
        // 3² + (2 - 1)² + (3 - 5)².
        assert!((one.distance(&other) - 14.0).abs() < 1e-10);
        // Both turned by a quarter of a right angle.
        let (cos, sin) = (std::f64::consts::FRAC_PI_8.cos(), std::f64::consts::FRAC_PI_8.sin());
        let turned = |Gaussian { mean, covariance: c }: &Gaussian| Gaussian {
            mean: vec![cos * mean[0] - sin * mean[1], sin * mean[0] + cos * mean[1]],
            covariance: vec![
                cos * cos * c[0] + sin * sin * c[3],
                cos * sin * (c[0] - c[3]),
                cos * sin * (c[0] - c[3]),
                sin * sin * c[0] + cos * cos * c[3],
            ],
        };
        assert!((turned(&one).distance(&turned(&other)) - 14.0).abs() < 1e-10);
        // Covariances that do not commute: 2x2 has tr √M = √(tr M + 2 √det M), with M = C C'.
        let (a, b) = (turned(&one), &other);
        let m = product(&a.covariance, &b.covariance, 2);
        let roots = (m[0] + m[3] + 2.0 * (m[0] * m[3] - m[1] * m[2]).sqrt()).sqrt();
        let apart = (a.mean[0] - 3.0).powi(2) + (a.mean[1] - 1.0).powi(2);
        assert!((a.distance(b) - (apart + 13.0 + 26.0 - 2.0 * roots)).abs() < 1e-10);
    }

    #[test]
    fn a_cloud_is_at_no_distance_from_itself() {
        let cloud = cloud(1200, &[1.0; 5], &[2.0; 5], 1);
        let normal = Gaussian::of(cloud.values.chunks_exact(5), 5);
        assert!(normal.distance(&normal).abs() < 1e-9);
        assert!(frechet(&cloud, &cloud, 1200) < 0.05, "{}", frechet(&cloud, &cloud, 1200));
    }

    #[test]
    fn few_points_extrapolate_to_what_many_give() {
        let (mean, deviation) = ([0.0; 12], [1.0; 12]);
        let mut far = [0.0; 12];
        far[3] = 2.0; // 4 apart
        let plain = |count| {
            let of = |mean: &[f64], key| {
                let cloud = cloud(count, mean, &deviation, key);
                Gaussian::of(cloud.values.chunks_exact(12), 12)
            };
            of(&mean, 1).distance(&of(&far, 2))
        };
        let bias = plain(160) - 4.0;
        assert!(bias > 0.3 && (plain(20_000) - 4.0).abs() < 0.1, "{bias}");
        // Several clouds, since what is left is as often too much as too little.
        let few = |key| {
            frechet(
                &cloud(160, &mean, &deviation, key),
                &cloud(160, &far, &deviation, key + 1),
                160,
            )
        };
        let mean: f64 = (0..8).map(|i| few(10 + 2 * i)).sum::<f64>() / 8.0;
        assert!((mean - 4.0).abs() < 0.5 * bias, "{mean}");
    }
}
