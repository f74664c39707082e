//! Training: a network learns a data set; the model that comes out can be tested, saved and attacked.
//!
//! Mini-batch gradient descent on a [`Loss`], by default the mean cross-entropy: every epoch sees every record once in a new order (the last, smaller
//! batch included), the learning rate follows a [`Schedule`].
//!
//! # Privacy
//! None by default: the model carries the event of the data it was trained on. [`Train::with_privacy`] makes it DP-SGD, whose event the model then
//! carries.

mod batch;
pub mod evaluation;
pub mod kernel_ridge;
pub mod model;
mod private;

pub(crate) use batch::{Pass, Rows, chunk_of, even_part, part_of};
pub use evaluation::Evaluation;
pub use kernel_ridge::{KernelModel, KernelRidge};
pub use model::Model;

use crate::augment::Augment;
use crate::device::guarded;
use crate::nn::{Arch, Loss, Net, Optimizer, to_host};
use crate::privacy::{DpSgd, Reserved};
use crate::{Dataset, Error, Lab, Result};
use burn::tensor::{FloatDType, Tensor};
use rand::seq::SliceRandom;
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

/// How many bits the factors of convolutions and matrix products have while a network learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    Single,
    /// Factors in bfloat16 (8 bits of significand, the range of 32 bits, so losses need no scaling); weights, norms, losses and the optimiser in
    /// 32 bits (arXiv 1710.03740, with bfloat16 as in arXiv 1905.12322). Meant for GPUs that multiply faster in it, where
    /// results of products are rounded, too; the processor rounds the factors and adds in 32 bits, so it is slower there, and its accuracy a guide. Logits of a trained model are always computed in 32 bits.
    Mixed,
}

impl Precision {
    /// Left out of what is stored, so that recipes from before it existed are the same.
    fn is_single(&self) -> bool {
        *self == Self::Single
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
    /// What is minimised. Cross-entropy learns the labels; the others learn soft labels where the data has them.
    #[serde(default)]
    pub loss: Loss,
    /// Random changes of every batch; none by default.
    #[serde(default)]
    pub augment: Option<Augment>,
    /// Differential privacy ([`DpSgd`]); none by default.
    #[serde(default)]
    pub privacy: Option<DpSgd>,
    /// Bits of the products' factors; 32 by default.
    #[serde(default, skip_serializing_if = "Precision::is_single")]
    pub precision: Precision,
}

impl Train {
    /// For real data: 20 epochs of batches of 64, SGD (rate 0.05, momentum 0.9, weight decay 5e-4), cosine schedule.
    #[must_use]
    pub fn new(arch: Arch) -> Self {
        Self {
            arch,
            epochs: 20,
            batch: 64,
            optimizer: Optimizer::sgd(0.05),
            schedule: Schedule::Cosine,
            loss: Loss::CrossEntropy,
            augment: None,
            privacy: None,
            precision: Precision::Single,
        }
    }

    /// For small synthetic sets, as the condensation literature evaluates them: 300 epochs of batches of 256, SGD (rate 0.01,
    /// momentum 0.9, weight decay 5e-4), a tenth of the rate in the second half (arXiv 2006.05929).
    #[must_use]
    pub fn on_condensed(arch: Arch) -> Self {
        Self {
            arch,
            epochs: 300,
            batch: 256,
            optimizer: Optimizer::sgd(0.01),
            schedule: Schedule::Step,
            loss: Loss::CrossEntropy,
            augment: None,
            privacy: None,
            precision: Precision::Single,
        }
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

    /// The same recipe with another loss.
    #[must_use]
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// The same recipe with random changes of every batch.
    #[must_use]
    pub fn with_augment(mut self, augment: Augment) -> Self {
        self.augment = Some(augment);
        self
    }

    /// The same recipe with products in another precision.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        self.check_privacy()?;
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
        self.augment.as_ref().map_or(Ok(()), |augment| augment.check(data.shape()))?;
        let data = if self.privacy.is_some() { &data.publicly_normalized()? } else { data };
        let test = test.map(|test| test.clone().with_normalization(data.normalization().clone()));
        let planned = self.event(data)?;
        let layers = self.arch.layers(data.shape(), data.classes())?;
        let reserved = Reserved::new(lab, &self.arch.name(), data, &planned)?;
        guarded(lab.device(), || {
            let device = lab.open()?;
            let mut net = Net::new(layers, &mut lab.rng("weights", 0), &device);
            let mut progress = lab.progress("train", self.epochs);
            let deadline = lab.deadline();
            let mut history = vec![];
            let mut record = |epoch, loss: Option<f64>, net: &Net| {
                let test_accuracy = match &test {
                    None => None,
                    Some(test) => Some(evaluation::hits(&model::logits(net, test, lab.device())?, test) as f64 / test.len() as f64),
                };
                history.push(model::Epoch { epoch, loss, test_accuracy });
                progress.step(epoch, &loss.map_or(String::new(), |loss| format!("loss {loss:.3}")));
                // What is left undone shows in the history.
                Ok(deadline.is_none_or(|deadline| std::time::Instant::now() <= deadline))
            };
            let event = match &self.privacy {
                None => {
                    self.epochs(&mut net, data, lab, |epoch, loss, net| record(epoch, Some(loss), net))?;
                    planned
                }
                // Fewer epochs than planned are fewer releases.
                Some(privacy) => {
                    data.event_after(self.private_epochs(privacy, &mut net, data, lab, |epoch, net| record(epoch, None, net))?)
                }
            };
            reserved.settle(&event)?;
            Model::new(self.clone(), data, event, &net, history, lab)
        })
    }

