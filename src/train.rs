//! Training: a network learns a data set; the model that comes out can be tested, saved and attacked.
//!
//! Mini-batch gradient descent on the mean cross-entropy: every epoch sees every record once in a new order (the last, smaller
//! batch included), the learning rate follows a [`Schedule`].
//!
//! # Privacy
//! None: the model carries the event of the data it was trained on.

pub mod evaluation;
pub mod model;

pub use evaluation::Evaluation;
pub use model::Model;

use crate::device::guarded;
use crate::nn::{Arch, Net, Optimizer, cross_entropy, to_host, to_tensor};
use crate::{Dataset, Device, Error, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How the learning rate changes over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// The same throughout.
    Constant,
    /// Half a cosine wave from the full rate down to 0.
    Cosine,
    /// A tenth of the rate in the second half (the reference code of the condensation literature).
    Step,
}

impl Schedule {
    /// The factor at `step` of `steps`.
    fn factor(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()),
            Self::Step => {
                if 2 * step > steps {
                    0.1
                } else {
                    1.0
                }
            }
        }
    }
}

/// A training recipe.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, nn::Arch, train::Train};
/// let lab = Lab::new()?.seed(1).quiet();
/// let data = Dataset::toy();
/// let model = Train::new(Arch::mlp()).with_epochs(5).fit(&data, &lab)?;
/// assert!(model.accuracy(&data)?.value() > 0.5);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// The network.
    pub arch: Arch,
    /// Passes over the data, at least 1.
    pub epochs: usize,
    /// Records per step, at least 1.
    pub batch: usize,
    /// The optimiser with its learning rate.
    pub optimizer: Optimizer,
    /// The learning rate over time.
    pub schedule: Schedule,
}

impl Train {
    /// For real data: 20 epochs of batches of 64, SGD (rate 0.05, momentum 0.9, weight decay 5e-4), cosine schedule.
    #[must_use]
    pub fn new(arch: Arch) -> Self {
        Self { arch, epochs: 20, batch: 64, optimizer: Optimizer::sgd(0.05), schedule: Schedule::Cosine }
    }

    /// For small synthetic sets, as the condensation literature evaluates them: 300 epochs of batches of 256, SGD (rate 0.01,
    /// momentum 0.9, weight decay 5e-4), a tenth of the rate in the second half (arXiv 2006.05929).
    #[must_use]
    pub fn on_condensed(arch: Arch) -> Self {
        Self { arch, epochs: 300, batch: 256, optimizer: Optimizer::sgd(0.01), schedule: Schedule::Step }
    }

