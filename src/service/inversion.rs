//! Model inversion through a service: an image of each class, from answered probabilities alone.
//!
//! For a class c, f(x) = log max(p_c(x), 1e-45) is climbed with a gradient that only asks:
//! g = 1/m Σ_i (f(x + μ u_i) − f(x − μ u_i))/(2μ) u_i, u_i standard normal; x ← clip(x + η g/max|g|, 0, 1).
//!
//! 1. Start from grey. Each step asks 2 m questions; a step whose g is 0 (a flat answer, as of a label-only service) leaves x.
//! 2. The image with the largest f seen is kept; the confidences before and after say whether anything was climbed.
//!
//! A climbed image is what the *model* takes for the class. It need not look like any record, and says nothing about a single one.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Fredrikson, Jha, Ristenpart, CCS 2015 (inversion from confidences); Nesterov, Spokoiny, *Found. Comput. Math.* 17 (2017) (random directions).
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::service::{BlackBoxInversion, Service};
//! let (lab, toy) = (Lab::new()?.quiet(), Dataset::toy());
//! let model = Train::new(Arch::Logistic).with_epochs(5).fit(&toy, &lab)?;
//! let mallory = Service::new(&model, &toy)?.client("mallory");
//! let found = BlackBoxInversion::new().with_steps(3).with_directions(10).attack(&mallory, &toy, &lab)?;
//! assert_eq!((found.images.len(), found.queries), (4, 4 * (1 + 3 * 21)));
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::BlackBox;
use crate::data::Origin;
use crate::display::{Figure, ImageGrid, Show, Table, show_inline};
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Climbs a class's probability by asking.
#[doc(alias = "model inversion")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BlackBoxInversion {
    /// Steps for each class, at least 1.
    pub steps: usize,
    /// Directions of a step, m, at least 1.
    pub directions: usize,
    /// How far a direction is tried, μ, in pixel units.
    pub reach: f32,
    /// Change of the most changed pixel in a step, η.
    pub rate: f32,
}

/// What [`BlackBoxInversion`] found.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Inverted {
    /// One image for each class that was reached before the time budget.
    pub images: Vec<Vec<f32>>,
    /// The probability of the class at the start, and of its image.
    pub confidence: Vec<[f64; 2]>,
    /// Queries it spent.
    pub queries: usize,
    /// What they cost.
    pub cost: f64,
    shape: [usize; 3],
    class_names: Vec<String>,
    seed: u64,
}

