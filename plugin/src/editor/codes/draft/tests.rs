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
        assert_eq!(draft.undo(), Some(Turned::Codes));
        assert_eq!(**draft.codes(), *state);
    }
    assert!(draft.undo().is_none() && draft.can_redo());
    while draft.redo().is_some() {}
    assert_eq!(**draft.codes(), last);
    draft.undo();
    assert!(draft.clear() && !draft.can_redo(), "another way was taken");
}

#[test]
fn names_of_levels_are_undone_among_the_rest() {
    let name = |text: &str| Some(text.to_owned());
    let mut draft = draft();
    draft.named(1, [None, name("Hiss")]);
    assert!(!draft.is_edited() && draft.can_undo(), "what sounds goes on coming");
    assert!(draft.clear());
    draft.named(1, [name("Hiss"), name("Air")]);
    assert_eq!(draft.undo(), Some(Turned::Name(1, name("Hiss"))));
    assert_eq!(draft.undo(), Some(Turned::Codes));
    assert_eq!(draft.undo(), Some(Turned::Name(1, None)));
    assert_eq!(draft.redo(), Some(Turned::Name(1, name("Hiss"))));
    assert_eq!(draft.codes().as_slice(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(draft.redo(), Some(Turned::Codes));
    assert_eq!(draft.redo(), Some(Turned::Name(1, name("Air"))));
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
    assert_eq!(draft.undo(), Some(Turned::Codes));
    assert_eq!(draft.codes().frames(), 4);
    // What was selected is gone, so all is meant.
    assert_eq!((draft.selection(), draft.frames()), (None, 0..4));
    assert_eq!(draft.copy().rows.len(), 4);
    assert!(!draft.crop() && draft.redo().is_some());
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
    assert_eq!(draft.undo(), Some(Turned::Codes));
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

#[test]
fn what_was_locked_before_cropping_is_locked_again_after_it_is_undone() {
    let mut draft = draft();
    draft.select(region(2..3, 1..2));
    draft.toggle_lock();
    draft.select(region(1..3, 0..1));
    assert!(draft.crop() && !draft.is_locked(2, 1));
    draft.select(region(0..1, 0..1));
    draft.toggle_lock();
    draft.undo();
    assert!(draft.is_locked(2, 1) && !draft.is_locked(0, 0));
    assert!(draft.is_edited());
    draft.redo();
    assert!(draft.is_locked(0, 0) && !draft.is_locked(2, 1));
}

#[test]
fn what_is_undone_takes_its_locks_along() {
    let mut draft = draft();
    let longer = unflatten_codes(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 2).expect("five frames");
    assert!(draft.go_on(&longer));
    // What was added is selected.
    draft.toggle_lock();
    assert!(draft.is_locked(4, 0));
    draft.undo();
    assert!(draft.locks().are_none());
    draft.redo();
    assert!(!draft.is_locked(4, 0));
}
