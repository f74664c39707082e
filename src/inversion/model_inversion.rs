//! MIFace: gradient descent on the input of a model whose weights are known, with total variation, a prior and several starts to choose.
//!
//! x ← Π(x − η ∇(cost(x) + R(x))), with Π the cut to the valid range. See [`crate::inversion`] for the cost, the steps and references.
//!
//! # Privacy
//! None: this is an attack.

use super::descend::{Descent, Row};
use super::regularizer::Regularizer;
use super::{Inversion, InversionCost, InversionTarget, InvertedClass, Prior, Start};
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// MIFace and its variants: gradient descent on the input of a model whose weights are known.
///
/// # Example
/// ```
/// use freelunch::inversion::{InversionCost, InversionTarget, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let model = Train::new(Arch::Logistic).fit(&Dataset::toy(), &lab)?;
/// let attack = ModelInversion::small().with_cost(InversionCost::CrossEntropy).with_total_variation(0.001).with_starts(2);
/// let inversion = attack.invert(&InversionTarget::model(&model), &lab)?;
/// assert!(inversion.rows().iter().all(|class| class.confidence > 0.5));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[doc(alias = "MIFace")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelInversion {
    /// The cost; 1 − p in MIFace.
    pub cost: InversionCost,
    /// η, the length of a step, positive; 0.1 in MIFace.
    pub rate: f64,
    /// Most steps, at least 1; 10,000.
    pub steps: usize,
    /// Costs that a new one must be below at least one of, at least 1; 100.
    pub window: usize,
    /// The confidence that is enough, above 0, at most 1; 0.99.
    pub threshold: f64,
    /// The first start.
    pub start: Start,
    /// Searches for each class, at least 1; those after the first start at uniform noise. The one of least cost is kept.
    pub starts: usize,
    /// Weight of the total variation, at least 0; images only.
    pub total_variation: f64,
    /// Public records to stay near to; none in MIFace.
    pub prior: Option<Prior>,
    /// The classes; `None` inverts all.
    pub classes: Option<Vec<usize>>,
}

