//! Where sounds begin: where the levels of many bands rise together, a spectral flux on logarithmic
//! bands (Böck and Widmer 2013, "Maximum filter vibrato suppression for onset detection").

use super::Column;

/// Bands, evenly spaced in octaves.
const BANDS: usize = 30;
/// The lowest and the highest edge of the bands in Hz.
const EDGES: [f64; 2] = [60.0, 16_000.0];
/// Levels this far below the loudest band of the sound count as nothing, in dB.
const RANGE_DB: f64 = 60.0;
/// No level counts as more than nothing below this, in dB re one unit of energy per bin.
const FLOOR_DB: f64 = -40.0;
/// Columns over which levels rise.
const RISE: usize = 2;
/// Columns around an onset without a steeper rise.
const AROUND: usize = 3;
/// The mean rise of the bands at an onset, in dB.
const LEAST_DB: f64 = 3.0;

/// Levels of the bands in dB.
pub(super) type Levels = [f64; BANDS];

/// Columns in which sounds begin, in order.
pub(super) fn find(columns: &[Column]) -> Vec<usize> {
    let mut levels: Vec<Levels> = columns.iter().map(|column| column.levels).collect();
    let loudest = levels.iter().flatten().fold(f64::MIN, |max, &level| max.max(level));
    let floor = (loudest - RANGE_DB).max(FLOOR_DB);
    levels.iter_mut().flatten().for_each(|level| *level = level.max(floor));
    let nothing = [floor; BANDS];
    let rise = |t: usize| {
        let before = t.checked_sub(RISE).map_or(&nothing, |t| &levels[t]);
        let rises = levels[t].iter().zip(before).map(|(now, before)| (now - before).max(0.0));
        rises.sum::<f64>() / BANDS as f64
    };
    let rises: Vec<f64> = (0..levels.len()).map(rise).collect();
    let is_onset = |&t: &usize| {
        let before = &rises[t.saturating_sub(AROUND)..t];
        let after = &rises[t + 1..(t + 1 + AROUND).min(rises.len())];
        rises[t] >= LEAST_DB
            && before.iter().all(|&rise| rise < rises[t])
            && after.iter().all(|&rise| rise <= rises[t])
    };
    (0..rises.len()).filter(is_onset).collect()
}

/// Mean energy of the bins of each band, in dB. The bins are `bin_hz` apart.
pub(super) fn band_levels(energies: &[f64], bin_hz: f64) -> Levels {
    let edge = |band: usize| {
        let hz = EDGES[0] * (EDGES[1] / EDGES[0]).powf(band as f64 / BANDS as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bin")]
        let bin = (hz / bin_hz) as usize;
        bin.min(energies.len() - 1)
    };
    std::array::from_fn(|band| {
        let bins = &energies[edge(band)..edge(band + 1).max(edge(band) + 1)];
        10.0 * (bins.iter().sum::<f64>() / bins.len() as f64 + 1e-30).log10()
    })
}

#[cfg(test)]
mod tests {
    use super::super::listen;

    const RATE: u32 = 48_000;

    /// Decaying bursts of noise at `times`, in `length` of sound, both in milliseconds.
    fn bursts(times: &[usize], length: usize) -> Vec<f32> {
        let mut sound = vec![0.0; length * 48];
        let mut state = 7_u32;
        for time in times {
            let first = time * 48;
            for (i, sample) in sound.iter_mut().skip(first).take(24_000).enumerate() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f32::from((state >> 16) as u16) / 65_536.0 - 0.5;
                *sample += 0.3 * noise * (-(i as f32) / 4000.0).exp();
            }
        }
        sound
    }

    #[test]
    fn every_burst_is_one_onset_where_it_begins() {
        let times = [0, 500, 800, 950, 1600];
        let moments = listen(&[bursts(&times, 2200)], RATE, 1024);
        let heard: Vec<f64> = (0_u32..)
            .zip(&moments)
            .filter(|(_, moment)| moment.onsets > 0.0)
            .map(|(frame, _)| f64::from(frame) * 1024.0 / 48.0)
            .collect();
        assert_eq!(heard.len(), times.len(), "{heard:?}");
        for (heard, time) in heard.iter().zip(times) {
            assert!((heard - time as f64).abs() < 40.0, "{heard} is not {time}");
        }
    }

    #[test]
    fn a_steady_sound_begins_once() {
        let tone: Vec<f32> = (0..96_000_u32).map(|t| 0.2 * (t as f32 * 0.05).sin()).collect();
        let onsets: f32 = listen(&[tone], RATE, 1024).iter().map(|m| m.onsets).sum();
        assert_eq!(onsets, 1.0);
    }
}
