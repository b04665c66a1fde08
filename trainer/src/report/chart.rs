//! Curves over steps, as inline SVG.

use super::html::Html;

/// Size of a chart in units of its own; it is scaled to the width there is.
const WIDTH: f64 = 480.0;
/// Room left of the plot for numbers, and below it.
const LEFT: f64 = 60.0;
const BELOW: f64 = 30.0;
/// Room above the plot and right of it.
const EDGE: f64 = 12.0;
/// Numbers along an axis, about.
const TICKS: f64 = 5.0;
/// Curves of many points may leave the plot at the top with this share of them: first steps are many
/// times as high as all others.
const CUT_SHARE: usize = 20;
/// From so many points on they may.
const MANY: usize = 40;

/// What a chart shows.
pub(super) struct Chart<'a> {
    /// What it is about.
    pub(super) title: &'a str,
    /// Where the axis of steps ends, at least.
    pub(super) steps: f64,
    /// Height in the chart's own units.
    pub(super) height: f64,
    pub(super) lines: Vec<Line>,
    pub(super) levels: Vec<Level>,
}

/// A curve.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// The style's name for it.
    pub(super) class: &'static str,
    /// Steps and values, by steps.
    pub(super) points: Vec<(f64, f64)>,
    /// Whether points are shown.
    pub(super) dotted: bool,
}

/// A value to judge curves by.
pub(super) struct Level {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) value: f64,
}

impl Chart<'_> {
    /// Adds the chart with its legend; nothing if there is no point in it.
    pub(super) fn add_to(&self, html: &mut Html) {
        let Some(plot) = Plot::of(self) else { return };
        html.within("figure", &[], |html| {
            html.line("figcaption", self.title);
            self.add_picture(&plot, html);
            self.add_legend(html);
        });
    }

    fn add_picture(&self, plot: &Plot, html: &mut Html) {
        let (size, told) = (format!("0 0 {WIDTH} {}", self.height), self.in_words());
        let attributes = [("viewBox", &*size), ("role", "img"), ("aria-label", &*told)];
        html.within("svg", &attributes, |html| {
            plot.add_axes(html);
            for level in self.levels.iter().filter(|level| level.value.is_finite()) {
                let y = text(plot.y(level.value));
                let [left, right] = [plot.x(0.0), plot.x(plot.steps)].map(text);
                let ends = [("x1", &*left), ("x2", &*right), ("y1", &*y), ("y2", &*y)];
                html.void("line", &[&[("class", level.class)], &ends[..]].concat());
            }
            self.lines.iter().for_each(|line| plot.add_line(line, html));
        });
    }

    fn add_legend(&self, html: &mut Html) {
        let lines = self.lines.iter().filter(|line| !line.points.is_empty());
        let lines = lines.map(|line| (line.name, line.class));
        let levels = self.levels.iter().map(|level| (level.name, level.class));
        html.within("ul", &[("class", "legend")], |html| {
            for (name, class) in lines.chain(levels) {
                html.within("li", &[], |html| {
                    html.element("span", &[("class", &format!("swatch {class}"))], "");
                    html.text(name);
                });
            }
        });
    }

    /// What the chart says to who does not see it.
    fn in_words(&self) -> String {
        let mut told = self.title.to_owned();
        for Line { name, points, .. } in &self.lines {
            let finite = || points.iter().filter(|(_, value)| value.is_finite());
            if let (Some((_, first)), Some((step, last))) = (finite().next(), finite().next_back())
            {
                told += &format!("; {name}: from {first:.3} to {last:.3} at step {step}");
            }
        }
        for Level { name, value, .. } in &self.levels {
            told += &format!("; {name}: {value:.3}");
        }
        told
    }
}

/// Where values lie in the picture.
struct Plot {
    steps: f64,
    low: f64,
    high: f64,
    height: f64,
}

