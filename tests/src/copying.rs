//! Whether the takes of a phrase repeat a recording.
//!
//! They are heard with what the instrument's own meter listens with, [`CopyCheck`], which knows nearly
//! all copies and hardly anything else (`docs/measurements.md`, "Copying"). Waveforms cannot tell: two
//! kicks are alike in nearly all samples, and a snare that went through the codec is like itself in
//! none, since phases are not told.
//!
//! [`CopyCheck`]: distill_shared::player::CopyCheck

use std::sync::Arc;

use anyhow::{Context, Result};
use distill_shared::player::{Model, Sampling, Take, TakeKey};

use crate::phrase::Note;

/// For how long a take may go on as one place of a recording does, in seconds. What came before counts
/// too, where the two are compared: a recording of half a second that is played again goes on for
/// longer than this.
pub const COPY_SECONDS: f64 = 0.25;

/// The longest stretch of a phrase that goes on as one place of a recording does.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Copied {
    /// When its note begins, in seconds.
    pub at_seconds: f64,
    /// How long it is, in seconds; 0 if nothing is copied.
    pub seconds: f64,
}

/// Finds the longest copy in `notes` as a fresh instance plays them with `seed`: note after note, take
/// after take.
///
/// # Errors
///
/// Fails if the model has no prior, or keeps nothing of its corpus to compare with.
pub fn longest_copy(notes: &[Note], model: &Arc<Model>, seed: u64) -> Result<Copied> {
    let mut longest = Copied::default();
    for (take, note) in (0..).zip(notes) {
        let mut take = Take::new(Arc::clone(model), TakeKey { seed, take })?;
        let seconds = longest_copy_of(&mut take, note.end - note.start)?;
        if seconds > longest.seconds {
            longest = Copied { at_seconds: note.start, seconds };
        }
    }
    Ok(longest)
}

/// The longest copy in the next `seconds` of a take, in seconds.
fn longest_copy_of(take: &mut Take, seconds: f64) -> Result<f64> {
    let codec = &take.model().config().codec;
    let (rate, mut frame) = (codec.frame_rate(), vec![0.0; codec.channels * codec.hop()]);
    let mut longest = 0;
    let mut left = seconds * rate;
    while left > 0.0 {
        take.step(&Sampling::default(), &mut frame);
        let newest = take.copying().context("the bundle keeps nothing of its corpus")?;
        longest = longest.max(newest.run);
        left -= 1.0;
    }
    Ok(f64::from(longest) / rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use distill_shared::bundle::Bundle;
    use distill_shared::player::GivenCodes;

    fn factory() -> Bundle {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/factory.distill");
        Bundle::open(path.as_ref()).unwrap()
    }

    #[test]
    fn a_recording_that_is_played_again_is_a_copy() {
        let bundle = factory();
        let model = Arc::new(Model::from_bundle(&bundle).unwrap());
        let rate = model.config().codec.frame_rate();
        let (mut planted, mut found) = (0, 0);
        for recording in bundle.corpus_codes() {
            let seconds = recording.codes.frames() as f64 / rate;
            if recording.held_out || seconds < 2.0 * COPY_SECONDS {
                continue;
            }
            let key = TakeKey { seed: 1, take: 0 };
            let given = Arc::new(GivenCodes::new(&recording.codes));
            let mut take = Take::through(Arc::clone(&model), key, given).unwrap();
            planted += 1;
            found += u32::from(longest_copy_of(&mut take, seconds).unwrap() > COPY_SECONDS);
        }
        println!("{found} of {planted} are found");
        assert!(planted > 20 && 20 * found >= 19 * planted, "{found} of {planted} are found");
    }

    #[test]
    fn a_recording_that_was_held_out_is_none() {
        let bundle = factory();
        let model = Arc::new(Model::from_bundle(&bundle).unwrap());
        let rate = model.config().codec.frame_rate();
        let held = bundle.corpus_codes().into_iter().filter(|recording| recording.held_out);
        let heard: Vec<f64> = held
            .map(|recording| {
                let given = Arc::new(GivenCodes::new(&recording.codes));
                let key = TakeKey { seed: 1, take: 0 };
                let mut take = Take::through(Arc::clone(&model), key, given).unwrap();
                longest_copy_of(&mut take, recording.codes.frames() as f64 / rate).unwrap()
            })
            .collect();
        println!("{heard:?}");
        assert!(heard.len() > 3 && heard.iter().all(|s| *s <= COPY_SECONDS), "{heard:?}");
    }
}
