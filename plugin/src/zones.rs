//! AUDIO THREAD: which takes a note can play.
//!
//! A bundle that can be asked for pitches or for velocities has takes for each of them, a *zone*: the
//! keys that are nearest to a pitch, struck as hard as one of a few *layers* says. Otherwise it has
//! one zone, and keys and velocities are heard as speed and level alone.

use distill_shared::model::conditioning::{Distribution, Pitches, Tuned, within_octave};
use distill_shared::player::Model;

/// Zones of a bundle, at most.
pub const MAX_ZONES: usize = 48;
/// Layers of velocity, at most: soft, middle and hard.
const MAX_LAYERS: usize = 3;
/// Pads, if keys are: two octaves of them, after which they come again.
pub const PADS: usize = 24;
/// The key at which sound is played as it is, if the bundle tells no pitches: middle C.
const ROOT: f32 = 60.0;
/// The number of the first pad among takes: 0 is what has no pitch, and then come all pitches.
const AFTER_PITCHES: u64 = 129;
/// The most by which a take is raised to be as loud as its note was struck, 6 dB.
const MOST_GAIN: f32 = 2.0;

/// What keys decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keys {
    /// Nothing: all of them play alike.
    Ignored,
    /// The pitch, as far as the bundle can be asked for it, and for the rest the speed.
    #[default]
    Pitches,
    /// Which of [`PADS`] sounds is played: each has takes of its own, at their own pitch.
    Pads,
}

/// The zones of a bundle: what of it the notes can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Zones {
    /// Whether keys are pads.
    pub pads: bool,
    /// If they are, the pads that play a clip instead of takes: bit n for pad n.
    pub clips: u32,
    /// Pitches that can be asked for, if keys are followed.
    pub pitches: Pitches,
    /// With which level sounds begin, in dB re full scale, if velocity can be asked for and is
    /// followed.
    pub attacks: Option<Distribution>,
}

/// One of the zones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Zone {
    /// Which one, 0 to [`MAX_ZONES`] - 1.
    pub index: usize,
    /// The pitch that its takes are asked for, as a MIDI key.
    pub pitch: Option<u8>,
    /// The pad that plays it.
    pad: Option<u8>,
    /// Whether that plays its clip.
    clip: bool,
    /// Its layer of velocity, the softest being 0.
    layer: u8,
    /// The velocity that its takes are asked for, as a rank among the sounds that begin, 0 to 1.
    pub velocity: Option<f32>,
}

impl Zone {
    /// A zone with that number, that asks for nothing.
    #[must_use]
    pub fn numbered(index: usize) -> Self {
        Self { index, ..Self::default() }
    }
}

/// How a note is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Played {
    /// From takes of which zone.
    pub zone: Zone,
    /// By how many semitones these are raised, -12 to 12.
    pub shift: f32,
    /// Their gain.
    pub level: f32,
}

