//! The descent: students on the current records, their gradient, a step of the records and of the step size.

use super::experts::Experts;
use super::student::{Batch, Student};
use super::{Matched, TrajectoryMatching};
use crate::condense::checkpoint::Checkpoint;
use crate::condense::descent::{Descent, State};
use crate::condense::init::Start;
use crate::data::rows_at;
use crate::lab::Rng;
use crate::nn::Net;
use crate::privacy::Event;
use crate::synthesize::Synthesize as _;
use crate::{Dataset, Error, Lab, Result};
use rand::RngExt as _;
use rand::seq::SliceRandom;

const STEP_SIZE: &str = "step size";
const VELOCITY: &str = "step size velocity";

impl TrajectoryMatching {
    pub(super) fn run(&self, real: &Dataset, lab: &Lab) -> Result<Matched> {
        let device = lab.open()?;
        let net = Net::new(self.expert.arch.layers(real.shape(), real.classes())?, &mut lab.rng("unused", 0), &device);
        let start = || {
            let Start { x, labels, started_from } = self.init.start(real, self.per_class, lab)?;
            let memory = [(STEP_SIZE.into(), vec![self.step_size as f32]), (VELOCITY.into(), vec![0.0])].into();
            Ok(State { x, labels, started_from, memory, ..State::default() })
        };
        // Trained or opened by the first step, so that they count as a part of the run, and a run that is complete needs none.
        let mut experts: Option<Experts> = None;
        let mut step_size = None;
        let step = |step: usize, state: &mut State| {
            let experts = match &mut experts {
                Some(experts) => experts,
                None => experts.insert(Experts::of_run(self, real, lab)?),
            };
            let mut rng = lab.rng("student", step as u64);
            let expert = in_turn(experts.count(), step, lab);
            let epoch = rng.random_range(0..self.latest_start);
            let (from, target) = (experts.weights(expert, epoch)?, experts.weights(expert, epoch + self.epochs_ahead)?);
            let batches = self.batches(state, real.shape(), &mut rng);
            let alpha = self.step_size_in(state);
            let loss = self.expert.loss;
            let student =
                Student { net: net.clone(), loss, labels: &state.labels, shape: real.shape(), classes: real.classes(), device: &device };
            let (loss, gradient) = student.miss(&batches, state.x.len(), alpha, &from, &target)?;
            if !(loss.is_finite() && gradient.in_step_size.is_finite()) {
                let what = format!("loss of {} with steps of {alpha} of the student", self.name());
                return Err(Error::Diverged { what, step, value: if loss.is_finite() { gradient.in_step_size } else { loss } });
            }
            state.descend(&gradient.in_x, self.rate, self.momentum);
            step_size = Some(self.descend_step_size(state, gradient.in_step_size));
            Ok(loss)
        };
        let synthetic = Descent { method: self, real, lab, steps: self.steps, step_event: Event::NonPrivate }.run(start, step)?;
        let step_size = match step_size {
            Some(step_size) => step_size,
            // The run was complete: its checkpoint remembers.
            None => {
                let found = Checkpoint::of(self, real, lab)?.map_or(Ok(None), |checkpoint| checkpoint.load())?;
                found.map_or(self.step_size, |found| self.step_size_in(&found.state))
            }
        };
        Ok(Matched { synthetic, step_size })
    }

    /// The records of every step of the student: all, or one batch after the other of a random order.
    pub(super) fn batches(&self, state: &State, shape: [usize; 3], rng: &mut Rng) -> Vec<Batch> {
        let d: usize = shape.iter().product();
        let mut order: Vec<usize> = (0..state.labels.len()).collect();
        let size = self.batch.unwrap_or(order.len()).min(order.len());
        let mut left = vec![];
        let mut next = || {
            if left.is_empty() {
                if size < order.len() {
                    order.shuffle(rng);
                }
                left = order.chunks(size).rev().map(<[usize]>::to_vec).collect();
            }
            let positions = left.pop().unwrap_or_default();
            let x = rows_at(&state.x, d, &positions);
            let draws = self.augment.as_ref().map(|augment| augment.draws(shape, positions.len(), rng));
            let x = match &draws {
                Some(draws) => draws.apply(&x),
                None => x,
            };
            Batch { positions, x, draws }
        };
        (0..self.student_steps).map(|_| next()).collect()
    }

    fn step_size_in(&self, state: &State) -> f64 {
        state.memory.get(STEP_SIZE).and_then(|values| values.first()).map_or(self.step_size, |&alpha| f64::from(alpha))
    }

    /// One step of gradient descent with momentum on α.
    fn descend_step_size(&self, state: &mut State, gradient: f64) -> f64 {
        let mut value = |name: &str, change: &dyn Fn(f64) -> f64| {
            let entry = state.memory.entry(name.into()).or_insert_with(|| vec![0.0]);
            entry[0] = change(f64::from(entry[0])) as f32;
            f64::from(entry[0])
        };
        let velocity = value(VELOCITY, &|v| self.momentum * v + gradient);
        value(STEP_SIZE, &|alpha| alpha - self.step_size_rate * velocity)
    }
}

/// The expert of a step: all in turn, in a new random order every time.
pub(super) fn in_turn(count: usize, step: usize, lab: &Lab) -> usize {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut lab.rng("experts", (step / count) as u64));
    order[step % count]
}
