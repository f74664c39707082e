//! Kernel inducing points (KIP): synthetic records from which kernel ridge regression predicts the real ones.
//!
//! min over S (and Y, if labels are learned) of ½ mean (K_TS (K_SS + λ trace(K_SS) / n · I)⁻¹ Y − Y_T)², with K the neural tangent
//! kernel of a fully connected ReLU network, T a random class-balanced batch of real records, and labels one-hot − 1 / classes. One
//! step, in f64:
//!
//! 1. draw the batch T;
//! 2. solve the regression from S, predict T, carry the residual back through the solution and the kernel, in closed form;
//! 3. one step of Adam on all synthetic records.
//!
//! Records are flat vectors here: images and tables are the same to it. The set is made for kernel regression with the same kernel
//! ([`KernelInducingPoints::regression`]), and its advantage stays there: a network that is trained on it may learn no more than
//! from as many random real records.
//!
//! # Privacy
//! None ([`Event::NonPrivate`]).
//!
//! # References
//! Nguyen, Chen and Lee, "Dataset Meta-Learning from Kernel Ridge-Regression", arXiv 2011.00050; defaults from the authors'
//! notebook (google-research, `kip/KIP.ipynb`), without its augmentation. The paper's best results use convolutional kernels, which
//! are out of reach of a processor.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::KernelInducingPoints, synthesize::Synthesize};
//! let lab = Lab::new()?.quiet();
//! let toy = Dataset::toy();
//! let points = KernelInducingPoints::small(1).with_steps(30);
//! let small = points.synthesize(&toy, &lab)?;
//! let model = points.regression().fit(&small, &lab)?;
//! assert!(model.accuracy(&toy)?.value() > 0.5);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod regression;

use super::descent::{Descent, State};
use super::init::{Init, Start};
use crate::kernel::Records;
use crate::privacy::Event;
use crate::synthesize::Synthesize;
use crate::train::KernelRidge;
use crate::{Dataset, Error, Lab, Result};
use rand::seq::index;
use regression::{Regression, Targets};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the synthetic records' regression targets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// One-hot of the class minus 1 / classes, throughout.
    Fixed,
    /// They start so and are learned with the records; the set carries them as [`Dataset::soft_labels`]. They are targets of a
    /// regression, not probabilities: a network should be trained on the plain labels.
    Learned,
}

/// Kernel inducing points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "KIP")]
pub struct KernelInducingPoints {
    /// Synthetic records per class (ipc), at least 1.
    pub per_class: usize,
    /// Steps; the authors' notebook takes 300 and recommends about 1,000.
    pub steps: usize,
    /// Adam's learning rate; 0.04 in the notebook.
    pub rate: f64,
    /// Real records per step, equally many of each class; 5,000 in the notebook. Classes with fewer give all they have.
    pub batch: usize,
    /// Hidden layers of the network behind the kernel; 1 in the notebook, 0 is linear regression.
    pub depth: usize,
    /// Variance of the network's weights, positive; 2 in the notebook.
    pub weight_variance: f64,
    /// Variance of the network's biases, at least 0; 0.01 in the notebook.
    pub bias_variance: f64,
    /// λ ≥ 0, in units of the mean of the kernel's diagonal; 1e-6 in the notebook.
    pub ridge: f64,
    /// Whether labels are learned; fixed in the notebook.
    pub labels: Labels,
    /// The first synthetic records; real in the notebook.
    pub init: Init,
}

impl KernelInducingPoints {
    const MOMENTS: [&str; 2] = ["first moment", "second moment"];

