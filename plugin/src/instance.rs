//! One instrument in a project, as all its threads see it.
//!
//! The audio thread touches the atomic numbers of an [`Instance`] only; texts lie behind a lock
//! that the worker, the loader, the host's main thread and the editor share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use atomic_float::AtomicF32;
use distill_shared::model::conditioning::{Distribution, KNOTS, Pitches};
use distill_shared::player::Model;

use crate::auditions::Auditions;
use crate::history::History;
use crate::level_names::Naming;
use crate::pads::Pads;
use crate::state::BundleRef;
use crate::zones::Zones;

/// What became of the bundle that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// None is being loaded yet.
    Empty,
    /// It is being loaded.
    Loading,
    /// It plays.
    Ready,
    /// It cannot be played; [`Texts::error`] says why.
    Failed,
}

/// Why an instance fell silent for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// An internal error on the audio thread.
    Audio,
    /// An internal error of the worker.
    Worker,
    /// The worker gave no sound for ten seconds while the host was rendering to a file, or was to wait.
    Hopeless,
}

impl Stop {
    /// What the editor says about it.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Audio => "The instrument stopped: internal error while playing. Insert it anew.",
            Self::Worker => {
                "The instrument stopped: internal error while making sound. \
                             Choose the bundle again."
            }
            Self::Hopeless => {
                "No sound came for 10 seconds, so the rest of this rendering is \
                               silent. Render again."
            }
        }
    }
}

/// What the editor shows in words.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// The bundle that was chosen, as it is saved with the project.
    pub reference: BundleRef,
    /// What the bundle that plays says about itself.
    pub details: String,
    /// Why the chosen bundle does not play, or a project could not be read; empty if all is well.
    pub error: String,
    /// Whether that stays whatever plays meanwhile, until something is chosen: a project was refused.
    pub error_stays: bool,
    /// What plays: its model, and which codec it has; none and empty until it does.
    pub playing: ModelRef,
}

/// A model that plays, for the editor to make something with.
#[derive(Debug, Clone, Default)]
pub struct ModelRef {
    /// The model; whoever plays it keeps it alive.
    pub model: Weak<Model>,
    /// Digest of its codec: clips belong to a codec.
    pub codec: String,
}

/// What the threads of one instrument know of each other.
#[derive(Debug, Default)]
pub struct Instance {
    edition: AtomicU64,
    phase: AtomicU8,
    stop: AtomicU8,
    voices: AtomicU32,
    missed: AtomicU64,
    level: [AtomicF32; 2],
    copied_s: AtomicF32,
    spared: AtomicU64,
    /// The host's sample rate in Hz; 0 until it says one.
    rate: AtomicF32,
    /// The keys whose notes sound; the low half first.
    sounding: [AtomicU64; 2],
    /// The pitches that the bundle that plays can be asked for; the low half first.
    pitches: [AtomicU64; 2],
    /// With which level its sounds begin, if velocity can be asked for; otherwise no numbers.
    attacks: [AtomicF32; KNOTS],
    texts: Mutex<Texts>,
    history: History,
    pads: Pads,
    naming: Naming,
    auditions: Auditions,
    shown: AtomicBool,
}

impl Instance {
    /// What was played lately. Not for the audio thread.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Tells whether a window shows it.
    pub fn show(&self, shown: bool) {
        self.shown.store(shown, Ordering::Relaxed);
    }

    /// Whether a window shows it: then a click may be heard at any moment.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }

    /// What lies on the pads.
    #[must_use]
    pub fn pads(&self) -> &Pads {
        &self.pads
    }

    /// What levels of codes are called. Not for the audio thread.
    #[must_use]
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// What the editor lets hear.
    #[must_use]
    pub fn auditions(&self) -> &Auditions {
        &self.auditions
    }