    fn soft<'a>(&self, data: &'a Dataset) -> Option<&'a [f32]> {
        if self.loss == Loss::CrossEntropy { None } else { data.soft_labels() }
    }

    /// The epochs themselves. `after` each (its number, its mean loss, the network) says whether to go on.
    pub(crate) fn epochs(
        &self,
        net: &mut Net,
        data: &Dataset,
        lab: &Lab,
        mut after: impl FnMut(usize, f64, &Net) -> Result<bool>,
    ) -> Result<()> {
        if self.precision == Precision::Mixed && !lab.open()?.supports_dtype(FloatDType::BF16) {
            let remedy = "use Precision::Single, or the processor to see what the accuracy would be";
            return Err(Error::device(lab.device(), "it does not compute in bfloat16", remedy));
        }
        let x = data.as_seen();
        let rows = Rows { x: &x, labels: data.labels(), soft: self.soft(data), shape: data.shape(), classes: data.classes() };
        let mut steps = self.optimizer.start();
        let per_epoch = self.steps_per_epoch(data.len());
        let total = per_epoch * self.epochs;
        let mut order: Vec<usize> = (0..data.len()).collect();
        for epoch in 0..self.epochs {
            order.shuffle(&mut lab.rng("order", epoch as u64));
            let mut losses = vec![];
            for (i, batch) in order.chunks(self.batch).enumerate() {
                let step = epoch * per_epoch + i;
                let pass = Pass { loss: self.loss, augment: self.augment.as_ref(), rng: lab.rng("pass", step as u64) };
                let (loss, gradients) = match self.precision {
                    Precision::Single => rows.gradients(net, batch, pass, lab.device())?,
                    Precision::Mixed => rows.gradients(&net.mixed(), batch, pass, lab.device())?,
                };
                steps.step(&mut net.weights, gradients, self.schedule.factor(step, total));
                losses.push(loss);
            }
            let losses = to_host(Tensor::cat(losses, 0))?;
            if let Some(i) = losses.iter().position(|loss| !loss.is_finite()) {
                return Err(Error::Diverged { what: "training loss".into(), step: epoch * per_epoch + i, value: f64::from(losses[i]) });
            }
            let loss = losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len() as f64;
            if !after(epoch + 1, loss, net)? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::data::Split;

    #[test]
    fn mixed_precision_learns_as_well_and_is_not_for_privacy() {
        let lab = Lab::on(Device::Cpu).unwrap().seed(3).quiet();
        let Split { train, test } = Dataset::digits().unwrap();
        let recipe = Train::new(Arch::Mlp { hidden: vec![32] }).with_epochs(8);
        let accuracy = |recipe: &Train| recipe.fit(&train, &lab).unwrap().accuracy(&test).unwrap().value();
        let mixed = recipe.clone().with_precision(Precision::Mixed);
        let (a, b) = (accuracy(&recipe), accuracy(&mixed));
        assert!(a > 0.9 && (a - b).abs() < 0.02, "{a} in single, {b} in mixed precision");
        // Recipes stored before there was a choice are those of today.
        let (stored, named) = (serde_json::json!(recipe), serde_json::json!(mixed));
        assert!(stored.get("precision").is_none() && named["precision"] == "Mixed");
        assert_eq!(serde_json::from_value::<Train>(stored).unwrap(), recipe);
        let refused = mixed.with_privacy(DpSgd::new(1.0)).fit(&train, &lab).unwrap_err().to_string();
        assert!(refused.contains("Precision::Single"), "{refused}");
    }
}
