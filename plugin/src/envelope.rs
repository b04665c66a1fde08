//! AUDIO THREAD: the level of a voice over its life, one value per sample.

/// How an envelope moves at one sample rate. Computed once for all voices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Rise per sample of the attack; 1 begins at full level.
    attack: f32,
    /// Part of the way to the sustain level that a sample of decay covers.
    decay: f32,
    /// Level that decay goes to, 0 to 1.
    sustain: f32,
    /// Part of the way below silence that a sample of release covers.
    release: f32,
    /// Fall per sample of a voice that has to make room.
    fade: f32,
    /// Samples after which a voice lets go by itself.
    longest: u64,
}

/// Seconds in which a voice that has to make room, or has no sound in time, fades.
pub const FADE_SECONDS: f32 = 0.004;
/// Release aims this far below silence, so that it gets there: -60 dB.
const UNDERSHOOT: f32 = 1e-3;

/// Times and level of an envelope. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// From silence to full level, along a line.
    pub attack: f32,
    /// From full level to within 60 dB of the sustain level, exponentially.
    pub decay: f32,
    /// Level of a held key, 0 to 1.
    pub sustain: f32,
    /// From full level to silence, exponentially.
    pub release: f32,
    /// Whether the voice lets go by itself, after attack and decay.
    pub one_shot: bool,
}

impl Rates {
    /// Turns times into rates at `rate` samples per second. Real-time safe.
    #[must_use]
    pub fn new(shape: &Shape, rate: f32) -> Self {
        let approach = |seconds: f32| 1.0 - (UNDERSHOOT.ln() / (seconds * rate).max(1.0)).exp();
        Self {
            attack: 1.0 / (shape.attack * rate).max(1.0),
            decay: approach(shape.decay),
            sustain: shape.sustain,
            release: approach(shape.release),
            fade: 1.0 / (FADE_SECONDS * rate).max(1.0),
            longest: if shape.one_shot {
                samples(shape.attack + shape.decay, rate)
            } else {
                u64::MAX
            },
        }
    }
}

/// Whole samples of a time in seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn samples(seconds: f32, rate: f32) -> u64 {
    (seconds * rate) as u64
}

/// Part of its life that a voice is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Attack,
    Decay,
    /// Let go before it had a sample: it has one, since release falls from where attack has come to.
    Brief,
    Release,
    Fade,
    Done,
}

/// The level of one voice.
#[derive(Debug, Clone, Copy)]
pub struct Envelope {
    stage: Stage,
    level: f32,
    /// Samples since it began.
    age: u64,
}

impl Envelope {
    /// Begins at silence, or at full level if there is no attack.
    #[must_use]
    pub fn new() -> Self {
        Self { stage: Stage::Attack, level: 0.0, age: 0 }
    }

    /// Lets go: the key has been released.
    pub fn release(&mut self) {
        if self.is_held() {
            self.stage = if self.age == 0 { Stage::Brief } else { Stage::Release };
        }
    }

    /// Goes to silence within [`FADE_SECONDS`].
    pub fn fade(&mut self) {
        if self.stage != Stage::Done {
            self.stage = Stage::Fade;
        }
    }

    /// Whether the key is still held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Attack | Stage::Decay)
    }

    /// Whether the voice is making room.
    #[must_use]
    pub fn is_fading(&self) -> bool {
        self.stage == Stage::Fade
    }

    /// Whether the voice is silent for good.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The level of the next sample, 0 to 1. Real-time safe.
    pub fn advance(&mut self, rates: &Rates) -> f32 {
        if self.age >= rates.longest {
            self.release();
        }
        self.age += 1;
        match self.stage {
            Stage::Attack => {
                self.level += rates.attack;
                if self.level >= 1.0 {
                    self.level = 1.0;
                    self.stage = Stage::Decay;
                }
            }
            Stage::Brief => {
                self.level = rates.attack;
                self.stage = Stage::Release;
            }
            Stage::Decay => self.level += (rates.sustain - self.level) * rates.decay,
            Stage::Release => self.level -= (self.level + UNDERSHOOT) * rates.release,
            Stage::Fade => self.level -= rates.fade,
            Stage::Done => {}
        }
        if self.level <= 0.0 && matches!(self.stage, Stage::Release | Stage::Fade) {
            self.level = 0.0;
            self.stage = Stage::Done;
        }
        self.level
    }
}

