//! How long a stage trains and how fast it learns at each step.

use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::events::Progress;
use crate::ranks::Ranks;

/// How long a stage trains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// So many updates.
    Steps(u32),
    /// As many updates as fit into so many seconds: the number is planned by the pace of the first
    /// ones, and again whenever a tenth of the time has passed.
    Seconds(f64),
}

/// Updates before the pace is measured: the first ones find cold caches.
const COLD_STEPS: u32 = 3;
/// Updates that the pace is measured on, at least.
const MEASURED_STEPS: u32 = 12;
/// Share of the time that the pace is measured for, at least: what else a machine does comes and
/// goes.
const MEASURED_SHARE: f64 = 0.02;
/// Share of the time that is planned with at first; the rest is for measuring on held-out files.
const PLANNED_SHARE: f64 = 0.93;
/// Share of the time that is planned with later, by a pace that has this in it; the rest is for what
/// follows training.
const REPLANNED_SHARE: f64 = 0.96;
/// Times that the number of updates is planned in the course of a stage: a machine that gets busy,
/// or idle, shall still end with a low learning rate, in time.
const PLANS: f64 = 10.0;

impl Length {
    /// What is left of it after so many seconds of preparation.
    pub(super) fn after(self, seconds: f64) -> Self {
        match self {
            Self::Seconds(limit) => Self::Seconds((limit - seconds).max(0.0)),
            steps => steps,
        }
    }
}

/// The course of one stage of training.
pub(super) struct Schedule {
    peak: f64,
    warm_up: u32,
    began: Instant,
    /// Seconds of training before that, in runs that were interrupted.
    before_s: f64,
    length: Length,
    /// When the cold steps were over, in seconds.
    warm_s: Option<f64>,
    step: u32,
    steps: u32,
    plan: Plan,
}

/// Where a plan begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Plan {
    step: u32,
    /// Share of the course that is over there.
    share: f64,
    seconds: f64,
    /// Seconds of an update, as far as they were measured.
    pace: Option<f64>,
}

/// Where a course stands: what it takes to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    length: Length,
    elapsed_s: f64,
    warm_s: Option<f64>,
    step: u32,
    steps: u32,
    plan: Plan,
}

impl Schedule {
    pub(super) fn new(length: Length, peak: f64, warm_up: u32) -> Self {
        let steps = if let Length::Steps(steps) = length { steps.max(1) } else { 0 };
        let (began, before_s, plan) = (Instant::now(), 0.0, Plan::default());
        Self { peak, warm_up, began, before_s, length, warm_s: None, step: 0, steps, plan }
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        let &Self { length, warm_s, step, steps, plan, .. } = self;
        let elapsed_s = self.elapsed_s();
        Position { length, elapsed_s, warm_s, step, steps, plan }
    }

    /// Goes on from `position`, now. With a `new_length`, its own length stands in place of that of
    /// the position: so many updates in all, or so many seconds from now on.
    pub(super) fn resume(&mut self, position: Position, new_length: bool) {
        let own = self.length;
        let Position { length, elapsed_s, warm_s, step, steps, plan } = position;
        // So many seconds have no number of updates before they are planned.
        let steps = if matches!(length, Length::Steps(_)) { steps.max(1) } else { steps };
        (self.began, self.before_s) = (Instant::now(), elapsed_s);
        (self.length, self.warm_s, self.step, self.steps, self.plan) =
            (length, warm_s, step, steps, Plan { step: plan.step.min(step), ..plan });
        if new_length {
            self.plan_anew(own);
        }
    }

    /// Plans for `length` from here on: the rate goes on from where it is.
    fn plan_anew(&mut self, length: Length) {
        let (now, share) = (self.before_s, self.share());
        let pace = self.plan.pace.or((self.step > 0).then(|| now / f64::from(self.step)));
        (self.length, self.steps) = match (length, pace) {
            (Length::Steps(steps), _) => (length, steps.max(1)),
            (Length::Seconds(more), Some(pace)) => {
                let steps = self.step + steps_within(more * REPLANNED_SHARE, pace).max(1);
                (Length::Seconds(now + more), steps)
            }
            (Length::Seconds(_), None) => (length, 0),
        };
        self.plan = Plan { step: self.step, share, seconds: now, pace };
        if self.step > 0 {
            self.warm_s = self.warm_s.or(Some(now));
        }
    }

    /// Updates made so far.
    pub(super) fn step(&self) -> u32 {
        self.step
    }

    /// Updates in all, as planned so far; 0 while the first plan is being made.
    pub(super) fn steps(&self) -> u32 {
        self.steps
    }

    /// Share of the course that is over, 0 to 1; 0 while the first plan is being made. It never
    /// jumps: another plan goes on from where the last one has come to.
    pub(super) fn share(&self) -> f64 {
        if self.steps == 0 {
            return 0.0;
        }
        let Plan { step, share, .. } = self.plan;
        let planned = f64::from(self.steps.saturating_sub(step).max(1));
        let done = f64::from(self.step - step) / planned;
        share + (1.0 - share) * done.min(1.0)
    }

