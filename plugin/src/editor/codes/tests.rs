//! What is open, and how it comes to be.

use std::ops::Range;

use nice_plug::context::gui::ParamSetter;

use distill_shared::codes::unflatten_codes;

use super::draft::Region;
use super::*;
use crate::history::Origin;
use crate::locks::Locks;
use crate::pretend_host::PretendHost;
use crate::selection::Selection;

impl CodesPage {
    /// A page on which a take, or a clip of another bundle, is open.
    pub(crate) fn with_open(
        params: &DistillParams,
        setter: &ParamSetter<'_>,
        foreign: bool,
    ) -> Self {
        let mut page = Self { other: Some(Opened::Pad(13)), stays: true, ..Self::default() };
        let opened = if foreign { Opened::Pad(1) } else { Opened::Take(3) };
        page.open(Hands { params, setter }, opened);
        if foreign {
            page.message = FOREIGN.to_owned();
            page.grid.zoom = 40.0;
        }
        page
    }
}

/// Does what a test does with the parameters of an instrument.
fn with_hands(test: impl FnOnce(Hands<'_>)) {
    let (selection, _) = Selection::new();
    let (params, host) = (DistillParams::new(selection), PretendHost::default());
    test(Hands { params: &params, setter: &ParamSetter::new(&host) });
}

/// Frames of two levels as a take begins.
fn play(hands: Hands<'_>, frames: Range<u32>) {
    let codes: Vec<u32> = frames.flat_map(|frame| [frame, frame]).collect();
    let origin = Origin { edition: 0, levels: 2, pitch: None, pad: None };
    hands.instance().history().add(None, &origin, &codes, Instant::now());
}

/// Four frames of `code` are made of a new take, or of take `number`, which still sounds.
fn sounds(hands: Hands<'_>, number: Option<u64>, code: u32) -> Option<u64> {
    let origin = Origin { edition: 1, levels: 2, pitch: None, pad: None };
    hands.instance().history().add(number, &origin, &[code; 8], Instant::now())
}

#[test]
fn what_is_played_is_opened_as_it_comes_until_somebody_works_on_it() {
    with_hands(|hands| {
        let mut page = CodesPage::default();
        let opened = |page: &mut CodesPage| {
            page.follow(hands);
            page.opened
        };
        assert_eq!(opened(&mut page), None);
        play(hands, 0..4);
        let first = opened(&mut page).expect("what was played");
        play(hands, 4..8);
        let second = opened(&mut page).expect("what was played");
        assert_ne!(second, first);
        page.draft.select(Some(Region { frames: 0..2, levels: 0..1 }));
        play(hands, 8..12);
        assert_eq!(opened(&mut page), Some(second));
        page.draft.select(None);
        assert_eq!(opened(&mut page), Some(second), "it stays");
        page.stays = false;
        assert_ne!(opened(&mut page), Some(second));
    });
}

/// A clip of four frames.
fn clip(first: u32) -> Clip {
    let codes = distill_shared::codes::unflatten_codes(&[first, 1, 2, 3, 4, 5, 6, 7], 2);
    let codes = Arc::new(codes.expect("four frames"));
    let locks = Locks::default();
    Clip { name: "Bell".to_owned(), rating: 0, codec: String::new(), codes, locks }
}

#[test]
fn an_edit_that_finds_no_pad_is_there_when_one_is_free() {
    with_hands(|hands| {
        let pads = hands.instance().pads();
        (0..crate::zones::PADS).for_each(|pad| pads.set(pad, Some(clip(9))));
        play(hands, 0..4);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.follow(hands);
        let take = page.opened.expect("what was played");
        let changed = page.draft.clear();
        page.edited(hands, changed);
        let edited = Arc::clone(page.draft.codes());
        assert!(page.message == FULL && page.opened == Some(take));
        // The pad is opened to be removed, and the take again.
        page.open(hands, Opened::Pad(5));
        assert_ne!(page.draft.codes(), &edited);
        pads.set(5, None);
        page.refresh(hands);
        page.open(hands, take);
        assert_eq!(page.draft.codes(), &edited);
        assert!(page.draft.can_undo() && page.keep(hands));
        assert_eq!(pads.clips().get(5).map(|clip| clip.codes.clone()), Some(edited));
    });
}

#[test]
fn what_is_locked_and_can_be_undone_is_found_again_unless_the_clip_is_another() {
    with_hands(|hands| {
        let pads = hands.instance().pads();
        [0, 1].into_iter().for_each(|pad| pads.set(pad, Some(clip(9))));
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.open(hands, Opened::Pad(0));
        page.draft.select(Some(Region { frames: 0..1, levels: 0..1 }));
        page.lock(hands);
        let locked = pads.clips().get(0).is_some_and(|clip| clip.locks.hold(0, 0));
        assert!(locked, "the project knows it at once");
        page.draft.select(None);
        let changed = page.draft.clear();
        page.edited(hands, changed);
        page.open(hands, Opened::Pad(1));
        assert!(!page.draft.can_undo() && !page.draft.is_locked(0, 0));
        let mut another = CodesPage::default();
        another.open(hands, Opened::Pad(0));
        assert!(another.draft.is_locked(0, 0), "the project knows it");
        page.open(hands, Opened::Pad(0));
        assert!(page.draft.can_undo() && page.draft.is_locked(0, 0));
        page.open(hands, Opened::Pad(1));
        pads.set(0, Some(clip(7)));
        page.open(hands, Opened::Pad(0));
        assert!(!page.draft.can_undo() && !page.draft.is_locked(0, 0));
    });
}

#[test]
fn what_is_kept_stays_open() {
    with_hands(|hands| {
        play(hands, 0..4);
        let mut page = CodesPage::default();
        page.follow(hands);
        assert!(page.keep(hands));
        let message = page.message.clone();
        play(hands, 4..8);
        page.follow(hands);
        assert_eq!((page.opened, &page.message), (Some(Opened::Pad(0)), &message));
        let mut page = CodesPage::default();
        page.follow(hands);
        page.take_in(hands, Imported { clip: clip(3), cut: Some(87.38) });
        assert!(page.message.contains("87 s"), "{}", page.message);
        page.follow(hands);
        assert_eq!(page.opened, Some(Opened::Pad(1)));
    });
}

#[test]
fn what_was_made_for_a_clip_that_is_another_now_comes_too_late() {
    with_hands(|hands| {
        let pads = hands.instance().pads();
        pads.set(0, Some(clip(9)));
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.open(hands, Opened::Pad(0));
        page.making_for_test(page.draft.codes().clone(), clip(5).codes);
        // Another project is opened while the page is not shown.
        pads.set(0, Some(clip(7)));
        page.bring_up_to_date(hands);
        assert_eq!(pads.clips().get(0).map(|clip| clip.codes.clone()), Some(clip(7).codes));
        assert!(page.message.contains("too late"), "{}", page.message);
    });
}

#[test]
fn what_was_made_of_a_clip_is_not_put_into_another_with_the_same_codes() {
    with_hands(|hands| {
        let pads = hands.instance().pads();
        (0..2).for_each(|pad| pads.set(pad, Some(clip(9))));
        let same = pads.clips().get(0).cloned();
        pads.set(1, same);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.open(hands, Opened::Pad(0));
        page.making_for_test(page.draft.codes().clone(), clip(5).codes);
        page.open(hands, Opened::Pad(1));
        page.bring_up_to_date(hands);
        for pad in 0..2 {
            assert_eq!(pads.clips().get(pad).map(|clip| clip.codes.clone()), Some(clip(9).codes));
        }
    });
}

#[test]
fn a_part_of_a_take_that_still_sounds_can_be_made_anew() {
    with_hands(|hands| {
        let number = sounds(hands, None, 1);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.bring_up_to_date(hands);
        let made: Arc<Codes> = Arc::new(unflatten_codes(&[2; 8], 2).expect("four frames"));
        page.making_for_test(page.draft.codes().clone(), Arc::clone(&made));
        sounds(hands, number, 1);
        page.bring_up_to_date(hands);
        let kept = hands.instance().pads().clips().get(0).map(|clip| Arc::clone(&clip.codes));
        assert_eq!((kept, page.opened), (Some(made), Some(Opened::Pad(0))));
    });
}

#[test]
fn what_is_too_long_to_be_kept_is_not_gone_back_to() {
    with_hands(|hands| {
        let frames = u32::try_from(MAX_CODES / 2 + 1).expect("some frames");
        play(hands, 0..frames);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.follow(hands);
        page.draft.select(Some(Region { frames: 0..100, levels: 0..2 }));
        let changed = page.draft.crop();
        page.edited(hands, changed);
        assert_eq!(page.opened, Some(Opened::Pad(0)));
        let changed = page.draft.clear();
        page.edited(hands, changed);
        let edited = page.draft.codes().clone();
        (0..4).for_each(|_| {
            page.undo(hands);
            page.refresh(hands);
        });
        assert_eq!(page.draft.codes().frames(), 100);
        assert!(page.message.contains("longer than a clip"), "{}", page.message);
        page.redo(hands);
        assert_eq!(page.draft.codes(), &edited);
    });
}

#[test]
fn following_again_ends_what_is_let_hear() {
    with_hands(|hands| {
        hands.instance().pads().set(0, Some(clip(9)));
        play(hands, 0..4);
        let mut page = CodesPage { shown: true, ..CodesPage::default() };
        page.open(hands, Opened::Pad(0));
        page.stays = true;
        hands.params.selection.audition(Audition::whole(clip(9).codes));
        page.stays = false;
        page.leave_open(hands);
        page.follow(hands);
        assert!(matches!(page.opened, Some(Opened::Take(_))) && !page.stays);
    });
}

#[test]
fn a_swap_leaves_what_is_locked_on_either_side_and_is_whole_or_not_at_all() {
    with_hands(|hands| {
        let pads = hands.instance().pads();
        let other = distill_shared::codes::unflatten_codes(&[8; 8], 2).expect("four frames");
        let other = Clip { codes: Arc::new(other), ..clip(0) };
        pads.set(0, Some(clip(9)));
        pads.set(1, Some(other.clone()));
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.open(hands, Opened::Pad(0));
        page.draft.select(Some(Region { frames: 0..1, levels: 0..1 }));
        page.lock(hands);
        page.open(hands, Opened::Pad(1));
        page.swap_with(hands, Opened::Pad(0), clip(9));
        let codes = |pad: usize| pads.clips().get(pad).map(|clip| clip.codes.as_slice().to_vec());
        assert_eq!(codes(0), Some(vec![9, 8, 8, 8, 8, 8, 8, 8]), "the first is locked");
        assert_eq!(codes(1), Some(vec![8, 1, 2, 3, 4, 5, 6, 7]));
        (0..crate::zones::PADS).for_each(|pad| pads.set(pad, Some(clip(9))));
        play(hands, 0..4);
        page.stays = false;
        page.leave_open(hands);
        page.follow(hands);
        let before = page.draft.codes().clone();
        page.swap_with(hands, Opened::Pad(0), clip(9));
        assert!(page.draft.codes() == &before && page.message == FULL);
    });
}

#[test]
fn whoever_types_is_not_taken_away_by_what_is_played_or_imported() {
    with_hands(|hands| {
        play(hands, 0..4);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.follow(hands);
        let first = page.opened;
        page.grid.begin_naming_for_test(1, "Rin");
        play(hands, 4..8);
        page.follow(hands);
        assert_eq!(page.opened, first);
        page.take_in(hands, Imported { clip: clip(3), cut: None });
        assert!(page.opened == first && page.grid.is_naming());
        assert!(page.message.contains("Imported on pad"), "{}", page.message);
        assert!(hands.instance().pads().clips().get(0).is_some());
        (page.grid, page.typing) = (Grid::default(), true);
        page.take_in(hands, Imported { clip: clip(4), cut: None });
        assert_eq!(page.opened, first, "a field has the keys");
        page.typing = false;
        page.take_in(hands, Imported { clip: clip(5), cut: None });
        assert_eq!(page.opened, Some(Opened::Pad(2)));
    });
}

#[test]
fn what_is_being_made_of_a_take_finds_it_where_it_is_kept() {
    with_hands(|hands| {
        play(hands, 0..4);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.follow(hands);
        page.making_for_test(page.draft.codes().clone(), clip(5).codes);
        assert!(page.keep(hands));
        page.bring_up_to_date(hands);
        let kept = hands.instance().pads().clips().get(0).map(|clip| Arc::clone(&clip.codes));
        assert_eq!(kept, Some(clip(5).codes), "{}", page.message);
    });
}

#[test]
fn what_is_locked_in_a_take_stays_locked_when_it_has_gone_on() {
    with_hands(|hands| {
        hands.instance().pads().set(0, Some(clip(9)));
        let number = sounds(hands, None, 1);
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.bring_up_to_date(hands);
        let take = page.opened.expect("what was played");
        page.draft.select(Some(Region { frames: 0..1, levels: 0..1 }));
        page.lock(hands);
        page.open(hands, Opened::Pad(0));
        sounds(hands, number, 2);
        page.open(hands, take);
        page.bring_up_to_date(hands);
        assert!(page.draft.is_locked(0, 0));
        assert_eq!(page.draft.codes().frames(), 8, "it has gone on");
    });
}

#[test]
fn half_of_a_swap_is_none_where_a_take_is_too_long_to_be_kept() {
    with_hands(|hands| {
        hands.instance().pads().set(0, Some(clip(9)));
        play(hands, 0..u32::try_from(MAX_CODES / 2 + 1).expect("some frames"));
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.follow(hands);
        let before = page.draft.codes().clone();
        page.swap_with(hands, Opened::Pad(0), clip(9));
        assert!(page.draft.codes() == &before && page.message.contains("longer than a clip"));
    });
}

#[test]
fn what_was_wrong_with_one_file_is_said_although_others_follow() {
    with_hands(|hands| {
        let mut page = CodesPage { silent: true, ..CodesPage::default() };
        page.take_in(hands, Imported { clip: clip(3), cut: Some(87.38) });
        page.take_in(hands, Imported { clip: clip(4), cut: None });
        assert!(page.message.contains("87 s"), "{}", page.message);
        page.import_file("C.wav".into());
        assert_eq!(page.message, "");
    });
}