impl Default for Envelope {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { attack: 0.0, decay: 0.1, sustain: 1.0, release: 0.1, one_shot: false };

    fn samples(envelope: &mut Envelope, rates: &Rates, count: usize) -> Vec<f32> {
        (0..count).map(|_| envelope.advance(rates)).collect()
    }

    #[test]
    fn a_one_shot_lets_go_after_attack_and_decay() {
        let rates = Rates::new(&Shape { one_shot: true, ..SHAPE }, 48_000.0);
        let mut envelope = Envelope::new();
        assert!(samples(&mut envelope, &rates, 4800).iter().all(|&level| level == 1.0));
        assert!(samples(&mut envelope, &rates, 1)[0] < 1.0);
        samples(&mut envelope, &rates, 4800);
        assert!(envelope.is_done());
    }

    #[test]
    fn a_one_shot_without_attack_and_decay_is_its_release() {
        let rates = Rates::new(&Shape { one_shot: true, decay: 0.0, ..SHAPE }, 48_000.0);
        let fall = samples(&mut Envelope::new(), &rates, 5000);
        assert!(fall[0] == 1.0 && fall[1] < 1.0 && fall[480] > 0.4 && fall[4999] == 0.0);
    }

    #[test]
    fn a_key_that_comes_up_at_once_is_heard_as_its_release() {
        let mut envelope = Envelope::new();
        envelope.release();
        let fall = samples(&mut envelope, &Rates::new(&SHAPE, 48_000.0), 5000);
        assert!(fall[0] == 1.0 && fall[1] < 1.0 && fall[480] > 0.4 && envelope.is_done());
        let mut soft = Envelope::new();
        soft.release();
        let slow = Rates::new(&Shape { attack: 1.0, ..SHAPE }, 48_000.0);
        assert!(samples(&mut soft, &slow, 5000).iter().all(|level| *level < 1e-4));
    }

    #[test]
    fn without_attack_and_decay_the_level_is_one_from_the_first_sample() {
        let rates = Rates::new(&SHAPE, 48_000.0);
        assert!(samples(&mut Envelope::new(), &rates, 10_000).iter().all(|&level| level == 1.0));
    }

    #[test]
    fn an_attack_rises_along_a_line() {
        let rates = Rates::new(&Shape { attack: 0.01, ..SHAPE }, 48_000.0);
        let rise = samples(&mut Envelope::new(), &rates, 480);
        assert!((rise[239] - 0.5).abs() < 1e-3 && (rise[479] - 1.0).abs() < 1e-3);
    }

    #[test]
    fn decay_comes_to_the_sustain_level() {
        let rates = Rates::new(&Shape { sustain: 0.25, ..SHAPE }, 48_000.0);
        let fall = samples(&mut Envelope::new(), &rates, 4800);
        assert!((fall[4799] - 0.25).abs() < 1e-3, "{}", fall[4799]);
        assert!(fall[480] > 0.5);
    }

    #[test]
    fn release_ends_in_its_time() {
        let rates = Rates::new(&SHAPE, 48_000.0);
        let mut envelope = Envelope::new();
        envelope.advance(&rates);
        envelope.release();
        let fall = samples(&mut envelope, &rates, 5000);
        assert!(envelope.is_done());
        assert!(fall[2400] > 0.02 && fall[4700] < 1e-3, "{} {}", fall[2400], fall[4700]);
    }

    #[test]
    fn a_voice_that_makes_room_fades_within_five_milliseconds() {
        let rates = Rates::new(&SHAPE, 48_000.0);
        let mut envelope = Envelope::new();
        envelope.advance(&rates);
        envelope.fade();
        let fall = samples(&mut envelope, &rates, 240);
        assert!(envelope.is_done());
        assert!(fall.windows(2).all(|pair| pair[0] - pair[1] < 0.006), "no hard edge");
    }
}
