//! The codes behind a phrase: the same takes that the instrument plays, made once more.

use std::sync::Arc;

use anyhow::Result;
use distill_shared::player::{Model, PriorPlayer, Sampling, TakeKey};

use crate::phrase::Note;
use crate::picture::CodeGrid;

/// Makes the codes of `notes` as a fresh instance plays them with `seed`: note after note, take
/// after take. Where notes sound together, the newest is shown.
///
/// # Errors
///
/// Fails if the model has no prior.
pub fn codes_of(notes: &[Note], model: &Arc<Model>, seed: u64) -> Result<CodeGrid> {
    let codec = &model.config().codec;
    let mut grid = CodeGrid {
        hop: codec.hop(),
        quantizers: codec.quantizers,
        codebook_size: codec.codebook_size,
        columns: Vec::new(),
    };
    let mut prior = PriorPlayer::new(Arc::clone(model))?;
    for (take, note) in (0..).zip(notes) {
        prior.reset();
        let (start, end) =
            (column(note.start, codec.frame_rate()), column(note.end, codec.frame_rate()));
        grid.columns.resize(grid.columns.len().max(end), Vec::new());
        for column in &mut grid.columns[start..end] {
            let mut codes = vec![0; codec.quantizers];
            prior.step(TakeKey { seed, take }, &Sampling::default(), &mut codes);
            *column = codes;
        }
    }
    Ok(grid)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time from 0")]
fn column(seconds: f64, frame_rate: f64) -> usize {
    (seconds * frame_rate).round() as usize
}
