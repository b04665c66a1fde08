//! What lies on the pads of an instance, as all its threads see it.
//!
//! The audio thread reads one atomic number; clips lie behind a lock that the worker, the loader, the
//! host's main thread and the editor share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distill_shared::codes::Codes;
use nice_plug::params::persist::PersistentField;

use crate::clips::{Clip, Clips, SavedClips};
use crate::instance::Instance;

/// What the audio thread knows of the clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Counts changes.
    pub revision: u32,
    /// The pads that play a clip: bit n for pad n.
    pub held: u32,
}

/// The clips, and which of them the bundle that plays can play.
#[derive(Debug, Default)]
pub struct Pads {
    content: Mutex<Content>,
    /// The [`Mark`]: its revision is the upper half.
    mark: AtomicU64,
}

#[derive(Debug, Default)]
struct Content {
    clips: Clips,
    /// Digest of the codec that plays; empty if none does.
    codec: String,
}

impl Content {
    /// The pads that play a clip, and its codes.
    fn playable(&self) -> Vec<(usize, Arc<Codes>)> {
        let clips = self.clips.iter().filter(|(_, clip)| clip.codec == self.codec);
        clips.map(|(pad, clip)| (pad, Arc::clone(&clip.codes))).collect()
    }
}

impl Pads {
    /// What can be played, and since when. Real-time safe.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let mark = self.mark.load(Ordering::Acquire);
        #[expect(clippy::cast_possible_truncation, reason = "halves")]
        let [revision, held] = [(mark >> 32) as u32, mark as u32];
        Mark { revision, held }
    }

    /// All clips. Not for the audio thread.
    #[must_use]
    pub fn clips(&self) -> Clips {
        self.lock().clips.clone()
    }

    /// The codes that a pad plays, if it plays a clip. Not for the audio thread.
    #[must_use]
    pub fn codes(&self, pad: usize) -> Option<Arc<Codes>> {
        let content = self.lock();
        let clip = content.clips.get(pad).filter(|clip| clip.codec == content.codec)?;
        Some(Arc::clone(&clip.codes))
    }

    /// Puts a clip on a pad, or takes it away. Not for the audio thread.
    pub fn set(&self, pad: usize, clip: Option<Clip>) {
        self.change(|content| content.clips.set(pad, clip));
    }

    /// Replaces all clips. Not for the audio thread.
    pub fn replace(&self, clips: Clips) {
        self.change(|content| content.clips = clips);
    }

    /// Clips of the codec with digest `codec` can be played from now on. Not for the audio thread.
    pub fn serve(&self, codec: &str) {
        self.change(|content| codec.clone_into(&mut content.codec));
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.lock();
        let before = content.playable();
        change(&mut content);
        let after = content.playable();
        // Another name, or a clip that is not played, is nothing to make heads anew for.
        if before != after {
            let held = after.iter().fold(0_u64, |held, (pad, _)| held | 1 << pad);
            let revision = u64::from(self.mark().revision.wrapping_add(1));
            self.mark.store(revision << 32 | held, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Clips are replaced whole, so they are sound even after a panic elsewhere.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clips of an instance: a part of its state that is no parameter.
#[derive(Debug)]
pub struct ClipState(pub Arc<Instance>);

impl PersistentField<'_, SavedClips> for ClipState {
    fn set(&self, saved: SavedClips) {
        // What cannot be read has been refused before; see `state::filter`.
        if let Some(clips) = Clips::of(saved) {
            self.0.pads().replace(clips);
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&SavedClips) -> R,
    {
        f(&self.0.pads().clips().saved())
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::codes::unflatten_codes;

    use super::*;
    use crate::locks::Locks;

    #[test]
    fn pads_play_the_clips_of_the_codec_that_plays() {
        let codes = Arc::new(unflatten_codes(&[1, 2], 2).expect("a frame"));
        let clip = |codec: &str| {
            let (name, rating, codec) = (String::new(), 0, codec.to_owned());
            let locks = Locks::default();
            Some(Clip { name, rating, codec, codes: Arc::clone(&codes), locks })
        };
        let pads = Pads::default();
        pads.set(3, clip("a"));
        pads.set(5, clip("b"));
        assert_eq!((pads.mark().held, pads.codes(3)), (0, None));
        pads.serve("b");
        assert_eq!((pads.mark().held, pads.codes(3)), (1 << 5, None));
        assert_eq!(pads.codes(5), Some(Arc::clone(&codes)));
        let before = pads.mark().revision;
        pads.set(5, clip("b").map(|clip| Clip { name: "Bell".to_owned(), rating: 5, ..clip }));
        assert_eq!(pads.mark().revision, before, "neither name nor rating can be heard");
        pads.set(5, None);
        assert_eq!((pads.mark().held, pads.codes(5)), (0, None));
        assert_ne!(pads.mark().revision, before);
        assert_eq!(pads.clips().iter().count(), 1, "the other one is kept");
    }
}
