//! Where a condenser starts from. Real initialisation is the one clear source of leakage (arXiv 2502.12976), so every condensed
//! set remembers the records it started from.

use crate::{Dataset, Lab, Result};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// The first synthetic records.
///
/// # Example
/// ```
/// use freelunch::condense::{DistributionMatching, Init};
/// let matching = DistributionMatching::new(10).with_init(Init::Noise);
/// assert_eq!(matching.init, Init::Noise);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Init {
    /// Independent standard normal values in the normalised space: nothing real.
    Noise,
    /// Random real records of the class: the default of the literature, and what attacks find.
    Real,
}

/// First synthetic records in the normalised space, class by class, and the real records they are.
pub(super) struct Start {
    pub(super) x: Vec<f32>,
    pub(super) labels: Vec<u32>,
    pub(super) started_from: Vec<Vec<usize>>,
}

impl Init {
    /// The name used in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Real => "real",
        }
    }

    pub(super) fn start(self, real: &Dataset, per_class: usize, lab: &Lab) -> Result<Start> {
        real.require_per_class(per_class)?;
        let labels = (0..real.classes() as u32).flat_map(|class| std::iter::repeat_n(class, per_class)).collect();
        let count = per_class * real.classes();
        match self {
            Self::Noise => {
                let mut rng = lab.rng("init noise", 0);
                let x = (0..count * real.features()).map(|_| StandardNormal.sample(&mut rng)).collect();
                Ok(Start { x, labels, started_from: vec![vec![]; count] })
            }
            Self::Real => {
                let positions = real.draw_per_class(per_class, lab)?;
                let x = real.subset(&positions)?.normalized();
                Ok(Start { x, labels, started_from: positions.into_iter().map(|i| vec![i]).collect() })
            }
        }
    }
}
