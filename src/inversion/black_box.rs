//! Inversion by questions alone: the gradient is estimated from probabilities along random directions.
//!
//! For directions u₁ .. u_q of independent normal numbers, ∇cost(x) ≈ (1/q) Σ (cost(x + δu) − cost(x − δu)) / 2δ · u, with both points cut
//! off at the valid range, so that a service need not answer for what is no picture. Every step asks 2 q + 1 questions a record; they are
//! counted.
//!
//! # Privacy
//! None: this is an attack. A limit on questions, or answers with fewer digits, makes it dearer and not impossible.
//!
//! # References
//! Nesterov, Spokoiny, *Foundations of Computational Mathematics* 17 (2017) (random directions); Fredrikson et al., CCS 2015.

use super::descend::{Descent, Objective, Row, Slope};
use super::regularizer::Regularizer;
use super::{Inversion, InversionCost, ModelInversion};
use crate::data::Origin;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that answers records with probabilities, and nothing else.
pub trait Probabilities: fmt::Debug {
    /// What it is called in tables.
    fn name(&self) -> String;

    /// The probabilities of every record, row-major `[n, classes]`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for records of another shape, or whatever the service answers.
    fn probabilities(&self, data: &Dataset) -> Result<Vec<f32>>;

    /// The classes' names, in the order of the probabilities.
    fn classes(&self) -> Vec<String>;

    /// `[c, h, w]` of a record.
    fn shape(&self) -> [usize; 3];
}

impl Probabilities for Model {
    fn name(&self) -> String {
        self.train().arch.name()
    }

    fn probabilities(&self, data: &Dataset) -> Result<Vec<f32>> {
        let logits = self.logits(data)?;
        Ok(logits.chunks_exact(data.classes()).flat_map(|z| super::chain::log_softmax(z).into_iter().map(|v| v.exp() as f32)).collect())
    }

    fn classes(&self) -> Vec<String> {
        self.class_names().to_vec()
    }

    fn shape(&self) -> [usize; 3] {
        // The record's shape as the model knows it, not this method again.
        Model::shape(self)
    }
}

/// A [`ModelInversion`] that sees only probabilities.
///
/// # Example
/// ```
/// use freelunch::inversion::{BlackBoxInversion, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let model = Train::new(Arch::Logistic).fit(&Dataset::toy(), &lab)?;
/// let attack = BlackBoxInversion::new(ModelInversion::small().with_steps(20).with_classes(&[0]));
/// let inversion = attack.invert(&model, &lab)?;
/// assert!(inversion.queries() <= 21 * 33); // at most 20 steps and the start, each 2 · 16 + 1 questions
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlackBoxInversion {
    /// The search. A prior must be one of pixels.
    pub attack: ModelInversion,
    /// q, random directions a step, at least 1; 16.
    pub directions: usize,
    /// δ, length of a step to either side in pixel values, positive; 0.05.
    pub reach: f64,
}

impl BlackBoxInversion {
    /// 16 directions of reach 0.05. Values chosen here.
    #[must_use]
    pub fn new(attack: ModelInversion) -> Self {
        Self { attack, directions: 16, reach: 0.05 }
    }

    /// The same with another number of directions.
    #[must_use]
    pub fn with_directions(mut self, directions: usize) -> Self {
        self.directions = directions;
        self
    }

    /// The same with another distance of the points that are compared.
    #[must_use]
    pub fn with_reach(mut self, reach: f64) -> Self {
        self.reach = reach;
        self
    }

    fn check(&self) -> Result<()> {
        self.attack.check()?;
        if self.directions == 0 {
            return Err(Error::config("directions is 0", "expected at least 1"));
        }
        if !(self.reach > 0.0 && self.reach < 1.0) {
            return Err(Error::config(format!("reach is {}", self.reach), "expected a number between 0 and 1"));
        }
        Ok(())
    }

