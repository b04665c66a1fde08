//! What a prior can offer to be asked for: what the corpus has enough of.

use std::collections::BTreeMap;

use distill_shared::model::conditioning::{
    Conditioning, Distribution, MAX_CLASS_NAME, MAX_CLASSES, MAX_PITCH, MAX_PITCHES, Pitches,
};

use super::{Description, HORIZON, Moment, describe};

/// The least that the middle 80 % of a corpus must span, in the unit of the descriptor.
const LEAST_SPAN: [(&str, f32, &str); 4] = [
    ("loudness", 3.0, "dB"),
    ("brightness", 0.3, "octaves"),
    ("density", 0.005, "onsets a frame"),
    ("velocity", 3.0, "dB"),
];
/// Sounds that must begin in a corpus to tell velocities apart.
const BEGINNINGS: usize = 24;
/// The least share of a corpus that must have a pitch.
const PITCHED_SHARE: f64 = 0.25;
/// Different keys that it must have pitches of.
const KEYS: usize = 3;
/// The least share of pitches that counts as having one of a key.
const KEY_SHARE: f64 = 0.002;

/// What can be asked for after a corpus, and why not the rest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offer {
    /// What can be asked for.
    pub conditioning: Conditioning,
    /// For every descriptor that is not offered, a sentence.
    pub not_offered: Vec<String>,
}

/// What a corpus can offer: its recordings frame by frame, and the class of each.
#[must_use]
pub fn offer(recordings: &[Vec<Moment>], classes: &[&str]) -> Offer {
    let stream: Vec<Moment> = recordings.iter().flatten().copied().collect();
    let whole = stream.len().saturating_sub(HORIZON).max(stream.len().min(1));
    let all: Vec<Description> = (0..whole).map(|at| describe(&stream[at..])).collect();
    let mut not_offered = Vec::new();
    let mut ranged = |index: usize, found: Option<Distribution>| {
        let (name, least, unit) = LEAST_SPAN[index];
        let found = found?;
        let span = found.value(0.9) - found.value(0.1);
        if span < least {
            not_offered.push(format!(
                "{name}: it hardly changes in these recordings (by {span:.3} {unit}; {least} are needed)"
            ));
        }
        (span >= least).then_some(found)
    };
    let loudness = ranged(0, Distribution::of(all.iter().map(|d| d.loudness).collect()));
    let brightness = ranged(1, Distribution::of(all.iter().filter_map(|d| d.brightness).collect()));
    let density = ranged(2, Distribution::even(all.iter().map(|d| d.density).collect()));
    let begins = all.iter().zip(&stream).filter(|(_, moment)| moment.onsets > 0.0);
    let attacks: Vec<f32> = begins.map(|(described, _)| described.attack).collect();
    let (begun, enough) = (attacks.len(), attacks.len() >= BEGINNINGS);
    let velocity = ranged(3, Distribution::of(attacks).filter(|_| enough));
    if !enough {
        not_offered.push(format!(
            "velocity: {begun} sounds begin in these recordings; {BEGINNINGS} are needed"
        ));
    }
    let pitch = pitches(&all).map_err(|why| not_offered.push(why)).unwrap_or_default();
    let classes = class_names(classes).map_err(|why| not_offered.push(why)).unwrap_or_default();
    Offer {
        conditioning: Conditioning { loudness, brightness, density, velocity, pitch, classes },
        not_offered,
    }
}

/// The pitches that are heard often enough, or why there are too few.
fn pitches(all: &[Description]) -> Result<Pitches, String> {
    let mut keys = BTreeMap::new();
    let pitches: Vec<f32> = all.iter().filter_map(|d| d.pitch).collect();
    for pitch in &pitches {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a key")]
        let key = pitch.round().clamp(0.0, MAX_PITCH.into()) as u8;
        *keys.entry(key).or_insert(0_usize) += 1;
    }
    let sounding = all.iter().filter(|d| d.brightness.is_some()).count();
    let share = pitches.len() as f64 / sounding.max(1) as f64;
    keys.retain(|_, count| *count as f64 >= KEY_SHARE * pitches.len() as f64);
    let mut often: Vec<(u8, usize)> = keys.into_iter().collect();
    often.sort_by_key(|&(key, count)| (std::cmp::Reverse(count), key));
    often.truncate(MAX_PITCHES);
    match often.len() {
        KEYS.. if share >= PITCHED_SHARE => Ok(Pitches::new(often.into_iter().map(|(key, _)| key))),
        _ if share < PITCHED_SHARE => Err(format!(
            "pitch: {:.0} % of these recordings have one; {:.0} % are needed",
            100.0 * share,
            100.0 * PITCHED_SHARE
        )),
        _ => Err(format!("pitch: these recordings have fewer than {KEYS} different ones")),
    }
}

/// The names of the classes, or why there are none.
fn class_names(classes: &[&str]) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = classes.iter().map(|&name| name.to_owned()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !name.is_empty());
    let short = names.iter().all(|name| name.chars().count() <= MAX_CLASS_NAME);
    match names.len() {
        0 | 1 => Err("class: these recordings are not sorted into folders".to_owned()),
        2..=MAX_CLASSES if short => Ok(names),
        count => Err(format!(
            "class: there are {count} folders, or one has too long a name; {MAX_CLASSES} are possible"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(step: usize) -> Moment {
        Moment {
            power: 10.0_f32.powf(-(step as f32) / 100.0),
            brightness: 8.0 + step as f32 % 200.0 / 40.0,
            onsets: if step.is_multiple_of(20 + step / 100) { 1.0 } else { 0.0 },
            pitch: Some(50.0 + (step / 60) as f32),
        }
    }

    #[test]
    fn a_corpus_with_everything_offers_everything() {
        let recordings = [(0..300).map(moment).collect(), (300..700).map(moment).collect()];
        let Offer { conditioning, not_offered } = offer(&recordings, &["low", "high"]);
        assert_eq!(not_offered, Vec::<String>::new());
        assert!(conditioning.ranks().iter().all(|(_, offered)| offered.is_some()));
        assert_eq!(conditioning.pitch, Pitches::new(50..=60));
        assert_eq!(conditioning.classes, ["high", "low"]);
        let [loudness, velocity] =
            [conditioning.loudness, conditioning.velocity].map(Option::unwrap);
        assert!(velocity.value(1.0) > loudness.value(1.0), "a beginning is short");
        assert_eq!(conditioning.check(), Ok(()));
    }

    #[test]
    fn what_a_corpus_lacks_is_not_offered_and_a_sentence_says_why() {
        let drone = Moment { power: 0.1, brightness: 9.0, onsets: 0.0, pitch: None };
        let Offer { conditioning, not_offered } = offer(&[vec![drone; 500]], &[""]);
        assert_eq!(conditioning, Conditioning::default());
        let named = ["loudness", "brightness", "density", "velocity", "pitch", "class"];
        for (why, name) in not_offered.iter().zip(named) {
            assert!(why.starts_with(name), "{why}");
        }
        assert_eq!(not_offered.len(), named.len());
        let few = "velocity: 0 sounds begin in these recordings; 24 are needed";
        assert_eq!(not_offered[3], few);
        let one_key = Moment { pitch: Some(60.2), ..drone };
        let why = offer(&[vec![one_key; 500]], &[""]).not_offered;
        assert!(why.iter().any(|why| why.contains("fewer than 3")), "{why:?}");
    }

    #[test]
    fn an_empty_corpus_offers_nothing() {
        assert_eq!(offer(&[], &[]).conditioning, Conditioning::default());
        assert_eq!(offer(&[Vec::new()], &[""]).conditioning, Conditioning::default());
    }
}
