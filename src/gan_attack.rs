//! The GAN attack: a participant of a federation trains a generator against the shared model until its images show a class that only others
//! hold.
//!
//! With D the shared model's softmax and G a generator of the attacker, each round minimises over G alone
//!
//! L(G) = −E log D_target(G(z)), z ~ N(0, I),
//!
//! so the shared model does the work of a discriminator, and improves at it because the honest participants go on training it.
//!
//! 1. [`GanAttack`] is handed the global model of the round ([`Participant`](crate::federated::Participant)); its weights stay as they are.
//! 2. G makes [`GanAttack::generator_steps`] steps on L. Its optimiser begins anew every round, because the loss is another one.
//! 3. Some images of G join the attacker's own records under a wrong label ([`Injection`]): the shared model must then tell images of G
//!    from the class, which only the victim's records can teach it. Where weights are averaged by number of records, the number injected
//!    is also the attacker's weight in the average.
//! 4. [`GanAttackResult::judge`] asks a model that took no part, and compares with the victim's records and with others of the class.
//!
//! Recognition alone proves little: against a model that nobody disturbs, the generator finds images that other models take for the class as
//! well but that lie far from all its records. The injection is what makes them look like records; the report has both.
//!
//! **What it shows.** It finds what a *class* looks like to the shared model. That is what differential privacy of records never promised
//! to hide: a model that classifies well knows its classes, whoever gave the records (McSherry's answer to the paper). Only where images
//! are nearer to the victim's records than to held-out records of the same class, more than chance explains, is more than the class lost;
//! the report says which ([`Distances::p_value`]). If one
//! participant *is* a class (its face, its handwriting), the class is the person, and protection must be that of participants, not of
//! records. The differential privacy that the paper attacked was that of CCS'15, whose ε is *per parameter*: 105,506 of them
//! make ε = 10,550 an epoch, which is no protection at all.
//!
//! The attack needs a target class in the shared label set and no record of it. Steps, batch and rates are those of FederatedScope's code; its
//! networks are convolutional, the default here is dense. [`GanAttack::small`] is for small images on a CPU.
//!
//! # Privacy
//! None: this is an attack. Its images are post-processing of the global models and carry their event.
//!
//! # References
//! Hitaj, Ateniese, Perez-Cruz, arXiv 1702.07464; defaults: FederatedScope. Shokri, Shmatikov, CCS 2015.
//!
//! # Example
//! ```
//! use freelunch::gan_attack::{GanAttack, Injection};
//! use freelunch::prelude::*;
//! let (lab, toy) = (Lab::new()?.quiet(), Dataset::toy());
//! let own = toy.subset(&[toy.of_class(0), toy.of_class(1), toy.of_class(2)].concat())?; // no blob
//! let model = Train::new(Arch::mlp()).with_epochs(5).fit(&toy, &lab)?;
//! // The control: a finished model, nothing injected.
//! let result = GanAttack::small(3).with_own(&own).invert(&model, 5, &lab)?;
//! assert_eq!((result.rounds().len(), result.images().len()), (5, 100));
//! # Ok::<(), Error>(())
//! ```

mod fake_class;
mod generator;
mod report;
mod result;
mod rounds;
mod table;

pub use fake_class::{FAKE, with_fake_class};
pub use report::{Distances, GanAttackReport, Similarity};
pub use result::{GanAttackResult, GanRound};
pub use table::{GanAttackRow, GanAttackTable};

use crate::generate::Coder;
use crate::nn::Optimizer;
use crate::{Dataset, Error, Result};
use rounds::State;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the attacker calls its generated images when it trains on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Injection {
    /// The artificial last class of the original, which the whole federation must have: [`with_fake_class`].
    FakeClass,
    /// An existing class, other than the target.
    Label(usize),
    /// Nothing is injected: the attacker only watches (the control).
    None,
}

/// The malicious participant; its own state, such as the generator, comes along.
///
/// # Example
/// ```
/// use freelunch::gan_attack::{GanAttack, Injection};
/// use freelunch::generate::Coder;
/// let attack = GanAttack::new(3).with_generator(Coder::Convolutional { width: 16 }).with_injection(Injection::Label(0));
/// assert_eq!((attack.noise, attack.batch, attack.generator_steps), (100, 16, 10));
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct GanAttack {
    /// The class whose look is wanted.
    pub target: usize,
    /// The generator's layers; a sigmoid follows, stretched to the range of pixels (or of the attacker's own values, where they are no pixels).
    pub generator: Coder,
    /// Dimensions of z, at least 1; FederatedScope: 100.
    pub noise: usize,
    /// Steps of the generator in each round, at least 1; FederatedScope: 10.
    pub generator_steps: usize,
    /// Images in each step, at least 1; FederatedScope: 16.
    pub batch: usize,
    /// How the generator learns; FederatedScope: SGD, rate 1e-3.
    pub optimizer: Optimizer,
    /// The wrong label; the original: an artificial class.
    pub injection: Injection,
    /// Images that are injected each round, at least 1 unless nothing is.
    pub injected: usize,
    /// Images that are kept and judged, at least 1; their z is the same in all rounds.
    pub samples: usize,
    #[serde(skip)]
    own: Option<Dataset>,
    #[serde(skip)]
    state: State,
}

