//! Samples as bytes.

use serde::{Deserialize, Serialize};

/// How samples lie in a file: the shortest way that loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// Multiples of 2^-15, as integers.
    Int16,
    /// Multiples of 2^-23, as integers.
    Int24,
    /// Any.
    Float32,
}

impl Encoding {
    /// The shortest for these samples, `[C][S]`.
    pub(super) fn of(audio: &[Vec<f32>]) -> Self {
        let all = |one: Self| audio.iter().flatten().all(|&sample| one.holds(sample));
        [Self::Int16, Self::Int24].into_iter().find(|&one| all(one)).unwrap_or(Self::Float32)
    }

    /// Bytes of a sample.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Float32 => 4,
        }
    }

    /// Full scale, of integers.
    fn scale(self) -> f32 {
        match self {
            Self::Int16 => 32_768.0,
            Self::Int24 => 8_388_608.0,
            Self::Float32 => 1.0,
        }
    }

    /// Whether a sample is the same once it is read again.
    fn holds(self, sample: f32) -> bool {
        let (value, scale) = (sample * self.scale(), self.scale());
        // Negative zero would lose its sign.
        value.fract() == 0.0 && (-scale..scale).contains(&value) && sample.to_bits() != 1 << 31
    }

    /// Appends samples that it holds.
    pub(super) fn encode(self, samples: &[f32], bytes: &mut Vec<u8>) {
        for &sample in samples {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of 24 bits")]
            let whole = (sample * self.scale()) as i32;
            let four =
                if self == Self::Float32 { sample.to_le_bytes() } else { whole.to_le_bytes() };
            bytes.extend_from_slice(&four[..self.width()]);
        }
    }

    /// The samples that were encoded.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        // Scales are powers of two, so nothing is lost.
        let share = 1.0 / self.scale();
        match self {
            Self::Int16 => {
                let two = bytes.as_chunks::<2>().0.iter();
                two.map(|two| f32::from(i16::from_le_bytes(*two)) * share).collect()
            }
            Self::Int24 => {
                // In the upper bytes, so that the sign is in its place.
                let whole = |[a, b, c]: [u8; 3]| i32::from_le_bytes([0, a, b, c]) >> 8;
                let three = bytes.as_chunks::<3>().0.iter();
                three.map(|three| whole(*three) as f32 * share).collect()
            }
            Self::Float32 => {
                bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_same_to_the_bit_and_take_no_more_room_than_they_must() {
        let of_16 = vec![0.0, 0.5, -1.0, 1.0 / 32_768.0, -32_767.0 / 32_768.0];
        let of_24 = vec![0.25, -1.0 / 8_388_608.0, 8_388_607.0 / 8_388_608.0, -0.75];
        for (samples, meant) in [
            (of_16, Encoding::Int16),
            (of_24, Encoding::Int24),
            (vec![1.0, 0.5], Encoding::Float32),
            (vec![-0.0, 0.5], Encoding::Float32),
            (vec![0.1, -3.0, 1e-30, f32::MAX], Encoding::Float32),
        ] {
            let encoding = Encoding::of(std::slice::from_ref(&samples));
            assert_eq!(encoding, meant, "{samples:?}");
            let mut bytes = Vec::new();
            encoding.encode(&samples, &mut bytes);
            assert_eq!(bytes.len(), samples.len() * encoding.width());
            let bits = |samples: &[f32]| samples.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&encoding.decode(&bytes)), bits(&samples), "{encoding:?}");
        }
    }
}