impl Zones {
    /// All that the prior of `model` can be asked for.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let offered = model.config().prior.as_ref().map(|prior| &prior.conditioning);
        offered.map_or_else(Self::default, |offered| Self {
            pads: false,
            clips: 0,
            pitches: offered.pitch,
            attacks: offered.velocity,
        })
    }

    /// What is left of them if that is what keys decide, and if velocities are followed or not.
    #[must_use]
    pub fn following(self, keys: Keys, velocity: bool) -> Self {
        let pitches = if keys == Keys::Pitches { self.pitches } else { Pitches::default() };
        let attacks = self.attacks.filter(|_| velocity);
        Self { pads: keys == Keys::Pads, clips: 0, pitches, attacks }
    }

    /// The same, with a clip on each of the pads of `clips`, if keys are pads: bit n for pad n.
    #[must_use]
    pub fn with_clips(self, clips: u32) -> Self {
        Self { clips: if self.pads { clips } else { 0 }, ..self }
    }

    /// Whether both have the same zones, whichever pads play clips.
    #[must_use]
    pub fn are_like(&self, other: &Self) -> bool {
        self.with_clips(0) == other.with_clips(0)
    }

    /// How many there are, 1 to [`MAX_ZONES`].
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys() * self.layers()
    }

    /// Zones of each layer.
    fn keys(&self) -> usize {
        if self.pads { PADS } else { self.pitches.len().clamp(1, MAX_ZONES) }
    }

    /// Layers of velocity: as many as leave room for all pitches.
    fn layers(&self) -> usize {
        let room = (MAX_ZONES / self.keys()).clamp(1, MAX_LAYERS);
        if self.attacks.is_some() { room } else { 1 }
    }

    /// The nth zone: the pitches or pads of the softest layer come first, the lowest of them first.
    #[must_use]
    pub fn nth(&self, index: usize) -> Zone {
        self.zone(index % self.keys(), index / self.keys())
    }

    /// How a note of `key`, if keys decide anything, is played that is struck at `velocity`, 0 to 1.
    /// Real-time safe.
    #[must_use]
    pub fn play(&self, key: Option<u8>, velocity: f32) -> Played {
        let (place, shift) = self.place(key);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
        let layer = (velocity * self.layers() as f32) as usize;
        if self.has_clip(place) {
            // Nobody asked for its velocity: it is as loud as it was kept.
            return Played { zone: self.zone(place, 0), shift, level: loudness(velocity) };
        }
        let zone = self.zone(place, layer.min(self.layers() - 1));
        let level = (loudness(velocity) * self.gain(&zone)).min(MOST_GAIN);
        Played { zone, shift, level }
    }

    /// Which zone of its layer a key plays, and by how many semitones that is raised.
    fn place(&self, key: Option<u8>) -> (usize, f32) {
        if self.pads {
            return (key.map_or(0, usize::from) % PADS, 0.0);
        }
        let key = key.map_or(ROOT, f32::from);
        self.pitches.tune(key).map_or((0, within_octave(key - ROOT)), |Tuned { key, shift }| {
            (self.pitches.place(key), shift)
        })
    }

    /// Whether the pad in that place plays a clip.
    fn has_clip(&self, place: usize) -> bool {
        self.pads && place < PADS && self.clips >> place & 1 == 1
    }

    fn zone(&self, place: usize, layer: usize) -> Zone {
        Zone {
            index: (layer * self.keys() + place).min(MAX_ZONES - 1),
            pitch: self.pitches.keys().nth(place),
            pad: u8::try_from(place).ok().filter(|_| self.pads),
            clip: self.has_clip(place),
            layer: u8::try_from(layer).unwrap_or(0),
            velocity: self.attacks.map(|_| self.middle(layer)).filter(|_| self.layers() > 1),
        }
    }

    /// The velocity in the middle of a layer.
    fn middle(&self, layer: usize) -> f32 {
        (layer as f32 + 0.5) / self.layers() as f32
    }

    /// What the takes of `zone` lack or have too much to be as loud as those of the hardest layer:
    /// so the level of a note hangs on its velocity as it does without layers.
    fn gain(&self, zone: &Zone) -> f32 {
        let level = |velocity| self.attacks.map_or(0.0, |attacks| attacks.value(velocity));
        let lacking = level(self.middle(self.layers() - 1)) - level(zone.velocity.unwrap_or(0.0));
        if zone.velocity.is_none() { 1.0 } else { 10.0_f32.powf(lacking / 20.0) }
    }
}

impl Zone {
    /// The pad whose clip it plays, if it plays one.
    #[must_use]
    pub fn clip(&self) -> Option<u8> {
        self.pad.filter(|_| self.clip)
    }

    /// The pad that plays it, if keys are pads.
    #[must_use]
    pub fn pad(&self) -> Option<u8> {
        self.pad
    }

    /// The take of its nth note. Every zone has takes of its own, so that the notes of a chord sound
    /// the same in whichever order they come.
    #[must_use]
    pub fn take(&self, number: u64) -> u64 {
        let pad = self.pad.map_or(0, |pad| AFTER_PITCHES + u64::from(pad));
        let key = self.pitch.map_or(pad, |key| u64::from(key) + 1);
        u64::from(self.layer) << 40 | key << 32 | number
    }
}

/// Which note of its zone a take is: the inverse of [`Zone::take`].
#[must_use]
pub fn number_of(take: u64) -> u64 {
    take & u64::from(u32::MAX)
}