    /// Number of the choice of a bundle; each choice is a new one. Real-time safe.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// What became of the chosen bundle. Real-time safe.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Empty,
            1 => Phase::Loading,
            2 => Phase::Ready,
            _ => Phase::Failed,
        }
    }

    /// What notes can ask of the bundle of choice `edition`, if it plays. Real-time safe.
    #[must_use]
    pub fn zones(&self, edition: u64) -> Option<Zones> {
        let ready = self.phase() == Phase::Ready;
        let [low, high] = [0, 1].map(|half| self.pitches[half].load(Ordering::Acquire));
        let pitches = Pitches::from_bits(u128::from(high) << 64 | u128::from(low));
        let attacks = std::array::from_fn(|knot| self.attacks[knot].load(Ordering::Acquire));
        let offered = !attacks[0].is_nan();
        let attacks = Some(Distribution(attacks)).filter(|_| offered);
        // Written before the phase, and for another choice only after the edition has changed.
        (ready && self.edition() == edition).then_some(Zones {
            pads: false,
            clips: 0,
            pitches,
            attacks,
        })
    }

    /// Whether sound is being made, or soon will be. Real-time safe.
    #[must_use]
    pub fn is_hopeful(&self) -> bool {
        matches!(self.phase(), Phase::Loading | Phase::Ready) && self.stopped().is_none()
    }

    /// Why it fell silent, if it did. Real-time safe.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::Audio),
            2 => Some(Stop::Worker),
            _ => Some(Stop::Hopeless),
        }
    }

    /// Falls silent; the first reason stays. Real-time safe.
    pub fn stop(&self, why: Stop) {
        let code = match why {
            Stop::Audio => 1,
            Stop::Worker => 2,
            Stop::Hopeless => 3,
        };
        let _ = self.stop.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Sounds again after a stop for `why`; other stops stay. Real-time safe.
    pub fn resume(&self, why: Stop) {
        if self.stopped() == Some(why) {
            self.stop.store(0, Ordering::Release);
        }
    }

    /// Reports `voices` sounding, `missed` further samples that were silence because they were not
    /// there, and the largest magnitude of each side. Real-time safe.
    pub fn report(&self, voices: u32, missed: u64, peaks: [f32; 2]) {
        self.voices.store(voices, Ordering::Relaxed);
        self.missed.fetch_add(missed, Ordering::Relaxed);
        for (level, peak) in self.level.iter().zip(peaks) {
            level.fetch_max(peak, Ordering::Relaxed);
        }
    }

    /// Says which keys' notes sound: bit n for key n. Real-time safe.
    pub fn report_keys(&self, sounding: u128) {
        for (half, shift) in self.sounding.iter().zip([0, 64]) {
            #[expect(clippy::cast_possible_truncation, reason = "a half")]
            half.store((sounding >> shift) as u64, Ordering::Relaxed);
        }
    }

    /// Which keys' notes sound: bit n for key n.
    #[must_use]
    pub fn sounding(&self) -> u128 {
        let [low, high] = [0, 1].map(|half| self.sounding[half].load(Ordering::Relaxed));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Says at how many samples per second the host plays.
    pub fn report_rate(&self, rate: f32) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// The host's sample rate in Hz, once it has said one.
    #[must_use]
    pub fn rate(&self) -> Option<f32> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0.0)
    }

    /// Voices that sound.
    #[must_use]
    pub fn voices(&self) -> u32 {
        self.voices.load(Ordering::Relaxed)
    }

    /// Samples of voices that were silence because they were not there in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The largest magnitude of each side since the last call.
    #[must_use]
    pub fn take_peaks(&self) -> [f32; 2] {
        [0, 1].map(|side| self.level[side].swap(0.0, Ordering::Relaxed))
    }

    /// Reports that a take that plays has copied its corpus for `seconds` up to its newest frame.
    pub fn report_copied(&self, seconds: f32) {
        self.copied_s.fetch_max(seconds, Ordering::Relaxed);
    }

    /// Reports a frame that was made, with fewer levels than asked for if it was `spared` some.
    pub fn report_frame(&self, spared: bool) {
        self.spared.fetch_add(u64::from(spared), Ordering::Relaxed);
    }

    /// Frames of voices that were made with fewer levels than asked for, to be in time.
    #[must_use]
    pub fn spared(&self) -> u64 {
        self.spared.load(Ordering::Relaxed)
    }

    /// The longest run that was copied since the last call, in seconds.
    #[must_use]
    pub fn take_copied(&self) -> f32 {
        self.copied_s.swap(0.0, Ordering::Relaxed)
    }

    /// What the editor shows in words. Not for the audio thread.
    #[must_use]
    pub fn texts(&self) -> Texts {
        self.lock().clone()
    }

    /// The file of a bundle is at `to` now, and was at `from`. Not for the audio thread.
    pub fn follow(&self, from: &Path, to: &Path) {
        let mut texts = self.lock();
        if Path::new(&texts.reference.path) == from {
            texts.reference.path = to.to_string_lossy().into_owned();
        }
    }

    /// Says `error` without changing what plays, until something is chosen. Not for the audio thread.
    pub fn show_error(&self, error: String) {
        let mut texts = self.lock();
        (texts.error_stays, texts.error) = (!error.is_empty(), error);
    }

    /// Whether the bundle of `reference` plays already, and nothing is wrong that loading it would mend.
    /// Not for the audio thread.
    #[must_use]
    pub fn plays(&self, reference: &BundleRef) -> bool {
        let texts = self.lock();
        let alike = !reference.digest.is_empty() && texts.reference == *reference;
        alike && self.phase() == Phase::Ready && texts.error.is_empty() && self.stopped().is_none()
    }

    /// Makes `reference` the chosen bundle, which is to be loaded; returns the number of the
    /// choice. Not for the audio thread.
    pub fn choose(&self, reference: BundleRef) -> u64 {
        let mut texts = self.lock();
        *texts = Texts { reference, ..Texts::default() };
        self.phase.store(1, Ordering::Release);
        self.edition.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Says that choice `edition` plays: under `reference`, which is what the project will save,
    /// with `details` for the editor, that notes can ask it for `zones`, and what is `playing`. Returns
    /// whether it still is the choice.
    pub fn succeed(
        &self,
        edition: u64,
        reference: BundleRef,
        details: String,
        zones: Zones,
        playing: ModelRef,
    ) -> bool {
        let mut texts = self.lock();
        let current = self.edition() == edition;
        if current {
            self.pads.serve(&playing.codec);
            self.history.serve(edition, &playing.codec);
            let error_stays = texts.error_stays;
            let error = Some(std::mem::take(&mut texts.error)).filter(|_| error_stays);
            let error = error.unwrap_or_default();
            *texts = Texts { reference, details, error, error_stays, playing };
            self.resume(Stop::Worker);
            for (half, shift) in self.pitches.iter().zip([0, 64]) {
                #[expect(clippy::cast_possible_truncation, reason = "a half")]
                let bits = (zones.pitches.bits() >> shift) as u64;
                half.store(bits, Ordering::Release);
            }
            let Distribution(attacks) = zones.attacks.unwrap_or(Distribution([f32::NAN; KNOTS]));
            for (knot, attack) in self.attacks.iter().zip(attacks) {
                knot.store(attack, Ordering::Release);
            }
            self.phase.store(2, Ordering::Release);
        }
        current
    }

    /// Says that choice `edition` cannot be played. The project keeps its reference.
    pub fn fail(&self, edition: u64, error: String) {
        let mut texts = self.lock();
        if self.edition() == edition {
            (texts.error, texts.error_stays) = (error, false);
            self.phase.store(3, Ordering::Release);
        }
    }

    /// Says why choice `edition` is still loading, if it is; it plays as soon as it is there.
    pub fn wait(&self, edition: u64, late: String) {
        let mut texts = self.lock();
        if self.edition() == edition && self.phase() == Phase::Loading {
            (texts.error, texts.error_stays) = (late, false);
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Texts> {
        // Texts are replaced whole, so they are sound even after a panic elsewhere.
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
