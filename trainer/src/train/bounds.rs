//! How loud a corpus is at most, in each bin and as a whole: what is played stays about there, whatever
//! codes a prior strings together.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;

use super::crops::Material;
use super::vary::SEMITONES;
use super::workers::Workers;

/// What a bin may be louder than it was heard, in nepers: no two strokes are the same.
const MARGIN: f32 = 0.35;
/// The largest sample as it is coded that is kept: 52 dB beyond full scale.
const LOUDEST: f32 = 400.0;
/// Bins on each side that count as neighbours at least.
const LEAST: usize = 2;

/// Codec frames that are analysed at a time.
const PIECE_FRAMES: usize = 64;
/// Pieces of a corpus that are listened to, at most: an hour and a half.
const PIECES: usize = 4096;

/// Adds the weights `codec.ceiling` and `codec.peaks`, and a `codec.level` that changes nothing yet.
pub(super) fn insert_bounds(
    weights: &mut Weights,
    config: &CodecConfig,
    train: &Material,
    run: (&Workers, &Device),
) -> Result<()> {
    let (workers, device) = run;
    let tops = tops(config, train, workers)?;
    let bins = config.bins();
    let ceiling = tops.chunks_exact(bins).flat_map(around).map(|top| top + MARGIN).collect();
    weights.insert("codec.ceiling", Tensor::from_vec::<_, f32>(ceiling, tops.len(), device)?)?;
    let level = Tensor::zeros(tops.len(), DType::F32, device)?;
    weights.insert("codec.level", level)?;
    // No player plays more, and no bundle holds what is much more.
    let peaks = train.peaks()?.into_iter().map(|peak| peak.min(LOUDEST)).collect();
    weights.insert("codec.peaks", Tensor::from_vec::<_, f32>(peaks, config.channels, device)?)?;
    Ok(())
}

/// The largest log-magnitude of each bin in the recordings, `[C * F]`.
fn tops(config: &CodecConfig, train: &Material, workers: &Workers) -> Result<Vec<f32>> {
    let starts = |recording| (0..train.frames(recording)).step_by(PIECE_FRAMES);
    let pieces: Vec<(usize, usize)> = (0..train.len())
        .flat_map(|recording| starts(recording).map(move |start| (recording, start)))
        .collect();
    let pieces: Vec<_> = pieces.iter().step_by(pieces.len().div_ceil(PIECES)).collect();
    let of_pieces = workers.run(pieces.len(), |i| {
        let &(recording, start) = pieces[i];
        let crop = train.crop(recording, start, PIECE_FRAMES)?;
        let mut tops = vec![f32::NEG_INFINITY; config.channels * config.bins()];
        crop.features.chunks_exact(config.features()).for_each(|frame| raise(&mut tops, frame));
        Ok(tops)
    })?;
    let mut tops = vec![f32::NEG_INFINITY; config.channels * config.bins()];
    of_pieces.iter().for_each(|of_piece| raise(&mut tops, of_piece));
    Ok(tops)
}

/// Raises `tops` to `values` where these are larger.
fn raise(tops: &mut [f32], values: &[f32]) {
    tops.iter_mut().zip(values).for_each(|(top, value)| *top = top.max(*value));
}

/// The largest value around each bin of one channel: as far as training plays recordings faster and
/// slower, so that pitches between those of the corpus are not held down.
fn around(channel: &[f32]) -> Vec<f32> {
    let ratio = 2.0_f64.powf(SEMITONES / 12.0);
    let largest = |k: usize| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let [low, high] = [(k as f64 / ratio).ceil(), k as f64 * ratio].map(|bin| bin as usize);
        let (low, high) = (low.min(k.saturating_sub(LEAST)), high.max(k + LEAST));
        let near = &channel[low..channel.len().min(high + 1)];
        near.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    };
    (0..channel.len()).map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::super::toy_codec;
    use super::*;
    use crate::corpus::Sound;
    use crate::corpus::{Corpus, Recording};

    #[test]
    fn bounds_are_those_of_the_loudest_place_wherever_it_is() -> Result<()> {
        // Five seconds of silence but for one click on the left, late.
        let mut left = vec![0.0; 240_000];
        left[200_000] = 0.8;
        let recording = |audio| {
            let (name, class) = Default::default();
            Recording { name, class, sound: Sound::new(audio), held_out: false }
        };
        let silent = recording(vec![vec![0.0; 50_000]; 2]);
        let clicks = recording(vec![left, vec![0.0; 240_000]]);
        let mut corpus = Corpus::new(vec![silent, clicks], 0).unwrap();
        corpus.gain = 1.0;
        let config = CodecConfig { channels: 2, fft_size: 64, stft_hop: 16, ..toy_codec() };
        let train = Material::new(&corpus, corpus.recordings.iter(), &config, 48);
        let (mut weights, workers) = (Weights::default(), Workers::new(2)?);
        insert_bounds(&mut weights, &config, &train, (&workers, &Device::Cpu))?;
        let tensors = weights.to_tensors()?;
        assert_eq!(tensors["codec.peaks"].to_f32(), [0.4, 0.4], "mid and side have half each");
        // A click of 0.4 under a window of sum 32: at most 0.4 * 2 / 32 in every bin.
        let ceiling = tensors["codec.ceiling"].to_f32();
        assert_eq!(ceiling.len(), 66);
        let expected = 0.025_f32.ln() + MARGIN;
        assert!(ceiling.iter().all(|top| (top - expected).abs() < 0.2), "{ceiling:?}");
        Ok(())
    }

    #[test]
    fn a_tone_makes_room_for_its_neighbours_and_no_others() {
        let mut channel = vec![-11.0; 200];
        (channel[1], channel[100]) = (-2.0, -1.0);
        let top = around(&channel);
        assert_eq!((top[0], top[3], top[4]), (-2.0, -2.0, -11.0), "two bins to each side");
        // 3.2 semitones are a factor of 1.203.
        assert_eq!((top[84], top[120], top[83], top[121]), (-1.0, -1.0, -11.0, -11.0));
    }
}