    /// The notebook's parameters, with the 1,000 steps it recommends.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        let KernelRidge { depth, weight_variance, bias_variance, ridge } = KernelRidge::new();
        let (rate, batch, labels, init) = (0.04, 5_000, Labels::Fixed, Init::Real);
        Self { per_class, steps: 1_000, rate, batch, depth, weight_variance, bias_variance, ridge, labels, init }
    }

    /// A preset for a laptop's processor: 300 steps on 1,000 real records each.
    #[must_use]
    pub fn small(per_class: usize) -> Self {
        Self { steps: 300, batch: 1_000, ..Self::new(per_class) }
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another learning rate.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The same with another number of real records per step.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with the kernel of a network with another number of hidden layers.
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// The same with another variance of the network's weights.
    #[must_use]
    pub fn with_weight_variance(mut self, weight_variance: f64) -> Self {
        self.weight_variance = weight_variance;
        self
    }

    /// The same with another variance of the network's biases.
    #[must_use]
    pub fn with_bias_variance(mut self, bias_variance: f64) -> Self {
        self.bias_variance = bias_variance;
        self
    }

    /// The same with another ridge.
    #[must_use]
    pub fn with_ridge(mut self, ridge: f64) -> Self {
        self.ridge = ridge;
        self
    }

    /// The same with fixed or learned labels.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// The same from another start.
    #[must_use]
    pub fn with_init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The regression that the records are made for: the same kernel and ridge.
    #[must_use]
    pub fn regression(&self) -> KernelRidge {
        let Self { depth, weight_variance, bias_variance, ridge, .. } = *self;
        KernelRidge { depth, weight_variance, bias_variance, ridge }
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [("steps", self.steps), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(Error::config(format!("rate is {}", self.rate), "expected a positive number"));
        }
        self.regression().check()
    }

    /// Positions of the real records of one step.
    fn draw(&self, pools: &[Vec<usize>], lab: &Lab, step: usize) -> Vec<usize> {
        let mut rng = lab.rng("batch", step as u64);
        let share = (self.batch / pools.len()).max(1);
        let mut drawn = vec![];
        for pool in pools {
            drawn.extend(index::sample(&mut rng, pool.len(), share.min(pool.len())).iter().map(|i| pool[i]));
        }
        drawn
    }

    /// A step of Adam (arXiv 1412.6980) on `values`, whose moments are remembered under `what`.
    fn adam(&self, what: &str, values: &mut [f32], gradient: &[f64], memory: &mut BTreeMap<String, Vec<f32>>, step: usize) {
        const BETA: [f64; 2] = [0.9, 0.999];
        const EPSILON: f64 = 1e-8;
        let mut moments =
            Self::MOMENTS.map(|moment| memory.remove(&format!("{what}, {moment}")).unwrap_or_else(|| vec![0.0; values.len()]));
        let correction = BETA.map(|beta| 1.0 - beta.powf((step + 1) as f64));
        let [first, second] = &mut moments;
        for (((x, g), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
            let mean = BETA[0] * f64::from(*m) + (1.0 - BETA[0]) * g;
            let square = BETA[1] * f64::from(*v) + (1.0 - BETA[1]) * g * g;
            let step = mean / correction[0] / ((square / correction[1]).sqrt() + EPSILON);
            (*m, *v, *x) = (mean as f32, square as f32, (f64::from(*x) - self.rate * step) as f32);
        }
        for (moment, values) in Self::MOMENTS.iter().zip(moments) {
            memory.insert(format!("{what}, {moment}"), values);
        }
    }
}

impl Synthesize for KernelInducingPoints {
    fn name(&self) -> String {
        let learned = if self.labels == Labels::Learned { ", learned labels" } else { "" };
        format!("KIP, {} init{learned}", self.init.name())
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        self.check()?;
        let (values, width, classes) = (real.normalized(), real.features(), real.classes());
        let pools: Vec<Vec<usize>> = (0..classes).map(|class| real.of_class(class)).collect();
        let regression = Regression { kernel: self.regression().kernel(), ridge: self.ridge, classes };
        let start = || {
            let Start { x, labels, started_from } = self.init.start(real, self.per_class, lab)?;
            let soft_labels = match self.labels {
                Labels::Fixed => None,
                Labels::Learned => Some(labels.iter().flat_map(|&label| regression.centred(label)).map(|y| y as f32).collect()),
            };
            Ok(State { x, labels, started_from, soft_labels, ..State::default() })
        };
        let step = |step: usize, state: &mut State| {
            let drawn = self.draw(&pools, lab, step);
            let labels: Vec<u32> = drawn.iter().map(|&i| real.labels()[i]).collect();
            let record = |t: usize, out: &mut [f64]| {
                let from = &values[drawn[t] * width..];
                out.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
            };
            let records = Records::new(state.x.iter().map(|&x| f64::from(x)), width);
            let y: Vec<f64> = match &state.soft_labels {
                Some(learned) => learned.iter().map(|&y| f64::from(y)).collect(),
                None => state.labels.iter().flat_map(|&label| regression.centred(label)).collect(),
            };
            let gradient = regression.gradient(&records, &y, &Targets { record: &record, labels: &labels })?;
            self.adam("records", &mut state.x, &gradient.records, &mut state.memory, step);
            if let Some(learned) = &mut state.soft_labels {
                self.adam("labels", learned, &gradient.targets, &mut state.memory, step);
            }
            Ok(gradient.loss)
        };
        Descent { method: self, real, lab, steps: self.steps, step_event: Event::NonPrivate }.run(start, step)
    }
}

#[cfg(test)]
mod tests;
