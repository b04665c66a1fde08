//! How training goes: curves, and how the codes are used.

use distill_shared::bundle::{CurvePoint, LevelHealth};

use super::super::chart::{Chart, Level, Line};
use super::super::html::Html;
use super::super::story::{Stage, Story};
use super::sentence;
use crate::health;

/// Height of a chart of losses, and of one of learning rates.
const LOSSES: f64 = 260.0;
const RATES: f64 = 130.0;

/// The curves of both stages.
pub(super) fn add_curves(story: &Story, html: &mut Html) {
    if !story.codec.has_begun() && !story.prior.has_begun() {
        return;
    }
    html.within("section", &[("id", "training")], |html| {
        html.line("h2", "Training");
        html.within("div", &[("class", "charts")], |html| {
            let (title, told) = (
                "Codec: how far what it plays is from the recordings, over steps",
                "The lower, the truer. Where the curve of held-out recordings ends far above that of \
                 training, more recordings would help.",
            );
            add_stage(&story.codec, (title, told), Vec::new(), html);
            let mut levels = Vec::new();
            if let Some(known) = story.baselines {
                let level = |name, class, value| Level { name, class, value };
                levels.push(level("knowing nothing", "nothing", known.nothing));
                levels.push(level("knowing how often codes occur", "codes", known.codes));
                levels.push(level("knowing which code follows which", "pairs", known.pairs));
            }
            let (title, told) = (
                "Prior: how much each code of a held-out recording surprises it (nats), over steps",
                "The lower, the more it has understood of what follows what. Below the dashed lines it \
                 knows more than any count of codes or of pairs of codes.",
            );
            add_stage(&story.prior, (title, told), levels, html);
        });
    });
}

fn add_stage(stage: &Stage, (title, told): (&str, &str), levels: Vec<Level>, html: &mut Html) {
    if !stage.has_begun() {
        return;
    }
    html.within("div", &[], |html| {
        let steps = f64::from(stage.steps);
        Chart { title, steps, height: LOSSES, lines: losses(stage), levels }.add_to(html);
        let points = stage.rate.points();
        let lines = vec![Line { name: "learning rate", class: "rate", points, dotted: false }];
        let title = "Learning rate, over steps";
        Chart { title, steps, height: RATES, lines, levels: Vec::new() }.add_to(html);
        if let Some(best) = stage.best {
            html.line(
                "p",
                &format!("Best on held-out recordings: {best:.3}; that is what is kept."),
            );
        }
        html.element("p", &[("class", "note")], told);
    });
}

/// The losses of a stage: of every update, as far as the run has made it since it went on last, and as they
/// were measured.
fn losses(stage: &Stage) -> Vec<Line> {
    let measured = |value: fn(&CurvePoint) -> Option<f64>| {
        let points = stage.curve.iter();
        points.filter_map(move |point| Some((f64::from(point.step), value(point)?))).collect()
    };
    let line = |name, class, points, dotted| Line { name, class, points, dotted };
    vec![
        line("training, step by step", "train", stage.loss.points(), false),
        line("training, on average", "mean", measured(|point| point.train_loss), false),
        line("held-out recordings", "held", measured(|point| point.validation_loss), true),
    ]
}

/// How the codes are used: in words, and level by level.
pub(super) fn add_codes(story: &Story, html: &mut Html) {
    if story.levels.is_empty() {
        return;
    }
    html.within("section", &[("id", "codes")], |html| {
        html.line("h2", "Codes");
        html.line("p", &sentence(&health::sentence(&story.levels)));
        let has_uses = !story.uses.is_empty();
        html.within("table", &[("class", "codes")], |html| {
            html.within("thead", &[], |html| {
                html.within("tr", &[], |html| {
                    let use_of = has_uses.then_some("Its entries, from the most used to the least");
                    let heads = ["Level"].into_iter().chain(use_of).chain(["Used", "As if"]);
                    heads.for_each(|head| html.element("th", &[("scope", "col")], head));
                });
            });
            html.within("tbody", &[], |html| {
                for (i, level) in story.levels.iter().enumerate() {
                    add_level(i + 1, level, story.uses.get(i).map(String::as_str), html);
                }
            });
        });
        let mut told = "Levels tell a sound from what happens when (1) to grain. \"As if\": so many \
                        entries, used evenly, would say as much."
            .to_owned();
        if has_uses {
            told += " The brighter, the more often an entry is used over all recordings; black ones never \
                     are.";
        }
        html.element("p", &[("class", "note")], &told);
    });
}

fn add_level(number: usize, level: &LevelHealth, uses: Option<&str>, html: &mut Html) {
    html.within("tr", &[], |html| {
        html.element("th", &[("scope", "row")], &number.to_string());
        let used = format!("{:.0} %", (100.0 * level.used).floor());
        if let Some(picture) = uses {
            html.within("td", &[("class", "uses")], |html| {
                let told = format!("Use of the entries of level {number}: {used} are used");
                html.void("img", &[("src", picture), ("alt", &told)]);
            });
        }
        html.line("td", &used);
        html.line("td", &format!("{:.0}", level.perplexity));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_went_on_shows_what_was_measured_before() {
        let mut stage = Stage::default();
        for step in [10, 20, 30] {
            stage.measured(step, f64::from(step), 1.0);
        }
        (25..32).for_each(|step| stage.loss.push(step, 2.0));
        let [train, mean, held] = &losses(&stage)[..] else { panic!("three curves") };
        assert_eq!((train.points[0], train.points.len()), ((25.0, 2.0), 7));
        assert_eq!(mean.points, [(10.0, 10.0), (20.0, 20.0), (30.0, 30.0)]);
        assert_eq!(held.points, [(10.0, 1.0), (20.0, 1.0), (30.0, 1.0)]);
    }

    #[test]
    fn a_heat_map_has_a_row_of_each_level() {
        let level = LevelHealth { used: 0.97, perplexity: 41.4 };
        let uses = vec!["data:image/png;base64,AAAA".to_owned(); 2];
        let story = Story { levels: vec![level; 2], uses, ..Story::default() };
        let mut html = Html::default();
        add_codes(&story, &mut html);
        let text = html.into_text();
        assert!(text.contains("<p>Healthy: every level"), "{text}");
        assert_eq!(text.matches("<img").count(), 2);
        assert!(text.contains("<td>97 %</td>") && text.contains("<td>41</td>"), "{text}");
        assert!(text.contains("alt=\"Use of the entries of level 2: 97 % are used\""), "{text}");
    }
}
