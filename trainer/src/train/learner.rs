//! What learns in both stages: weights with their optimizer and schedule, the best so far, and what was
//! measured on the way.

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{CurvePoint, Tensor, Tensors};
use distill_shared::model::weights::Weights;
use serde::{Deserialize, Serialize};

use super::keeper::{Begun, Changed};
use super::optimizer::{AdamW, Batch, Moments};
use super::schedule::{Position, Schedule};
use super::state::{Stage, State, flat, pack, unpack};
use super::watch::{Verdict, Watch};
use super::workers::Workers;
use super::{Diverged, Run};
use crate::events::{Progress, Resumption, TrainingEvent};

/// Weights in a state: their names follow.
const WEIGHTS: &str = "weights.";
/// The tensors of the best measurement, packed.
const BEST: &str = "best";
/// The optimizer's moments, packed.
const MEAN: &str = "optimizer.mean";
const SQUARE: &str = "optimizer.square";

/// Everything that both stages have in common and that changes while they train.
pub(super) struct Learner {
    pub(super) weights: Weights,
    pub(super) schedule: Schedule,
    optimizer: AdamW,
    watch: Watch,
    best: Best,
    /// Sum and number of the training losses since the last measurement.
    recent: (f64, u32),
    curve: Vec<CurvePoint>,
}

/// What did best on the held-out recordings.
#[derive(Debug, Clone)]
pub(super) struct Best {
    /// None before the first measurement.
    pub(super) loss: Option<f64>,
    /// Before that, what training began with.
    pub(super) tensors: Tensors,
}

/// What a measurement means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Mean training loss since the measurement before.
    pub(super) train_loss: f64,
    /// Whether it is the best so far.
    pub(super) best: bool,
}

/// How a stage went.
pub(super) struct Learned {
    /// The loss on held-out recordings of the weights that are kept.
    pub(super) best_loss: f64,
    /// These weights.
    pub(super) tensors: Tensors,
    /// What was measured, and when.
    pub(super) curve: Vec<CurvePoint>,
    /// Updates made.
    pub(super) steps: u32,
    /// Seconds it took.
    pub(super) elapsed_s: f64,
}

/// What a state tells of a learner, apart from arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Course {
    position: Position,
    updates: i32,
    watch: Watch,
    best_loss: Option<f64>,
    recent: (f64, u32),
    curve: Vec<CurvePoint>,
}

impl Learner {
    /// Begins to learn `weights`, all of them but those called `fixed`. `tensors` are what a
    /// measurement of them would keep.
    pub(super) fn new(
        weights: Weights,
        fixed: &[&str],
        schedule: Schedule,
        tensors: Tensors,
    ) -> Result<Self> {
        Ok(Self {
            optimizer: AdamW::new(&weights, fixed)?,
            weights,
            schedule,
            watch: Watch::default(),
            best: Best { loss: None, tensors },
            recent: (0.0, 0),
            curve: Vec::new(),
        })
    }

    /// Goes on where a run was interrupted. The weights are those of its state already.
    pub(super) fn resume(&mut self, course: Course, begun: &Begun) -> Result<()> {
        let Begun { state, changed: Changed { recordings, length } } = begun;
        let Course { position, updates, watch, best_loss, recent, curve } = course;
        let count = self.optimizer.values();
        self.optimizer.set_moments(&Moments {
            updates,
            mean: state.floats(MEAN, count)?,
            square: state.floats(SQUARE, count)?,
        });
        self.schedule.resume(position, *length);
        if !recordings {
            let best = state.tensor(BEST)?.to_f32();
            let best = unpack(&best, &self.best.tensors).context("the best weights do not fit")?;
            self.best = Best { loss: best_loss, tensors: best };
        }
        // What is usual for other recordings says nothing.
        self.watch = if *recordings { Watch::default() } else { watch };
        (self.recent, self.curve) = (recent, curve);
        Ok(())
    }

    /// What a state tells of it: a part of the text, and tensors.
    pub(super) fn course(&self) -> Result<(Course, Tensors)> {
        let weights = self.weights.to_tensors()?.into_iter();
        let mut tensors: Tensors =
            weights.map(|(name, tensor)| (format!("{WEIGHTS}{name}"), tensor)).collect();
        let Moments { updates, mean, square } = self.optimizer.moments();
        tensors.insert(BEST.to_owned(), pack(&self.best.tensors));
        tensors.insert(MEAN.to_owned(), flat(mean));
        tensors.insert(SQUARE.to_owned(), flat(square));
        let course = Course {
            position: self.schedule.position(),
            updates,
            watch: self.watch.clone(),
            best_loss: self.best.loss,
            recent: self.recent,
            curve: self.curve.clone(),
        };
        Ok((course, tensors))
    }