    /// The same recipe with another number of epochs.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The same recipe with another batch size.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same recipe with another optimiser.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// The same recipe with another schedule.
    #[must_use]
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        self.optimizer.check()
    }

    /// Trains on `data`.
    ///
    /// # Errors
    /// [`Error::Config`] for a bad recipe or a network that does not fit the data, [`Error::Diverged`] when the loss becomes NaN
    /// or infinite, [`Error::Device`] when the device fails.
    pub fn fit(&self, data: &Dataset, lab: &Lab) -> Result<Model> {
        self.run(data, None, lab)
    }

    /// Trains on `data` and tests on `test` after every epoch, which the learning curve then shows.
    ///
    /// # Errors
    /// As [`Train::fit`]; [`Error::Mismatch`] when the two sets differ in shape or classes.
    pub fn fit_watching(&self, data: &Dataset, test: &Dataset, lab: &Lab) -> Result<Model> {
        data.same_kind(test)?;
        self.run(data, Some(test), lab)
    }

    fn run(&self, data: &Dataset, test: Option<&Dataset>, lab: &Lab) -> Result<Model> {
        self.check()?;
        let layers = self.arch.layers(data.shape(), data.classes())?;
        guarded(lab.device(), || {
            let device = lab.open()?;
            let mut net = Net::new(layers, &mut lab.rng("weights", 0), &device);
            let x = data.normalized();
            let mut steps = self.optimizer.start();
            let per_epoch = data.len().div_ceil(self.batch);
            let total = per_epoch * self.epochs;
            let mut progress = lab.progress("train", self.epochs);
            let deadline = lab.deadline();
            let mut history = vec![];
            let mut order: Vec<usize> = (0..data.len()).collect();
            for epoch in 0..self.epochs {
                order.shuffle(&mut lab.rng("order", epoch as u64));
                let mut losses = vec![];
                for (i, batch) in order.chunks(self.batch).enumerate() {
                    let step = epoch * per_epoch + i;
                    let (loss, gradients) = batch_gradients(&net, data, &x, batch, lab.device(), &device);
                    steps.step(&mut net.weights, gradients, self.schedule.factor(step, total));
                    losses.push(loss);
                }
                let losses = to_host(Tensor::cat(losses, 0))?;
                if let Some(i) = losses.iter().position(|loss| !loss.is_finite()) {
                    return Err(Error::Diverged { what: "training loss".into(), step: epoch * per_epoch + i, value: f64::from(losses[i]) });
                }
                let loss = losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len() as f64;
                let test_accuracy = match test {
                    None => None,
                    Some(test) => Some(evaluation::hits(&model::logits(&net, test, lab.device())?, test) as f64 / test.len() as f64),
                };
                history.push(model::Epoch { epoch: epoch + 1, loss, test_accuracy });
                progress.step(epoch + 1, &format!("loss {loss:.3}"));
                if deadline.is_some_and(|deadline| std::time::Instant::now() > deadline) {
                    break; // the history says how many epochs there were
                }
            }
            Model::new(self.clone(), data, &net, history, lab)
        })
    }
}

/// Images that are handled together: few enough for the processor's cache, all of them on a GPU. Fixed, so that results do not
/// depend on the number of threads.
pub(crate) fn chunk_of(device: &Device) -> usize {
    match device {
        Device::Cpu => 32,
        _ => usize::MAX,
    }
}

/// Mean loss and gradients of one batch, computed in chunks on all cores and added in a fixed order.
fn batch_gradients(
    net: &Net,
    data: &Dataset,
    x: &[f32],
    batch: &[usize],
    kind: &Device,
    device: &burn::tensor::Device,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let chunk = chunk_of(kind).min(batch.len());
    let parts: Vec<(Tensor<1>, Vec<Tensor<1>>)> = batch
        .par_chunks(chunk)
        .map(|part| {
            let share = part.len() as f64 / batch.len() as f64;
            let (x, one_hot) = gather(data, x, part, device);
            let (logits, tape) = net.forward_saving(x);
            let (loss, grad) = cross_entropy(logits, one_hot);
            let grad = if part.len() == batch.len() { grad } else { grad * share };
            (loss * share, net.weight_gradients(&tape, grad))
        })
        .collect();
    let mut parts = parts.into_iter();
    let Some((mut loss, mut sum)) = parts.next() else { return (Tensor::zeros([1], device), vec![]) };
    for (part_loss, gradients) in parts {
        loss = loss + part_loss;
        sum = sum.into_iter().zip(gradients).map(|(a, b)| a + b).collect();
    }
    (loss, sum)
}

/// Records and one-hot labels at `positions`, on the device.
fn gather(data: &Dataset, x: &[f32], positions: &[usize], device: &burn::tensor::Device) -> (Tensor<4>, Tensor<2>) {
    let [c, h, w] = data.shape();
    let (d, k) = (data.features(), data.classes());
    let mut rows = Vec::with_capacity(positions.len() * d);
    let mut one_hot = vec![0.0; positions.len() * k];
    for (row, &i) in positions.iter().enumerate() {
        rows.extend_from_slice(&x[i * d..(i + 1) * d]);
        one_hot[row * k + data.labels()[i] as usize] = 1.0;
    }
    let one_hot = Tensor::from_data(TensorData::new(one_hot, [positions.len(), k]), device);
    (to_tensor(rows, [positions.len(), c, h, w], device), one_hot)
}
