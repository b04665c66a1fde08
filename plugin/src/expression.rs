//! AUDIO THREAD: what a host changes of one note while its key is down.

/// The farthest that a note is tuned, in semitones.
const FARTHEST: f32 = 24.0;
/// The largest gain of a note, 12 dB.
const LOUDEST: f32 = 4.0;

/// What a host says of one note while it sounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expression {
    /// By how many semitones it is raised, beside all else.
    Tuning(f32),
    /// Gain as a factor, 1 being none.
    Volume(f32),
    /// Where it is, -1 (left) to 1 (right); the other side is lowered.
    Pan(f32),
}

/// What was said of one note so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expressed {
    /// By how many semitones it is raised.
    pub tuning: f32,
    volume: f32,
    pan: f32,
}

impl Default for Expressed {
    /// Nothing.
    fn default() -> Self {
        Self { tuning: 0.0, volume: 1.0, pan: 0.0 }
    }
}

impl Expressed {
    /// Takes in what the host says. What is no number changes nothing. Real-time safe.
    pub fn take(&mut self, expression: Expression) {
        match expression {
            Expression::Tuning(by) if !by.is_nan() => self.tuning = by.clamp(-FARTHEST, FARTHEST),
            Expression::Volume(gain) if !gain.is_nan() => self.volume = gain.clamp(0.0, LOUDEST),
            Expression::Pan(pan) if !pan.is_nan() => self.pan = pan.clamp(-1.0, 1.0),
            _ => {}
        }
    }

    /// The gains of both sides. Real-time safe.
    #[must_use]
    pub fn sides(&self) -> [f32; 2] {
        [-self.pan, self.pan].map(|toward| self.volume * (1.0 + toward).min(1.0))
    }
}