    /// Moves the weights by what a step found, unless that would ruin them; then they go back to the
    /// best, if it comes to that.
    pub(super) fn learn(&mut self, batch: &Batch, loss: f64, workers: &Workers) -> Result<Verdict> {
        let applied = self.watch.allows(loss)
            && self.optimizer.update(batch, self.rate(), workers)?.is_finite();
        let verdict = self.watch.note(loss, applied);
        match verdict {
            Verdict::Learned => self.recent = (self.recent.0 + loss, self.recent.1 + 1),
            Verdict::Return => self.optimizer.begin_anew(&self.best.tensors)?,
            Verdict::LeftOut { .. } | Verdict::Diverged => {}
        }
        Ok(verdict)
    }

    /// Learning rate of the next update.
    fn rate(&self) -> f64 {
        self.schedule.rate() * self.watch.rate()
    }

    /// Where the stage stands.
    pub(super) fn progress(&self) -> Progress {
        Progress { learning_rate: self.rate(), ..self.schedule.progress() }
    }

    /// Whether it is time for one of `times` measurements.
    pub(super) fn is_time_to_measure(&self, times: u32) -> bool {
        let (step, steps) = (self.schedule.step(), self.schedule.steps());
        let every = (steps / times).max(1);
        steps > 0 && (steps.saturating_sub(step)).is_multiple_of(every)
    }

    /// Takes note of a measurement on held-out recordings. If it is the best, it keeps what `tensors`
    /// makes of the weights.
    pub(super) fn measured(
        &mut self,
        validation_loss: f64,
        tensors: impl FnOnce(Tensors) -> Tensors,
    ) -> Result<Measured> {
        // What a step has ruined before it was noticed is not the best, though nothing was before.
        let best = self.watch.allows(validation_loss)
            && validation_loss < self.best.loss.unwrap_or(f64::INFINITY);
        if best {
            let tensors = tensors(self.weights.to_tensors()?);
            self.best = Best { loss: Some(validation_loss), tensors };
        }
        let (sum, count) = std::mem::take(&mut self.recent);
        let train_loss = sum / f64::from(count.max(1));
        self.curve.push(CurvePoint {
            step: self.schedule.step(),
            train_loss: Some(train_loss),
            validation_loss: Some(validation_loss),
        });
        Ok(Measured { train_loss, best })
    }

    /// What was measured so far, oldest first.
    pub(super) fn curve(&self) -> &[CurvePoint] {
        &self.curve
    }

    /// What did best so far.
    pub(super) fn best(&self) -> &Best {
        &self.best
    }

    /// Whether something was learned since the last measurement, or there was none.
    pub(super) fn is_unmeasured(&self) -> bool {
        self.recent.1 > 0 || self.best.loss.is_none()
    }

    /// Ends: gives the best weights.
    ///
    /// Fails with [`Diverged`] if none was ever measured to be finite.
    pub(super) fn finish(self) -> Result<Learned> {
        let (steps, elapsed_s) = (self.schedule.step(), self.schedule.elapsed_s());
        let Best { loss, tensors } = self.best;
        let best_loss = loss.ok_or(Diverged { loss: f64::NAN, step: steps })?;
        Ok(Learned { best_loss, tensors, curve: self.curve, steps, elapsed_s })
    }
}

/// The weight `name` of a state, of this shape.
pub(super) fn weight<'a>(state: &'a State, name: &str, shape: &[usize]) -> Result<&'a Tensor> {
    let tensor = state.tensor(&format!("{WEIGHTS}{name}"))?;
    ensure!(tensor.shape() == shape, "the checkpoint has a {name} of another size");
    Ok(tensor)
}

impl Run<'_> {
    /// Tells what `learner` had measured of a stage before it was interrupted, if it was.
    pub(super) fn tell_resumption(&mut self, stage: Stage, learner: &Learner) {
        let curve = learner.curve().to_vec();
        if !curve.is_empty() {
            (self.events)(TrainingEvent::Resumed(Resumption { stage, curve }));
        }
    }

    /// Tells of a step that was not applied. Gives the error to end with if training has diverged.
    pub(super) fn judge(&mut self, verdict: Verdict, loss: f64, step: u32) -> Option<Diverged> {
        if let Some(message) = verdict.warning(loss, step) {
            self.warn(message);
        }
        (verdict == Verdict::Diverged).then_some(Diverged { loss, step })
    }
}
