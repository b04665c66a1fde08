//! WORKER: the last of what was heard of a take, played again and again.

use std::collections::VecDeque;
use std::f32::consts::FRAC_PI_2;

use crate::stream::{ControlFrame, Hold};

/// The newest sound of a take, and the loop that is made of it.
///
/// A loop is closed by what the take would have gone on with: it fades out, with the same power
/// throughout, while the beginning of the loop fades in. Where the loop ends the take goes on from
/// there, faded in likewise. So there is no seam, whatever the sound.
#[derive(Debug, Default)]
pub struct Looper {
    /// What was heard, the newest last, as long as a loop may be; while there is a loop, that.
    recent: VecDeque<[f32; 2]>,
    /// Where in the loop playing is, if there is one.
    at: Option<usize>,
}

impl Looper {
    /// Whether the take has to make a frame for `control`: not while a loop goes on.
    #[must_use]
    pub fn needs_frame(&self, control: &ControlFrame) -> bool {
        self.at.is_none() || !wants_loop(control)
    }

    /// Makes of `sound`, the frame that the take made if one was needed, what is heard. A loop begins
    /// once there is enough to fill it, and keeps its length until it ends.
    pub fn pass(&mut self, control: &ControlFrame, sound: &mut [[f32; 2]]) {
        let wants_loop = wants_loop(control);
        match self.at {
            Some(_) if wants_loop => self.repeat(sound),
            Some(at) => {
                let mut over = sound.to_vec();
                self.repeat(&mut over);
                fade(&over, sound);
                self.recent.rotate_left(at);
                self.at = None;
                self.remember(control.loop_len, sound);
            }
            None if wants_loop && self.fills(control.loop_len, sound.len()) => {
                self.recent.drain(..self.recent.len() - control.loop_len);
                let mut begins: Vec<_> = self.recent.iter().take(sound.len()).copied().collect();
                fade(sound, &mut begins);
                self.recent.iter_mut().zip(begins).for_each(|(kept, new)| *kept = new);
                self.at = Some(0);
                self.repeat(sound);
            }
            None => self.remember(control.loop_len, sound),
        }
    }

    /// Whether enough was heard for a loop of `len` samples, which takes frames of `hop` to close.
    fn fills(&self, len: usize, hop: usize) -> bool {
        len >= 2 * hop && self.recent.len() >= len
    }

    fn remember(&mut self, len: usize, sound: &[[f32; 2]]) {
        if len == 0 {
            self.recent = VecDeque::new();
            return;
        }
        self.recent.extend(sound);
        self.recent.drain(..self.recent.len().saturating_sub(len));
    }

    /// The next frame of the loop, as long as `sound` is.
    fn repeat(&mut self, sound: &mut [[f32; 2]]) {
        let len = self.recent.len();
        let at = self.at.unwrap_or(0);
        let all = self.recent.iter().cycle().skip(at);
        sound.iter_mut().zip(all).for_each(|(sample, kept)| *sample = *kept);
        self.at = Some((at + sound.len()) % len.max(1));
    }
}

fn wants_loop(control: &ControlFrame) -> bool {
    control.hold == Hold::Loop && control.loop_len > 0
}

/// Fades `new` in over its whole length, and `old` out.
fn fade(old: &[[f32; 2]], new: &mut [[f32; 2]]) {
    let len = new.len() as f32;
    for (n, (old, new)) in old.iter().zip(new).enumerate() {
        let (come, go) = (FRAC_PI_2 * (n as f32 + 0.5) / len).sin_cos();
        *new = [0, 1].map(|side| go * old[side] + come * new[side]);
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::player::Sampling;

    use super::*;

    const HOP: usize = 64;
    const LEN: usize = 400;

    fn control(hold: Hold) -> ControlFrame {
        ControlFrame { sampling: Sampling::default(), live: true, hold, loop_len: LEN }
    }

    /// What is heard of a slow wave, held in each frame as `holds` says.
    fn heard(holds: impl Iterator<Item = Hold>) -> Vec<f32> {
        let mut looper = Looper::default();
        let mut made = 0;
        let mut heard = Vec::new();
        for hold in holds {
            let control = control(hold);
            let mut sound = vec![[0.0; 2]; HOP];
            if looper.needs_frame(&control) {
                let wave = |n: usize| ((made * HOP + n) as f32 * 0.013).sin();
                sound = (0..HOP).map(|n| [wave(n); 2]).collect();
                made += 1;
            }
            looper.pass(&control, &mut sound);
            assert_eq!(sound.len(), HOP);
            heard.extend(sound.iter().map(|sample| sample[0]));
        }
        heard
    }

    #[test]
    fn a_loop_repeats_to_the_sample_and_has_no_seam() {
        let holds = (0..60).map(|n| if (10..50).contains(&n) { Hold::Loop } else { Hold::Off });
        let heard = heard(holds);
        let (begins, ends) = (10 * HOP, 50 * HOP);
        assert!((begins..ends - LEN).all(|n| heard[n] == heard[n + LEN]));
        assert!((begins + HOP..begins + LEN).all(|n| heard[n] == heard[n - LEN]), "what was heard");
        let steepest = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        // The wave itself moves by 0.013; a fade of 64 samples of what is as loud, by some more.
        assert!(steepest < 0.06, "a step of {steepest}");
    }

    #[test]
    fn a_loop_begins_once_there_is_enough_to_fill_it() {
        let heard = heard((0..30).map(|_| Hold::Loop));
        let wave: Vec<f32> = (0..7 * HOP).map(|n| (n as f32 * 0.013).sin()).collect();
        assert_eq!(heard[..wave.len()], wave, "seven frames are 448 samples");
        assert!((7 * HOP..29 * HOP - LEN).all(|n| heard[n] == heard[n + LEN]));
    }

    #[test]
    fn a_loop_of_what_was_looped_goes_on_from_what_was_heard() {
        let holds =
            |n: usize| if (10..20).contains(&n) || n >= 22 { Hold::Loop } else { Hold::Off };
        let heard = heard((0..60).map(holds));
        let begins = 22 * HOP;
        assert!((begins + HOP..begins + LEN).all(|n| heard[n] == heard[n - LEN]));
    }

    #[test]
    fn where_no_loop_can_be_asked_for_nothing_is_kept() {
        let mut looper = Looper::default();
        let none = ControlFrame { loop_len: 0, ..control(Hold::Loop) };
        let mut sound = vec![[0.5; 2]; HOP];
        (0..9).for_each(|_| looper.pass(&none, &mut sound));
        assert!(looper.recent.is_empty() && looper.needs_frame(&none));
        assert!(sound.iter().all(|sample| *sample == [0.5; 2]));
    }
}