    /// Inverts every class by questions. What comes out carries no event: a service does not say what it did.
    ///
    /// # Errors
    /// As [`ModelInversion::invert`], and what the service answers; [`Error::Data`] for probabilities that are none.
    pub fn invert(&self, service: &dyn Probabilities, lab: &Lab) -> Result<Inversion> {
        self.check()?;
        let (names, shape) = (service.classes(), service.shape());
        super::target::pictures(shape, "a service")?;
        let classes = self.attack.wanted(names.len())?;
        let regularizer = Regularizer::of_pixels(&self.attack, shape, lab)?;
        let range = [0.0, 1.0];
        let mut questions = Questions { service, names: &names, shape, range, directions: self.directions, reach: self.reach as f32, lab };
        let descent = Descent { attack: &self.attack, shape, range, regularizer, lab };
        let rows = descent.run(&classes, &mut questions)?;
        let x: Vec<f32> = rows.iter().flat_map(|row: &Row| row.x.iter().copied()).collect();
        let labels: Vec<u32> = classes.iter().map(|&class| class as u32).collect();
        let mut config = self.attack.config();
        config["directions"] = self.directions.into();
        config["reach"] = self.reach.into();
        let origin = Origin { config: config.clone(), seed: lab.seed_value(), ..Origin::real("black-box model inversion") };
        let title = format!("{}, asked", service.name());
        let plain = Dataset::images(&title, x, shape, labels.clone(), names.clone())?;
        let images = plain.synthetic(plain.x().to_vec(), labels, origin)?.named(&format!("inversion of {title}"));
        let found = rows.iter().map(|row| row.found(&names, None)).collect();
        Ok(Inversion::new(title, images, found, config, lab))
    }
}

/// The cost as far as questions tell.
struct Questions<'a> {
    service: &'a dyn Probabilities,
    names: &'a [String],
    shape: [usize; 3],
    range: [f32; 2],
    directions: usize,
    reach: f32,
    lab: &'a Lab,
}

impl Questions<'_> {
    /// Logarithms of the probabilities of some records.
    fn ask(&self, x: Vec<f32>) -> Result<Vec<f64>> {
        let n = x.len() / self.shape.iter().product::<usize>();
        let records = Dataset::images("questions", x, self.shape, vec![0; n], self.names.to_vec())?;
        let p = self.service.probabilities(&records)?;
        let valid = |p: &f32| (0.0..=1.001).contains(p);
        match p.iter().find(|p| !valid(p)) {
            None if p.len() == n * self.names.len() => {}
            bad => {
                let what = format!("{} answers for {n} records in {} classes, with {bad:?} among them", p.len(), self.names.len());
                return Err(Error::data(self.service.name(), "probabilities", what, "expected one number from 0 to 1 for each class"));
            }
        }
        // Where a service rounds to 0, the logarithm stays finite.
        Ok(p.iter().map(|&p| f64::from(p).clamp(1e-12, 1.0).ln()).collect())
    }
}

impl Objective for Questions<'_> {
    fn slope(&mut self, x: &[f32], rows: &[(usize, usize)], cost: InversionCost, step: usize) -> Result<Slope> {
        let d: usize = self.shape.iter().product();
        let mut slope = Slope { costs: vec![], confidences: vec![], gradient: vec![], queries: 2 * self.directions as u64 + 1 };
        for (x, &(search, class)) in x.chunks_exact(d).zip(rows) {
            let mut rng = self.lab.rng(&format!("black-box inversion {search}"), step as u64);
            let directions: Vec<f32> = (0..self.directions * d).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
            let [low, high] = self.range;
            let mut asked = x.to_vec();
            for u in directions.chunks_exact(d) {
                for side in [self.reach, -self.reach] {
                    asked.extend(x.iter().zip(u).map(|(x, u)| (x + side * u).clamp(low, high)));
                }
            }
            let log_p = self.ask(asked)?;
            let costs: Vec<f64> = log_p.chunks_exact(self.names.len()).map(|log_p| cost.of(log_p, class).0).collect();
            let mut gradient = vec![0.0f64; d];
            for (u, pair) in directions.chunks_exact(d).zip(costs[1..].chunks_exact(2)) {
                let along = (pair[0] - pair[1]) / (2.0 * f64::from(self.reach) * self.directions as f64);
                gradient.iter_mut().zip(u).for_each(|(g, &u)| *g += along * f64::from(u));
            }
            slope.costs.push(costs[0]);
            slope.confidences.push(log_p[class].exp());
            slope.gradient.extend(gradient.into_iter().map(|g| g as f32));
        }
        Ok(slope)
    }
}