impl BlackBoxInversion {
    /// 50 steps of 32 directions, 0.05 far, at a rate of 0.1: 3,251 queries for each class.
    #[must_use]
    pub fn new() -> Self {
        Self { steps: 50, directions: 32, reach: 0.05, rate: 0.1 }
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another number of directions.
    #[must_use]
    pub fn with_directions(mut self, directions: usize) -> Self {
        self.directions = directions;
        self
    }

    /// The same with directions tried so far.
    #[must_use]
    pub fn with_reach(mut self, reach: f32) -> Self {
        self.reach = reach;
        self
    }

    /// The same with another rate.
    #[must_use]
    pub fn with_rate(mut self, rate: f32) -> Self {
        self.rate = rate;
        self
    }

    fn check(&self) -> Result<()> {
        if self.steps == 0 || self.directions == 0 {
            let what = format!("steps is {}, directions is {}", self.steps, self.directions);
            return Err(Error::config(what, "expected at least 1 of each"));
        }
        for (name, value) in [("reach", self.reach), ("rate", self.rate)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::config(format!("{name} is {value}"), "expected a positive number"));
            }
        }
        Ok(())
    }

    /// Asks `service` until each class has an image. `like` says what records look like; its values and labels are not used.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that cannot work, and as [`BlackBox::ask`].
    pub fn attack(&self, service: &dyn BlackBox, like: &Dataset, lab: &Lab) -> Result<Inverted> {
        self.check()?;
        let (before, deadline) = (service.queries_spent(), lab.deadline());
        let (mut images, mut confidence) = (vec![], vec![]);
        let mut progress = lab.progress("inversion", service.classes());
        for class in 0..service.classes() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            let (image, start, end) = self.climb(service, like, class, lab)?;
            images.push(image);
            confidence.push([start.exp(), end.exp()]);
            progress.step(class + 1, &format!("confidence {:.3}", end.exp()));
        }
        let queries = service.queries_spent().saturating_sub(before);
        let cost = queries as f64 * service.price_per_query();
        let (shape, class_names, seed) = (like.shape(), like.class_names().to_vec(), lab.seed_value());
        Ok(Inverted { images, confidence, queries, cost, shape, class_names, seed })
    }

    /// The best image, and log p at the start and there.
    fn climb(&self, service: &dyn BlackBox, like: &Dataset, class: usize, lab: &Lab) -> Result<(Vec<f32>, f64, f64)> {
        let (d, mut rng) = (like.features(), lab.rng("directions", class as u64));
        let log_p = |x: Vec<f32>| -> Result<Vec<f64>> {
            let labels = vec![0; x.len() / d];
            let records = like.synthetic(x, labels, Origin::real("inversion"))?;
            Ok(service.ask(&records)?.log_probabilities().chunks(service.classes()).filter_map(|row| row.get(class).copied()).collect())
        };
        let mut x = vec![0.5f32; d];
        let start = log_p(x.clone())?.first().copied().unwrap_or(f64::NEG_INFINITY);
        let mut best = (x.clone(), start);
        for _ in 0..self.steps {
            let u: Vec<f32> = (0..self.directions * d).map(|_| rng.sample(StandardNormal)).collect();
            let mut asked = Vec::with_capacity(2 * u.len());
            for reach in [self.reach, -self.reach] {
                u.chunks(d).for_each(|u| asked.extend(x.iter().zip(u).map(|(x, u)| x + reach * u)));
            }
            let f = log_p(asked)?;
            let (up, down) = f.split_at(self.directions.min(f.len()));
            let mut g = vec![0.0f64; d];
            for ((up, down), u) in up.iter().zip(down).zip(u.chunks(d)) {
                g.iter_mut().zip(u).for_each(|(g, u)| *g += (up - down) * f64::from(*u));
            }
            let most = g.iter().fold(0.0f64, |most, g| most.max(g.abs()));
            if most > 0.0 {
                x.iter_mut().zip(&g).for_each(|(x, g)| *x = (*x + self.rate * (g / most) as f32).clamp(0.0, 1.0));
            }
            let now = log_p(x.clone())?.first().copied().unwrap_or(f64::NEG_INFINITY);
            if now > best.1 {
                best = (x.clone(), now);
            }
        }
        Ok((best.0, start, best.1))
    }
}

impl Default for BlackBoxInversion {
    fn default() -> Self {
        Self::new()
    }
}

impl Inverted {
    /// The confidences as a polars table.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let of = |at: usize| self.confidence.iter().map(|ends| ends[at]).collect::<Vec<f64>>();
        let names: Vec<&str> = self.class_names.iter().take(self.images.len()).map(String::as_str).collect();
        let columns =
            vec![Column::new("class".into(), names), Column::new("at_the_start".into(), of(0)), Column::new("of_the_image".into(), of(1))];
        DataFrame::new(self.images.len(), columns).map_err(|cause| Error::table("inversion", cause))
    }
}

impl Show for Inverted {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["class", "confidence in grey", "in the image"]);
        let mut rows = vec![];
        for ((name, image), ends) in self.class_names.iter().zip(&self.images).zip(&self.confidence) {
            table = table.row([name.clone(), format!("{:.3}", ends[0]), format!("{:.3}", ends[1])]);
            rows.push((name.clone(), vec![image.clone()]));
        }
        let caption = format!(
            "{} queries, cost {}, seed {}. What the model takes for a class, not a record: compare it with the class's mean before saying more.",
            self.queries, self.cost, self.seed
        );
        Figure::row([ImageGrid::new(rows, self.shape).figure(), table.figure()]).titled("Inversion through a service").captioned(&caption)
    }
}

show_inline!(Inverted);

impl fmt::Debug for Inverted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inverted({} classes, {} queries)", self.images.len(), self.queries)
    }
}
