//! The search itself: steps, projection, stopping, the best of several starts.

use super::result::Stopped;
use super::{InversionCost, ModelInversion, Start};
use crate::inversion::regularizer::Regularizer;
use crate::{Lab, Result};
use rand::RngExt;
use std::collections::VecDeque;
use std::time::Instant;

/// Something with a cost that can be made smaller: a network, or an estimate from its answers.
pub(super) trait Objective {
    /// Cost, confidence and gradient of some records. Of each the number of its search and its class are given.
    fn slope(&mut self, x: &[f32], rows: &[(usize, usize)], cost: InversionCost, step: usize) -> Result<Slope>;
}

/// What a look at some records tells.
pub(super) struct Slope {
    pub(super) costs: Vec<f64>,
    pub(super) confidences: Vec<f64>,
    /// Row-major, in the values that are searched.
    pub(super) gradient: Vec<f32>,
    /// Questions for each record.
    pub(super) queries: u64,
}

/// One search: where it is, the best it saw, and how it ended.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) class: usize,
    pub(super) start: usize,
    at: Vec<f32>,
    recent: VecDeque<f64>,
    /// The best values so far, with their cost (the regularisers included) and confidence.
    pub(super) x: Vec<f32>,
    pub(super) cost: f64,
    pub(super) confidence: f64,
    pub(super) steps: usize,
    pub(super) stopped: Stopped,
    pub(super) queries: u64,
    active: bool,
}

/// All searches of one attack.
pub(super) struct Descent<'a> {
    pub(super) attack: &'a ModelInversion,
    pub(super) shape: [usize; 3],
    pub(super) range: [f32; 2],
    pub(super) regularizer: Regularizer,
    pub(super) lab: &'a Lab,
}

impl Descent<'_> {
    /// The best search of every class. At most that many values are looked at in one batch.
    const BATCH: usize = 1 << 20;

    pub(super) fn run(&self, classes: &[usize], objective: &mut dyn Objective) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = classes
            .iter()
            .flat_map(|&class| (0..self.attack.starts).map(move |start| (class, start)))
            .map(|(class, start)| self.begin(class, start))
            .collect();
        let mut progress = self.lab.progress("model inversion", self.attack.steps);
        let deadline = self.lab.deadline();
        for step in 0..=self.attack.steps {
            let active: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].active).collect();
            if active.is_empty() {
                break;
            }
            for part in active.chunks((Self::BATCH / self.shape.iter().product::<usize>()).max(1)) {
                self.step(&mut rows, part, objective, step)?;
            }
            progress.step(step, &format!("{} of {} searches go on", active.len(), rows.len()));
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                rows.iter_mut().filter(|row| row.active).for_each(|row| row.end(Stopped::Deadline));
            }
        }
        let best = |of_class: &[Row]| of_class.iter().min_by(|a, b| a.cost.total_cmp(&b.cost)).cloned();
        Ok(rows.chunks(self.attack.starts).filter_map(best).collect())
    }

    fn begin(&self, class: usize, start: usize) -> Row {
        let d: usize = self.shape.iter().product();
        let [low, high] = self.range;
        let at = if start > 0 {
            let mut rng = self.lab.rng("model inversion", (class * self.attack.starts + start) as u64);
            (0..d).map(|_| rng.random_range(low..=high)).collect()
        } else {
            match self.attack.start {
                Start::Zeros => vec![0.0f32.clamp(low, high); d],
                Start::Middle => vec![f32::midpoint(low, high); d],
                Start::PublicMean => self.regularizer.mean().map_or_else(|| vec![0.0; d], |mean| self.projected(mean)),
            }
        };
        Row {
            class,
            start,
            x: at.clone(),
            at,
            recent: VecDeque::with_capacity(self.attack.window),
            cost: f64::INFINITY,
            confidence: 0.0,
            steps: 0,
            stopped: Stopped::Limit,
            queries: 0,
            active: true,
        }
    }

    fn projected(&self, x: Vec<f32>) -> Vec<f32> {
        x.into_iter().map(|v| v.clamp(self.range[0], self.range[1])).collect()
    }

    /// Looks at some rows where they are, and moves those that go on.
    fn step(&self, rows: &mut [Row], part: &[usize], objective: &mut dyn Objective, step: usize) -> Result<()> {
        let x: Vec<f32> = part.iter().flat_map(|&i| rows[i].at.iter().copied()).collect();
        let keys: Vec<(usize, usize)> = part.iter().map(|&i| (i, rows[i].class)).collect();
        let slope = objective.slope(&x, &keys, self.attack.cost, step)?;
        let d = x.len() / part.len();
        for (at, &i) in part.iter().enumerate() {
            let row = &mut rows[i];
            row.queries += slope.queries;
            let mut gradient = slope.gradient[at * d..(at + 1) * d].to_vec();
            let cost = slope.costs[at] + self.regularizer.add(&row.at, &mut gradient);
            row.look(cost, slope.confidences[at], step, self.attack);
            if row.active {
                let moved = row.at.iter().zip(&gradient).map(|(x, g)| x - self.attack.rate as f32 * g).collect();
                row.at = self.projected(self.regularizer.shrink(moved, self.attack.rate));
            }
        }
        Ok(())
    }
}

impl Row {
    /// Takes note of the cost where it is, and stops if there is no point in going on.
    fn look(&mut self, cost: f64, confidence: f64, step: usize, attack: &ModelInversion) {
        self.steps = step;
        if cost < self.cost {
            (self.cost, self.confidence) = (cost, confidence);
            self.x.clone_from(&self.at);
        }
        if confidence >= attack.threshold {
            self.end(Stopped::Threshold);
        } else if self.recent.len() == attack.window && self.recent.iter().all(|before| cost >= *before) {
            self.end(Stopped::Window);
        } else if step == attack.steps {
            self.end(Stopped::Limit);
        }
        if self.recent.len() == attack.window {
            self.recent.pop_front();
        }
        self.recent.push_back(cost);
    }

    fn end(&mut self, why: Stopped) {
        self.active = false;
        self.stopped = why;
    }
}
