//! The loop that all iterative condensers share: progress, trace, live pictures, time budget, checkpoint and resume.
//!
//! A method brings its first [`State`] and a function that makes one step; everything random in a step must come from
//! `lab.rng(label, step)`, so that a run that was stopped and resumed ends with the same bytes as one that was not. (Noise from the system's entropy
//! cannot be drawn again: a secure run is not kept.)

use super::checkpoint::Checkpoint;
use crate::data::Origin;
use crate::data::Snapshot;
use crate::display::strip;
use crate::privacy::{Event, Reserved};
use crate::synthesize::{Synthesize, origin};
use crate::{Dataset, Error, Lab, Result};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A condensation by steps.
pub(crate) struct Descent<'a> {
    pub(crate) method: &'a dyn Synthesize,
    pub(crate) real: &'a Dataset,
    pub(crate) lab: &'a Lab,
    pub(crate) steps: usize,
    /// What one step does to the privacy of the records; the result carries it as often as steps were made.
    pub(crate) step_event: Event,
}

/// What one run carries from step to step: all that a checkpoint must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct State {
    /// Synthetic records in the normalised space, row-major, class by class.
    pub(crate) x: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    /// The real records each began as.
    pub(crate) started_from: Vec<Vec<usize>>,
    /// Learned targets `[n, classes]`, where a method learns them.
    pub(crate) soft_labels: Option<Vec<f32>>,
    /// What optimisers remember and methods learn besides, by name.
    pub(crate) memory: BTreeMap<String, Vec<f32>>,
}

