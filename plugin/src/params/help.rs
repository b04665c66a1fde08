//! What every parameter does, in a sentence: the editor shows it, and `docs/manual.md` has it as a table.

/// What a parameter does, by the name that hosts show; hidden ones have no help.
pub const HELP: [(&str, &str); 33] = [
    ("Seed", "Which of countless performances is played; the same number plays the same one"),
    ("Creativity", "How daring the choices are: 0 takes the likeliest sound every time"),
    ("Structure", "Multiplies Creativity for what happens when, and how loud"),
    ("Timbre", "Multiplies Creativity for what it sounds like"),
    ("Detail", "Multiplies Creativity for grain and noise"),
    ("Focus", "Chooses among this many of the likeliest codes only"),
    ("Diversity", "Chooses among the likeliest codes that together have this probability"),
    ("Novelty", "Avoids going on as a recording went on"),
    (
        "Recall",
        "Makes takes of frames of your recordings, which go on the longer, the more; 0 is free",
    ),
    ("Loudness", "How loud what follows shall be, ranked among your recordings"),
    ("Brightness", "How bright what follows shall be, ranked among your recordings"),
    ("Density", "How fast sounds shall follow each other, ranked among your recordings"),
    ("Levels", "How many levels of codes are made: fewer cost less and sound duller"),
    ("Play", "What sounds: notes, or one endless take, with the transport, with keys, or always"),
    ("Restart", "After how many bars an endless take is replaced by the next"),
    ("Hold", "Freezes the newest sound, or loops what was heard last of an endless take"),
    ("Loop length", "How long such a loop is"),
    (
        "Trigger",
        "What a key does: sounds while it is down, for Attack and Decay, or until it is pressed again",
    ),
    ("Voicing", "How keys that are down together sound: each, the newest, or one take led by them"),
    (
        "Begin anew",
        "A note that is held begins anew where a recording would end; otherwise it fades",
    ),
    ("Keys", "What keys decide: nothing, the pitch, or which of 24 pads plays"),
    ("Variations", "After how many notes of a key the first one comes again"),
    (
        "Follow velocity",
        "Notes are asked to begin as hard as they are struck; otherwise velocity is level",
    ),
    (
        "Lock to bars",
        "Takes belong to the bars of the song, so that a bar by itself sounds the same",
    ),
    ("Tune", "Raises all notes"),
    ("Voices", "How many notes sound at once"),
    ("Attack", "From silence to full level"),
    ("Decay", "From full level to the sustain level"),
    ("Sustain", "Level of a note that is held"),
    ("Release", "From full level to silence after a key comes up"),
    ("Volume", "Volume of everything"),
    ("Width", "How wide the stereo image is: 0 is mono, 1 as it was made"),
    ("Always wait", "Waits for sound that is late; for hosts that render fast without saying so"),
];

/// What the parameter called `name` does; nothing if it is hidden.
#[must_use]
pub fn help(name: &str) -> &'static str {
    HELP.iter().find(|(of, _)| *of == name).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::LIMITS;

    #[test]
    fn every_parameter_but_the_hidden_one_has_help() {
        assert_eq!(HELP.len(), LIMITS.len() - 1);
    }

    #[test]
    fn the_manual_says_the_same() {
        let manual = include_str!("../../../docs/manual.md");
        for (name, help) in HELP {
            let row = |line: &&str| {
                line.starts_with(&format!("| {name} |")) && line.ends_with(&format!("| {help} |"))
            };
            assert!(manual.lines().any(|line| row(&line)), "docs/manual.md lacks: {name}: {help}");
        }
    }
}