impl Plot {
    /// The plot that holds what `chart` shows; none if that is nothing.
    fn of(chart: &Chart) -> Option<Self> {
        let mut steps = chart.steps.max(1.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for line in &chart.lines {
            steps = line.points.iter().map(|(step, _)| *step).fold(steps, f64::max);
            let mut values: Vec<f64> = line.points.iter().map(|(_, value)| *value).collect();
            values.retain(|value| value.is_finite());
            values.sort_by(f64::total_cmp);
            let cut = if values.len() < MANY { 0 } else { values.len() / CUT_SHARE };
            if let (Some(first), Some(last)) = (values.first(), values.iter().rev().nth(cut)) {
                (low, high) = (low.min(*first), high.max(*last));
            }
        }
        if low > high {
            return None;
        }
        for level in chart.levels.iter().filter(|level| level.value.is_finite()) {
            (low, high) = (low.min(level.value), high.max(level.value));
        }
        // A single value lies in the middle.
        let room = if high > low { 0.06 * (high - low) } else { 0.1 * high.abs().max(0.1) };
        Some(Self { steps, low: low - room, high: high + room, height: chart.height })
    }

    fn x(&self, step: f64) -> f64 {
        LEFT + step / self.steps * (WIDTH - LEFT - EDGE)
    }

    /// What is above the plot lies on its upper edge.
    fn y(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        EDGE + (1.0 - share) * (self.height - BELOW - EDGE)
    }

    fn add_axes(&self, html: &mut Html) {
        let [left, right] = [self.x(0.0), self.x(self.steps)].map(text);
        for (value, label) in ticks(self.low, self.high) {
            let (y, base) = (text(self.y(value)), text(self.y(value) + 4.5));
            let ends = [("x1", &*left), ("x2", &*right), ("y1", &*y), ("y2", &*y)];
            html.void("line", &[&[("class", "grid")], &ends[..]].concat());
            let place = [("x", &*text(LEFT - 7.0)), ("y", &*base), ("text-anchor", "end")];
            html.element("text", &place, &label);
        }
        let y = text(self.height - 8.0);
        for (step, label) in ticks(0.0, self.steps) {
            let anchor = if step > 0.95 * self.steps { "end" } else { "middle" };
            let x = text(self.x(step));
            html.element("text", &[("x", &x), ("y", &y), ("text-anchor", anchor)], &label);
        }
    }

    /// A line through finite points, broken where one is not; a point by itself is a dot.
    fn add_line(&self, line: &Line, html: &mut Html) {
        let mut path = String::new();
        let mut dots = Vec::new();
        for run in line.points.split(|(_, value)| !value.is_finite()) {
            for (i, &(step, value)) in run.iter().enumerate() {
                let (x, y) = (text(self.x(step)), text(self.y(value)));
                path += &format!("{}{x} {y}", if i == 0 { "M" } else { "L" });
                if line.dotted || run.len() == 1 {
                    dots.push((x, y));
                }
            }
        }
        if path.is_empty() {
            return;
        }
        html.void("path", &[("class", line.class), ("d", &path)]);
        for (x, y) in dots {
            html.void("circle", &[("class", line.class), ("cx", &x), ("cy", &y), ("r", "3")]);
        }
    }
}

/// Round numbers between two values, and how they are written.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= 0.99 * rough).unwrap_or(rough);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 9")]
    let decimals = (-(step * 1.001).log10().floor()).clamp(0.0, 9.0) as usize;
    let first = (low / step).ceil();
    let values = (0_u8..12).map(|i| (first + f64::from(i)) * step);
    values
        .take_while(|value| *value <= high + 1e-9 * step)
        .map(|value| (value, format!("{value:.decimals$}")))
        .collect()
}

/// A coordinate.
fn text(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(f64, f64)], dotted: bool) -> String {
        let lines = vec![Line { name: "loss", class: "train", points: points.to_vec(), dotted }];
        let mut html = Html::default();
        let chart = Chart { title: "Loss", steps: 0.0, height: 240.0, lines, levels: Vec::new() };
        chart.add_to(&mut html);
        html.into_text()
    }

    #[test]
    fn a_curve_goes_through_its_points() {
        let text = drawn(&[(0.0, 1.0), (50.0, 3.0), (100.0, 2.0)], true);
        assert_eq!(text.matches("<circle").count(), 3, "{text}");
        assert!(text.contains("d=\"M60.0 "), "it begins at the left edge: {text}");
        assert!(text.contains("L468.0 "), "and ends at the right one: {text}");
        assert!(text.contains("loss: from 1.000 to 2.000 at step 100"), "{text}");
    }

    #[test]
    fn a_curve_breaks_where_a_value_is_no_number() {
        let nan = f64::NAN;
        let text = drawn(&[(1.0, 5.0), (2.0, 4.0), (3.0, nan), (4.0, 2.0), (5.0, nan)], false);
        assert_eq!(text.matches('M').count(), 2, "{text}");
        assert_eq!(text.matches("<circle").count(), 1, "a point by itself is a dot: {text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn a_single_point_is_a_dot_and_no_point_is_nothing() {
        let text = drawn(&[(7.0, 2.5)], false);
        assert!(text.contains("<circle") && !text.contains("NaN"), "{text}");
        assert_eq!(drawn(&[], false), "");
        assert_eq!(drawn(&[(1.0, f64::INFINITY)], true), "");
    }

    #[test]
    fn a_few_first_steps_do_not_flatten_all_others() {
        let mut points: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), 1.0)).collect();
        points[0].1 = 1000.0;
        points[99].1 = 0.5;
        let lines = vec![Line { name: "loss", class: "train", points, dotted: false }];
        let chart = Chart { title: "", steps: 0.0, height: 240.0, lines, levels: Vec::new() };
        let plot = Plot::of(&chart).unwrap();
        assert!(plot.high < 1.1 && plot.low < 0.5, "{} to {}", plot.low, plot.high);
        assert_eq!(plot.y(1000.0), EDGE);
    }

    #[test]
    fn ticks_are_round_numbers() {
        let labels = |low, high| {
            ticks(low, high).into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(0.0, 900.0), "0 200 400 600 800");
        assert_eq!(labels(0.0, 400.0), "0 100 200 300 400");
        assert_eq!(labels(1.93, 3.1), "2.0 2.5 3.0");
        assert_eq!(labels(0.0, 0.001), "0.0000 0.0002 0.0004 0.0006 0.0008 0.0010");
    }
}
