//! Playing a phrase, block by block.

use anyhow::{Result, ensure};
use clack_extensions::render::RenderMode;
use vst3::Steinberg::Vst::ProcessContext;
use vst3::Steinberg::Vst::ProcessContext_::StatesAndFlags_::{
    kBarPositionValid, kPlaying, kProjectTimeMusicValid, kTempoValid, kTimeSigValid,
};
use vst3::Steinberg::kResultOk;

use super::{Block, Change, Instrument};
use crate::host::{KeyEvent, Playback};
use crate::phrase::Note;
use crate::sound::Sound;

impl Instrument {
    /// Plays the `notes` of a song that begin in a piece of it, as fast as the plugin allows, in 4/4 at
    /// 120 beats per minute. What `changes` says of parameters, they become at that sample of the piece; `playback` tells
    /// neither a pace nor messages here.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses any of it.
    pub fn play(
        &mut self,
        notes: &[Note],
        playback: &Playback,
        changes: &[Change],
    ) -> Result<Sound> {
        let mode = if playback.mode == RenderMode::Offline { 2 } else { 0 };
        let rate = f64::from(playback.rate);
        let longest = i32::try_from(playback.block)?;
        ensure!(self.set_up(rate, longest, mode, 0) == kResultOk, "it does not play so");
        ensure!(self.set_active(true) == kResultOk, "it cannot be activated");
        self.set_processing(true);
        let events = playback.key_events(notes);
        let mut sound = Sound { rate: playback.rate, channels: vec![Vec::new(); 2] };
        for number in 0.. {
            let start = sound.len();
            let len = playback.block_len(number).min(playback.samples() - start);
            if len == 0 {
                break;
            }
            let mut block = block(&events, changes, start, len)?;
            block.mode = if playback.wavers && number % 2 == 1 { 2 - mode } else { mode };
            block.context = Some(context(playback, start));
            ensure!(self.process(&mut block) == kResultOk, "block {number} is not played");
            for (whole, part) in sound.channels.iter_mut().zip(block.channels.iter().flatten()) {
                whole.extend(part);
            }
        }
        self.set_processing(false);
        self.set_active(false);
        Ok(sound)
    }
}

/// `len` samples of the piece from `start` on, and what happens in them.
fn block(events: &[KeyEvent], changes: &[Change], start: usize, len: usize) -> Result<Block> {
    let mut block = Block::new(i32::try_from(len)?);
    let here = start..start + len;
    for event in events.iter().filter(|event| here.contains(&event.at)) {
        let (at, note) = (i32::try_from(event.at - start)?, i32::try_from(event.note)?);
        match event.velocity {
            #[expect(clippy::cast_possible_truncation, reason = "as VST3 has it")]
            Some(velocity) => block.press(at, note, event.key.into(), velocity as f32),
            None => block.release(at, note, event.key.into()),
        }
    }
    for change in changes {
        let at = usize::try_from(change.at)?;
        if here.contains(&at) {
            block.changes.push(Change { at: i32::try_from(at - start)?, ..*change });
        }
    }
    Ok(block)
}

/// A host that plays in 4/4 at 120 beats per minute.
fn context(playback: &Playback, position: usize) -> ProcessContext {
    let beats = 2.0 * (playback.start + position as f64 / f64::from(playback.rate));
    let state = kPlaying | kTempoValid | kTimeSigValid | kProjectTimeMusicValid | kBarPositionValid;
    // SAFETY: a context of zeros is one of a host that says nothing.
    let nothing: ProcessContext = unsafe { std::mem::zeroed() };
    ProcessContext {
        state,
        sampleRate: playback.rate.into(),
        projectTimeSamples: i64::try_from(position).unwrap_or(0),
        projectTimeMusic: beats,
        barPositionMusic: 4.0 * (beats / 4.0).floor(),
        tempo: 120.0,
        timeSigNumerator: 4,
        timeSigDenominator: 4,
        ..nothing
    }
}