    pub(super) fn elapsed_s(&self) -> f64 {
        self.before_s + self.began.elapsed().as_secs_f64()
    }

    /// Whether the course is run, or its time over.
    pub(super) fn is_over(&self) -> bool {
        let late = matches!(self.length, Length::Seconds(limit) if self.elapsed_s() >= limit);
        (self.steps > 0 && self.step >= self.steps) || (late && self.step > 0)
    }

    /// Learning rate of the next update: linear warm-up, then half a cosine down to a twentieth
    /// (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>).
    pub(super) fn rate(&self) -> f64 {
        let warm = f64::from(self.step + 1) / f64::from(self.warm_up.max(1));
        let cosine = 0.5 + 0.5 * (std::f64::consts::PI * self.share()).cos();
        self.peak * warm.min(1.0) * (0.05 + 0.95 * cosine)
    }

    /// Counts an update, and plans how many there are to be once the pace is known, by the clock of the
    /// first rank.
    pub(super) fn advance(&mut self, ranks: &dyn Ranks) -> Result<()> {
        self.advance_at(ranks.first(self.elapsed_s())?);
        Ok(())
    }

    /// As [`Self::advance`], so many seconds after the beginning.
    fn advance_at(&mut self, now: f64) {
        self.step += 1;
        let Length::Seconds(limit) = self.length else { return };
        if self.step == COLD_STEPS {
            self.warm_s = Some(now);
        }
        let Some(warm_s) = self.warm_s else { return };
        if self.steps == 0 {
            let (measured, seconds) = (self.step - COLD_STEPS, now - warm_s);
            if measured >= MEASURED_STEPS && seconds >= MEASURED_SHARE * limit {
                let pace = seconds / f64::from(measured);
                self.steps = self.step + steps_within(limit * PLANNED_SHARE - now, pace);
                let (step, pace) = (self.step, Some(pace));
                self.plan = Plan { step, share: 0.0, seconds: now, pace };
            }
        } else if now - self.plan.seconds >= limit / PLANS && self.step < self.steps {
            let pace = (now - self.plan.seconds) / f64::from(self.step - self.plan.step);
            let (step, share) = (self.step, self.share());
            self.plan = Plan { step, share, seconds: now, pace: Some(pace) };
            self.steps = self.step + steps_within(limit * REPLANNED_SHARE - now, pace).max(1);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let elapsed_s = self.elapsed_s();
        let left = f64::from(self.steps.saturating_sub(self.step));
        let pace = self.plan.pace.unwrap_or(elapsed_s / f64::from(self.step.max(1)));
        let remaining_s = (self.steps > 0).then_some(left * pace);
        Progress {
            step: self.step,
            steps: self.steps,
            elapsed_s,
            remaining_s,
            learning_rate: self.rate(),
        }
    }
}

/// Steps of `pace` seconds that fit into `seconds`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to u32")]
fn steps_within(seconds: f64, pace: f64) -> u32 {
    (seconds / pace.max(1e-6)).clamp(0.0, f64::from(u32::MAX / 2)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::Alone;

    #[test]
    fn the_rate_rises_then_falls_to_a_twentieth() {
        let mut schedule = Schedule::new(Length::Steps(100), 1.0, 10);
        let mut rates = Vec::new();
        while !schedule.is_over() {
            rates.push(schedule.rate());
            schedule.advance(&Alone).expect("it is alone");
        }
        assert_eq!(rates.len(), 100);
        assert!(rates[0] < 0.2 && rates[10] > 0.9 && rates[99] < 0.06);
    }

    #[test]
    fn a_budget_of_time_becomes_a_number_of_steps() {
        let mut schedule = Schedule::new(Length::Seconds(0.1), 1.0, 10);
        for _ in 0..COLD_STEPS + MEASURED_STEPS {
            assert_eq!(schedule.steps(), 0);
            schedule.advance(&Alone).expect("it is alone");
        }
        while schedule.steps() == 0 && !schedule.is_over() {
            schedule.advance(&Alone).expect("it is alone");
        }
        assert!(schedule.steps() > 1000, "steps that take no time: {}", schedule.steps());
    }

    /// Runs a budget of 100 s on a machine on which a step at a share of the time takes `pace`
    /// seconds: when it ended, its rates, and its steps.
    fn run(pace: impl Fn(f64) -> f64) -> (f64, Vec<f64>, u32) {
        let mut schedule = Schedule::new(Length::Seconds(100.0), 1.0, 10);
        let (mut now, mut rates) = (0.0, Vec::new());
        while (schedule.steps == 0 || schedule.step < schedule.steps) && now < 100.0 {
            now += pace(now / 100.0);
            rates.push(schedule.rate());
            schedule.advance_at(now);
        }
        (now, rates, schedule.step)
    }

    #[test]
    fn a_machine_that_gets_slower_or_faster_ends_in_time_with_a_low_rate() {
        let (_, _, even) = run(|_| 0.05);
        for (name, early, late) in [("slower", 0.05, 0.15), ("faster", 0.15, 0.05)] {
            let (ended, rates, steps) = run(|share| if share < 0.4 { early } else { late });
            assert!((88.0..100.0).contains(&ended), "{name}: ended after {ended} s");
            assert!(rates.last().is_some_and(|rate| *rate < 0.06), "{name}: {:?}", rates.last());
            let jump = rates[20..].windows(2).map(|pair| (pair[1] - pair[0]).abs());
            assert!(jump.fold(0.0, f64::max) < 0.02, "{name}: the rate jumps");
            assert!((even / 4..even).contains(&steps), "{name}: {steps} steps of {even}");
        }
    }

    #[test]
    fn a_course_goes_on_from_a_position_as_if_nothing_had_been() {
        for at in [0, 1, 9, 10, 50, 99] {
            let mut whole = Schedule::new(Length::Steps(100), 0.3, 10);
            (0..at).for_each(|_| whole.advance(&Alone).expect("it is alone"));
            let mut resumed = Schedule::new(Length::Steps(7), 0.3, 10);
            resumed.resume(whole.position(), false);
            while !whole.is_over() {
                assert_eq!((whole.step(), whole.rate()), (resumed.step(), resumed.rate()));
                whole.advance(&Alone).expect("it is alone");
                resumed.advance(&Alone).expect("it is alone");
            }
            assert!(resumed.is_over());
        }
    }

    #[test]
    fn time_that_was_spent_before_an_interruption_counts() {
        let mut schedule = Schedule::new(Length::Seconds(100.0), 1.0, 10);
        (1..=40).for_each(|step| schedule.advance_at(2.0 * f64::from(step)));
        let position = Position { elapsed_s: 80.0, ..schedule.position() };
        let mut resumed = Schedule::new(Length::Seconds(100.0), 1.0, 10);
        resumed.resume(position, false);
        assert!(!resumed.is_over() && (80.0..81.0).contains(&resumed.elapsed_s()));
        assert_eq!((resumed.share(), resumed.steps()), (schedule.share(), schedule.steps()));
        resumed.resume(Position { elapsed_s: 100.0, ..position }, false);
        assert!(resumed.is_over());
    }

    #[test]
    fn time_that_is_not_planned_yet_is_planned_when_it_goes_on() {
        for at in [0, 1, COLD_STEPS, COLD_STEPS + MEASURED_STEPS - 1, 30] {
            let mut whole = Schedule::new(Length::Seconds(100.0), 1.0, 10);
            let mut resumed = Schedule::new(Length::Seconds(100.0), 1.0, 10);
            let now = |step: u32| 0.1 * f64::from(step);
            (1..=at).for_each(|step| whole.advance_at(now(step)));
            resumed.resume(Position { elapsed_s: now(at), ..whole.position() }, false);
            assert!(!resumed.is_over(), "at {at}");
            for step in at + 1..700 {
                assert_eq!(
                    (whole.steps(), whole.rate()),
                    (resumed.steps(), resumed.rate()),
                    "{at}"
                );
                whole.advance_at(now(step));
                resumed.advance_at(now(step));
            }
            assert!(whole.steps() > 700);
        }
        // And with other time than was asked for first, from the same rate.
        let mut schedule = Schedule::new(Length::Seconds(100.0), 1.0, 10);
        (1..=5).for_each(|step| schedule.advance_at(f64::from(step)));
        let position = Position { elapsed_s: 5.0, ..schedule.position() };
        let mut resumed = Schedule::new(Length::Seconds(50.0), 1.0, 10);
        resumed.resume(position, true);
        assert_eq!((resumed.steps(), resumed.rate()), (5 + 48, schedule.rate()));
    }

    #[test]
    fn another_length_goes_on_from_the_same_rate() {
        let mut schedule = Schedule::new(Length::Steps(100), 1.0, 10);
        (0..60).for_each(|_| schedule.advance(&Alone).expect("it is alone"));
        let before = schedule.rate();
        let position = Position { elapsed_s: 30.0, ..schedule.position() };
        for (length, steps) in [(Length::Steps(200), 200), (Length::Seconds(50.0), 60 + 96)] {
            let mut resumed = Schedule::new(length, 1.0, 10);
            resumed.resume(position, true);
            assert_eq!((resumed.steps(), resumed.step()), (steps, 60), "{length:?}");
            assert!((resumed.rate() - before).abs() < 1e-9, "{length:?}");
            let last = (60..steps).map(|_| {
                let rate = resumed.rate();
                resumed.advance_at(30.0);
                rate
            });
            assert!(last.last().is_some_and(|rate| rate < 0.06), "{length:?}");
        }
        let mut shorter = Schedule::new(Length::Steps(50), 1.0, 10);
        shorter.resume(position, true);
        assert!(shorter.is_over());
    }

    #[test]
    fn preparation_is_paid_from_the_time_but_not_from_the_steps() {
        assert_eq!(Length::Seconds(10.0).after(4.0), Length::Seconds(6.0));
        assert_eq!(Length::Seconds(10.0).after(40.0), Length::Seconds(0.0));
        assert_eq!(Length::Steps(10).after(40.0), Length::Steps(10));
    }
}