/// Gain of a key struck at `velocity`, 0 to 1: 40 dB per decade, as in the MIDI Manufacturers
/// Association's DLS Level 1 specification, "MIDI velocity to attenuation".
fn loudness(velocity: f32) -> f32 {
    velocity * velocity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(pitches: usize) -> Zones {
        let attacks = Some(Distribution(std::array::from_fn(|knot| knot as f32 * 3.0 - 60.0)));
        let keys = (0..u8::MAX).take(pitches).map(|n| 30 + n);
        Zones { pads: false, clips: 0, pitches: Pitches::new(keys), attacks }
    }

    #[test]
    fn every_zone_has_its_number_and_takes_of_its_own() {
        for (pitches, count) in [(0, 3), (1, 3), (16, 48), (17, 34), (24, 48), (25, 25), (32, 32)] {
            let zones = zones(pitches);
            assert_eq!(zones.count(), count, "{pitches} pitches");
            assert_zones(&zones);
        }
        let pads = zones(5).following(Keys::Pads, true);
        assert_eq!(pads.count(), 2 * PADS);
        assert_zones(&pads);
        let all = (0..PADS).map(|n| pads.nth(n)).chain((0..32).map(|n| zones(32).nth(n)));
        let takes: std::collections::HashSet<u64> = all.map(|zone| zone.take(5)).collect();
        assert_eq!(takes.len(), PADS + 32, "pads and pitches share none");
    }

    fn assert_zones(zones: &Zones) {
        let count = zones.count();
        let all: Vec<Zone> = (0..count).map(|n| zones.nth(n)).collect();
        assert!(all.iter().enumerate().all(|(n, zone)| zone.index == n));
        let takes: std::collections::HashSet<u64> = all.iter().map(|zone| zone.take(5)).collect();
        assert_eq!(takes.len(), count);
        for key in 0..=127 {
            for velocity in [0.01, 0.4, 0.7, 1.0] {
                let zone = zones.play(Some(key), velocity).zone;
                assert_eq!(zone, all[zone.index]);
            }
        }
    }

    #[test]
    fn with_or_without_layers_a_note_is_as_loud_as_its_velocity_says() {
        let zones = zones(3);
        let range = zones.attacks.unwrap();
        for n in 1..=100_u8 {
            let velocity = f32::from(n) / 100.0;
            assert_eq!(Zones::default().play(None, velocity).level, velocity * velocity);
            let played = zones.play(Some(31), velocity);
            // What the take has by itself, beside one of the hardest layer.
            let own = range.value(played.zone.velocity.unwrap()) - range.value(2.5 / 3.0);
            let level = played.level * 10.0_f32.powf(own / 20.0);
            let limited = played.level >= MOST_GAIN;
            assert!(limited || (level / (velocity * velocity) - 1.0).abs() < 1e-3, "{velocity}");
        }
        assert!(zones.play(None, 0.33).level <= MOST_GAIN);
        assert_eq!(zones.play(None, 1.0).level, 1.0);
    }

    #[test]
    fn a_pad_with_a_clip_plays_it_as_loud_as_it_was_kept() {
        let zones = zones(5).following(Keys::Pads, true).with_clips(1 << 4);
        assert_zones(&zones);
        for velocity in [0.1, 0.5, 1.0] {
            let played = zones.play(Some(60 + 4 - 12), velocity);
            assert_eq!(played.zone.clip(), Some(4));
            assert_eq!((played.level, played.shift), (velocity * velocity, 0.0));
            assert_eq!(zones.play(Some(60 + 5), velocity).zone.clip(), None);
        }
        let pitches = self::zones(5).following(Keys::Pitches, true).with_clips(1 << 4);
        assert_eq!(pitches.play(Some(60 + 4 - 12), 1.0).zone.clip(), None);
    }

    #[test]
    fn what_is_not_followed_is_not_asked_for() {
        let all = zones(3);
        assert_eq!(all.following(Keys::Pitches, true), all);
        assert_eq!(all.following(Keys::Ignored, false).count(), 1);
        assert_eq!(all.following(Keys::Pitches, false).nth(2).pitch, Some(32));
        assert_eq!(all.following(Keys::Pitches, false).nth(2).velocity, None);
        assert_eq!(all.following(Keys::Ignored, true).nth(2).velocity, Some(2.5 / 3.0));
        assert_eq!(all.following(Keys::Pads, false).nth(2).pitch, None);
        assert_eq!(all.following(Keys::Pads, false).play(Some(41), 1.0).shift, 0.0);
    }
}
