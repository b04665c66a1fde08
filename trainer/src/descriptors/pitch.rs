//! Pitch, frame by frame, by the McLeod pitch method (McLeod and Wyvill 2005, "A smarter way to find
//! pitch").

use pitch_detection::detector::PitchDetector;
use pitch_detection::detector::mcleod::McLeodDetector;

use super::{Moment, SILENCE};

/// Samples that are heard at once: over two periods of the lowest note of a piano.
const WINDOW: usize = 4096;
/// How much the periods must resemble each other, 1 being the same.
const CLARITY: f64 = 0.85;
/// Pitches outside of this, as keys, are none that an instrument is asked for.
const KEYS: std::ops::RangeInclusive<f64> = 20.0..=110.0;

/// Finds the pitch of each frame of `hop` samples of `sound`, at `rate` Hz.
pub(super) fn track(sound: &[f64], rate: u32, hop: usize, moments: &mut [Moment]) {
    let mut detector = McLeodDetector::new(WINDOW, WINDOW / 2);
    let mut heard = vec![0.0; WINDOW];
    for (t, moment) in moments.iter_mut().enumerate().filter(|(_, m)| m.power > SILENCE) {
        // The window has the frame in its middle.
        for (i, heard) in heard.iter_mut().enumerate() {
            let at = (t * hop + hop / 2 + i).checked_sub(WINDOW / 2);
            *heard = at.and_then(|at| sound.get(at)).copied().unwrap_or(0.0);
        }
        let least = f64::from(SILENCE) * WINDOW as f64;
        let found = detector.get_pitch(&heard, rate as usize, least, CLARITY);
        let key = found.map(|pitch| 69.0 + 12.0 * (pitch.frequency / 440.0).log2());
        moment.pitch = key.filter(|key| KEYS.contains(key)).map(|key| key as f32);
    }
}