impl GanAttack {
    /// With the numbers of FederatedScope, a dense generator of 128 units, 16 images a round in the artificial class, 100 images kept.
    #[must_use]
    pub fn new(target: usize) -> Self {
        Self {
            target,
            generator: Coder::Dense { hidden: vec![128] },
            noise: 100,
            generator_steps: 10,
            batch: 16,
            optimizer: Optimizer::Sgd { rate: 1e-3, momentum: 0.0, weight_decay: 0.0 },
            injection: Injection::FakeClass,
            injected: 16,
            samples: 100,
            own: None,
            state: State::default(),
        }
    }

    /// For small images and few rounds: z of 16 dimensions, 64 units, 20 steps of Adam at rate 2e-3, 64 images a round.
    #[must_use]
    pub fn small(target: usize) -> Self {
        let new = Self::new(target).with_generator(Coder::Dense { hidden: vec![64] }).with_generator_steps(20).with_injected(64);
        new.with_noise(16).with_optimizer(Optimizer::adam(2e-3))
    }

    /// The same with other layers.
    #[must_use]
    pub fn with_generator(mut self, generator: Coder) -> Self {
        self.generator = generator;
        self
    }

    /// The same with another number of dimensions of z.
    #[must_use]
    pub fn with_noise(mut self, noise: usize) -> Self {
        self.noise = noise;
        self
    }

    /// The same with another number of steps in each round.
    #[must_use]
    pub fn with_generator_steps(mut self, steps: usize) -> Self {
        self.generator_steps = steps;
        self
    }

    /// The same with another number of images in each step.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with another optimiser of the generator.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// The same with another label for what is injected.
    #[must_use]
    pub fn with_injection(mut self, injection: Injection) -> Self {
        self.injection = injection;
        self
    }

    /// The same with another number of injected images.
    #[must_use]
    pub fn with_injected(mut self, injected: usize) -> Self {
        self.injected = injected;
        self
    }

    /// The same keeping another number of images.
    #[must_use]
    pub fn with_samples(mut self, samples: usize) -> Self {
        self.samples = samples;
        self
    }

    /// The same with the attacker's own records, in the federation's label set: what it trains on besides, and what records look like.
    /// Records of the target class are allowed, but the result then says that the attacker had some.
    #[must_use]
    pub fn with_own(mut self, own: &Dataset) -> Self {
        self.own = Some(own.clone());
        self
    }

    /// Answers with the attacker's own records.
    fn check(&self) -> Result<&Dataset> {
        let injects = self.injection != Injection::None;
        for (name, value) in
            [("noise", self.noise), ("generator_steps", self.generator_steps), ("batch", self.batch), ("samples", self.samples)]
                .into_iter()
                .chain(injects.then_some(("injected", self.injected)))
        {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        self.optimizer.check()?;
        let own = self.own.as_ref().ok_or_else(|| Error::config("an attacker without records", "give it some: with_own(&data)"))?;
        self.generator.check(own.shape())?;
        let classes = own.classes();
        let known = |name: &str, class: usize| {
            let remedy = format!("expected a class below {classes}, those of {}", own.name());
            if class < classes { Ok(()) } else { Err(Error::config(format!("{name} is class {class}"), remedy)) }
        };
        known("target", self.target)?;
        match self.injection {
            Injection::FakeClass if own.class_names().last().is_none_or(|name| name != FAKE) => {
                let what = format!("no class {FAKE:?} at the end of the classes of {}", own.name());
                Err(Error::config(what, "pass all participants' records through with_fake_class, or use Injection::Label(class)"))
            }
            Injection::FakeClass if self.target + 1 == classes => {
                Err(Error::config(format!("target is class {}, the artificial one", self.target), "expected a class that somebody holds"))
            }
            Injection::Label(class) if class == self.target => Err(Error::config(
                format!("injection under label {class}, the target"),
                "expected another class: this one would be the truth",
            )),
            Injection::Label(class) => known("injection", class).map(|()| own),
            _ => Ok(own),
        }
    }
}

impl fmt::Debug for GanAttack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GanAttack(class {}, {:?}, {} rounds)", self.target, self.injection, self.state.rounds.len())
    }
}

#[cfg(test)]
mod tests;