impl Default for ModelInversion {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelInversion {
    /// MIFace: rate 0.1, at most 10,000 steps, window 100, threshold 0.99, from zeros.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cost: InversionCost::Confidence,
            rate: 0.1,
            steps: 10_000,
            window: 100,
            threshold: 0.99,
            start: Start::Zeros,
            starts: 1,
            total_variation: 0.0,
            prior: None,
            classes: None,
        }
    }

    /// For small images on a processor: at most 1,000 steps, window 20.
    #[must_use]
    pub fn small() -> Self {
        Self { steps: 1000, window: 20, ..Self::new() }
    }

    /// The same with another cost.
    #[must_use]
    pub fn with_cost(mut self, cost: InversionCost) -> Self {
        self.cost = cost;
        self
    }

    /// The same with steps of another length.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The same with another number of steps at most.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another stopping rule.
    #[must_use]
    pub fn with_stop(mut self, window: usize, threshold: f64) -> Self {
        self.window = window;
        self.threshold = threshold;
        self
    }

    /// The same from elsewhere.
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// The same with more searches for each class.
    #[must_use]
    pub fn with_starts(mut self, starts: usize) -> Self {
        self.starts = starts;
        self
    }

    /// The same preferring smooth images: weight · Σ √(Δ₁² + Δ₂² + 10⁻⁴) over differences of neighbouring pixels.
    #[must_use]
    pub fn with_total_variation(mut self, weight: f64) -> Self {
        self.total_variation = weight;
        self
    }

    /// The same staying near to public records, from their mean: 32 principal components, weight 0.01.
    #[must_use]
    pub fn with_prior(mut self, public: &Dataset) -> Self {
        self.prior = Some(Prior { public: public.clone(), components: 32, weight: 0.01 });
        self.start = Start::PublicMean;
        self
    }

    /// The same with another prior, from the mean of its records.
    #[must_use]
    pub fn with_prior_of(mut self, prior: Prior) -> Self {
        self.prior = Some(prior);
        self.start = Start::PublicMean;
        self
    }

    /// The same for some classes only.
    #[must_use]
    pub fn with_classes(mut self, classes: &[usize]) -> Self {
        self.classes = Some(classes.to_vec());
        self
    }

    /// The parameters, with the prior's records by name.
    #[must_use]
    pub fn config(&self) -> Value {
        let mut config = json!(Self { prior: None, ..self.clone() });
        if let Some(Prior { public, components, weight }) = &self.prior {
            let public = format!("{}, {} records", public.name(), public.len());
            config["prior"] = json!({ "public": public, "components": components, "weight": weight });
        }
        config
    }

    pub(super) fn check(&self) -> Result<()> {
        if let Some((name, _)) = [("steps", self.steps), ("window", self.window), ("starts", self.starts)].iter().find(|(_, v)| *v == 0) {
            return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::config(format!("rate is {}", self.rate), "expected a positive number"));
        }
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(Error::config(format!("threshold is {}", self.threshold), "expected a confidence above 0, at most 1"));
        }
        if !(self.total_variation >= 0.0 && self.total_variation.is_finite()) {
            return Err(Error::config(format!("total_variation is {}", self.total_variation), "expected a weight of at least 0"));
        }
        match &self.prior {
            None if self.start == Start::PublicMean => {
                Err(Error::config("start is the public mean without a prior", "call with_prior(&public), or start at zeros"))
            }
            Some(prior) if prior.components == 0 || !(prior.weight > 0.0 && prior.weight.is_finite()) => {
                let what = format!("a prior of {} components and weight {}", prior.components, prior.weight);
                Err(Error::config(what, "expected at least 1 component and a positive weight"))
            }
            _ => Ok(()),
        }
    }

    /// The classes to invert, of a target that knows `all`.
    pub(super) fn wanted(&self, all: usize) -> Result<Vec<usize>> {
        let classes = self.classes.clone().unwrap_or_else(|| (0..all).collect());
        if let Some(unknown) = classes.iter().find(|&&class| class >= all) {
            return Err(Error::config(format!("class {unknown} of a model of {all} classes"), format!("expected 0 to {}", all - 1)));
        }
        if classes.is_empty() {
            return Err(Error::config("no class to invert", "name at least one, or leave with_classes out"));
        }
        Ok(classes)
    }

    /// Inverts every class of the target.
    ///
    /// # Errors
    /// [`Error::Config`] for a bad parameter, an unknown class or a target that takes no images, [`Error::Mismatch`] for parts that do not
    /// fit together, [`Error::Diverged`] when the model's outputs are not finite, [`Error::Device`] when the device fails.
    pub fn invert(&self, target: &InversionTarget, lab: &Lab) -> Result<Inversion> {
        self.check()?;
        target.check()?;
        let classes = self.wanted(target.classes())?;
        if self.total_variation > 0.0 && target.searches_codes() {
            return Err(Error::config("total variation of a code", "codes have no neighbours; leave it out, or use EncodedWay::Through"));
        }
        let mut event = target.event();
        if let Some(prior) = &self.prior {
            event = event.and(prior.public.event().clone());
        }
        crate::device::guarded(lab.device(), || {
            let regularizer = Regularizer::new(self, target, lab)?;
            let mut chain = target.chain(lab)?;
            let descent = Descent { attack: self, shape: chain.shape(), range: chain.range(), regularizer, lab };
            let rows = descent.run(&classes, &mut chain)?;
            let x: Vec<f32> = rows.iter().flat_map(|row| row.x.iter().copied()).collect();
            let labels: Vec<u32> = classes.iter().map(|&class| class as u32).collect();
            let images = target.finish(x, labels, event, self.config(), lab)?;
            let shown = target.confidence_of(&images, &classes)?;
            let found = rows.iter().zip(shown).map(|(row, shown)| row.found(target.class_names(), shown)).collect();
            Ok(Inversion::new(target.name(), images, found, self.config(), lab))
        })
    }
}

impl Row {
    pub(super) fn found(&self, names: &[String], shown: Option<f64>) -> InvertedClass {
        InvertedClass {
            class: self.class,
            name: names.get(self.class).cloned().unwrap_or_default(),
            confidence: self.confidence,
            shown,
            cost: self.cost,
            steps: self.steps,
            start: self.start,
            stopped: self.stopped,
            queries: self.queries,
        }
    }
}
