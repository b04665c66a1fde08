//! A clip under the hand: its codes, what of them is selected and locked, and what they were before.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use distill_shared::codes::{ABSENT, Codes};
use distill_shared::player::GivenCodes;

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

/// A clip under the hand.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    codes: Arc<Codes>,
    locked: HashSet<(usize, usize)>,
    selection: Option<Region>,
    undone: Vec<Arc<Codes>>,
    done: Vec<Arc<Codes>>,
}

impl Draft {
    /// `codes` as they are.
    pub(crate) fn new(codes: Arc<Codes>) -> Self {
        Self { codes, ..Self::default() }
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

    pub(crate) fn is_edited(&self) -> bool {
        !self.done.is_empty() || !self.undone.is_empty()
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

    pub(crate) fn is_locked(&self, t: usize, level: usize) -> bool {
        self.locked.contains(&(t, level))
    }

    /// Locks what is selected, or frees it if all of it is locked.
    pub(crate) fn toggle_lock(&mut self) {
        let cells: Vec<_> = self.region().cells().collect();
        if cells.iter().all(|cell| self.locked.contains(cell)) {
            for cell in &cells {
                self.locked.remove(cell);
            }
        } else {
            self.locked.extend(cells);
        }
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
        self.commit(codes)
    }

    fn commit(&mut self, codes: Codes) -> bool {
        let changed = codes != *self.codes;
        if changed {
            self.done.push(std::mem::replace(&mut self.codes, Arc::new(codes)));
            self.undone.clear();
            self.stay_inside();
        }
        changed
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
        let changed = self.commit(codes);
        if changed {
            self.locked.clear();
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
        let changed = self.commit(codes);
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
    pub(crate) fn undo(&mut self) -> bool {
        let Some(before) = self.done.pop() else { return false };
        self.undone.push(std::mem::replace(&mut self.codes, before));
        self.stay_inside();
        true
    }

    /// As it was before the last undoing.
    pub(crate) fn redo(&mut self) -> bool {
        let Some(after) = self.undone.pop() else { return false };
        self.done.push(std::mem::replace(&mut self.codes, after));
        self.stay_inside();
        true
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::unflatten_codes;

    use super::*;

    /// Four frames of two levels: 0 1, 2 3, 4 5, 6 7.
    fn draft() -> Draft {
        let codes = unflatten_codes(&[0, 1, 2, 3, 4, 5, 6, 7], 2).expect("four frames");
        Draft::new(Arc::new(codes))
    }

    fn region(frames: Range<usize>, levels: Range<usize>) -> Option<Region> {
        Some(Region { frames, levels })
    }

    #[test]
    fn what_is_selected_changes_and_what_is_locked_does_not() {
        let mut draft = draft();
        draft.select(region(1..2, 0..1));
        draft.toggle_lock();
        draft.select(region(1..3, 0..9));
        assert!(draft.change(|_, _, _| 9));
        assert_eq!(draft.codes().as_slice(), [0, 1, 2, 9, 9, 9, 6, 7]);
        draft.select(region(1..2, 0..1));
        draft.toggle_lock();
        assert!(draft.clear());
        assert_eq!(draft.codes().frame(1), [ABSENT, 9]);
        assert!(!draft.clear(), "nothing changes twice");
    }

    #[test]
    fn everything_can_be_undone_and_done_again() {
        let mut draft = draft();
        let states: Vec<Codes> = (0..50)
            .map(|n| {
                let before = (**draft.codes()).clone();
                assert!(draft.change(|_, _, old| old + n + 1));
                before
            })
            .collect();
        let last = (**draft.codes()).clone();
        for state in states.iter().rev() {
            assert!(draft.undo());
            assert_eq!(**draft.codes(), *state);
        }
        assert!(!draft.undo() && draft.can_redo());
        while draft.redo() {}
        assert_eq!(**draft.codes(), last);
        draft.undo();
        assert!(draft.clear() && !draft.can_redo(), "another way was taken");
    }

    #[test]
    fn a_piece_keeps_its_levels_and_goes_where_the_selection_begins() {
        let mut draft = draft();
        draft.select(region(0..2, 1..2));
        let piece = draft.copy();
        draft.select(region(2..3, 0..1));
        assert!(draft.paste(&piece));
        assert_eq!(draft.codes().as_slice(), [0, 1, 2, 3, 4, 1, 6, 3]);
        assert_eq!(draft.selection(), region(2..4, 1..2).as_ref());
        draft.select(region(3..4, 0..1));
        assert!(draft.paste(&piece), "what does not fit is left out");
        assert_eq!(draft.codes().as_slice(), [0, 1, 2, 3, 4, 1, 6, 1]);
    }

    #[test]
    fn what_is_to_be_made_anew_is_open_up_to_its_end() {
        let mut draft = draft();
        draft.select(region(1..2, 1..2));
        draft.toggle_lock();
        draft.select(region(1..3, 0..2));
        let (given, first) = draft.open();
        assert_eq!(first, 0);
        let codes: Vec<_> = (0..4).map(|t| given.frame(t).to_vec()).collect();
        let frames = [vec![Some(0), Some(1)], vec![None, Some(3)], vec![None, None], Vec::new()];
        assert_eq!(codes, frames);
        let asked = draft.asked();
        draft.select(None);
        let filled = unflatten_codes(&[9; 6], 2).expect("three frames");
        assert!(draft.fill(&asked, 0, &filled));
        assert_eq!(draft.codes().as_slice(), [0, 1, 9, 3, 9, 9, 6, 7]);
        assert_eq!(draft.selection(), None);
    }

    #[test]
    fn what_is_played_is_followed_until_it_is_edited() {
        let mut draft = draft();
        draft.follow(unflatten_codes(&[8; 10], 2).expect("five frames"));
        assert_eq!(draft.codes().frames(), 5);
        draft.clear();
        draft.follow(unflatten_codes(&[8; 12], 2).expect("six frames"));
        assert_eq!(draft.codes().frames(), 5);
    }

    #[test]
    fn what_goes_on_is_selected_and_can_be_undone() {
        let mut draft = draft();
        let given = draft.open_after(2);
        assert_eq!(given.frame(5), [None, None]);
        assert_eq!(given.frame(3), [Some(6), Some(7)]);
        let filled = unflatten_codes(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 9], 2).expect("six frames");
        assert!(draft.go_on(&filled));
        assert_eq!(**draft.codes(), filled);
        assert_eq!(draft.selection(), region(4..6, 0..2).as_ref());
        assert!(draft.undo());
        assert_eq!(draft.codes().frames(), 4);
        // What was selected is gone, so all is meant.
        assert_eq!((draft.selection(), draft.frames()), (None, 0..4));
        assert_eq!(draft.copy().rows.len(), 4);
        assert!(!draft.crop() && draft.redo());
        let foreign = unflatten_codes(&[1; 21], 3).expect("seven frames");
        assert!(!draft.go_on(&foreign), "another codec");
    }

    #[test]
    fn a_piece_of_a_codec_with_more_levels_is_not_pasted() {
        let other = unflatten_codes(&[9; 9], 3).expect("three frames");
        let piece = Draft::new(other.into()).copy();
        let mut draft = draft();
        assert!(!draft.paste(&piece));
        assert!(!Draft::default().paste(&piece));
        draft.select(region(3..4, 0..1));
        assert!(!draft.is_edited());
    }

    #[test]
    fn what_is_cropped_can_be_had_back() {
        let mut draft = draft();
        draft.select(region(1..3, 0..1));
        assert!(draft.crop());
        assert_eq!(draft.codes().as_slice(), [2, 3, 4, 5]);
        assert!(!draft.crop(), "all of it is left");
        assert!(draft.undo());
        assert_eq!(draft.codes().frames(), 4);
    }

    #[test]
    fn selections_stay_inside() {
        let mut draft = draft();
        draft.select(Some(Region::between((9, 1), (2, 0))));
        assert_eq!(draft.selection(), region(2..4, 0..2).as_ref());
        draft.select(region(4..9, 0..2));
        assert_eq!(draft.selection(), None);
        draft.select_all();
        assert_eq!(draft.frames(), 0..4);
    }
}
