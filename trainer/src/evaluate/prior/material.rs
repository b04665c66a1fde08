//! Sound to judge a prior by: recordings as the codec plays them, what the prior makes, and noise.
//!
//! All of it is cut into passages of about half a minute, which are made, heard and dropped one by
//! one: an hour in memory would take gigabytes. Short recordings follow one another in a passage as a
//! prior reads them, since that is what a take goes on like: one that was trained on single notes
//! plays one note after the other. Recordings are heard through the codec, so that only the prior is
//! judged.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::codes::Codes;
use distill_shared::player::{Decoder, Model, Sampling, Take, TakeKey, philox};

use crate::render::render;

/// Length of a passage in seconds, at least, where there is as much.
const PASSAGE_S: f64 = 30.0;
/// Longer recordings are cut, in seconds.
const CUT_S: f64 = 15.0;
/// Frames before a cut that are decoded to nobody, until the decoder has forgotten that it began.
const WARM_UP: usize = 64;

/// A passage of sound that can be made.
#[derive(Debug, Clone)]
pub enum Passage<'a> {
    /// Parts of recordings, one after the other.
    Recorded(Vec<Cut<'a>>),
    /// The beginning of a take, so many frames.
    Take(TakeKey, usize),
    /// White noise, so many frames, of this root mean square in each channel.
    Noise {
        /// Tells one passage of noise from the next.
        number: u32,
        /// Its length.
        frames: usize,
        /// Root mean square, re full scale.
        level: f32,
    },
}

/// A part of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    codes: &'a Codes,
    first: usize,
    frames: usize,
}

impl Passage<'_> {
    /// Its sound, `[C][S]` at the rate of the model.
    ///
    /// # Errors
    ///
    /// Fails if it is a take and the model has no prior.
    pub fn sound(&self, model: &Arc<Model>) -> Result<Vec<Vec<f32>>> {
        let codec = &model.config().codec;
        match self {
            Self::Recorded(cuts) => {
                let mut sound = vec![Vec::new(); codec.channels];
                cuts.iter().for_each(|cut| cut.play(model, &mut sound));
                Ok(sound)
            }
            Self::Take(key, frames) => {
                let take = Take::new(Arc::clone(model), *key)?;
                Ok(render(take, &Sampling::default(), frames * codec.hop()))
            }
            Self::Noise { number, frames, level } => {
                let channel = |c| noise(frames * codec.hop(), *level, [c, *number]);
                Ok((0..).take(codec.channels).map(channel).collect())
            }
        }
    }
}

impl Cut<'_> {
    /// Adds its sound to `sound`, `[C][S]`.
    fn play(&self, model: &Arc<Model>, sound: &mut [Vec<f32>]) {
        let codec = &model.config().codec;
        let from = self.first.saturating_sub(WARM_UP);
        let frames = self.first + self.frames - from;
        let levels = codec.quantizers;
        let mut planar = vec![0.0; frames * codec.hop() * codec.channels];
        let codes = &self.codes.as_slice()[from * levels..][..frames * levels];
        Decoder::new(Arc::clone(model)).decode_frames(codes, &mut planar);
        // What is heard before a recording begins is the decoder's delay.
        let skip = if from == 0 { codec.delay() } else { 0 } + (self.first - from) * codec.hop();
        for (channel, new) in sound.iter_mut().zip(planar.chunks_exact(frames * codec.hop())) {
            channel.extend_from_slice(new.get(skip..).unwrap_or_default());
        }
    }
}

