//! What can be asked for, in words.

use distill_shared::model::conditioning::{Conditioning, Distribution};

/// What a prior can be asked for, each with its range in the corpus, at so many frames per second.
#[must_use]
pub fn offered(conditioning: &Conditioning, frame_rate: f64) -> Vec<String> {
    let Conditioning { loudness, brightness, density, velocity, pitch, classes } = conditioning;
    let range = |name: &str, unit: &str, found: &Distribution, show: &dyn Fn(f64) -> f64| {
        let (low, high) = (show(found.value(0.0).into()), show(found.value(1.0).into()));
        format!("{name} ({low:.0} to {high:.0} {unit})")
    };
    let mut offered = Vec::new();
    offered.extend(loudness.iter().map(|found| range("loudness", "dB", found, &|db| db)));
    let hz = &|octaves: f64| octaves.exp2();
    offered.extend(brightness.iter().map(|found| range("brightness", "Hz", found, hz)));
    let per_second = &|onsets: f64| onsets * frame_rate;
    let unit = "onsets per second";
    offered.extend(density.iter().map(|found| range("density", unit, found, per_second)));
    offered.extend(velocity.iter().map(|found| range("velocity", "dB", found, &|db| db)));
    offered.extend(pitch.range().map(|(low, high)| {
        let (low, high) = (note(low), note(high));
        format!("pitch ({low} to {high}, from {} notes of the recordings)", pitch.len())
    }));
    if !classes.is_empty() {
        offered.push(format!("class ({})", classes.join(", ")));
    }
    offered
}

/// The name of a MIDI key.
#[must_use]
pub fn note(key: u8) -> String {
    const NAMES: [&str; 12] = ["c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b"];
    format!("{}{}", NAMES[usize::from(key) % 12], i16::from(key) / 12 - 1)
}

#[cfg(test)]
mod tests {
    use distill_shared::model::conditioning::Pitches;

    use super::*;

    #[test]
    fn what_is_offered_is_told_with_its_range() {
        let conditioning = Conditioning {
            density: Some(Distribution(std::array::from_fn(|knot| knot as f32 * 0.01))),
            pitch: Pitches::new([48, 60]),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Conditioning::default()
        };
        let told = offered(&conditioning, 50.0);
        assert!(told[0].starts_with("density (0 to ") && told[0].ends_with("onsets per second)"));
        assert_eq!(told[1], "pitch (c3 to c4, from 2 notes of the recordings)");
        assert_eq!(told[2], "class (low, high)");
        assert!(offered(&Conditioning::default(), 50.0).is_empty());
    }
}
