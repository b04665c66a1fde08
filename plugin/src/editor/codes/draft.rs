//! A clip under the hand: its codes, what of them is selected and locked, and what was done to it.

use std::ops::Range;
use std::sync::Arc;

use distill_shared::codes::{ABSENT, Codes};
use distill_shared::player::GivenCodes;

use crate::clips::Clip;
use crate::locks::Locks;

/// Frames before what is made anew that the prior hears: some ten seconds.
const CONTEXT: usize = 512;

/// A rectangle of the grid: frames by levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) frames: Range<usize>,
    pub(crate) levels: Range<usize>,
}

impl Region {
    /// The smallest region that holds two cells, given as frame and level.
    pub(crate) fn between(a: (usize, usize), b: (usize, usize)) -> Self {
        let span = |a: usize, b: usize| a.min(b)..a.max(b) + 1;
        Self { frames: span(a.0, b.0), levels: span(a.1, b.1) }
    }

    /// Its cells, frame by frame.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let levels = self.levels.clone();
        self.frames.clone().flat_map(move |t| levels.clone().map(move |level| (t, level)))
    }
}

/// A piece of a grid that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    first_level: usize,
    /// Frame by frame, level by level.
    rows: Vec<Vec<u32>>,
}

/// Something that was done, as it takes to undo it or to do it again.
#[derive(Debug)]
enum Step {
    /// The codes on the other side of it, and what is locked there if cells have other places there.
    Codes { codes: Arc<Codes>, locked: Option<Locks> },
    /// A level was called something else: before, and after. None is what it is called by itself.
    Naming { level: usize, names: [Option<String>; 2] },
}

/// What undoing, or doing again, has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turned {
    /// The codes are others.
    Codes,
    /// The level is to be called that again.
    Name(usize, Option<String>),
}

/// A clip under the hand.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    codes: Arc<Codes>,
    locked: Locks,
    selection: Option<Region>,
    undone: Vec<Step>,
    done: Vec<Step>,
}

impl Draft {
    /// What is under the hand of `clip`, as it is.
    pub(crate) fn of(clip: &Clip) -> Self {
        let (codes, locked) = (Arc::clone(&clip.codes), clip.locks.clone());
        Self { codes, locked, ..Self::default() }
    }

    /// `codes`, of which nothing is locked, for tests.
    #[cfg(test)]
    pub(crate) fn new(codes: Arc<Codes>) -> Self {
        Self { codes, ..Self::default() }
    }

    /// Whether it is `clip` as it is.
    pub(crate) fn is_of(&self, clip: &Clip) -> bool {
        self.codes == clip.codes && self.locked == clip.locks
    }

    pub(crate) fn codes(&self) -> &Arc<Codes> {
        &self.codes
    }

    /// More of what is being played has come; what was edited stays.
    pub(crate) fn follow(&mut self, codes: Codes) {
        if !self.is_edited() {
            self.codes = Arc::new(codes);
            self.stay_inside();
        }
    }

    /// Whether its codes were changed.
    pub(crate) fn is_edited(&self) -> bool {
        self.done.iter().chain(&self.undone).any(|step| matches!(step, Step::Codes { .. }))
    }

    /// Whether there is more to it than its codes: something is locked, or can be undone or done again.
    pub(crate) fn is_touched(&self) -> bool {
        self.can_undo() || self.can_redo() || !self.locked.are_none()
    }

    pub(crate) fn selection(&self) -> Option<&Region> {
        self.selection.as_ref()
    }

    /// Selects what of `region` lies inside, or nothing.
    pub(crate) fn select(&mut self, region: Option<Region>) {
        self.selection = region.and_then(|region| self.inside(region));
    }

    /// What of `region` lies inside, if anything does.
    fn inside(&self, region: Region) -> Option<Region> {
        let (frames, levels) = (self.codes.frames(), self.codes.quantizers());
        let inside = Region {
            frames: region.frames.start..region.frames.end.min(frames),
            levels: region.levels.start..region.levels.end.min(levels),
        };
        Some(inside).filter(|r| !r.frames.is_empty() && !r.levels.is_empty())
    }

    pub(crate) fn select_all(&mut self) {
        let all = Region { frames: 0..self.codes.frames(), levels: 0..self.codes.quantizers() };
        self.select(Some(all));
    }

    /// The selection, or all if nothing is selected.
    fn region(&self) -> Region {
        let all = Region { frames: 0..self.codes.frames(), levels: 0..self.codes.quantizers() };
        self.selection.clone().unwrap_or(all)
    }

    /// The frames that are selected, or all.
    pub(crate) fn frames(&self) -> Range<usize> {
        self.region().frames
    }

    /// What is locked.
    pub(crate) fn locks(&self) -> &Locks {
        &self.locked
    }

    pub(crate) fn is_locked(&self, t: usize, level: usize) -> bool {
        self.locked.hold(t, level)
    }

    /// Locks what is selected, or frees it if all of it is locked.
    pub(crate) fn toggle_lock(&mut self) {
        self.locked.toggle(&self.region().cells().collect::<Vec<_>>());
    }

    /// Puts what `code` says in the place of every code that is selected and not locked. Returns
    /// whether anything changed: that can be undone.
    pub(crate) fn change(&mut self, mut code: impl FnMut(usize, usize, u32) -> u32) -> bool {
        let mut codes = (*self.codes).clone();
        for (t, level) in self.region().cells() {
            let old = codes.get(t, level).filter(|_| !self.is_locked(t, level));
            if let Some(old) = old {
                codes.set(t, level, code(t, level, old));
            }
        }
        self.commit(codes, None)
    }

