//! Trajectory matching (MTT): synthetic records on which a network trains, in a few steps, to where an expert came in whole epochs
//! on the real ones.
//!
//! min over S and α of E ‖ θ_N − θ*_{t+M} ‖² / ‖ θ*_t − θ*_{t+M} ‖², with θ*_t the weights of an expert after t epochs on the real
//! set, θ_0 = θ*_t, and θ_{i+1} = θ_i − α ∇θ L(S_i, θ_i) a student on batches of the synthetic set.
//!
//! 1. Once: train experts on the real set and keep their weights after every epoch (see [`Experts`]).
//! 2. Every step: take the next expert (all in turn, in random order) and a random epoch t up to the latest start; N steps of the
//!    student from θ*_t, each on an augmented batch of S.
//! 3. Carry the gradient of the loss back through the N steps into every record and into α; one step of gradient descent with
//!    momentum on both.
//!
//! The loss is 1 for a student that stays where it is. The records are made for the step size α that was learned with them:
//! [`TrajectoryMatching::synthesize_with_step_size`] tells it. The paper whitens CIFAR (ZCA) first: apply
//! [`Whitening`](crate::data::Whitening) to the real set and to the test set yourself.
//!
//! Memory: on disk, or in memory without a folder, experts × (epochs + 1) × parameters × 4 bytes (6.5 GB with the paper's numbers);
//! in a step, N × parameters × 4 bytes and what one gradient of a gradient needs.
//!
//! # Privacy
//! None ([`Event::NonPrivate`](crate::privacy::Event::NonPrivate)): the records repeat what real training did. Experts are models
//! of the real set: keep their folder as you keep the data.
//!
//! # References
//! Cazenavette, Wang, Torralba, Efros and Zhu, "Dataset Distillation by Matching Training Trajectories", arXiv 2203.11932; parameters
//! as in their code.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::TrajectoryMatching, nn::Arch, synthesize::Synthesize};
//! let matching = TrajectoryMatching::small(1).with_arch(Arch::mlp()).with_step_size(0.004).with_rate(10.0);
//! let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(small.len(), small.classes());
//! # Ok::<(), freelunch::Error>(())
//! ```

mod expert_file;
mod experts;
mod run;
mod student;
#[cfg(test)]
mod tests;

pub use experts::Experts;

use super::init::Init;
use crate::augment::{Augment, Pairing};
use crate::device::guarded;
use crate::nn::{Arch, Optimizer};
use crate::synthesize::Synthesize;
use crate::train::{Schedule, Train};
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Trajectory matching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "MTT")]
pub struct TrajectoryMatching {
    /// Synthetic records per class (ipc), at least 1.
    pub per_class: usize,
    /// Steps of the records; 5,000 in the paper.
    pub steps: usize,
    /// Learning rate of the records; 1,000 in the paper.
    pub rate: f64,
    /// Momentum of the records and of the step size, 0 up to 1; 0.5 in the paper.
    pub momentum: f64,
    /// The step size α of the student at the start; 0.01 in the paper.
    pub step_size: f64,
    /// Learning rate of α; 1e-5 in the paper, 0 leaves α as it is.
    pub step_size_rate: f64,
    /// Steps N of the student; 20 in the paper.
    pub student_steps: usize,
    /// Epochs M of the expert that the student must make up for; 3 in the paper.
    pub epochs_ahead: usize,
    /// Students start from epoch 0 up to, not including, this one; 25 in the paper.
    pub latest_start: usize,
    /// Synthetic records in one step of the student; all of them in the paper (`None`) where they fit into memory. Otherwise batches
    /// in a random order, a new one when all were used.
    pub batch: Option<usize>,
    /// The first synthetic records; real in the paper.
    pub init: Init,
    /// Random changes of the student's records, new ones for each record and step; in the paper those of DSA (give
    /// [`Augment::digits`] for digits), none for tables.
    pub augment: Option<Augment>,
    /// Experts; 100 in the paper.
    pub experts: usize,
    /// How each is trained; its network and loss are the student's, too. 50 epochs in the paper, batches of 256, plain gradient
    /// descent with rate 0.01, augmented. The rate must be constant.
    pub expert: Train,
    /// Where experts are kept; beside what the lab keeps if `None` ([`Lab::keep`]), else in memory for one run.
    pub experts_in: Option<PathBuf>,
}

/// A synthetic set and the step size it was made for.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The records.
    pub synthetic: Dataset,
    /// The learned α: the rate for plain gradient descent on the records, all in one batch.
    pub step_size: f64,
}

