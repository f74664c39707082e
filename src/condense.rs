//! Condensation: a small synthetic set that trains almost as well as the real one, and the baselines it must beat.
//!
//! No method here is private: all carry [`Event::NonPrivate`]. How much they leak is measured,
//! not assumed.

mod checkpoint;
mod descent;
pub mod distribution_matching;
pub mod gradient_matching;
pub mod herding;
pub mod init;
pub mod linear_matching;
pub mod random_subset;
#[cfg(test)]
mod reference;

pub use distribution_matching::DistributionMatching;
pub use gradient_matching::GradientMatching;
pub use herding::Herding;
pub use init::{Init, OtherData};
pub use linear_matching::LinearMatching;
pub use random_subset::RandomSubset;

use crate::data::Origin;
use crate::privacy::Event;
use crate::synthesize::Synthesize;
use crate::{Dataset, Lab, Result};
use std::time::Instant;

/// One small instance of every condenser: what the catalogue lists and the contract tests run.
#[must_use]
pub fn condensers(per_class: usize) -> Vec<Box<dyn Synthesize>> {
    vec![Box::new(DistributionMatching::new(per_class)), Box::new(Herding::new(per_class)), Box::new(RandomSubset::new(per_class))]
}

/// The real records at `positions` as a condensed set of `method`.
fn selected(method: &dyn Synthesize, real: &Dataset, positions: &[usize], lab: &Lab, start: Instant) -> Result<Dataset> {
    let chosen = real.subset(positions)?;
    let started_from = positions.iter().map(|&i| vec![i]).collect();
    real.synthetic(chosen.x().to_vec(), chosen.labels().to_vec(), origin(method, lab, vec![], started_from, start.elapsed().as_secs_f64()))
}

fn origin(method: &dyn Synthesize, lab: &Lab, trace: Vec<(usize, f64)>, started_from: Vec<Vec<usize>>, seconds: f64) -> Origin {
    Origin {
        method: method.name(),
        config: method.config(),
        seed: lab.seed_value(),
        event: Event::NonPrivate,
        trace,
        started_from,
        seconds,
    }
}
