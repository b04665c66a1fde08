//! WORKER: fewer levels of codes rather than silence.
//!
//! In real time a machine may have too much to do for all that is played. Fewer levels cost less and
//! keep the loudness and most of the sound, so a take whose worker cannot keep up gives up its finest
//! levels one by one, and takes them back one by one. A stall is no reason: once it is over, the worker
//! makes up for it several times faster than real time.

use crate::stream::LOOKAHEAD;

/// Frames of strain that change nothing: it has to last.
const PATIENCE: u32 = 4;
/// Of so many levels one is always made.
const LEAST: usize = 4;

/// Whether the worker of one take keeps up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thrift {
    /// Frames that waited to be made when the last one was.
    waited: usize,
    /// Frames by which strain outnumbers ease.
    strain: u32,
}

impl Thrift {
    /// Of `levels` levels, how many the next frame is to have, while `waiting` frames of the take wait
    /// to be made, it included, of which up to [`LOOKAHEAD`] are in time. All of them unless the host
    /// is `live`: any other waits.
    pub fn levels(&mut self, waiting: usize, live: bool, levels: usize) -> usize {
        // Half of the time is left, or what waits becomes less.
        let eased = 2 * waiting <= LOOKAHEAD || waiting < self.waited;
        self.waited = waiting;
        let most = PATIENCE + u32::try_from(levels).unwrap_or(u32::MAX - PATIENCE);
        self.strain = match live {
            true if eased => self.strain.saturating_sub(1),
            true => (self.strain + 1).min(most),
            false => 0,
        };
        let spared = self.strain.saturating_sub(PATIENCE) as usize;
        levels.saturating_sub(spared).max(levels.div_ceil(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: usize = 16;

    /// The levels of each of `frames` frames of a worker that makes one in `cost(levels)` frames of
    /// time, `late` frames being late at first; and how many frames were.
    fn made(
        frames: usize,
        late: f64,
        live: bool,
        cost: impl Fn(f64) -> f64,
    ) -> (Vec<usize>, usize) {
        let mut thrift = Thrift::default();
        let (mut waiting, mut before, mut missed) = (1.0 + late, LEVELS, 0);
        let mut made = Vec::new();
        for _ in 0..frames {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let levels = thrift.levels(waiting as usize, live, LEVELS);
            assert!(levels.abs_diff(before) <= 1, "one by one");
            missed += usize::from(waiting > 1.0 + LOOKAHEAD as f64);
            waiting = (waiting - 1.0 + cost(levels as f64)).max(1.0);
            before = levels;
            made.push(levels);
        }
        (made, missed)
    }

    /// As the player's: nearly half of the cost is that of the levels.
    fn cost(of_all: f64) -> impl Fn(f64) -> f64 {
        move |levels| of_all * (0.5 + 0.5 * levels / LEVELS as f64)
    }

    #[test]
    fn a_machine_with_a_fifth_too_much_to_do_misses_nothing_and_keeps_most_levels() {
        let (levels, missed) = made(2000, 0.0, true, cost(1.2));
        assert_eq!(missed, 0);
        let settled = &levels[1000..];
        let mean = settled.iter().sum::<usize>() as f64 / settled.len() as f64;
        assert!((9.0..12.0).contains(&mean), "{mean} of 16");
        let (_, all) = made(2000, 0.0, false, cost(1.2));
        assert!(all > 1000, "without, {all} frames of 2000 were late");
    }

    #[test]
    fn what_was_spared_comes_back() {
        let busy = std::cell::Cell::new(0);
        let (levels, _) = made(400, 0.0, true, |levels| {
            busy.set(busy.get() + 1);
            cost(if busy.get() < 200 { 1.4 } else { 0.3 })(levels)
        });
        assert!(levels[150..200].iter().all(|&levels| levels < LEVELS));
        assert!(levels[300..].iter().all(|&levels| levels == LEVELS));
    }

    #[test]
    fn a_stall_is_made_up_for_with_all_levels() {
        for stall in [5.0, 20.0, 500.0] {
            let (levels, _) = made(2000, stall, true, cost(0.4));
            assert!(levels.iter().all(|&levels| levels == LEVELS), "a stall of {stall} frames");
        }
    }

    #[test]
    fn a_quarter_of_the_levels_is_always_made() {
        let (levels, _) = made(500, 0.0, true, cost(9.0));
        assert_eq!(levels.last(), Some(&4));
    }
}
