//! Condensation: a small synthetic set that trains almost as well as the real one, and the baselines it must beat.
//!
//! No method here is private: all carry [`Event::NonPrivate`]. How much they leak is measured,
//! not assumed.

mod checkpoint;
pub(crate) mod descent;
pub mod distribution_matching;
pub mod gradient_matching;
pub mod herding;
pub mod init;
pub mod k_means;
pub mod kernel_inducing_points;
pub mod linear_matching;
pub mod random_subset;
#[cfg(test)]
mod reference;
pub mod trajectory_matching;

pub use distribution_matching::DistributionMatching;
pub use gradient_matching::GradientMatching;
pub use herding::Herding;
pub use init::{Init, OtherData};
pub use k_means::KMeans;
pub use kernel_inducing_points::{KernelInducingPoints, Labels};
pub use linear_matching::LinearMatching;
pub use random_subset::RandomSubset;
pub use trajectory_matching::TrajectoryMatching;

use crate::data::Origin;
use crate::nn::Arch;
use crate::privacy::{Event, guard};
use crate::synthesize::{Synthesize, origin};
use crate::{Dataset, Lab, Result};
use std::time::Instant;

/// A quick instance of every condenser, a few steps with a tiny network: what the contract tests run, and a list of what there is.
#[must_use]
pub fn condensers(per_class: usize) -> Vec<Box<dyn Synthesize>> {
    let arch = Arch::conv_net().with_width(4).with_depth(2);
    let loops = gradient_matching::Loops { outer: 2, inner: 1 };
    let quick = |matching: GradientMatching| matching.with_arch(arch.clone()).with_steps(2).with_loops(loops).with_batch(16);
    vec![
        Box::new(quick(GradientMatching::new(per_class))),
        Box::new(quick(GradientMatching::siamese(per_class))),
        Box::new(DistributionMatching::new(per_class).with_arch(arch.clone()).with_steps(3)),
        Box::new(KernelInducingPoints::new(per_class).with_steps(3)),
        Box::new(TrajectoryMatching::small(per_class).with_arch(arch.clone()).with_experts(1).with_steps(2)),
        Box::new(LinearMatching::new(per_class)),
        Box::new(KMeans::new(per_class)),
        Box::new(Herding::new(per_class)),
        Box::new(RandomSubset::new(per_class)),
    ]
}

/// The real records at `positions` as a condensed set of `method`.
fn selected(method: &dyn Synthesize, real: &Dataset, positions: &[usize], lab: &Lab, start: Instant) -> Result<Dataset> {
    guard(lab, &method.name(), real)?;
    let chosen = real.subset(positions)?;
    let started_from = positions.iter().map(|&i| vec![i]).collect();
    let origin = Origin { started_from, ..origin(method, lab, Event::NonPrivate, start.elapsed().as_secs_f64()) };
    real.synthetic(chosen.x().to_vec(), chosen.labels().to_vec(), origin)
}