impl Descent<'_> {
    const BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(20);

    /// Runs all steps that are left, or as many as the time budget allows; `step` returns its loss. What comes out is the last
    /// iterate: losses under other random networks cannot be compared, so there is no better "best so far".
    pub(crate) fn run(
        &self,
        start: impl FnOnce() -> Result<State>,
        mut step: impl FnMut(usize, &mut State) -> Result<f64>,
    ) -> Result<Dataset> {
        let begin = Instant::now();
        let deadline = self.lab.deadline();
        // A step that was lost would be released twice, with other noise.
        let secure = self.method.config().to_string().contains("\"Secure\"");
        let checkpoint = if secure { None } else { Checkpoint::of(self.method, self.real, self.lab)? };
        let found = match &checkpoint {
            Some(checkpoint) => checkpoint.load()?,
            None => None,
        };
        let (mut state, mut trace, first, before) = match found {
            Some(found) => (found.state, found.trace, found.next, found.seconds),
            None => (start()?, vec![], 0, 0.0),
        };
        let event_of = |steps: usize| self.real.event_after(self.step_event.clone().repeat(steps as u64));
        // A run that goes on is charged for the steps that are left; those of a run that was killed may be charged twice, never too little.
        let left = self.steps.saturating_sub(first);
        let reserved = if left > 0 { Some(Reserved::new(self.lab, &self.method.name(), self.real, &event_of(left))?) } else { None };
        let mut progress = self.lab.progress(&self.method.name(), self.steps);
        let mut film = vec![];
        let mut saved = Instant::now();
        let seconds = || before + begin.elapsed().as_secs_f64();
        let mut made = first;
        for at in first..self.steps {
            let loss = step(at, &mut state)?;
            if !loss.is_finite() || state.x.iter().any(|value| !value.is_finite()) {
                return Err(Error::Diverged { what: format!("loss of {}", self.method.name()), step: at, value: loss });
            }
            made = at + 1;
            let last = made == self.steps;
            let stop = last || deadline.is_some_and(|deadline| Instant::now() > deadline);
            if at % (self.steps / 100).max(1) == 0 || stop {
                trace.push((at, loss));
            }
            progress.step(at + 1, &format!("loss {loss:.4}"));
            if self.lab.watched_every().is_some_and(|every| (at + 1) % every == 0 || stop) {
                film.push(self.snapshot(at + 1, loss, &state));
                if let Some(snapshot) = film.last() {
                    progress.say(&self.live(snapshot));
                }
            }
            if progress.wants_picture()
                && let Some(images) = self.images(&self.snapshot(at + 1, loss, &state))
            {
                progress.show(format!("step {}", at + 1), images, self.real.shape());
            }
            if let Some(checkpoint) = &checkpoint
                && (stop || saved.elapsed() > Self::BETWEEN_CHECKPOINTS)
            {
                checkpoint.save(&state, &trace, at + 1, seconds())?;
                saved = Instant::now();
            }
            if stop {
                break; // the trace says how far it came
            }
        }
        let set = self.finish(state, made, trace, film, seconds())?;
        reserved.map_or(Ok(()), |reserved| reserved.settle(&event_of(made - first)))?;
        Ok(set)
    }

    /// The synthetic set as it is now, in natural units.
    fn finish(&self, state: State, made: usize, trace: Vec<(usize, f64)>, film: Vec<Snapshot>, seconds: f64) -> Result<Dataset> {
        let x = self.real.normalization().undo(&state.x, self.real.shape());
        let event = self.real.event_after(self.step_event.clone().repeat(made as u64));
        let origin = Origin { film, trace, started_from: state.started_from, ..origin(self.method, self.lab, event, seconds) };
        let made = self.real.synthetic(x, state.labels, origin)?;
        match state.soft_labels {
            Some(targets) => made.with_soft_labels(targets),
            None => Ok(made),
        }
    }

    /// The first record of each class.
    fn snapshot(&self, step: usize, loss: f64, state: &State) -> Snapshot {
        let d = self.real.features();
        let first = |class: usize| state.labels.iter().position(|&label| label as usize == class);
        let x = (0..self.real.classes()).filter_map(first).flat_map(|i| state.x[i * d..(i + 1) * d].iter().copied()).collect();
        Snapshot { step, loss, x }
    }

    /// What a watcher sees while the run goes on: step, loss, and the records of the first ten classes if they are images.
    fn live(&self, snapshot: &Snapshot) -> String {
        let line = format!("{}: step {} of {}, loss {:.4}", self.method.name(), snapshot.step, self.steps, snapshot.loss);
        let Some(images) = self.images(snapshot) else { return line };
        // Five images are 74 characters: what fits a narrow cell without wrapping.
        let strips: Vec<String> = images.chunks(5).map(|five| strip(five, self.real.shape(), 14)).collect();
        format!("{line}\n{}", strips.join("\n"))
    }

    /// The records of the first ten classes, if they are images.
    fn images(&self, snapshot: &Snapshot) -> Option<Vec<Vec<f32>>> {
        let [channels, height, width] = self.real.shape();
        if height * width == 1 || !(channels == 1 || channels == 3) {
            return None;
        }
        let x = self.real.normalization().undo(&snapshot.x, self.real.shape());
        Some(x.chunks(self.real.features()).take(10).map(<[f32]>::to_vec).collect())
    }
}

