//! A host that keeps to no rule: nothing of what it sends is heard as anything but sound, or harms
//! the next performance.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;

use built::{PHRASE, difference, instrument};
use distill_tests::host::Playback;

fn assert_endured(seeds: std::ops::Range<u64>, sessions: u32) {
    let reference = instrument().play(&PHRASE, &Playback::default()).unwrap();
    for seed in seeds {
        let mut instrument = instrument();
        let saved = instrument.save().unwrap();
        let endured = instrument.endure(seed, sessions).unwrap();
        assert_eq!(endured.not_finite, 0, "seed {seed}: {endured:?}");
        assert!(endured.peak <= 1.0, "seed {seed}: {endured:?}");
        assert!(endured.samples > 0);
        instrument.load(&saved).unwrap();
        let after = instrument.play(&PHRASE, &Playback::default()).unwrap();
        assert_eq!(difference(&reference, &after), None, "seed {seed}");
    }
}

#[test]
fn what_a_rough_host_sends_harms_nothing() {
    assert_endured(0..3, 5);
}

#[test]
#[ignore = "takes a quarter of an hour: cargo xtask soak"]
fn what_a_rough_host_sends_for_long_harms_nothing() {
    assert_endured(100..140, 60);
}
