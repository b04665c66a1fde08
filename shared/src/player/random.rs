//! Counter-based randomness: every draw is a function of its key and its place, so that no draw
//! depends on what was drawn before, on which thread, or in which order.

/// Which take of which seed: the key of every draw that the take makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TakeKey {
    /// Chosen by the musician.
    pub seed: u64,
    /// Tells apart the takes of one seed.
    pub take: u64,
}

/// A number from 0 up to but not including 1, for one `level` of one `frame`. Real-time safe.
#[must_use]
pub fn uniform(key: TakeKey, frame: u32, level: u32) -> f32 {
    let (seed, take) = (words(key.seed), words(key.take));
    let [draw, ..] = philox([take[0], take[1], frame, level], seed);
    // 24 bits are what a float between 1/2 and 1 can hold.
    (draw >> 8) as f32 / 16_777_216.0
}

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
/// Real-time safe.
#[must_use]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    for _ in 0..10 {
        let [low_a, high_a] = words(u64::from(a) * 0xd251_1f53);
        let [low_c, high_c] = words(u64::from(c) * 0xcd9e_8d57);
        (a, b, c, d) = (high_c ^ b ^ k, low_c, high_a ^ d ^ l, low_a);
        k = k.wrapping_add(0x9e37_79b9);
        l = l.wrapping_add(0xbb67_ae85);
    }
    [a, b, c, d]
}

/// The low and the high half of `value`.
#[expect(clippy::cast_possible_truncation, reason = "each half is cut out on purpose")]
fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Values between -1 and 1 for tests, the same on every run.
#[cfg(test)]
pub(crate) fn noise(seed: u64, len: usize) -> Vec<f32> {
    (0_u32..).take(len).map(|i| 2.0 * uniform(TakeKey { seed, take: 0 }, i, 0) - 1.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `kat_vectors` of the Random123 distribution, philox4x32 with 10 rounds.
    #[test]
    fn philox_gives_the_published_answers() {
        let ones = u32::MAX;
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([ones; 4], [ones; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn every_part_of_the_key_changes_the_draw() {
        let key = TakeKey { seed: 1, take: 2 };
        let draw = uniform(key, 3, 4);
        for bit in [0, 40] {
            assert_ne!(draw, uniform(TakeKey { seed: key.seed ^ (1 << bit), ..key }, 3, 4));
            assert_ne!(draw, uniform(TakeKey { take: key.take ^ (1 << bit), ..key }, 3, 4));
        }
        assert_ne!(draw, uniform(key, 4, 4));
        assert_ne!(draw, uniform(key, 3, 5));
    }

    #[test]
    fn draws_fill_the_unit_interval_evenly() {
        let mut counts = [0; 10];
        for frame in 0..10_000 {
            let draw = uniform(TakeKey { seed: 7, take: 0 }, frame, 0);
            assert!((0.0..1.0).contains(&draw));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
            let tenth = (draw * 10.0) as usize;
            counts[tenth] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}
