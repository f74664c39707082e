//! The searches: L-BFGS over records and labels, and Adam over records within the range of pixels.

use super::networks::{box_of, network};
use super::objective::{Labels, Objective};
use super::{ClientUpdate, GradientLeakage, Recovered, Search, lbfgs, made};
use crate::lab::Deadline;
use crate::nn::Optimizer;
use crate::train::Model;
use crate::{Error, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use std::time::Instant;

/// The share of the first objective at which L-BFGS stops: gradients in 32 bits that agree to six digits differ by rounding.
const DONE: f64 = 1e-12;

/// One search: where it ended.
struct Found {
    x: Vec<f32>,
    labels: Vec<u32>,
    objective: f64,
    curve: Vec<(usize, f64)>,
}

/// What the searches share.
struct Task<'a> {
    attack: &'a GradientLeakage,
    objective: Objective,
    labels: Option<&'a [u32]>,
    classes: usize,
    /// Lowest and highest value of every entry of a record; none for tables.
    range: Option<Vec<[f32; 2]>>,
    deadline: Option<Deadline<'a>>,
    lab: &'a Lab,
}

pub(super) fn run(attack: &GradientLeakage, model: &Model, update: &ClientUpdate, labels: Option<&[u32]>, lab: &Lab) -> Result<Recovered> {
    let (shape, classes, start) = (model.shape(), model.class_names().len(), Instant::now());
    let net = network(model, lab)?;
    let objective = Objective::new(&net, update.parts(), attack.distance, attack.total_variation, shape, classes, lab)?;
    let range = (shape[1] * shape[2] > 1).then(|| box_of(model.normalization(), shape));
    let task = Task { attack, objective, labels, classes, range, deadline: lab.deadline(), lab };
    let (d, n) = (shape.iter().product::<usize>(), update.records());
    let mut best: Option<Found> = None;
    let mut progress = lab.progress(&attack.name(), attack.restarts);
    for restart in 0..attack.restarts {
        let mut rng = lab.rng("gradient leakage", restart as u64);
        let mut normals = |count: usize| -> Vec<f32> { (0..count).map(|_| StandardNormal.sample(&mut rng)).collect() };
        let (x, logits) = (normals(n * d), if labels.is_none() { normals(n * classes) } else { vec![] });
        let found = match attack.search {
            Search::Lbfgs => task.by_lbfgs(&x, &logits)?,
            Search::Adam { rate } => task.by_adam(x, logits, rate, false)?,
            Search::SignedAdam { rate } => task.by_adam(x, logits, rate, true)?,
        };
        progress.step(restart + 1, &format!("objective {:.3e}", found.objective));
        if best.as_ref().is_none_or(|best| found.objective < best.objective) {
            best = Some(found);
        }
        if task.late() {
            break;
        }
    }
    let diverged = || Error::Diverged { what: "the distance of the gradients".into(), step: 0, value: f64::NAN };
    let Found { x, labels, objective, curve } = best.ok_or_else(diverged)?;
    let data = made(model, x, labels, &attack.name(), serde_json::json!(attack), lab)?;
    Ok(Recovered::new(attack.clone(), data, objective, curve, update, start.elapsed().as_secs_f64(), lab))
}

impl Task<'_> {
    fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }

    fn labels_or<'a>(&'a self, logits: &'a [f32]) -> Labels<'a> {
        self.labels.map_or(Labels::Free(logits), Labels::Fixed)
    }

    fn found(&self, x: Vec<f32>, logits: &[f32], objective: f64, curve: Vec<(usize, f64)>) -> Found {
        let largest = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class as u32);
        let labels = self.labels.map_or_else(|| logits.chunks_exact(self.classes).map(largest).collect(), <[u32]>::to_vec);
        Found { x, labels, objective, curve }
    }

    fn by_lbfgs(&self, x: &[f32], logits: &[f32]) -> Result<Found> {
        let split = x.len();
        let start: Vec<f64> = x.iter().chain(logits).map(|&v| f64::from(v)).collect();
        let mut curve = vec![];
        let first = self.objective.at(x, self.labels_or(logits))?.objective;
        let function = |at: &[f64]| {
            let at: Vec<f32> = at.iter().map(|&v| v as f32).collect();
            let value = self.objective.at(&at[..split], self.labels_or(&at[split..]))?;
            let gradient = value.in_records.iter().chain(&value.in_labels).map(|&g| f64::from(g)).collect();
            Ok((value.objective, gradient))
        };
        let end = lbfgs::minimise(start, self.attack.iterations, function, |step, value| {
            curve.push((step, value));
            value > DONE * first && !self.late()
        })?;
        if !end.value.is_finite() {
            return Err(Error::Diverged { what: "the distance of the gradients".into(), step: 0, value: end.value });
        }
        let end32: Vec<f32> = end.x.iter().map(|&v| v as f32).collect();
        Ok(self.found(end32[..split].to_vec(), &end32[split..], end.value, curve))
    }

    fn by_adam(&self, mut x: Vec<f32>, mut logits: Vec<f32>, rate: f64, signed: bool) -> Result<Found> {
        let device = self.lab.open()?;
        let mut steps = Optimizer::adam(rate).start();
        let vector = |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
        let total = self.attack.iterations;
        let every = (total / 100).max(1);
        let (mut curve, mut made) = (vec![], 0);
        for step in 0..total {
            let value = self.objective.at(&x, self.labels_or(&logits))?;
            if !value.objective.is_finite() {
                return Err(Error::Diverged { what: "the distance of the gradients".into(), step, value: value.objective });
            }
            if step % every == 0 {
                curve.push((step, value.distance));
            }
            if self.late() {
                break;
            }
            let mut gradient = value.in_records;
            if signed {
                gradient.iter_mut().for_each(|g| *g = if *g == 0.0 { 0.0 } else { g.signum() });
            }
            let factor = 0.1f64.powi([3, 5, 7].iter().filter(|&&eighths| 8 * step >= eighths * total).count() as i32);
            let mut moving = vec![vector(&x)];
            let mut slopes = vec![vector(&gradient)];
            if self.labels.is_none() {
                moving.push(vector(&logits));
                slopes.push(vector(&value.in_labels));
            }
            steps.step(&mut moving, slopes, factor);
            let mut moved = moving.into_iter().map(crate::nn::to_host);
            if let Some(new) = moved.next() {
                x = new?;
            }
            if let Some(new) = moved.next() {
                logits = new?;
            }
            made = step + 1;
            if let Some(range) = &self.range {
                x.iter_mut().zip(range.iter().cycle()).for_each(|(v, [low, high])| *v = v.clamp(*low, *high));
            }
        }
        let end = self.objective.at(&x, self.labels_or(&logits))?;
        curve.push((made, end.distance));
        Ok(self.found(x, &logits, end.objective, curve))
    }
}
