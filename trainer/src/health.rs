//! Whether a codec uses the codes it has, in plain words.

use distill_shared::bundle::LevelHealth;

/// A level that uses less than this share of its codes is larger than it needs to be.
const ENOUGH: f64 = 0.7;
/// Levels that are named each.
const MOST_NAMED: usize = 4;
/// Codes as even as this many say next to nothing.
const COLLAPSED: f64 = 2.0;

/// How well the levels of a codec use their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Every level uses most of its codes.
    Healthy,
    /// Some level leaves many of its codes unused: harmless, but larger than it needs to be.
    SomeUnused,
    /// Some level says nearly always the same.
    Collapsed,
}

impl Health {
    /// That of one level.
    #[must_use]
    pub fn of(level: &LevelHealth) -> Self {
        if level.perplexity < COLLAPSED {
            Self::Collapsed
        } else if level.used < ENOUGH {
            Self::SomeUnused
        } else {
            Self::Healthy
        }
    }

    /// That of the least healthy of `levels`; healthy if there is none.
    #[must_use]
    pub fn of_all(levels: &[LevelHealth]) -> Self {
        levels.iter().map(Self::of).max().unwrap_or(Self::Healthy)
    }
}

/// What `levels`, coarse to fine, say of a codec, and what to do about it: one sentence.
#[must_use]
pub fn sentence(levels: &[LevelHealth]) -> String {
    let health = Health::of_all(levels);
    let concerned: Vec<(usize, f64)> = (1..)
        .zip(levels)
        .filter(|(_, level)| Health::of(level) == health)
        .map(|(number, level)| (number, (100.0 * level.used).floor()))
        .collect();
    let concerned = named(&concerned, levels.len());
    match health {
        Health::Healthy => {
            format!("healthy: every level uses at least {:.0} % of its codes", 100.0 * ENOUGH)
        }
        Health::SomeUnused => format!(
            "some codes unused: {concerned}; harmless: more sound uses more of them, and a smaller \
             --codebook-size loses little"
        ),
        Health::Collapsed => format!(
            "collapsed: {concerned}; nearly all frames get the same code there, as when recordings \
             hardly differ or are silent: add others, or if they do differ, lower --codec-lr"
        ),
    }
}

/// Levels with the percentage of their codes that they use: each, or how many of `all` if that would be a
/// long list.
fn named(levels: &[(usize, f64)], all: usize) -> String {
    if levels.len() > MOST_NAMED {
        let used = levels.iter().map(|(_, used)| *used);
        let (least, most) = (used.clone().fold(100.0, f64::min), used.fold(0.0, f64::max));
        return format!("{} of {all} levels ({least:.0} to {most:.0} %)", levels.len());
    }
    let which = if levels.len() == 1 { "level" } else { "levels" };
    let each: Vec<String> =
        levels.iter().map(|(number, used)| format!("{number} ({used:.0} %)")).collect();
    format!("{which} {}", each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: LevelHealth = LevelHealth { used: 0.98, perplexity: 90.0 };
    const SPARSE: LevelHealth = LevelHealth { used: 0.4, perplexity: 12.0 };
    const DEAD: LevelHealth = LevelHealth { used: 0.0625, perplexity: 1.2 };

    #[test]
    fn the_least_healthy_level_decides() {
        assert_eq!(Health::of_all(&[GOOD, GOOD]), Health::Healthy);
        assert_eq!(Health::of_all(&[GOOD, SPARSE, GOOD]), Health::SomeUnused);
        assert_eq!(Health::of_all(&[DEAD, SPARSE, GOOD]), Health::Collapsed);
        assert_eq!(Health::of_all(&[]), Health::Healthy);
    }

    #[test]
    fn the_sentence_names_the_levels_concerned_and_what_to_do() {
        assert!(sentence(&[GOOD, GOOD]).starts_with("healthy"));
        let text = sentence(&[GOOD, SPARSE, SPARSE]);
        assert!(text.starts_with("some codes unused: levels 2 (40 %), 3 (40 %); "), "{text}");
        assert!(text.contains("--codebook-size"), "{text}");
        let text =
            sentence(&[GOOD, SPARSE, SPARSE, SPARSE, SPARSE, LevelHealth { used: 0.6, ..SPARSE }]);
        assert!(text.starts_with("some codes unused: 5 of 6 levels (40 to 60 %); "), "{text}");
        let nearly = LevelHealth { used: 0.697, perplexity: 60.0 };
        assert!(sentence(&[nearly]).contains("level 1 (69 %)"), "never as much as would be enough");
        let text = sentence(&[SPARSE, DEAD]);
        assert!(text.starts_with("collapsed: level 2 (6 %); "), "{text}");
        assert!(text.contains("--codec-lr"), "{text}");
    }
}
