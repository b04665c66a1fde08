//! What is open, and how it comes to be.

use std::ops::Range;

use nice_plug::context::gui::ParamSetter;

use super::draft::Region;
use super::*;
use crate::history::Origin;
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

/// Frames of two levels as a take begins.
fn play(hands: Hands<'_>, frames: Range<u32>) {
    let codes: Vec<u32> = frames.flat_map(|frame| [frame, frame]).collect();
    let origin = Origin { edition: 0, levels: 2, pitch: None, pad: None };
    hands.instance().history().add(None, &origin, &codes, Instant::now());
}

#[test]
fn what_is_played_is_opened_as_it_comes_until_somebody_works_on_it() {
    let (selection, _) = Selection::new();
    let (params, host) = (DistillParams::new(selection), PretendHost::default());
    let hands = Hands { params: &params, setter: &ParamSetter::new(&host) };
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
}
