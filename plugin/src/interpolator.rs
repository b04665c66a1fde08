//! AUDIO THREAD: one take, played at any speed.

use rtrb::Consumer;

use crate::filters::{Filter, REACH};

/// Samples of a take that are at hand: what the longest filter reaches to both sides, and what is
/// played between two refills.
const ROOM: usize = 2 * REACH + REFILL;
/// Samples of a take that are played between two refills, at most.
const REFILL: usize = 376;
/// Samples that are heard between two refills, at most.
const CHUNK: usize = 32;
/// Parts of a sample by which rounding may be off after hours.
const ROUNDED: f64 = 1e-6;

/// Plays the samples of a take at another rate than they were made at, and faster or slower.
///
/// What it gives depends on nothing but the take and the speeds it was asked for: not on how the
/// sound is cut into blocks, nor on when the samples came. At speed 1 and on a sample, it gives the
/// sample itself.
#[derive(Debug)]
pub struct Interpolator {
    /// Both sides; the first `held` are there.
    samples: [[f32; ROOM]; 2],
    held: usize,
    /// Which sample of the take lies first. Before the take, from sample 0 down, is silence.
    first: i64,
    /// What is heard next lies after this sample of the take,
    whole: i64,
    /// by this part of the way to the one after it, 0 to 1.
    part: f64,
}

/// How a stretch is played.
#[derive(Debug, Clone, Copy)]
pub struct Motion<'a> {
    /// Samples of the take for one that is heard.
    pub speed: f64,
    /// What keeps its overtones in bounds.
    pub filter: &'a Filter,
}

impl Default for Interpolator {
    fn default() -> Self {
        Self {
            samples: [[0.0; ROOM]; 2],
            held: REACH,
            first: -as_index(REACH),
            whole: 0,
            part: 0.0,
        }
    }
}

impl Interpolator {
    /// The time of the take that is heard next, in its samples.
    #[must_use]
    pub fn position(&self) -> f64 {
        self.whole as f64 + self.part
    }

    /// Drops what has come too late to be heard. Real-time safe.
    ///
    /// Where sound is missing this has to be done before more can come: late sound fills the ring.
    pub fn drop_late(&mut self, sound: &mut Consumer<[f32; 2]>) {
        let oldest = self.whole - as_index(REACH);
        if self.first + as_index(self.held) < oldest {
            self.forget(oldest, sound);
        }
    }

