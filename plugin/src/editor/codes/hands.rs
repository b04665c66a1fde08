//! What the page needs of the rest of the instrument.

use std::sync::Arc;

use distill_shared::player::Model;
use nice_plug::prelude::ParamSetter;

use super::Opened;
use crate::clips::Clip;
use crate::editor::bundle_row::note_change;
use crate::instance::Instance;
use crate::locks::Locks;
use crate::params::DistillParams;

/// What the page needs to do anything.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) params: &'a DistillParams,
    pub(super) setter: &'a ParamSetter<'a>,
}

impl Hands<'_> {
    pub(super) fn instance(&self) -> &Instance {
        self.params.selection.instance()
    }

    pub(super) fn model(&self) -> Option<Arc<Model>> {
        self.instance().texts().playing.model.upgrade()
    }

    /// Whether the bundle that plays can play `clip`: sizes alone do not tell.
    pub(super) fn plays(&self, clip: &Clip) -> bool {
        let playing = self.instance().texts().playing;
        clip.codec == playing.codec
            && playing.model.upgrade().is_some_and(|model| {
                let codec = &model.config().codec;
                clip.codes.fit(codec.quantizers, codec.codebook_size)
            })
    }

    /// Tells the host that the project has changed.
    pub(super) fn note_change(&self) {
        note_change(self.params, self.setter);
    }
}

/// What is open as a clip, if it is still there.
pub(super) fn clip_of(hands: Hands<'_>, opened: Opened) -> Option<Clip> {
    match opened {
        Opened::Pad(pad) => hands.instance().pads().clips().get(pad).cloned(),
        Opened::Take(number) => {
            let take = hands.instance().history().get(number)?;
            let name = format!("Take {number}");
            let codec = take.codec.to_string();
            let (codes, locks) = (Arc::new(take.codes), Locks::default());
            Some(Clip { name, rating: 0, codec, codes, locks })
        }
    }
}
