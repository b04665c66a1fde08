//! History: the last minutes of what was played, always kept as codes.
//!
//! The worker writes it as playing goes on, and never waits for the editor, which reads it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use distill_shared::codes::Codes;

/// For how long what was played is kept.
pub const KEPT: Duration = Duration::from_secs(300);
/// Codes that are kept of all takes together, at most: eight megabytes.
const MAX_CODES: usize = 2 << 20;
/// Choices of bundles whose codecs are remembered.
const MAX_CODECS: usize = 16;
/// A take that was heard this long ago still sounds.
const SOUNDS: Duration = Duration::from_millis(300);

/// A take that was played.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Counts the takes of an instance.
    pub number: u64,
    /// The pitch that was asked for, as a MIDI key.
    pub pitch: Option<u8>,
    /// The pad that played it.
    pub pad: Option<u8>,
    /// Digest of the codec that its codes belong to; empty if that is not known.
    pub codec: Arc<str>,
    /// What was heard of it so far, or the last minutes of that.
    pub codes: Codes,
    /// When its newest frame was heard.
    last: Instant,
}

/// What is known of a take before it is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Which choice of a bundle made it.
    pub edition: u64,
    /// Levels of its codec.
    pub levels: usize,
    /// As [`Heard::pitch`].
    pub pitch: Option<u8>,
    /// As [`Heard::pad`].
    pub pad: Option<u8>,
}

/// What was played lately, the oldest first.
#[derive(Debug, Default)]
pub struct History(Mutex<Takes>);

#[derive(Debug, Default)]
struct Takes {
    heard: VecDeque<Heard>,
    /// Number of the newest take.
    count: u64,
    /// The codecs of the latest choices of bundles.
    codecs: VecDeque<(u64, Arc<str>)>,
}

impl Heard {
    /// Whether it still sounds at `now`.
    #[must_use]
    pub fn sounds(&self, now: Instant) -> bool {
        now.duration_since(self.last) < SOUNDS
    }

    /// For how long it has been over at `now`.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.duration_since(self.last)
    }
}

impl History {
    /// Says that choice `edition` of a bundle has the codec with digest `codec`.
    pub fn serve(&self, edition: u64, codec: &str) {
        let mut takes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        takes.codecs.push_back((edition, codec.into()));
        // Takes of older choices have begun long ago.
        let older = takes.codecs.len().saturating_sub(MAX_CODECS);
        takes.codecs.drain(..older);
    }

    /// Adds `frames`, `[T, N]`, to the take `number`, which begins if there is none: of `origin`, at
    /// `now`. Returns the number of the take, or nothing, and has added nothing, if the editor is
    /// reading.
    pub fn add(
        &self,
        number: Option<u64>,
        origin: &Origin,
        frames: &[u32],
        now: Instant,
    ) -> Option<u64> {
        let mut takes = match self.0.try_lock() {
            Ok(takes) => takes,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let Takes { heard, count, codecs } = &mut *takes;
        let place = number.and_then(|number| heard.iter().rposition(|take| take.number == number));
        let place = place.unwrap_or_else(|| {
            let number = number.unwrap_or(*count + 1);
            *count = number.max(*count);
            let Origin { edition, levels, pitch, pad } = *origin;
            let codec = codecs.iter().find(|(of, _)| *of == edition);
            let codec = codec.map_or_else(|| "".into(), |(_, codec)| Arc::clone(codec));
            let codes = Codes::new(levels.max(1));
            heard.push_back(Heard { number, pitch, pad, codec, codes, last: now });
            heard.len() - 1
        });
        let take = &mut heard[place];
        frames.chunks_exact(take.codes.quantizers()).for_each(|frame| take.codes.push(frame));
        take.last = now;
        let number = take.number;
        forget(heard, now);
        Some(number)
    }

    /// Looks at what was played. The worker does not wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&VecDeque<Heard>) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner).heard)
    }

    /// A take, if it is still known.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Heard> {
        self.read(|takes| takes.iter().find(|take| take.number == number).cloned())
    }
}

/// Forgets what is too old, or too much.
fn forget(takes: &mut VecDeque<Heard>, now: Instant) {
    takes.retain(|take| take.age(now) < KEPT);
    let mut all: usize = takes.iter().map(|take| take.codes.as_slice().len()).sum();
    while all > MAX_CODES {
        let Some(oldest) = takes.front_mut() else { return };
        let frames = oldest.codes.frames();
        // In large pieces: what is left has to be moved.
        let left = frames.saturating_sub(1 << 12);
        all -= oldest.codes.as_slice().len();
        if left == 0 {
            takes.pop_front();
        } else {
            oldest.codes = oldest.codes.last(left);
            all += oldest.codes.as_slice().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { edition: 1, levels: 2, pitch: None, pad: Some(3) };

    #[test]
    fn takes_grow_side_by_side_and_are_forgotten_in_time() {
        let history = History::default();
        let now = Instant::now();
        history.serve(1, "0c");
        let first = history.add(None, &ORIGIN, &[1, 2], now);
        assert_eq!(history.read(|takes| takes[0].codec.to_string()), "0c");
        let second = history.add(None, &ORIGIN, &[5, 6], now);
        assert_eq!((first, second), (Some(1), Some(2)));
        assert_eq!(history.add(first, &ORIGIN, &[3, 4, 5, 6], now), Some(1));
        let codes = |number| history.get(number).map(|take| take.codes.as_slice().to_vec());
        assert_eq!(codes(1), Some(vec![1, 2, 3, 4, 5, 6]));
        let later = now + Duration::from_secs(200);
        assert_eq!(history.add(second, &ORIGIN, &[7, 8], later), Some(2));
        assert!(history.read(|takes| takes[1].sounds(later) && !takes[0].sounds(later)));
        assert_eq!(history.add(second, &ORIGIN, &[7, 8], now + KEPT), Some(2));
        assert_eq!(codes(1), None, "it is five minutes old");
        assert_eq!(codes(2), Some(vec![5, 6, 7, 8, 7, 8]));
        assert_eq!(
            history.add(None, &ORIGIN, &[0, 0], now + KEPT),
            Some(3),
            "numbers never return"
        );
    }

    #[test]
    fn the_oldest_goes_where_there_is_too_much() {
        let history = History::default();
        let now = Instant::now();
        history.add(None, &ORIGIN, &[9; 64], now);
        let number = history.add(None, &ORIGIN, &vec![1; MAX_CODES], now);
        assert!(history.get(1).is_none());
        history.add(number, &ORIGIN, &[2, 2], now);
        let codes = history.get(2).expect("it sounds").codes;
        assert!(codes.as_slice().len() <= MAX_CODES && codes.frames() > MAX_CODES / 2 - (1 << 13));
        assert_eq!(codes.frame(codes.frames() - 1), [2, 2]);
    }

    #[test]
    fn a_worker_does_not_wait_for_the_editor() {
        let history = History::default();
        let now = Instant::now();
        let added = history.read(|_| history.add(None, &ORIGIN, &[1, 2], now));
        assert_eq!(added, None);
        assert_eq!(history.add(None, &ORIGIN, &[1, 2], now), Some(1));
    }
}