    /// How many samples can be heard in `motion`, if `waiting` more samples of the take are there.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub fn playable(&self, waiting: usize, motion: &Motion<'_>) -> usize {
        let end = self.first + as_index(self.held + waiting);
        if self.is_exact(motion) {
            return usize::try_from(end - self.whole).unwrap_or(0);
        }
        // One sample more than the filter needs, for what rounding may add.
        let ahead = end - self.whole - as_index(motion.filter.reach()) - 2;
        ((ahead as f64 - self.part) / motion.speed).max(0.0) as usize
    }

    /// Hears the next samples: `out(n, sample)` is told the first `there` of them, which have to be
    /// playable; the rest up to `len` are passed over.
    pub fn play(
        &mut self,
        sound: &mut Consumer<[f32; 2]>,
        motion: &Motion<'_>,
        (there, len): (usize, usize),
        mut out: impl FnMut(usize, [f32; 2]),
    ) {
        let chunk = chunk_len(motion.speed);
        let mut start = 0;
        while start < there {
            let end = there.min(start + chunk);
            self.refill(sound, motion, end - start);
            for n in start..end {
                out(n, self.sample(motion));
                self.advance(1, motion.speed);
            }
            start = end;
        }
        self.advance(len - start, motion.speed);
    }

    /// Passes over `len` samples.
    pub fn advance(&mut self, len: usize, speed: f64) {
        for _ in 0..len {
            self.part += speed;
            let whole = self.part.floor();
            self.part -= whole;
            #[expect(clippy::cast_possible_truncation, reason = "a speed")]
            let whole = whole as i64;
            self.whole += whole;
        }
    }

    /// Makes what was passed over `ratio` times as long. Only before anything was heard; at 1 it changes
    /// nothing at all.
    pub fn stretch(&mut self, ratio: f64) {
        if (ratio - 1.0).abs() < f64::EPSILON {
            return;
        }
        let whole = self.whole as f64 * ratio;
        let part = self.part * ratio + whole.fract();
        // Rounding takes nothing off a sample.
        self.part = if (part - part.round()).abs() < ROUNDED { part.round() } else { part };
        #[expect(clippy::cast_possible_truncation, reason = "days of samples")]
        let whole = whole as i64;
        self.whole = whole;
        self.advance(1, 0.0);
    }

    /// Whether what is heard are the samples themselves.
    #[expect(clippy::float_cmp, reason = "exactly these")]
    fn is_exact(&self, motion: &Motion<'_>) -> bool {
        motion.speed == 1.0 && self.part == 0.0
    }

    fn sample(&self, motion: &Motion<'_>) -> [f32; 2] {
        let at = |index: i64| usize::try_from(index - self.first).unwrap_or(0);
        if self.is_exact(motion) {
            return self.samples.each_ref().map(|side| side[at(self.whole)]);
        }
        let reach = motion.filter.reach();
        let from = at(self.whole + 1) - reach;
        let sides = self.samples.each_ref().map(|side| &side[from..from + 2 * reach]);
        motion.filter.apply(sides, self.part)
    }

    /// Takes in what `len` samples need, and drops what came too late to be heard.
    fn refill(&mut self, sound: &mut Consumer<[f32; 2]>, motion: &Motion<'_>, len: usize) {
        let oldest = self.whole - as_index(REACH);
        self.forget(oldest, sound);
        #[expect(clippy::cast_possible_truncation, reason = "a few hundred")]
        let passed = (len as f64 * motion.speed).ceil() as i64;
        let until = self.whole + passed + as_index(motion.filter.reach()) + 2;
        let wanted = usize::try_from(until - self.first).unwrap_or(0).min(ROOM);
        let new = wanted.saturating_sub(self.held).min(sound.slots());
        let Ok(chunk) = sound.read_chunk(new) else { return };
        let (one, two) = chunk.as_slices();
        for (n, sample) in one.iter().chain(two).enumerate() {
            self.samples[0][self.held + n] = sample[0];
            self.samples[1][self.held + n] = sample[1];
        }
        chunk.commit_all();
        self.held += new;
    }

    /// Forgets all samples before `oldest`, those included that are only coming.
    fn forget(&mut self, oldest: i64, sound: &mut Consumer<[f32; 2]>) {
        let over = usize::try_from(oldest - self.first).unwrap_or(0);
        let held = over.min(self.held);
        self.samples.iter_mut().for_each(|side| side.copy_within(held..self.held, 0));
        self.held -= held;
        let skipped = (over - held).min(sound.slots());
        if let Ok(chunk) = sound.read_chunk(skipped) {
            chunk.commit_all();
        }
        self.first += as_index(held + skipped);
    }
}

/// Samples that are heard between two refills at `speed`.
fn chunk_len(speed: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let most = ((REFILL - 8) as f64 / speed) as usize;
    most.clamp(1, CHUNK)
}