impl TrajectoryMatching {
    /// The paper's parameters.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        let augment = Some(Augment::dsa().with_pairing(Pairing::Independent));
        Self {
            per_class,
            steps: 5_000,
            rate: 1_000.0,
            momentum: 0.5,
            step_size: 0.01,
            step_size_rate: 1e-5,
            student_steps: 20,
            epochs_ahead: 3,
            latest_start: 25,
            batch: None,
            init: Init::Real,
            augment: augment.clone(),
            experts: 100,
            expert: Train {
                epochs: 50,
                batch: 256,
                optimizer: Optimizer::Sgd { rate: 0.01, momentum: 0.0, weight_decay: 0.0 },
                schedule: Schedule::Constant,
                augment,
                ..Train::new(Arch::conv_net())
            },
            experts_in: None,
        }
    }

    /// A preset for a laptop's processor and some thousand images: 60 steps instead of 5,000, 2 experts of 3 epochs instead of 100 of 50,
    /// ConvNet of width 32, students of 10 steps on 20 records that make up for 2 epochs from one of the first two, no augmentation.
    /// Experts take batches of 64 at rate 0.02 and students begin with steps of 0.05, because few steps must go far; the records' rate
    /// is 500.
    ///
    /// An expert comes less far in an epoch of fewer records: give [`TrajectoryMatching::with_step_size`] less for them (student steps
    /// times step size, about a fifth of the expert's steps times its rate). A network without norms wants a lower rate of the records
    /// (3 to 100 for an MLP).
    #[must_use]
    pub fn small(per_class: usize) -> Self {
        let mut small = Self::new(per_class).without_augment().with_batch(20).with_steps(60).with_rate(500.0).with_experts(2);
        small.expert.arch = Arch::conv_net().with_width(32);
        small.expert.epochs = 3;
        small.expert.batch = 64;
        small.expert.optimizer = Optimizer::Sgd { rate: 0.02, momentum: 0.0, weight_decay: 0.0 };
        Self { student_steps: 10, epochs_ahead: 2, latest_start: 2, step_size: 0.05, step_size_rate: 1e-4, ..small }
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another learning rate of the records.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The same with another first step size of the student. Its learning rate changes with the square, so that the step size learns as
    /// fast as before in proportion: the gradient in it goes as its inverse.
    #[must_use]
    pub fn with_step_size(mut self, step_size: f64) -> Self {
        self.step_size_rate *= (step_size / self.step_size).powi(2);
        self.step_size = step_size;
        self
    }

    /// The same with batches of so many synthetic records.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The same with another network, of the experts and the student.
    #[must_use]
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.expert.arch = arch;
        self
    }

    /// The same from another start.
    #[must_use]
    pub fn with_init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The same with another augmentation, of the experts' and the student's records.
    #[must_use]
    pub fn with_augment(mut self, augment: Augment) -> Self {
        self.expert.augment = Some(augment.clone());
        self.augment = Some(augment);
        self
    }

    /// The same without augmentation: for tables.
    #[must_use]
    pub fn without_augment(mut self) -> Self {
        self.expert.augment = None;
        self.augment = None;
        self
    }

    /// The same with another number of experts.
    #[must_use]
    pub fn with_experts(mut self, experts: usize) -> Self {
        self.experts = experts;
        self
    }

    /// The same with its experts kept in a folder, to be found again by every run with the same recipe, data and seed.
    #[must_use]
    pub fn with_experts_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.experts_in = Some(folder.as_ref().to_path_buf());
        self
    }

    pub(super) fn check(&self, shape: [usize; 3]) -> Result<()> {
        let counts = [
            ("steps", self.steps),
            ("student_steps", self.student_steps),
            ("epochs_ahead", self.epochs_ahead),
            ("latest_start", self.latest_start),
            ("batch", self.batch.unwrap_or(1)),
            ("experts", self.experts),
        ];
        for (name, value) in counts {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        for (name, value) in [("rate", self.rate), ("step_size", self.step_size)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::config(format!("{name} is {value}"), "expected a positive number"));
            }
        }
        if !(self.step_size_rate.is_finite() && self.step_size_rate >= 0.0) {
            return Err(Error::config(format!("step_size_rate is {}", self.step_size_rate), "expected a number of at least 0"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::config(format!("momentum is {}", self.momentum), "expected 0 up to, not including, 1"));
        }
        let needed = self.latest_start.saturating_sub(1).saturating_add(self.epochs_ahead);
        if needed > self.expert.epochs {
            let what = format!("expert.epochs is {}", self.expert.epochs);
            return Err(Error::config(what, format!("expected at least latest_start - 1 + epochs_ahead = {needed}")));
        }
        if self.expert.privacy.is_some() {
            return Err(Error::config(
                "expert.privacy is set",
                "experts are trained without noise; the condensed set would not be private anyway",
            ));
        }
        if self.expert.schedule != Schedule::Constant {
            let what = format!("expert.schedule is {:?}", self.expert.schedule);
            return Err(Error::config(what, "expected Constant: the student has one step size for all epochs"));
        }
        self.expert.check()?;
        [&self.augment, &self.expert.augment].into_iter().flatten().try_for_each(|augment| augment.check(shape))
    }

    /// What [`Synthesize::synthesize`] makes, with the step size that was learned for it.
    ///
    /// # Errors
    /// As [`Synthesize::synthesize`] and [`Experts::train`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, condense::TrajectoryMatching, nn::Arch};
    /// let matching = TrajectoryMatching::small(1).with_arch(Arch::mlp()).with_step_size(0.004).with_rate(10.0).with_steps(2);
    /// let matched = matching.synthesize_with_step_size(&Dataset::toy(), &Lab::new()?.quiet())?;
    /// assert_ne!(matched.step_size, matching.step_size);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn synthesize_with_step_size(&self, real: &Dataset, lab: &Lab) -> Result<Matched> {
        self.check(real.shape())?;
        guarded(lab.device(), || self.run(real, lab))
    }
}

impl Synthesize for TrajectoryMatching {
    fn name(&self) -> String {
        format!("MTT, {} init", self.init.name())
    }

    fn config(&self) -> serde_json::Value {
        // Where experts lie changes nothing: moving the folder must not make it another run.
        serde_json::json!(Self { experts_in: None, ..self.clone() })
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        Ok(self.synthesize_with_step_size(real, lab)?.synthetic)
    }
}