impl State {
    /// One step of gradient descent with momentum on the records: v ← μ v + g, x ← x − η v.
    pub(crate) fn descend(&mut self, gradient: &[f32], rate: f64, momentum: f64) {
        let velocity = self.memory.entry("velocity".into()).or_insert_with(|| vec![0.0; gradient.len()]);
        for ((x, v), g) in self.x.iter_mut().zip(velocity).zip(gradient) {
            *v = momentum as f32 * *v + g;
            *x -= rate as f32 * *v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condense::RandomSubset;

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().quiet()
    }

    fn start(real: &Dataset) -> State {
        let x = real.normalized()[..4 * real.features()].to_vec();
        State { x, labels: vec![0, 1, 2, 3], started_from: vec![vec![]; 4], ..State::default() }
    }

    const ONE: RandomSubset = RandomSubset { per_class: 1 };

    fn descent<'a>(method: &'a RandomSubset, real: &'a Dataset, lab: &'a Lab, steps: usize) -> Descent<'a> {
        Descent { method, real, lab, steps, step_event: Event::NonPrivate }
    }

    /// A step whose result depends on the state, on the step number and on the momentum.
    fn shrink(at: usize, state: &mut State) -> Result<f64> {
        let gradient: Vec<f32> = state.x.iter().map(|x| 0.1 * x + 0.001 * at as f32).collect();
        state.descend(&gradient, 0.5, 0.9);
        Ok(f64::from(state.x[0].abs()))
    }

    #[test]
    fn a_killed_run_resumes_and_ends_with_the_same_bytes() {
        let real = Dataset::toy();
        let method = RandomSubset::new(1);
        let folder = std::env::temp_dir().join(format!("freelunch-descent-{}", std::process::id()));
        let plain = lab();
        let kept = plain.clone().keep(&folder).unwrap();
        let whole = descent(&method, &real, &plain, 40).run(|| Ok(start(&real)), shrink).unwrap();
        // Killed at step 17: an error stands for the end of the process. Checkpoints fall every 20 s, so save one by hand first.
        let checkpoint = Checkpoint::of(&method, &real, &kept).unwrap().unwrap();
        let mut state = start(&real);
        for at in 0..17 {
            shrink(at, &mut state).unwrap();
        }
        checkpoint.save(&state, &[(0, 1.0)], 17, 3.0).unwrap();
        let mut first = None;
        let resumed = descent(&method, &real, &kept, 40);
        let resumed = resumed
            .run(
                || panic!("must not start anew"),
                |at, state| {
                    first.get_or_insert(at);
                    shrink(at, state)
                },
            )
            .unwrap();
        assert_eq!(first, Some(17));
        assert_eq!(resumed.x(), whole.x());
        assert!(resumed.origin().seconds >= 3.0);
        // A finished run is found again without a step.
        let again = descent(&method, &real, &kept, 40);
        let again = again.run(|| panic!("must not start anew"), |_, _| panic!("must not step")).unwrap();
        assert_eq!(again.x(), whole.x());
        // Another seed is another run.
        let other = kept.clone().seed(9);
        let other = descent(&method, &real, &other, 1).run(|| Ok(start(&real)), shrink);
        assert_eq!(other.unwrap().origin().trace.len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_time_budget_stops_a_run_with_what_it_has() {
        let real = Dataset::toy();
        let lab = lab().budget_s(0.05).unwrap();
        let descent = descent(&ONE, &real, &lab, 1_000_000);
        let made = descent.run(
            || Ok(start(&real)),
            |at, state| {
                std::thread::sleep(Duration::from_millis(1));
                shrink(at, state)
            },
        );
        let made = made.unwrap();
        assert!(made.origin().trace.last().unwrap().0 < 1_000);
        assert_eq!(made.len(), 4);
    }

    #[test]
    fn the_event_counts_the_steps_that_were_made_also_after_a_stop() {
        let real = Dataset::toy();
        let noisy = Event::gaussian(1.0).unwrap();
        let lab = lab().budget_s(0.02).unwrap();
        let descent = Descent { step_event: noisy.clone(), ..descent(&ONE, &real, &lab, 1_000_000) };
        let mut steps = 0;
        let made = descent.run(
            || Ok(start(&real)),
            |at, state| {
                steps += 1;
                shrink(at, state)
            },
        );
        assert_eq!(*made.unwrap().event(), noisy.repeat(steps));
    }

    #[test]
    fn a_loss_that_is_not_finite_is_an_error_at_its_step() {
        let real = Dataset::toy();
        let lab = lab();
        let descent = descent(&ONE, &real, &lab, 10);
        let error = descent.run(|| Ok(start(&real)), |at, _| Ok(if at == 3 { f64::NAN } else { 1.0 })).unwrap_err();
        assert!(matches!(error, Error::Diverged { step: 3, .. }), "{error}");
    }

    #[test]
    fn a_watcher_sees_records_and_loss_and_keeps_the_film() {
        let real = Dataset::toy();
        let lab = lab().watch(4).unwrap();
        let descent = descent(&ONE, &real, &lab, 10);
        let live = descent.live(&descent.snapshot(5, 0.5, &start(&real)));
        assert!(live.starts_with("random subset: step 5 of 10, loss 0.5000\n") && live.contains('\u{2580}'), "{live}");
        let made = descent.run(|| Ok(start(&real)), shrink).unwrap();
        assert_eq!(made.origin().film.iter().map(|s| s.step).collect::<Vec<_>>(), [4, 8, 10]);
        assert_eq!(made.origin().film[2].x.len(), 4 * real.features());
    }
}