/// The passages of `recordings` in order, `frames` frames in all or as many as there are: evenly
/// spread over all of them. There are `rate` frames in a second.
#[must_use]
pub fn recorded<'a>(recordings: &[&'a Codes], frames: usize, rate: f64) -> Vec<Passage<'a>> {
    let longest = frames_of(CUT_S, rate).max(1);
    let cut = |codes: &'a Codes| {
        let firsts = (0..codes.frames()).step_by(longest);
        firsts.map(move |first| Cut { codes, first, frames: longest.min(codes.frames() - first) })
    };
    let all: Vec<Cut> = recordings.iter().flat_map(|codes| cut(codes)).collect();
    let total: usize = all.iter().map(|cut| cut.frames).sum();
    let (mut passed, mut kept) = (0, 0);
    let mut passages: Vec<Vec<Cut>> = Vec::new();
    let mut open = 0;
    for cut in all {
        // Kept as long as less than the share of what has passed is.
        if kept * total <= passed * frames && kept < frames {
            if open == 0 {
                passages.push(Vec::new());
            }
            passages.last_mut().into_iter().for_each(|passage| passage.push(cut));
            kept += cut.frames;
            open += cut.frames;
            if open >= frames_of(PASSAGE_S, rate) {
                open = 0;
            }
        }
        passed += cut.frames;
    }
    passages.into_iter().map(Passage::Recorded).collect()
}

/// `count` takes that together last `frames` frames.
pub fn takes(count: u64, frames: usize, seed: u64) -> Vec<Passage<'static>> {
    #[expect(clippy::cast_possible_truncation, reason = "a few takes")]
    let each = frames.div_ceil(count.max(1) as usize);
    (0..count).map(|take| Passage::Take(TakeKey { seed, take }, each)).collect()
}

/// White noise of `frames` frames, of which there are `rate` in a second, at this root mean square.
#[must_use]
pub fn noises(frames: usize, level: f32, rate: f64) -> Vec<Passage<'static>> {
    let each = frames_of(PASSAGE_S, rate).max(1);
    let lengths = (0..frames).step_by(each).map(|first| each.min(frames - first));
    lengths.zip(0..).map(|(frames, number)| Passage::Noise { number, frames, level }).collect()
}

/// Frames in so many seconds, of which there are `rate` in one.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
pub fn frames_of(seconds: f64, rate: f64) -> usize {
    (seconds * rate).round() as usize
}

/// Evenly distributed noise; `key` decides which.
fn noise(samples: usize, level: f32, key: [u32; 2]) -> Vec<f32> {
    let peak = level * 3_f32.sqrt();
    let four = |i| philox([i, 0, 0, 1], key).map(|r| peak * (r as f32 / 2_147_483_648.0 - 1.0));
    (0_u32..).flat_map(four).take(samples).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 46.875;

    fn codes(frames: usize) -> Codes {
        let mut codes = Codes::new(1);
        (0..frames).for_each(|_| codes.push(&[0]));
        codes
    }

    /// First frame and length of each part of each passage.
    fn parts(passages: &[Passage]) -> Vec<Vec<(usize, usize)>> {
        let of = |passage: &Passage| match passage {
            Passage::Recorded(cuts) => cuts.iter().map(|cut| (cut.first, cut.frames)).collect(),
            _ => Vec::new(),
        };
        passages.iter().map(of).collect()
    }

    #[test]
    fn short_recordings_share_a_passage_and_long_ones_are_cut() {
        let (short, long) = (codes(500), codes(1700));
        let passages = recorded(&[&short, &short, &short, &long], 100_000, RATE);
        let expected: [&[(usize, usize)]; 3] =
            [&[(0, 500), (0, 500), (0, 500)], &[(0, 703), (703, 703)], &[(1406, 294)]];
        assert_eq!(parts(&passages), expected);
    }

    #[test]
    fn what_is_too_much_is_thinned_out_evenly() {
        let recordings: Vec<Codes> = (0..40).map(|_| codes(703)).collect();
        let recordings: Vec<&Codes> = recordings.iter().collect();
        let kept = recorded(&recordings, 10 * 703, RATE);
        assert_eq!(parts(&kept).concat().len(), 10);
        let long = codes(40 * 703);
        let firsts: Vec<usize> =
            parts(&recorded(&[&long], 4 * 703, RATE)).concat().iter().map(|part| part.0).collect();
        assert_eq!(firsts, [0, 10 * 703, 20 * 703, 30 * 703]);
    }

    #[test]
    fn noise_has_the_level_it_is_given() {
        let noise = noise(48_000, 0.1, [0, 3]);
        let power = noise.iter().map(|x| f64::from(x * x)).sum::<f64>() / 48_000.0;
        assert!((power.sqrt() - 0.1).abs() < 0.001, "{power}");
    }
}