    /// Puts `codes` in the place of those there are, and `locked`, if given, in that of what is locked.
    fn commit(&mut self, codes: Codes, locked: Option<Locks>) -> bool {
        let changed = codes != *self.codes;
        if changed {
            let before = self.exchange(Arc::new(codes), locked);
            self.did(before);
        }
        changed
    }

    /// The same without a word of what was done; gives what it takes to come back.
    fn exchange(&mut self, codes: Arc<Codes>, locked: Option<Locks>) -> Step {
        let codes = std::mem::replace(&mut self.codes, codes);
        let locked = locked.map(|locked| std::mem::replace(&mut self.locked, locked));
        // Locking is no step: what is gone may have been locked since.
        self.locked = std::mem::take(&mut self.locked).within(self.codes.frames());
        self.stay_inside();
        Step::Codes { codes, locked }
    }

    fn did(&mut self, step: Step) {
        self.done.push(step);
        self.undone.clear();
    }

    /// Notes that a level was called something else: `names` are those before and after.
    pub(crate) fn named(&mut self, level: usize, names: [Option<String>; 2]) {
        self.did(Step::Naming { level, names });
    }

    /// The codes are others: what is selected has to be among them.
    fn stay_inside(&mut self) {
        let selection = self.selection.take();
        self.select(selection);
    }

    /// What is selected tells nothing any more.
    pub(crate) fn clear(&mut self) -> bool {
        self.change(|_, _, _| ABSENT)
    }

    /// The piece that is selected.
    pub(crate) fn copy(&self) -> Piece {
        let Region { frames, levels } = self.region();
        let rows = frames.map(|t| self.codes.frame(t)[levels.clone()].to_vec()).collect();
        Piece { first_level: levels.start, rows }
    }

    /// Puts a piece, at its own levels, where the selection begins; the selection becomes its place.
    pub(crate) fn paste(&mut self, piece: &Piece) -> bool {
        let start = self.frames().start;
        let width = piece.rows.first().map_or(0, Vec::len);
        self.select(Some(Region {
            frames: start..start + piece.rows.len(),
            levels: piece.first_level..piece.first_level + width,
        }));
        let levels = self.codes.quantizers();
        if self.selection.is_none() || piece.first_level + width > levels {
            return false;
        }
        self.change(|t, level, old| {
            let row = piece.rows.get(t - start);
            row.and_then(|row| row.get(level - piece.first_level)).copied().unwrap_or(old)
        })
    }

    /// Only the frames that are selected are left, and nothing is locked any more.
    pub(crate) fn crop(&mut self) -> bool {
        let codes = self.codes.slice(self.frames());
        let changed = self.commit(codes, Some(Locks::default()));
        if changed {
            self.selection = None;
        }
        changed
    }

    /// The clip up to the end of the selection, with what is selected and not locked left open, and the
    /// frame that it begins with: what came long before decides nothing any more.
    pub(crate) fn open(&self) -> (GivenCodes, usize) {
        let region = self.region();
        let first = region.frames.start.saturating_sub(CONTEXT);
        let mut given = GivenCodes::new(&self.codes.slice(first..region.frames.end));
        for (t, level) in region.cells().filter(|(t, level)| !self.is_locked(*t, *level)) {
            given.open(t - first..t - first + 1, level..level + 1);
        }
        (given, first)
    }

    /// Puts `filled`, the answer to [`Self::open`] for `region` from frame `first` on, in its place.
    pub(crate) fn fill(&mut self, region: &Region, first: usize, filled: &Codes) -> bool {
        let selection = self.selection.replace(region.clone());
        let new = |t: usize, level| t.checked_sub(first).and_then(|t| filled.get(t, level));
        let changed = self.change(|t, level, old| new(t, level).unwrap_or(old));
        self.select(selection);
        changed
    }

    /// The end of the clip, and `frames` open ones after it.
    pub(crate) fn open_after(&self, frames: usize) -> GivenCodes {
        let mut given = GivenCodes::new(&self.codes.last(CONTEXT));
        given.go_on(frames);
        given
    }

    /// Adds what `made`, the answer to [`Self::open_after`], has more than the clip; it is selected.
    pub(crate) fn go_on(&mut self, made: &Codes) -> bool {
        if made.quantizers() != self.codes.quantizers() {
            return false;
        }
        let old = self.codes.frames();
        let mut codes = (*self.codes).clone();
        (old.min(CONTEXT)..made.frames()).for_each(|t| codes.push(made.frame(t)));
        let changed = self.commit(codes, None);
        let frames = old..self.codes.frames();
        self.select(Some(Region { frames, levels: 0..self.codes.quantizers() }));
        changed
    }

    /// The selection, or all, to be remembered until an answer comes.
    pub(crate) fn asked(&self) -> Region {
        self.region()
    }

    pub(crate) fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    pub(crate) fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    /// As it was before the last change.
    pub(crate) fn undo(&mut self) -> Option<Turned> {
        let step = self.done.pop()?;
        let (step, turned) = self.turn(step, 0);
        self.undone.push(step);
        Some(turned)
    }

    /// As it was before the last undoing.
    pub(crate) fn redo(&mut self) -> Option<Turned> {
        let step = self.undone.pop()?;
        let (step, turned) = self.turn(step, 1);
        self.done.push(step);
        Some(turned)
    }

    /// Goes to the other side of `step`, the one before it, 0, or after it, 1. Returns what it takes
    /// to come back.
    fn turn(&mut self, step: Step, side: usize) -> (Step, Turned) {
        match step {
            Step::Codes { codes, locked } => (self.exchange(codes, locked), Turned::Codes),
            Step::Naming { level, names } => {
                let turned = Turned::Name(level, names[side].clone());
                (Step::Naming { level, names }, turned)
            }
        }
    }
}

#[cfg(test)]
mod tests;