/// A count of samples as a difference of numbers of samples.
fn as_index(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rtrb::RingBuffer;

    use super::*;
    use crate::filters::Filters;

    /// `len` samples of a take whose sample n is `take(n)`, heard `cut` at a time.
    fn heard(take: impl Fn(usize) -> f64, speed: f64, len: usize, cut: usize) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let passed = (len as f64 * speed) as usize;
        let (mut feed, mut sound) = RingBuffer::new(passed + 2 * REACH);
        for n in 0..feed.slots() {
            #[expect(clippy::cast_possible_truncation, reason = "sound")]
            let sample = take(n) as f32;
            feed.push([sample, -sample]).unwrap();
        }
        let motion = Motion { speed, filter: Filters::of_process().at(speed) };
        let mut player = Interpolator::default();
        let mut out = Vec::new();
        while out.len() < len {
            let there = cut.min(len - out.len());
            assert!(player.playable(sound.slots(), &motion) >= there);
            player.play(&mut sound, &motion, (there, there), |_, [left, right]| {
                assert_eq!(left, -right);
                out.push(left);
            });
        }
        out
    }

    /// The largest part of `sound` beside a tone of `frequency` cycles a sample, and the level of
    /// that tone, both in dB; the first samples ring against the silence before the take.
    fn beside(sound: &[f32], frequency: f64) -> (f64, f64) {
        let settled = &sound[REACH * 2..sound.len() - REACH];
        let turn = |n: usize| std::f64::consts::TAU * frequency * n as f64;
        // Least squares: the normal equations of a cosine and a sine.
        let sums = settled.iter().enumerate().fold([0.0; 5], |s, (n, &x)| {
            let ((sin, cos), x) = (turn(n).sin_cos(), f64::from(x));
            [s[0] + cos * cos, s[1] + cos * sin, s[2] + sin * sin, s[3] + cos * x, s[4] + sin * x]
        });
        let [cc, cs, ss, cx, sx] = sums;
        let det = cc * ss - cs * cs;
        let (a, b) = ((ss * cx - cs * sx) / det, (cc * sx - cs * cx) / det);
        let rest: f64 = settled
            .iter()
            .enumerate()
            .map(|(n, &x)| (f64::from(x) - a * turn(n).cos() - b * turn(n).sin()).powi(2))
            .sum();
        let rest = (2.0 * rest / settled.len() as f64).sqrt();
        (20.0 * rest.log10(), 10.0 * (a * a + b * b).log10())
    }

    #[test]
    fn the_pass_band_is_flat_and_its_images_are_not_heard() {
        // 44.1 kHz, 48 kHz a quarter tone up, 96 and 192 kHz, and an octave down.
        for speed in [48.0 / 44.1, 2.0_f64.powf(0.5 / 12.0), 0.5, 0.25, 48.0 / 88.2] {
            for frequency in [0.01, 0.1, 0.3, 0.4, 0.45] {
                let tone = |n: usize| (std::f64::consts::TAU * frequency * n as f64).sin();
                let sound = heard(tone, speed, 6000, 6000);
                let (rest, level) = beside(&sound, frequency * speed);
                assert!(level.abs() < 0.1, "{frequency} at {speed}: {level} dB");
                assert!(rest < -100.0, "{frequency} at {speed}: {rest} dB beside it");
            }
        }
    }

    #[test]
    fn what_would_fold_back_is_taken_out() {
        for speed in [1.5_f64, 2.0, 48.0 / 22.05, 4.0, 8.7] {
            for fold in [0.56, 0.7, 0.9] {
                let frequency = fold / speed;
                if frequency >= 0.5 {
                    continue;
                }
                let width = (8.0 * speed.log2()).ceil() / 8.0;
                let stopped = frequency * width.exp2() > 0.555;
                let tone = |n: usize| (std::f64::consts::TAU * frequency * n as f64).sin();
                let sound = heard(tone, speed, 3000, 3000);
                let settled = &sound[2 * REACH..];
                let loudest = settled.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
                assert!(!stopped || loudest < 1e-5, "{fold} at {speed}: {loudest}");
            }
        }
    }

    #[test]
    fn a_note_keeps_its_beginning_at_every_speed() {
        // A pulse in the 100th sample is heard where that sample is.
        for speed in [0.3, 1.0, 1.0885, 1.7, 5.0] {
            let pulse = |n: usize| if n == 100 { 1.0 } else { 0.0 };
            let sound = heard(pulse, speed, 900, 900);
            let (at, _) =
                sound.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
            assert!((at as f64 - 100.0 / speed).abs() <= 0.5001 + 0.5 / speed, "{speed}: {at}");
        }
    }

    #[test]
    fn the_cut_is_not_heard_and_speed_one_is_the_take_itself() {
        let take = |n: usize| ((n * n) as f64 * 0.37).sin();
        for speed in [0.4, 1.0, 1.0885, 2.5, 24.0] {
            let whole = heard(take, speed, 2000, 2000);
            for cut in [1, 7, 33, 256] {
                assert!(heard(take, speed, 2000, cut) == whole, "{cut} at {speed}");
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "sound")]
        let samples: Vec<f32> = (0..2000).map(|n| take(n) as f32).collect();
        assert_eq!(heard(take, 1.0, 2000, 100), samples);
    }

    #[test]
    fn what_comes_late_is_dropped_and_the_rest_is_in_its_place() {
        let take = |n: usize| (0.05 * n as f64).sin();
        let expected = heard(take, 1.25, 3000, 100);
        let (mut feed, mut sound) = RingBuffer::new(8000);
        let motion = Motion { speed: 1.25, filter: Filters::of_process().at(1.25) };
        let mut player = Interpolator::default();
        player.play(&mut sound, &motion, (0, 1000), |_, _| unreachable!("nothing is there"));
        #[expect(clippy::cast_possible_truncation, reason = "sound")]
        (0..6000).for_each(|n| feed.push([take(n) as f32; 2]).unwrap());
        let mut out = Vec::new();
        player.play(&mut sound, &motion, (2000, 2000), |_, sample| out.push(sample[0]));
        assert!(out == expected[1000..]);
    }
}
