//! Mel bands: spectra as coarse as the ear hears them.

/// Triangular bands, evenly spaced on the mel scale `2595 log10(1 + f / 700)` from 0 Hz to half the
/// sample rate, each with a peak of 1 and reaching to the peaks of its neighbours (Young et al.,
/// "The HTK Book", section 5.4).
pub struct MelBands {
    bands: Vec<Band>,
    /// Bins of the spectra, `F`.
    bins: usize,
}

/// One band: its first bin, and the weights from there on.
struct Band {
    first: usize,
    weights: Vec<f64>,
}

impl MelBands {
    /// Lays `count` bands over spectra of windows of `size` samples at `rate` Hz.
    #[must_use]
    pub fn new(count: usize, size: usize, rate: u32) -> Self {
        let rate = f64::from(rate);
        let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
        let hz = |mel: f64| 700.0 * (10_f64.powf(mel / 2595.0) - 1.0);
        let corner = |i: usize| hz(mel(rate / 2.0) * i as f64 / (count + 1) as f64);
        let bins = size / 2 + 1;
        let band = |m: usize| {
            let (low, peak, high) = (corner(m), corner(m + 1), corner(m + 2));
            let weight = |bin: usize| {
                let f = bin as f64 * rate / size as f64;
                ((f - low) / (peak - low)).min((high - f) / (high - peak)).max(0.0)
            };
            let first = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(bins);
            let weights = (first..bins).map(weight).take_while(|&weight| weight > 0.0).collect();
            Band { first, weights }
        };
        Self { bands: (0..count).map(band).collect(), bins }
    }

    /// Number of bands, `M`.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bands.len()
    }

    /// Sums `power`, `[F]`, over each band, into `out`, `[M]`.
    pub fn apply(&self, power: &[f64], out: &mut [f64]) {
        for (out, Band { first, weights }) in out.iter_mut().zip(&self.bands) {
            *out = weights.iter().zip(&power[*first..]).map(|(weight, power)| weight * power).sum();
        }
    }

    /// Spreads `values`, `[M]`, over the bins of their bands, into `out`, `[F]`: the transpose of
    /// [`Self::apply`].
    pub fn spread(&self, values: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (value, Band { first, weights }) in values.iter().zip(&self.bands) {
            let bins = out[*first..].iter_mut();
            bins.zip(weights).for_each(|(out, weight)| *out += weight * value);
        }
    }

    /// The power spectrum, `[F]`, whose bands are nearest to `bands`, `[M]`, among those without a
    /// negative value: least squares by multiplicative updates (Lee and Seung 2001, "Algorithms
    /// for non-negative matrix factorization", theorem 1), from a smooth beginning.
    #[must_use]
    pub fn invert(&self, bands: &[f64]) -> Vec<f64> {
        const UPDATES: usize = 100;
        let mut wanted = vec![0.0; self.bins];
        self.spread(bands, &mut wanted);
        let (mut power, mut has) = (wanted.clone(), vec![0.0; self.bins]);
        let mut summed = vec![0.0; self.count()];
        for _ in 0..UPDATES {
            self.apply(&power, &mut summed);
            self.spread(&summed, &mut has);
            for ((power, wanted), has) in power.iter_mut().zip(&wanted).zip(&has) {
                *power *= if *has > 0.0 { wanted / has } else { 0.0 };
            }
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bands() -> MelBands {
        MelBands::new(128, 2048, 48_000)
    }

    #[test]
    fn bands_share_every_bin_between_the_outermost_peaks() {
        let mut shares = vec![0.0; 1025];
        bands().spread(&[1.0; 128], &mut shares);
        // 19 Hz is the first peak, 23 350 Hz the last.
        assert!(shares[1..996].iter().all(|share| (share - 1.0).abs() < 1e-12));
        assert_eq!((shares[0], shares[1024]), (0.0, 0.0));
    }

    #[test]
    fn a_band_lies_where_its_mels_say() {
        // 1000 Hz is close to 1000 mel, and a band is 31.1 mel wide: band 31 peaks at 996 Hz.
        let mut power = vec![0.0; 1025];
        power[43] = 1.0; // 1008 Hz
        let mut mels = vec![0.0; 128];
        bands().apply(&power, &mut mels);
        let loudest = (0..128).max_by(|&a, &b| mels[a].total_cmp(&mels[b]));
        assert!(loudest == Some(31) && mels.iter().filter(|&&mel| mel > 0.0).count() == 2);
    }

    #[test]
    fn an_inverted_spectrum_has_the_bands_it_came_from() {
        let bands = bands();
        let power: Vec<f64> =
            (0..1025).map(|i| (f64::from(i) * 0.1).sin().powi(2) / f64::from(1 + i)).collect();
        let (mut before, mut after) = (vec![0.0; 128], vec![0.0; 128]);
        bands.apply(&power, &mut before);
        let inverted = bands.invert(&before);
        bands.apply(&inverted, &mut after);
        assert!(inverted.iter().all(|&power| power >= 0.0));
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() <= 0.01 * before, "{before} became {after}");
        }
        assert!(bands.invert(&[0.0; 128]).iter().all(|&power| power == 0.0));
    }
}
